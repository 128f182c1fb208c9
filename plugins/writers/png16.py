"""PNG with 16 bits per channel, which Pillow cannot write; block by block, in little memory.

Source: PNG Specification, Third Edition (W3C, 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL.PngImagePlugin import PngInfo, putchunk

from .carried import Carried
from .pixels import whole_numbers

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {3: 2, 4: 6}
_SUB, _UP = 1, 2
_INCHES_PER_METER = 0.0254

#: Bytes of samples that are filtered at a time.
_BLOCK = 1 << 22


def write_png16(path: Path, pixels: np.ndarray, info: PngInfo, beside: Carried) -> None:
    """Write `pixels`, (H, W, 3) or (H, W, 4) in [0, 1], with the metadata before them.

    Raises OSError of the operating system.
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0)
    with path.open("wb") as file:
        file.write(_SIGNATURE)
        putchunk(file, b"IHDR", header)
        for kind, data in (*_chunks(beside), *((kind, data) for kind, data, *_ in info.chunks)):
            putchunk(file, kind, data)
        packer = zlib.compressobj(6)
        for block in _filtered(pixels):
            if packed := packer.compress(block):
                putchunk(file, b"IDAT", packed)
        putchunk(file, b"IDAT", packer.flush())
        putchunk(file, b"IEND", b"")


def _chunks(beside: Carried) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of color profile, resolution and EXIF."""
    if beside.profile:
        yield b"iCCP", b"ICC Profile\0\0" + zlib.compress(beside.profile)
    if beside.dpi:
        across, down = (round(side / _INCHES_PER_METER) for side in beside.dpi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if beside.exif:
        yield b"eXIf", beside.exif.removeprefix(b"Exif\0\0")


def _filtered(pixels: np.ndarray) -> Iterator[bytes]:
    """Yield blocks of scanlines, each line with the filter, Sub or Up, of the lower cost."""
    height, width, channels = pixels.shape
    step = 2 * channels  # bytes from a pixel to the next
    rows = max(1, _BLOCK // (width * step))
    above = np.zeros((1, width * step), np.uint8)
    for top in range(0, height, rows):
        samples = whole_numbers(pixels[top : top + rows], 16).astype(">u2")
        lines = samples.reshape(len(samples), -1).view(np.uint8)
        up = lines - np.concatenate([above, lines[:-1]])
        sub = lines.copy()
        sub[:, step:] -= lines[:, :-step]
        use_sub = _cost(sub) < _cost(up)
        filters = np.where(use_sub, _SUB, _UP).astype(np.uint8)
        filtered = np.where(use_sub[:, None], sub, up)
        yield np.concatenate([filters[:, None], filtered], axis=1).tobytes()
        above = lines[-1:]


def _cost(differences: np.ndarray) -> np.ndarray:
    """Cost of each line, as in the specification: the sum of its bytes' distances from zero."""
    cost: np.ndarray = np.minimum(differences, 0 - differences).sum(axis=1, dtype=np.int64)
    return cost
