"""Opening of image files, as untrusted input, by Pillow or by tifffile."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from PIL import Image, UnidentifiedImageError

from ...errors import ImageError
from .camera_raw import ADVICE, is_camera_raw, is_tiff, tags_are_raw
from .libtiff import libtiff_messages
from .limits import Limits
from .pillow_limits import unlimited_pillow
from .tiff import pillow_reads, read_tiff

#: Decoders that are safe on untrusted files; EPS, for one, would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")
#: Format that the package pillow-heif adds to Pillow.
_HEIF = "HEIF"
#: Brands of ISO base media files -> the format's name for users.
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

_BYTES = {"1": 1, "L": 1, "P": 1, "LA": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
#: Formats whose decoder holds whole frames of its own, of 4 bytes for each pixel.
_WITH_FRAMES = ("WEBP", "AVIF", "GIF", _HEIF)
#: Largest level of 8 bits that 12 bits in 16 lead to: the upper byte of 4095.
_DARK = 15


@dataclass(frozen=True)
class Opened:
    """A decoded first frame, of any mode of Pillow, and notices for the user."""

    image: Image.Image
    notices: list[str]


@contextmanager
def opened(path: str, data: bytes, limits: Limits) -> Iterator[Opened]:
    """Decode the first frame of an image file.

    Raises ImageError for a file that cannot be decoded or has too many pixels, and MemoryLimitError
    for one that takes too much memory.
    """
    if is_camera_raw(path, data):
        raise ImageError(f"{path}: {ADVICE}")
    with _quiet_pillow():
        try:
            image = Image.open(io.BytesIO(data), formats=_formats(data))
        except UnidentifiedImageError:
            yield _unidentified(path, data, limits)
            return
        with image:
            notices = _notices(path, image)
            tags = _tags(image)
            if tags_are_raw(tags):
                raise ImageError(f"{path}: {ADVICE}")
            if tags and not pillow_reads(tags):
                yield _by_tifffile(path, data, limits, notices)
                return
            limits.check_pixels(path, image.width, image.height)
            limits.check_memory(path, image.width, image.height, _needed_bytes(image))
            is_deep = any(";16" in str(tile[3]) for tile in image.tile) and image.mode[0] != "I"
            with ExitStack() as stack:
                messages = stack.enter_context(libtiff_messages()) if tags else []
                image.load()
            notices += [f"{path}: may be damaged (libtiff: {text})" for text in messages[:1]]
            if is_deep and _is_dark(image):
                if tags:
                    yield _by_tifffile(path, data, limits, notices)
                    return
                raise ImageError(
                    f"{path}: no value is above 4095 of 65535: the file has 12 bits or fewer in "
                    "16, or is nearly black; save it with its full range of values"
                )
            yield Opened(image, notices)


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Switch off Pillow's limit on pixels and its warnings.

    The warnings (of damaged metadata, for instance) are of no use to a user.
    """
    with unlimited_pillow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _formats(data: bytes) -> tuple[str, ...]:
    """Return the formats to try; HEIC, if its package is installed, only for such files."""
    if data[4:8] != b"ftyp" or data[8:12] in _AVIF_BRANDS:
        return _FORMATS
    try:
        pillow_heif = import_module("pillow_heif")
    except ImportError:
        return _FORMATS
    pillow_heif.register_heif_opener(thumbnails=False)
    return (*_FORMATS, _HEIF)


def _unidentified(path: str, data: bytes, limits: Limits) -> Opened:
    """Read a TIFF that Pillow does not know, or say what the file is."""
    if is_tiff(data):
        return _by_tifffile(path, data, limits, [])
    if data[4:8] == b"ftyp" and data[8:12] in (*_HEIC_BRANDS, *_AVIF_BRANDS):
        name = "AVIF" if data[8:12] in _AVIF_BRANDS else "HEIC"
        raise ImageError(f"{path}: {name} needs `pip install 'stylectl[formats]'`")
    raise ImageError(f"{path}: not an image that stylectl reads ({', '.join(_FORMATS)}, HEIC)")


def _by_tifffile(path: str, data: bytes, limits: Limits, notices: list[str]) -> Opened:
    image, more = read_tiff(path, data, limits)
    return Opened(image, [*notices, *more])


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """Return the tags of a TIFF's first page; of another format, none."""
    return dict(getattr(image, "tag_v2", {})) if image.format == "TIFF" else {}


def _notices(path: str, image: Image.Image) -> list[str]:
    # A JPEG of several images (MPO) is one photo with its previews.
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return []
    several = "pages" if image.format == "TIFF" else "frames"
    return [f"{path}: has several {several}; only the first is read"]


def _needed_bytes(image: Image.Image) -> int:
    """Return the bytes that decoding takes at its peak, beside the file's."""
    decoded = _BYTES.get(image.mode, 4)
    converted = 0 if image.mode == "RGB" else 5 if image.mode[0] in "IF" else 4
    with_alpha = 9 if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") else 0
    frames = 8 if image.format in _WITH_FRAMES else 0
    turned = 4 if "exif" in image.info else 0  # `getexif` would decode a PNG
    return image.width * image.height * (decoded + converted + with_alpha + frames + turned)


def _is_dark(image: Image.Image) -> bool:
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    colors = bands[:3] if image.mode in ("RGB", "RGBA") else ()
    return bool(colors) and max(band[1] for band in colors) <= _DARK
