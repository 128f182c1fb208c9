"""Recognition of camera raw files, many of which begin like a TIFF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_SUFFIXES = frozenset(
    (
        *(".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".srf", ".sr2", ".orf", ".rw2"),
        *(".raf", ".pef", ".srw", ".3fr", ".fff", ".iiq", ".erf", ".kdc", ".dcr", ".mef", ".mos"),
    )
)
#: First bytes of raw files that are no TIFF, or a changed one: Olympus, Panasonic, Fujifilm.
_SIGNATURES = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW")
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_SUBFILE_TYPE, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 254, 262, 330, 50706
_REDUCED = 1
#: Photometric interpretations: color filter array, and linear raw.
_RAW_PHOTOMETRICS = (32803, 34892)

#: End of the message about a raw file.
ADVICE = (
    "a camera raw file, which must be developed first: open it in your camera's program, darktable "
    "or RawTherapee, and save it as a 16-bit TIFF or a JPEG"
)


def is_camera_raw(path: str, data: bytes) -> bool:
    """Return whether the file's name or its first bytes are those of a camera raw file."""
    if data.startswith(_SIGNATURES) or (data[8:10] == b"CR" and is_tiff(data)):
        return True
    if data[4:12] == b"ftypcrx " or data[6:14] == b"HEAPCCDR":  # Canon
        return True
    return PurePath(path).suffix.lower() in _SUFFIXES and is_tiff(data)


def is_tiff(data: bytes) -> bool:
    """Return whether the file begins like a TIFF or a BigTIFF."""
    return data.startswith(_TIFF_SIGNATURES)


def tags_are_raw(tags: Mapping[int, Any]) -> bool:
    """Return whether the tags of a TIFF's first page are those of a camera raw file.

    Such a page is the sensor's data, or a thumbnail with the data in a page below it.
    """
    if _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _RAW_PHOTOMETRICS:
        return True
    return _SUB_IFDS in tags and tags.get(_SUBFILE_TYPE, 0) == _REDUCED
