"""Reading of a clip into the work folder, at the size of the result."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from ....core.errors import ImageError, UsageError
from ....core.interfaces.source_image import resized
from ....core.sizes.fitting import Size
from ...clips.source import Clip
from ..events import StageProgress, VideoListener
from .folder import FrameTable, FrameTime, WorkFolder
from .pictures import to_8_bits, write_frame


def read_clip(
    clip: Clip, size: Size, folder: WorkFolder, listener: VideoListener, source: str = "clip"
) -> FrameTable:
    """Write the frames of a clip to the work folder, unless a former run did, and return them.

    `size` is (height, width) in pixels; `source` is the place in the folder. Raises ImageError for
    a clip without frames, and OutputError.
    """
    table = folder.read_table(source)
    if table is not None:
        return table
    folder.clip(source).mkdir(parents=True, exist_ok=True)
    times = []
    for frame in clip.frames():
        image = _resized(to_8_bits(frame.pixels), size)
        alpha = None if frame.alpha is None else _resized(to_8_bits(frame.alpha), size)
        write_frame(folder.frame(frame.index, source), image, alpha)
        times.append(FrameTime(frame.time, frame.duration))
        listener(StageProgress("reading", len(times), clip.info.frames))
    if not times:
        raise ImageError(f"{clip.path}: there are no frames in this part of the clip")
    table = FrameTable(tuple(times), tuple(clip.problems))
    folder.write_table(table, source)
    return table


def check_lengths(table: FrameTable, masks: Mapping[str, FrameTable], clip: str) -> None:
    """Raise UsageError for a mask with another number of frames than the clip."""
    for path, mask in masks.items():
        if len(mask) != len(table):
            raise UsageError(
                f"{path}: the mask has {len(mask)} frames, and {clip} has {len(table)}; a mask "
                "that moves needs one frame for each, one that does not is a single image"
            )


def _resized(image: np.ndarray, size: Size) -> np.ndarray:
    return np.asarray(resized(Image.fromarray(image), *size))
