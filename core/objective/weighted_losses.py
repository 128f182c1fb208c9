"""Bound losses with their weights: values, and gradients by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..attribution import attributed_to
from ..errors import PluginError
from ..interfaces.backend import Features
from ..interfaces.statistics import (
    Key,
    LayerStatistics,
    Statistics,
    StatisticsLoss,
    tensors_of,
    with_tensors,
)
from ..interfaces.terms import IMAGE_LAYER, Cut, Loss


@dataclass(frozen=True)
class WeightedLoss:
    """A bound loss term with its weight in the objective.

    `label` names the term in messages; `layer_weights` are its layers' weights within the term.
    """

    name: str
    weight: float
    loss: Loss
    label: str
    layer_weights: Mapping[str, float] = field(default_factory=dict)

    def value(self, leaves: Features) -> Tensor:
        """Return the weighted loss. Raises PluginError unless it is a scalar with a gradient."""
        with attributed_to(self.label):
            loss = self.loss(leaves)
        return self.weight * _checked(loss, self.label)


@dataclass(frozen=True)
class WeightedStatistics:
    """A weighted `StatisticsLoss` in two steps: statistics of features, then the value of those."""

    weighted: WeightedLoss
    loss: StatisticsLoss

    def statistics(self, features: Features, cut: Cut) -> list[Statistics[Any]]:
        """Return the statistics by part of the loss; see StatisticsLoss.statistics.

        Raises PluginError for statistics of another type.
        """
        with attributed_to(self.weighted.label):
            statistics = self.loss.statistics(features, cut)
        for part in statistics:
            _check_statistics(part, self.weighted.label)
        return statistics

    def value_and_slopes(
        self, statistics: Sequence[Statistics[Any]]
    ) -> tuple[Tensor, list[dict[Key, Tensor]]]:
        """Return the weighted loss of the whole image's statistics, and its derivatives by them.

        Statistics that the loss does not depend on have no derivative in the second list.
        """
        leaves = [_leaves(part) for part in statistics]
        with attributed_to(self.weighted.label):
            loss = self.loss.of_statistics(
                [with_tensors(*pair) for pair in zip(statistics, leaves, strict=True)]
            )
        value = self.weighted.weight * _checked(loss, self.weighted.label)
        differentiable = {
            (number, key): leaf
            for number, part in enumerate(leaves)
            for key, leaf in part.items()
            if leaf.requires_grad
        }
        slopes: list[dict[Key, Tensor]] = [{} for _ in leaves]
        with attributed_to(f"the gradient of {self.weighted.label}"):
            derivatives = torch.autograd.grad(
                value, list(differentiable.values()), allow_unused=True
            )
        for (number, key), slope in zip(differentiable, derivatives, strict=True):
            if slope is not None:
                slopes[number][key] = slope
        return value.detach(), slopes


def with_gradients(features: Features, image: Tensor) -> dict[str, Tensor]:
    """Return the features and the pixels as autograd leaves, to differentiate losses by."""
    maps = {**features, IMAGE_LAYER: image}
    return {name: value.detach().requires_grad_() for name, value in maps.items()}


def gradients(loss: Tensor, leaves: Features) -> dict[str, Tensor]:
    """Return the loss's gradients by layer, without the layers that it does not depend on."""
    optional = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves, optional, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def _leaves(statistics: Statistics[Any]) -> dict[Key, Tensor]:
    """Return the tensors of the statistics as autograd leaves; integers are constants."""
    return {
        key: value.detach().requires_grad_(value.is_floating_point())
        for key, value in tensors_of(statistics).items()
    }


def _check_statistics(statistics: object, label: str) -> None:
    if isinstance(statistics, Mapping) and all(
        isinstance(of_layer, LayerStatistics) for of_layer in statistics.values()
    ):
        return
    raise PluginError(f"{label} must return LayerStatistics by layer, not {statistics!r}")


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
