"""STROTSS: relaxed optimal transport and self-similarity.

Kolkin, Salavon and Shakhnarovich 2019, "Style Transfer by Relaxed Optimal Transport and
Self-Similarity".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import Loss, LossTerm, References
from ..hookspecs import hookimpl
from .statistics.sums import TINY

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: A mean cosine distance below this is rounding: flat pictures have one activation everywhere.
FLAT = 1e-4


class StrotssOptions(BaseModel):
    """Options of the term `strotss`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(
        default=1024,
        ge=2,
        le=16384,
        description="positions that are compared, for each layer and image; "
        "time and memory grow with the square",
    )
    content: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="share of the self-similarity with the content; the paper goes from 16 at the "
        "coarsest scale down to 1",
    )


class StrotssLoss(LossTerm):
    """sum_l w_l (alpha L_c + L_m + L_r) / (2 + alpha), with alpha the option `content`.

    Each layer is sampled at random positions: x_i of the result, c_i of the content image at the
    same ones, y_j of a style image. With D the cosine distance:

    - L_r = max(1/n sum_i min_j D(x_i, y_j), 1/m sum_j min_i D(x_i, y_j)): the relaxed earth mover's
      distance, at most 2.
    - L_m = |mu_x - mu_y|_1 / |mu_y|_1 + |S_x - S_y|_1 / |S_y|_1, of means and covariances.
      The paper divides by the number of elements instead, which leaves the network's units in; here
      each part is 1 for an image without any activation.
    - L_c = 1/n sum_ij |D(x_i, x_j) / sum_i D(x_i, x_j) - D(c_i, c_j) / sum_i D(c_i, c_j)|: the
      self-similarity, at most 2. (1/n is in the authors' code.)

    L_r and L_m are averaged over the styles by their shares. The paper's features are
    hypercolumns, all layers at once, and it moves the positions at each step; here each layer
    stands for itself, and the positions are drawn from the job's seed and stay, so that L-BFGS
    sees one function. Layers with many more positions than `samples` are therefore seen at some
    points alone: deep layers serve best. The paper's palette term is left out.
    Any real activations; summed over the batch.
    """

    reads = frozenset({"content", "styles"})

    def __init__(self, layers: Mapping[str, float], options: StrotssOptions) -> None:
        self.layers = tuple(layers)
        self._weights = dict(layers)
        self._samples = options.samples
        self._alpha = options.content

    def bind(self, references: References) -> Loss:
        """Draw the positions; sample the styles and the content there."""
        import torch

        generator = torch.Generator().manual_seed(references.seed)
        places, contents = {}, {}
        targets: dict[str, list[tuple[Tensor, float]]] = {}
        for layer in self.layers:
            content = references.content[layer]
            places[layer] = positions(content, self._samples, generator)
            contents[layer] = self_similarity(sampled(content, places[layer]))
            # Styles of one size are sampled alike, so that a style given twice is given once.
            state = generator.get_state()
            targets[layer] = []
            for style in references.styles:
                generator.set_state(state)
                chosen = positions(style.features[layer], self._samples, generator)
                targets[layer].append((sampled(style.features[layer], chosen), style.weight))
        alpha = self._alpha

        def loss(features: Features) -> Tensor:
            shares = []
            for layer, weight in self._weights.items():
                own = sampled(features[layer], places[layer])
                scale = weight / (2 + alpha)
                kept = (self_similarity(own) - contents[layer]).abs().sum() / own.shape[1]
                shares.append(scale * alpha * kept)
                for target, share in targets[layer]:
                    moved = relaxed_earth_movers(own, target) + moments_distance(own, target)
                    shares.append(scale * share * moved)
            return torch.stack(shares).sum()

        return loss


def positions(features: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Different positions of (N, C, H, W), in order: all of them, if there are no more.

    Drawn on the CPU, so that a seed means the same on every device.
    """
    import torch

    number = features.shape[2] * features.shape[3]
    return torch.randperm(number, generator=generator)[:samples].sort().values.to(features.device)


def sampled(features: Tensor, places: Tensor) -> Tensor:
    """(N, C, H, W) at n positions -> (N, n, C)."""
    return features.flatten(2)[:, :, places].mT


def cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """1 - cos of the angles: (N, n, C), (N, m, C) -> (N, n, m); 1 for an activation of zero."""
    return 1 - _directions(first) @ _directions(second).mT


def relaxed_earth_movers(own: Tensor, target: Tensor) -> Tensor:
    """L_r of (N, n, C) and (1, m, C), summed over the batch."""
    import torch

    distance = cosine_distance(own, target)
    there, back = distance.amin(2).mean(1), distance.amin(1).mean(1)
    return torch.maximum(there, back).sum()


def moments_distance(own: Tensor, target: Tensor) -> Tensor:
    """L_m of (N, n, C) and (1, m, C), summed over the batch."""
    parts = []
    for mine, its in zip(_moments(own), _moments(target), strict=True):
        parts.append((mine - its).abs().sum() / its.abs().sum().clamp_min(TINY))
    return parts[0] + parts[1]


def self_similarity(rows: Tensor) -> Tensor:
    """The cosine distances within (N, n, C), each column divided by its sum: (N, n, n)."""
    distance = cosine_distance(rows, rows)
    return distance / distance.sum(1, keepdim=True).clamp_min(FLAT * rows.shape[1])


def _directions(rows: Tensor) -> Tensor:
    """Unit vectors; zero, with a gradient of zero, where there is no direction."""
    import torch

    square = rows.square().sum(2, keepdim=True)
    some = square > TINY
    return rows * torch.where(some, square, 1.0).rsqrt() * some


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    mean = rows.mean(1, keepdim=True)
    centred = rows - mean
    return mean, centred.mT @ centred / rows.shape[1]


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """The term `strotss`."""
    yield LossTermSpec(
        name="strotss",
        summary="relaxed optimal transport and self-similarity (Kolkin et al. 2019)",
        create=StrotssLoss,
        options=StrotssOptions,
        layers_from="style",
        least_stride=2,
        random=True,
    )
