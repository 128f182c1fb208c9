"""The built-in optimizers, initialisers and parametrisations."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.interfaces.specs import InitializerSpec, OptimizerSpec, ParametrizationSpec
from ..core.optimizers.adam import Adam
from ..core.optimizers.initializers import (
    FromColorWithDetail,
    FromContent,
    FromContentWithNoise,
    FromFile,
    FromNoise,
    FromStyleStatistics,
)
from ..core.optimizers.lbfgs import LBFGS
from ..core.optimizers.parametrizations import Fourier, Laplacian, Pixels
from . import hooks


@hooks.optimizers
def optimizers() -> Iterable[OptimizerSpec]:
    """Return the optimizers `lbfgs` and `adam`."""
    yield OptimizerSpec(
        name="lbfgs", summary="limited-memory BFGS, one evaluation for most steps", options=LBFGS
    )
    yield OptimizerSpec(name="adam", summary="Adam with averaged iterates", options=Adam)


@hooks.initializers
def initializers() -> Iterable[InitializerSpec]:
    """Return the initialisers: content, noise, both, the styles' colors, an image file."""
    yield InitializerSpec(name="content", summary="the content image", options=FromContent)
    yield InitializerSpec(
        name="content+noise", summary="the content image and noise", options=FromContentWithNoise
    )
    yield InitializerSpec(name="noise", summary="noise around gray", options=FromNoise)
    yield InitializerSpec(
        name="style", summary="noise with the styles' colors", options=FromStyleStatistics
    )
    yield InitializerSpec(
        name="color+detail",
        summary="the styles' mean color with the content image's finest detail",
        options=FromColorWithDetail,
    )
    yield InitializerSpec(name="file", summary="an image file", options=FromFile)


@hooks.parametrizations
def parametrizations() -> Iterable[ParametrizationSpec]:
    """Return the parametrisations: pixels, a Laplacian pyramid, spatial frequencies."""
    yield ParametrizationSpec(name="pixels", summary="the pixels themselves", options=Pixels)
    yield ParametrizationSpec(
        name="laplacian", summary="a Laplacian pyramid of the image", options=Laplacian
    )
    yield ParametrizationSpec(
        name="fourier", summary="spatial frequencies, the low ones moved further", options=Fourier
    )
