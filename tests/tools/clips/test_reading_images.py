from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stylectl.core.errors import ImageError, UsageError
from stylectl.tools.clips.source import Clip, ClipOptions, Frame, open_clip


def image(level: int, size: tuple[int, int] = (16, 12), mode: str = "RGB") -> Image.Image:
    return Image.fromarray(np.full((size[1], size[0], 3), level, np.uint8)).convert(mode)


def read(path: Path, first: int = 0, **options: Any) -> tuple[Clip, list[Frame]]:
    with open_clip(str(path), ClipOptions(**options)) as clip:
        return clip, list(clip.frames(first))


def fill(
    folder: Path,
    numbers: Iterable[int],
    name: str = "f{:03}.png",
    size: tuple[int, int] = (16, 12),
) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        image(number, size).save(folder / name.format(number))
    return folder


@pytest.mark.parametrize("pattern", ["", "f%03d.png", "*.png", "f???.png"])
def test_numbered_images_are_a_clip(tmp_path: Path, pattern: str) -> None:
    folder = fill(tmp_path / "frames", range(7, 13))
    clip, frames = read(folder / pattern if pattern else folder)
    assert [round(float(frame.pixels[0, 0, 0]) * 255) for frame in frames] == list(range(7, 13))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(6)])
    assert (clip.info.frames, clip.info.kind, clip.info.fps) == (6, "images", Fraction(25))
    assert [frame.index for frame in read(folder, first=4)[1]] == [4, 5]


def test_numbers_are_sorted_as_numbers_at_the_rate_that_is_given(tmp_path: Path) -> None:
    folder = fill(tmp_path / "frames", range(8, 12), name="f{}.png")
    _, frames = read(folder, fps=10, start=0.1)
    assert [round(float(frame.pixels[0, 0, 0]) * 255) for frame in frames] == [9, 10, 11]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2])


def test_folders_that_are_no_series_are_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "gap", [1, 2, 4])
    with pytest.raises(UsageError, match=r"number 3 is missing, after f002\.png"):
        open_clip(str(folder))
    folder = fill(tmp_path / "name", [1, 2])
    image(3).save(folder / "cover.png")
    with pytest.raises(UsageError, match=r"cover\.png has no number"):
        open_clip(str(folder))
    folder = fill(fill(tmp_path / "two", [1, 2]), [1, 2], name="g{:03}.png")
    with pytest.raises(UsageError, match="have the same number"):
        open_clip(str(folder))
    (tmp_path / "none").mkdir()
    for path in (tmp_path / "none", tmp_path / "none" / "%d.png", tmp_path / "absent" / "%d.png"):
        with pytest.raises(UsageError):
            open_clip(str(path))


def test_images_of_another_size_and_damaged_ones_end_the_clip(tmp_path: Path) -> None:
    folder = fill(fill(tmp_path / "frames", [1, 2]), [3], size=(20, 12))
    clip, frames = read(folder)
    assert len(frames) == 2
    assert "f003.png: 20x12 px, and the first image has 16x12" in clip.problems[0]
    (folder / "f002.png").write_bytes(b"no image")
    clip, frames = read(folder)
    assert len(frames) == 1
    assert "after frame 1" in clip.problems[0]


def test_orientation_of_numbered_images_is_applied(tmp_path: Path) -> None:
    folder = fill(tmp_path / "frames", [1])
    exif = Image.Exif()
    exif[0x0112] = 6
    image(2).save(folder / "f001.png", exif=exif)
    clip, frames = read(folder)
    assert frames[0].pixels.shape == (16, 12, 3)
    assert (clip.info.width, clip.info.height) == (12, 16)


def test_the_fingerprint_counts_names_and_bytes(tmp_path: Path) -> None:
    folder = fill(tmp_path / "frames", [1, 2])
    first = open_clip(str(folder)).fingerprint()
    assert first == open_clip(str(folder / "*.png")).fingerprint()
    image(9).save(folder / "f002.png")
    assert open_clip(str(folder)).fingerprint() != first


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animated_images_are_read_with_their_durations(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    levels, durations = [0, 60, 120, 240], [100, 40, 500, 80]
    images = [image(level) for level in levels]
    more: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations, **more)
    clip, frames = read(path)
    assert [round(float(frame.pixels[0, 0, 0]) * 255) for frame in frames] == levels
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.14, 0.64])
    assert frames[-1].duration == pytest.approx(0.08)
    assert (clip.info.kind, clip.info.frames, clip.info.has_alpha) == ("animation", 4, False)
    assert [frame.time for frame in read(path, start=0.1, end=0.3)[1]] == pytest.approx([0, 0.04])


def test_frames_of_no_duration_are_shown_as_browsers_do(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    image(0).save(path, save_all=True, append_images=[image(99)], duration=0)
    assert [frame.duration for frame in read(path)[1]] == pytest.approx([0.1, 0.1])


def test_a_still_image_is_no_clip(tmp_path: Path) -> None:
    for suffix in ("png", "gif", "webp"):
        image(3).save(tmp_path / f"a.{suffix}")
        with pytest.raises(UsageError, match="one image, and no clip"):
            open_clip(str(tmp_path / f"a.{suffix}"))
    image(3).save(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="not a video"):
        open_clip(str(tmp_path / "a.jpg"))


def test_a_truncated_animation_gives_the_frames_before(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)) for _ in range(6)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip, frames = read(path)
    assert 1 <= len(frames) < 6
    assert clip.problems
    assert (frames[0].pixels * 255 == np.asarray(images[0])).all()


def test_options_without_effect_are_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "frames", [1, 2])
    with pytest.raises(UsageError, match="no effect"):
        open_clip(str(folder), ClipOptions(deinterlace=True))


def test_too_many_pixels_are_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "frames", [1, 2])
    with pytest.raises(ImageError, match="more than 100 pixels"):
        open_clip(str(folder), ClipOptions(max_pixels=100))
    image(0).save(tmp_path / "a.gif", save_all=True, append_images=[image(9)])
    with pytest.raises(ImageError, match="more than 100 pixels"):
        open_clip(str(tmp_path / "a.gif"), ClipOptions(max_pixels=100))


def test_dark_gray_images_of_16_bits_stay_dark(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, level in enumerate([60000, 3000, 200, 0]):
        Image.fromarray(np.full((12, 16), level, np.uint16)).save(folder / f"f{number}.png")
    _, frames = read(folder)
    levels = [float(frame.pixels.mean()) for frame in frames]
    expected = [level / 65535 for level in (60000, 3000, 200, 0)]
    assert levels == pytest.approx(expected, abs=1 / 255)
