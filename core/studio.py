"""Where pictures are painted one after another: what one of them computed serves the next.

A bound loss is a function of the term, of the images that the term reads, as they are at one scale,
and of the seed; it holds no state (core/terms.py). So it is known by these, and a picture that is
painted with a kept one is the same, to the last bit, as if it were painted alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from .backend import FeatureBackend
from .binding import Regions, bind_term, objective_of, regions_in
from .fingerprint import fingerprint
from .inputs import Inputs
from .job import Choice, Job, TermChoice
from .objective import Objective
from .plan import Plan, PlannedTerm
from .sight import Sight
from .tiled import TiledObjective
from .weighted_losses import WeightedLoss

#: Losses that are kept at most, whatever else may come: of 50 styles, say, at 5 scales in 2 terms.
_MOST_LOSSES = 500


@dataclass(frozen=True)
class _Network:
    """What a backend was opened for."""

    backend: Choice
    backbone: Choice
    layers: tuple[str, ...]


@dataclass(frozen=True)
class _Kept:
    """A bound loss, and the SHA-256 of the images that it was bound to."""

    loss: WeightedLoss
    images: frozenset[str]


class Studio:
    """An open backend, and the bound losses that a later picture needs again.

    What comes later is told by `prepare`; without it nothing outlives the scale that it is for.
    Everything is dropped when a picture needs another backend, and on `close`.
    """

    def __init__(self) -> None:
        self._network: _Network | None = None
        self._backend: FeatureBackend | None = None
        self._kept: dict[str, _Kept] = {}
        self._later: tuple[frozenset[str], ...] = ()

    def prepare(self, picture: Iterable[str], later: Iterable[Iterable[str]]) -> None:
        """What is painted next, and what after it: the SHA-256 of each picture's images. Losses
        that none of them needs are dropped."""
        images = frozenset(picture)
        self._later = tuple(dict.fromkeys(map(frozenset, later)))
        self._kept = {
            key: each
            for key, each in self._kept.items()
            if each.images <= images or self._recurs(each.images)
        }

    def backend(self, plan: Plan) -> FeatureBackend:
        """The plan's backend, which stays open. Raises as `Plan.open_backend`."""
        network = _Network(plan.job.backend, plan.job.backbone, plan.layers)
        if self._backend is None or network != self._network:
            self.close()
            self._backend = plan.open_backend()
            self._network = network
        return self._backend

    def objective(self, plan: Plan, inputs: Inputs, sight: Sight) -> Objective | TiledObjective:
        """As `bind_objective`, with the losses that were kept."""
        backend = self.backend(plan)
        regions = regions_in(plan, backend, sight)
        choices = [choice for choice in plan.job.terms if choice.weight > 0]
        losses = [
            self._loss(plan, planned, choice, inputs, sight, regions)
            for planned, choice in zip(plan.terms, choices, strict=True)
        ]
        return objective_of(plan, backend, losses, sight)

    def close(self) -> None:
        """Close the backend and drop the losses. A later picture opens it again."""
        self._kept.clear()
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
        self,
        plan: Plan,
        planned: PlannedTerm,
        choice: TermChoice,
        inputs: Inputs,
        sight: Sight,
        regions: Regions,
    ) -> WeightedLoss:
        backend = self.backend(plan)
        images = _images(plan, planned, inputs)
        if not self._recurs(images) and not self._kept:
            return bind_term(plan, planned, backend, sight, regions)
        key = _key(planned, choice, plan.job, sight)
        if key in self._kept:
            return replace(self._kept[key].loss, weight=planned.weight, label=planned.label)
        loss = bind_term(plan, planned, backend, sight, regions)
        if self._recurs(images) and len(self._kept) < _MOST_LOSSES:
            self._kept[key] = _Kept(loss, images)
        return loss

    def _recurs(self, images: frozenset[str]) -> bool:
        """Whether a later picture has all of these images."""
        return any(images <= picture for picture in self._later)


def _images(plan: Plan, planned: PlannedTerm, inputs: Inputs) -> frozenset[str]:
    """The SHA-256 of the images that the term reads, or that those were recolored after."""
    reads = planned.term.reads
    content = "content" in reads or plan.job.color != "style"
    contents = [inputs.content.sha256] if inputs.content and content else []
    styles = [style.picture.sha256 for style in inputs.styles] if "styles" in reads else []
    return frozenset([*contents, *styles])


def _key(planned: PlannedTerm, choice: TermChoice, job: Job, sight: Sight) -> str:
    """What the term's loss depends on: its settings, and all that it sees at this scale."""
    settings = choice.model_dump(exclude={"weight"})
    seen: list[object] = [settings, job.seed, job.seamless, sight.tiler]
    if "content" in planned.term.reads:
        seen += [sight.content, sight.content_mask]
    if "styles" in planned.term.reads:
        seen.append(sight.styles)
        if job.confines_styles:  # regions have the size of the picture's layers
            seen.append(tuple(sight.content.shape))
    return fingerprint(seen)
