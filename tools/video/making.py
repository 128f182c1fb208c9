"""Making of a video: its clip is read, its frames painted, its output written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ...core.checkpoints.conditions import differences, planned_conditions
from ...core.checkpoints.folder import checkpoints_in
from ...core.checkpoints.format import Request
from ...core.files import check_is_no_input
from ...core.interfaces.events import Notice
from ...core.job.video import VideoSettings
from ...core.machine.host_memory import in_words
from ...core.run.checkpointing import Checkpointing
from ...core.run.session import Session
from ...core.sizes.fitting import Size
from ...core.stopping import StopRequests
from ...plugins.listening import PluginListeners
from ...plugins.manager import Plugins
from ..clips.source import Clip, ClipOptions, open_clip
from ..clips.target import ClipTarget, plan_clip
from .encoding import write_video
from .events import VideoFinished, VideoListener, VideoStarted
from .identity import identity, input_hashes
from .painting import Painter, PaintingTask
from .planning import VideoPlan
from .records import record_text
from .report.extras import Extras
from .report.writing import write_extras
from .work.extraction import check_lengths, read_clip
from .work.folder import FrameTable, WorkFolder

#: Seconds between two checkpoints of a frame.
_CHECKPOINT_EVERY = 60.0

#: Bytes of the work folder for each pixel of a frame, about: the frame, its flows and results.
_BYTES_PER_PIXEL = 14


@dataclass(frozen=True)
class Keeping:
    """Place of a video's work, and the requests to stop it.

    - `work`: the work folder; None for the one beside the output, ``OUT.work``.
    """

    work: Path | None = None
    stops: StopRequests = field(default_factory=StopRequests)


@dataclass(frozen=True)
class Video:
    """A finished video.

    - `output`: its file, or the pattern of its images.
    - `frames`: their number, of `size` (height, width) in pixels.
    - `seconds`: of the last run.
    - `folder`: the work folder with its frames, which may be deleted.
    """

    output: Path
    frames: int
    size: Size
    seconds: float
    folder: Path

    def summary(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        height, width = self.size
        return {
            "output": str(self.output),
            "frames": self.frames,
            "size": [width, height],
            "seconds": round(self.seconds, 3),
            "work": str(self.folder),
        }


def make_video(
    video: VideoPlan,
    output: Path,
    plugins: Plugins,
    listener: VideoListener,
    keeping: Keeping = Keeping(),
    extras: Extras = Extras(),  # noqa: B008 - frozen
) -> Video:
    """Make a video, or what remains of it, and return it.

    All that can be checked is checked before the first frame is painted. Raises StylectlError and
    its subclasses, KeyboardInterrupt after a request to stop, and what the listener raises. The
    frames so far are kept in the work folder, and the same call goes on from them.
    """
    return _Making(video, output, plugins, listener, keeping, extras).video()


class _Making:
    """State of `make_video`."""

    def __init__(
        self,
        video: VideoPlan,
        output: Path,
        plugins: Plugins,
        listener: VideoListener,
        keeping: Keeping,
        extras: Extras,
    ) -> None:
        self._extras = extras
        self._video, self._output, self._plugins = video, output, plugins
        self._listener, self._keeping = listener, keeping
        self._started = time.perf_counter()

    def video(self) -> Video:
        with ExitStack() as stack:
            options = clip_options(self._video.settings, self._video.plan.job.max_pixels)
            clips = {
                path: stack.enter_context(open_clip(path, options))
                for path in (self._video.clip, *self._video.moving)
            }
            clip = clips[self._video.clip]
            size = self._video.size((clip.info.height, clip.info.width))
            target = self._target(clip, size)
            hashes = input_hashes(
                self._video,
                {path: opened.fingerprint() for path, opened in clips.items()},
            )
            inputs = [Path(path) for path in hashes if path]
            check_is_no_input([target.path], inputs)
            self._extras.check(target, clips, inputs)
            work = self._keeping.work or _work_beside(target)
            folder = WorkFolder(work, identity(self._video, hashes))
            stack.enter_context(folder.held())
            self._note_conditions(folder)
            table = self._read(clips, size, folder)
            checkpoints = Checkpointing(
                checkpoints_in(folder.checkpoints),
                _CHECKPOINT_EVERY,
                Request(folder=str(Path.cwd())),
            )
            task = PaintingTask(self._video, folder, table, size, checkpoints, self._keeping.stops)
            self._paint(task)
            return self._write(target, clip, task, hashes)

    def _target(self, clip: Clip, size: Size) -> ClipTarget:
        """Check the output, and say what is known before the work begins."""
        for message in clip.info.notices:
            self._listener(Notice(message))
        settings = self._video.settings
        target = plan_clip(
            self._output,
            size,
            clip.info.fps,
            settings.codec,
            settings.crf,
            alpha=clip.info.has_alpha,
        )
        for message in target.notices:
            self._listener(Notice(message))
        return target

    def _read(self, clips: Mapping[str, Clip], size: Size, folder: WorkFolder) -> FrameTable:
        self._warn_of_disk(clips[self._video.clip].info.frames, size, folder)
        table = read_clip(clips[self._video.clip], size, folder, self._listener)
        masks = {
            path: read_clip(clips[path], size, folder, self._listener, f"masks/{number}")
            for number, path in enumerate(self._video.moving)
        }
        for message in (problem for read in (table, *masks.values()) for problem in read.problems):
            self._listener(Notice(message))
        check_lengths(table, masks, self._video.clip)
        return table

    def _paint(self, task: PaintingTask) -> None:
        painter = Painter(task)
        passes = task.video.settings.passes
        count = len(task.table) * passes
        painted = count - len(painter.remaining())
        self._listener(VideoStarted(len(task.table), passes, task.size, painted, task.folder.path))
        listeners = PluginListeners(self._plugins, self._listener)
        try:
            with Session() as session:
                painter.paint(session, listeners, self._listener)
        except KeyboardInterrupt:
            self._listener(
                Notice(
                    f"stopped; {count - len(painter.remaining())} finished frames are kept in "
                    f"{task.folder.path}, and the same command goes on from them"
                )
            )
            raise
        if listeners.failure:
            raise listeners.failure

    def _write(
        self, target: ClipTarget, clip: Clip, task: PaintingTask, hashes: Mapping[str, str]
    ) -> Video:
        frames = len(task.table)
        seconds = time.perf_counter() - self._started
        record = record_text(task.video, hashes, frames, seconds, target.path)
        write_video(target, clip, task, record, self._listener)
        write_extras(self._extras, task, record, self._listener)
        seconds = time.perf_counter() - self._started
        self._listener(VideoFinished(target.path, frames, seconds))
        return Video(target.path, frames, target.size, seconds, task.folder.path)

    def _note_conditions(self, folder: WorkFolder) -> None:
        """Say if frames were painted under other conditions, and keep those of this run."""
        conditions = planned_conditions(self._video.plan, self._plugins.registry)
        now = {name: conditions[name] for name in ("versions", "plugins", "machine", "options")}
        former = folder.read_state().get("conditions", {})
        if former and (changes := differences(former, now)):
            self._listener(
                Notice(
                    f"{folder.path}: frames painted before had other conditions: "
                    f"{', '.join(changes)}; they are kept, and may differ slightly from new ones"
                )
            )
        folder.write_state({"conditions": now})

    def _warn_of_disk(self, frames: int | None, size: Size, folder: WorkFolder) -> None:
        if frames is None or folder.read_table() is not None:
            return
        needed = _BYTES_PER_PIXEL * frames * size[0] * size[1]
        free = shutil.disk_usage(folder.path).free
        if needed > free:
            self._listener(
                Notice(
                    f"{folder.path}: {frames} frames take about {in_words(needed)}, and "
                    f"{in_words(free)} are free; name another folder with `work`"
                )
            )


def _work_beside(target: ClipTarget) -> Path:
    """Return the work folder beside the output; of numbered images, beside their folder."""
    output = target.path.parent.absolute() if target.kind == "images" else target.path
    return output.with_name(f"{output.name}.work")


def clip_options(settings: VideoSettings, max_pixels: int) -> ClipOptions:
    """Return which frames of a clip are read."""
    return ClipOptions(
        start=settings.start,
        end=settings.end,
        every=settings.every,
        fps=settings.fps,
        deinterlace=settings.deinterlace,
        max_pixels=max_pixels,
    )
