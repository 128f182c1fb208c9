"""Pixels of a result, in the forms that writers need."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ...core.interfaces.result import Result


def channels(result: Result, alpha: bool = True) -> np.ndarray:
    """Return the pixels (H, W, 3), float32 in [0, 1], sRGB-encoded.

    (H, W, 4) if the result has transparency and `alpha` is true; alpha is unassociated.
    """
    if not alpha or result.alpha is None:
        return result.image
    return np.concatenate([result.image, result.alpha[..., None]], axis=2)


def whole_numbers(values: np.ndarray, bits: int) -> np.ndarray:
    """Round values in [0, 1] to the nearest whole numbers of 8 or 16 bits."""
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.rint(values * np.float32(2**bits - 1)).astype(dtype)


def eight_bits(result: Result, alpha: bool) -> Image.Image:
    """Convert the result to 8 bits, with its transparency, if it has any and `alpha` is true."""
    return Image.fromarray(whole_numbers(channels(result, alpha), 8))
