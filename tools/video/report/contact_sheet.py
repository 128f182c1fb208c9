"""Contact sheet of a video: frames from all of it, with their times."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ....core.sizes.fitting import fit
from ...queue.sheets.contact_sheet import write_sheet
from ..work.folder import FrameTable, WorkFolder
from ..work.pictures import read_frame, to_8_bits, to_float

#: Most frames of a sheet, and the longest side of one, in pixels.
_MOST_FRAMES, _LONG_SIDE = 12, 480

#: Frames in a row: more of them where they are upright.
_COLUMNS, _UPRIGHT_COLUMNS = 4, 6

_PAPER, _INK, _PAD = (255, 255, 255), (24, 24, 24), 10


def write_contact_sheet(path: Path, folder: WorkFolder, table: FrameTable, last_pass: int) -> None:
    """Write the sheet of a finished video as PNG. Raises OutputError."""
    numbers = spread(len(table))
    images = {number: to_float(read_frame(folder.result(number, last_pass))) for number in numbers}
    height, width = next(iter(images.values())).shape[:2]
    height, width = fit((height, width), min(_LONG_SIDE, max(height, width)))
    font = ImageFont.load_default(max(11, min(20, width // 12)))
    line = math.ceil(font.getbbox("0:00")[3]) + _PAD
    columns = min(len(numbers), _UPRIGHT_COLUMNS if height > width else _COLUMNS)
    rows = -(-len(numbers) // columns)
    size = (_PAD + columns * (width + _PAD), _PAD + rows * (height + line + _PAD // 2))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (number, pixels) in enumerate(images.items()):
        row, column = divmod(place, columns)
        x, y = _PAD + column * (width + _PAD), _PAD + row * (height + line + _PAD // 2)
        image = Image.fromarray(to_8_bits(pixels))
        sheet.paste(image.resize((width, height), Image.Resampling.LANCZOS), (x, y))
        below = (x + width / 2, y + height + _PAD // 2)
        draw.text(below, time_text(table.times[number].time), _INK, font, anchor="ma")
    write_sheet(sheet, path)


def spread(frames: int) -> list[int]:
    """Return the numbers of at most 12 frames, the first and the last among them."""
    count = min(_MOST_FRAMES, frames)
    return [round(place * (frames - 1) / max(1, count - 1)) for place in range(count)]


def time_text(seconds: float) -> str:
    """Return a time such as ``0:07.25`` or ``1:02:07.25``."""
    hundredths = round(100 * seconds)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{rest // 100:02}.{rest % 100:02}"
