"""Decoding of image files, as untrusted input, into 8-bit sRGB."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import ImageError
from ..interfaces.source_image import SourceImage
from ..job.model import DEFAULT_MAX_PIXELS
from .files import file_bytes
from .pillow_limits import unlimited_pillow

#: Decoders that are safe on untrusted files; EPS, for one, would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")


def read_image(path: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> SourceImage:
    """Decode the first frame of an image file, upright (EXIF) and in sRGB (ICC profile).

    `path` may be the name of a sample. Raises UsageError for a missing file and ImageError for one
    that cannot be decoded or has more than `max_pixels` pixels.
    """
    data = file_bytes(path)
    try:
        with _quiet_pillow(), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(
                    f"{path}: the image has more than {max_pixels} pixels; "
                    "if you trust it, allow more with `max_pixels`"
                )
            image.load()
            rgb, alpha = _to_srgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(
            f"{path}: not an image that stylectl reads ({', '.join(_FORMATS)})"
        ) from None
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise ImageError(f"{path}: the image is damaged or not supported ({error})") from error
    return SourceImage(path, hashlib.sha256(data).hexdigest(), rgb, alpha)


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Switch off Pillow's limit on pixels and its warnings.

    The warnings (of damaged metadata, for instance) are of no use to a user.
    """
    with unlimited_pillow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _to_srgb(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return 8-bit sRGB and the alpha channel (None if opaque), from any mode of Pillow."""
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() == (255, 255):
            alpha = None
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = _eight_bits(np.asarray(image, dtype=np.float64) / 65535)
    elif image.mode == "F":
        image = _eight_bits(np.asarray(image, dtype=np.float64))
    elif image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("L" if image.mode in ("LA", "La") else "RGB")
    if profile:
        image = _through_profile(image, profile)
    return image.convert("RGB"), alpha


def _eight_bits(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError):
        return image  # a damaged profile, or one for another kind of image, is ignored
    return image if converted is None else converted
