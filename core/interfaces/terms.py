"""Loss terms: scalar functions of the features.

A term holds its options and nothing else. *Binding* it to the content's and the styles' features
computes its targets and returns the function that is minimised, one for each scale.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, ClassVar, Literal

from .backend import Features

if TYPE_CHECKING:
    from torch import Tensor

#: The pixels themselves, as a layer: (N, 3, H, W), RGB in [0, 1]. Every term may read it.
IMAGE_LAYER = "image"

#: The function that is minimised: features -> scalar, differentiable by torch.autograd.
Loss = Callable[[Features], "Tensor"]

#: Statistics of features, each summed over positions: those of tiles add up to the image's.
Sums = Mapping[str, "Tensor"]

#: A region of an image: layer -> (1, 1, H, W), the weight in [0, 1] of each position of the
#: layer's map, at least one of them above 0. An empty mapping is the whole image.
Region = Mapping[str, "Tensor"]

#: Maps of a whole image by layer -> those of one tile.
Cut = Callable[[Mapping[str, "Tensor"]], Mapping[str, "Tensor"]]

#: A region of the result, and its targets: each style's `prepared` statistics, and its weight.
Part = tuple[Region, Sequence[tuple[Sums, float]]]


@dataclass(frozen=True)
class Style:
    """Features of one style image at the term's layers, and its weight.

    The weights add up to 1, or to the part of the result that the styles' regions cover.

    - `region`: the region of the result that gets the style. Styles of one region share the object.
    - `own_region`: the region of the style image that its statistics are taken from.
    - `source`: the job's style that the image belongs to. Images of one source and region are one
      style with several images (a folder). None: the image is a style by itself.
    """

    features: Features
    weight: float
    region: Region = field(default_factory=dict)
    own_region: Region = field(default_factory=dict)
    source: int | None = None


@dataclass(frozen=True)
class References:
    """Features that a term may compare the result with.

    - `content`: the features of the content image at the size of the result.
    - `styles`: the style images, each at its own size.
    - `seed`: the job's, for terms that draw random numbers.
    - `wraps`: whether the result continues at its opposite edges, so that its first and last rows
      and columns are neighbors.
    - `content_region`: the region of the result that is compared with the content.

    Only the references that the term `reads` are present. For a SumTerm, which iterates over the
    styles once, their features are computed during the iteration, anew each time; other terms get
    a tuple.
    """

    content: Features
    styles: Sequence[Style]
    seed: int = 0
    wraps: bool = False
    content_region: Region = field(default_factory=dict)


class LossTerm(ABC):
    """A term of the objective.

    The first two attributes are set by the subclass:

    - `layers`: the layers it reads of the result (and of its references); may hold `IMAGE_LAYER`.
    - `reads`: which references `bind` requires; the features of the others are not computed.
    - `regional`: whether `bind` supports the references' regions. For other terms, a job that
      confines what the term reads to a region is an error.
    - `grows`: whether the loss is a plain sum over positions, so that it grows with the image.
    """

    regional: ClassVar[bool] = False
    layers: tuple[str, ...]
    reads: frozenset[Literal["content", "styles"]]
    grows: bool = False

    @abstractmethod
    def bind(self, references: References) -> Loss:
        """Compute the targets, and return the loss for one scale.

        References come without gradients and must not be modified. The loss returns a scalar
        (shape ()) on the features' device; it is called many times and must hold no state.
        """


class SumTerm(LossTerm):
    """Loss term that is a function of statistics, *sums over positions*.

    Such statistics are Gram matrices, moments or squared differences. The term can be evaluated
    tile by tile, exactly, for images larger than memory. A subclass defines `sums` and
    `loss_of_sums`; `bind` follows from them.

    Regions are supported: a position of weight w adds w times its summand, and the number of
    positions is the sum of the weights. These are the guided Gram matrices of Gatys et al. 2017,
    "Controlling Perceptual Factors in Neural Style Transfer", for any sums; w is the square of the
    paper's guidance channel T.
    """

    regional = True

    @abstractmethod
    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """Return the statistics of one tile (or of a whole image), summed over its positions.

        Each position counts with its weight in `region`, which may be empty (1 everywhere) or, in a
        tile, all zero. `content` has the content image's features at the same positions; it is
        empty unless the term reads the content, and while a style image's statistics are taken.
        """

    def prepared(self, sums: Sums) -> Sums:
        """Return a style's argument of `loss_of_sums`, from the style's sums.

        It is the sums themselves, or what follows from them and need not be computed at each step.
        """
        return sums

    @abstractmethod
    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """Return the scalar loss, from the sums of the whole result.

        `styles` has each style's `prepared` sums, and its weight.
        """

    def bind(self, references: References) -> Loss:
        """Return the loss of the whole image's sums.

        Where styles have regions, it is the sum of the regions' losses, each with the result's sums
        in the region and the region's styles.
        """
        return SumLoss(self, references.content, tuple(self._parts(references)))

    def _parts(self, references: References) -> list[Part]:
        """Return the regions of the result, each with its targets and their weights.

        The statistics of the images of one source are added up, as of one image made of them all:
        each image counts by its area.
        """
        if not references.styles:
            return [(references.content_region, [])]
        parts: dict[int, tuple[Region, dict[Hashable, tuple[Sums, float]]]] = {}
        for number, style in enumerate(references.styles):
            key = id(style.region) if style.region else 0
            _, targets = parts.setdefault(key, (style.region, {}))
            source = ("alone", number) if style.source is None else style.source
            sums, weight = self.sums(style.features, {}, style.own_region), style.weight
            if source in targets:
                sums_before, weight_before = targets[source]
                sums = {name: sums_before[name] + value for name, value in sums.items()}
                weight += weight_before
            targets[source] = sums, weight
        return [
            (region, [(self.prepared(sums), weight) for sums, weight in targets.values()])
            for region, targets in parts.values()
        ]


@dataclass(frozen=True)
class SumLoss:
    """A bound SumTerm: the sum of the losses of its parts.

    It can be called with the features of the whole image, or in two steps: `sums` for each tile,
    and `of_sums` for the tiles' sums, added up.
    """

    term: SumTerm
    content: Features
    parts: tuple[Part, ...]

    def __call__(self, features: Features) -> Tensor:
        """Return the scalar loss of the features of the whole image."""
        return reduce(
            operator.add,
            (
                self.term.loss_of_sums(self.term.sums(features, self.content, region), targets)
                for region, targets in self.parts
            ),
        )

    def sums(self, features: Features, cut: Cut) -> list[Sums]:
        """Return the statistics of a tile's features, by part.

        `cut` returns the tile's positions of the whole image's maps.
        """
        content = cut(self.content)
        return [self.term.sums(features, content, cut(region)) for region, _ in self.parts]

    def of_sums(self, sums: Sequence[Sums]) -> Tensor:
        """Return the scalar loss, from the whole image's sums by part."""
        return reduce(
            operator.add,
            (
                self.term.loss_of_sums(part_sums, targets)
                for part_sums, (_, targets) in zip(sums, self.parts, strict=True)
            ),
        )
