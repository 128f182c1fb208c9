"""Metadata of a content image that its result keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.ExifTags import Base

from ...interfaces.source_image import Metadata

#: Unit of a resolution in EXIF; the other is inches.
_CENTIMETERS = 3
_MOST_DPI = 100_000.0
#: Longest text that is kept, in characters.
_MOST_TEXT = 2000


def metadata_of(image: Image.Image) -> Metadata:
    """Return resolution, copyright, artist and profile of an image; damaged values are left out."""
    try:
        exif: Mapping[int, Any] = dict(image.getexif())
    except Exception:  # damaged EXIF may raise anything
        exif = {}
    profile = image.info.get("icc_profile")
    return Metadata(
        dpi=_dpi(image.info.get("dpi"), exif),
        copyright=_text(exif.get(Base.Copyright)),
        artist=_text(exif.get(Base.Artist)),
        profile=profile if isinstance(profile, bytes) else None,
    )


def _dpi(of_format: Any, exif: Mapping[int, Any]) -> tuple[float, float] | None:
    sides, factor = of_format, 1.0
    if of_format is None:
        sides = exif.get(Base.XResolution), exif.get(Base.YResolution)
        factor = 2.54 if exif.get(Base.ResolutionUnit) == _CENTIMETERS else 1.0
    try:
        across, down = (float(side) * factor for side in sides)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    sound = all(1 < side <= _MOST_DPI for side in (across, down))  # false for NaN
    return (across, down) if sound else None


def _text(value: object) -> str:
    """Return a text of EXIF, whose characters stand for its bytes (Latin-1)."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.rstrip("\0 ").strip()[:_MOST_TEXT] if isinstance(value, str) else ""
