"""The run: from a plan to a result."""

from __future__ import annotations

import platform
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import torch
import torch.nn.functional as F
from torch import Tensor

from .backbone import Backbone
from .backend import Features, FeatureBackend
from .errors import ImageError
from .events import Listener, Notice, RunFinished, RunStarted, ScaleStarted, StepDone, ignore
from .guard import steps_with_recovery
from .images import Picture, fit, read_picture
from .initial import StartingPoint
from .memory import check_memory, explaining_out_of_memory
from .objective import Objective, WeightedLoss
from .plan import Plan, PlannedTerm
from .result import Result, StepRecord
from .schedule import Scale, plan_scales
from .terms import IMAGE_LAYER, References, Style


def run_plan(plan: Plan, listener: Listener = ignore) -> Result:
    """Paint the picture.

    Ctrl-C ends the run early: the result then has the last good picture, at the scale that it had
    come to, and `interrupted` set; before the first picture KeyboardInterrupt goes on to the caller.
    Raises ImageError, BackendError, MemoryLimitError, NumericalError, PluginError, WeightsError.
    """
    inputs = _read_inputs(plan)
    scales = _scales(plan, inputs)
    if len(scales) < plan.job.scales and "scales" in plan.job.model_fields_set:
        listener(Notice(f"{len(scales)} of {plan.job.scales} scales are used at this size"))
    final = scales[-1]
    check_memory(plan.backbone, plan.layers, (final.height, final.width))
    with plan.backend.create(plan.backbone, plan.layers, plan.backend_options) as backend:
        listener(RunStarted(plan.job, tuple(scales), str(backend.device)))
        painter = _Painter(plan, inputs, backend, listener)
        try:
            for index, scale in enumerate(scales):
                with explaining_out_of_memory(
                    plan.backbone, plan.layers, (scale.height, scale.width), backend.device
                ):
                    painter.paint(index, scale)
            interrupted = False
        except KeyboardInterrupt:
            if painter.image is None:
                raise
            interrupted = True
        result = painter.result(interrupted)
    listener(RunFinished(result))
    return result


@dataclass(frozen=True)
class _Inputs:
    content: Picture
    styles: tuple[tuple[Picture, float], ...]

    @property
    def hashes(self) -> dict[str, str]:
        return {each.path: each.sha256 for each in (self.content, *(s for s, _ in self.styles))}


def _read_inputs(plan: Plan) -> _Inputs:
    job = plan.job
    total = sum(style.weight for style in job.styles)
    return _Inputs(
        read_picture(job.content, job.max_pixels),
        tuple(
            (read_picture(style.image, job.max_pixels), style.weight / total)
            for style in job.styles
            if style.weight > 0
        ),
    )


def _scales(plan: Plan, inputs: _Inputs) -> list[Scale]:
    job = plan.job
    size = fit(inputs.content.size, job.size, job.upscale)
    _check_side(plan.backbone, plan.layers, inputs.content, size, job.size)
    scales = plan_scales(
        size, job.scales, job.iterations, plan.backbone.deepest(plan.layers).smallest_side
    )
    for picture, _ in inputs.styles:
        # The finest scale says how small a style may be; coarser ones take no less than they need.
        _check_side(plan.backbone, plan.layers, picture, fit(picture.size, max(size)), job.size)
    return scales


def _check_side(
    backbone: Backbone, layers: Collection[str], picture: Picture, size: tuple[int, int], asked: int
) -> None:
    deepest = backbone.deepest(layers)
    if min(size) >= deepest.smallest_side:
        return
    height, width = picture.size
    message = (
        f"{picture.path}: {width}x{height} px is too small for the layer {deepest.name}, which needs "
        f"{deepest.smallest_side} px on the short side"
    )
    if min(picture.size) >= deepest.smallest_side:
        needed = -(-deepest.smallest_side * max(picture.size) // min(picture.size))
        message += f"; --size {asked} makes it {size[1]}x{size[0]}, --size {needed} would do"
    raise ImageError(message)


class _Painter:
    """The run's state: the picture so far and the record of its steps."""

    def __init__(
        self, plan: Plan, inputs: _Inputs, backend: FeatureBackend, listener: Listener
    ) -> None:
        self._plan, self._inputs, self._backend, self._listener = plan, inputs, backend, listener
        self._started = time.perf_counter()
        self._records: list[StepRecord] = []
        self.image: Tensor | None = None

    def paint(self, index: int, scale: Scale) -> None:
        """Carry the picture over to `scale` and optimise it there."""
        self._listener(ScaleStarted(index, scale))
        content = self._tensor(self._inputs.content, scale.height, scale.width)
        styles = [(self._style(picture, scale), weight) for picture, weight in self._inputs.styles]
        if self.image is None:
            image = self._first_image(content, styles)
        else:
            image = F.interpolate(
                self.image, (scale.height, scale.width), mode="bicubic", antialias=True
            )
        losses = [
            WeightedLoss(each.name, each.weight, each.term.bind(self._references(each, content, styles)))
            for each in self._plan.terms
        ]
        objective = Objective(self._backend, losses)
        for step, iterate in enumerate(
            steps_with_recovery(
                self._plan.optimizer,
                image,
                objective.evaluate,
                scale.steps,
                lambda message: self._listener(Notice(message)),
            )
        ):
            self.image = iterate.image
            seconds = time.perf_counter() - self._started
            losses_now = iterate.evaluation.losses
            self._records.append(StepRecord(index, step, losses_now, seconds))
            self._listener(
                StepDone(index, step, iterate.evaluation.value, losses_now, seconds, iterate.image)
            )

    def result(self, interrupted: bool) -> Result:
        """The picture so far, clipped, with its record."""
        assert self.image is not None
        job, content = self._plan.job, self._inputs.content
        pixels = self.image[0].clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()
        return Result(
            image=pixels,
            alpha=content.alpha_array(*pixels.shape[:2]),
            job=job,
            steps=tuple(self._records),
            final_losses=self._records[-1].losses,
            inputs=self._inputs.hashes,
            versions=_versions(),
            backend=self._plan.backend.name,
            device=str(self._backend.device),
            seconds=time.perf_counter() - self._started,
            interrupted=interrupted,
        )

    def _tensor(self, picture: Picture, height: int, width: int) -> Tensor:
        return picture.tensor(height, width).to(self._backend.device)

    def _style(self, picture: Picture, scale: Scale) -> Tensor:
        """A style is seen at the scale of the picture: long side against long side."""
        smallest = self._plan.backbone.deepest(self._plan.layers).smallest_side
        height, width = fit(picture.size, max(scale.height, scale.width))
        return self._tensor(picture, max(height, smallest), max(width, smallest))

    def _first_image(self, content: Tensor, styles: Sequence[tuple[Tensor, float]]) -> Tensor:
        generator = torch.Generator().manual_seed(self._plan.job.seed)
        start = StartingPoint(content, styles, generator, self._plan.job.max_pixels)
        return self._plan.initializer.image(start)

    def _references(
        self, planned: PlannedTerm, content: Tensor, styles: Sequence[tuple[Tensor, float]]
    ) -> References:
        term = planned.term
        return References(
            content=self._features(content, term.layers) if "content" in term.reads else {},
            styles=tuple(
                Style(self._features(style, term.layers), weight) for style, weight in styles
            )
            if "styles" in term.reads
            else (),
            seed=self._plan.job.seed,
        )

    def _features(self, image: Tensor, layers: Sequence[str]) -> Features:
        of_network = [layer for layer in layers if layer != IMAGE_LAYER]
        features = dict(self._backend.features(image, of_network)) if of_network else {}
        return features | {IMAGE_LAYER: image}


def _versions() -> dict[str, str]:
    packages = ("stylectl", "torch", "numpy", "pillow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
