"""Binding of loss terms to their targets, which gives the losses of one scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import overload

from torch import Tensor

from ..attribution import attributed_to
from ..errors import PluginError, UsageError
from ..images.masks import region_of
from ..interfaces.backend import FeatureBackend, Features
from ..interfaces.statistics import StatisticsTerm
from ..interfaces.terms import (
    IMAGE_LAYER,
    ChangingLoss,
    LossGraph,
    LossTerm,
    References,
    Region,
    Style,
)
from ..objective.framed_features import FramedFeatures
from ..objective.tiled_features import FeaturePart, FeatureReader, TiledFeatures
from ..objective.weighted_losses import WeightedLoss
from ..planning.plan import Plan
from ..planning.terms import PlannedTerm
from ..shown import one_line
from ..sizes.fitting import Size
from .scale_inputs import ScaleInputs, StyleAtScale


@dataclass(frozen=True)
class Binder:
    """Binder of loss terms to the images at one scale.

    `network` is the label of backend and backbone in messages. `content_reader` computes the
    features of the content image, `style_reader` those of the style images.
    """

    network: str
    seed: int
    wraps: bool
    inputs: ScaleInputs
    content_reader: FeatureReader
    style_reader: FeatureReader
    regions: Regions

    @classmethod
    def of(cls, plan: Plan, backend: FeatureBackend, inputs: ScaleInputs) -> Binder:
        """Return the binder for the terms of a plan.

        The content and style images of a seamless result do not wrap around.
        """
        content_reader: FeatureReader = TiledFeatures(backend, inputs.tilers.result)
        style_reader: FeatureReader = TiledFeatures(backend, inputs.tilers.styles)
        if plan.job.seamless:
            content_reader = style_reader = FramedFeatures(backend, plan.stride)
        with attributed_to(plan.network):
            regions = Regions.of(backend, inputs, plan.layers)
        return cls(
            plan.network,
            plan.job.seed,
            plan.job.seamless,
            inputs,
            content_reader,
            style_reader,
            regions,
        )

    def bind(self, planned: PlannedTerm) -> WeightedLoss:
        """Bind a term to its targets.

        Raises PluginError for a term that breaks its contract.
        """
        with attributed_to(self.network):
            references = self._references(planned.term)
        with attributed_to(planned.label):
            loss = planned.term.bind(references)
        if not callable(loss):
            raise PluginError(f"{planned.label} must be bound to a function, not {loss!r}")
        if isinstance(loss, ChangingLoss):
            _check_changing(loss, planned)
        return WeightedLoss(
            planned.name, planned.weight, loss, planned.label, planned.layer_weights
        )

    def onnx_loss(self, planned: PlannedTerm, graph: LossGraph) -> str:
        """Add the nodes of a term's loss to a graph, and return its value's name.

        Raises UsageError for a term without an ONNX form, and PluginError for one that fails.
        """
        with attributed_to(self.network):
            references = self._references(planned.term)
        with attributed_to(planned.label):
            try:
                return planned.term.onnx_loss(references, graph)
            except NotImplementedError as reason:
                raise UsageError(
                    f"{planned.label} has no ONNX form: {one_line(str(reason))}"
                ) from None

    def _references(self, term: LossTerm) -> References:
        reads_content, reads_styles = "content" in term.reads, "styles" in term.reads
        styles: Sequence[Style] = ()
        if reads_styles:
            styles = _Styles(self, term.layers, term.style_turns)
            if not isinstance(term, StatisticsTerm):
                styles = tuple(styles)
        content: Features = {}
        if reads_content:
            content = _features(self.content_reader, self.inputs.content, term.layers)
        region = self.regions.of_mask(self.inputs.content_mask) if reads_content else {}
        at = self.inputs
        return References(
            content,
            styles,
            self.seed,
            self.wraps,
            region,
            at.index,
            at.final_pass,
            at.former if "former" in term.reads else (),
        )


@dataclass(frozen=True)
class Regions:
    """Regions of the result, by the identity of their masks.

    A mask has one region object, so that the sums over it are computed once.
    """

    regions: dict[int, Region] = field(default_factory=dict)

    @classmethod
    def of(cls, backend: FeatureBackend, inputs: ScaleInputs, layers: Sequence[str]) -> Regions:
        """Return the regions of the inputs' masks, at the sizes of the content's features."""
        masks = [region.region for style in inputs.styles for region in style.regions]
        by_id = {id(mask): mask for mask in (*masks, inputs.content_mask) if mask is not None}
        if not by_id:
            return cls()
        network_sizes = TiledFeatures(backend, inputs.tilers.result).sizes(inputs.content, layers)
        sizes = {**network_sizes, IMAGE_LAYER: (inputs.content.shape[2], inputs.content.shape[3])}
        device = inputs.content.device
        return cls({key: region_of(mask, sizes, device) for key, mask in by_id.items()})

    def of_mask(self, mask: Tensor | None) -> Region:
        """Return the region of a mask; None stands for the whole result."""
        return {} if mask is None else self.regions[id(mask)]


def _check_changing(loss: ChangingLoss, planned: PlannedTerm) -> None:
    with attributed_to(planned.label):
        every = loss.every
    if every is None:
        return
    if type(every) is not int or every < 1:
        raise PluginError(f"{planned.label}: `every` must be a number of steps, not {every!r}")
    if not planned.term.renewed_within_scale:
        raise PluginError(
            f"{planned.label}: its loss has `every`; state `renewed_within_scale = True`"
        )


class _Styles(Sequence[Style]):
    """Styles of a term: one for each region of each image and turn, or of each tile of a large one.

    The statistics of one source add up. Features are computed during iteration, so that only those
    of one image or tile are held at a time: a folder may contain many images.
    """

    def __init__(self, binder: Binder, layers: Sequence[str], turns: Sequence[int] = (0,)) -> None:
        self._binder, self._layers, self._turns = binder, layers, turns

    def __len__(self) -> int:
        network_layers = _network_layers(self._layers)
        part_count = self._binder.style_reader.part_count
        return sum(
            len(style.regions)
            * (part_count(_turned_size(style.size, turn)) if network_layers else 1)
            for style in self._binder.inputs.styles
            for turn in self._turns
        )

    def __iter__(self) -> Iterator[Style]:
        for style in self._binder.inputs.styles:
            for turn in self._turns:
                with attributed_to(self._binder.network):
                    yield from self._styles_of(style, turn)

    def _styles_of(self, style: StyleAtScale, turn: int) -> Iterator[Style]:
        shares = [region.share / len(self._turns) for region in style.regions]
        image = _turned(style.image(), turn)
        own_regions: list[Region] = []
        for part in _feature_parts(self._binder.style_reader, image, self._layers):
            own_regions = own_regions or [
                region_of(_turned(region.own_region, turn), part.sizes, style.device)
                for region in style.regions
            ]
            for region, own_region, share in zip(style.regions, own_regions, shares, strict=True):
                result_region = self._binder.regions.of_mask(region.region)
                yield Style(part.features, share, result_region, part.cut(own_region), style.source)
            del part  # its features must be freed before the next part's are computed
            # The parts' statistics add up to those of the image, whose share counts once.
            shares = [0.0] * len(shares)

    @overload
    def __getitem__(self, index: int) -> Style: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Style]: ...
    def __getitem__(self, index: int | slice) -> Style | Sequence[Style]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return next(islice(self, range(len(self))[index], None))


def _features(reader: FeatureReader, image: Tensor, layers: Sequence[str]) -> Features:
    network_layers = _network_layers(layers)
    features = dict(reader.whole(image, network_layers)) if network_layers else {}
    return features | {IMAGE_LAYER: image}


def _feature_parts(
    reader: FeatureReader, image: Tensor, layers: Sequence[str]
) -> Iterator[FeaturePart]:
    network_layers = _network_layers(layers)
    pixels = {IMAGE_LAYER: image}
    if not network_layers:
        yield FeaturePart.whole(pixels)
        return
    for part in reader.parts(image, network_layers):
        sizes = {**part.sizes, IMAGE_LAYER: (image.shape[2], image.shape[3])}
        yield replace(part, features={**part.features, **part.cut(pixels)}, sizes=sizes)
        del part  # see _styles_of


@overload
def _turned(image: Tensor, turn: int) -> Tensor: ...
@overload
def _turned(image: Tensor | None, turn: int) -> Tensor | None: ...
def _turned(image: Tensor | None, turn: int) -> Tensor | None:
    """Return an image or mask, turned counterclockwise by a number of quarter turns."""
    return image if image is None or turn == 0 else image.rot90(turn, (-2, -1)).contiguous()


def _turned_size(size: Size, turn: int) -> Size:
    return size if turn % 2 == 0 else (size[1], size[0])


def _network_layers(layers: Sequence[str]) -> list[str]:
    return [layer for layer in layers if layer != IMAGE_LAYER]
