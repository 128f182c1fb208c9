"""Decoding of image files, as untrusted input, into 8-bit sRGB."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
from PIL import Image, ImageOps

from ..errors import ImageError, MemoryLimitError
from ..interfaces.source_image import SourceImage
from ..job.model import DEFAULT_MAX_PIXELS
from .files import file_bytes
from .formats.icc import to_srgb
from .formats.limits import Limits
from .formats.metadata import metadata_of
from .formats.opening import opened
from .formats.samples import Range, UnknownSamplesError, to_levels, white_of

#: Rows that are converted at a time.
_ROWS = 256


def read_image(
    path: str, max_pixels: int = DEFAULT_MAX_PIXELS, max_memory: str | None = None
) -> SourceImage:
    """Decode the first frame of an image file, upright (EXIF) and in sRGB (ICC profile).

    `path` may be the name of a sample; `max_memory` is the job's. Raises UsageError for a missing
    file, ImageError for one that cannot be decoded or has more than `max_pixels` pixels, and
    MemoryLimitError for one that takes too much memory.
    """
    data = file_bytes(path)
    try:
        with opened(path, data, Limits(max_pixels, max_memory)) as first_frame:
            image, notices = first_frame.image, list(first_frame.notices)
            metadata = metadata_of(image)
            has_palette = image.mode in ("P", "PA")
            ImageOps.exif_transpose(image, in_place=True)
            rgb, alpha, more = _to_srgb(image)
    except (ImageError, MemoryLimitError):
        raise
    except UnknownSamplesError as error:
        raise ImageError(f"{path}: {error}") from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ImageError(f"{path}: the image is damaged or not supported ({error})") from error
    notices += [f"{path}: {notice}" for notice in more]
    sha256 = hashlib.sha256(data).hexdigest()
    return SourceImage(path, sha256, rgb, alpha, metadata, tuple(notices), has_palette)


def _to_srgb(image: Image.Image) -> tuple[Image.Image, Image.Image | None, list[str]]:
    """Return 8-bit sRGB, the alpha channel (None if opaque) and notices, from any mode."""
    notices = []
    alpha = None
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        alpha = _alpha(image)
    profile = image.info.get("icc_profile")
    if image.mode[0] == "I" or image.mode == "F":
        image, notice = _eight_bits(image)
        notices += [notice] if notice else []
    elif image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("L" if image.mode == "LA" else "RGB")
    if profile:
        image, notice = to_srgb(image, profile)
        notices += [notice] if notice else []
    image = image if image.mode == "RGB" else image.convert("RGB")
    image.info.clear()  # a profile would not fit any more
    return image, alpha, notices


def _alpha(image: Image.Image) -> Image.Image | None:
    with_alpha = image if image.mode in ("RGBA", "LA", "PA") else image.convert("RGBA")
    alpha = with_alpha.getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def _eight_bits(image: Image.Image) -> tuple[Image.Image, str]:
    """Return a gray image of 16 bits ("I;16", "I") or of floating point ("F") in 8 bits ("L")."""
    dtype = np.dtype(np.float32 if image.mode == "F" else np.uint16)

    def strips() -> list[tuple[int, int]]:
        edges = [*range(0, image.height, _ROWS), image.height]
        return list(pairwise(edges))

    def samples(top: int, bottom: int) -> np.ndarray:
        # In mode "I" Pillow gives numbers of 16 bits as 32 bits with a sign.
        return np.asarray(image.crop((0, top, image.width, bottom))).astype(dtype)

    white = white_of(dtype, Range.of(samples(*strip) for strip in strips()))
    levels = to_levels(dtype, white.value)
    gray = Image.new("L", image.size)
    for top, bottom in strips():
        gray.paste(Image.fromarray(levels(samples(top, bottom))), (0, top))
    return gray, white.notice
