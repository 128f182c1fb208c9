"""Sizes of images that are scaled to fit; a size is (height, width), in pixels."""

from __future__ import annotations

Size = tuple[int, int]


def fit(size: Size, long_side: int, upscale: bool = False) -> Size:
    """Return the size with the given long side and the same aspect, no larger unless `upscale`."""
    height, width = size
    ratio = long_side / max(height, width)
    if ratio >= 1 and not upscale:
        return height, width
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def result_size(job_size: int | tuple[int, int], content: Size | None, upscale: bool) -> Size:
    """Return the size of a result before any further rounding.

    `job_size` is the long side of a result whose content image has the size `content`, or the
    (width, height) of a texture, which has no content image.
    """
    if isinstance(job_size, tuple):
        width, height = job_size
        return height, width
    if content is None:
        raise ValueError("a long side requires a content image's size")
    return fit(content, job_size, upscale)


def style_size(size: Size, relative_size: float, long_side: int) -> Size:
    """Return the size at which a style image is used for a result with the given long side.

    `size` is the style image's own. Its long side becomes `long_side`, or stays as it is if that is
    less; then it is multiplied by `relative_size`.
    """
    fitted = fit(size, long_side)
    return fit(fitted, max(1, round(max(fitted) * relative_size)), upscale=True)


def whole_strides(size: Size, stride: int) -> Size:
    """Return the size with each side rounded to a multiple of `stride`, at least `stride`."""
    height, width = (max(1, round(side / stride)) * stride for side in size)
    return height, width
