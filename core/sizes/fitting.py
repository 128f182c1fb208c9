"""Sizes of images that are scaled to fit. A size is (height, width), in pixels."""

from __future__ import annotations

Size = tuple[int, int]


def fit(size: Size, long_side: int, upscale: bool = False) -> Size:
    """The same aspect with the given long side, no larger unless `upscale`."""
    height, width = size
    ratio = long_side / max(height, width)
    if ratio >= 1 and not upscale:
        return height, width
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def result_size(asked: int | tuple[int, int], content: Size | None, upscale: bool) -> Size:
    """The size of a result before it is rounded for any reason. `asked` is a job's size: the long
    side of a content image of the size `content`, or the (width, height) of a texture, which has
    none."""
    if isinstance(asked, tuple):
        width, height = asked
        return height, width
    if content is None:
        raise ValueError("a long side needs a content image's size")
    return fit(content, asked, upscale)


def style_size(size: Size, style_scale: float, long_side: int) -> Size:
    """The size at which a style image of `size` is seen beside a result with the given long side:
    its own long side is as long, or what it has if that is less, times `style_scale`."""
    fitted = fit(size, long_side)
    return fit(fitted, max(1, round(max(fitted) * style_scale)), upscale=True)


def whole_strides(size: Size, stride: int) -> Size:
    """Each side rounded to a multiple of `stride`, at least one."""
    height, width = (max(1, round(side / stride)) * stride for side in size)
    return height, width
