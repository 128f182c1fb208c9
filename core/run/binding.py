"""Binding: loss terms with their targets, as losses of one scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import overload

from torch import Tensor

from ..attribution import attributed_to
from ..errors import PluginError
from ..images.masks import region_of
from ..interfaces.backend import FeatureBackend, Features
from ..interfaces.terms import IMAGE_LAYER, LossTerm, References, Region, Style, SumTerm
from ..objective.framed_features import FramedFeatures
from ..objective.tiled_features import FeaturePart, FeatureReader, TiledFeatures
from ..objective.weighted_losses import WeightedLoss
from ..planning.plan import Plan
from ..planning.terms import PlannedTerm
from .scale_inputs import ScaleInputs, StyleAtScale


@dataclass(frozen=True)
class Binder:
    """Binds terms to the images at one scale, whose features `reader` gives."""

    network: str
    seed: int
    wraps: bool
    inputs: ScaleInputs
    reader: FeatureReader
    regions: Regions

    @classmethod
    def of(cls, plan: Plan, backend: FeatureBackend, inputs: ScaleInputs) -> Binder:
        """For the terms of a plan. The references of a seamless result do not wrap around."""
        reader: FeatureReader = TiledFeatures(backend, inputs.tiler)
        if plan.job.seamless:
            reader = FramedFeatures(backend, plan.stride)
        with attributed_to(plan.network):
            regions = Regions.of(backend, inputs, plan.layers)
        return cls(plan.network, plan.job.seed, plan.job.seamless, inputs, reader, regions)

    def bind(self, planned: PlannedTerm) -> WeightedLoss:
        """A term with its targets. Raises PluginError for a term that breaks its contract."""
        with attributed_to(self.network):
            references = self._references(planned.term)
        with attributed_to(planned.label):
            loss = planned.term.bind(references)
        if not callable(loss):
            raise PluginError(f"{planned.label} must be bound to a function, not {loss!r}")
        return WeightedLoss(planned.name, planned.weight, loss, planned.label, planned.shares)

    def _references(self, term: LossTerm) -> References:
        reads_content, reads_styles = "content" in term.reads, "styles" in term.reads
        styles: Sequence[Style] = ()
        if reads_styles:
            styles = _Styles(self, term.layers)
            if not isinstance(term, SumTerm):
                styles = tuple(styles)
        content = _whole(self.reader, self.inputs.content, term.layers) if reads_content else {}
        region = self.regions.of_mask(self.inputs.content_mask) if reads_content else {}
        return References(content, styles, self.seed, self.wraps, region)


@dataclass(frozen=True)
class Regions:
    """The result's regions by the identity of their masks: a mask has one region, so that the sums
    over it are computed once."""

    regions: dict[int, Region] = field(default_factory=dict)

    @classmethod
    def of(cls, backend: FeatureBackend, inputs: ScaleInputs, layers: Sequence[str]) -> Regions:
        """Of the inputs' masks; the layers' sizes are those of the content's features."""
        masks = [region.region for style in inputs.styles for region in style.regions]
        used = {id(mask): mask for mask in (*masks, inputs.content_mask) if mask is not None}
        if not used:
            return cls()
        of_network = TiledFeatures(backend, inputs.tiler).sizes(inputs.content, layers)
        sizes = {**of_network, IMAGE_LAYER: (inputs.content.shape[2], inputs.content.shape[3])}
        device = inputs.content.device
        return cls({key: region_of(mask, sizes, device) for key, mask in used.items()})

    def of_mask(self, mask: Tensor | None) -> Region:
        """A mask's region; without a mask the whole result."""
        return {} if mask is None else self.regions[id(mask)]


class _Styles(Sequence[Style]):
    """A style for each region of each image, or of each tile of a large one: those of one source
    add up. The features are computed while iterating, so that those of one image or tile are held
    at a time: a folder may hold many."""

    def __init__(self, binder: Binder, layers: Sequence[str]) -> None:
        self._binder, self._layers = binder, layers

    def __len__(self) -> int:
        layers = _of_network(self._layers)
        return sum(
            len(style.regions) * (self._binder.reader.part_count(style.image) if layers else 1)
            for style in self._binder.inputs.styles
        )

    def __iter__(self) -> Iterator[Style]:
        for style in self._binder.inputs.styles:
            with attributed_to(self._binder.network):
                yield from self._of_image(style)

    def _of_image(self, style: StyleAtScale) -> Iterator[Style]:
        shares = [region.share for region in style.regions]
        own_regions: list[Region] = []
        for part in _parts(self._binder.reader, style.image, self._layers):
            own_regions = own_regions or [
                region_of(region.own_region, part.sizes, style.image.device)
                for region in style.regions
            ]
            for region, own_region, share in zip(style.regions, own_regions, shares, strict=True):
                wanted = self._binder.regions.of_mask(region.region)
                yield Style(part.features, share, wanted, part.cut(own_region), style.source)
            shares = [0.0] * len(shares)  # it counts once, with the sums of all its parts

    @overload
    def __getitem__(self, index: int) -> Style: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Style]: ...
    def __getitem__(self, index: int | slice) -> Style | Sequence[Style]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return next(islice(self, range(len(self))[index], None))


def _whole(reader: FeatureReader, image: Tensor, layers: Sequence[str]) -> Features:
    of_network = _of_network(layers)
    features = dict(reader.whole(image, of_network)) if of_network else {}
    return features | {IMAGE_LAYER: image}


def _parts(reader: FeatureReader, image: Tensor, layers: Sequence[str]) -> Iterator[FeaturePart]:
    of_network = _of_network(layers)
    pixels = {IMAGE_LAYER: image}
    if not of_network:
        yield FeaturePart.whole(pixels)
        return
    for part in reader.parts(image, of_network):
        sizes = {**part.sizes, IMAGE_LAYER: (image.shape[2], image.shape[3])}
        yield replace(part, features={**part.features, **part.cut(pixels)}, sizes=sizes)


def _of_network(layers: Sequence[str]) -> list[str]:
    return [layer for layer in layers if layer != IMAGE_LAYER]
