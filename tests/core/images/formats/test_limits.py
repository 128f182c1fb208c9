"""Decoding is bounded by `max_memory` and by what is free, before anything is allocated."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl.core.errors import MemoryLimitError
from stylectl.core.images.decoding import read_image
from stylectl.core.machine import host_memory

SIDE = 4096


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.png"
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint16)).save(path)
    return path


def test_an_image_beyond_the_limit_is_refused_before_it_is_decoded(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_memory, "held_bytes", lambda: 10**9)

    def load(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    message = (
        r"large\.png: decoding 4096x4096 px takes about 117 MB, and 100 MB are left of .*1100MB"
    )
    with pytest.raises(MemoryLimitError, match=message):
        read_image(str(large), max_memory="1100MB")


def test_an_image_that_is_larger_than_the_free_memory_is_refused(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_memory, "free_bytes", lambda: 100 * 10**6)
    with pytest.raises(MemoryLimitError, match="100 MB are free; scale the image down"):
        read_image(str(large))


@pytest.mark.parametrize("role", ["content_mask", "style_mask"])
def test_a_mask_is_bounded_as_well(large: Path, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory, "held_bytes", lambda: 10**9)
    value = [str(large)] if role == "style_mask" else str(large)
    options: dict[str, Any] = {role: value, "size": 64, "device": "cpu", "max_memory": "1100MB"}
    with pytest.raises(MemoryLimitError, match=r"large\.png: decoding"):
        stylectl.run(**options)


def test_sixteen_bits_are_converted_strip_by_strip(large: Path) -> None:
    read_image(str(large)).rgb.close()  # imports
    tracemalloc.start()
    image = read_image(str(large))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.size == (SIDE, SIDE)
    # numpy's arrays, beside the pixels that Pillow holds; all at once they would be 8 bytes each.
    assert peak < SIDE * SIDE
