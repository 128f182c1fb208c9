"""Crops of frames for a report, at the same place of each, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..work.pictures import to_8_bits

#: Most frames that are shown, and the longest side of a crop, in pixels.
_MOST_FRAMES, _LONG_SIDE = 6, 200

_QUALITY = 92


@dataclass(frozen=True)
class Strip:
    """Crops of one kind of frames, from left to right, as data URIs of `width` x `height` px."""

    name: str
    images: tuple[str, ...]
    width: int
    height: int


def shown_frames(numbers: range) -> range:
    """Return the frames whose crops are shown: at most 6, in the middle of `numbers`."""
    count = min(_MOST_FRAMES, len(numbers))
    first = numbers.start + (len(numbers) - count) // 2
    return range(first, first + count)


def strip(name: str, images: Sequence[np.ndarray]) -> Strip:
    """Return the middle of each of the images, at least one, (H, W, 3) in [0, 1]."""
    crops = [_middle(image) for image in images]
    height, width = crops[0].shape[:2]
    return Strip(name, tuple(map(_uri, crops)), width, height)


def _middle(image: np.ndarray) -> np.ndarray:
    height, width = (min(side, _LONG_SIDE) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _uri(image: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(to_8_bits(image)).save(data, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
