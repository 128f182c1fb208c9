"""Scores of pictures whose faults are known, since they were made on purpose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import stylectl
from PIL import Image, ImageFilter
from stylectl.tools.judge.st_lpips import is_installed

SIZE = 256
ROOT = Path(__file__).parents[3]
PHOTO, PAINTING = "sample:photo", "sample:painting"


def _scaled(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGB")
    ratio = SIZE / max(image.size)
    width, height = (round(side * ratio) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _pasted(photo: Image.Image, painting: Image.Image) -> Image.Image:
    """A third of the painting's sides, off the grid of the network's positions."""
    width, height = (2 * side // 5 for side in painting.size)
    left, top = painting.width // 4, painting.height // 5
    picture = photo.copy()
    picture.paste(painting.crop((left, top, left + width, top + height)), (53, 37))
    return picture


def _dotted(photo: Image.Image, _painting: Image.Image) -> Image.Image:
    """Dots of 12 levels, every third pixel."""
    pixels = np.asarray(photo).astype(int)
    pixels[::3, ::3] += 12
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _framed(photo: Image.Image, _painting: Image.Image) -> Image.Image:
    picture = Image.new("RGB", photo.size, "white")
    picture.paste(photo.crop((6, 6, photo.width - 6, photo.height - 6)), (6, 6))
    return picture


def _blurred(photo: Image.Image, _painting: Image.Image) -> Image.Image:
    return photo.filter(ImageFilter.GaussianBlur(2))


def _half(photo: Image.Image, painting: Image.Image) -> Image.Image:
    return Image.blend(photo, painting.resize(photo.size), 0.5)


MADE: dict[str, Callable[[Image.Image, Image.Image], Image.Image]] = {
    "pasted": _pasted,
    "dotted": _dotted,
    "framed": _framed,
    "blurred": _blurred,
    "half": _half,
}


@pytest.fixture(scope="module")
def judgement(tmp_path_factory: pytest.TempPathFactory) -> stylectl.Judgement:
    folder = tmp_path_factory.mktemp("judged")
    photo, painting = (_scaled(ROOT / "examples" / f"{name}.jpg") for name in ("photo", "painting"))
    files = []
    for name, make in MADE.items():
        files.append(folder / f"{name}.png")
        make(photo, painting).save(files[-1])
    return stylectl.judge(files, content=PHOTO, style=PAINTING, size=SIZE)


def value(judgement: stylectl.Judgement, score: str, name: str) -> float:
    result = judgement.score(score).results[list(MADE).index(name)]
    assert result is not None
    return result


def bounds(judgement: stylectl.Judgement, score: str) -> tuple[float, float]:
    scored = judgement.score(score)
    assert scored.content is not None
    assert scored.style is not None
    return scored.content, scored.style


def test_the_bounds_are_those_of_two_copies(judgement: stylectl.Judgement) -> None:
    """The photograph has all of the content and no style, the painting the reverse."""
    content = {name: bounds(judgement, name)[0] for name in ("cfsd", "edges")}
    assert content == {"cfsd": pytest.approx(0, abs=1e-6), "edges": 1.0}
    assert bounds(judgement, "gram")[1] == 0
    assert bounds(judgement, "copied")[1] == 1
    for name in ("gram", "effectiveness", "cfsd", "edges", "copied"):
        photo, painting = bounds(judgement, name)
        assert photo != painting
        is_style = name in ("gram", "effectiveness")
        photo_is_lower = is_style == (judgement.score(name).better == "higher")
        # Least copied is best, which is the photograph: nothing is painted in it.
        assert (photo < painting) == photo_is_lower


def test_a_mixture_lies_between_the_bounds_in_content_and_style(
    judgement: stylectl.Judgement,
) -> None:
    for name in ("gram", "effectiveness", "cfsd", "edges"):
        low, high = sorted(bounds(judgement, name))
        assert low < value(judgement, name, "half") < high


def test_a_pasted_part_of_the_painting_is_copied_area(judgement: stylectl.Judgement) -> None:
    names = ("photo", "painting")
    photo, painting = (_pixels(Image.open(ROOT / "examples" / f"{name}.jpg")) for name in names)
    share = 0.4**2 * painting / photo
    # Positions at the edge of the part see the photograph, too, and those around it see the part.
    assert value(judgement, "copied", "pasted") == pytest.approx(share, rel=0.4)
    for name in ("dotted", "framed", "blurred"):
        assert value(judgement, "copied", name) < share / 4
    assert bounds(judgement, "copied")[0] < share / 4


def _pixels(image: Image.Image) -> float:
    """Pixels of an image whose long side is 1."""
    return image.width * image.height / max(image.size) ** 2


def test_dots_in_the_sky_are_grain(judgement: stylectl.Judgement) -> None:
    photo, _ = bounds(judgement, "grain")
    # Dots of 12 levels on a ninth of the pixels have a deviation of 12 sqrt(1/9 8/9) = 3.8, nearly
    # all of it with periods of 3 px and less.
    assert value(judgement, "grain", "dotted") == pytest.approx(np.hypot(photo, 3.8), rel=0.15)
    assert value(judgement, "grain", "blurred") < photo


def test_a_white_frame_is_a_border(judgement: stylectl.Judgement) -> None:
    photo, _ = bounds(judgement, "border")
    assert value(judgement, "border", "framed") > 3 * photo
    for name in ("dotted", "blurred"):
        assert value(judgement, "border", name) == pytest.approx(photo, rel=0.1)


def test_blurring_loses_edges(judgement: stylectl.Judgement) -> None:
    assert value(judgement, "edges", "blurred") < 0.85
    assert value(judgement, "edges", "framed") > value(judgement, "edges", "half")


def test_results_of_several_sizes_are_compared_at_one(tmp_path: Path) -> None:
    photo = Image.open(ROOT / "examples" / "photo.jpg")
    files = []
    for side in (200, 160):
        files.append(tmp_path / f"{side}.png")
        photo.resize((side, round(side * photo.height / photo.width))).save(files[-1])
    judgement = stylectl.judge(files, content=PHOTO, style=PAINTING)
    assert max(judgement.size) == 160
    assert len(judgement.score("edges").results) == 2


def test_a_result_of_another_aspect_ratio_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (128, 128)).save(tmp_path / "square.png")
    with pytest.raises(stylectl.UsageError, match=r"one aspect ratio"):
        stylectl.judge(tmp_path / "square.png", content=PHOTO, style=PAINTING)


def test_a_picture_that_is_too_small_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (90, 60)).save(tmp_path / "small.png")
    with pytest.raises(stylectl.ImageError, match=r"90x60 px, which is too small"):
        stylectl.judge(tmp_path / "small.png", content=PHOTO, style=PAINTING)


@pytest.mark.parametrize("size", [63, 0, -1])
def test_a_size_that_is_too_small_is_refused(size: int) -> None:
    with pytest.raises(stylectl.UsageError, match=r"size"):
        stylectl.judge(PHOTO, content=PHOTO, style=PAINTING, size=size)


def test_no_result_is_an_error() -> None:
    with pytest.raises(stylectl.UsageError, match="no result"):
        stylectl.judge([], content=PHOTO, style=PAINTING)


def test_flat_pictures_have_scores(tmp_path: Path) -> None:
    for name in ("gray", "red"):
        Image.new("RGB", (96, 96), name).save(tmp_path / f"{name}.png")
    gray, red = tmp_path / "gray.png", tmp_path / "red.png"
    judgement = stylectl.judge(gray, content=gray, style=red)
    for score in judgement.scores:
        for number in (*score.results, score.content, score.style):
            assert number is None or np.isfinite(number)


def test_the_learned_distance_is_there_with_its_package_or_said_to_be_missing(
    judgement: stylectl.Judgement,
) -> None:
    names = [score.name for score in judgement.scores]
    if not is_installed():
        assert "st-lpips" not in names
        assert any("stylectl[judge]" in notice for notice in judgement.notices)
        return
    photo, painting = bounds(judgement, "st-lpips")
    assert photo == pytest.approx(0, abs=1e-6)
    assert 0 < value(judgement, "st-lpips", "half") < painting
