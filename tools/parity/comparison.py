"""Comparing a backend with a reference, on fixed images.

The features are compared layer by layer, and so are the gradients, each layer's for a fixed random
cotangent of its own: in a sum of all, the deep layers' would hide the shallow ones'. Then come the
gradient of a job's objective, and the result that its optimizer makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from ...backends.accuracy.distances import cosine_distance, max_abs, max_rel, relative_l2
from ...backends.accuracy.exact import ExactBackend
from ...core.attribution import attributed_to
from ...core.errors import PluginError
from ...core.interfaces.backend import FeatureBackend, Features, Pullback
from ...core.optimizers.base import Evaluate, Optimizer
from ...core.planning.plan import Plan
from ...core.run.preparation import Prepared, prepare
from ...core.run.scale_inputs import ScaleInputs
from ...core.run.session import Session
from .images import ParityImage, noise, parity_images
from .report import Figure, Quantity, Report, worst_of
from .tolerances import Tolerances

#: What figures of the whole objective are called, in the place of a layer.
OBJECTIVE = "objective"

#: How far the noise moves a content image's pixels, to be away from where its loss is flat.
_SHAKE = 0.1


def compare(
    plan: Plan, tested: FeatureBackend, reference: FeatureBackend, tolerances: Tolerances
) -> Report:
    """Everything that is measured. Both backends have the plan's layers; the plan's job has one
    scale, whose size and steps are those of the result that is made.

    Raises PluginError for a backend that fails, or gives layers or shapes other than the reference,
    and ImageError as `prepare`.
    """
    figures: list[Figure] = []
    for image in parity_images(plan.deepest.smallest_side):
        figures += _on_image(plan.network, plan.layers, image, tested, reference, tolerances)
    of_job = _of_job(prepare(plan), tested, reference, tolerances)
    return Report((*_sorted(figures), *of_job))


def _on_image(
    network: str,
    layers: Sequence[str],
    fixed: ParityImage,
    tested: FeatureBackend,
    reference: FeatureBackend,
    tolerances: Tolerances,
) -> Iterator[Figure]:
    exact = reference.features(fixed.image)
    with attributed_to(network):
        alone = tested.features(fixed.image)
    _check_same_kind(network, alone, exact)
    carry_back = _repeatable_pullback(reference, fixed.image)
    for number, layer in enumerate(layers):
        generator = torch.Generator().manual_seed(number)
        cotangent = torch.randn(exact[layer].shape, generator=generator)
        expected = carry_back({layer: cotangent})
        with attributed_to(network):
            beside, pullback = tested.vjp(fixed.image)
            gradient = pullback({layer: cotangent.to(tested.device)})
        _check_same_kind(network, beside, exact)
        _check_same_kind(network, {"the gradient": gradient}, {"the gradient": expected})
        pairs = [(found[layer], exact[layer]) for found in (alone, beside)]
        peak = exact[layer].abs().max().item()
        measured = {
            Quantity.FEATURES_L2: worst_of(relative_l2(*pair) for pair in pairs),
            Quantity.FEATURES_PEAK: worst_of(max_abs(*pair) for pair in pairs),
            Quantity.FEATURES_REL: worst_of(max_rel(*pair) for pair in pairs),
            **_of_gradient(gradient, expected, fixed.flat),
        }
        for quantity, value in measured.items():
            scale = peak if quantity is Quantity.FEATURES_PEAK else 1.0
            limit = tolerances[quantity].limit * scale
            yield Figure(quantity, layer, fixed.name, value, limit)


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
    prepared: Prepared,
    tested: FeatureBackend,
    reference: FeatureBackend,
    tolerances: Tolerances,
) -> Iterator[Figure]:
    """The objective's gradient at a shaken content image, and what the optimizer makes of it."""
    plan, scale = prepared.plan, prepared.scales[0].scale
    name = f"content {scale.width}x{scale.height}"
    shake = _SHAKE * (noise(scale.height, scale.width, seed=2) - 0.5)
    gradients, results = [], []
    for backend in (tested, reference):
        # Not closed: the backends are the caller's.
        run = Session(partial(_given, backend)).open(prepared)
        inputs = run.inputs_at(0)
        if isinstance(backend, ExactBackend):
            inputs = _in_float64(inputs)
        start = inputs.content + shake.to(inputs.content)
        objective = run.objective(inputs)
        gradients.append(objective.evaluate(start).gradient)
        results.append(_optimised(plan.optimizer, objective.evaluate, start, scale.steps))
    for quantity, value in _of_gradient(gradients[0], gradients[1], flat=False).items():
        yield Figure(quantity, OBJECTIVE, name, value, tolerances[quantity].limit)
    off, most = max_abs(results[0], results[1]), tolerances[Quantity.PICTURE].limit
    yield Figure(Quantity.PICTURE, f"after {scale.steps} steps", name, off, most)


def _given(backend: FeatureBackend, _plan: Plan) -> FeatureBackend:
    return backend


def _optimised(optimizer: Optimizer, evaluate: Evaluate, start: Tensor, steps: int) -> Tensor:
    iterates = optimizer.iterate(start, evaluate, 1.0, steps)
    return next(islice(iterates, steps, None)).image.clamp(0, 1)


def _in_float64(inputs: ScaleInputs) -> ScaleInputs:
    """So that a reference in float64 is one in the loss terms and in the optimizer, too."""
    styles = tuple(replace(style, image=style.image.double()) for style in inputs.styles)
    return replace(inputs, content=inputs.content.double(), styles=styles)


def _check_same_kind(network: str, got: Features, exact: Features) -> None:
    if set(got) != set(exact):
        raise PluginError(f"{network} gives the layers {sorted(got)}, not {sorted(exact)}")
    for name, value in exact.items():
        if got[name].shape != value.shape:
            shapes = f"{tuple(got[name].shape)}, not {tuple(value.shape)}"
            raise PluginError(f"{network} gives {name} in the shape {shapes}")


def _sorted(figures: list[Figure]) -> list[Figure]:
    """By quantity, then by layer as they came."""
    order = list(Quantity)
    return sorted(figures, key=lambda figure: order.index(figure.quantity))
