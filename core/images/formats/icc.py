"""ICC profiles: conversion of an image to sRGB, and of a result back to its content's profile.

A result is converted by the profile's own numbers, in floating point: Pillow's color management
has 8 bits. That is possible for profiles of a matrix and three curves, which those of displays and
working spaces are (sRGB, Adobe RGB, Display P3, ProPhoto RGB).
Source: ICC.1:2010, Image technology colour management.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from ...shown import one_line

#: Rows (R, G, B) -> XYZ of sRGB's primaries, adapted to D50; the columns add up to D50.
_SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
#: Largest difference, in levels of 8 bits, of colors converted by a profile that is sRGB itself.
_SAME = 1
#: Longest name of a profile that is shown.
_MOST_NAME = 60
#: Samples of a curve that is inverted.
_SAMPLES = 4096
#: Rows of a result that are converted at a time.
_ROWS = 256

_SPACES = {"RGB": "RGB ", "CMYK": "CMYK", "L": "GRAY"}


def srgb_conversion(
    mode: str, profile: bytes
) -> tuple[Callable[[Image.Image], Image.Image] | None, str]:
    """Return the conversion of images of a mode ("RGB", "L" or "CMYK") with an ICC profile to sRGB.

    The intent is relative colorimetric. None: nothing is to be converted. The text is a notice for
    the user, which is empty if the profile is sRGB.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = one_line(ImageCms.getProfileDescription(source), _MOST_NAME) or "without a name"
        space = source.profile.xcolor_space
        used_mode = "RGB" if mode == "L" and space == "RGB " else mode
        if _SPACES.get(used_mode) != space:
            return None, f"its profile ({name}) is for {space.strip()} and is ignored"
        transform = _transform(source, used_mode)
        if used_mode == "RGB" and _is_identity(transform):
            return None, ""
        _converted(Image.new(used_mode, (1, 1)), transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None, "its color profile is damaged and is ignored"

    def to_srgb(image: Image.Image) -> Image.Image:
        return _converted(image.convert(used_mode), transform)

    return to_srgb, f"converted from its profile ({name}) to sRGB"


def _converted(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # only in place
    return converted


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether a transform of RGB changes no color by more than rounding."""
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3, indexing="ij"), 3).astype(np.uint8)
    colors = Image.fromarray(grid.reshape(1, -1, 3))
    difference = np.asarray(_converted(colors, transform)).astype(int) - np.asarray(colors).astype(
        int
    )
    return int(np.abs(difference).max()) <= _SAME


@dataclass(frozen=True)
class MatrixProfile:
    """An RGB profile of a matrix and three curves.

    - `to_xyz`: (3, 3), linear RGB -> XYZ, relative to D50.
    - `curves`: (3, samples), the linear value of encoded values spaced evenly over [0, 1].
    """

    to_xyz: np.ndarray
    curves: np.ndarray

    @classmethod
    def of(cls, profile: bytes) -> MatrixProfile | None:
        """Return the profile in the bytes of an ICC file; None if it is of another kind."""
        try:
            tags = _tags(profile)
            if profile[16:20] != b"RGB " or b"A2B0" in tags or b"B2A0" in tags:
                return None
            columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
            curves = [_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
        except (KeyError, IndexError, ValueError, struct.error):
            return None
        matrix, levels = np.array(columns).T, np.array(curves)
        rises = (np.diff(levels) >= 0).all() and (levels[:, -1] > levels[:, 0]).all()
        return cls(matrix, levels) if rises and abs(np.linalg.det(matrix)) > 1e-6 else None

    def encoded(self, pixels: np.ndarray) -> np.ndarray:
        """Convert pixels (H, W, 3), sRGB-encoded in [0, 1], to the profile's encoding, in float32.

        Colors outside the profile's range are clipped.
        """
        matrix = np.linalg.inv(self.to_xyz) @ _SRGB_TO_XYZ
        positions = np.linspace(0, 1, self.curves.shape[1])
        result = np.empty(pixels.shape, np.float32)
        for top in range(0, len(pixels), _ROWS):
            linear = _srgb_decoded(pixels[top : top + _ROWS].astype(np.float64)) @ matrix.T
            for channel, curve in enumerate(self.curves):
                values = np.interp(linear[..., channel], curve, positions)
                result[top : top + _ROWS, :, channel] = values
        return result


def _srgb_decoded(encoded: np.ndarray) -> np.ndarray:
    """Return linear light. IEC 61966-2-1."""
    linear: np.ndarray = np.where(
        encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4
    )
    return linear


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return the data of each tag by its signature."""
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 200:
        raise ValueError("too many tags")
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count)]
    return {name: profile[offset : offset + size] for name, offset, size in entries}


def _xyz(data: bytes) -> tuple[float, ...]:
    return tuple(value / 65536 for value in struct.unpack_from(">3i", data, 8))


def _curve(data: bytes) -> np.ndarray:
    """Return a tone curve, sampled evenly: types `curv` and `para`."""
    x = np.linspace(0, 1, _SAMPLES)
    if data[:4] == b"curv":
        (count,) = struct.unpack_from(">I", data, 8)
        if count == 0:
            return x
        values = np.array(struct.unpack_from(f">{count}H", data, 12), np.float64)
        if count == 1:
            gamma: np.ndarray = x ** float(values[0] / 256)
            return gamma
        return np.interp(x, np.linspace(0, 1, count), values / 65535)
    if data[:4] != b"para":
        raise ValueError("unknown kind of curve")
    (kind,) = struct.unpack_from(">H", data, 8)
    count = (1, 3, 4, 5, 7)[kind]
    g, *more = (value / 65536 for value in struct.unpack_from(f">{count}i", data, 12))
    a, b, c, d, e, f = (list(more) + [0.0] * 6)[:6]
    match kind:
        case 0:
            a, power_from, offset, linear = 1.0, 0.0, 0.0, 0.0
        case 1:
            power_from, offset, linear = -b / a, 0.0, 0.0
        case 2:
            power_from, offset, linear = -b / a, c, 0.0
        case 3:
            power_from, offset, linear = d, 0.0, c
        case _:
            power_from, offset, linear = d, e, c
    below = linear * x + (c if kind == 2 else f)
    power = (a * x + b).clip(0) ** g + offset
    curve: np.ndarray = np.where(x >= power_from, power, below).clip(0, 1)
    return curve
