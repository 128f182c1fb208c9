"""Estimates of the memory that a plan's scales need."""

from __future__ import annotations

from math import ceil

from ..images.inputs import Inputs
from ..interfaces.optimizer import Optimizer
from ..interfaces.statistics import StatisticsTerm
from ..interfaces.terms import IMAGE_LAYER, LossTerm
from ..planning.plan import Plan
from ..planning.scale_sizes import ScaleSizes
from .estimate import MemoryEstimate, NetworkCost


def scale_estimate(
    plan: Plan,
    inputs: Inputs,
    sizes: ScaleSizes,
    memory_factor: float,
    optimizer: Optimizer | None = None,
) -> MemoryEstimate:
    """Return the memory that a scale of the plan needs on a backend with the `memory_factor`.

    `optimizer` stands in for the plan's.
    """
    images_held = (optimizer or plan.optimizer).images_held(sizes.scale.steps)
    if not plan.parametrization.are_pixels:
        # The image of the parameters, its gradient, and what autograd holds between them.
        images_held = ceil(images_held * plan.parametrization.size_ratio) + 4
    images_held += sum("result" in planned.term.reads for planned in plan.terms)
    turns = max(len(planned.term.style_turns) for planned in plan.terms)
    style_pixels = sum(sizes.style_pixels) * turns
    cost = _network_cost(plan)
    return cost.estimate(memory_factor, images_held, _mask_count(inputs), style_pixels)


def _network_cost(plan: Plan) -> NetworkCost:
    """Return what the plan's network and loss terms hold for each pixel."""
    content_layers: list[str] = []
    term_layers: list[str] = []
    style_layers: list[str] = []
    for planned in plan.terms:
        layers = network_layers(planned.term)
        if "content" in planned.term.reads:
            content_layers += layers
        if not isinstance(planned.term, StatisticsTerm):
            term_layers += layers
            style_layers += layers if "styles" in planned.term.reads else []
    return NetworkCost.of(
        plan.backbone.layers, plan.layers, content_layers, term_layers, style_layers
    )


def _mask_count(inputs: Inputs) -> int:
    """Return the number of different masks of the result."""
    masks = [region.region for style in inputs.styles for region in style.regions]
    return len({id(mask) for mask in (*masks, inputs.content_mask) if mask is not None})


def evaluates_styles(plan: Plan) -> bool:
    """Return whether the network evaluates the style images."""
    return any(
        "styles" in planned.term.reads and network_layers(planned.term) for planned in plan.terms
    )


def network_layers(term: LossTerm) -> list[str]:
    """Return the layers of the network that a term reads."""
    return [layer for layer in term.layers if layer != IMAGE_LAYER]
