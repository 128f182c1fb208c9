"""Transparency: what is transparent is not seen, in style images, content images and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stylectl.core.errors import ImageError
from stylectl.core.images.alpha import filled
from stylectl.core.images.color_transfer import recolored
from stylectl.core.images.inputs import read_inputs
from stylectl.core.interfaces.optimizer import StartingPoint
from stylectl.core.job.building import build_job
from stylectl.core.optimizers.initializers import FromStyleStatistics

SIDE = 64


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def cut_out(name: str, hidden: int, seed: int = 0) -> str:
    """A picture whose right half is transparent; `hidden` is the seed of the colors there."""
    pixels = noise(seed)
    pixels[:, SIDE // 2 :] = noise(hidden)[:, SIDE // 2 :]
    alpha = np.full((SIDE, SIDE, 1), 255, np.uint8)
    alpha[:, SIDE // 2 :] = 0
    Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(name)
    return name


SMALL: dict[str, Any] = {
    "size": SIDE,
    "iterations": 2,
    "scales": 1,
    "device": "cpu",
    "style_layers": ["relu1_1", "relu2_1"],
    "content_layers": ["relu2_1"],
}


def paint(content: str, style: str, **options: Any) -> np.ndarray:
    result = stylectl.run(content=content, styles=[style], **{**SMALL, **options})
    return result.image


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 999))
def test_filling_depends_on_visible_colors_alone_and_leaves_them(
    height: int, width: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    alpha = generator.choice([0, 0, 0, 15, 16, 255], (height, width)).astype(np.uint8)
    alpha[generator.integers(height), generator.integers(width)] = 255
    pixels = generator.integers(0, 256, (height, width, 3), np.uint8)
    other = np.where(alpha[..., None] == 0, 255 - pixels, pixels)
    mask = Image.fromarray(alpha)
    first, second = (np.asarray(filled(Image.fromarray(p), mask)) for p in (pixels, other))
    assert np.array_equal(first, second)
    assert np.array_equal(first[alpha >= 16], pixels[alpha >= 16])
    # Means of visible colors; 8 bits of premultiplied colors round.
    visible = pixels[alpha > 0].astype(int)
    assert (first >= visible.min(0) - 2).all()
    assert (first <= visible.max(0) + 2).all()


def test_the_filling_is_the_nearest_color() -> None:
    pixels, alpha = np.zeros((40, 80, 3), np.uint8), np.zeros((40, 80), np.uint8)
    pixels[:, :5], pixels[:, -5:] = (255, 0, 0), (0, 0, 255)
    alpha[:, :5] = alpha[:, -5:] = 255
    image = np.asarray(filled(Image.fromarray(pixels), Image.fromarray(alpha))).astype(int)
    assert (image[:, 5:16, 0] > 200).all()
    assert (image[:, -16:-5, 2] > 200).all()


@pytest.mark.parametrize("color", ["style", "luminance", "histogram", "covariance"])
@pytest.mark.parametrize("init", ["content+noise", "style"])
def test_two_cut_outs_that_differ_in_hidden_colors_give_the_same_pixels(
    color: str, init: str
) -> None:
    contents = [cut_out(f"c{hidden}.png", hidden) for hidden in (1, 2)]
    styles = [cut_out(f"s{hidden}.png", hidden, seed=5) for hidden in (3, 4)]
    first, second = (
        paint(content, style, color=color, init=init)
        for content, style in zip(contents, styles, strict=True)
    )
    assert np.array_equal(first, second)


def test_what_is_transparent_in_a_style_image_is_not_in_its_statistics() -> None:
    Image.fromarray(noise(0)).save("photo.png")
    half = Image.open(cut_out("s.png", 1, seed=5)).convert("RGB").crop((0, 0, SIDE // 2, SIDE))
    half.save("half.png")
    inputs = [
        read_inputs(build_job({"content": "photo.png", "styles": [name], **SMALL}))
        for name in ("s.png", "half.png")
    ]
    ((cut,), (whole,)) = (each.styles for each in inputs)
    own_region = cut.regions[0].own_region
    assert own_region is not None
    assert own_region[:, : SIDE // 2].eq(1).all()
    assert own_region[:, SIDE // 2 :].eq(0).all()
    assert whole.regions[0].own_region is None
    # Recoloring takes mean and covariance of the visible part alone.
    recolor = [recolored(each, "covariance", (SIDE, SIDE)).styles[0].image for each in inputs]
    visible = np.asarray(recolor[0].rgb)[:, : SIDE // 2].astype(int)
    assert np.abs(visible - np.asarray(recolor[1].rgb)).max() <= 1


def test_a_start_from_the_style_counts_visible_pixels_alone() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[..., 2:] = 1
    opacity = torch.ones(4, 4)
    opacity[:, 2:] = 0
    content = torch.zeros(1, 3, 8, 8)
    start = StartingPoint(content, [(image, 1.0)], torch.Generator(), opacities=[opacity])
    assert FromStyleStatistics().image(start).abs().max() < 1e-6


@pytest.mark.parametrize("role", ["content", "style"])
def test_a_wholly_transparent_image_is_an_error(role: str) -> None:
    Image.new("RGBA", (SIDE, SIDE), (200, 30, 30, 0)).save("clear.png")
    Image.fromarray(noise(0)).save("other.png")
    names = ("clear.png", "other.png") if role == "content" else ("other.png", "clear.png")
    with pytest.raises(ImageError, match=r"clear\.png: the image is wholly transparent"):
        paint(*names)


@pytest.mark.parametrize("term", ["mrf", "histogram", "sliced-wasserstein"])
def test_a_term_that_cannot_leave_the_transparent_part_out_is_refused(term: str) -> None:
    Image.fromarray(noise(0)).save("photo.png")
    with pytest.raises(ImageError, match=rf"s\.png: .*transparent.* the loss term {term} cannot"):
        paint("photo.png", cut_out("s.png", 1), term=[term])


def test_the_result_keeps_the_contents_alpha() -> None:
    Image.fromarray(noise(5)).save("style.png")
    result = stylectl.run(content=cut_out("c.png", 1), styles=["style.png"], **SMALL)
    assert result.alpha is not None
    assert result.alpha[:, : SIDE // 2].min() == 1
    assert result.alpha[:, SIDE // 2 :].max() == 0


def test_a_region_that_is_transparent_in_the_style_image_is_an_error() -> None:
    Image.fromarray(noise(0)).save("photo.png")
    colors = np.zeros((SIDE, SIDE, 3), np.uint8)
    colors[:, SIDE // 2 :] = 255
    Image.fromarray(colors).save("map.png")
    with pytest.raises(ImageError, match=r"s\.png: .*transparent in one of its map's regions"):
        paint("photo.png", cut_out("s.png", 1), regions=["map.png", "map.png"])
