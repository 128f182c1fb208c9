"""Main colors of an image."""

from __future__ import annotations

import numpy as np
from PIL import Image


def main_colors(pixels: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` colors (K, 3) of an image (H, W, 3), both in [0, 1], by median cut."""
    image = Image.fromarray(np.rint(pixels.clip(0, 1) * 255).astype(np.uint8))
    quantized = image.quantize(count, method=Image.Quantize.MEDIANCUT)
    palette = np.asarray(quantized.getpalette(), dtype=np.float64).reshape(-1, 3)
    used: np.ndarray = np.unique(np.asarray(quantized))
    return np.take(palette, used, axis=0) / 255
