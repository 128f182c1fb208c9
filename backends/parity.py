"""Parity: how far a backend is from a reference, on fixed pictures.

The features are compared layer by layer, and so are the gradients, each layer's for a fixed random
cotangent of its own: in a sum of all, the deep layers' would hide the shallow ones'. Then come the
gradient of a job's objective, and the picture that its optimizer makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from ..core.backend import FeatureBackend, Features, Pullback
from ..core.binding import bind_objective
from ..core.blame import blaming
from ..core.errors import PluginError
from ..core.inputs import read_inputs
from ..core.optimizers import Evaluate
from ..core.plan import Plan
from ..core.sight import Sight, at_scale, scales_for
from .exact import ExactBackend
from .parity_figures import (
    Figure,
    Quantity,
    Report,
    cosine_distance,
    max_abs,
    max_rel,
    relative_l2,
    worst_of,
)
from .parity_pictures import ParityPicture, noise, parity_pictures
from .parity_tolerances import Tolerances

#: What figures of the whole objective are called, in the place of a layer.
OBJECTIVE = "objective"

#: How far the noise moves a content image's pixels, to be away from where its loss is flat.
_SHAKE = 0.1


def compare(
    plan: Plan, tested: FeatureBackend, reference: FeatureBackend, tolerances: Tolerances
) -> Report:
    """Everything that is measured. Both backends have the plan's layers; the plan's job has one
    scale, whose size and steps are those of the picture that is made.

    Raises PluginError for a backend that fails, or gives layers or shapes other than the reference,
    and ImageError as `scales_for`.
    """
    figures: list[Figure] = []
    smallest = plan.backbone.deepest(plan.layers).smallest_side
    for picture in parity_pictures(smallest):
        figures += _on_picture(plan, picture, tested, reference, tolerances)
    return Report((*_sorted(figures), *_of_job(plan, tested, reference, tolerances)))


def _on_picture(
    plan: Plan,
    picture: ParityPicture,
    tested: FeatureBackend,
    reference: FeatureBackend,
    tolerances: Tolerances,
) -> Iterator[Figure]:
    exact = reference.features(picture.image)
    with blaming(plan.network):
        alone = tested.features(picture.image)
    _check_same_kind(plan, alone, exact)
    carry_back = _repeatable_pullback(reference, picture.image)
    for number, layer in enumerate(plan.layers):
        generator = torch.Generator().manual_seed(number)
        cotangent = torch.randn(exact[layer].shape, generator=generator)
        expected = carry_back({layer: cotangent})
        with blaming(plan.network):
            beside, pullback = tested.vjp(picture.image)
            gradient = pullback({layer: cotangent.to(tested.device)})
        _check_same_kind(plan, beside, exact)
        _check_same_kind(plan, {"the gradient": gradient}, {"the gradient": expected})
        pairs = [(found[layer], exact[layer]) for found in (alone, beside)]
        peak = exact[layer].abs().max().item()
        measured = {
            Quantity.FEATURES_L2: worst_of(relative_l2(*pair) for pair in pairs),
            Quantity.FEATURES_PEAK: worst_of(max_abs(*pair) for pair in pairs),
            Quantity.FEATURES_REL: worst_of(max_rel(*pair) for pair in pairs),
            **_of_gradient(gradient, expected, picture.flat),
        }
        for quantity, value in measured.items():
            scale = peak if quantity is Quantity.FEATURES_PEAK else 1.0
            limit = tolerances[quantity].limit * scale
            yield Figure(quantity, layer, picture.name, value, limit)


def _repeatable_pullback(reference: FeatureBackend, image: Tensor) -> Pullback:
    if isinstance(reference, ExactBackend):
        return reference.vjp(image)[1]
    return lambda cotangents: reference.vjp(image)[1](cotangents)


def _of_gradient(gradient: Tensor, expected: Tensor, flat: bool) -> Mapping[Quantity, float]:
    """Where maxima tie, only the sum over the positions is one that all must agree on: it is the
    slope as the color changes everywhere, which moves the tied values together."""
    if flat:
        sums = (each.double().sum((2, 3)) for each in (gradient, expected))
        return {Quantity.GRADIENT_SUM: relative_l2(*sums)}
    return {
        Quantity.GRADIENT_L2: relative_l2(gradient, expected),
        Quantity.GRADIENT_COSINE: cosine_distance(gradient, expected),
    }


def _of_job(
    plan: Plan, tested: FeatureBackend, reference: FeatureBackend, tolerances: Tolerances
) -> Iterator[Figure]:
    """The objective's gradient at a shaken content image, and what its optimizer makes of that."""
    inputs = read_inputs(plan)
    (scale,) = scales_for(plan, inputs)
    name = f"content {scale.width}x{scale.height}"
    shake = _SHAKE * (noise(scale.height, scale.width, seed=2) - 0.5)
    gradients, pictures = [], []
    for backend in (tested, reference):
        sight = at_scale(plan, inputs, scale, backend.device)
        if isinstance(backend, ExactBackend):
            sight = _in_float64(sight)
        start = sight.content + shake.to(sight.content)
        objective = bind_objective(plan, backend, sight)
        gradients.append(objective.evaluate(start).gradient)
        pictures.append(_painted(plan, objective.evaluate, start, scale.steps))
    for quantity, value in _of_gradient(gradients[0], gradients[1], flat=False).items():
        yield Figure(quantity, OBJECTIVE, name, value, tolerances[quantity].limit)
    off, most = max_abs(pictures[0], pictures[1]), tolerances[Quantity.PICTURE].limit
    yield Figure(Quantity.PICTURE, f"after {scale.steps} steps", name, off, most)


def _painted(plan: Plan, evaluate: Evaluate, start: Tensor, steps: int) -> Tensor:
    iterates = plan.optimizer.iterate(start, evaluate, 1.0)
    return next(islice(iterates, steps, None)).image.clamp(0, 1)


def _in_float64(sight: Sight) -> Sight:
    """So that a reference in float64 is one in the loss terms and in the optimizer, too."""
    styles = tuple(replace(style, image=style.image.double()) for style in sight.styles)
    return replace(sight, content=sight.content.double(), styles=styles)


def _check_same_kind(plan: Plan, got: Features, exact: Features) -> None:
    if set(got) != set(exact):
        raise PluginError(f"{plan.network} gives the layers {sorted(got)}, not {sorted(exact)}")
    for name, value in exact.items():
        if got[name].shape != value.shape:
            shapes = f"{tuple(got[name].shape)}, not {tuple(value.shape)}"
            raise PluginError(f"{plan.network} gives {name} in the shape {shapes}")


def _sorted(figures: list[Figure]) -> list[Figure]:
    """By quantity, then by layer as they came."""
    order = list(Quantity)
    return sorted(figures, key=lambda figure: order.index(figure.quantity))
