"""The export of a job's objective, with its gradient, as one ONNX model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import onnx
import torch
from torch import Tensor

from ...backends.accuracy.exact import ExactBackend
from ...backends.onnx_export.card import WEIGHTS, add_to_card, card_of
from ...backends.onnx_export.export import export_trunk
from ...backends.onnx_export.variants import (
    QuantizedBackbone,
    quantizable_weights,
    with_int8_weights,
    with_opset,
    with_size,
)
from ...backends.onnx_gradient import NoGradientError
from ...backends.onnx_objective.assembly import CONTENT, IMAGE, objective_model
from ...backends.onnx_objective.check import Feeds, ObjectiveDistances, check_objective, open_model
from ...backends.onnx_objective.losses import OnnxTerm
from ...core.errors import BackendError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.optimizer import Evaluation
from ...core.interfaces.terms import IMAGE_LAYER
from ...core.objective.cotangents import LEAST_NORM
from ...core.planning.plan import Plan
from ...core.run.binding import Binder
from ...core.run.open_run import OpenRun
from ...core.run.scale_inputs import ScaleInputs
from ...core.run.session import Session
from .objective_card import add_objective_card
from .objective_limits import check_plan, check_run, chosen_scale
from .variant import Variant

#: Names of a dynamic image's sides.
_SIDES = ("height", "width")


@dataclass(frozen=True)
class ExportedObjective:
    """The model of an objective.

    - `start`: the image to start from, (1, 3, H, W), float32; None for a model of any size, whose
      user makes it from the content image.
    - `distances`: those from the objective in torch, by size (height, width).
    - `notices`: for the user.
    """

    model: onnx.ModelProto
    start: Tensor | None
    distances: dict[tuple[int, int], ObjectiveDistances]
    notices: tuple[str, ...]


def export_objective(
    plan: Plan, variant: Variant, scale: int | None, start_file: str
) -> ExportedObjective:
    """Return the checked model of the objective that a plan minimises at one of its scales.

    `scale` counts from 1, the coarsest; None is the finest. `start_file` is the name of the file
    that gets the start, for the card.

    Raises UsageError for a plan whose objective has no such model, BackendError where the model
    differs from torch, and what `Session.open` raises.
    """
    check_plan(plan, variant)
    if variant.precision == "int8":
        plan = replace(plan, backbone=QuantizedBackbone(plan.backbone))
    file = plan.backbone.onnx_model(plan.layers)
    with Session(_exact if file is None else Plan.open_backend) as session:
        prepared = session.prepare(plan)
        index = chosen_scale(prepared, scale)
        run = session.open(prepared)
        check_run(run, index, variant)
        inputs = run.inputs_at(index)
        start = run.first_image(inputs)
        if file is None:
            inputs = _in_float64(inputs)
        model = _model(run, inputs, variant, file)
        evaluator = open_model(model)
        distances = {
            size: check_objective(evaluator, cases)
            for size, cases in _cases(run, inputs, start, variant, model)
        }
        reference = f"torch {torch.__version__} in float64" if file is None else "the backend onnx"
        add_objective_card(model, run, index, variant, distances, reference, start_file)
    notices = []
    if len(prepared.scales) > 1:
        notices.append(
            f"the file has the objective of scale {index + 1} of {len(prepared.scales)}; a run "
            "begins at the coarser ones, which `--scale N` exports; with `scales=1` there is one"
        )
    return ExportedObjective(model, None if variant.dynamic else start, distances, tuple(notices))


def _exact(plan: Plan) -> ExactBackend:
    return ExactBackend(plan.backbone, plan.layers)


def _in_float64(inputs: ScaleInputs) -> ScaleInputs:
    styles = tuple(replace(style, dtype=torch.float64) for style in inputs.styles)
    return replace(inputs, content=inputs.content.double(), styles=styles)


def _model(
    run: OpenRun, inputs: ScaleInputs, variant: Variant, file: bytes | None
) -> onnx.ModelProto:
    plan, backend = run.plan, run.backend
    binder = Binder.of(plan, backend, inputs)
    terms = [
        OnnxTerm(
            planned.name,
            planned.label,
            planned.weight,
            planned.layer_weights,
            partial(binder.onnx_loss, planned),
        )
        for planned in plan.terms
    ]
    height, width = inputs.content.shape[2:]
    network, weights = _network(plan.backbone, plan.layers, variant, file)
    network = with_size(network, _SIDES if variant.dynamic else (height, width))
    content = None
    if not variant.dynamic:
        features = binder.content_reader.whole(inputs.content, plan.layers)
        content = {**features, IMAGE_LAYER: inputs.content}
    least_norm = LEAST_NORM if plan.job.normalize_gradients else None
    try:
        model = objective_model(network, terms, content, least_norm)
    except NoGradientError as error:
        raise BackendError(f"the objective has no ONNX form: {error}") from None
    if digest := card_of(network).get(WEIGHTS):
        add_to_card(model, {WEIGHTS: digest})
    if weights:
        model = with_int8_weights(model, weights)
    return model if variant.opset is None else with_opset(model, variant.opset)


def _network(
    backbone: Backbone, layers: tuple[str, ...], variant: Variant, file: bytes | None
) -> tuple[onnx.ModelProto, dict[str, Tensor]]:
    """Return the network's model, and the weights that are to be stored as int8."""
    if file is not None:
        return onnx.ModelProto.FromString(file), {}
    trunk = backbone.trunk(layers)
    weights = dict(quantizable_weights(trunk)) if variant.precision == "int8" else {}
    return export_trunk(trunk, backbone, layers), weights


def _cases(
    run: OpenRun, inputs: ScaleInputs, start: Tensor, variant: Variant, model: onnx.ModelProto
) -> Iterator[tuple[tuple[int, int], list[tuple[Feeds, Evaluation]]]]:
    """Yield sizes, and the objective at some images of these sizes.

    They are the start, noise, and a pale start; for a model of any size also two other sizes.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = start.shape[2:]
    noise = torch.rand(start.shape, generator=generator)
    yield (height, width), _evaluated(run, inputs, [start, noise, 0.5 * start + 0.25], model)
    if not variant.dynamic:
        return
    side = run.plan.deepest.smallest_side
    content = run.prepared.recolored.content
    for size in ((2 * side + 5, 3 * side + 7), (4 * side - 1, 3 * side)):
        resized = torch.full((1, 3, *size), 0.5) if content is None else content.tensor(*size)
        images = [torch.rand(1, 3, *size, generator=generator) for _ in range(2)]
        at_size = replace(inputs, content=resized.to(inputs.content))
        yield size, _evaluated(run, at_size, images, model)


def _evaluated(
    run: OpenRun, inputs: ScaleInputs, images: list[Tensor], model: onnx.ModelProto
) -> list[tuple[Feeds, Evaluation]]:
    objective = run.objective(inputs)
    takes_content = any(value.name == CONTENT for value in model.graph.input)
    feeds = {CONTENT: inputs.content.float().numpy()} if takes_content else {}
    return [
        ({**feeds, IMAGE: image.numpy()}, objective.evaluate(image.to(inputs.content)))
        for image in images
    ]
