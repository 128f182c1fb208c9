"""STROTSS loss: relaxed optimal transport and self-similarity.

Kolkin, Salavon and Shakhnarovich 2019, "Style Transfer by Relaxed Optimal Transport and
Self-Similarity".
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
    Region,
    Renewal,
    Style,
)
from .. import hooks
from .transport.distances import (
    cosine_transport,
    directions,
    moments,
    moments_distance,
    palette_distance,
    self_similarity,
    similarity_distance,
)
from .transport.hypercolumns import draw_positions, factors_of, hypercolumns, pixels

if TYPE_CHECKING:
    from torch import Tensor


class StrotssOptions(BaseModel):
    """Options of the loss term `strotss`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(
        default=1024,
        ge=2,
        le=16384,
        description="positions of the result that are compared; time grows with their square",
    )
    style_samples: int = Field(
        default=2048, ge=2, le=65536, description="positions of each style that are compared"
    )
    content: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="weight of the self-similarity with the content",
    )
    content_side: int | None = Field(
        default=None,
        ge=1,
        description="long side in pixels at which `content` is that weight; at half the size it is "
        "twice as large. By default it is the same at every size",
    )
    redraw: int | None = Field(
        default=None,
        ge=1,
        description="steps after which the result's positions are drawn anew, for optimizers that "
        "do not compare steps; by default they are drawn once for each scale",
    )


class StrotssLoss(LossTerm):
    """Optimal transport, moments, palette and self-similarity of sampled hypercolumns.

        (alpha L_c + L_m + L_r + beta L_p) / (2 + alpha + beta)

    alpha is the option `content`, times `content_side` / (the long side in pixels) if that is set;
    beta = 1 / max(alpha, 1).
    A hypercolumn has the pixel and the activations of all layers at one position, times the layers'
    weights. x_i are those of the result at positions that are drawn anew every `redraw` steps, c_i
    those of the content image at the same positions, y_j those of a style at positions that are
    drawn once for each scale. With D the cosine distance:

    - L_r = max(1/n sum_i min_j D(x_i, y_j), 1/m sum_j min_i D(x_i, y_j)): the relaxed earth mover's
      distance.
    - L_m = the mean absolute differences of the means, and of the covariances of x and y. One
      number divides the activations: the root of the content's mean square.
    - L_p = as L_r for the pixels, with D plus the root of the mean squared difference. (Colors are
      decorrelated first in the paper, by a rotation, which does not change these distances.)
    - L_c = 1/n sum_ij |D(x_i, x_j) / sum_i D(x_i, x_j) - D(c_i, c_j) / sum_i D(c_i, c_j)|: the
      self-similarity.

    The factors 1/n and the cosine in L_p are in the authors' code. Images of one style are pooled;
    the styles of one region share its positions, and regions are added by their weights. Any real
    activations; summed over the batch.
    """

    regional = True
    reads = frozenset({"content", "styles"})

    def __init__(self, arguments: LossTermArguments[StrotssOptions]) -> None:
        self.layers = tuple(dict.fromkeys((*arguments.layers, IMAGE_LAYER)))
        self._weights = dict(arguments.layers)
        self._options = arguments.options
        self.renewed_within_scale = arguments.options.redraw is not None

    def bind(self, references: References) -> Loss:
        """Draw the styles' positions, and keep their hypercolumns and the content's features."""
        factors = factors_of(references.content, self._weights)
        regions: dict[int, dict[object, list[Style]]] = {}
        for number, style in enumerate(references.styles):
            source = ("alone", number) if style.source is None else style.source
            sources = regions.setdefault(id(style.region) if style.region else 0, {})
            sources.setdefault(source, []).append(style)
        return SampledLoss(
            self._options,
            factors,
            references.content,
            [
                Target(
                    next(iter(sources.values()))[0].region,
                    [
                        Palette.drawn(styles, factors, self._options.style_samples, references.seed)
                        for styles in sources.values()
                    ],
                )
                for sources in regions.values()
            ],
        )


@dataclass(frozen=True)
class Palette:
    """The hypercolumns of a style: unit vectors (M, C), moments, colors."""

    weight: float
    units: Tensor
    mean: Tensor
    covariance: Tensor
    colors: Tensor

    @classmethod
    def drawn(
        cls, styles: Sequence[Style], factors: Mapping[str, float], samples: int, seed: int
    ) -> Palette:
        """Draw about as many positions as `samples` of a style's images, by their weights."""
        import torch

        weight = sum(style.weight for style in styles)
        rows, colors = [], []
        for style in styles:
            # The same positions whatever the other styles are.
            generator = torch.Generator().manual_seed(seed)
            part = style.weight / weight if weight > 0 else 1 / len(styles)
            height, width = style.features[IMAGE_LAYER].shape[2:]
            count, region = max(round(part * samples), 1), style.own_region
            positions = draw_positions((height, width), count, generator, region)
            rows.append(hypercolumns(style.features, factors, positions, region)[0])
            colors.append(pixels(style.features, positions, region)[0])
        columns = torch.cat(rows)
        return cls(weight, directions(columns), *moments(columns), torch.cat(colors))

    def distance(self, rows: Tensor, units: Tensor, colors: Tensor, palette: float) -> Tensor:
        """Return L_r + L_m + `palette` * L_p of hypercolumns (P, C) of the result."""
        return (
            cosine_transport(units, self.units)
            + moments_distance(rows, self.mean, self.covariance)
            + palette * palette_distance(colors, self.colors)
        )


@dataclass(frozen=True)
class Target:
    """The styles of one region of the result."""

    region: Region
    palettes: Sequence[Palette]


@dataclass(frozen=True)
class SampledLoss(ChangingLoss):
    """The loss at a scale, at positions that are drawn again and again."""

    options: StrotssOptions
    factors: Mapping[str, float]
    content: Features
    targets: Sequence[Target]

    @property
    def every(self) -> int | None:
        """Number of steps after which positions are drawn; None: once."""
        return self.options.redraw

    def renewed(self, renewal: Renewal) -> Loss:
        """Draw the positions, and return the loss there."""
        import torch

        height, width = self.content[IMAGE_LAYER].shape[2:]
        long_side = max(height, width)
        alpha = self.options.content * (self.options.content_side or long_side) / long_side
        beta = 1 / max(alpha, 1.0)
        generator = torch.Generator().manual_seed(renewal.seed)
        drawn = []
        for target in self.targets:
            positions = draw_positions(
                (height, width), self.options.samples, generator, target.region
            )
            if len(positions):
                columns = hypercolumns(self.content, self.factors, positions, target.region)[0]
                drawn.append((target, positions, self_similarity(directions(columns))))

        def loss(features: Features) -> Tensor:
            losses = [0.0 * features[IMAGE_LAYER].sum()]
            for target, positions, similarity in drawn:
                rows = hypercolumns(features, self.factors, positions, target.region)
                colors = pixels(features, positions, target.region)
                for row, color in zip(rows, colors, strict=True):
                    units = directions(row)
                    content = alpha * similarity_distance(units, similarity)
                    losses += [
                        palette.weight * (content + palette.distance(row, units, color, beta))
                        for palette in target.palettes
                    ]
            return torch.stack(losses).sum() / (2 + alpha + beta)

        return loss


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `strotss`."""
    yield LossTermSpec(
        name="strotss",
        summary="relaxed optimal transport and self-similarity (Kolkin et al. 2019)",
        create=StrotssLoss,
        options=StrotssOptions,
        layers_from="style",
        random=True,
    )
