"""Y'CbCr to RGB and back, in floating point; primaries; chroma of half the size.

Sources: ITU-T H.273 (code points and equations), ITU-R BT.601, BT.709, BT.2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Code points of H.273.
BT709, UNSPECIFIED, BT601 = 1, 2, 6
LIMITED, FULL = 1, 2
#: Code point of the matrix -> its name and its factors of red and of blue in luma.
MATRICES = {
    BT709: ("BT.709", 0.2126, 0.0722),
    4: ("FCC", 0.30, 0.11),
    5: ("BT.601", 0.299, 0.114),
    BT601: ("BT.601", 0.299, 0.114),
    7: ("SMPTE 240M", 0.212, 0.087),
    9: ("BT.2020", 0.2627, 0.0593),
}
#: Code point of transfer functions that are not those of a standard display -> name.
HDR_TRANSFERS = {16: "HDR (PQ)", 18: "HDR (HLG)"}
LINEAR_TRANSFERS = {8: "linear light", 9: "logarithmic", 10: "logarithmic", 17: "SMPTE 428"}
#: Code point of wide primaries -> name, and linear RGB -> linear RGB of BT.709.
#: From the chromaticities in H.273, all with the white D65.
WIDE_PRIMARIES = {
    9: (
        "BT.2020",
        np.array(
            [
                [1.660491, -0.587641, -0.072850],
                [-0.124550, 1.132900, -0.008349],
                [-0.018151, -0.100579, 1.118730],
            ]
        ),
    ),
    12: (
        "Display P3",
        np.array(
            [
                [1.224940, -0.224940, 0.0],
                [-0.042057, 1.042057, 0.0],
                [-0.019638, -0.078636, 1.098274],
            ]
        ),
    ),
}


@dataclass(frozen=True)
class Coding:
    """Numbers that stand for colors: the matrix's code point, the range, the bits of a sample."""

    matrix: int
    full: bool
    bits: int

    @property
    def _luma(self) -> tuple[float, float]:
        """Offset and scale of luma."""
        if self.full:
            return 0, 2**self.bits - 1
        return 16 * 2 ** (self.bits - 8), 219 * 2 ** (self.bits - 8)

    @property
    def _chroma(self) -> tuple[float, float]:
        middle = 2 ** (self.bits - 1)
        return middle, 2**self.bits - 1 if self.full else 224 * 2 ** (self.bits - 8)

    def rgb(self, y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
        """Return (H, W, 3), float32 in [0, 1], of planes (H, W) of whole numbers."""
        _, red, blue = MATRICES[self.matrix]
        luma, by, br = (
            (plane.astype(np.float32) - np.float32(offset)) / np.float32(scale)
            for plane, (offset, scale) in ((y, self._luma), (cb, self._chroma), (cr, self._chroma))
        )
        pixels = np.empty((*y.shape, 3), np.float32)
        pixels[..., 0] = luma + np.float32(2 * (1 - red)) * br
        pixels[..., 2] = luma + np.float32(2 * (1 - blue)) * by
        rest = luma - np.float32(red) * pixels[..., 0] - np.float32(blue) * pixels[..., 2]
        pixels[..., 1] = rest / np.float32(1 - red - blue)
        pixels.clip(0, 1, out=pixels)
        return pixels

    def gray(self, y: np.ndarray) -> np.ndarray:
        """Return (H, W, 3), float32 in [0, 1], of luma alone."""
        offset, scale = self._luma
        luma = (y.astype(np.float32) - np.float32(offset)) / np.float32(scale)
        return np.repeat(luma.clip(0, 1)[..., None], 3, axis=2)

    def planes(self, pixels: np.ndarray, half: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the planes Y, Cb, Cr of pixels (H, W, 3) in [0, 1], as whole numbers.

        With `half`, chroma has half the sides, which must be even; its samples lie beside the left
        ones of luma, as in MPEG-2 and H.264.
        """
        _, red, blue = MATRICES[self.matrix]
        weights = np.array([red, 1 - red - blue, blue], np.float32)
        luma = pixels @ weights
        by = (pixels[..., 2] - luma) / np.float32(2 * (1 - blue))
        br = (pixels[..., 0] - luma) / np.float32(2 * (1 - red))
        if half:
            by, br = _halved(by), _halved(br)
        dtype = np.uint8 if self.bits == 8 else np.uint16
        (y_offset, y_scale), (offset, scale) = self._luma, self._chroma

        def numbers(values: np.ndarray, offset: float, scale: float) -> np.ndarray:
            rounded = np.rint(values * np.float32(scale) + np.float32(offset))
            whole: np.ndarray = rounded.clip(0, 2**self.bits - 1).astype(dtype)
            return whole

        return (
            numbers(luma, y_offset, y_scale),
            numbers(by, offset, scale),
            numbers(br, offset, scale),
        )


def _halved(plane: np.ndarray) -> np.ndarray:
    """Return means of two rows, and of the columns around the left one of two: 1, 2, 1."""
    rows = (plane[0::2] + plane[1::2]) / 2
    left = np.concatenate([rows[:, :1], rows[:, 1:-1:2]], axis=1)
    halved: np.ndarray = (left + 2 * rows[:, 0::2] + rows[:, 1::2]) / 4
    return halved


def assumed_matrix(width: int, height: int) -> int:
    """Return the matrix of a clip that states none, by its size, as players do."""
    return BT709 if width >= 1280 or height > 576 else BT601


def to_bt709(pixels: np.ndarray, primaries: int) -> np.ndarray:
    """Convert pixels (H, W, 3) of wide primaries to BT.709's; colors outside are clipped.

    The transfer function is taken to be sRGB's, as players do with all of standard range.
    """
    _, matrix = WIDE_PRIMARIES[primaries]
    linear = np.where(
        pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** np.float32(2.4)
    )
    linear = (linear.astype(np.float32) @ matrix.T.astype(np.float32)).clip(0, 1)
    encoded = np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear ** np.float32(1 / 2.4) - 0.055
    )
    result: np.ndarray = encoded.clip(0, 1).astype(np.float32)
    return result
