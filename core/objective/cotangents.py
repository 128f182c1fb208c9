"""Cotangents of the layers: the gradients of the loss terms, summed plainly or normalized.

The backend's pullback carries them to the pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..attribution import attributed_to
from ..interfaces.backend import Features, LazyCotangents
from ..interfaces.statistics import StatisticsLoss, tensors_of
from .weighted_losses import WeightedLoss, WeightedStatistics, gradients

#: (terms, leaves to differentiate by) -> (the weighted losses (L,), the cotangents of the layers
#: that some loss depends on).
Cotangents = Callable[[Sequence[WeightedLoss], Features], tuple[Tensor, LazyCotangents]]

#: Added to a gradient's L1 norm, so that a term at its minimum has a gradient of zero.
LEAST_NORM = 1e-8


def plain_cotangents(
    losses: Sequence[WeightedLoss], leaves: Features
) -> tuple[Tensor, LazyCotangents]:
    """Return the weighted losses (L,) and the gradient of their sum at each layer.

    The part of a `StatisticsLoss` is computed when the layer's cotangent is taken: together, the
    cotangents of all layers would be as large as the features, which cannot be freed before.
    """
    values: list[Tensor] = []
    immediate: list[Tensor] = []
    contributions: dict[str, list[_Contribution]] = {}
    for term in losses:
        if isinstance(term.loss, StatisticsLoss):
            value, by_layer = _contributions(WeightedStatistics(term, term.loss), leaves)
            for layer, contribution in by_layer.items():
                contributions.setdefault(layer, []).append(contribution)
        else:
            value = term.value(leaves)
            immediate.append(value)
        values.append(value.detach())
    known = gradients(torch.stack(immediate).sum(), leaves) if immediate else {}
    pending = {
        layer: partial(_total, of_layer, leaves[layer], known.pop(layer, None))
        for layer, of_layer in contributions.items()
    }
    return torch.stack(values), LazyCotangents(known, pending)


def normalized_cotangents(
    losses: Sequence[WeightedLoss], leaves: Features
) -> tuple[Tensor, LazyCotangents]:
    """Return the weighted losses (L,) and the sum of the terms' normalized gradients at each layer.

    A term's gradient at each of its layers is scaled to an L1 norm of 1, times the term's weight
    and the layer's weight (`-normalize_gradients` of Johnson 2015, "neural-style"). A weight thus
    sets the term's part of the gradient, whatever its loss measures.

    The cotangents are not the gradient of any function.
    """
    values: list[Tensor] = []
    total: dict[str, Tensor] = {}
    for term in losses:
        value = term.value(leaves)
        values.append(value.detach())
        for layer, gradient in gradients(value, leaves).items():
            norm = gradient.abs().sum() + term.weight * LEAST_NORM
            scaled = gradient * (term.weight * term.layer_weights.get(layer, 1.0) / norm)
            total[layer] = total[layer] + scaled if layer in total else scaled
    return torch.stack(values), LazyCotangents(total)


@dataclass(frozen=True)
class _Contribution:
    """A term's contribution to a layer's cotangent: the gradient of the sum of <output, slope>.

    `outputs` are the term's statistics that depend on the layer, `slopes` the derivatives of the
    loss by them; `label` names the term in messages.
    """

    label: str
    outputs: list[Tensor]
    slopes: list[Tensor]


def _contributions(
    term: WeightedStatistics, leaves: Features
) -> tuple[Tensor, dict[str, _Contribution]]:
    """Return the term's value and, by layer, its contributions to the cotangents."""
    statistics = term.statistics(leaves, _uncut)
    value, slopes = term.value_and_slopes(statistics)
    contributions: dict[str, _Contribution] = {}
    for part, slopes_of_part in zip(statistics, slopes, strict=True):
        tensors = tensors_of(part)
        for key, slope in slopes_of_part.items():
            for layer in _layers_of(tensors[key], leaves):
                contribution = contributions.setdefault(
                    layer, _Contribution(term.weighted.label, [], [])
                )
                contribution.outputs.append(tensors[key])
                contribution.slopes.append(slope)
    return value, contributions


def _total(contributions: Sequence[_Contribution], leaf: Tensor, known: Tensor | None) -> Tensor:
    """Return a layer's cotangent: the sum of the terms' contributions and of `known`, if any."""
    total = known
    for contribution in contributions:
        with attributed_to(f"the gradient of {contribution.label}"):
            # A statistic of several layers is differentiated once for each, so the graph is kept.
            (gradient,) = torch.autograd.grad(
                contribution.outputs, leaf, contribution.slopes, retain_graph=True
            )
        total = gradient if total is None else total + gradient
    assert total is not None
    return total


def _layers_of(output: Tensor, leaves: Features) -> list[str]:
    """Return the names of the leaves that a tensor was computed from."""
    reached, seen = {id(output)}, set()
    pending = [output.grad_fn]
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        reached.add(id(getattr(node, "variable", None)))  # only a leaf's node has `variable`
        pending += [next_node for next_node, _ in node.next_functions]
    return [name for name, leaf in leaves.items() if id(leaf) in reached]


def _uncut(maps: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return maps
