"""A contact sheet: a grid of images with the names of its columns and rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...core.errors import OutputError, UsageError
from ...core.files import whole_file
from ...core.images.pillow_limits import unlimited_pillow
from ...core.sizes.fitting import fit

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_PAPER, _INK, _EMPTY = (255, 255, 255), (24, 24, 24), (232, 232, 232)
#: A sheet may have so many pixels; a terabyte of memory helps nobody.
_MOST_PIXELS = 400_000_000


@dataclass(frozen=True)
class _Layout:
    """Lengths in pixels. `left` and `top` are what the labels take, `foot` the line below an
    image, `pad` the room between things."""

    width: int
    height: int
    left: int
    top: int
    foot: int
    pad: int
    font: _Font

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """(x, y) of a cell's upper left corner; of the one after the last: the sheet's size."""
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
    """The sheet as RGB. `files` are the images by (row, column); a cell without one is drawn
    empty, and says so.

    All cells have one size: that of the image with most pixels, or what has the given `long_side`,
    in pixels, if that is less. Smaller images are enlarged to it, so that they can be compared;
    when sizes differ, each image's own is written below it. Raises UsageError for too large a
    sheet.
    """
    sizes = {cell: _size(file) for cell, file in files.items()}
    largest = max(sizes.values(), key=prod, default=(long_side, long_side))
    height, width = fit(largest, long_side)
    text = max(11, min(32, width // 12))
    font = ImageFont.load_default(text)
    heads = [_wrapped(label, font, width) for label in columns]
    sides = [_wrapped(label, font, width) for label in rows]
    pad = text // 2
    room = max(_text_size(label, font)[0] for label in sides)
    layout = _Layout(
        width=width,
        height=height,
        left=room + 2 * pad if room else pad,
        top=max(_text_size(label, font)[1] for label in heads) + 2 * pad,
        foot=text + pad if len(set(sizes.values())) > 1 else 0,
        pad=pad,
        font=font,
    )
    whole = layout.corner(len(rows), len(columns))
    if whole[0] * whole[1] > _MOST_PIXELS:
        raise UsageError(f"the sheet would have {whole[0]}x{whole[1]} px; give a `cell_size`")
    sheet = Image.new("RGB", whole, _PAPER)
    _draw_labels(sheet, layout, heads, sides)
    for cell in product(range(len(rows)), range(len(columns))):
        _draw_cell(sheet, layout, cell, files.get(cell), sizes.get(cell))
    return sheet


def _draw_labels(
    sheet: Image.Image, layout: _Layout, heads: Sequence[str], sides: Sequence[str]
) -> None:
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(heads):
        middle = layout.corner(0, column)[0] + layout.width / 2
        draw.text((middle, layout.pad), label, _INK, layout.font, anchor="ma", align="center")
    for row, label in enumerate(sides):
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
        own = f"{size[1]}x{size[0]} px"
        below = y + layout.height + layout.pad // 2
        draw.text((middle, below), own, _INK, layout.font, anchor="ma")


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Write it as a PNG, whole or not at all. Raises OutputError."""
    try:
        with whole_file(path) as file:
            sheet.save(file, "PNG")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def _size(file: Path) -> tuple[int, int]:
    with unlimited_pillow(), Image.open(file) as image:
        return image.height, image.width


def _image(file: Path, width: int, height: int) -> Image.Image:
    """On the paper's color where it is transparent. One of another aspect keeps it."""
    with unlimited_pillow(), Image.open(file) as source:
        rgba = source.convert("RGBA")
    ratio = min(width / rgba.width, height / rgba.height)
    size = max(1, round(rgba.width * ratio)), max(1, round(rgba.height * ratio))
    rgba = rgba.resize(size, Image.Resampling.LANCZOS)
    image = Image.new("RGB", (width, height), _PAPER)
    image.paste(rgba, ((width - size[0]) // 2, (height - size[1]) // 2), rgba)
    return image


def _wrapped(label: str, font: _Font, width: int) -> str:
    """Broken where there is a space, a comma, a plus, a colon or a slash, so that a line fits
    `width`; what is too long in itself is broken at an underscore, or else anywhere."""
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
