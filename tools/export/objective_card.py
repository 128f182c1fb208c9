"""The card of an exported objective, for the program that uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import onnx

from ...backends.offline import import_onnxruntime
from ...backends.onnx_export.card import add_to_card, backbone_card
from ...backends.onnx_objective.check import ObjectiveDistances
from ...core.job.choices import Choice
from ...core.planning.plan import Plan
from ...core.run.open_run import OpenRun
from .variant import Variant

_GRADIENT = "of the output loss"
_NORMALIZED = (
    "the sum of the terms' normalized gradients: not that of the output loss; optimizers that "
    "compare losses (line searches) do not work"
)
_RESULT = "the optimized image, clamped to [0, 1] once, at the end"


def add_objective_card(
    model: onnx.ModelProto,
    run: OpenRun,
    index: int,
    variant: Variant,
    distances: Mapping[tuple[int, int], ObjectiveDistances],
    reference: str,
    start_file: str,
) -> None:
    """Add the card to the model of the objective at the scale `index` of a run.

    It names no file of the user but `start_file`.
    """
    plan, scales = run.plan, run.prepared.scales
    scale, job = scales[index].scale, run.plan.job
    start = _settings(job.init, plan)
    start["file"] = None if variant.dynamic else start_file
    optimizer = _settings(job.optimizer, plan) | {"steps": scale.steps}
    terms = [_settings(term, plan) for term in job.terms]
    for term, planned in zip(terms, plan.terms, strict=True):
        term["weight"] = planned.weight  # with the job's strength
        if "layers" in term:
            term["layers"] = dict(planned.layer_weights)  # with its motifs
    add_to_card(
        model,
        {
            "kind": "objective",
            "backbone": plan.backbone.name,
            "layers": ",".join(plan.layers),
            **backbone_card(plan.backbone, model, variant.precision),
            "size": "dynamic" if variant.dynamic else f"{scale.width}x{scale.height}",
            "smallest_side": str(plan.deepest.smallest_side),
            "style_size": f"that of a result of {scale.width}x{scale.height} px",
            "scale": f"{index + 1} of {len(scales)}",
            "terms": json.dumps(terms),
            "gradient": _NORMALIZED if job.normalize_gradients else _GRADIENT,
            "start": json.dumps(start),
            "optimizer": json.dumps(optimizer),
            "result": _RESULT,
            "images_sha256": ",".join(sorted(set(run.prepared.inputs.hashes.values()))),
            "checked": _checked(distances, reference),
        },
    )


def _settings(choice: Choice, plan: Plan) -> dict[str, Any]:
    """Return the name and the options of a choice, without paths of files."""
    paths = {*plan.files, plan.job.start_path}
    values = choice.model_dump(mode="json", exclude_none=True)
    return {
        key: value
        for key, value in values.items()
        if not isinstance(value, str) or value not in paths
    }


def _checked(distances: Mapping[tuple[int, int], ObjectiveDistances], reference: str) -> str:
    figures = "; ".join(
        f"{width}x{height} px: loss {of_size.value:.1e}, gradient "
        + ", ".join(f"{distance:.1e}" for distance in of_size.gradients)
        for (height, width), of_size in distances.items()
    )
    return (
        f"onnxruntime {import_onnxruntime().__version__} on the CPU against {reference}: {figures}"
    )
