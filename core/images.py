"""Reading image files, as untrusted input, into sRGB; and tensors of a wanted size from them."""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import ImageError, UsageError
from .files import status_of

#: Pixels that an input may have unless the job says otherwise: 16384 x 16384.
DEFAULT_MAX_PIXELS = 16384 * 16384

#: Decoders that are safe on untrusted files; EPS, for one, would start Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")
_MOST_BYTES = 2**31

#: What the names of such files end in: how the images in a folder are found.
SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".tif", ".tiff"),
        *(".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)

#: The sample pair that ships in the package: what a job calls it -> the file.
SAMPLES = {
    "sample:photo": Path(__file__).parent.parent / "examples" / "photo.jpg",
    "sample:painting": Path(__file__).parent.parent / "examples" / "painting.jpg",
}


@dataclass(frozen=True)
class Picture:
    """A decoded image file, named as in the job; `rgb` is sRGB, 8 bits, `alpha` 8 bits or None."""

    path: str
    sha256: str
    rgb: Image.Image
    alpha: Image.Image | None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.rgb.height, self.rgb.width

    def tensor(self, height: int, width: int) -> Tensor:
        """(1, 3, height, width), float32 in [0, 1], resampled with an antialiasing filter."""
        return _resampled(self.rgb, height, width).permute(2, 0, 1)[None].contiguous()

    def alpha_array(self, height: int, width: int) -> np.ndarray | None:
        """(height, width), float32 in [0, 1]: 0 is transparent. None for an opaque image."""
        if self.alpha is None:
            return None
        return _resampled(self.alpha, height, width).numpy()


def _resampled(image: Image.Image, height: int, width: int) -> Tensor:
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).float().div_(255)


def fit(size: tuple[int, int], long_side: int, upscale: bool = False) -> tuple[int, int]:
    """(height, width) of the same aspect with the given long side, no larger unless `upscale`."""
    height, width = size
    ratio = long_side / max(height, width)
    if ratio >= 1 and not upscale:
        return height, width
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def read_picture(path: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Decode the first frame of an image file, upright (EXIF) and in sRGB (ICC profile).

    `path` may be one of `SAMPLES`. Raises UsageError for a missing file and ImageError for one that
    cannot be decoded or has more than `max_pixels` pixels.
    """
    data = _file_bytes(path)
    try:
        with _quiet_pillow(), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(
                    f"{path}: the image has more than {max_pixels} pixels; "
                    "if you trust it, allow more with --max-pixels"
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
        raise ImageError(f"{path}: the image is damaged or of a rare kind ({error})") from error
    return Picture(path, hashlib.sha256(data).hexdigest(), rgb, alpha)


def file_sha256(path: str) -> str:
    """SHA-256 of an image file, as its `Picture` would have it. Raises as `read_picture` does for a
    file that is missing or cannot be read."""
    return hashlib.sha256(_file_bytes(path)).hexdigest()


def _file_bytes(path: str) -> bytes:
    file = SAMPLES.get(path, Path(path))
    status = status_of(file)
    if status is None:
        raise UsageError(f"{path}: no such file")
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path}: not a file")
    if status.st_size > _MOST_BYTES:
        raise ImageError(f"{path}: the file is larger than 2 GiB")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise ImageError(f"{path}: the file is empty")
    return data


@contextmanager
def unlimited_pillow() -> Iterator[None]:
    """Without Pillow's own limit on pixels, which is a module variable: the caller has one."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Also without its warnings, of damaged metadata for instance, that tell a user nothing."""
    with unlimited_pillow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _to_srgb(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """8-bit sRGB and the alpha channel, from any mode that Pillow has."""
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
        return image  # a damaged profile, or one for another kind of image: as if there were none
    return image if converted is None else converted
