"""Binding: the plan's terms with their targets, as the objective of one scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import overload

from torch import Tensor

from .backend import FeatureBackend, Features
from .blame import blaming
from .errors import PluginError
from .freed_memory import give_back_freed_memory
from .masks import region_of
from .objective import Objective
from .plan import Plan, PlannedTerm
from .seamless import Framed
from .sight import SeenStyle, Sight
from .terms import IMAGE_LAYER, LossTerm, References, Region, Style, SumTerm
from .tiled import TiledObjective
from .tiled_features import PartSeen, See, TiledFeatures
from .weighted_losses import WeightedLoss


def bind_objective(plan: Plan, backend: FeatureBackend, sight: Sight) -> Objective | TiledObjective:
    """The plan's terms with their targets, as the function to minimise at one scale."""
    regions = regions_in(plan, backend, sight)
    losses = [bind_term(plan, planned, backend, sight, regions) for planned in plan.terms]
    return objective_of(plan, backend, losses, sight)


def objective_of(
    plan: Plan, backend: FeatureBackend, losses: Sequence[WeightedLoss], sight: Sight
) -> Objective | TiledObjective:
    """The sum of bound losses, evaluated by tiles if the picture is to be cut."""
    # What binding them took lies in pieces that a step's arrays do not fit into.
    give_back_freed_memory()
    if len(sight.tiler.tiles(*sight.content.shape[2:])) > 1:
        return TiledObjective(backend, losses, sight.tiler, plan.network)
    return Objective(backend, losses, plan.network, plan.cotangents)


def bind_term(
    plan: Plan, planned: PlannedTerm, backend: FeatureBackend, sight: Sight, regions: Regions
) -> WeightedLoss:
    """One of the plan's terms with its targets. Raises PluginError for a term that breaks its
    contract."""
    with blaming(plan.network):
        references = _references(plan, planned.term, _seeing(plan, backend, sight), sight, regions)
    with blaming(planned.label):
        loss = planned.term.bind(references)
    if not callable(loss):
        raise PluginError(f"{planned.label} must be bound to a function, not {loss!r}")
    return WeightedLoss(planned.name, planned.weight, loss, planned.label, planned.shares)


def _references(plan: Plan, term: LossTerm, see: See, sight: Sight, regions: Regions) -> References:
    reads_content, reads_styles = "content" in term.reads, "styles" in term.reads
    styles: Sequence[Style] = ()
    if reads_styles:
        styles = _Styles(plan.network, see, sight, regions, term.layers)
        if not isinstance(term, SumTerm):
            styles = tuple(styles)
    return References(
        content=_whole(see, sight.content, term.layers) if reads_content else {},
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
        of_network = TiledFeatures(backend, sight.tiler).sizes(sight.content, layers)
        sizes = {**of_network, IMAGE_LAYER: (sight.content.shape[2], sight.content.shape[3])}
        device = sight.content.device
        return cls({key: region_of(mask, sizes, device) for key, mask in used.items()})

    def of_mask(self, mask: Tensor | None) -> Region:
        """The whole picture, if there is no mask."""
        return {} if mask is None else self.regions[id(mask)]


class _Styles(Sequence[Style]):
    """A style for each place of each image, or of each tile of a large one: those of one source add
    up. The features are computed while going through them, so that those of one image or tile are
    held at a time: a folder may hold many."""

    def __init__(
        self,
        network: str,
        see: See,
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
                yield from self._of_image(seen)

    def _of_image(self, seen: SeenStyle) -> Iterator[Style]:
        shares = [place.share for place in seen.places]
        own_regions: list[Region] = []
        for part in _parts(self._see, seen.image, self._layers):
            own_regions = own_regions or [
                region_of(place.own_region, part.sizes, seen.image.device) for place in seen.places
            ]
            for place, own_region, share in zip(seen.places, own_regions, shares, strict=True):
                region = self._regions.of_mask(place.region)
                yield Style(part.features, share, region, part.cut(own_region), seen.source)
            shares = [0.0] * len(shares)  # it counts once, with the sums of all its parts

    @overload
    def __getitem__(self, index: int) -> Style: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Style]: ...
    def __getitem__(self, index: int | slice) -> Style | Sequence[Style]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return next(islice(self, range(len(self))[index], None))


def _seeing(plan: Plan, backend: FeatureBackend, sight: Sight) -> See:
    """How the references are seen. The result itself may wrap around; they do not."""
    if plan.job.seamless:
        return Framed(backend, plan.stride)
    return TiledFeatures(backend, sight.tiler)


def _whole(see: See, image: Tensor, layers: Sequence[str]) -> Features:
    of_network = _of_network(layers)
    features = dict(see.whole(image, of_network)) if of_network else {}
    return features | {IMAGE_LAYER: image}


def _parts(see: See, image: Tensor, layers: Sequence[str]) -> Iterator[PartSeen]:
    of_network = _of_network(layers)
    pixels = {IMAGE_LAYER: image}
    if not of_network:
        yield PartSeen.whole(pixels)
        return
    for part in see.parts(image, of_network):
        sizes = {**part.sizes, IMAGE_LAYER: (image.shape[2], image.shape[3])}
        yield replace(part, features={**part.features, **part.cut(pixels)}, sizes=sizes)


def _of_network(layers: Sequence[str]) -> list[str]:
    return [layer for layer in layers if layer != IMAGE_LAYER]
