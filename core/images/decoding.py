"""Decoding of image files, as untrusted input, into 8-bit sRGB."""

from __future__ import annotations

from ..errors import ImageError, MemoryLimitError
from ..interfaces.source_image import SourceImage
from ..job.model import DEFAULT_MAX_PIXELS
from ..sizes.fitting import Size
from .files import open_file
from .formats.limits import Limits
from .formats.metadata import metadata_of
from .formats.opening import Opened, opened
from .formats.samples import UnknownSamplesError
from .formats.strips import Strips
from .reduction import AnySize, PixelsUse


def read_image(
    path: str,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_memory: str | None = None,
    use: PixelsUse | None = None,
) -> SourceImage:
    """Decode the first frame of an image file, upright (EXIF) and in sRGB (ICC profile).

    `path` may be the name of a sample; `max_memory` is the job's. `use` decides which pixels are
    kept; by default all. Raises UsageError for a missing file, ImageError for one that cannot be
    decoded or has more than `max_pixels` pixels, and MemoryLimitError for one that takes too much
    memory.
    """
    use = use or AnySize()
    with open_file(path) as (file, sha256):
        try:
            with opened(path, file, Limits(max_pixels, max_memory), use) as first_frame:
                return _source_image(path, sha256, first_frame, use)
        except (ImageError, MemoryLimitError):
            raise
        except UnknownSamplesError as error:
            raise ImageError(f"{path}: {error}") from None
        except Exception as error:  # a decoder may raise anything on a damaged file
            raise ImageError(f"{path}: the image is damaged or not supported ({error})") from error


def _source_image(path: str, sha256: str, frame: Opened, use: PixelsUse) -> SourceImage:
    image = frame.image
    metadata = metadata_of(image)
    has_palette = image.mode in ("P", "PA")
    strips = Strips(image, use.full_range)
    file_size: Size = frame.size if strips.is_sideways else frame.size[::-1]
    pixels = use.pixels(strips, file_size)
    (height, width), margins = file_size, pixels.margins
    pixels.rgb.info.clear()  # a profile would not fit any more
    return SourceImage(
        path,
        sha256,
        pixels.rgb,
        pixels.alpha,
        metadata,
        (*frame.notices, *(f"{path}: {notice}" for notice in (*strips.notices, *pixels.notices))),
        has_palette,
        (height - margins.top - margins.bottom, width - margins.left - margins.right),
        pixels.resampled,
        margins,
    )
