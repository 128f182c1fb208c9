"""What the file of a result carries beside pixels: its record, and the content's metadata.

The job's `metadata` decides: docs/images.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from ...core.images.formats.icc import MatrixProfile
from ...core.interfaces.result import Result
from ...core.interfaces.source_image import Metadata

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _INCHES = 282, 283, 296, 2
_ARTIST, _COPYRIGHT = 315, 33432

#: Keys of the record with which a result is made again, and recognised as finished.
_JOB_KEYS = ("job", "format", "inputs", "interrupted")


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
            exif[_X_RESOLUTION], exif[_Y_RESOLUTION] = self.dpi
            exif[_RESOLUTION_UNIT] = _INCHES
        for tag, text in ((_ARTIST, self.artist), (_COPYRIGHT, self.copyright)):
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


def in_its_profile(result: Result) -> Result:
    """Return the result with its pixels in the color profile of its files."""
    profile = _profile(result)
    return replace(result, image=profile.encoded(result.image)) if profile else result


def _profile(result: Result) -> MatrixProfile | None:
    """Return the profile to convert to, or None for sRGB."""
    source = result.content.metadata.profile if result.content else None
    if result.job.color_profile == "srgb" or source is None:
        return None
    return MatrixProfile.of(source)
