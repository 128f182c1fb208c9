"""TIFF files that Pillow does not read, or reads wrong: read by tifffile, segment by segment.

These are planar and WhiteIsZero files of 16 bits, whole numbers of 32 bits, floating point, and
gray with transparency.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from ...errors import ImageError
from .limits import Layout, Limits, Use
from .samples import Range, UnknownSamplesError, to_levels, white_of

if TYPE_CHECKING:
    from tifffile import TiffPage

_BITS, _COMPRESSION, _PHOTOMETRIC = 258, 259, 262
_PLANAR, _MAX_SAMPLE, _SAMPLE_FORMAT, _SUBSAMPLING = 284, 281, 339, 530
_EXTRA_SAMPLES = 338
_WIDTH, _HEIGHT, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 278, 322, 323
_COPIED_TAGS = (
    *(Base.Orientation, Base.XResolution, Base.YResolution, Base.ResolutionUnit),
    *(Base.Artist, Base.Copyright),
)
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
    is_contiguous = int(tags.get(_PLANAR, _CONTIGUOUS)) == _CONTIGUOUS
    if bits <= {1, 2, 4, 8}:
        return compressed or is_contiguous or not tags.get(_EXTRA_SAMPLES)
    if bits != {16} or photometric == _WHITE_IS_ZERO:
        return False
    return compressed or is_contiguous


def segment_bytes(tags: Mapping[int, Any]) -> int:
    """Return the bytes of a decoded segment of a compressed TIFF, by the tags of its first page."""
    if tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
        return 0
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    rows, columns = tags.get(_TILE_HEIGHT), tags.get(_TILE_WIDTH)
    if rows and columns:
        pixels = rows * columns
    else:
        pixels = width * min(tags.get(_STRIP_ROWS, height), height)
    return int(pixels * sum(tags.get(_BITS, (1,))) // 8)


def read_tiff(path: str, file: BinaryIO, limits: Limits, use: Use) -> tuple[Image.Image, list[str]]:
    """Read the first page as "L", "LA", "La", "RGB", "RGBA" or "RGBa", and notices for the user.

    Orientation, profile and resolution are in the image's `info` and EXIF, as Pillow has them.
    Raises ImageError for a kind of TIFF that is not supported.
    """
    import tifffile

    with _quiet_tifffile(), tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        size = page.imagewidth, page.imagelength
        limits.check_pixels(path, *size)
        _check_kind(path, page)
        limits.check_memory(path, *size, _needed_bytes(page) + use.bytes_after(_layout(page)))
        _check_segments(path, page)
        try:
            image, notices = _image_of(page, use.full_range)
        except UnknownSamplesError as error:
            raise ImageError(f"{path}: {error}") from None
        except (ValueError, KeyError) as error:  # of tifffile, for a codec that it lacks
            if "imagecodecs" not in str(error):
                raise
            raise ImageError(
                f"{path}: this kind of TIFF ({_name(page.compression)}, {page.bitspersample} bits) "
                "needs `pip install 'stylectl[formats]'`, or save it uncompressed"
            ) from None
        _copy_tags(page, image)
    return image, [f"{path}: {notice}" for notice in notices]


@contextmanager
def _quiet_tifffile() -> Iterator[None]:
    """Switch off what tifffile logs about damaged files: an error says so."""
    logger = logging.getLogger("tifffile")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _check_kind(path: str, page: TiffPage) -> None:
    """Raise ImageError for a page that is not gray or RGB, or that is packed in another way."""
    problem = ""
    colors = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3}.get(int(page.photometric or 0))
    if colors is None:
        problem = f"its colors are {_name(page.photometric)}, and not gray or RGB"
    elif page.dtype is None or page.samplesperpixel < colors or page.imagedepth != 1:
        problem = "its samples are not those of an image"
    elif page.compression not in _COMPRESSIONS:
        problem = f"its compression is {_name(page.compression)}"
    elif page.dtype.kind not in "uif":
        problem = f"its numbers are {page.dtype.name}"
    if problem:
        raise ImageError(
            f"{path}: this kind of TIFF is not supported, since {problem}; save it as RGB with 8 "
            "or 16 bits"
        )


def _name(number: object) -> str:
    """Return tifffile's name of a number, such as LZW; a number that it does not know as it is."""
    return str(getattr(number, "name", number))


def _segment_bytes(page: TiffPage) -> int:
    """Return the most bytes of a decoded segment: a tile or a strip."""
    assert page.dtype is not None
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    samples = page.samplesperpixel if page.planarconfig == _CONTIGUOUS else 1
    return int(rows * columns * samples * page.dtype.itemsize)


def _layout(page: TiffPage) -> Layout:
    return Layout(
        (page.imagelength, page.imagewidth),
        "RGB" if page.photometric == _RGB else "L",
        is_turned=page.tags.valueof(int(Base.Orientation), 1) != 1,
        has_profile=_ICC_PROFILE in page.tags,
        has_alpha=bool(page.extrasamples),
    )


def _needed_bytes(page: TiffPage) -> int:
    # The image; a segment as bytes, as numbers, and as float64.
    pixels = page.imagewidth * page.imagelength
    widest = 8 * _segment_bytes(page) // (page.dtype.itemsize if page.dtype else 1)
    bytes_per_pixel = 1 if page.samplesperpixel == 1 else 4
    if page.planarconfig != _CONTIGUOUS:  # a plane for each sample, which are merged
        bytes_per_pixel += page.samplesperpixel
    return pixels * bytes_per_pixel + 2 * _segment_bytes(page) + 2 * widest


def _check_segments(path: str, page: TiffPage) -> None:
    """Raise ImageError for missing segments, and for deflated ones that are larger than they say.

    tifffile would take missing ones for black.
    """
    offsets, counts = page.dataoffsets, page.databytecounts
    size = page.parent.filehandle.size
    is_whole = all(sum(part) <= size for part in zip(offsets, counts, strict=False))
    if not len(offsets) == len(counts) == math.prod(page.chunked) or not is_whole:
        raise ImageError(f"{path}: the image is damaged: a part of it is missing")
    if page.compression not in _DEFLATE:
        return
    most = _segment_bytes(page)
    for offset, count in zip(offsets, counts, strict=True):
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


def _image_of(page: TiffPage, full_range: bool) -> tuple[Image.Image, list[str]]:
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
    white = white_of(page.dtype, Range.of(color_parts()), declared, full_range)
    inverted = page.photometric == _WHITE_IS_ZERO
    levels = to_levels(page.dtype, white.value, inverted)
    full = 1.0 if page.dtype.kind == "f" else 2.0 ** (8 * page.dtype.itemsize) - 1
    alpha_levels = to_levels(page.dtype, full if white.value == full else white.value)
    size = page.imagewidth, page.imagelength
    mode = _mode(colors, alpha, extra)

    def part_of(segment: np.ndarray, sample: int) -> Image.Image:
        convert = alpha_levels if sample == alpha else levels
        return Image.fromarray(np.ascontiguousarray(convert(segment)))

    if page.planarconfig == _CONTIGUOUS:
        image = Image.new(mode, size)
        for segment, _, (top, left) in _segments(page):
            parts = [part_of(segment[..., sample], sample) for sample in used]
            image.paste(parts[0] if len(parts) == 1 else Image.merge(mode, parts), (left, top))
    else:
        planes = {sample: Image.new("L", size) for sample in used}
        for segment, sample, (top, left) in _segments(page):
            if sample in planes:
                planes[sample].paste(part_of(segment[..., 0], sample), (left, top))
        image = Image.merge(mode, list(planes.values()))
    return image, [white.notice] if white.notice else []


def _mode(colors: int, alpha: int | None, extra: tuple[int, ...]) -> str:
    if alpha is None:
        return "L" if colors == 1 else "RGB"
    associated = extra[alpha - colors] == _ASSOCIATED
    return ("La" if colors == 1 else "RGBa") if associated else ("LA" if colors == 1 else "RGBA")


def _copy_tags(page: TiffPage, image: Image.Image) -> None:
    exif = image.getexif()
    for tag in _COPIED_TAGS:
        value = page.tags.valueof(tag)
        if isinstance(value, str):
            exif[tag] = value.encode()
        elif value is not None:
            rational = isinstance(value, tuple) and len(value) == 2 and value[1]
            exif[tag] = value[0] / value[1] if rational else value
    profile = page.tags.valueof(_ICC_PROFILE)
    if isinstance(profile, bytes):
        image.info["icc_profile"] = profile
