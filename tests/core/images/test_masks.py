from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stylectl.core.errors import ImageError
from stylectl.core.images.decoding import read_image
from stylectl.core.images.masks import mask_of, resized
from stylectl.core.images.region_maps import paired_regions
from stylectl.core.images.style_shares import shares_of
from stylectl.core.interfaces.source_image import SourceImage
from torch import Tensor

sides = st.integers(1, 23)


def left_half(height: int, width: int) -> Tensor:
    mask = torch.zeros(height, width)
    mask[:, : width // 2] = 1
    return mask


# Resizing


@settings(deadline=None, max_examples=40)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.integers(0, 99))
def test_each_cell_has_the_mean_of_what_lies_in_it(
    size: tuple[int, int], cells: tuple[int, int], seed: int
) -> None:
    mask = torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # Each pixel as so many equal ones that cells and pixels have their borders in common.
    fine = mask.repeat_interleave(cells[0], 0).repeat_interleave(cells[1], 1)
    means = fine.view(cells[0], size[0], cells[1], size[1]).mean((1, 3))
    # float32: means of at most 529 numbers in [0, 1].
    torch.testing.assert_close(resized(mask.float(), *cells).double(), means, rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40))
def test_a_hard_border_stays_on_its_cell(pixels: int, cells: int) -> None:
    across = resized(left_half(3, 2 * pixels), 1, 2 * cells)[0]
    # The border is one of the cells' as well. To the left float32 rounds sums that are 1.
    torch.testing.assert_close(across[:cells], torch.ones(cells), rtol=0, atol=1e-6)
    assert not across[cells:].any()


def test_a_thin_line_is_in_every_layer() -> None:
    mask = torch.zeros(512, 512)
    mask[:, 100] = 1
    assert resized(mask, 32, 32).sum().item() == pytest.approx(32 / 16)


# Masks from images


def saved(path: Path, image: Image.Image) -> SourceImage:
    image.save(path)
    return read_image(str(path))


def test_white_counts_black_does_not_and_gray_does_in_part(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 51, 255]], np.uint8))
    assert mask_of(saved(tmp_path / "m.png", image)).tolist() == [[0, pytest.approx(0.2), 1]]


@pytest.mark.parametrize("paint", [0, 255])
def test_one_color_with_transparency_is_a_mask_by_its_transparency(
    tmp_path: Path, paint: int
) -> None:
    image = np.full((1, 2, 4), paint, np.uint8)
    image[0, :, 3] = 0, 255
    assert mask_of(saved(tmp_path / "m.png", Image.fromarray(image))).tolist() == [[0, 1]]


def test_a_mask_that_is_all_black_is_refused(tmp_path: Path) -> None:
    picture = saved(tmp_path / "night.png", Image.new("L", (9, 9)))
    with pytest.raises(ImageError, match=r"night\.png: the mask is all black"):
        mask_of(picture)


# Shares


def test_without_masks_shares_are_the_weights() -> None:
    assert shares_of([(3.0, None), (1.0, None)]) == ([0.75, 0.25], 1.0)


def test_shares_follow_areas_and_what_is_covered() -> None:
    left = left_half(64, 64)
    shares, covered = shares_of([(1.0, left), (1.0, 1 - left)])
    assert shares == [0.5, 0.5]
    assert covered == 1.0
    assert shares_of([(7.0, left)]) == ([1.0], 0.5)
    # A style everywhere, and one of the same weight on half of the picture.
    shares, covered = shares_of([(1.0, None), (1.0, left)])
    assert shares == pytest.approx([2 / 3, 1 / 3])
    assert covered == 1.0


# Maps of regions

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def map_of(
    path: Path, *colors: tuple[int, int, int], size: tuple[int, int] = (60, 40)
) -> SourceImage:
    """Upright stripes, with soft edges."""
    stripes = Image.new("RGB", (10 * len(colors), 10))
    for number, color in enumerate(colors):
        stripes.paste(color, (10 * number, 0, 10 * number + 10, 10))
    return saved(path, stripes.resize(size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_colors_are_paired_and_soft_edges_go_to_the_nearest(tmp_path: Path, suffix: str) -> None:
    content = map_of(tmp_path / f"c.{suffix}", RED, BLUE, size=(120, 80))
    style = map_of(tmp_path / f"s.{suffix}", BLUE, RED, size=(120, 60))
    ((first, second),), notices = paired_regions(content, [style])
    assert not notices
    for of_content, of_style in (first, second):
        assert of_content.float().mean().item() == pytest.approx(0.5, abs=0.01)
        # Where one map has it at the left, the other has it at the right.
        assert not (of_content[40] & of_style[40]).any()
    assert torch.equal(first[0], ~second[0])


def test_a_color_without_a_partner_is_named(tmp_path: Path) -> None:
    content = map_of(tmp_path / "c.png", RED, GREEN)
    style = map_of(tmp_path / "s.png", RED, BLUE)
    with pytest.raises(ImageError, match=r"c\.png: the color #00ff00 is not in .*s\.png"):
        paired_regions(content, [style])


def test_a_color_that_the_content_lacks_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    content = map_of(tmp_path / "c.png", RED)
    styles = [map_of(tmp_path / "s.png", RED, BLUE), map_of(tmp_path / "t.png", BLUE)]
    pairs, notices = paired_regions(content, styles)
    assert [len(each) for each in pairs] == [1, 0]
    assert ["#0000ff" in notice for notice in notices] == [True, True]


def test_a_photograph_is_no_map() -> None:
    photo = read_image("sample:photo")
    with pytest.raises(ImageError, match="not a map of regions"):
        paired_regions(photo, [photo])
