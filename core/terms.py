"""Loss terms: scalar functions of the features.

A term holds its options and nothing else. *Binding* it to the content's and the styles' features
computes its targets and gives the function that is minimised, one for each scale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from .backend import Features

#: The pixels themselves, as a layer: (N, 3, H, W), RGB in [0, 1]. Every term may ask for it.
IMAGE_LAYER = "image"

#: The function that is minimised: features -> scalar, differentiable by torch.autograd.
Loss = Callable[[Features], Tensor]

#: Statistics of features, each summed over positions: the sums of tiles add up to the whole's.
Sums = Mapping[str, Tensor]


@dataclass(frozen=True)
class Style:
    """One style image's features at the term's layers, and its share; the shares add up to 1."""

    features: Features
    weight: float


@dataclass(frozen=True)
class References:
    """What a term may compare with. `content` has the features of the content image at the size of
    the result; a style image has its own size. Only what the term `reads` is there. `seed` is the
    job's, for terms that draw random numbers. The result `wraps` if it is to go on at its opposite
    edges, so that its first and last rows and columns are neighbors."""

    content: Features
    styles: tuple[Style, ...]
    seed: int = 0
    wraps: bool = False


class LossTerm(ABC):
    """A term of the objective.

    The attributes are set by the subclass:

    - `layers`: the layers it reads of the result (and of its references); may hold `IMAGE_LAYER`.
    - `reads`: which references `bind` needs; the features of the others are not computed.
    - `grows`: whether the loss is a plain sum over positions, so that it grows with the picture.
    """

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
    """

    @abstractmethod
    def sums(self, features: Features, content: Features) -> Sums:
        """The statistics of one tile (or of a whole image), summed over its positions.

        `content` has the content image's features at the same positions; it is empty unless the
        term reads the content, and while the sums of a style image are taken.
        """

    @abstractmethod
    def loss_of_sums(self, sums: Sums, styles: Sequence[tuple[Sums, float]]) -> Tensor:
        """The scalar loss, from the whole result's sums and each style's sums with its share."""

    def bind(self, references: References) -> Loss:
        """The loss of the whole image's sums."""
        targets = [(self.sums(style.features, {}), style.weight) for style in references.styles]
        content = references.content

        def loss(features: Features) -> Tensor:
            return self.loss_of_sums(self.sums(features, content), targets)

        return loss
