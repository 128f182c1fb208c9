"""Masks: the weight of each pixel of an image.

A mask is a tensor (H, W), float32 in [0, 1] or bool, of any size: it is stretched over its image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..errors import ImageError
from ..interfaces.source_image import SourceImage
from ..interfaces.terms import Region
from .alpha import filled
from .reduction import divisor_of

#: Rows that are converted or resized at a time.
_ROWS = 64
#: Long side in pixels of the images of a run, if it is not known.
_LEAST_SIDE = 4096
#: Most values, from 0 on, of a map of labels.
_MOST_LABELS = 32


def mask_of(image: SourceImage, side: int = _LEAST_SIDE) -> tuple[Tensor, list[str]]:
    """Return the mask of an image, and notices: white is 1, black is 0, grays are in between.

    Of an image in one color, the opacity is the mask; else transparent pixels count as black. Masks
    as other programs write them are recognised: the values 0 and 1 alone, and a palette of two
    colors, of which the lighter counts as white. A mask whose long side is twice `side` or more,
    and 8192 px or more, is reduced by a whole number. Raises ImageError for a mask that is all
    black and for a map of labels.
    """
    rgb = image.rgb
    if image.alpha is not None and image.alpha.getbbox():
        rgb = filled(rgb, image.alpha)
    light = _light(rgb)
    white, notices = _white(image.path, rgb, light, image.has_palette)
    lowest, highest = light.getextrema()
    divisor = divisor_of(image.rgb.size, 2 * side)
    if image.alpha is None:
        values = _values([(light, white)], divisor)
    elif lowest == highest:
        values = _values([(image.alpha, 255)], divisor)
    else:
        values = _values([(light, white), (image.alpha, 255)], divisor)
    if not values.any():
        raise ImageError(
            f"{image.path}: the mask is all black, so it selects nothing; white pixels are selected"
        )
    return values, notices


def opacity(alpha: Image.Image) -> Tensor:
    """Return an alpha channel as a mask."""
    return _values([(alpha, 255)])


def _light(colors: Image.Image) -> Image.Image:
    """Return the luminance of an image of any mode, "L"."""
    if colors.mode == "L":
        return colors
    light = Image.new("L", colors.size)
    for top in range(0, colors.height, _ROWS):
        rows = _rows(colors, top, top + _ROWS).convert("RGB")
        light.paste(rows.convert("L"), (0, top))
    return light


def _rows(image: Image.Image, top: int, bottom: int) -> Image.Image:
    return image.crop((0, top, image.width, min(bottom, image.height)))


def _values(channels: Sequence[tuple[Image.Image, int]], divisor: int = 1) -> Tensor:
    """Return the product of channels as float32 (H, W), converted strip by strip.

    Each comes with the level that counts as 1. The result is the mean of squares of `divisor`
    pixels.
    """
    width, height = channels[0][0].size
    values = torch.empty(-(-height // divisor), -(-width // divisor))
    for row in range(0, values.shape[0], _ROWS):
        strip = torch.ones(1)
        for channel, white in channels:
            rows = _rows(channel, row * divisor, (row + _ROWS) * divisor)
            strip = strip * torch.from_numpy(np.array(rows)).float().div_(white).clamp_(0, 1)
        if divisor > 1:
            strip = avg_pool2d(strip[None], divisor, ceil_mode=True)[0]
        values[row : row + _ROWS] = strip
    return values


def _white(
    path: str, rgb: Image.Image, light: Image.Image, has_palette: bool
) -> tuple[int, list[str]]:
    """Return the level that counts as white, and notices. Raises ImageError for a map of labels."""
    used = [level for level, count in enumerate(light.histogram()) if count]
    if used[-1] == 1:
        return 1, [f"{path}: read as a mask of the values 0 and 1; 1 is white"]
    if has_palette and len(used) == 2 and used[0] == 0 and used[1] < 255:
        color = _color_of(rgb, light, used[1])
        return used[1], [f"{path}: read as a mask of two colors; {color} is white"]
    if 2 < len(used) <= _MOST_LABELS and used == list(range(len(used))):
        raise ImageError(
            f"{path}: the values of the mask are 0 to {used[-1]} of 255, as in a map of labels; a "
            "mask goes from 0 to 255 (maps are for `regions`)"
        )
    return 255, []


def _color_of(rgb: Image.Image, light: Image.Image, level: int) -> str:
    """Return the color of the pixels that have this luminance, as #rrggbb."""
    box = light.point([255 * (value == level) for value in range(256)]).getbbox()
    assert box is not None
    row = np.asarray(_rows(light, box[1], box[1] + 1))[0]
    color = (
        _rows(rgb, box[1], box[1] + 1).convert("RGB").getpixel((int(np.argmax(row == level)), 0))
    )
    assert isinstance(color, tuple)
    return "#{:02x}{:02x}{:02x}".format(*color)


def resized(mask: Tensor, height: int, width: int) -> Tensor:
    """Return the mask at (height, width): each element is the mean of the mask over its cell.

    Pixels that lie across a cell's border count in part. So a position of a layer belongs to a
    region as far as its cell lies in it, masks that add up to 1 still do, and thin regions are not
    lost. The memory beside mask and result is that of a few rows. A mask of that size is returned
    as it is.
    """
    rows_first = height * mask.shape[1] <= mask.shape[0] * width
    if rows_first:
        return _along_rows(_along_rows(mask.T, height).T, width).contiguous()
    return _along_rows(_along_rows(mask, width).T, height).T.contiguous()


def _along_rows(mask: Tensor, cells: int) -> Tensor:
    """Return the means over `cells` cells of each row, (rows, cells), float32.

    They are differences of cumulative sums, in float64: those are exact for as many as 2^24 pixels
    of 8 bits, so that a border of cells that is one of pixels is a border exactly.
    """
    pixels = mask.shape[1]
    if pixels == cells:
        return mask.float()
    edges = torch.arange(cells + 1) * pixels  # in units of 1 / cells of a pixel
    whole, part = edges // cells, (edges % cells).double() / cells
    inside = whole.clamp_max(pixels - 1)
    result = torch.empty(mask.shape[0], cells)
    for top in range(0, mask.shape[0], _ROWS):
        strip = mask[top : top + _ROWS].double()
        sums = torch.nn.functional.pad(strip.cumsum(1), (1, 0))
        at_edges = sums[:, whole] + part * strip[:, inside]
        result[top : top + _ROWS] = (at_edges.diff(dim=1) * (cells / pixels)).clamp_(0, 1)
    return result


def region_of(
    mask: Tensor | None, sizes: Mapping[str, tuple[int, int]], device: torch.device
) -> Region:
    """Return the mask at each layer, whose maps have these sizes (height, width), on the device."""
    if mask is None:
        return {}
    return {layer: resized(mask, *size)[None, None].to(device) for layer, size in sizes.items()}
