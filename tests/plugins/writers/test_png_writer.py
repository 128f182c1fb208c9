from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from stylectl.core.errors import UsageError
from stylectl.core.interfaces.result import Result
from stylectl.core.outputs.record import read_job_file, read_record
from stylectl.plugins.writers import png16

Write = Callable[..., Path]
SIXTEEN = {"bits": 16}


def decoded(path: Path, layout: str) -> np.ndarray:
    """The samples, by FFmpeg's decoder."""
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
        assert frame.format.name == layout
        return frame.to_ndarray()


def test_sixteen_bits_are_the_nearest_to_the_result(result: Result, write: Write) -> None:
    path = write(result, "out.png", SIXTEEN)
    found = decoded(path, "rgb48be")
    assert np.array_equal(found, np.rint(result.image * np.float32(65535)).astype(np.uint16))
    assert len(np.unique(found)) > 256


def test_sixteen_bits_keep_transparency(clear_result: Result, write: Write) -> None:
    found = decoded(write(clear_result, "out.png", SIXTEEN), "rgba64be")
    assert (found[:, :20, 3] == 0).all()
    assert (found[:, 20:, 3] == 49151).all()  # 0.75 * 65535, to the nearest
    assert np.array_equal(
        found[..., :3], np.rint(clear_result.image * np.float32(65535)).astype(np.uint16)
    )


@pytest.mark.parametrize("bits", [8, 16])
def test_pillow_finds_nothing_wrong_and_the_job(result: Result, write: Write, bits: int) -> None:
    path = write(result, "out.png", {"bits": bits})
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        image.load()
        assert image.size == (41, 30)
        assert image.info["srgb"] == 0
        assert image.info["Software"] == "stylectl 0.1.0"
    assert read_job_file(path).table["styles"][1]["image"] == "day.jpg"
    assert read_record(path)["inputs"] == dict(result.inputs)


def test_a_name_that_is_no_latin_is_kept(result: Result, write: Write) -> None:
    job = result.job.model_copy(update={"content": "雪.jpg"})
    path = write(replace(result, job=job), "out.png", SIXTEEN)
    assert read_job_file(path).table["content"] == "雪.jpg"


@pytest.mark.parametrize("rows", [1, 7, 30])
def test_blocks_of_any_height_give_the_same_picture(
    result: Result, write: Write, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(png16, "_BLOCK", rows * 41 * 6)
    found = decoded(write(result, "out.png", SIXTEEN), "rgb48be")
    assert np.array_equal(found, np.rint(result.image * np.float32(65535)).astype(np.uint16))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_the_smallest_pictures(result: Result, write: Write, size: tuple[int, int]) -> None:
    small = replace(result, image=np.full((*size, 3), 0.25, np.float32))
    assert (decoded(write(small, "out.png", SIXTEEN), "rgb48be") == 16384).all()


def test_filters_make_a_smooth_picture_small(result: Result, write: Write) -> None:
    slope = np.linspace(0, 1, 200, dtype=np.float32)
    image = np.stack([np.tile(slope, (200, 1))] * 3, axis=2)
    path = write(replace(result, image=image), "out.png", SIXTEEN)
    assert path.stat().st_size < image.size * 2 / 20


def test_other_bits_are_refused(result: Result, write: Write) -> None:
    with pytest.raises(UsageError, match="bits"):
        write(result, "out.png", {"bits": 12})


def test_lossless_webp_keeps_every_pixel(clear_result: Result, write: Write) -> None:
    expected = np.asarray(Image.open(write(clear_result, "out.png")))
    with Image.open(write(clear_result, "out.webp", {"lossless": True})) as image:
        assert np.array_equal(np.asarray(image), expected)


def test_lossless_webp_has_no_quality(result: Result, write: Write) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        write(result, "out.webp", {"lossless": True, "quality": 90})
