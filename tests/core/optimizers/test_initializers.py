from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from stylectl.core.images.decoding import read_image
from stylectl.core.interfaces.optimizer import Initializer, StartingPoint
from stylectl.plugins.manager import load_plugins
from torch import Tensor

RANDOM = ["content+noise", "noise", "style"]


def picture(seed: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator)


def starting_point(seed: int = 0, height: int = 12, width: int = 17) -> StartingPoint:
    return StartingPoint(
        content=picture(1, height, width),
        styles=((picture(2, 9, 8) * 0.5, 0.75), (picture(3, 5, 7), 0.25)),
        generator=torch.Generator().manual_seed(seed),
    )


def made(name: str, **options: Any) -> Initializer:
    return load_plugins().registry.initializers.get(name).options(**options)


def covariance_of(pixels: Tensor) -> Tensor:
    centred = pixels - pixels.mean(1, keepdim=True)
    return centred @ centred.T / (pixels.shape[1] - 1)


@pytest.mark.parametrize("name", ["content", "color+detail", *RANDOM])
def test_the_image_is_shaped_like_the_content(name: str) -> None:
    start = starting_point()
    before = start.content.clone()
    image = made(name).image(start)
    assert image.shape == start.content.shape
    assert image.dtype == torch.float32
    assert torch.isfinite(image).all()
    assert image.data_ptr() != start.content.data_ptr()
    assert torch.equal(start.content, before)


@pytest.mark.parametrize("name", RANDOM)
def test_one_seed_gives_one_image(name: str) -> None:
    first, second = (made(name).image(starting_point(seed=5)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", RANDOM)
def test_other_seeds_give_other_images(name: str) -> None:
    first, second = (made(name).image(starting_point(seed=seed)) for seed in (5, 6))
    assert not torch.equal(first, second)


def test_what_is_random_says_so() -> None:
    assert {name for name in RANDOM if made(name).random} == set(RANDOM)
    assert not made("content").random
    assert not made("color+detail").random
    assert not made("file", path="any.png").random


def test_content_is_the_content() -> None:
    start = starting_point()
    assert torch.equal(made("content").image(start), start.content)


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_content_with_noise_is_the_content_plus_that_much_noise(noise: float) -> None:
    start = starting_point(height=200, width=200)
    difference = made("content+noise", noise=noise).image(start) - start.content
    # Of 120000 values: the mean's standard error is noise / 346, the deviation's noise / 490; 5 of
    # each are allowed.
    assert difference.mean().item() == pytest.approx(0, abs=5 * noise / 346)
    assert difference.std().item() == pytest.approx(noise, abs=5 * noise / 490)


def test_noise_lies_around_the_mid_grey() -> None:
    image = made("noise", noise=0.2).image(starting_point(height=200, width=200))
    # As above.
    assert image.mean().item() == pytest.approx(0.5, abs=5 * 0.2 / 346)
    assert image.std().item() == pytest.approx(0.2, abs=5 * 0.2 / 490)


def test_noise_is_white() -> None:
    image = made("noise", noise=1.0).image(starting_point(height=200, width=200))[0] - 0.5
    for shifted in (image.roll(1, 0), image.roll(1, 1), image.roll(1, 2)):
        # The correlation of 120000 pairs of unit variance: standard error 1 / 346.
        assert (image * shifted).mean().item() == pytest.approx(0, abs=5 / 346)


def test_style_noise_has_the_styles_mean_and_covariance() -> None:
    generator = torch.Generator().manual_seed(7)
    mixing = torch.tensor([[0.2, 0.0, 0.0], [0.15, 0.1, 0.0], [-0.1, 0.05, 0.02]])
    first = torch.einsum("ij,njhw->nihw", mixing, torch.rand(1, 3, 40, 30, generator=generator))
    second = torch.rand(1, 3, 20, 25, generator=generator) + 0.2
    start = StartingPoint(
        picture(1, 200, 200), ((first, 0.75), (second, 0.25)), torch.Generator().manual_seed(0)
    )
    pixels = made("style").image(start)[0].flatten(1)
    mean = 0.75 * first[0].flatten(1).mean(1) + 0.25 * second[0].flatten(1).mean(1)
    covariance = 0.75 * covariance_of(first[0].flatten(1)) + 0.25 * covariance_of(
        second[0].flatten(1)
    )
    # Of 40000 pixels: the mean's standard error is sigma / 200, a covariance's at most
    # sigma_i sigma_j sqrt(2) / 200; 5 of each are allowed.
    sigma = covariance.diagonal().sqrt()
    assert ((pixels.mean(1) - mean).abs() < 5 * sigma / 200).all()
    error = (covariance_of(pixels) - covariance).abs()
    assert (error < 5 * 2**0.5 / 200 * torch.outer(sigma, sigma)).all()


def test_color_with_detail_has_the_styles_mean_and_what_halving_loses() -> None:
    start = starting_point(height=12, width=16)
    (first, _), (second, _) = start.styles
    mean = 0.75 * first[0].flatten(1).mean(1) + 0.25 * second[0].flatten(1).mean(1)
    blocks = start.content[0].unfold(1, 2, 2).unfold(2, 2, 2).mean((3, 4))
    inside = made("color+detail").image(start)[0] - mean.view(3, 1, 1)
    # Bilinear enlarging weighs the nearest of the halved pixels by 3/4 in each direction.
    near, right, below, across = blocks[:, 2, 3], blocks[:, 2, 4], blocks[:, 3, 3], blocks[:, 3, 4]
    enlarged = (9 * near + 3 * right + 3 * below + across) / 16
    torch.testing.assert_close(inside[:, 5, 7], start.content[0, :, 5, 7] - enlarged)
    assert made("color+detail").carries_detail


def test_style_noise_of_a_flat_style_is_flat() -> None:
    flat = torch.tensor([0.1, 0.6, 0.9]).view(1, 3, 1, 1).expand(1, 3, 6, 6)
    start = StartingPoint(picture(1, 8, 8), ((flat, 1.0),), torch.Generator().manual_seed(0))
    image = made("style").image(start)
    # float32's means of 36 equal numbers leave a covariance of about (1e-7)^2.
    torch.testing.assert_close(image, flat[..., :1, :1].expand_as(image), rtol=0, atol=1e-5)


def test_a_file_is_resized_to_the_content(tmp_path: Path) -> None:
    path = tmp_path / "start.png"
    Image.new("RGB", (40, 60), (255, 51, 0)).save(path)
    image = made("file", path=str(path)).image(
        replace(starting_point(), image=read_image(str(path)))
    )
    assert image.shape == (1, 3, 12, 17)
    # 8-bit values, constant, so that resampling changes nothing.
    expected = torch.tensor([1.0, 0.2, 0.0]).view(1, 3, 1, 1).expand_as(image)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)


def test_a_file_of_the_contents_size_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "start.png"
    values = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    image = made("file", path=str(path)).image(
        replace(starting_point(), image=read_image(str(path)))
    )
    assert np.array_equal((image[0] * 255).round().byte().permute(1, 2, 0).numpy(), values)


@pytest.mark.parametrize("name", ["content+noise", "noise"])
@pytest.mark.parametrize("noise", [0, -0.1, 1.5, float("nan")])
def test_noise_must_be_a_sensible_number(name: str, noise: float) -> None:
    with pytest.raises(ValidationError):
        made(name, noise=noise)
