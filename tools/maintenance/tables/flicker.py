"""Maintainer script: the docs' table of how steady videos are, on clips with exact optical flow.

    python -m stylectl.tools.maintenance.tables.flicker PHOTO OTHER_PHOTO PAINTING --size 160x96

The clips are those of `synthetic_clips.py`, views of PHOTO; a disc and the scene after a cut are of
OTHER_PHOTO. Each is painted as a video, with the exact flow and with others, and frame by frame:
every frame by itself, with the same settings and all steps. The table has

- warping: the warping error (core/video/warping_error.py) of the video divided by that of frame by
  frame, at distances of 1, 5 and 10 frames, with the exact flow; means over the frames;
- style: the distance of Gram matrices from the painting's (tools/judge/gram.py), a mean over the
  frames, of frame by frame and of the video.

With --folder, what was painted stays there, a later call goes on from it, and NAME.png shows some
frames of each clip.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....core.errors import UsageError
from ....core.job.options.text import numbers
from ....core.machine.malloc import keep_freed_memory
from ...console.exit import run_and_exit

if TYPE_CHECKING:
    from .flicker_runs import Measured

#: Distances of the columns.
_HEAD = (
    "| clip | flow | temporal weight | warping, distance 1 | 5 | 10 | style, frame by frame "
    "| style, video |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main(
    photo: Annotated[str, typer.Argument(help="An image, or sample:photo.")],
    other_photo: Annotated[str, typer.Argument(help="Another image.")],
    painting: Annotated[str, typer.Argument(help="The style image, or sample:painting.")],
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the frames.")] = "160x96",
    frames: Annotated[int, typer.Option(min=2, help="Frames of each clip.")] = 12,
    iterations: Annotated[int, typer.Option(min=1, help="Steps of a full run.")] = 300,
    weights: Annotated[str, typer.Option(metavar="X,X", help="Temporal weights.")] = "100",
    flows: Annotated[str, typer.Option(metavar="NAME,NAME", help="Flows.")] = "exact,dis",
    clips: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Clips; all if left out.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder of what is painted.")] = None,
) -> None:
    """Paint the clips, and print the table."""
    from .flicker_runs import Settings, means, measured

    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(
            (photo, other_photo),
            painting,
            _size(size),
            frames,
            iterations,
            tuple(numbers("weights", weights)),
            tuple(flows.split(",")),
            None if clips is None else tuple(clips.split(",")),
        )
        rows: list[Measured] = []
        print(_HEAD, flush=True)
        for row in measured(settings, place):
            rows.append(row)
            print(_line(row), flush=True)
        for row in means(rows):
            print(_line(row))


def _size(text: str) -> tuple[int, int]:
    """Return (height, width). Raises UsageError."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 64):
        raise UsageError(f"--size {text}: width and height of at least 64 px, such as 160x96")
    return int(height), int(width)


def _line(row: Measured) -> str:
    return "| " + " | ".join(_cells(row)) + " |"


def _cells(row: Measured) -> Iterator[str]:
    yield from (row.clip, row.flow, f"{row.weight:g}")
    for ratio in row.ratios:
        yield "" if ratio is None else f"{ratio:.3f}"
    yield f"{row.style_frame_by_frame:.3f}"
    yield f"{row.style:.3f} ({100 * (row.style / row.style_frame_by_frame - 1):+.1f} %)"


if __name__ == "__main__":
    keep_freed_memory()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_and_exit(lambda: app(prog_name="flicker", standalone_mode=False))
