"""Painting of the frames of a video, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...core.interfaces.events import Event, Listener, Notice, RunFinished
from ...core.interfaces.result import Result
from ...core.interfaces.video.former import FormerResults
from ...core.outputs.targets import Target
from ...core.planning.plan import Plan
from ...core.run.checkpointing import Checkpointing, CheckpointKeeper
from ...core.run.runner import run
from ...core.run.session import Session
from ...core.run.snapshots import SnapshotRecorder
from ...core.sizes.fitting import Size
from ...core.stopping import StopRequests
from ...core.video.taking_over import Neighbor, taken_over
from .events import FrameDone, FrameStarted, VideoListener
from .planning import VideoPlan
from .work.flows import Flows, KnownFlow
from .work.folder import FrameTable, WorkFolder
from .work.pictures import read_frame, to_16_bits, to_float, write_frame


@dataclass(frozen=True)
class Turn:
    """A frame in a pass; `direction` is 1 in a pass forward, and -1 in one backward."""

    number: int
    painting_pass: int
    direction: int


#: Flows of a frame to those that it is held to, by their numbers; none at the start of a scene.
_Surroundings = dict[int, KnownFlow]


def turns(frames: int, passes: int) -> Iterator[Turn]:
    """Yield the frames in the order in which they are painted: forward, backward, forward ..."""
    for painting_pass in range(passes):
        direction = -1 if painting_pass % 2 else 1
        for number in range(frames)[::direction]:
            yield Turn(number, painting_pass, direction)


@dataclass(frozen=True)
class PaintingTask:
    """A video whose clip is read, and whose frames are to be painted.

    - `folder`: the work folder, which has the frames of `table`, of `size` (height, width) in
      pixels.
    - `checkpoints`: how those of a frame are kept; None keeps none.
    - `stops`: requests to stop, which wait while files are written.
    """

    video: VideoPlan
    folder: WorkFolder
    table: FrameTable
    size: Size
    checkpoints: Checkpointing | None = None
    stops: StopRequests = field(default_factory=StopRequests)

    @property
    def last_pass(self) -> int:
        """Number of the last pass, from 0."""
        return self.video.settings.passes - 1


class Painter:
    """Painter of the frames that are not painted yet.

    The flows of the next frame are computed on another thread while the network works. A frame is a
    function of the files of the work folder alone, so that a run that goes on after it was killed
    paints the same frames as one that was not.
    """

    def __init__(self, task: PaintingTask) -> None:
        """Paint the frames of a task into its work folder."""
        self._task = task
        self._flows = Flows(task.video.flow, task.video.flow_label, task.folder)
        self._starts: dict[int, bool] = {}
        self._said: set[str] = set()

    def remaining(self) -> list[Turn]:
        """Return the frames to paint, in their order."""
        order = list(turns(len(self._task.table), self._task.video.settings.passes))
        painted = {turn for turn in order if self._file(turn).is_file()}
        # A pass begins when the one before is finished; earlier ones were removed.
        last = max((turn.painting_pass for turn in painted), default=0)
        return [turn for turn in order if turn.painting_pass >= last and turn not in painted]

    def paint(self, session: Session, run_listener: Listener, listener: VideoListener) -> None:
        """Paint all frames that remain.

        `run_listener` gets the events of each frame's run, `listener` those of the video. Raises
        KeyboardInterrupt after a request to stop, and StylectlError; finished frames are kept.
        """
        styles = self._task.video.style_hashes()
        remaining = self.remaining()
        with ThreadPoolExecutor(1, "flow") as pool:
            ahead: Future[_Surroundings] | None = None
            for turn, following in zip_longest(remaining, remaining[1:]):
                surroundings = (ahead or pool.submit(self._surroundings, turn)).result()
                ahead = pool.submit(self._surroundings, following) if following else None
                session.expect(styles, lambda images: images <= styles)
                self._paint(turn, surroundings, session, run_listener, listener)
                self._remove_former_pass(turn)

    def _surroundings(self, turn: Turn) -> _Surroundings:
        """Return the flows to the frames that were painted before in the pass and the scene."""
        flows: _Surroundings = {}
        for offset in self._task.video.settings.offsets:
            former = turn.number - turn.direction * offset
            if not 0 <= former < len(self._task.table) or not self._same_scene(turn.number, former):
                break
            known = self._flows.flow(turn.number, former)
            if known is not None:
                flows[former] = known
        return flows

    def _same_scene(self, first: int, second: int) -> bool:
        later = range(min(first, second) + 1, max(first, second) + 1)
        return not any(self._starts_scene(number) for number in later)

    def _starts_scene(self, number: int) -> bool:
        if number not in self._starts:
            self._starts[number] = self._flows.starts_scene(number)
        return self._starts[number]

    def _paint(
        self,
        turn: Turn,
        surroundings: _Surroundings,
        session: Session,
        run_listener: Listener,
        listener: VideoListener,
    ) -> None:
        before = self._before(turn)
        starts_scene = not surroundings and before is None
        listener(FrameStarted(turn.number, turn.painting_pass, starts_scene))
        started = time.perf_counter()
        if not surroundings and before is not None:
            # The first frame of a later pass: it stays as it is.
            self._write(turn, before[0].permute(1, 2, 0).numpy())
            steps = 0
        else:
            plan = self._plan(turn, starts_scene)
            former = self._former(turn, surroundings, before)
            result = self._run(turn, plan, former, session, run_listener)
            self._write(turn, result.image)
            run_listener(RunFinished(result, (self._file(turn),)))
            steps = sum(record.step > 0 for record in result.steps)
        seconds = time.perf_counter() - started
        listener(FrameDone(turn.number, turn.painting_pass, seconds, steps, self._file(turn)))
        self._task.stops.raise_deferred()

    def _run(
        self,
        turn: Turn,
        plan: Plan,
        former: FormerResults | None,
        session: Session,
        listener: Listener,
    ) -> Result:
        """Run the job of a frame. Raises what stopped it before its end."""
        listener = self._once(listener)
        with ExitStack() as stack:
            keeper = None
            if self._task.checkpoints:
                recorder = stack.enter_context(SnapshotRecorder(0, listener))
                targets = [Target(self._file(turn))]
                keeper = stack.enter_context(
                    CheckpointKeeper(
                        self._task.checkpoints,
                        plan,
                        self._task.video.registry,
                        targets,
                        recorder,
                        listener,
                        self._task.stops,
                    )
                )
            result = run(session.prepare(plan, former), listener, session, keeper)
            if result.stopped_by is not None:
                raise result.stopped_by
            if keeper:
                keeper.discard()
            return result

    def _plan(self, turn: Turn, starts_scene: bool) -> Plan:
        video, folder = self._task.video, self._task.folder
        files = {video.clip: str(folder.frame(turn.number))}
        for number, path in enumerate(video.moving):
            files[path] = str(folder.frame(turn.number, f"masks/{number}"))
        times = self._task.table.times
        position = times[turn.number].time / times[-1].time if times[-1].time else 0.0
        return video.frame(self._task.size, files, position, starts_scene)

    def _before(self, turn: Turn) -> Tensor | None:
        """Return the frame's result (1, 3, H, W) of the pass before, or None."""
        if turn.painting_pass == 0:
            return None
        return self._result(Turn(turn.number, turn.painting_pass - 1, -turn.direction))

    def _former(
        self, turn: Turn, surroundings: _Surroundings, before: Tensor | None
    ) -> FormerResults | None:
        """Return what the frame takes over; None at the start of a scene."""
        if not surroundings:
            return None
        neighbors = [
            Neighbor(
                self._result(Turn(former, turn.painting_pass, turn.direction)),
                known.flow,
                known.reliability,
            )
            for former, known in surroundings.items()
        ]
        return taken_over(neighbors, self._task.video.plan.job.seed, turn.number, before)

    def _result(self, turn: Turn) -> Tensor:
        image = to_float(read_frame(self._file(turn)))
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].contiguous()

    def _write(self, turn: Turn, image: np.ndarray) -> None:
        file = self._file(turn)
        file.parent.mkdir(exist_ok=True)
        with self._task.stops.deferred():
            write_frame(file, to_16_bits(image))

    def _file(self, turn: Turn) -> Path:
        return self._task.folder.result(turn.number, turn.painting_pass)

    def _remove_former_pass(self, turn: Turn) -> None:
        """Remove a frame of the pass before the last one, which nothing reads any more."""
        if turn.painting_pass >= 2:
            former = self._task.folder.result(turn.number, turn.painting_pass - 2)
            former.unlink(missing_ok=True)

    def _once(self, listener: Listener) -> Listener:
        """Return a listener that gets each notice of all frames once."""

        def listen(event: Event) -> None:
            if isinstance(event, Notice):
                if event.message in self._said:
                    return
                self._said.add(event.message)
            listener(event)

        return listen
