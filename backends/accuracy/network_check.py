"""The check of a network before its first use: of its features and of its gradient.

An export is compared with its origin, the network in PyTorch, in float32 on the CPU. An ONNX file
in float32 has no other origin: its gradient is compared with finite differences of its features.
One whose numbers are halves is compared with the same network in float32, which is checked so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from ...core.errors import BackendError
from ...core.interfaces.backend import FeatureBackend, Features, Precision
from ..disk_cache import code_hash, kept_folder, key_of
from .differences import TOLERANCE, gradient_distances
from .distances import relative_l2

#: (height, width) of an image.
Size = tuple[int, int]

_REPORT = "distances.json"

#: Largest relative L2 distances of a layer and of its gradient from the origin's, by precision.
#: They are several times those of VGG-19 in tools/parity/tolerances.py, for deeper networks: what
#: is computed wrongly is off by more. In float32 some rectifiers may switch.
_FEATURES: Mapping[Precision, float] = MappingProxyType(
    {"float32": 1e-4, "tf32": 2e-2, "fp16": 2e-2, "bf16": 0.1}
)
_GRADIENT: Mapping[Precision, float] = MappingProxyType(
    {"float32": 0.1, "tf32": 0.4, "fp16": 0.4, "bf16": 0.6}
)
#: Least sides of the images of a check: a network with branches that depend on the size, as one
#: with windows of attention, takes another branch for the second.
_SMALL, _LARGE = 29, 112


@dataclass(frozen=True)
class Origin:
    """The network in float32 on the CPU, and the precision whose tolerances hold beside it."""

    backend: FeatureBackend
    precision: Precision


@dataclass(frozen=True)
class NetworkCheck:
    """The check of the backbone `name` in a backend; its result is kept in `folder`.

    `key` identifies the models, and what runs them. `smallest_side` is that of the images that the
    network takes; a `restricted` one, an ONNX file, may not take all larger ones. `origin` opens
    the same network in float32 on the CPU, or returns None if the backend is that. The gradient
    is `native`, or PyTorch's.
    """

    name: str
    smallest_side: int
    restricted: bool
    origin: Callable[[], Origin | None]
    precision: Precision
    native: bool
    folder: Path
    key: str

    def once(self, backend: FeatureBackend, sizes: Sequence[Size] = ()) -> bool:
        """Check the backend unless that has been done, and return whether it is checked now.

        `sizes` are those of the images, if not any. False is returned for a restricted network that
        takes none of the sizes. Raises BackendError for features or gradients that are beyond their
        tolerance.
        """
        code = code_hash(*sorted(Path(__file__).parent.glob("*.py")))
        key = key_of(self.key, self.precision, self.native, *backend.layers, code)
        try:
            with kept_folder(self.folder, key, partial(self._check, backend, sizes)):
                return True
        except _DoesNotRunError:
            return False

    def _check(self, backend: FeatureBackend, sizes: Sequence[Size], folder: Path) -> None:
        if not sizes:
            sizes = sizes_for(self.smallest_side, restricted=self.restricted)
        images = self._images(backend, sizes)
        origin = self.origin()
        if origin is None:
            measured = dict(self._beside_differences(backend, images))
        else:
            with origin.backend:
                measured = dict(self._beside_origin(backend, origin, images))
        if not measured:
            raise _DoesNotRunError
        (folder / _REPORT).write_text(json.dumps(measured), "utf-8")

    def _images(
        self, backend: FeatureBackend, sizes: Sequence[Size]
    ) -> Iterator[tuple[Tensor, Features]]:
        """Yield two images that the network takes, with their features."""
        count = 0
        for height, width in sizes:
            if count == 2:
                return
            generator = torch.Generator().manual_seed(height)
            image = torch.rand(1, 3, height, width, generator=generator)
            try:
                features = backend.features(image)
            except BackendError:
                if not self.restricted:
                    raise
            else:
                count += 1
                yield image, features

    def _beside_origin(
        self,
        backend: FeatureBackend,
        origin: Origin,
        images: Iterable[tuple[Tensor, Features]],
    ) -> Iterator[tuple[str, float]]:
        """Compare the features of all images, and the gradient at the first, with the origin's.

        Without a native gradient, that of an export is PyTorch's own, which the origin has too.
        """
        features_limit, gradient_limit = _FEATURES[origin.precision], _GRADIENT[origin.precision]
        for number, (image, features) in enumerate(images):
            distances = _distances(features, origin.backend.features(image))
            yield from self._compared("features", distances, features_limit, image)
            if number == 0 and (self.native or self.restricted):
                distances = _gradient_distances(backend, origin.backend, image)
                yield from self._compared("gradient", distances, gradient_limit, image)

    def _beside_differences(
        self, backend: FeatureBackend, images: Iterable[tuple[Tensor, Features]]
    ) -> Iterator[tuple[str, float]]:
        """Compare the gradient at the first image with finite differences.

        Without a native gradient, the network that gives it is another one, converted from the
        file; its features are compared with the file's for all images.
        """
        for number, (image, features) in enumerate(images):
            if not self.native:
                converted, _ = backend.vjp(image)
                distances = _distances(converted, features)
                limit = _FEATURES[self.precision]
                yield from self._compared("conversion", distances, limit, image)
            if number == 0:
                distances = gradient_distances(backend, image)
                yield from self._compared("differences", distances, TOLERANCE, image)

    def _compared(
        self, what: str, distances: Mapping[str, float], limit: float, image: Tensor
    ) -> Iterator[tuple[str, float]]:
        """Yield the distances with names. Raises BackendError for one above the limit."""
        height, width = image.shape[-2:]
        for layer, distance in distances.items():
            if not distance <= limit:  # also where it is not a number
                raise BackendError(
                    f"the backbone {self.name} is refused: {_DIFFERS[what]} by {distance:.2g} at "
                    f"the layer {layer}, relative to its norm, for an image of {width}x{height} "
                    f"px; {limit:.2g} is allowed; {_ADVICE[what]}"
                )
            yield f"{what} {layer} {width}x{height}", distance


class _DoesNotRunError(Exception):
    """Error for a network that takes none of the sizes."""


_DIFFERS = {
    "features": "what ONNX Runtime computes differs from the network in float32",
    "gradient": "its gradient in ONNX Runtime differs from that of the network in float32",
    "conversion": "what PyTorch computes of its conversion differs from ONNX Runtime",
    "differences": "its gradient differs from finite differences of its features",
}
_ADVICE = {
    "features": "use `backend=torch`",
    "gradient": "use `gradient=torch` or `backend=torch`",
    "conversion": "choose other layers",
    "differences": "choose other layers",
}


def sizes_for(side: int, *, restricted: bool) -> Sequence[Size]:
    """Return the sizes of the images that try a network that takes images of `side` pixels or more.

    The size of a restricted one may have to be in whole strides, or the one that most networks are
    trained at.
    """
    small, large = max(side, _SMALL), max(2 * side, _LARGE)
    sizes = ((small + 3, small + 10), (large + 5, small + 16))
    in_strides = -(-small // 64) * 64
    return (*sizes, (in_strides, in_strides), (224, 224)) if restricted else sizes


def _gradient_distances(
    backend: FeatureBackend, origin: FeatureBackend, image: Tensor
) -> Mapping[str, float]:
    generator = torch.Generator().manual_seed(0)
    gradients: dict[str, Tensor] = {}
    expected: dict[str, Tensor] = {}
    for layer in backend.layers:
        (features, pullback), (_, origin_pullback) = backend.vjp(image), origin.vjp(image)
        cotangent = torch.randn(features[layer].shape, generator=generator)
        gradients[layer] = pullback({layer: cotangent.to(backend.device)})
        expected[layer] = origin_pullback({layer: cotangent})
    return _distances(gradients, expected)


def _distances(got: Features, expected: Features) -> Mapping[str, float]:
    """Return the relative distance of each layer; infinity for another shape."""
    return {
        layer: relative_l2(value, expected[layer])
        if value.shape == expected[layer].shape
        else float("inf")
        for layer, value in got.items()
    }
