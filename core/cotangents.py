"""From the terms' losses to the layers' cotangents, which the backend carries to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .terms import Loss


@dataclass(frozen=True)
class WeightedLoss:
    """A bound term in the objective; `label` is what messages call it, `shares` are its layers'
    weights within it."""

    name: str
    weight: float
    loss: Loss
    label: str
    shares: Mapping[str, float] = field(default_factory=dict)


#: Each term with its weighted loss, and what the losses are differentiated by -> cotangents by
#: layer, of those that some loss depends on.
Cotangents = Callable[
    [Sequence[tuple[WeightedLoss, Tensor]], Mapping[str, Tensor]], dict[str, Tensor]
]

#: Added to a gradient's length, so that a term that is content asks for nothing.
_EPSILON = 1e-8


def plain_cotangents(
    losses: Sequence[tuple[WeightedLoss, Tensor]], leaves: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The gradient of the losses' sum."""
    return gradients(torch.stack([loss for _, loss in losses]).sum(), leaves)


def normalized_cotangents(
    losses: Sequence[tuple[WeightedLoss, Tensor]], leaves: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Each term's gradient at each of its layers with an L1 norm of 1, times the term's weight and
    the layer's share; then the sum over the terms (`-normalize_gradients` of Johnson 2015,
    "neural-style"). So a weight says how much of the pull is a term's, whatever its loss measures.

    What comes out is the gradient of no function.
    """
    found: dict[str, Tensor] = {}
    for term, loss in losses:
        for layer, gradient in gradients(loss, leaves).items():
            length = gradient.abs().sum() + term.weight * _EPSILON
            pull = gradient * (term.weight * term.shares.get(layer, 1.0) / length)
            found[layer] = found[layer] + pull if layer in found else pull
    return found


def gradients(loss: Tensor, leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By layer, of those that the loss depends on."""
    every = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves, every, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}
