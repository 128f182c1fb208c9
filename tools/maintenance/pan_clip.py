"""Maintainer script: numbered images of a camera that pans over a photograph.

    python -m stylectl.tools.maintenance.pan_clip PHOTO FOLDER --size 256x160 --frames 12

`make demo-video` paints them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import UsageError
from ..console.exit import run_and_exit

#: Part of the photograph's width that the camera sees.
_SEEN = 0.7


def main(
    photo: Annotated[str, typer.Argument(help="An image, or sample:photo.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the images.")],
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the images.")] = "256x160",
    frames: Annotated[int, typer.Option(min=2, help="Number of the images.")] = 12,
) -> None:
    """Write the images, from the photograph's left edge to the right one."""
    from PIL import Image

    from ...core.images.decoding import read_image

    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"--size {size}: width and height in pixels, such as 256x160")
    shape = int(width), int(height)
    image = read_image(photo).rgb
    seen_width = _SEEN * image.width
    seen_height = min(seen_width * shape[1] / shape[0], image.height)
    top = (image.height - seen_height) / 2
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(frames):
        left = (image.width - seen_width) * number / (frames - 1)
        box = (left, top, left + seen_width, top + seen_height)
        frame = image.resize(shape, Image.Resampling.LANCZOS, box)
        frame.save(folder / f"{number:05}.png")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_and_exit(lambda: app(prog_name="pan_clip", standalone_mode=False))
