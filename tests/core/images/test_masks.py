from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stylectl.core.errors import ImageError
from stylectl.core.images.decoding import read_image
from stylectl.core.images.masks import mask_of, resized
from stylectl.core.images.region_maps import RegionMap, paired_regions, region_map
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
    mask, notices = mask_of(saved(tmp_path / "m.png", image))
    assert mask.tolist() == [[0, pytest.approx(0.2), 1]]
    assert not notices


@pytest.mark.parametrize("paint", [0, 255])
def test_one_color_with_transparency_is_a_mask_by_its_transparency(
    tmp_path: Path, paint: int
) -> None:
    image = np.full((1, 2, 4), paint, np.uint8)
    image[0, :, 3] = 0, 255
    mask, _ = mask_of(saved(tmp_path / "m.png", Image.fromarray(image)))
    assert mask.tolist() == [[0, 1]]


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
) -> RegionMap:
    """Upright stripes, with soft edges."""
    stripes = Image.new("RGB", (10 * len(colors), 10))
    for number, color in enumerate(colors):
        stripes.paste(color, (10 * number, 0, 10 * number + 10, 10))
    stripes.resize(size, Image.Resampling.BICUBIC).save(path)
    return region_map(read_image(str(path)))


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
    with pytest.raises(ImageError, match="not a map of regions"):
        region_map(read_image("sample:photo"))


# Masks and maps as other programs write them


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_of_0_and_1_is_read_as_black_and_white(
    tmp_path: Path, dtype: type[np.unsignedinteger[Any]]
) -> None:
    values = np.zeros((4, 6), dtype)
    values[:, 3:] = 1
    mask, notices = mask_of(saved(tmp_path / "m.png", Image.fromarray(values)))
    assert torch.equal(mask, torch.from_numpy(values.astype(np.float32)))
    assert notices == [f"{tmp_path / 'm.png'}: read as a mask of the values 0 and 1; 1 is white"]


def test_a_mask_of_ones_alone_is_white(tmp_path: Path) -> None:
    mask, notices = mask_of(saved(tmp_path / "m.png", Image.new("L", (4, 4), 1)))
    assert mask.eq(1).all()
    assert notices


def palette_image(labels: np.ndarray, colors: Sequence[int]) -> Image.Image:
    image = Image.fromarray(labels.astype(np.uint8), "L")
    image = image.convert("P")
    image.putpalette(colors)
    image.putdata(labels.ravel().tolist())
    return image


def test_a_palette_of_two_colors_is_a_mask(tmp_path: Path) -> None:
    labels = np.arange(24).reshape(4, 6) % 2
    image = palette_image(labels, [0, 0, 0, 128, 0, 0])
    mask, notices = mask_of(saved(tmp_path / "m.png", image))
    assert torch.equal(mask, torch.from_numpy(labels).float())
    assert "#800000 is white" in notices[0]


def test_a_map_of_labels_is_no_mask(tmp_path: Path) -> None:
    image = Image.fromarray((np.arange(36).reshape(6, 6) % 3).astype(np.uint8))
    with pytest.raises(ImageError, match="0 to 2 of 255, as in a map of labels"):
        mask_of(saved(tmp_path / "m.png", image))


def test_a_mask_does_not_depend_on_colors_of_transparent_pixels(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 4), 255, np.uint8)
    pixels[:, 2:, 3] = 0
    masks = []
    for hidden in (0, 77, 255):
        pixels[:, 2:, :3] = hidden
        masks.append(mask_of(saved(tmp_path / "m.png", Image.fromarray(pixels)))[0])
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])
    assert masks[0].tolist() == [[1, 1, 0, 0]] * 4


def blocks(count: int) -> np.ndarray:
    """Labels 0, 1, 2, ... in upright stripes of 8 pixels."""
    return np.repeat(np.arange(count), 8)[None].repeat(16, 0)


@pytest.mark.parametrize("form", ["L", "I;16", "RGB", "P"])
def test_a_map_of_labels_has_a_region_for_each(tmp_path: Path, form: str) -> None:
    labels = blocks(5)
    image = {
        "L": Image.fromarray(labels.astype(np.uint8)),
        "I;16": Image.fromarray(labels.astype(np.uint16)),
        "RGB": Image.fromarray(labels.astype(np.uint8)).convert("RGB"),
        "P": palette_image(labels, [level for label in range(5) for level in (label, 0, 9)]),
    }[form]
    read = region_map(saved(tmp_path / "m.png", image))
    assert read.exact
    masks = {tuple(color): read.mask(color) for color in read.colors}
    assert len(masks) == 5
    for color, mask in masks.items():
        assert torch.equal(mask, torch.from_numpy(labels == color[0]))
    kind = "the colors of a palette" if form == "P" else "labels: 0, 1, 2, 3, 4"
    assert any(f"read as a map of {kind}" in notice for notice in read.notices)


def test_labels_are_paired_exactly(tmp_path: Path) -> None:
    maps = [
        region_map(
            saved(tmp_path / f"{count}.png", Image.fromarray(blocks(count).astype(np.uint8)))
        )
        for count in (3, 2)
    ]
    with pytest.raises(ImageError, match=r"3\.png: the color #020202 is not in .*2\.png"):
        paired_regions(maps[0], [maps[1]])
    ((first, second),), notices = paired_regions(maps[1], [maps[0]])
    assert first[0].float().mean() == 0.5
    assert second[1].float().mean().item() == pytest.approx(1 / 3)
    assert "#020202" in notices[0]


def test_a_map_whose_colors_count_as_one_is_an_error_that_shows_them(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), (200, 0, 0))
    image.paste((210, 10, 0), (30, 0, 60, 40))
    with pytest.raises(ImageError, match=r"#c80000, #d20a00, are so near each other"):
        region_map(saved(tmp_path / "m.png", image))


def test_near_colors_of_a_map_count_as_one_and_that_is_said(tmp_path: Path) -> None:
    image = Image.new("RGB", (90, 40), (200, 0, 0))
    image.paste((210, 10, 0), (30, 0, 50, 40))
    image.paste(BLUE, (60, 0, 90, 40))
    read = region_map(saved(tmp_path / "m.png", image))
    assert read.colors == ((200, 0, 0), BLUE)
    assert "#c80000, #d20a00 are near each other and count as one region" in read.notices[0]


def test_transparent_parts_of_a_map_belong_to_no_region(tmp_path: Path) -> None:
    image = Image.new("RGBA", (60, 40), (*RED, 255))
    image.paste((*BLUE, 255), (20, 0, 40, 40))
    image.paste((*GREEN, 0), (40, 0, 60, 40))
    read = region_map(saved(tmp_path / "m.png", image))
    assert set(read.colors) == {RED, BLUE}
    assert not read.mask(RED)[:, 40:].any()
    assert not read.mask(BLUE)[:, 40:].any()


def test_a_large_map_is_reduced_to_what_is_needed(tmp_path: Path) -> None:
    image = Image.new("P", (9000, 6))
    image.putpalette([*RED, *BLUE])
    image.paste(1, (4500, 0, 9000, 6))
    read = region_map(saved(tmp_path / "m.png", image), side=300)
    assert read.labels.shape == (3, 4096)
    assert read.mask(BLUE)[:, 2048:].all()
    assert not read.mask(BLUE)[:, :2048].any()
    assert region_map(read_image(str(tmp_path / "m.png")), side=9000).labels.shape == (6, 9000)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4), st.integers(0, 99))
def test_regions_are_those_of_the_nearest_main_color(
    height: int, width: int, count: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    colors = generator.choice(4, count, replace=False)
    palette = np.array([RED, GREEN, BLUE, (255, 255, 255)], np.uint8)
    coarse = generator.choice(colors, (3, 3))
    labels = np.kron(coarse, np.ones((height, width), int))
    image = palette[labels]
    specks = generator.random(labels.shape) < 0.02
    image[specks] = np.clip(image[specks].astype(int) - 60, 0, 255)
    source = SourceImage("m.png", "", Image.fromarray(image), None)
    try:
        read = region_map(source)
    except ImageError:
        return  # too small, or too few plain pixels
    # By the definition, pixel by pixel.
    mains = np.array(read.colors)
    distances = ((image[:, :, None].astype(int) - mains) ** 2).sum(3)
    assert np.array_equal(read.labels, distances.argmin(2))
