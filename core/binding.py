"""Binding: the plan's terms with their targets, as the objective of one scale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import overload

from torch import Tensor

from .backend import FeatureBackend, Features
from .blame import blaming
from .cotangents import WeightedLoss
from .errors import PluginError
from .masks import region_of
from .objective import Objective
from .plan import Plan, PlannedTerm
from .seamless import seamless_features
from .sight import Sight
from .terms import IMAGE_LAYER, LossTerm, References, Region, Style, SumTerm

#: (image, layers of the network) -> features.
_See = Callable[[Tensor, Collection[str]], Features]


def bind_objective(plan: Plan, backend: FeatureBackend, sight: Sight) -> Objective:
    """The plan's terms with their targets, as the function to minimise at one scale."""
    regions = regions_in(plan, backend, sight)
    losses = [bind_term(plan, planned, backend, sight, regions) for planned in plan.terms]
    return Objective(backend, losses, plan.network, plan.cotangents)


def bind_term(
    plan: Plan, planned: PlannedTerm, backend: FeatureBackend, sight: Sight, regions: Regions
) -> WeightedLoss:
    """One of the plan's terms with its targets. Raises PluginError for a term that breaks its
    contract."""
    with blaming(plan.network):
        references = _references(plan, planned.term, backend, sight, regions)
    with blaming(planned.label):
        loss = planned.term.bind(references)
    if not callable(loss):
        raise PluginError(f"{planned.label} must be bound to a function, not {loss!r}")
    return WeightedLoss(planned.name, planned.weight, loss, planned.label, planned.shares)


def _references(
    plan: Plan, term: LossTerm, backend: FeatureBackend, sight: Sight, regions: Regions
) -> References:
    reads_content, reads_styles = "content" in term.reads, "styles" in term.reads
    see = _seeing(plan, backend)
    styles: Sequence[Style] = ()
    if reads_styles:
        styles = _Styles(plan.network, see, sight, regions, term.layers)
        if not isinstance(term, SumTerm):
            styles = tuple(styles)
    return References(
        content=_features(see, sight.content, term.layers) if reads_content else {},
        styles=styles,
        seed=plan.job.seed,
        wraps=plan.job.seamless,
        content_region=regions.of_mask(sight.content_mask) if reads_content else {},
    )


def regions_in(plan: Plan, backend: FeatureBackend, sight: Sight) -> Regions:
    """The regions of the masks in sight."""
    with blaming(plan.network):
        return Regions.of(backend, sight, plan.layers)


@dataclass(frozen=True)
class Regions:
    """The result's regions by the identity of their masks: a mask has one region, so that what is
    summed over it is summed once."""

    regions: dict[int, Region] = field(default_factory=dict)

    @classmethod
    def of(cls, backend: FeatureBackend, sight: Sight, layers: Sequence[str]) -> Regions:
        """Of the masks in sight; the layers' sizes are those of the content's features."""
        masks = [place.region for style in sight.styles for place in style.places]
        used = {id(mask): mask for mask in (*masks, sight.content_mask) if mask is not None}
        if not used:
            return cls()
        sizes = _sizes(_features(backend.features, sight.content, layers))
        device = sight.content.device
        return cls({key: region_of(mask, sizes, device) for key, mask in used.items()})

    def of_mask(self, mask: Tensor | None) -> Region:
        """The whole picture, if there is no mask."""
        return {} if mask is None else self.regions[id(mask)]


class _Styles(Sequence[Style]):
    """A style for each place of each image. The features are computed while going through them, so
    that those of one image are held at a time: a folder may hold many."""

    def __init__(
        self,
        network: str,
        see: _See,
        sight: Sight,
        regions: Regions,
        layers: Sequence[str],
    ) -> None:
        self._network, self._see, self._seen = network, see, sight.styles
        self._regions, self._layers = regions, layers

    def __len__(self) -> int:
        return sum(len(seen.places) for seen in self._seen)

    def __iter__(self) -> Iterator[Style]:
        for seen in self._seen:
            with blaming(self._network):
                features = _features(self._see, seen.image, self._layers)
            for place in seen.places:
                yield Style(
                    features,
                    place.share,
                    self._regions.of_mask(place.region),
                    region_of(place.own_region, _sizes(features), seen.image.device),
                    seen.source,
                )

    @overload
    def __getitem__(self, index: int) -> Style: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Style]: ...
    def __getitem__(self, index: int | slice) -> Style | Sequence[Style]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return next(islice(self, range(len(self))[index], None))


def _sizes(features: Features) -> dict[str, tuple[int, int]]:
    return {layer: (value.shape[2], value.shape[3]) for layer, value in features.items()}


def _seeing(plan: Plan, backend: FeatureBackend) -> _See:
    """How the references are seen. The result itself may wrap around; they do not."""
    if plan.job.seamless:
        return partial(seamless_features, backend, stride=plan.stride)
    return backend.features


def _features(see: _See, image: Tensor, layers: Sequence[str]) -> Features:
    of_network = [layer for layer in layers if layer != IMAGE_LAYER]
    features = dict(see(image, of_network)) if of_network else {}
    return features | {IMAGE_LAYER: image}
