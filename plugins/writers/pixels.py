"""The result's pixels, as the writers need them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ...core.interfaces.result import Result


def channels(result: Result, alpha: bool = True) -> np.ndarray:
    """(H, W, 3), or (H, W, 4) for a picture with transparency if `alpha` asks for it; float32 in
    [0, 1], sRGB-encoded, alpha unassociated."""
    if not alpha or result.alpha is None:
        return result.image
    return np.concatenate([result.image, result.alpha[..., None]], axis=2)


def whole_numbers(values: np.ndarray, bits: int) -> np.ndarray:
    """Values in [0, 1] as the nearest of the numbers that 8 or 16 bits hold."""
    kind = np.uint8 if bits == 8 else np.uint16
    return np.rint(values * np.float32(2**bits - 1)).astype(kind)


def eight_bits(result: Result, alpha: bool) -> Image.Image:
    """The picture, with its transparency if there is any and `alpha` asks for it."""
    return Image.fromarray(whole_numbers(channels(result, alpha), 8))
