"""Frames painted each by itself, beside which a video is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ....core.interfaces.events import Event, Notice
from ....core.run.session import Session
from ..events import FrameDone, StageProgress, VideoEvent, VideoListener
from ..painting import Painter, PaintingTask, Turn
from ..work.flows import KnownFlow

#: Most frames that are painted by themselves for a report; each takes as long as a first frame.
_MOST_FRAMES = 12


def compared_frames(scene_starts: Sequence[int], frames: int) -> range:
    """Return the frames of a clip that a report paints by themselves.

    They are consecutive frames of one scene, as many as possible and at most 12, as near to the
    middle of the clip as possible. `scene_starts` are the first frames of the scenes.
    """
    middle = frames / 2
    stretches = []
    for start, end in zip(scene_starts, [*scene_starts[1:], frames], strict=True):
        count = min(_MOST_FRAMES, end - start)
        first = min(max(start, round(middle - count / 2)), end - count)
        stretches.append(range(first, first + count))
    return max(
        stretches,
        key=lambda numbers: (len(numbers), -abs(numbers.start + len(numbers) / 2 - middle)),
    )


def paint_frame_by_frame(
    task: PaintingTask, numbers: Sequence[int], listener: VideoListener
) -> None:
    """Paint frames as if each started a scene: with all steps, and alike in everything else.

    Their results are files of the work folder; those that are there are not painted again. Raises
    KeyboardInterrupt after a request to stop, and StylectlError.
    """
    painter = _PainterOfSingleFrames(task, numbers)
    painted = len(numbers) - len(painter.remaining())

    def listen(event: VideoEvent) -> None:
        nonlocal painted
        if isinstance(event, FrameDone):
            painted += 1
            listener(StageProgress("comparing", painted, len(numbers)))

    def listen_to_run(event: Event) -> None:
        if isinstance(event, Notice):
            listener(event)

    with Session() as session:
        painter.paint(session, listen_to_run, listen)


class _PainterOfSingleFrames(Painter):
    """Painter that takes nothing over from one frame to another."""

    def __init__(self, task: PaintingTask, numbers: Sequence[int]) -> None:
        super().__init__(task)
        self._numbers = numbers

    def remaining(self) -> list[Turn]:
        """Return the frames to paint, in their order."""
        turns = [Turn(number, 0, 1) for number in self._numbers]
        return [turn for turn in turns if not self._file(turn).is_file()]

    def _surroundings(self, turn: Turn) -> dict[int, KnownFlow]:
        return {}

    def _file(self, turn: Turn) -> Path:
        return self._task.folder.single(turn.number)
