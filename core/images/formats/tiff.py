"""TIFF files that Pillow does not read, or reads wrong: read by tifffile, segment by segment.

These are planar and WhiteIsZero files of 16 bits, whole numbers of 32 bits, floating point, and
gray with transparency.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ...errors import ImageError
from .limits import Limits
from .samples import Range, UnknownSamplesError, to_levels, white_of

if TYPE_CHECKING:
    from tifffile import TiffPage

_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 258, 259, 262, 274
_PLANAR, _MAX_SAMPLE, _SAMPLE_FORMAT, _SUBSAMPLING = 284, 281, 339, 530
_COPIED_TAGS = (_ORIENTATION, 282, 283, 296, 315, 33432)
_ICC_PROFILE = 34675

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_CONTIGUOUS = 1
_UNCOMPRESSED = 1
_DEFLATE = (8, 32946)
#: Compressions whose output is limited in size: none, LZW, PackBits, and deflate, as checked here.
_COMPRESSIONS = (_UNCOMPRESSED, 5, 32773, *_DEFLATE)
_UNASSOCIATED, _ASSOCIATED = 2, 1
_BLOCK = 1 << 20


def pillow_reads(tags: Mapping[int, Any]) -> bool:
    """Return whether Pillow reads a TIFF right, by the tags of its first page."""
    bits, sample_format = set(tags.get(_BITS, (1,))), set(tags.get(_SAMPLE_FORMAT, (1,)))
    photometric, compressed = tags.get(_PHOTOMETRIC), tags.get(_COMPRESSION, 1) != _UNCOMPRESSED
    if photometric == _YCBCR and not compressed and tuple(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1):
        return False
    if sample_format - {1, 4}:  # 4 stands for undefined
        return False
    if bits <= {1, 2, 4, 8}:
        return True
    if bits != {16} or photometric == _WHITE_IS_ZERO:
        return False
    return compressed or int(tags.get(_PLANAR, _CONTIGUOUS)) == _CONTIGUOUS


def read_tiff(path: str, data: bytes, limits: Limits) -> tuple[Image.Image, list[str]]:
    """Read the first page as "L", "LA", "RGB" or "RGBA", and notices for the user.

    Orientation, profile and resolution are in the image's `info` and EXIF, as Pillow has them.
    Raises ImageError for a kind of TIFF that is not supported.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        limits.check_pixels(path, page.imagewidth, page.imagelength)
        _check_kind(path, page)
        limits.check_memory(path, page.imagewidth, page.imagelength, _needed_bytes(page))
        _check_segments(path, page)
        try:
            image, notices = _image_of(page)
        except UnknownSamplesError as error:
            raise ImageError(f"{path}: {error}") from None
        except (ValueError, KeyError) as error:  # of tifffile, for a codec that it lacks
            if "imagecodecs" not in str(error):
                raise
            raise ImageError(
                f"{path}: this kind of TIFF ({page.compression!s}, {page.bitspersample} bits) "
                "needs `pip install 'stylectl[formats]'`, or save it uncompressed"
            ) from None
        _copy_tags(page, image)
    return image, [f"{path}: {notice}" for notice in notices]


def _check_kind(path: str, page: TiffPage) -> None:
    """Raise ImageError for a page that is not gray or RGB, or that is packed in another way."""
    problem = ""
    colors = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(int(page.photometric or 0))
    if colors is None:
        problem = f"its colors are {page.photometric!s}, and not gray or RGB"
    elif page.dtype is None or page.samplesperpixel < colors or page.imagedepth != 1:
        problem = "its samples are not those of an image"
    elif page.compression not in _COMPRESSIONS:
        problem = f"its compression is {page.compression!s}"
    elif page.dtype.kind not in "uif":
        problem = f"its numbers are {page.dtype.name}"
    if problem:
        raise ImageError(
            f"{path}: this kind of TIFF is not supported, since {problem}; save it as RGB with 8 "
            "or 16 bits"
        )


def _segment_bytes(page: TiffPage) -> int:
    """Return the most bytes of a decoded segment: a tile or a strip."""
    assert page.dtype is not None
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    samples = page.samplesperpixel if page.planarconfig == _CONTIGUOUS else 1
    return int(rows * columns * samples * page.dtype.itemsize)


def _needed_bytes(page: TiffPage) -> int:
    # A segment as bytes, as numbers, and as float64; a plane for each sample; the merged image.
    pixels = page.imagewidth * page.imagelength
    widest = 8 * _segment_bytes(page) // (page.dtype.itemsize if page.dtype else 1)
    return pixels * (page.samplesperpixel + 4) + 2 * _segment_bytes(page) + 2 * widest


def _check_segments(path: str, page: TiffPage) -> None:
    """Raise ImageError for a deflated segment that is larger than the page says."""
    if page.compression not in _DEFLATE:
        return
    most = _segment_bytes(page)
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        page.parent.filehandle.seek(offset)
        data, size = page.parent.filehandle.read(count), 0
        inflater = zlib.decompressobj()
        while data and not inflater.eof:
            size += len(inflater.decompress(data, _BLOCK))
            data = inflater.unconsumed_tail
            if size > most:
                raise ImageError(f"{path}: the image is damaged: a part of it is too large")


def _segments(page: TiffPage) -> Iterator[tuple[np.ndarray, int, tuple[int, int]]]:
    """Yield segments (rows, columns, samples) with the number of their first sample and place.

    The place is (top, left); what lies beyond the image's edges is cut off.
    """
    for segment, index, _ in page.segments(maxworkers=1):
        first_sample, _, top, left, _ = index
        if segment is None:  # left out by the file: zeros
            continue
        rows, columns = page.imagelength - top, page.imagewidth - left
        yield segment[0, :rows, :columns], first_sample, (top, left)


def _image_of(page: TiffPage) -> tuple[Image.Image, list[str]]:
    assert page.dtype is not None
    colors = 3 if page.photometric == _RGB else 1
    extra = tuple(int(kind) for kind in page.extrasamples)
    alpha = next((colors + i for i, kind in enumerate(extra) if kind in (1, 2)), None)
    used = [*range(colors), *([alpha] if alpha is not None else [])]

    def color_parts() -> Iterator[np.ndarray]:
        for segment, first, _ in _segments(page):
            if first < colors:
                yield segment[..., : colors - first]

    declared = page.tags.valueof(_MAX_SAMPLE)
    declared = max(declared) if isinstance(declared, tuple) else declared
    white = white_of(page.dtype, Range.of(color_parts()), declared)
    inverted = page.photometric == _WHITE_IS_ZERO
    levels = to_levels(page.dtype, white.value, inverted)
    full = 1.0 if page.dtype.kind == "f" else 2.0 ** (8 * page.dtype.itemsize) - 1
    alpha_levels = to_levels(page.dtype, full if white.value == full else white.value)
    size = page.imagewidth, page.imagelength
    planes = {sample: Image.new("L", size) for sample in used}
    for segment, first, (top, left) in _segments(page):
        for offset in range(segment.shape[2]):
            sample = first + offset
            if sample in planes:
                convert = levels if sample < colors else alpha_levels
                part = Image.fromarray(np.ascontiguousarray(convert(segment[..., offset])))
                planes[sample].paste(part, (left, top))
    bands = [planes[sample] for sample in used]
    image = bands[0] if len(bands) == 1 else Image.merge(_mode(colors, alpha, extra), bands)
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    return image, [white.notice] if white.notice else []


def _mode(colors: int, alpha: int | None, extra: tuple[int, ...]) -> str:
    if alpha is None:
        return "RGB"
    associated = extra[alpha - colors] == _ASSOCIATED
    return ("La" if colors == 1 else "RGBa") if associated else ("LA" if colors == 1 else "RGBA")


def _copy_tags(page: TiffPage, image: Image.Image) -> None:
    exif = image.getexif()
    for tag in _COPIED_TAGS:
        value = page.tags.valueof(tag)
        if value is not None:
            rational = isinstance(value, tuple) and len(value) == 2 and value[1]
            exif[tag] = value[0] / value[1] if rational else value
    profile = page.tags.valueof(_ICC_PROFILE)
    if isinstance(profile, bytes):
        image.info["icc_profile"] = profile
