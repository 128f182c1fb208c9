"""Opening of image files, as untrusted input, by Pillow or by tifffile."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ExifTags import Base

from ...errors import ImageError
from .camera_raw import ADVICE, is_camera_raw, is_tiff, tags_are_raw
from .libtiff import libtiff_messages
from .limits import Layout, Limits, Use
from .pillow_limits import unlimited_pillow
from .strips import strip_bytes
from .tiff import pillow_reads, read_tiff, segment_bytes

#: Decoders that are safe on untrusted files; EPS, for one, would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")
#: Format that the package pillow-heif adds to Pillow.
_HEIF = "HEIF"
#: Brands of ISO base media files -> the format's name for users.
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

#: Bytes at a file's beginning that tell what it is.
_HEAD = 16
_BYTES = {"1": 1, "L": 1, "P": 1, "LA": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
#: Bytes for each pixel that a format's decoder holds beside the image, as measured.
_OF_DECODER = {"WEBP": 14, "AVIF": 10, "GIF": 4, _HEIF: 10}
#: Those of Pillow's decoders of PPM that are written in Python, by the decoder's name.
_OF_PPM = {"ppm": 12, "ppm_plain": 24}
#: Largest level of 8 bits that 12 bits in 16 lead to: the upper byte of 4095.
_DARK = 15


@dataclass(frozen=True)
class Opened:
    """A decoded first frame, of any mode of Pillow, and notices for the user.

    `size` is (width, height) in the file, of which a JPEG may be decoded to a half or less.
    """

    image: Image.Image
    size: tuple[int, int]
    notices: list[str]


@contextmanager
def opened(path: str, file: BinaryIO, limits: Limits, use: Use) -> Iterator[Opened]:
    """Decode the first frame of an image file.

    A JPEG that takes too much memory is decoded at a half, a quarter or an eighth of its size, if
    that is enough for its use. Raises ImageError for a file that cannot be decoded or has
    too many pixels, and MemoryLimitError for one that takes too much memory.
    """
    head = file.read(_HEAD)
    if is_camera_raw(path, head):
        raise ImageError(f"{path}: {ADVICE}")
    with _quiet_pillow():
        file.seek(0)
        try:
            image = Image.open(file, formats=_formats(head))
        except UnidentifiedImageError:
            yield _unidentified(path, file, head, limits, use)
            return
        with image:
            notices = _notices(path, image)
            tags = _tags(image)
            if tags_are_raw(tags):
                raise ImageError(f"{path}: {ADVICE}")
            if tags and not pillow_reads(tags):
                yield _by_tifffile(path, file, limits, use, notices)
                return
            size = image.size
            limits.check_pixels(path, *size)
            _reduce(image, limits, use)
            if image.size != size:
                notices.append(
                    f"{path}: decoded at {image.width}x{image.height} of {size[0]}x{size[1]} px, "
                    "since the memory is too small for all of it"
                )
            limits.check_memory(path, *size, _needed_bytes(image, use))
            is_deep = any(";16" in str(tile[3]) for tile in image.tile) and image.mode[0] != "I"
            with ExitStack() as stack:
                messages = stack.enter_context(libtiff_messages()) if tags else []
                image.load()
            notices += [f"{path}: may be damaged (libtiff: {text})" for text in messages[:1]]
            if is_deep and not use.full_range and _is_dark(image):
                if tags:
                    yield _by_tifffile(path, file, limits, use, notices)
                    return
                raise ImageError(
                    f"{path}: no value is above 4095 of 65535: the file has 12 bits or fewer in "
                    "16, or is nearly black; save it with its full range of values"
                )
            yield Opened(image, size, notices)


def _reduce(image: Image.Image, limits: Limits, use: Use) -> None:
    """Have a JPEG decoded at the largest size that fits the memory, if there is one."""
    if image.format not in ("JPEG", "MPO"):
        return
    width, height = image.size
    least_side = use.least_side((height, width))
    fitting = 1
    for divisor in (2, 4, 8):
        # Pillow divides the size, rounded up; a second call of `draft` would not count the first.
        needed = _needed_bytes(image, use, fitting)
        if needed <= limits.left() or max(width, height) // divisor < least_side:
            break
        fitting = divisor
    if fitting > 1:
        image.draft(image.mode, (width // fitting, height // fitting))


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Switch off Pillow's limit on pixels and its warnings.

    The warnings (of damaged metadata, for instance) are of no use to a user.
    """
    with unlimited_pillow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _formats(head: bytes) -> tuple[str, ...]:
    """Return the formats to try; HEIC, if its package is installed, only for such files."""
    if head[4:8] != b"ftyp" or head[8:12] in _AVIF_BRANDS:
        return _FORMATS
    try:
        pillow_heif = import_module("pillow_heif")
    except ImportError:
        return _FORMATS
    pillow_heif.register_heif_opener(thumbnails=False)
    return (*_FORMATS, _HEIF)


def _unidentified(path: str, file: BinaryIO, head: bytes, limits: Limits, use: Use) -> Opened:
    """Read a TIFF that Pillow does not know, or say what the file is."""
    if is_tiff(head):
        return _by_tifffile(path, file, limits, use, [])
    if head[4:8] == b"ftyp" and head[8:12] in (*_HEIC_BRANDS, *_AVIF_BRANDS):
        name = "AVIF" if head[8:12] in _AVIF_BRANDS else "HEIC"
        raise ImageError(f"{path}: {name} needs `pip install 'stylectl[formats]'`")
    raise ImageError(f"{path}: not an image that stylectl reads ({', '.join(_FORMATS)}, HEIC)")


def _by_tifffile(path: str, file: BinaryIO, limits: Limits, use: Use, notices: list[str]) -> Opened:
    file.seek(0)
    image, more = read_tiff(path, file, limits, use)
    return Opened(image, image.size, [*notices, *more])


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """Return the tags of a TIFF's first page; of another format, none."""
    return dict(getattr(image, "tag_v2", {})) if image.format == "TIFF" else {}


def _notices(path: str, image: Image.Image) -> list[str]:
    # A JPEG of several images (MPO) is one photo with its previews.
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return []
    several = "pages" if image.format == "TIFF" else "frames"
    return [f"{path}: has several {several}; only the first is read"]


def _needed_bytes(image: Image.Image, use: Use, divisor: int = 1) -> int:
    """Return the bytes that decoding and what follows take at their peak.

    `divisor` divides the size of a JPEG.
    """
    width, height = (-(-side // divisor) for side in image.size)
    decoded = width * height * _BYTES.get(image.mode, 4)
    layout = Layout(
        (height, width),
        image.mode,
        is_turned=_may_be_turned(image),
        has_profile="icc_profile" in image.info,
        has_alpha=image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
    )
    return decoded + _bytes_of_decoder(image) + strip_bytes(width) + use.bytes_after(layout)


def _bytes_of_decoder(image: Image.Image) -> int:
    bytes_per_pixel = _OF_DECODER.get(str(image.format), 0)
    if image.format == "PPM" and isinstance(image, ImageFile.ImageFile):
        bytes_per_pixel = _OF_PPM.get(image.tile[0].codec_name, 0)
    elif "progressive" in image.info:  # coefficients of all of a JPEG, also for a part of its size
        bytes_per_pixel = 2 * len(image.getbands())
    return bytes_per_pixel * image.width * image.height + segment_bytes(_tags(image))


def _may_be_turned(image: Image.Image) -> bool:
    if image.format == "PNG":  # whose `getexif` decodes it
        return not {"exif", "xmp"}.isdisjoint(image.info)
    return bool(image.getexif().get(Base.Orientation, 1) != 1)


def _is_dark(image: Image.Image) -> bool:
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    colors = bands[:3] if image.mode in ("RGB", "RGBA") else ()
    return bool(colors) and max(band[1] for band in colors) <= _DARK
