"""Loss terms: scalar functions of the features.

A term holds its options and nothing else. *Binding* it to the content's and the styles' features
computes its targets and gives the function that is minimised, one for each scale.
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

#: The pixels themselves, as a layer: (N, 3, H, W), RGB in [0, 1]. Every term may ask for it.
IMAGE_LAYER = "image"

#: The function that is minimised: features -> scalar, differentiable by torch.autograd.
Loss = Callable[[Features], "Tensor"]

#: Statistics of features, each summed over positions: the sums of tiles add up to the whole's.
Sums = Mapping[str, "Tensor"]

#: Where in an image: layer -> (1, 1, H, W), the weight in [0, 1] of each position of the layer's
#: map, some of it above 0. An empty mapping is the whole image.
Region = Mapping[str, "Tensor"]

#: Maps of a whole picture by layer -> those of one tile.
Cut = Callable[[Mapping[str, "Tensor"]], Mapping[str, "Tensor"]]

#: A region of the result, and what is wanted there: each style's sums, `prepared`, and its share.
Part = tuple[Region, Sequence[tuple[Sums, float]]]


@dataclass(frozen=True)
class Style:
    """One style image's features at the term's layers, and its share; the shares add up to 1, or
    to the part of the result that the styles' regions cover.

    - `region`: where in the result the style is wanted. Styles that share one share the object.
    - `own_region`: where in the style image it is found.
    - `source`: the job's style that the image belongs to. Images of one source and region are one
      style, seen several times (a folder). None: the image stands for itself.
    """

    features: Features
    weight: float
    region: Region = field(default_factory=dict)
    own_region: Region = field(default_factory=dict)
    source: int | None = None


@dataclass(frozen=True)
class References:
    """What a term may compare with. `content` has the features of the content image at the size of
    the result; a style image has its own size. Only what the term `reads` is there. `seed` is the
    job's, for terms that draw random numbers. The result `wraps` if it is to go on at its opposite
    edges, so that its first and last rows and columns are neighbors. `content_region` says where it
    is held to the content.

    A SumTerm is handed styles whose features are computed when their turn comes, anew each time,
    since it goes through them once; other terms get a tuple."""

    content: Features
    styles: Sequence[Style]
    seed: int = 0
    wraps: bool = False
    content_region: Region = field(default_factory=dict)


class LossTerm(ABC):
    """A term of the objective.

    The first two attributes are set by the subclass:

    - `layers`: the layers it reads of the result (and of its references); may hold `IMAGE_LAYER`.
    - `reads`: which references `bind` needs; the features of the others are not computed.
    - `regional`: whether `bind` heeds the references' regions. A job that confines what the term
      reads to a region is refused for terms that do not.
    - `grows`: whether the loss is a plain sum over positions, so that it grows with the picture.
    """

    regional: ClassVar[bool] = False
    layers: tuple[str, ...]
    reads: frozenset[Literal["content", "styles"]]
    grows: bool = False

    @abstractmethod
    def bind(self, references: References) -> Loss:
        """Compute the targets and return the loss for one scale.

        References come without gradients and must not be modified. The loss returns a scalar
        (shape ()) on the features' device; it is called many times and must hold no state.
        """


class SumTerm(LossTerm):
    """A term whose loss is a function of *sums over positions* (Gram matrices, moments, squared
    differences). It can be evaluated tile by tile, exactly, for pictures larger than memory:
    write `sums` and `loss_of_sums`; `bind` follows from them.

    Regions come with it: a position of weight w adds w times its summand, and the number of
    positions is the sum of the weights. These are the guided Gram matrices of Gatys et al. 2017,
    "Controlling Perceptual Factors in Neural Style Transfer", for any sums; w is the square of the
    paper's guidance channel T.
    """

    regional = True

    @abstractmethod
    def sums(self, features: Features, content: Features, region: Region) -> Sums:
        """The statistics of one tile (or of a whole image), summed over its positions, each with
        its weight in `region` (which may be empty: 1 everywhere; or, in a tile, all zero).

        `content` has the content image's features at the same positions; it is empty unless the
        term reads the content, and while the sums of a style image are taken.
        """

    def prepared(self, sums: Sums) -> Sums:
        """What `loss_of_sums` is given of a style with these sums: the sums themselves, or what
        follows from them and need not be computed at each step."""
        return sums

    @abstractmethod
    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """The scalar loss, from the whole result's sums, and each style's, `prepared`, with its
        share."""

    def bind(self, references: References) -> Loss:
        """The loss of the whole image's sums. Where styles have regions, the sum of the regions'
        losses, each with the result's sums in the region and the styles that are wanted there."""
        return SumLoss(self, references.content, tuple(self._parts(references)))

    def _parts(self, references: References) -> list[Part]:
        """The regions of the result, and the targets with their shares in each. The images of one
        source are taken as if they hung side by side: each counts by its area."""
        if not references.styles:
            return [(references.content_region, [])]
        parts: dict[int, tuple[Region, dict[Hashable, tuple[Sums, float]]]] = {}
        for number, style in enumerate(references.styles):
            key = id(style.region) if style.region else 0
            _, targets = parts.setdefault(key, (style.region, {}))
            source = ("alone", number) if style.source is None else style.source
            sums, weight = self.sums(style.features, {}, style.own_region), style.weight
            if source in targets:
                others, share = targets[source]
                sums = {name: others[name] + value for name, value in sums.items()}
                weight += share
            targets[source] = sums, weight
        return [
            (region, [(self.prepared(sums), share) for sums, share in targets.values()])
            for region, targets in parts.values()
        ]


@dataclass(frozen=True)
class SumLoss:
    """A bound SumTerm: the sum of the losses of its parts. Called with the features of the whole
    picture, it is the loss; in two steps, with the sums of tiles added up between them, as well."""

    term: SumTerm
    content: Features
    parts: tuple[Part, ...]

    def __call__(self, features: Features) -> Tensor:
        """See Loss."""
        return reduce(
            operator.add,
            (
                self.term.loss_of_sums(self.term.sums(features, self.content, region), targets)
                for region, targets in self.parts
            ),
        )

    def sums(self, features: Features, cut: Cut) -> list[Sums]:
        """Of a tile's features, by part; `cut` takes the tile's positions of the picture's maps."""
        content = cut(self.content)
        return [self.term.sums(features, content, cut(region)) for region, _ in self.parts]

    def of_sums(self, sums: Sequence[Sums]) -> Tensor:
        """The loss, a scalar, of the whole picture's sums by part."""
        return reduce(
            operator.add,
            (
                self.term.loss_of_sums(each, targets)
                for each, (_, targets) in zip(sums, self.parts, strict=True)
            ),
        )
