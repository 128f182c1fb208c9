"""Loss terms of statistics: functions of sums over positions, which tiles can share.

The statistics of a layer are a frozen dataclass of tensors, such as a Gram matrix and a number of
positions. Those of the tiles of an image add up to those of the image.
"""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial, reduce
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .backend import Features
from .terms import Cut, Loss, LossGraph, LossTerm, References, Region

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LayerStatistics:
    """Statistics of one layer, each summed over positions.

    A subclass is a frozen dataclass whose fields are tensors, or None where a term does not need
    one. Tensors of integers are constants; the others are differentiated by.
    """


S = TypeVar("S", bound=LayerStatistics)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Layer -> its statistics.
Statistics = Mapping[str, S]

#: A tensor of statistics: its layer, and its field.
Key = tuple[str, str]


@dataclass(frozen=True)
class FeatureTile:
    """Argument of `StatisticsTerm.statistics`: the features of one tile, or of a whole image.

    - `features`: (N, C, H, W) at each of the term's layers.
    - `content`: the content image's features at the same positions; empty unless the term reads the
      content, and while a style image's statistics are taken.
    - `region`: the weight of each position; empty (1 everywhere) or, in a tile, possibly all zero.
    """

    features: Features
    content: Features
    region: Region


@dataclass(frozen=True)
class StyleTarget(Generic[T_co]):
    """Target of one style in a region, and the style's weight there."""

    target: T_co
    weight: float


#: A region of the result, and the targets of the region's styles.
Part = tuple[Region, Sequence[StyleTarget[Any]]]


class StatisticsTerm(LossTerm, Generic[S, T]):
    """Loss term that is a function of statistics, *sums over positions*.

    Such statistics are Gram matrices, moments or squared differences. The term can be evaluated
    tile by tile, exactly, for images larger than memory. A subclass defines `statistics` and
    `loss_of_statistics`; `bind` follows from them. `S` is the type of a layer's statistics, `T` the
    type of a style's target, which is `Statistics[S]` unless the subclass overrides `target`.

    Regions are supported: a position of weight w adds w times its summand, and the number of
    positions is the sum of the weights. These are the guided Gram matrices of Gatys et al. 2017,
    "Controlling Perceptual Factors in Neural Style Transfer", for any sums; w is the square of the
    paper's guidance channel T.
    """

    regional = True

    def fitted(self, references: References) -> StatisticsTerm[S, T]:
        """Return the term with the constants that its statistics take from the references.

        All tiles, and all images of a style, then share them. It is the term itself, unless the
        method is overridden.
        """
        return self

    @abstractmethod
    def statistics(self, tile: FeatureTile) -> Statistics[S]:
        """Return the statistics of one tile (or of a whole image), summed over its positions.

        Each position counts with its weight in the tile's region.
        """

    def target(self, statistics: Statistics[S]) -> T:
        """Return a style's target, from the style's statistics.

        It is the statistics themselves, or what follows from them and need not be computed at each
        step.
        """
        return cast(T, statistics)

    @abstractmethod
    def loss_of_statistics(
        self, statistics: Statistics[S], targets: Sequence[StyleTarget[T]]
    ) -> Tensor:
        """Return the scalar loss, from the statistics of the whole result and the styles' targets.

        `targets` is empty unless the term reads the styles.
        """

    def bind(self, references: References) -> Loss:
        """Return the loss of the whole image's statistics.

        Where styles have regions, it is the sum of the regions' losses, each with the result's
        statistics in the region and the region's styles.
        """
        term = self.fitted(references)
        return StatisticsLoss(term, references.content, tuple(term._parts(references)))

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        """Add the nodes of the loss, the sum over its regions; see LossTerm.onnx_loss."""
        term = self.fitted(references)
        losses = [
            term.onnx_loss_of_region(region, targets, graph)
            for region, targets in term._parts(references)
        ]
        return reduce(partial(graph.node, "Add"), losses)

    def onnx_loss_of_region(
        self, region: Region, targets: Sequence[StyleTarget[T]], graph: LossGraph
    ) -> str:
        """Add the nodes of the loss in one region of the result, and return its value's name.

        It is the loss of `loss_of_statistics` for the statistics in that region. Raises
        NotImplementedError, with the reason, unless it is overridden.
        """
        raise NotImplementedError("its class does not define `onnx_loss_of_region`")

    def _parts(self, references: References) -> list[Part]:
        """Return the regions of the result, each with its targets and their weights.

        The statistics of the images of one source are added up, as of one image made of them all:
        each image counts by its area.
        """
        if not references.styles:
            return [(references.content_region, [])]
        parts: dict[int, tuple[Region, dict[Hashable, tuple[Statistics[S], float]]]] = {}
        numbers = count()
        for style in references.styles:
            key = id(style.region) if style.region else 0
            _, sources = parts.setdefault(key, (style.region, {}))
            source = ("alone", next(numbers)) if style.source is None else style.source
            tile = FeatureTile(style.features, {}, style.own_region)
            statistics, weight = self.statistics(tile), style.weight
            if source in sources:
                statistics_before, weight_before = sources[source]
                statistics = added(statistics_before, statistics)
                weight += weight_before
            sources[source] = statistics, weight
            # The next style's features are computed when it is taken: these must be freed first.
            del style, tile
        return [
            (
                region,
                [
                    StyleTarget(self.target(statistics), weight)
                    for statistics, weight in sources.values()
                ],
            )
            for region, sources in parts.values()
        ]


@dataclass(frozen=True)
class StatisticsLoss:
    """A bound StatisticsTerm: the sum of the losses of its parts.

    It can be called with the features of the whole image, or in two steps: `statistics` for each
    tile, and `of_statistics` for the tiles' statistics, added up.
    """

    term: StatisticsTerm[Any, Any]
    content: Features
    parts: tuple[Part, ...]

    def __call__(self, features: Features) -> Tensor:
        """Return the scalar loss of the features of the whole image."""
        return self.of_statistics(self.statistics(features, lambda maps: maps))

    def statistics(self, features: Features, cut: Cut) -> list[Statistics[Any]]:
        """Return the statistics of a tile's features, by part.

        `cut` returns the tile's positions of the whole image's maps.
        """
        content = cut(self.content)
        return [
            self.term.statistics(FeatureTile(features, content, cut(region)))
            for region, _ in self.parts
        ]

    def of_statistics(self, statistics: Sequence[Statistics[Any]]) -> Tensor:
        """Return the scalar loss, from the whole image's statistics by part."""
        return reduce(
            operator.add,
            (
                self.term.loss_of_statistics(part_statistics, targets)
                for part_statistics, (_, targets) in zip(statistics, self.parts, strict=True)
            ),
        )


def tensors_of(statistics: Statistics[S]) -> dict[Key, Tensor]:
    """Return all tensors of the statistics, by layer and field."""
    return {
        (layer, field.name): value
        for layer, of_layer in statistics.items()
        for field in fields(of_layer)
        if (value := getattr(of_layer, field.name)) is not None
    }


def with_tensors(statistics: Statistics[S], tensors: Mapping[Key, Tensor]) -> dict[str, S]:
    """Return the statistics with their tensors replaced; `tensors` has all of `tensors_of`."""
    by_layer: dict[str, dict[str, Tensor]] = {layer: {} for layer in statistics}
    for (layer, name), tensor in tensors.items():
        by_layer[layer][name] = tensor
    return {layer: replace(statistics[layer], **changes) for layer, changes in by_layer.items()}


def added(left: Statistics[S], right: Statistics[S]) -> dict[str, S]:
    """Return the sum of the statistics of two parts of an image, or of two images."""
    right_tensors = tensors_of(right)
    sums = {key: tensor + right_tensors[key] for key, tensor in tensors_of(left).items()}
    return with_tensors(left, sums)
