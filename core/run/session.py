"""Sessions: an open backend, and the losses that later runs need again.

A bound loss is a function of the term, of the images that the term reads, as they are at one scale,
and of the seed; it holds no state (core/interfaces/terms.py). So it is identified by these, and a
result that is computed with a cached loss is the same, to the last bit, as if it were computed
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from ..images.inputs import Inputs
from ..interfaces.backend import FeatureBackend
from ..job.choices import Choice, TermChoice
from ..job.model import Job
from ..malloc import return_freed_memory
from ..memory.tiling import tilers_for
from ..objective.cotangents import normalized_cotangents, plain_cotangents
from ..objective.objective import Objective
from ..objective.tiled_objective import TiledObjective
from ..objective.weighted_losses import WeightedLoss
from ..planning.plan import Plan
from ..planning.terms import PlannedTerm
from .binding import Binder
from .fingerprint import fingerprint
from .open_run import OpenRun
from .preparation import Prepared
from .scale_inputs import ScaleInputs

#: Losses that are cached at most: of 50 styles, say, at 5 scales in 2 terms.
_MOST_LOSSES = 500

#: SHA-256 of some images.
Images = frozenset[str]


@dataclass(frozen=True)
class _Network:
    """What a backend was opened for."""

    backend: Choice
    backbone: Choice
    layers: tuple[str, ...]


@dataclass(frozen=True)
class _Cached:
    """A bound loss, and the images that it was bound to."""

    loss: WeightedLoss
    images: Images


def _never(_images: Images) -> bool:
    return False


class Session:
    """Opens the backend of each job, which stays open for jobs of the same network; binds the
    losses, and caches those that later jobs need again.

    Jobs to come are announced by `expect`; without it nothing is cached beyond its scale. All is
    dropped when a job needs another backend, and on `close`.
    """

    def __init__(self, open_backend: Callable[[Plan], FeatureBackend] = Plan.open_backend) -> None:
        """`open_backend` makes the backend of a plan."""
        self._open_backend = open_backend
        self._network: _Network | None = None
        self._backend: FeatureBackend | None = None
        self._cached: dict[str, _Cached] = {}
        self._recurs: Callable[[Images], bool] = _never

    def expect(self, images: Collection[str], recurs: Callable[[Images], bool]) -> None:
        """Announce the next job, by the SHA-256 of its `images`, and those after it: `recurs` says
        whether one of them has all of some images. Losses that none of them needs are dropped."""
        now = frozenset(images)
        self._recurs = recurs
        self._cached = {
            key: cached
            for key, cached in self._cached.items()
            if cached.images <= now or recurs(cached.images)
        }

    def open(self, prepared: Prepared) -> OpenRun:
        """The job with its backend open, ready to run. Raises BackendError, PluginError,
        WeightsError, and MemoryLimitError where the result does not fit the memory."""
        plan = prepared.plan
        backend = self._backend_for(plan)
        tilers = tilers_for(plan, prepared.scales, backend)
        backend.prepare(
            [
                tile.crop_size
                for sizes, tiler in zip(prepared.scales, tilers, strict=True)
                for size in sizes.images
                for tile in tiler.tiles(*size)
            ]
        )
        return OpenRun(prepared, backend, tilers, self.objective)

    def objective(
        self, plan: Plan, inputs: Inputs, at_scale: ScaleInputs
    ) -> Objective | TiledObjective:
        """The plan's terms with their targets, as the function to minimise at one scale. Raises
        PluginError for a term that breaks its contract."""
        backend = self._backend_for(plan)
        binder = Binder.of(plan, backend, at_scale)
        choices = [choice for choice in plan.job.terms if choice.weight > 0]
        losses = [
            self._loss(binder, planned, choice, plan.job, inputs)
            for planned, choice in zip(plan.terms, choices, strict=True)
        ]
        # Binding leaves gaps that a step's arrays do not fit into.
        return_freed_memory()
        if len(at_scale.tiler.tiles(*at_scale.content.shape[2:])) > 1:
            return TiledObjective(backend, losses, at_scale.tiler, plan.network)
        normalize = plan.job.normalize_gradients
        cotangents = normalized_cotangents if normalize else plain_cotangents
        return Objective(backend, losses, plan.network, cotangents)

    def close(self) -> None:
        """Close the backend and drop the losses. A later job opens it again."""
        self._cached.clear()
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _backend_for(self, plan: Plan) -> FeatureBackend:
        network = _Network(plan.job.backend, plan.job.backbone, plan.layers)
        if self._backend is None or network != self._network:
            self.close()
            self._backend = self._open_backend(plan)
            self._network = network
        return self._backend

    def _loss(
        self, binder: Binder, planned: PlannedTerm, choice: TermChoice, job: Job, inputs: Inputs
    ) -> WeightedLoss:
        images = _images(planned, job, inputs)
        if not self._recurs(images) and not self._cached:
            return binder.bind(planned)
        key = _key(planned, choice, job, binder.inputs)
        if key in self._cached:
            cached = self._cached[key].loss
            return replace(cached, weight=planned.weight, label=planned.label)
        loss = binder.bind(planned)
        if self._recurs(images) and len(self._cached) < _MOST_LOSSES:
            self._cached[key] = _Cached(loss, images)
        return loss


def _images(planned: PlannedTerm, job: Job, inputs: Inputs) -> Images:
    """The images that the term reads, or that those were recolored after."""
    reads = planned.term.reads
    content = "content" in reads or job.color != "style"
    contents = [inputs.content.sha256] if inputs.content and content else []
    styles = [style.image.sha256 for style in inputs.styles] if "styles" in reads else []
    return frozenset([*contents, *styles])


def _key(planned: PlannedTerm, choice: TermChoice, job: Job, inputs: ScaleInputs) -> str:
    """Hash of all that the term's loss depends on: its settings, and its images at the scale."""
    settings = choice.model_dump(exclude={"weight"})
    values: list[object] = [settings, job.seed, job.seamless, inputs.tiler]
    if "content" in planned.term.reads:
        values += [inputs.content, inputs.content_mask]
    if "styles" in planned.term.reads:
        values.append(inputs.styles)
        if job.has_style_regions:  # regions have the size of the result's layers
            values.append(tuple(inputs.content.shape))
    return fingerprint(values)
