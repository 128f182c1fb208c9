"""From the terms' losses to the layers' cotangents, which the backend carries to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..attribution import attributed_to
from ..interfaces.backend import Features
from ..interfaces.cotangents import LazyCotangents
from ..interfaces.terms import SumLoss
from .weighted_losses import WeightedLoss, WeightedSums, gradients

#: The terms, and what they are differentiated by -> the weighted losses (L,), and the cotangents by
#: layer, of those that some loss depends on.
Cotangents = Callable[[Sequence[WeightedLoss], Features], tuple[Tensor, LazyCotangents]]

#: Added to a gradient's length, so that a term at its minimum has a gradient of zero.
_EPSILON = 1e-8


def plain_cotangents(
    losses: Sequence[WeightedLoss], leaves: Features
) -> tuple[Tensor, LazyCotangents]:
    """The gradient of the losses' sum.

    The part of a loss of sums is computed when the layer's cotangent is taken: together, the
    layers' cotangents would be as large as their features, and those cannot be freed before.
    """
    values: list[Tensor] = []
    at_once: list[Tensor] = []
    contributions: dict[str, list[_Contribution]] = {}
    for term in losses:
        if isinstance(term.loss, SumLoss):
            value, by_layer = _contributions(WeightedSums(term, term.loss), leaves)
            for layer, part in by_layer.items():
                contributions.setdefault(layer, []).append(part)
        else:
            value = term.value(leaves)
            at_once.append(value)
        values.append(value.detach())
    known = gradients(torch.stack(at_once).sum(), leaves) if at_once else {}
    awaited = {
        layer: partial(_total, parts, leaves[layer], known.pop(layer, None))
        for layer, parts in contributions.items()
    }
    return torch.stack(values), LazyCotangents(known, awaited)


def normalized_cotangents(
    losses: Sequence[WeightedLoss], leaves: Features
) -> tuple[Tensor, LazyCotangents]:
    """Each term's gradient at each of its layers with an L1 norm of 1, times the term's weight and
    the layer's share; then the sum over the terms (`-normalize_gradients` of Johnson 2015,
    "neural-style"). So a weight says how much of the gradient is a term's, whatever its loss
    measures.

    What comes out is the gradient of no function.
    """
    values: list[Tensor] = []
    total: dict[str, Tensor] = {}
    for term in losses:
        value = term.value(leaves)
        values.append(value.detach())
        for layer, gradient in gradients(value, leaves).items():
            length = gradient.abs().sum() + term.weight * _EPSILON
            scaled = gradient * (term.weight * term.shares.get(layer, 1.0) / length)
            total[layer] = total[layer] + scaled if layer in total else scaled
    return torch.stack(values), LazyCotangents(total)


@dataclass(frozen=True)
class _Contribution:
    """A term's part of a layer's cotangent: the gradient of the sum of <output, slope>."""

    label: str
    outputs: list[Tensor]
    slopes: list[Tensor]


def _contributions(term: WeightedSums, leaves: Features) -> tuple[Tensor, dict[str, _Contribution]]:
    """The term's value, and its parts of the cotangents by layer."""
    sums = term.sums(leaves, _whole)
    value, slopes = term.value_and_slopes(sums)
    contributions: dict[str, _Contribution] = {}
    for part, by_name in zip(sums, slopes, strict=True):
        for name, slope in by_name.items():
            for layer in _layers_of(part[name], leaves):
                part_of_layer = contributions.setdefault(
                    layer, _Contribution(term.weighted.label, [], [])
                )
                part_of_layer.outputs.append(part[name])
                part_of_layer.slopes.append(slope)
    return value, contributions


def _total(contributions: Sequence[_Contribution], leaf: Tensor, known: Tensor | None) -> Tensor:
    """A layer's cotangent: the sum of the terms' parts and of what is `known` already."""
    total = known
    for part in contributions:
        with attributed_to(f"the gradient of {part.label}"):
            # A sum of several layers is gone through for each of them.
            (found,) = torch.autograd.grad(part.outputs, leaf, part.slopes, retain_graph=True)
        total = found if total is None else total + found
    assert total is not None
    return total


def _layers_of(output: Tensor, leaves: Features) -> list[str]:
    """Those that a tensor was computed from."""
    reached, seen = {id(output)}, set()
    pending = [output.grad_fn]
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        reached.add(id(getattr(node, "variable", None)))  # a leaf's node has it
        pending += [following for following, _ in node.next_functions]
    return [name for name, leaf in leaves.items() if id(leaf) in reached]


def _whole(maps: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return maps
