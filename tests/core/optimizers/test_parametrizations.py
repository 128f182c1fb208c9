"""Parametrisations give back the image that they encode, with the right gradient."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import stylectl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl import Parametrization, ParametrizationSpec, UsageError
from stylectl.core.optimizers.parametrizations import Fourier, Laplacian
from stylectl.testing import check_parametrization, load_plugins
from torch import Tensor

KINDS: list[Parametrization] = [
    Laplacian(),
    Laplacian(levels=2),
    Fourier(),
    Fourier(decay=0),
]
SIDES = st.integers(2, 40)
#: A hundred roundings of float64, of numbers of about 1.
ROUNDING = 1e-13

SMALL: dict[str, Any] = {
    "size": 64,
    "scales": 2,
    "iterations": 6,
    "content_layers": ["relu1_1"],
    "style_layers": ["relu1_1"],
}


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pixels", {}),
        ("laplacian", {}),
        ("laplacian", {"levels": 1}),
        ("fourier", {}),
        ("fourier", {"decay": 2.0}),
    ],
)
def test_the_built_in_ones_pass_the_kit(name: str, options: dict[str, Any]) -> None:
    spec = load_plugins().registry.parametrizations.get(name)
    check_parametrization(spec, options=options)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@settings(max_examples=20, deadline=None)
@given(height=SIDES, width=SIDES)
def test_a_decoded_image_is_the_encoded_one(kind: Parametrization, height: int, width: int) -> None:
    image = drawn(1, 2, 3, height, width)
    decoded = kind.decode(kind.encode(image), (height, width))
    assert (decoded - image).abs().max() < ROUNDING * image.abs().max()


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@settings(max_examples=20, deadline=None)
@given(height=SIDES, width=SIDES)
def test_the_gradient_is_the_adjoint(kind: Parametrization, height: int, width: int) -> None:
    """<d, J p> = <J^T d, p>, for the linear maps that these are."""
    size = (height, width)
    parameters = kind.encode(drawn(1, 1, 3, *size)).requires_grad_()
    cotangent, direction = drawn(2, 1, 3, *size), drawn(3, *parameters.shape)
    (gradient,) = torch.autograd.grad(kind.decode(parameters, size), parameters, cotangent)
    forward = (cotangent * kind.decode(direction, size)).sum()
    assert (gradient * direction).sum().item() == pytest.approx(
        forward.item(), abs=ROUNDING * cotangent.norm().item() * direction.norm().item() * 100
    )


def test_the_levels_of_a_pyramid_halve_the_sides() -> None:
    """4 x 6, 2 x 3; a level of one pixel is left out."""
    assert Laplacian().encode(drawn(1, 1, 3, 4, 6)).shape == (1, 3, 1, 24 + 6)


def test_a_flat_image_has_the_coarsest_level_alone() -> None:
    parameters = Laplacian().encode(torch.full((1, 3, 8, 8), 0.25, dtype=torch.float64))
    assert parameters[..., :-4].abs().max() < ROUNDING
    assert (parameters[..., -4:] - 0.25).abs().max() < ROUNDING


def test_frequencies_without_decay_are_an_orthonormal_transform() -> None:
    image = drawn(1, 1, 3, 7, 10)
    parameters = Fourier(decay=0).encode(image)
    assert parameters.norm().item() == pytest.approx(image.norm().item(), rel=1e-12)


def test_independent_frequencies_make_an_image_of_their_variance() -> None:
    image = Fourier().decode(drawn(1, 1, 3, 64, 64), (64, 64))
    assert image.square().mean().item() == pytest.approx(1, rel=0.5)  # the lowest ones vary most


@pytest.mark.parametrize("name", ["laplacian", "fourier"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_run_lowers_the_loss(name: str, optimizer: str) -> None:
    result = stylectl.run(**SMALL, parametrization=name, optimizer=optimizer)
    last = [record for record in result.steps if record.scale == 1]
    assert last[-1].loss < last[0].loss
    assert result.job.parametrization.name == name


def test_colors_are_kept_by_luminance() -> None:
    """The optimizer's image is gray for any parametrisation, so that luminance alone changes."""
    options: dict[str, Any] = {**SMALL, "optimizer": "adam", "color": "luminance"}
    pixels, pyramid = (
        stylectl.run(**options, parametrization=name).image for name in ("pixels", "laplacian")
    )
    chroma = [image - image.mean(2, keepdims=True) for image in (pixels, pyramid)]
    assert np.abs(pixels - pyramid).max() > 0.01
    hues = [np.sign(np.round(part, 1)) for part in chroma]
    assert np.mean(hues[0] * hues[1] < 0) < 0.01


def test_pixels_are_the_default_and_change_nothing() -> None:
    default, named = stylectl.run(**SMALL), stylectl.run(**SMALL, parametrization="pixels")
    assert np.array_equal(default.image, named.image)


def test_spectral_scaling_of_parameters_is_refused() -> None:
    with pytest.raises(UsageError, match=r"spectral scaling .* `optimizer\.scaling=scalar`"):
        stylectl.run(
            **SMALL,
            parametrization="laplacian",
            optimizer={"name": "lbfgs", "scaling": "spectral"},
        )


class Contrast(Parametrization):
    """Correct; the others each break something."""

    factor: float = 2.0

    def encode(self, image: Tensor) -> Tensor:
        return (image - 0.5) / self.factor

    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        return 0.5 + self.factor * parameters


class Lossy(Contrast):
    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        return self.factor * parameters


class Detached(Contrast):
    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        return 0.5 + self.factor * (parameters.detach() + 0 * parameters)


class Flat(Contrast):
    def encode(self, image: Tensor) -> Tensor:
        return super().encode(image).flatten()


class Cropped(Contrast):
    def decode(self, parameters: Tensor, size: tuple[int, int]) -> Tensor:
        return super().decode(parameters, size)[..., 1:]


class Spoiling(Contrast):
    def encode(self, image: Tensor) -> Tensor:
        return super().encode(image.mul_(2).div_(3))


class Large(Contrast):
    size_ratio: ClassVar[float] = 0.5


def test_a_correct_one_passes() -> None:
    check_parametrization(ParametrizationSpec(name="good", summary="", options=Contrast))


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Lossy, "differs from the encoded one"),
        (Detached, "the slope by its gradient is 0"),
        (Flat, "four dimensions"),
        (Cropped, "must decode parameters to an image of 24x16"),
        (Spoiling, "it changes the image"),
        (Large, "`size_ratio` is 0.50"),
    ],
)
def test_a_fault_is_found(kind: type[Parametrization], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_parametrization(ParametrizationSpec(name="bad", summary="", options=kind))
