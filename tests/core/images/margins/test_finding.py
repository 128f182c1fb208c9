"""The search for margins, on images whose margins are known."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from stylectl.core.images.formats.strips import Strips
from stylectl.core.images.margins.finding import find_margins
from stylectl.core.interfaces.source_image import NO_MARGINS, Margins
from stylectl.core.job.paths import SAMPLES

WHITE, BLACK, PAPER = (255, 255, 255), (0, 0, 0), (238, 226, 201)


def painting(width: int = 300, height: int = 240) -> Image.Image:
    with Image.open(SAMPLES["sample:painting"]) as image:
        return image.convert("RGB").resize((width, height))


def texture(width: int, height: int, seed: int) -> Image.Image:
    """Smooth random colors."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def framed(
    inner: Image.Image, margins: Margins, color: tuple[int, int, int] = WHITE
) -> Image.Image:
    left, top, right, bottom = margins
    size = inner.width + left + right, inner.height + top + bottom
    image = Image.new("RGB", size, color)
    image.paste(inner, (left, top))
    return image


def found(image: Image.Image) -> Margins:
    return find_margins(Strips(image))


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize("color", [WHITE, BLACK, PAPER])
def test_a_frame_is_found_to_the_pixel(color: tuple[int, int, int]) -> None:
    margins = Margins(20, 11, 33, 7)
    assert found(framed(painting(), margins, color)) == margins


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(*[st.integers(2, 50)] * 4),
    st.integers(160, 260),
    st.integers(160, 260),
    st.integers(0, 2**32 - 1),
    st.sampled_from([WHITE, BLACK, PAPER]),
)
def test_margins_of_any_width_are_found_to_the_pixel(
    widths: tuple[int, ...], width: int, height: int, seed: int, color: tuple[int, int, int]
) -> None:
    # 50 px are at most a quarter of the 210 px and more that a side then has.
    margins = Margins(*widths)
    image = texture(width, height, seed)
    assert found(framed(image, margins, color)) == margins
    assert found(image) == NO_MARGINS


def test_a_letterbox_is_found() -> None:
    assert found(framed(painting(), Margins(0, 40, 0, 40), BLACK)) == (0, 40, 0, 40)
    assert found(framed(painting(), Margins(50, 0, 50, 0), BLACK)) == (50, 0, 50, 0)


def test_a_third_side_with_the_color_of_a_pair_counts() -> None:
    assert found(framed(painting(), Margins(20, 15, 25, 0))) == (20, 15, 25, 0)


def test_a_single_side_and_a_corner_do_not_count() -> None:
    assert found(framed(painting(), Margins(0, 30, 0, 0))) == NO_MARGINS
    assert found(framed(painting(), Margins(20, 30, 0, 0))) == NO_MARGINS


@pytest.mark.parametrize("quality", [60, 80, 95])
def test_margins_of_noisy_jpegs_are_found_to_two_pixels(quality: int) -> None:
    """Colors of a JPEG are stored for squares of 2 x 2 pixels."""
    margins = Margins(20, 11, 33, 7)
    image = as_jpeg(noisy(framed(painting(), margins, PAPER), 4), quality)
    for side, expected in zip(found(image), margins, strict=True):
        assert expected <= side <= expected + 2


def test_a_blurred_edge_is_left_out() -> None:
    """As where a scan was made smaller: the pixels at the edge are mixtures."""
    large = framed(painting(900, 720), Margins(61, 31, 61, 31))
    image = large.resize((large.width // 3, large.height // 3), Image.Resampling.BILINEAR)
    left, top, right, bottom = found(image)
    assert 21 <= left <= 23
    assert 11 <= top <= 13
    assert 21 <= right <= 23
    assert 11 <= bottom <= 13


@pytest.mark.parametrize("angle", [-1.0, 0.6, 1.5])
def test_a_turned_scan_is_cropped_to_the_inside(angle: float) -> None:
    inner = painting()
    scan = framed(inner, Margins(30, 30, 30, 30))
    turned = scan.rotate(angle, Image.Resampling.BICUBIC, fillcolor=WHITE)
    margins = found(turned)
    assert all(30 <= width <= 30 + 12 for width in margins)
    kept = np.asarray(turned)[
        margins.top : turned.height - margins.bottom, margins.left : turned.width - margins.right
    ]
    edges = (kept[0], kept[-1], kept[:, 0], kept[:, -1])
    for edge in edges:
        assert (edge.min(axis=1) > 240).mean() < 0.02  # of the white margin, next to nothing


def test_dust_in_the_margin_does_not_matter() -> None:
    image = framed(painting(), Margins(20, 20, 20, 20))
    for x in range(10, image.width, 40):
        image.putpixel((x, 9), (90, 90, 90))
    assert found(image) == (20, 20, 20, 20)


def line_art(width: int = 300, height: int = 240) -> Image.Image:
    image = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(image)
    generator = np.random.default_rng(3)
    for _ in range(40):
        points = generator.integers((40, 40), (width - 40, height - 40), (4, 2))
        draw.line([tuple(map(int, point)) for point in points], BLACK, 3)
    draw.ellipse((80, 60, 220, 180), outline=BLACK, width=4)
    return image


def boxes() -> Image.Image:
    """A drawing of boxes in one row: straight, and yet no painting with a margin."""
    image = Image.new("RGB", (300, 240), WHITE)
    draw = ImageDraw.Draw(image)
    for left in range(30, 270, 40):
        draw.rectangle((left, 40, left + 30, 200), outline=BLACK, width=2)
    return image


def text() -> Image.Image:
    image = Image.new("RGB", (300, 240), WHITE)
    draw = ImageDraw.Draw(image)
    for top in range(20, 220, 14):
        draw.text((25, top), "It was a bright cold day in April, and", BLACK)
    return image


def landscape() -> Image.Image:
    """A plain sky over a textured ground, with a straight horizon."""
    sky = Image.new("RGB", (300, 50), (200, 215, 235))
    image = texture(300, 240, 5)
    image.paste(sky, (0, 0))
    return image


def sea() -> Image.Image:
    """Plain sky and plain sand, each to a straight line."""
    image = landscape()
    image.paste(Image.new("RGB", (300, 40), (225, 200, 150)), (0, 200))
    return image


def portrait() -> Image.Image:
    """A figure before a plain wall."""
    image = Image.new("RGB", (240, 300), (60, 50, 40))
    ImageDraw.Draw(image).ellipse((70, 50, 170, 180), fill=(220, 180, 150))
    ImageDraw.Draw(image).ellipse((30, 170, 210, 420), fill=(120, 30, 40))
    return noisy(image, 3)


def square() -> Image.Image:
    """Malevich's: plain inside as well."""
    return framed(Image.new("RGB", (160, 160), BLACK), Margins(40, 40, 40, 40))


def flag() -> Image.Image:
    image = Image.new("RGB", (300, 200), WHITE)
    ImageDraw.Draw(image).ellipse((90, 40, 210, 160), fill=(188, 0, 45))
    return image


def gradient() -> Image.Image:
    return Image.linear_gradient("L").resize((300, 240)).convert("RGB")


@pytest.mark.parametrize(
    "draw",
    [line_art, boxes, text, landscape, sea, portrait, square, flag, gradient, painting],
)
def test_what_belongs_to_the_image_is_kept(draw: object) -> None:
    assert callable(draw)
    assert found(draw()) == NO_MARGINS


@pytest.mark.parametrize("color", [WHITE, BLACK])
def test_an_image_in_one_color_has_no_margins(color: tuple[int, int, int]) -> None:
    assert found(Image.new("RGB", (200, 150), color)) == NO_MARGINS


def test_a_small_image_is_not_searched() -> None:
    assert found(framed(painting(30, 30), Margins(4, 4, 4, 4))) == NO_MARGINS


def test_wide_margins_are_kept() -> None:
    """Beyond a quarter of a side, they may be the image."""
    assert found(framed(painting(), Margins(0, 200, 0, 200))) == NO_MARGINS


def test_an_image_in_many_strips_is_read_as_one() -> None:
    large = framed(painting(3000, 1200), Margins(100, 50, 200, 80))
    assert found(large) == (100, 50, 200, 80)
    assert found(large.convert("L")) == (100, 50, 200, 80)
