"""The check of a network before its first use: of its features and of its gradient.

A network that PyTorch has is compared with PyTorch's in float64. An ONNX file has no other origin;
its gradient is compared with finite differences of its features.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from ...core.errors import BackendError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import FeatureBackend, Precision
from ..accuracy.differences import STEPS, TOLERANCE, gradient_distances
from ..accuracy.distances import relative_l2
from ..accuracy.exact import ExactBackend
from ..disk_cache import code_hash, kept_folder, key_of

#: (height, width) of an image.
Size = tuple[int, int]

_REPORT = "distances.json"

#: Largest relative L2 distances of a layer and of its gradient from float64, by precision. They are
#: those of VGG-19 in tools/parity/tolerances.py, with room for networks five times as deep: what is
#: computed wrongly is off by more. In float32 a gradient may be off by one switched rectifier.
_FEATURES: Mapping[Precision, float] = MappingProxyType(
    {"float32": 1e-4, "tf32": 2e-2, "fp16": 2e-2, "bf16": 0.1}
)
_GRADIENT: Mapping[Precision, float] = MappingProxyType(
    {"float32": 0.1, "tf32": 0.4, "fp16": 0.4, "bf16": 0.6}
)
#: Steps of finite differences in other precisions than float32, and the largest distance from them.
#: Rounding by 5e-4 (tf32) moves the slopes by 5 to 10 % at these steps, switching rectifiers by 20 %.
_COARSE_STEPS, _COARSE_DIFFERENCES = (1e-2, 3e-2), 0.4

#: Least sides of the images of a check: a network with branches that depend on the size, as one
#: with windows of attention, takes another branch for the second.
_SMALL, _LARGE = 29, 112


@dataclass(frozen=True)
class NetworkCheck:
    """The check of a backbone's network in ONNX Runtime; its result is kept in `folder`.

    `key` identifies the models, and what runs them. `from_file` is true for an ONNX file. The
    gradient is checked if it is `native`.
    """

    backbone: Backbone
    precision: Precision
    from_file: bool
    native: bool
    folder: Path
    key: str

    def once(self, backend: FeatureBackend, sizes: Sequence[Size] = ()) -> bool:
        """Check the backend unless that has been done, and return whether it is checked now.

        `sizes` are those of the images, if not any. An ONNX file that does not run at one size is
        tried at the next; False is returned if it runs at none. Raises BackendError for features or
        gradients that are beyond their tolerance.
        """
        here = Path(__file__)
        accuracy = here.parent.parent / "accuracy"
        code = code_hash(here, *sorted(accuracy.glob("*.py")))
        key = key_of(self.key, self.precision, self.native, *backend.layers, code)
        side = self.backbone.deepest(backend.layers).smallest_side
        sizes = sizes or (_file_sizes(side) if self.from_file else _sizes(side))
        check = self._check_file if self.from_file else self._check_origin
        try:
            with kept_folder(self.folder, key, partial(check, backend, sizes)):
                return True
        except _DoesNotRunError:
            return False

    def _check_origin(self, backend: FeatureBackend, sizes: Sequence[Size], folder: Path) -> None:
        """Compare features at all sizes, and the gradient at the first, with those in float64."""
        exact = ExactBackend(self.backbone, backend.layers)
        worst: dict[str, float] = {}
        for image in _noise(sizes):
            features, expected = backend.features(image), exact.features(image)
            distances = {
                layer: _distance(features[layer], value) for layer, value in expected.items()
            }
            self._compare("features", distances, _FEATURES[self.precision], image)
            worst |= {f"{layer} {image.shape[-1]}": value for layer, value in distances.items()}
        if self.native:
            image = next(_noise(sizes))
            distances = dict(_gradient_distances(backend, exact, image))
            self._compare("gradient", distances, _GRADIENT[self.precision], image)
            worst |= {f"gradient of {layer}": value for layer, value in distances.items()}
        (folder / _REPORT).write_text(json.dumps(worst), "utf-8")

    def _check_file(self, backend: FeatureBackend, sizes: Sequence[Size], folder: Path) -> None:
        """Compare the gradient with finite differences, at the first size that the network takes."""
        for image in _noise(sizes):
            try:
                backend.features(image)
            except BackendError:
                continue
            steps, limit = _COARSE_STEPS, _COARSE_DIFFERENCES
            if self.precision == "float32":
                steps, limit = STEPS, TOLERANCE
            distances = gradient_distances(backend, image, backend.features, steps=steps)
            self._compare("differences", distances, limit, image)
            (folder / _REPORT).write_text(json.dumps(distances), "utf-8")
            return
        raise _DoesNotRunError

    def _compare(
        self, what: str, distances: Mapping[str, float], limit: float, image: Tensor
    ) -> None:
        height, width = image.shape[-2:]
        for layer, distance in distances.items():
            if not distance <= limit:  # also where it is not a number
                raise BackendError(
                    f"the backbone {self.backbone.name} is refused: {_DIFFERS[what]} by "
                    f"{distance:.2g} at the layer {layer}, relative to its norm, for an image of "
                    f"{width}x{height} px; {limit:.2g} is allowed; {_ADVICE[what]}"
                )


class _DoesNotRunError(Exception):
    """Error for an ONNX file that runs at none of the sizes."""


_DIFFERS = {
    "features": "what ONNX Runtime computes of its export differs from PyTorch",
    "gradient": "its gradient in ONNX Runtime differs from PyTorch's",
    "differences": "its gradient differs from finite differences of its features",
}
_ADVICE = {
    "features": "use `backend=torch`",
    "gradient": "use `gradient=torch` or `backend=torch`",
    "differences": "choose other layers",
}


def _sizes(side: int) -> Sequence[Size]:
    """Return the sizes for a network that takes images of `side` pixels or more."""
    small, large = max(side, _SMALL), max(2 * side, _LARGE)
    return (small + 3, small + 10), (large + 5, small + 16)


def _file_sizes(side: int) -> Sequence[Size]:
    """Return sizes for a network whose size may be restricted, to whole strides for example."""
    whole = -(-max(side, _SMALL) // 64) * 64
    return *_sizes(side)[:1], (whole, whole), (224, 224)


def _noise(sizes: Sequence[Size]) -> Iterator[Tensor]:
    for height, width in sizes:
        generator = torch.Generator().manual_seed(height)
        yield torch.rand(1, 3, height, width, generator=generator)


def _gradient_distances(
    backend: FeatureBackend, exact: ExactBackend, image: Tensor
) -> Iterator[tuple[str, float]]:
    features, exact_pullback = exact.vjp(image)
    generator = torch.Generator().manual_seed(0)
    for layer, value in features.items():
        cotangent = torch.randn(value.shape, generator=generator)
        _, pullback = backend.vjp(image)
        gradient = pullback({layer: cotangent.to(backend.device)})
        yield layer, relative_l2(gradient, exact_pullback({layer: cotangent}))


def _distance(got: Tensor, exact: Tensor) -> float:
    """Return the relative distance; infinity for another shape."""
    return relative_l2(got, exact) if got.shape == exact.shape else float("inf")
