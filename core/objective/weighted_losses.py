"""Bound losses with their weights: their values, and their gradients by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..attribution import attributed_to
from ..errors import PluginError
from ..interfaces.backend import Features
from ..interfaces.terms import IMAGE_LAYER, Cut, Loss, SumLoss, Sums


@dataclass(frozen=True)
class WeightedLoss:
    """A bound term in the objective; `label` is what messages call it, `shares` are its layers'
    weights within it."""

    name: str
    weight: float
    loss: Loss
    label: str
    shares: Mapping[str, float] = field(default_factory=dict)

    def value(self, leaves: Features) -> Tensor:
        """The weighted loss, a scalar. Raises PluginError for what is none."""
        with attributed_to(self.label):
            loss = self.loss(leaves)
        return self.weight * _checked(loss, self.label)


@dataclass(frozen=True)
class WeightedSums:
    """A weighted loss that is a function of sums over positions, in two steps: the sums of
    features, and the value of sums."""

    weighted: WeightedLoss
    loss: SumLoss

    def sums(self, features: Features, cut: Cut) -> list[Sums]:
        """By part of the loss: see SumLoss."""
        with attributed_to(self.weighted.label):
            return self.loss.sums(features, cut)

    def value_and_slopes(self, sums: Sequence[Sums]) -> tuple[Tensor, list[Sums]]:
        """The weighted loss of the whole picture's sums, and its derivative by each of them, where
        it depends on it."""
        leaves = [_leaves(part) for part in sums]
        with attributed_to(self.weighted.label):
            loss = self.loss.of_sums(leaves)
        value = self.weighted.weight * _checked(loss, self.weighted.label)
        every = {
            (number, name): leaf
            for number, part in enumerate(leaves)
            for name, leaf in part.items()
            if leaf.requires_grad
        }
        slopes: list[dict[str, Tensor]] = [{} for _ in leaves]
        with attributed_to(f"the gradient of {self.weighted.label}"):
            found = torch.autograd.grad(value, list(every.values()), allow_unused=True)
        for (number, name), slope in zip(every, found, strict=True):
            if slope is not None:
                slopes[number][name] = slope
        return value.detach(), list(slopes)


def with_gradients(features: Features, image: Tensor) -> dict[str, Tensor]:
    """The features and the pixels as leaves of autograd, by which losses are differentiated."""
    maps = {**features, IMAGE_LAYER: image}
    return {name: value.detach().requires_grad_() for name, value in maps.items()}


def gradients(loss: Tensor, leaves: Features) -> dict[str, Tensor]:
    """By layer, of those that the loss depends on."""
    every = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves, every, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def _leaves(sums: Sums) -> dict[str, Tensor]:
    """What the loss is differentiated by; whole numbers are constants."""
    return {
        name: value.detach().requires_grad_(value.is_floating_point())
        for name, value in sums.items()
    }


def _checked(loss: object, label: str) -> Tensor:
    if not isinstance(loss, Tensor) or loss.shape != () or not loss.requires_grad:
        raise PluginError(
            f"{label} must return a scalar tensor with a gradient, got {_described(loss)}"
        )
    return loss


def _described(loss: object) -> str:
    if not isinstance(loss, Tensor):
        return repr(loss)
    return f"shape {tuple(loss.shape)}, requires_grad={loss.requires_grad}"
