"""Writing of the finished frames of a video to its output."""

from __future__ import annotations

from ...core.interfaces.events import Notice
from ..clips.source import Clip
from ..clips.target import ClipTarget
from ..clips.writer import ClipWriter
from .events import StageProgress, VideoListener
from .painting import PaintingTask
from .work.pictures import read_alpha, read_frame, to_float


def write_video(
    target: ClipTarget,
    clip: Clip,
    task: PaintingTask,
    record: str,
    listener: VideoListener,
) -> None:
    """Write the results of the last pass, with the sound of the clip and the `record`.

    Raises OutputError; a former file is then left as it was.
    """
    folder, times = task.folder, task.table.times
    with ClipWriter(target, clip, record) as writer:
        for number, shown in enumerate(times):
            pixels = to_float(read_frame(folder.result(number, task.last_pass)))
            alpha = read_alpha(folder.frame(number)) if target.alpha else None
            writer.add(
                pixels, None if alpha is None else to_float(alpha), shown.time, shown.duration
            )
            listener(StageProgress("writing", number + 1, len(times)))
        writer.finish()
        for message in writer.notices:
            if message not in target.notices:  # these were said before the work began
                listener(Notice(message))
