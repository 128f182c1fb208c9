"""Loss terms: scalar functions of the features.

A term holds its options and nothing else. *Binding* it to the content's and the styles' features
computes its targets and returns the function that is minimised, one for each scale. A function that
changes within a scale is a `ChangingLoss`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from .backend import Features
from .video.former import FormerResult

if TYPE_CHECKING:
    from torch import Tensor

#: The pixels themselves, as a layer: (N, 3, H, W), RGB in [0, 1]. Every term may read it.
IMAGE_LAYER = "image"

#: The function that is minimised: features -> scalar, differentiable by torch.autograd.
Loss = Callable[[Features], "Tensor"]

#: A region of an image: layer -> (1, 1, H, W), the weight in [0, 1] of each position of the
#: layer's map, at least one of them above 0. An empty mapping is the whole image.
Region = Mapping[str, "Tensor"]

#: Argument of an ONNX node: the name of a value; or a constant, which is a tensor or a number of
#: the graph's floating type, or a tuple of integers (a vector of int64: axes, a shape, positions).
Operand: TypeAlias = "str | Tensor | float | tuple[int, ...]"

#: Maps of a whole image by layer -> those of one tile.
Cut = Callable[[Mapping[str, "Tensor"]], Mapping[str, "Tensor"]]


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
    - `scale`: the number of the scale, from 0 for the coarsest.
    - `final_pass`: whether this is the job's final pass, at the size of the scale before.
    - `former`: results of former frames of a video, at least one.

    Only the references that the term `reads` are present. For a StatisticsTerm, which iterates over
    the styles once, their features are computed during the iteration, anew each time; other terms
    get a tuple.
    """

    content: Features
    styles: Sequence[Style]
    seed: int = 0
    wraps: bool = False
    content_region: Region = field(default_factory=dict)
    scale: int = 0
    final_pass: bool = False
    former: tuple[FormerResult, ...] = ()


@dataclass(frozen=True)
class Renewal:
    """Argument of `ChangingLoss.renewed`.

    - `step`: the first step of the scale that the new loss is for; 0 is the starting point.
    - `seed`: a number that follows from the job's seed, the scale and the step, for losses that
      draw random numbers.
    - `observed`: features of the image that `ChangingLoss.observed` returns, at the term's layers
      and `IMAGE_LAYER`, without gradients; empty unless the term reads ``"result"``.
    """

    step: int
    seed: int
    observed: Features = field(default_factory=dict)


class ChangingLoss(ABC):
    """A bound loss that is drawn anew, or bound to the result, when a scale begins and within it.

    `LossTerm.bind` may return one. The new loss must be a function of the references and of the
    renewal alone, so that a resumed run takes the same steps.
    """

    @property
    def every(self) -> int | None:
        """Number of steps after which the loss is renewed; None: once, when the scale begins."""
        return None

    @abstractmethod
    def renewed(self, renewal: Renewal) -> Loss:
        """Return the loss for the next steps."""

    def observed(self, result: Tensor) -> Tensor:
        """Return the image whose features a renewal has, shaped like `result` (1, 3, H, W).

        It is the result as it is, unless the method is overridden.
        """
        return result

    def __call__(self, features: Features) -> Tensor:
        """Return the value of a loss that is renewed for, and by, these features."""
        observed = {name: maps.detach() for name, maps in features.items()}
        return self.renewed(Renewal(0, 0, observed))(features)


class LossGraph(ABC):
    """A loss term under construction as ONNX nodes, for `LossTerm.onnx_loss`.

    Values are identified by their names. Operators are those of ONNX's opset 18; those that depend
    on the result need a gradient rule (backends/onnx_gradient). All floating values have one type,
    float32 in an exported file. Runtimes add the numbers of one reduction one after the other, so
    that a sum over a whole image should reduce one axis at a time.

    - `element`: that type, as in onnx.TensorProto.DataType, for a node such as ``Cast``.
    """

    element: int

    @abstractmethod
    def layer(self, name: str) -> str:
        """Return the result's features at a layer of the term, (1, C, H, W), or its pixels."""

    @abstractmethod
    def content(self, name: str) -> str:
        """Return the content image's features at a layer of the term, of the same shape.

        They replace `References.content`, since a file may be made for content images of any size.
        """

    @abstractmethod
    def node(self, operator: str, *inputs: Operand, **attributes: object) -> str:
        """Add a node with one output, and return the output's name."""


class LossTerm(ABC):
    """A term of the objective.

    The first two attributes are set by the subclass:

    - `layers`: the layers it reads of the result (and of its references); may hold `IMAGE_LAYER`.
    - `reads`: which references `bind` requires; the features of the others are not computed.
      ``"result"``: the renewals of its `ChangingLoss` have features of the result.
      ``"former"``: the results of former frames; only frames of a video have them.
    - `regional`: whether `bind` supports the references' regions. For other terms, a job that
      confines what the term reads to a region is an error.
    - `balanced`: whether `strength` changes its weight, by what it reads.
    - `grows`: whether the loss is a plain sum over positions, so that it grows with the image.
    - `renewed_within_scale`: whether it may be bound to a `ChangingLoss` with a number of steps,
      `every`, so that an optimizer must not compare the losses of different steps.
    - `style_turns`: the quarter turns, counterclockwise, by which it sees each style image. There
      is a `Style` for each, with its part of the image's weight.
    """

    regional: ClassVar[bool] = False
    layers: tuple[str, ...]
    reads: frozenset[Literal["content", "styles", "result", "former"]]
    balanced: bool = True
    grows: bool = False
    renewed_within_scale: bool = False
    style_turns: tuple[int, ...] = (0,)

    @abstractmethod
    def bind(self, references: References) -> Loss:
        """Compute the targets, and return the loss for one scale.

        References come without gradients and must not be modified. The loss returns a scalar
        (shape ()) on the features' device; it is called many times and must hold no state. It may
        be a `ChangingLoss`.
        """

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        """Add the nodes of the loss that `bind` returns, and return its value's name, a scalar.

        It is for one result, N = 1. A term that does not override it cannot be exported by
        `stylectl export --objective`. Raises NotImplementedError for references without an ONNX
        form, with the reason.
        """
        raise NotImplementedError("its class does not define `onnx_loss`")
