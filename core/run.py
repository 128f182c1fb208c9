"""The run: from a plan to a result."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version

from torch import Generator, Tensor

from .canvas import size_notices
from .color import coloring, recolored
from .events import Listener, Notice, RunFinished, RunStarted, ScaleStarted, StepDone, ignore
from .guard import steps_with_recovery
from .initial import StartingPoint
from .inputs import Inputs
from .memory import explaining_out_of_memory
from .plan import Plan
from .result import Result, StepRecord
from .schedule import Scale
from .seamless import resized
from .sight import Sight, at_scale, enlargements, scales_for, sizes_seen
from .studio import Studio
from .tiles import Tiler
from .tiling import tilers_for, tiles_in_words


def run_plan(
    plan: Plan, inputs: Inputs, listener: Listener = ignore, studio: Studio | None = None
) -> Result:
    """Paint the picture, in a `studio` that others were painted in, or in one of its own.

    Ctrl-C, or an error half-way, ends the run early: the result then has the last good picture, at
    the scale that it had come to, and `stopped_by` says why. Before the first step they go on:
    ImageError, BackendError, MemoryLimitError, NumericalError, PluginError, WeightsError.
    """
    scales = scales_for(plan, inputs)
    final = scales[-1]
    told = size_notices(plan.job, inputs.content, final.size)
    for message in (*told, *inputs.notices, *enlargements(inputs, max(final.size))):
        listener(Notice(message))
    with nullcontext(studio) if studio else Studio() as place:
        backend = place.backend(plan)
        tilers = tilers_for(plan, inputs, scales, backend)
        backend.prepare(_sizes_of_crops(plan, inputs, scales, tilers))
        tiles = tiles_in_words(tilers, scales)
        details = {**backend.details, **({"tiles": tiles} if tiles else {})}
        if tiles:
            listener(Notice(f"the picture is computed in tiles, which fit the memory: {tiles}"))
        listener(RunStarted(plan.job, tuple(scales), str(backend.device), details))
        painter = _Painter(plan, inputs, scales, tilers, details, place, listener)
        try:
            for index, scale in enumerate(scales):
                with explaining_out_of_memory(plan, scale.size, backend.device):
                    painter.paint(index, scale)
        except (KeyboardInterrupt, Exception) as error:
            if not painter.has_painted:
                raise
            result = painter.result(stopped_by=error)
        else:
            result = painter.result()
    listener(RunFinished(result))
    return result


class _Painter:
    """The run's state: the picture so far and the record of its steps."""

    def __init__(
        self,
        plan: Plan,
        inputs: Inputs,
        scales: Sequence[Scale],
        tilers: Sequence[Tiler],
        details: Mapping[str, str],
        studio: Studio,
        listener: Listener,
    ) -> None:
        self._plan, self._inputs, self._studio, self._listener = plan, inputs, studio, listener
        self._backend = studio.backend(plan)
        self._scales, self._tilers, self._details = tuple(scales), tuple(tilers), details
        self._started = time.perf_counter()
        self._seen = recolored(inputs, plan.job.color, scales[-1].size)
        self._records: list[StepRecord] = []
        #: What the optimizer moves, and what of it is shown.
        self.image: Tensor | None = None
        self._shown: Tensor | None = None

    def paint(self, index: int, scale: Scale) -> None:
        """Carry the picture over to `scale` and optimise it there."""
        self._listener(ScaleStarted(index, scale))
        tiler = self._tilers[index]
        sight = at_scale(self._plan, self._seen, scale, self._backend.device, tiler)
        if self.image is None:
            start = self._first_image(sight)
        else:
            start = self._carried_over(self.image, sight.content)
        objective = self._studio.objective(self._plan, self._inputs, sight)
        colors = coloring(self._inputs, self._plan.job.color, scale, self._backend.device)
        iterates = steps_with_recovery(
            self._plan.optimizer,
            colors.started(start),
            lambda image: colors.moved(objective.evaluate(image)),
            scale.steps,
            lambda message: self._listener(Notice(message)),
        )
        for step, iterate in enumerate(iterates):
            self.image, self._shown = iterate.image, colors.shown(iterate.image)
            value, losses = iterate.evaluation.value, iterate.evaluation.losses
            seconds = time.perf_counter() - self._started
            self._records.append(StepRecord(index, step, losses, seconds))
            self._listener(StepDone(index, step, value, losses, seconds, self._shown))

    @property
    def has_painted(self) -> bool:
        """Whether a step was made: the starting point alone is nobody's picture."""
        return any(record.step > 0 for record in self._records)

    def result(self, stopped_by: BaseException | None = None) -> Result:
        """The picture so far, clipped, with its record."""
        assert self._shown is not None
        content = self._inputs.content
        pixels = self._shown[0].clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()
        return Result(
            image=pixels,
            alpha=content.alpha_array(*pixels.shape[:2]) if content is not None else None,
            content=content,
            styles=tuple((style.picture, style.share) for style in self._inputs.styles),
            job=self._plan.job,
            steps=tuple(self._records),
            inputs=self._inputs.hashes,
            versions=_versions(),
            backend=self._plan.backend.name,
            device=str(self._backend.device),
            details=self._details,
            seconds=time.perf_counter() - self._started,
            stopped_by=stopped_by,
            scales=self._scales,
        )

    def _first_image(self, sight: Sight) -> Tensor:
        job = self._plan.job
        generator = Generator().manual_seed(job.seed)
        styles = [(style.image, style.share) for style in sight.styles]
        start = StartingPoint(sight.content, styles, generator, self._inputs.start)
        return self._plan.initializer.image(start)

    def _carried_over(self, image: Tensor, content: Tensor) -> Tensor:
        """The picture at the size of `content`. If it began as the content, it gets the detail of
        the content that its own scale could not hold: fine structures would not come back else."""
        wraps, size = self._plan.job.seamless, content.shape[2:]
        carried = resized(image, size, wraps)
        if self._plan.initializer.shows_content:
            coarse = resized(content, image.shape[2:], wraps)
            carried += content - resized(coarse, size, wraps)
        return carried


def _sizes_of_crops(
    plan: Plan, inputs: Inputs, scales: Sequence[Scale], tilers: Sequence[Tiler]
) -> list[tuple[int, int]]:
    """What the network sees of every image at a time, the finished picture's last."""
    return [
        tile.crop_size
        for scale, tiler in zip(scales, tilers, strict=True)
        for size in sizes_seen(plan, inputs, [scale])
        for tile in tiler.tiles(*size)
    ]


def _versions() -> dict[str, str]:
    packages = ("stylectl", "torch", "numpy", "pillow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
