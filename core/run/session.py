"""Sessions: an open backend, and cached losses that later jobs need again.

A bound loss is a function of the term, of the images that the term reads, as they are at one scale,
and of the seed; it holds no state (core/interfaces/terms.py). So these identify it, and a result
that is computed with a cached loss is bit for bit the one that is computed without the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from ..fingerprint import fingerprint
from ..images.color_transfer import recolors
from ..images.files import ListFiles, file_sha256, style_files
from ..images.inputs import Inputs
from ..interfaces.backend import FeatureBackend
from ..interfaces.video.former import FormerResults
from ..job.choices import Choice, TermChoice
from ..job.model import Job
from ..machine.malloc import return_freed_memory
from ..memory.limits import memory_budget
from ..memory.tiling import tilers_for
from ..objective.cotangents import normalized_cotangents, plain_cotangents
from ..objective.objective import Objective
from ..objective.tiled_objective import TiledObjective
from ..objective.weighted_losses import WeightedLoss
from ..planning.plan import Plan
from ..planning.terms import PlannedTerm
from ..sizes.tiles import Tilers
from .binding import Binder
from .open_run import OpenRun
from .preparation import Prepared, prepare
from .scale_inputs import ScaleInputs
from .tensor_bytes import tensor_bytes

#: Part of the available memory that cached losses may take. At the default layers, the Gram
#: matrices of a style take 2.4 MB for each scale and term, and the features of a content image
#: 32 MB for each megapixel.
_CACHED_PART = 1 / 8

#: SHA-256 of each image of a set.
Images = frozenset[str]


@dataclass(frozen=True)
class _Network:
    """Identity of an open backend: its choice, and the backbone and layers that it evaluates."""

    backend: Choice
    backbone: Choice
    layers: tuple[str, ...]


@dataclass(frozen=True)
class _Cached:
    """A bound loss, with the SHA-256 of the images that it was bound to, and its size in bytes."""

    loss: WeightedLoss
    images: Images
    size: int


def _never(_images: Images) -> bool:
    return False


class Session:
    """An open backend with cached losses, for one job after another.

    The backend stays open for later jobs of the same network. `expect` announces later jobs, and
    the losses that they need again are cached; without it no loss is kept beyond its scale. Backend
    and losses are dropped when a job needs another network, and on `close`.
    """

    def __init__(
        self,
        open_backend: Callable[[Plan], FeatureBackend] = Plan.open_backend,
        files_of: ListFiles = style_files,
        hash_of: Callable[[str], str] = file_sha256,
    ) -> None:
        """Create a session that opens backends by `open_backend`.

        `files_of` lists the files of a style, and `hash_of` returns the SHA-256 of a file, for
        callers that list each folder and hash each file once.
        """
        self._open_backend, self._files_of, self._hash_of = open_backend, files_of, hash_of
        self._network: _Network | None = None
        self._backend: FeatureBackend | None = None
        self._cached: dict[str, _Cached] = {}
        self._most_cached = 0
        self._recurs: Callable[[Images], bool] = _never

    def expect(self, images: Collection[str], recurs: Callable[[Images], bool]) -> None:
        """Announce the next job and the jobs after it, and drop the losses that none of them needs.

        `images` are the SHA-256 of the next job's images; `recurs` returns whether all images of a
        set belong to one of the jobs after it.
        """
        next_images = frozenset(images)
        self._recurs = recurs
        self._cached = {
            key: cached
            for key, cached in self._cached.items()
            if cached.images <= next_images or recurs(cached.images)
        }

    def prepare(self, plan: Plan, former: FormerResults | None = None) -> Prepared:
        """Read the plan's images and compute the sizes.

        `former` is what a frame of a video takes over from others. Raises UsageError and
        ImageError.
        """
        return prepare(plan, self._files_of, self._hash_of, former)

    def open(self, prepared: Prepared, former: Sequence[Tilers] = ()) -> OpenRun:
        """Open the backend for a prepared job, and choose the tiles.

        They are those of the `former` tilers, of a run that is resumed, where they fit the memory.

        Raises BackendError, PluginError and WeightsError, and MemoryLimitError for a result that
        does not fit the memory.
        """
        plan = prepared.plan
        backend = self.backend(plan)
        budget = memory_budget(plan.job.max_memory, backend.device)
        self._most_cached = int(_CACHED_PART * (budget.available + self._cached_bytes))
        tilers = tilers_for(plan, prepared.recolored, prepared.scales, backend, budget, former)
        backend.prepare(
            [
                crop_size
                for sizes, of_scale in zip(prepared.scales, tilers, strict=True)
                for tiler, images in (
                    (of_scale.styles, sizes.styles),
                    (of_scale.result, (sizes.scale.size,)),
                )
                for size in images
                for crop_size in tiler.crop_sizes(*size)
            ]
        )
        return OpenRun(prepared, backend, tilers, self.objective)

    def objective(
        self, plan: Plan, inputs: Inputs, at_scale: ScaleInputs
    ) -> Objective | TiledObjective:
        """Return the function to minimise at one scale: the plan's terms, bound to their targets.

        Raises PluginError for a term that breaks its contract.
        """
        backend = self.backend(plan)
        binder = Binder.of(plan, backend, at_scale)
        choices = [choice for choice in plan.job.terms if choice.weight > 0]
        losses = [
            self._loss(binder, planned, choice, plan.job, inputs)
            for planned, choice in zip(plan.terms, choices, strict=True)
        ]
        # Binding fragments the memory: the arrays of a step do not fit into the gaps.
        return_freed_memory()
        tiler, (height, width) = at_scale.tilers.result, at_scale.content.shape[2:]
        if tiler.counts(height, width) != (1, 1):
            return TiledObjective(backend, losses, tiler, plan.network)
        normalize = plan.job.normalize_gradients
        cotangents = normalized_cotangents if normalize else plain_cotangents
        return Objective(backend, losses, plan.network, cotangents)

    def backend(self, plan: Plan) -> FeatureBackend:
        """Return the open backend of a plan; it stays the session's, which closes it."""
        network = _Network(plan.job.backend, plan.job.backbone, plan.layers)
        if self._backend is None or network != self._network:
            self.close()
            self._backend = self._open_backend(plan)
            self._network = network
        return self._backend

    def close(self) -> None:
        """Close the backend and drop the losses; a later job opens it again."""
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

    def _loss(
        self, binder: Binder, planned: PlannedTerm, choice: TermChoice, job: Job, inputs: Inputs
    ) -> WeightedLoss:
        images = _images(planned, job, inputs)
        of_one_frame = "former" in planned.term.reads
        if of_one_frame or (not self._recurs(images) and not self._cached):
            return binder.bind(planned)
        key = _key(planned, choice, job, binder.inputs)
        if key in self._cached:
            cached = self._cached[key].loss
            return replace(cached, weight=planned.weight, label=planned.label)
        loss = binder.bind(planned)
        if self._recurs(images):
            size = tensor_bytes(loss)
            if self._cached_bytes + size <= self._most_cached:
                self._cached[key] = _Cached(loss, images, size)
        return loss

    @property
    def _cached_bytes(self) -> int:
        """Bytes of the cached losses. Those that two losses share count twice."""
        return sum(cached.size for cached in self._cached.values())


def _images(planned: PlannedTerm, job: Job, inputs: Inputs) -> Images:
    """Return the images that determine the term's targets.

    They are those that it reads, and the content image where a transfer of colors uses it.
    """
    reads = planned.term.reads
    content = "content" in reads or recolors(job.color)
    contents = [inputs.content.sha256] if inputs.content and content else []
    styles = [style.image.sha256 for style in inputs.styles] if "styles" in reads else []
    return frozenset([*contents, *styles])


def _key(planned: PlannedTerm, choice: TermChoice, job: Job, inputs: ScaleInputs) -> str:
    """Hash of what the term's loss depends on: its settings, and its images at the scale."""
    settings = choice.model_dump(exclude={"weight"})
    layers = sorted(planned.layer_weights.items())
    values: list[object] = [settings, layers, job.seed, job.seamless, inputs.tilers]
    values += [inputs.index, inputs.final_pass]
    if "content" in planned.term.reads:
        values += [inputs.content, inputs.content_mask]
    if "styles" in planned.term.reads:
        values += [style.fingerprint for style in inputs.styles]
        if job.has_style_regions:  # regions have the size of the result's layers
            values.append(tuple(inputs.content.shape))
    return fingerprint(values)
