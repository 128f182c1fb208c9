from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stylectl.core.errors import OutputError
from stylectl.core.images.written import check_complete

#: Suffix -> settings of Pillow; noise, so that no part of a file is redundant.
KINDS: dict[str, list[dict[str, Any]]] = {
    ".png": [{}],
    ".jpg": [{}, {"quality": 95, "subsampling": 0, "optimize": True}, {"progressive": True}],
    ".gif": [{}],
    ".webp": [{}, {"lossless": True}],
}


def image(mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


@pytest.mark.parametrize("suffix", KINDS)
def test_a_file_that_is_cut_anywhere_is_found(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"out{suffix}"
    for settings in KINDS[suffix]:
        image().save(file, **settings)
        check_complete(file)
        data = file.read_bytes()
        for part in (0.001, 0.05, 0.3, 0.6, 0.9, 0.99):
            file.write_bytes(data[: int(part * len(data))])
            with pytest.raises(OutputError, match="damaged"):
                check_complete(file)


def test_files_of_all_modes_pass(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        for suffix in (".png", ".gif", ".webp"):
            image(mode).save(tmp_path / f"out{suffix}")
            check_complete(tmp_path / f"out{suffix}")
    frames = [image("P") for _ in range(3)]
    frames[0].save(tmp_path / "out.gif", save_all=True, append_images=frames[1:])
    check_complete(tmp_path / "out.gif")


def test_a_small_jpeg_passes(tmp_path: Path) -> None:
    for size in ((1, 1), (5, 3), (8, 8)):
        Image.new("RGB", size).save(tmp_path / "out.jpg")
        check_complete(tmp_path / "out.jpg")


def test_formats_that_are_not_known_pass(tmp_path: Path) -> None:
    for name in ("out.tif", "out.npy", "out.xyz"):
        (tmp_path / name).write_bytes(b"anything")
        check_complete(tmp_path / name)


def test_a_suffix_holds_what_it_promises(tmp_path: Path) -> None:
    (tmp_path / "out.jpg").write_bytes(b"anything")
    with pytest.raises(OutputError, match="not a JPEG"):
        check_complete(tmp_path / "out.jpg")
