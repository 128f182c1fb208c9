"""A case of the backend suite: a network, its exact values, and the tolerances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...backends.accuracy.distances import relative_l2
from ...backends.accuracy.exact import ExactBackend
from ...core.errors import StylectlError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import BackendOptions, FeatureBackend, Features
from ...core.interfaces.specs import BackendArguments, BackendSpec
from .checks import require
from .network import KinkedBackbone, TinyBackbone
from .pictures import painting

#: (height, width): even, odd, and the smallest that the suite's networks take.
SIZES: Sequence[tuple[int, int]] = ((16, 20), (11, 14), (9, 17), (2, 2))


@dataclass(frozen=True)
class BackendTolerance:
    """Largest relative L2 distances of features and gradients from those in float64."""

    features: float
    gradient: float


#: Tolerances by precision. In float32, convolutions of at most 54 products are off by some 1e-7,
#: and no kink of the suite's networks, at its images, is so near that rounding could switch it. In
#: the smaller types some kinks switch: `tools/parity/tolerances.py` has the reasons.
TOLERANCES: Mapping[str, BackendTolerance] = {
    "float32": BackendTolerance(features=5e-6, gradient=1e-5),
    "bf16": BackendTolerance(features=2e-2, gradient=0.25),
    "tf32": BackendTolerance(features=3e-3, gradient=0.15),
    "fp16": BackendTolerance(features=3e-3, gradient=0.15),
}

#: Changes of a tensor's memory layout, after which the same values are not contiguous.
SCATTERED: Mapping[str, Callable[[Tensor], Tensor]] = {
    "channels last": lambda value: value.contiguous(memory_format=torch.channels_last),
    "transposed": lambda value: value.mT.contiguous().mT,
    "part of a larger one": lambda value: functional.pad(value, (2, 3, 1, 2))[..., 1:-2, 2:-3],
}


@dataclass(frozen=True)
class Case:
    """A backend on one network, device and precision, with its reference and tolerance."""

    spec: BackendSpec[Any]
    backbone: Backbone
    options: BackendOptions
    tolerance: BackendTolerance

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers of the network, in order of depth."""
        return tuple(info.name for info in self.backbone.layers)

    @cached_property
    def exact(self) -> ExactBackend:
        """Reference backend for all layers, in float64."""
        return ExactBackend(self.backbone, self.layers)

    def backend(self, layers: Sequence[str] | None = None) -> FeatureBackend:
        """Create a backend under test, by default for all layers."""
        chosen = tuple(layers or self.layers)
        return self.spec.create(
            BackendArguments(backbone=self.backbone, layers=chosen, options=self.options)
        )

    def cotangents(
        self, backend: FeatureBackend, image: Tensor, layers: Collection[str], seed: int = 0
    ) -> dict[str, Tensor]:
        """Return random cotangents for `image`, float32, on the backend's device."""
        generator = torch.Generator().manual_seed(seed)
        shapes = {name: value.shape for name, value in self.exact.features(image).items()}
        drawn = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        return {name: drawn[name].to(backend.device) for name in layers}

    def check_close(self, features: Features, image: Tensor, what: str) -> None:
        """Raise AssertionError unless `features` are those of `image`, within the tolerance."""
        exact = self.exact.features(image)
        for name, value in features.items():
            shapes = tuple(value.shape), tuple(exact[name].shape)
            require(shapes[0] == shapes[1], f"{what}: {name} is {shapes[0]}, not {shapes[1]}")
            off = relative_l2(value, exact[name])
            require(off <= self.tolerance.features, f"{what}: {name} is off by {off:.2g}")

    def check_gradient(
        self, backend: FeatureBackend, image: Tensor, layers: Collection[str]
    ) -> None:
        """Raise AssertionError unless the pullback of random cotangents of `layers` is right.

        The features that `vjp` returns are checked as well.
        """
        cotangents = self.cotangents(backend, image, layers)
        features, pullback = backend.vjp(image)
        off = relative_l2(pullback(cotangents), self.exact.vjp(image)[1](cotangents))
        what = f"the gradient of {', '.join(layers)} at {tuple(image.shape)} is off by {off:.2g}"
        require(off <= self.tolerance.gradient, what)
        self.check_close(features, image, "vjp")


def cases_of(
    spec: BackendSpec[Any],
    options: Mapping[str, Any],
    devices: Sequence[str],
    precisions: Sequence[str],
    tolerance: BackendTolerance | None,
) -> dict[str, Case]:
    """Return a case for each network, device and precision, by its name."""
    networks: dict[str, Backbone] = {"smooth": TinyBackbone(), "kinked": KinkedBackbone()}
    return {
        f"{name}-{device}-{precision}": Case(
            spec,
            backbone,
            spec.options.model_validate({**options, "device": device, "precision": precision}),
            tolerance or TOLERANCES[precision],
        )
        for name, backbone in networks.items()
        for device in devices
        for precision in precisions
    }


def former_spec(
    create: Callable[[Backbone, Sequence[str], BackendOptions], FeatureBackend],
) -> BackendSpec[BackendOptions]:
    """Return the spec of a suite of version 0.1, which had a method `create`."""
    return BackendSpec(
        name="suite",
        summary="",
        create=lambda arguments: create(arguments.backbone, arguments.layers, arguments.options),
        options=BackendOptions,
    )


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """Return strokes with noise, so that no two neighboring pixels are alike.

    The shape is (1, 3, height, width), float32 in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, height, width, generator=generator)
    return 0.5 * painting(height, width) + 0.5 * noise


def refuses(
    kind: type[StylectlError], what: str, call: Callable[..., object], *arguments: object
) -> None:
    """Raise AssertionError unless the call raises an error of that kind, in one line."""
    try:
        call(*arguments)
    except kind as error:
        message = str(error)
        require(len(message.splitlines()) == 1, f"{what}: not one line: {message!r}")
    except Exception as error:
        raised = f"{type(error).__name__}: {error}"
        raise AssertionError(f"{what}: it must raise {kind.__name__}, not {raised}") from error
    else:
        raise AssertionError(f"{what}: it must raise {kind.__name__}, but raises nothing")
