"""Contact sheet: a grid of images with the names of its columns and rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ....core.errors import OutputError, UsageError
from ....core.files import whole_file
from ....core.images.formats.pillow_limits import unlimited_pillow
from ....core.sizes.fitting import fit

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_PAPER, _INK, _EMPTY = (255, 255, 255), (24, 24, 24), (232, 232, 232)
#: Limit of a sheet's pixels, so that a mistake does not allocate a terabyte.
_MOST_PIXELS = 400_000_000


@dataclass(frozen=True)
class _Layout:
    """Geometry of a sheet; lengths in pixels.

    `left` and `top` are the space for the labels, `foot` the height of the line below an image,
    `pad` the space between items.
    """

    width: int
    height: int
    left: int
    top: int
    foot: int
    pad: int
    font: _Font

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Return (x, y) of a cell's upper left corner; past the last cell, the sheet's size."""
        return (
            self.left + column * (self.width + self.pad),
            self.top + row * (self.height + self.foot + self.pad),
        )


def draw_sheet(
    columns: Sequence[str],
    rows: Sequence[str],
    files: Mapping[tuple[int, int], Path],
    long_side: int,
) -> Image.Image:
    """Draw the contact sheet as an RGB image.

    `files` are the images by (row, column); a cell without one is drawn empty, with the word
    "failed".

    All cells have one size: that of the image with most pixels, reduced to `long_side` pixels if
    its long side is longer. Smaller images are enlarged to it, so that they can be compared; when
    sizes differ, each image's own is written below it. Raises UsageError for a sheet that is too
    large.
    """
    sizes = {cell: _size(file) for cell, file in files.items()}
    largest = max(sizes.values(), key=prod, default=(long_side, long_side))
    height, width = fit(largest, long_side)
    text_height = max(11, min(32, width // 12))
    font = ImageFont.load_default(text_height)
    column_labels = [_wrapped(label, font, width) for label in columns]
    row_labels = [_wrapped(label, font, width) for label in rows]
    pad = text_height // 2
    label_width = max(_text_size(label, font)[0] for label in row_labels)
    layout = _Layout(
        width=width,
        height=height,
        left=label_width + 2 * pad if label_width else pad,
        top=max(_text_size(label, font)[1] for label in column_labels) + 2 * pad,
        foot=text_height + pad if len(set(sizes.values())) > 1 else 0,
        pad=pad,
        font=font,
    )
    sheet_size = layout.corner(len(rows), len(columns))
    if sheet_size[0] * sheet_size[1] > _MOST_PIXELS:
        raise UsageError(
            f"the sheet would have {sheet_size[0]}x{sheet_size[1]} px, which is too large; "
            "give a smaller `cell_size`"
        )
    sheet = Image.new("RGB", sheet_size, _PAPER)
    _draw_labels(sheet, layout, column_labels, row_labels)
    for cell in product(range(len(rows)), range(len(columns))):
        _draw_cell(sheet, layout, cell, files.get(cell), sizes.get(cell))
    return sheet


def _draw_labels(
    sheet: Image.Image, layout: _Layout, column_labels: Sequence[str], row_labels: Sequence[str]
) -> None:
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(column_labels):
        middle = layout.corner(0, column)[0] + layout.width / 2
        draw.text((middle, layout.pad), label, _INK, layout.font, anchor="ma", align="center")
    for row, label in enumerate(row_labels):
        middle = layout.corner(row, 0)[1] + layout.height / 2
        draw.text((layout.pad, middle), label, _INK, layout.font, anchor="lm")


def _draw_cell(
    sheet: Image.Image,
    layout: _Layout,
    cell: tuple[int, int],
    file: Path | None,
    size: tuple[int, int] | None,
) -> None:
    draw = ImageDraw.Draw(sheet)
    x, y = layout.corner(*cell)
    middle = x + layout.width / 2
    if file is None or size is None:
        draw.rectangle((x, y, x + layout.width - 1, y + layout.height - 1), _EMPTY)
        draw.text((middle, y + layout.height / 2), "failed", _INK, layout.font, anchor="mm")
        return
    sheet.paste(_image(file, layout.width, layout.height), (x, y))
    if layout.foot:
        caption = f"{size[1]}x{size[0]} px"
        below = y + layout.height + layout.pad // 2
        draw.text((middle, below), caption, _INK, layout.font, anchor="ma")


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a sheet as a PNG, completely or not at all. Raises OutputError."""
    try:
        with whole_file(path) as file:
            sheet.save(file, "PNG")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def _size(file: Path) -> tuple[int, int]:
    with unlimited_pillow(), Image.open(file) as image:
        return image.height, image.width


def _image(file: Path, width: int, height: int) -> Image.Image:
    """Read an image as RGB, fitted into a cell, with the paper's color where it is transparent.

    Its aspect ratio is kept.
    """
    with unlimited_pillow(), Image.open(file) as source:
        rgba = source.convert("RGBA")
    ratio = min(width / rgba.width, height / rgba.height)
    size = max(1, round(rgba.width * ratio)), max(1, round(rgba.height * ratio))
    rgba = rgba.resize(size, Image.Resampling.LANCZOS)
    image = Image.new("RGB", (width, height), _PAPER)
    image.paste(rgba, ((width - size[0]) // 2, (height - size[1]) // 2), rgba)
    return image


def _wrapped(label: str, font: _Font, width: int) -> str:
    """Break a label into lines that fit `width`, in pixels.

    It is broken after a space, a comma, a plus, a colon or a slash; a part that is too long by
    itself is broken after an underscore, or else anywhere.
    """
    lines = []
    for line in label.split("\n"):
        lines.append("")
        for part in _parts(line, font, width):
            if lines[-1] and font.getlength((lines[-1] + part).rstrip()) > width:
                lines.append("")
            lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _parts(line: str, font: _Font, width: int) -> Iterator[str]:
    for part in re.findall(r"[^ ,+:/]*[ ,+:/]?", line):
        for piece in re.findall(r"[^_]*_?", part) if font.getlength(part) > width else [part]:
            yield from piece if font.getlength(piece) > width else [piece]


def _text_size(label: str, font: _Font) -> tuple[int, int]:
    if not label:
        return 0, 0
    box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), label, font)
    return round(box[2]), round(box[3])
