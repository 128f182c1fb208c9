"""Samples of more than 8 bits: what counts as white, and the conversion to 8 bits.

Files with whole numbers of 16 or 32 bits often use fewer of them (scanners, cameras, label maps),
and files with floating point go from 0 to 1 or from 0 to 255. The largest sample decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

#: Depths, in bits, that samples of a larger type may have.
_DEPTHS = (8, 10, 12, 16)
#: Floating-point samples may exceed [0, 1] a little: resampling and sharpening do that.
_OVERSHOOT = 0.1
#: Least maximum of floating-point samples from 0 to 255. A scene-linear image may reach 32.
_LEAST_BYTE_MAXIMUM = 32.0

#: Samples -> levels of the same shape, uint8.
ToLevels = Callable[[np.ndarray], np.ndarray]


class UnknownSamplesError(ValueError):
    """Samples whose white cannot be known; the message says why."""


@dataclass(frozen=True)
class Range:
    """Smallest and largest sample of an image."""

    smallest: float
    largest: float

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> Range:
        """Return the range of an image in parts. A sample that is not a number counts as such."""
        smallest, largest = np.inf, -np.inf
        for part in parts:
            if part.size:
                smallest = np.minimum(smallest, part.min())
                largest = np.maximum(largest, part.max())
        return cls(float(smallest), float(largest))


@dataclass(frozen=True)
class White:
    """The sample that counts as white; `notice` says so where it is not the type's largest."""

    value: float
    notice: str = ""


def white_of(
    dtype: np.dtype, samples: Range, declared: int | None = None, full_range: bool = False
) -> White:
    """Return the white of samples of a type with this range.

    `declared` is the largest value that the file declares, if it does. With `full_range` white is
    the largest value of the type, and 1 of floating point. Raises UnknownSamplesError.
    """
    if dtype.kind == "f":
        white = _white_of_floats(samples)
        if full_range and white.value != 1:
            raise UnknownSamplesError("its numbers are not from 0 to 1")
        return white
    if dtype.kind != "u":
        raise UnknownSamplesError(f"signed numbers ({dtype.name}) have no known white")
    bits = 8 * dtype.itemsize
    if full_range or samples.largest == 0:
        return White(2.0**bits - 1)
    depth = next((depth for depth in _DEPTHS if samples.largest < 2**depth), bits)
    declared_depth = declared.bit_length() if declared and declared & (declared + 1) == 0 else 0
    if depth <= declared_depth <= bits:
        depth = declared_depth
    elif bits > 16 and depth == bits and samples.largest < 2 ** (bits - 1):
        raise UnknownSamplesError(
            f"the largest of its {bits}-bit numbers is {samples.largest:.0f}, so their white is "
            "not known"
        )
    if depth >= bits:
        return White(2.0**bits - 1)
    return White(
        2.0**depth - 1,
        f"read as {depth} bits in {bits}: the largest value is {samples.largest:.0f}",
    )


def _white_of_floats(samples: Range) -> White:
    if not np.isfinite([samples.smallest, samples.largest]).all():
        raise UnknownSamplesError("some of its numbers are not finite")
    if samples.smallest >= -_OVERSHOOT and samples.largest <= 1 + _OVERSHOOT:
        return White(1.0)
    if samples.smallest >= -0.5 and _LEAST_BYTE_MAXIMUM < samples.largest <= 255.5:
        return White(255.0, f"read as 0 to 255: the largest value is {samples.largest:.6g}")
    raise UnknownSamplesError(
        f"its numbers go from {samples.smallest:.6g} to {samples.largest:.6g}, and not from 0 to 1 "
        "or from 0 to 255; tone-map or scale it"
    )


def to_levels(dtype: np.dtype, white: float, inverted: bool = False) -> ToLevels:
    """Return the conversion of samples of a type to 8 bits; `inverted`: 0 is white."""
    if dtype.kind == "u" and dtype.itemsize == 2:
        table = _levels(np.arange(2**16, dtype=np.float64) / white, inverted)
        return lambda samples: table[samples]
    return lambda samples: _levels(samples.astype(np.float64) / white, inverted)


def _levels(values: np.ndarray, inverted: bool) -> np.ndarray:
    values = values.clip(0, 1)
    levels: np.ndarray = np.rint((1 - values if inverted else values) * 255).astype(np.uint8)
    return levels
