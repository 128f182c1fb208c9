"""Comparison of a backend with a reference, on fixed images.

The features are compared layer by layer, and so are the gradients, each layer's for a fixed random
cotangent of its own: in a sum over all layers, those of the deep layers would hide those of the
shallow ones. Then follow the gradient of a job's objective, and the result of its optimizer.
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
from ...core.interfaces.optimizer import Evaluate, Minimization, Optimizer
from ...core.planning.plan import Plan
from ...core.run.preparation import Prepared, prepare
from ...core.run.scale_inputs import ScaleInputs
from ...core.run.session import Session
from .images import ParityImage, noise, parity_images
from .report import Figure, Quantity, Report, worst_of
from .tolerances import Tolerances

#: Subject of the figures of the whole objective, in place of a layer.
OBJECTIVE = "objective"

#: Range of the noise that moves a content image away from the point where its loss is flat.
_SHAKE = 0.1


def compare(
    plan: Plan, tested: FeatureBackend, reference: FeatureBackend, tolerances: Tolerances
) -> Report:
    """Compare a backend with a reference, and return all figures.

    Both backends have the plan's layers; the plan's job has one scale, whose size and steps are
    those of the result that is compared.

    Raises PluginError for a backend that fails, or returns layers or shapes other than the
    reference, and ImageError as `prepare` does.
    """
    figures: list[Figure] = []
    for image in parity_images(plan.deepest.smallest_side):
        figures += _on_image(plan.network, plan.layers, image, tested, reference, tolerances)
    job_figures = _on_job(prepare(plan), tested, reference, tolerances)
    return Report((*_sorted(figures), *job_figures))


def _on_image(
    network: str,
    layers: Sequence[str],
    fixed: ParityImage,
    tested: FeatureBackend,
    reference: FeatureBackend,
    tolerances: Tolerances,
) -> Iterator[Figure]:
    expected = reference.features(fixed.image)
    with attributed_to(network):
        features = tested.features(fixed.image)
    _check_same_kind(network, features, expected)
    reference_pullback = _repeatable_pullback(reference, fixed.image)
    for number, layer in enumerate(layers):
        generator = torch.Generator().manual_seed(number)
        cotangent = torch.randn(expected[layer].shape, generator=generator)
        expected_gradient = reference_pullback({layer: cotangent})
        with attributed_to(network):
            vjp_features, pullback = tested.vjp(fixed.image)
            gradient = pullback({layer: cotangent.to(tested.device)})
        _check_same_kind(network, vjp_features, expected)
        _check_same_kind(network, {"the gradient": gradient}, {"the gradient": expected_gradient})
        pairs = [(tensors[layer], expected[layer]) for tensors in (features, vjp_features)]
        peak = expected[layer].abs().max().item()
        measured = {
            Quantity.FEATURES_L2: worst_of(relative_l2(*pair) for pair in pairs),
            Quantity.FEATURES_PEAK: worst_of(max_abs(*pair) for pair in pairs),
            Quantity.FEATURES_REL: worst_of(max_rel(*pair) for pair in pairs),
            **_gradient_distances(gradient, expected_gradient, fixed.flat),
        }
        for quantity, value in measured.items():
            scale = peak if quantity is Quantity.FEATURES_PEAK else 1.0
            limit = tolerances[quantity].limit * scale
            yield Figure(quantity, layer, fixed.name, value, limit)


def _repeatable_pullback(reference: FeatureBackend, image: Tensor) -> Pullback:
    if isinstance(reference, ExactBackend):
        return reference.vjp(image)[1]
    return lambda cotangents: reference.vjp(image)[1](cotangents)


def _gradient_distances(gradient: Tensor, expected: Tensor, flat: bool) -> Mapping[Quantity, float]:
    """Return the distances of a gradient from the expected one.

    Where maxima tie, as in a `flat` image, only the sum over the positions has one right value: it
    is the slope for a change of the color everywhere, which moves the tied values together.
    """
    if flat:
        sums = (tensor.double().sum((2, 3)) for tensor in (gradient, expected))
        return {Quantity.GRADIENT_SUM: relative_l2(*sums)}
    return {
        Quantity.GRADIENT_L2: relative_l2(gradient, expected),
        Quantity.GRADIENT_COSINE: cosine_distance(gradient, expected),
    }


def _on_job(
    prepared: Prepared,
    tested: FeatureBackend,
    reference: FeatureBackend,
    tolerances: Tolerances,
) -> Iterator[Figure]:
    """Compare the objective's gradient at a noisy content image, and the optimizer's result."""
    plan, scale = prepared.plan, prepared.scales[0].scale
    name = f"content {scale.width}x{scale.height}"
    shake = _SHAKE * (noise(scale.height, scale.width, seed=2) - 0.5)
    gradients, results = [], []
    for backend in (tested, reference):
        # The session stays open: the backends belong to the caller.
        run = Session(partial(_existing, backend)).open(prepared)
        inputs = run.inputs_at(0)
        if isinstance(backend, ExactBackend):
            inputs = _in_float64(inputs)
        start = inputs.content + shake.to(inputs.content)
        objective = run.objective(inputs)
        gradients.append(objective.evaluate(start).gradient)
        results.append(_optimised(plan.optimizer, objective.evaluate, start, scale.steps))
    for quantity, value in _gradient_distances(gradients[0], gradients[1], flat=False).items():
        yield Figure(quantity, OBJECTIVE, name, value, tolerances[quantity].limit)
    distance, limit = max_abs(results[0], results[1]), tolerances[Quantity.PICTURE].limit
    yield Figure(Quantity.PICTURE, f"after {scale.steps} steps", name, distance, limit)


def _existing(backend: FeatureBackend, _plan: Plan) -> FeatureBackend:
    return backend


def _optimised(optimizer: Optimizer, evaluate: Evaluate, start: Tensor, steps: int) -> Tensor:
    iterates = optimizer.iterate(Minimization(start, evaluate, steps))
    return next(islice(iterates, steps, None)).image.clamp(0, 1)


def _in_float64(inputs: ScaleInputs) -> ScaleInputs:
    """Return the inputs in float64, in which the terms and the optimizer then compute, too."""
    styles = tuple(replace(style, dtype=torch.float64) for style in inputs.styles)
    return replace(inputs, content=inputs.content.double(), styles=styles)


def _check_same_kind(network: str, features: Features, expected: Features) -> None:
    if set(features) != set(expected):
        raise PluginError(
            f"{network} returns the layers {sorted(features)}, not {sorted(expected)}"
        )
    for name, value in expected.items():
        if features[name].shape != value.shape:
            shapes = f"{tuple(features[name].shape)}, not {tuple(value.shape)}"
            raise PluginError(f"{network} returns {name} in the shape {shapes}")


def _sorted(figures: list[Figure]) -> list[Figure]:
    """Return the figures by quantity, then in their order."""
    order = list(Quantity)
    return sorted(figures, key=lambda figure: order.index(figure.quantity))
