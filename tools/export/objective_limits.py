"""Limits of the objectives that can be exported; others are refused, with the reason."""

from __future__ import annotations

from ...core.errors import UsageError
from ...core.optimizers.colors import OwnColors, colors_for
from ...core.planning.plan import Plan
from ...core.run.open_run import OpenRun
from ...core.run.preparation import Prepared
from .variant import Variant


def check_plan(plan: Plan, variant: Variant) -> None:
    """Raise UsageError for a plan whose objective cannot be exported in the variant."""
    if variant.precision == "float16":
        raise UsageError(
            "an objective is not exported in float16: its gradients at the layers are smaller than "
            "float16's smallest number; use `dtype=float32`, or int8 for a file of a quarter"
        )
    if variant.precision == "int8" and plan.backbone.onnx_model(plan.layers) is not None:
        raise UsageError(
            f"`dtype=int8`: the weights of {plan.backbone.name} are inside an ONNX file; "
            "quantize that file instead"
        )
    if variant.dynamic and plan.job.seamless:
        raise UsageError(
            "a seamless result's sides are multiples of the network's largest stride "
            f"({plan.stride} px), which a dynamic size does not state; export a fixed size"
        )


def check_run(run: OpenRun, index: int, variant: Variant) -> None:
    """Raise UsageError for an opened job whose objective cannot be exported in the variant."""
    prepared = run.prepared
    scale = prepared.scales[index].scale
    if variant.size not in (None, scale.size):
        assert variant.size is not None
        raise UsageError(
            f"`size={variant.size[1]}x{variant.size[0]}`: the result of this job has "
            f"{scale.width}x{scale.height} px at this scale"
        )
    job, color, device = run.plan.job, run.plan.job.color, run.backend.device
    if color == "chroma":
        raise UsageError(
            "`color=chroma`: the result gets its colors after the optimisation, which an exported "
            "objective does not do; use `color=style`"
        )
    if type(colors_for(prepared.inputs, prepared.palettes, job, scale, device)) is not OwnColors:
        reason = f"`color={color}`" if color == "luminance" else "a gray content image"
        raise UsageError(
            f"{reason}: a gray image is optimised and gets its colors afterwards, which an "
            "exported objective does not do; use `color=style`, histogram or covariance, and "
            "images with colors"
        )
    if run.tilers[index].result.counts(*scale.size) != (1, 1):
        raise UsageError(
            f"{scale.width}x{scale.height} px fit the memory in tiles alone, and an exported "
            "objective is one of whole images; export a smaller `size`"
        )
    styles = prepared.recolored.styles
    masks = [region.region for style in styles for region in style.regions]
    if variant.dynamic and any(
        mask is not None for mask in (*masks, prepared.recolored.content_mask)
    ):
        raise UsageError(
            "masks and regions have the size of the result: a model of dynamic size cannot have "
            "them; export a fixed size"
        )


def chosen_scale(prepared: Prepared, number: int | None) -> int:
    """Return the index of a scale that counts from 1; the finest for None. Raises UsageError."""
    count = len(prepared.scales)
    if number is None:
        return count - 1
    if not 1 <= number <= count:
        raise UsageError(f"`scale={number}`: this job has the scales 1 (coarsest) to {count}")
    return number - 1
