"""From the terms' losses to the layers' cotangents, which the backend carries to the pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .backend import Features, GivenAway
from .blame import blaming
from .terms import SumLoss
from .weighted_losses import WeightedLoss, WeightedSums, gradients

#: The terms, and what they are differentiated by -> the weighted losses (L,), and the cotangents by
#: layer, of those that some loss depends on.
Cotangents = Callable[[Sequence[WeightedLoss], Features], tuple[Tensor, GivenAway]]

#: Added to a gradient's length, so that a term that is content asks for nothing.
_EPSILON = 1e-8


def plain_cotangents(losses: Sequence[WeightedLoss], leaves: Features) -> tuple[Tensor, GivenAway]:
    """The gradient of the losses' sum.

    What a loss of sums asks of a layer is computed when the layer is taken: together, the layers'
    cotangents would be as large as their features, and those cannot be freed before.
    """
    values: list[Tensor] = []
    at_once: list[Tensor] = []
    pulls: dict[str, list[_Pull]] = {}
    for term in losses:
        if isinstance(term.loss, SumLoss):
            value, asked = _asked(WeightedSums(term, term.loss), leaves)
            for layer, pull in asked.items():
                pulls.setdefault(layer, []).append(pull)
        else:
            value = term.value(leaves)
            at_once.append(value)
        values.append(value.detach())
    known = gradients(torch.stack(at_once).sum(), leaves) if at_once else {}
    awaited = {
        layer: partial(_pulled, parts, leaves[layer], known.pop(layer, None))
        for layer, parts in pulls.items()
    }
    return torch.stack(values), GivenAway(known, awaited)


def normalized_cotangents(
    losses: Sequence[WeightedLoss], leaves: Features
) -> tuple[Tensor, GivenAway]:
    """Each term's gradient at each of its layers with an L1 norm of 1, times the term's weight and
    the layer's share; then the sum over the terms (`-normalize_gradients` of Johnson 2015,
    "neural-style"). So a weight says how much of the pull is a term's, whatever its loss measures.

    What comes out is the gradient of no function.
    """
    values: list[Tensor] = []
    found: dict[str, Tensor] = {}
    for term in losses:
        value = term.value(leaves)
        values.append(value.detach())
        for layer, gradient in gradients(value, leaves).items():
            length = gradient.abs().sum() + term.weight * _EPSILON
            pull = gradient * (term.weight * term.shares.get(layer, 1.0) / length)
            found[layer] = found[layer] + pull if layer in found else pull
    return torch.stack(values), GivenAway(found)


@dataclass(frozen=True)
class _Pull:
    """What a term asks of a layer: the gradient of the sum of <output, slope>."""

    label: str
    outputs: list[Tensor]
    slopes: list[Tensor]


def _asked(term: WeightedSums, leaves: Features) -> tuple[Tensor, dict[str, _Pull]]:
    """The term's value, and by layer what it asks of it."""
    sums = term.sums(leaves, _whole)
    value, slopes = term.value_and_slopes(sums)
    pulls: dict[str, _Pull] = {}
    for part, by_name in zip(sums, slopes, strict=True):
        for name, slope in by_name.items():
            for layer in _layers_of(part[name], leaves):
                pull = pulls.setdefault(layer, _Pull(term.weighted.label, [], []))
                pull.outputs.append(part[name])
                pull.slopes.append(slope)
    return value, pulls


def _pulled(pulls: Sequence[_Pull], leaf: Tensor, known: Tensor | None) -> Tensor:
    """All that is asked of a layer, and what is known already."""
    total = known
    for pull in pulls:
        with blaming(f"the gradient of {pull.label}"):
            # A sum of several layers is gone through for each of them.
            (found,) = torch.autograd.grad(pull.outputs, leaf, pull.slopes, retain_graph=True)
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
