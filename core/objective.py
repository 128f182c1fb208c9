"""The objective: the weighted sum of the bound terms, with its gradient for the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .backend import FeatureBackend, Features
from .errors import PluginError
from .terms import IMAGE_LAYER, Loss


@dataclass(frozen=True)
class WeightedLoss:
    """A bound term in the objective."""

    name: str
    weight: float
    loss: Loss


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image: its value, the terms' weighted shares of it (they add up to the
    value), and its gradient (N, 3, H, W) with respect to the image."""

    value: float
    losses: dict[str, float]
    gradient: Tensor

    @property
    def finite(self) -> bool:
        """Whether the value and every element of the gradient are finite numbers."""
        return math.isfinite(self.value) and bool(torch.isfinite(self.gradient).all())


class Objective:
    """A sum of weighted losses of one backend's features.

    Only the losses are differentiated here, with respect to the features; the backend's pullback
    carries those cotangents to the pixels. So every backend works with every loss.
    """

    def __init__(self, backend: FeatureBackend, losses: Sequence[WeightedLoss]) -> None:
        self._backend = backend
        self._losses = tuple(losses)

    def evaluate(self, image: Tensor) -> Evaluation:
        """Value, shares and gradient at `image` (N, 3, H, W); the image is not modified."""
        features, pullback = self._backend.vjp(image)
        leaves = {name: value.detach().requires_grad_() for name, value in features.items()}
        pixels = image.detach().requires_grad_()
        shares = self._shares({**leaves, IMAGE_LAYER: pixels})
        total = torch.stack(list(shares.values())).sum()
        inputs = [pixels, *leaves.values()]
        gradients = torch.autograd.grad(total, inputs, allow_unused=True)
        cotangents = {
            name: gradient
            for name, gradient in zip(leaves, gradients[1:], strict=True)
            if gradient is not None
        }
        # The losses' graph holds large intermediates that the pullback has no use for.
        value, losses = total.item(), {name: share.item() for name, share in shares.items()}
        del total, shares, leaves, inputs
        through_features = pullback(cotangents)
        direct = gradients[0]
        gradient = through_features if direct is None else through_features + direct
        return Evaluation(value, losses, gradient)

    def _shares(self, features: Features) -> dict[str, Tensor]:
        shares = {}
        for term in self._losses:
            loss = term.loss(features)
            if not isinstance(loss, Tensor) or loss.shape != () or not loss.requires_grad:
                raise PluginError(
                    f"the loss term {term.name!r} must return a scalar tensor with a gradient, "
                    f"got {_described(loss)}"
                )
            shares[term.name] = term.weight * loss
        return shares


def _described(loss: object) -> str:
    if not isinstance(loss, Tensor):
        return repr(loss)
    return f"shape {tuple(loss.shape)}, requires_grad={loss.requires_grad}"
