"""Pixels of a result for writers, and the metadata that its files carry.

The job's `metadata` and `color_profile` decide what that is: docs/images.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from ...core.images.formats.icc import MatrixProfile
from ...core.interfaces.result import Result
from ...core.interfaces.source_image import Metadata

#: Unit of a resolution in EXIF.
_INCHES = 2

#: Keys of the record with which a result is made again, and recognised as finished.
_JOB_KEYS = ("job", "format", "inputs", "interrupted")


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


def in_its_profile(result: Result) -> Result:
    """Return the result with its pixels in the color profile of its files."""
    profile = _profile(result)
    return replace(result, image=profile.encoded(result.image)) if profile else result


@dataclass(frozen=True)
class Carried:
    """Metadata of a result's file.

    - `record`: None if the file contains none.
    - `software`: name and version of the program; empty if the file does not say it.
    - `dpi`: (across, down) in pixels per inch, or None.
    - `copyright`, `artist`: bytes of EXIF and TIFF tags; empty if there are none.
    - `profile`: the ICC profile of the pixels; None for sRGB.
    """

    record: dict[str, Any] | None
    software: str
    dpi: tuple[float, float] | None
    copyright: bytes
    artist: bytes
    profile: bytes | None

    @property
    def exif(self) -> bytes:
        """EXIF data with resolution, copyright and artist; empty if there are none."""
        exif = Image.Exif()
        if self.dpi:
            exif[Base.XResolution], exif[Base.YResolution] = self.dpi
            exif[Base.ResolutionUnit] = _INCHES
        for tag, text in ((Base.Artist, self.artist), (Base.Copyright, self.copyright)):
            if text:
                exif[tag] = text
        return exif.tobytes() if len(exif) else b""


def carried(result: Result, record: dict[str, Any]) -> Carried:
    """Return what the file of a result carries, by its job's `metadata` and `color_profile`."""
    level = result.job.metadata
    source = result.content.metadata if result.content else Metadata()
    if level == "job":
        record = {key: record[key] for key in _JOB_KEYS if key in record}
    return Carried(
        record=None if level == "none" else record,
        software="" if level == "none" else f"stylectl {result.versions['stylectl']}",
        dpi=source.dpi,
        copyright=b"" if level == "none" else source.copyright.encode("latin-1", "replace"),
        artist=b"" if level == "none" else source.artist.encode("latin-1", "replace"),
        profile=source.profile if _profile(result) else None,
    )


def _profile(result: Result) -> MatrixProfile | None:
    """Return the profile to convert to, or None for sRGB."""
    source = result.content.metadata.profile if result.content else None
    if result.job.color_profile == "srgb" or source is None:
        return None
    return MatrixProfile.of(source)
