"""STROTSS loss: relaxed optimal transport and self-similarity.

Kolkin, Salavon and Shakhnarovich 2019, "Style Transfer by Relaxed Optimal Transport and
Self-Similarity".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.terms import Loss, LossTerm, References
from .. import hooks
from .statistics.sums import TINY

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Least mean cosine distance; less is rounding: flat images have equal activations everywhere.
FLAT = 1e-4


class StrotssOptions(BaseModel):
    """Options of the loss term `strotss`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(
        default=1024,
        ge=2,
        le=16384,
        description="positions that are compared, for each layer and image; "
        "time and memory grow with the square of their number",
    )
    content: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="weight of the self-similarity with the content; the paper goes from 16 at the "
        "coarsest scale down to 1",
    )


class StrotssLoss(LossTerm):
    """Optimal transport, moments and self-similarity of sampled activations, over the layers.

        sum_l w_l (alpha L_c + L_m + L_r) / (2 + alpha), with alpha the option `content`

    Each layer is sampled at random positions: x_i of the result, c_i of the content image at the
    same positions, y_j of a style image. With D the cosine distance:

    - L_r = max(1/n sum_i min_j D(x_i, y_j), 1/m sum_j min_i D(x_i, y_j)): the relaxed earth mover's
      distance, at most 2.
    - L_m = |mu_x - mu_y|_1 / |mu_y|_1 + |S_x - S_y|_1 / |S_y|_1, of means and covariances.
      The paper divides by the number of elements instead, so that the loss depends on the network's
      units; here each part is 1 for an image without any activation.
    - L_c = 1/n sum_ij |D(x_i, x_j) / sum_i D(x_i, x_j) - D(c_i, c_j) / sum_i D(c_i, c_j)|: the
      self-similarity, at most 2. (1/n is in the authors' code.)

    L_r and L_m are averaged over the styles by their weights. The paper's features are
    hypercolumns, all layers at once, and it draws new positions at each step; here each layer is
    compared by itself, and the positions are drawn once, from the job's seed, so that L-BFGS
    minimises one function. Of layers with many more positions than `samples`, only some positions
    count therefore: deep layers suit best. The paper's palette term is left out.

    Any real activations; summed over the batch.
    """

    reads = frozenset({"content", "styles"})

    def __init__(self, arguments: LossTermArguments[StrotssOptions]) -> None:
        self.layers = tuple(arguments.layers)
        self._weights = dict(arguments.layers)
        self._samples = arguments.options.samples
        self._alpha = arguments.options.content

    def bind(self, references: References) -> Loss:
        """Draw the positions, sample styles and content there, and return the loss."""
        import torch

        generator = torch.Generator().manual_seed(references.seed)
        content_positions, similarities = {}, {}
        targets: dict[str, list[tuple[Tensor, float]]] = {}
        for layer in self.layers:
            content = references.content[layer]
            content_positions[layer] = positions(content, self._samples, generator)
            similarities[layer] = self_similarity(sampled(content, content_positions[layer]))
            # Styles of one size are sampled alike: the same style twice is as the style once.
            state = generator.get_state()
            targets[layer] = []
            for style in references.styles:
                generator.set_state(state)
                style_positions = positions(style.features[layer], self._samples, generator)
                samples = sampled(style.features[layer], style_positions)
                targets[layer].append((samples, style.weight))
        alpha = self._alpha

        def loss(features: Features) -> Tensor:
            losses = []
            for layer, weight in self._weights.items():
                rows = sampled(features[layer], content_positions[layer])
                factor = weight / (2 + alpha)
                difference = self_similarity(rows) - similarities[layer]
                content_loss = difference.abs().sum() / rows.shape[1]
                losses.append(factor * alpha * content_loss)
                for target, style_weight in targets[layer]:
                    style_loss = relaxed_earth_movers(rows, target) + moments_distance(rows, target)
                    losses.append(factor * style_weight * style_loss)
            return torch.stack(losses).sum()

        return loss


def positions(features: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Draw at most `samples` different positions of (N, C, H, W), in ascending order.

    They are drawn on the CPU, so that a seed gives the same positions on every device.
    """
    import torch

    number = features.shape[2] * features.shape[3]
    return torch.randperm(number, generator=generator)[:samples].sort().values.to(features.device)


def sampled(features: Tensor, indices: Tensor) -> Tensor:
    """Sample features (N, C, H, W) at n positions: (N, n, C)."""
    return features.flatten(2)[:, :, indices].mT


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """Cosine distances, 1 - cos of the angles: (N, n, C), (N, m, C) -> (N, n, m).

    An activation of zero has a distance of 1.
    """
    return 1 - _directions(first) @ _directions(second).mT


def relaxed_earth_movers(rows: Tensor, target: Tensor) -> Tensor:
    """Relaxed earth mover's distance L_r of (N, n, C) and (1, m, C), summed over the batch."""
    import torch

    distance = cosine_distance(rows, target)
    to_target, from_target = distance.amin(2).mean(1), distance.amin(1).mean(1)
    return torch.maximum(to_target, from_target).sum()


def moments_distance(rows: Tensor, target: Tensor) -> Tensor:
    """Distance L_m of the moments of (N, n, C) and (1, m, C), summed over the batch."""
    distances = []
    for moment, wanted in zip(_moments(rows), _moments(target), strict=True):
        distances.append((moment - wanted).abs().sum() / wanted.abs().sum().clamp_min(TINY))
    return distances[0] + distances[1]


def self_similarity(rows: Tensor) -> Tensor:
    """Cosine distances within (N, n, C), each column divided by its sum: (N, n, n)."""
    distance = cosine_distance(rows, rows)
    return distance / distance.sum(1, keepdim=True).clamp_min(FLAT * rows.shape[1])


def _directions(rows: Tensor) -> Tensor:
    """Normalize to unit vectors; rows of zero stay zero, with a gradient of zero."""
    import torch

    square = rows.square().sum(2, keepdim=True)
    nonzero = square > TINY
    return rows * torch.where(nonzero, square, 1.0).rsqrt() * nonzero


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    mean = rows.mean(1, keepdim=True)
    centred = rows - mean
    return mean, centred.mT @ centred / rows.shape[1]


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[Any]]:
    """Yield the loss term `strotss`."""
    yield LossTermSpec(
        name="strotss",
        summary="relaxed optimal transport and self-similarity (Kolkin et al. 2019)",
        create=StrotssLoss,
        options=StrotssOptions,
        layers_from="style",
        least_stride=2,
        random=True,
    )
