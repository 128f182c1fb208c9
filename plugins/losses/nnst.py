"""NNST loss: distances of hypercolumns from the style's nearest ones.

Kolkin, Kucera, Paris, Sykora, Shechtman and Shakhnarovich 2022, "Neural Neighbor Style Transfer".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.terms import (
    IMAGE_LAYER,
    ChangingLoss,
    Loss,
    LossTerm,
    References,
    Renewal,
    Style,
)
from .. import hooks

if TYPE_CHECKING:
    from torch import Tensor

#: Ratio of the sides of an image and of its hypercolumns.
STRIDE = 4
#: Numbers of vectors and of candidates that are compared at a time: their similarities stay in the
#: processor's cache.
_ROWS, _BLOCK = 512, 1024
#: Least squared norm, of a vector of zeros.
_TINY = 1e-12


class NnstOptions(BaseModel):
    """Options of the loss term `nnst`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="part of the content image in the image whose nearest neighbors are taken; the "
        "rest is the result of the scale before",
    )
    rematch: int = Field(
        default=10, ge=1, description="steps of the final pass after which it is matched anew"
    )
    grid: int = Field(
        default=64, ge=2, description="about as many positions of a side are compared in that pass"
    )


class NnstLoss(LossTerm):
    """Cosine distances of hypercolumns from style hypercolumns that were found before.

    A hypercolumn has the activations of all layers at one position: each layer is divided by its
    number of channels, multiplied by its weight, and resampled to a quarter of the image's sides.
    Style images count with their quarter turns.

    At each scale, the hypercolumns of the image `alpha` * content + (1 - `alpha`) * (the result of
    the scale before with the content's finest detail) are replaced by the style's nearest ones,
    once; at the first scale, those of the content. The nearest has the largest cosine after each
    side's mean was subtracted. The loss is the mean cosine distance of the result's hypercolumns
    from these targets.

    In a job's `final_pass` each layer is compared by itself, at about `grid` x `grid` positions,
    drawn anew with their nearest neighbors every `rematch` steps: the mean cosine distance, after
    each side's mean was subtracted, averaged over the layers by their weights.

    Images of one style are pooled; several styles are averaged by their weights. Any real
    activations; summed over the batch.
    """

    reads = frozenset({"content", "styles", "result"})
    renewed_within_scale = True
    style_turns = (0, 1, 2, 3)

    def __init__(self, arguments: LossTermArguments[NnstOptions]) -> None:
        self.layers = (*arguments.layers, IMAGE_LAYER)
        self._weights = dict(arguments.layers)
        self._options = arguments.options

    def bind(self, references: References) -> Loss:
        """Keep the styles' hypercolumns or, for the final pass, their activations."""
        sources: dict[object, list[Style]] = {}
        for number, style in enumerate(references.styles):
            key = ("alone", number) if style.source is None else style.source
            sources.setdefault(key, []).append(style)
        if references.final_pass:
            layers = [
                Pool(sum(style.weight for style in styles), [style.features for style in styles])
                for styles in sources.values()
            ]
            return SplitLoss(self._weights, self._options, layers)
        pools = [
            Candidates.of(
                [joined(resampled(style.features, self._weights))[0] for style in styles],
                sum(style.weight for style in styles),
            )
            for styles in sources.values()
        ]
        content = references.content[IMAGE_LAYER]
        alpha = 1.0 if references.scale == 0 else self._options.alpha
        return HypercolumnLoss(self._weights, alpha, content, pools)


@dataclass(frozen=True)
class HypercolumnLoss(ChangingLoss):
    """The loss at a scale: its targets are found once, by the result of the scale before."""

    weights: Mapping[str, float]
    alpha: float
    content: Tensor
    pools: Sequence[Candidates]

    def observed(self, result: Tensor) -> Tensor:
        """Return the mixture of content and result; see NnstLoss."""
        if self.alpha == 1:
            return self.content
        return self.alpha * self.content + (1 - self.alpha) * (result + detail(self.content))

    def renewed(self, renewal: Renewal) -> Loss:
        """Find the targets, and return the loss."""
        import torch

        parts = resampled(renewal.observed, self.weights)
        columns = joined(parts)
        targets = [
            (
                pool.weight,
                by_layer(directions(torch.stack([pool.nearest(rows) for rows in columns])), parts),
            )
            for pool in self.pools
        ]
        del columns, parts

        def loss(features: Features) -> Tensor:
            # Layer by layer: hypercolumns in one piece would be the largest tensors of a step.
            current = resampled(features, self.weights)
            norms = [part.scale * torch.linalg.vector_norm(part.rows, dim=2) for part in current]
            inverse = torch.stack(norms).square().sum(0).clamp_min(_TINY).rsqrt()
            distances = []
            for weight, target in targets:
                products = [
                    part.scale * (layer * part.rows).sum(2)
                    for layer, part in zip(target, current, strict=True)
                ]
                cosines = torch.stack(products).sum(0) * inverse
                distances.append(weight * (1 - cosines).mean(1).sum())
            return torch.stack(distances).sum()

        return loss


@dataclass(frozen=True)
class Pool:
    """The activations of the images of one style, and the style's weight."""

    weight: float
    features: Sequence[Features]


@dataclass(frozen=True)
class SplitLoss(ChangingLoss):
    """The loss in the final pass: layer by layer, at positions that are drawn again and again."""

    weights: Mapping[str, float]
    options: NnstOptions
    pools: Sequence[Pool]

    @property
    def every(self) -> int:
        """Number of steps after which positions are drawn and matched."""
        return self.options.rematch

    def renewed(self, renewal: Renewal) -> Loss:
        """Draw the positions, find their nearest neighbors, and return the loss."""
        import torch

        generator = torch.Generator().manual_seed(renewal.seed)
        total = sum(self.weights.values())
        grids: dict[str, Grid] = {}
        targets: list[tuple[str, float, Tensor]] = []
        for layer, weight in self.weights.items():
            maps = renewal.observed[layer]
            grids[layer] = grid = Grid.drawn(maps, self.options.grid, generator)
            for pool in self.pools:
                rows = [grid.rows(features[layer])[0] for features in pool.features]
                candidates = Candidates.of(rows, pool.weight)
                matched = [candidates.nearest_units(columns) for columns in grid.rows(maps)]
                targets.append((layer, weight / total * pool.weight, torch.stack(matched)))

        def loss(features: Features) -> Tensor:
            current = {
                layer: directions(centred(grid.rows(features[layer])))
                for layer, grid in grids.items()
            }
            distances = [
                weight * (1 - (target * current[layer]).sum(2)).mean(1).sum()
                for layer, weight, target in targets
            ]
            return torch.stack(distances).sum()

        return loss


@dataclass(frozen=True)
class Grid:
    """Every `stride`-th position of a layer, from `offset` (rows, columns) on."""

    stride: int
    offset: tuple[int, int]

    @classmethod
    def drawn(cls, maps: Tensor, side: int, generator: Any) -> Grid:
        """Draw a grid of about `side` positions along the longer side of (N, C, H, W)."""
        import torch

        stride = max(max(maps.shape[2:]) // side, 1)
        row, column = torch.randint(stride, (2,), generator=generator).tolist()
        return cls(stride, (row, column))

    def rows(self, maps: Tensor) -> Tensor:
        """Return the activations of (N, C, H, W) at the positions, (N, P, C)."""
        row, column = (
            min(first, side - 1) for first, side in zip(self.offset, maps.shape[2:], strict=True)
        )
        return maps[:, :, row :: self.stride, column :: self.stride].flatten(2).mT


@dataclass(frozen=True)
class Candidates:
    """Vectors (M, C) that others are replaced by: unit vectors after the mean was subtracted.

    A vector is `units` * `norms` + `mean`.
    """

    units: Tensor
    norms: Tensor
    mean: Tensor
    weight: float

    @classmethod
    def of(cls, parts: Sequence[Tensor], weight: float) -> Candidates:
        """Return the candidates of vectors (M_i, C) of several images."""
        import torch

        units = torch.cat(list(parts))
        mean = units.mean(0)
        units = units.sub_(mean)  # in place: these are the largest tensors of a run
        norms = torch.linalg.vector_norm(units, dim=1, keepdim=True).clamp_min(_TINY**0.5)
        return cls(units.div_(norms), norms, mean, weight)

    def nearest(self, rows: Tensor) -> Tensor:
        """Return the nearest candidate (P, C) of each of the vectors (P, C)."""
        index = self._indices(rows)
        return self.units[index] * self.norms[index] + self.mean

    def nearest_units(self, rows: Tensor) -> Tensor:
        """Return the unit vectors (P, C) of the nearest candidates."""
        return self.units[self._indices(rows)]

    def _indices(self, rows: Tensor) -> Tensor:
        import torch

        blocks = torch.split(self.units, _BLOCK)
        indices = []
        # The norms of the rows do not change the order of the candidates.
        for part in torch.split(centred(rows), _ROWS):
            best = [(part @ block.mT).max(1) for block in blocks]
            block_of = torch.stack([similar.values for similar in best]).max(0).indices[None]
            within = torch.stack([similar.indices for similar in best]).gather(0, block_of)[0]
            indices.append(block_of[0] * _BLOCK + within)
        return torch.cat(indices)


@dataclass(frozen=True)
class LayerPart:
    """The part of hypercolumns that a layer has: `scale` * `rows` (N, P, C)."""

    scale: float
    rows: Tensor


def resampled(features: Features, weights: Mapping[str, float]) -> list[LayerPart]:
    """Return the layers of hypercolumns, at a quarter of the image's sides."""
    from torch.nn import functional

    height, width = (max(side // STRIDE, 1) for side in features[IMAGE_LAYER].shape[2:])
    parts = []
    for layer, weight in weights.items():
        maps = functional.interpolate(
            features[layer], (height, width), mode="bilinear", align_corners=True
        )
        rows = maps.permute(0, 2, 3, 1).flatten(1, 2)
        parts.append(LayerPart(weight / maps.shape[1], rows))
    return parts


def joined(parts: Sequence[LayerPart]) -> Tensor:
    """Return the hypercolumns (N, P, C) of their layers."""
    import torch

    return torch.cat([part.scale * part.rows for part in parts], 2)


def by_layer(columns: Tensor, parts: Sequence[LayerPart]) -> list[Tensor]:
    """Return hypercolumns (N, P, C) in the pieces that belong to the layers of others."""
    import torch

    pieces = torch.split(columns, [part.rows.shape[2] for part in parts], 2)
    return [piece.contiguous() for piece in pieces]


def detail(image: Tensor) -> Tensor:
    """Return what an image (N, 3, H, W) loses when it is halved and enlarged."""
    from torch.nn import functional

    size = image.shape[2:]
    half = functional.interpolate(image, tuple(max(side // 2, 1) for side in size), mode="bilinear")
    return image - functional.interpolate(half, tuple(size), mode="bilinear")


def centred(rows: Tensor) -> Tensor:
    """Return vectors (..., P, C) without their mean."""
    return rows - rows.mean(-2, keepdim=True)


def directions(rows: Tensor) -> Tensor:
    """Return vectors (..., C) as unit vectors; those of zeros stay zero."""
    return rows * rows.square().sum(-1, keepdim=True).clamp_min(_TINY).rsqrt()


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `nnst`."""
    yield LossTermSpec(
        name="nnst",
        summary="hypercolumns near the style's nearest (Kolkin et al. 2022)",
        create=NnstLoss,
        options=NnstOptions,
        layers_from="style",
        random=True,
    )
