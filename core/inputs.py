"""A job's images: read, checked against the network, and seen at a scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .backbone import LayerInfo
from .backend import FeatureBackend, Features
from .blame import blaming
from .errors import ImageError, PluginError
from .images import Picture, fit, read_picture
from .objective import Objective, WeightedLoss
from .plan import Plan, PlannedTerm
from .schedule import Scale, plan_scales
from .terms import IMAGE_LAYER, LossTerm, References, Style


@dataclass(frozen=True)
class Inputs:
    """The content image, the style images with their shares, which add up to 1, and the image to
    start from, if the job names one."""

    content: Picture
    styles: tuple[tuple[Picture, float], ...]
    start: Picture | None

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by its path in the job."""
        pictures = [self.content, *(style for style, _ in self.styles)]
        if self.start is not None:
            pictures.append(self.start)
        return {picture.path: picture.sha256 for picture in pictures}


@dataclass(frozen=True)
class Sight:
    """The images as they are at one scale, (1, 3, H, W) on the backend's device: the content at the
    scale's size, each style at its own, with its share."""

    content: Tensor
    styles: tuple[tuple[Tensor, float], ...]


def read_inputs(plan: Plan) -> Inputs:
    """Raises UsageError or ImageError for a file that cannot be used."""
    job = plan.job
    largest = max(style.weight for style in job.styles)
    relative = [style.weight / largest for style in job.styles]  # their sum is finite
    return Inputs(
        read_picture(job.content, job.max_pixels),
        tuple(
            (read_picture(style.image, job.max_pixels), weight / sum(relative))
            for style, weight in zip(job.styles, relative, strict=True)
            if weight > 0
        ),
        read_picture(job.start_path, job.max_pixels) if job.start_path else None,
    )


def scales_for(plan: Plan, inputs: Inputs) -> list[Scale]:
    """The schedule. Raises ImageError when an image is too small for a layer at the job's size."""
    job = plan.job
    deepest = plan.backbone.deepest(plan.layers)
    size = fit(inputs.content.size, job.size, job.upscale)
    _check_side(deepest, inputs.content, size, job.size)
    for picture, _ in inputs.styles:
        # The finest scale says how small a style may be; at coarser ones it keeps what is needed.
        _check_side(deepest, picture, fit(picture.size, max(size)), job.size)
    return plan_scales(size, job.scales, job.iterations, deepest.smallest_side)


def at_scale(plan: Plan, inputs: Inputs, scale: Scale, device: torch.device) -> Sight:
    """The images at `scale`. A style's long side is that of the picture, or its own if shorter."""
    smallest = plan.backbone.deepest(plan.layers).smallest_side
    styles = []
    for picture, share in inputs.styles:
        height, width = fit(picture.size, max(scale.size))
        tensor = picture.tensor(max(height, smallest), max(width, smallest)).to(device)
        styles.append((tensor, share))
    return Sight(inputs.content.tensor(scale.height, scale.width).to(device), tuple(styles))


def bind_objective(plan: Plan, backend: FeatureBackend, sight: Sight) -> Objective:
    """The plan's terms with their targets, as the function to minimise at one scale."""
    return Objective(
        backend, [bind_term(plan, planned, backend, sight) for planned in plan.terms], plan.network
    )


def bind_term(
    plan: Plan, planned: PlannedTerm, backend: FeatureBackend, sight: Sight
) -> WeightedLoss:
    """One of the plan's terms with its targets. Raises PluginError for a term that breaks its
    contract."""
    with blaming(plan.network):
        references = _references(planned.term, backend, sight, plan.job.seed)
    with blaming(planned.label):
        loss = planned.term.bind(references)
    if not callable(loss):
        raise PluginError(f"{planned.label} must be bound to a function, not {loss!r}")
    return WeightedLoss(planned.name, planned.weight, loss, planned.label)


def _references(term: LossTerm, backend: FeatureBackend, sight: Sight, seed: int) -> References:
    reads_content, reads_styles = "content" in term.reads, "styles" in term.reads
    return References(
        content=_features(backend, sight.content, term.layers) if reads_content else {},
        styles=tuple(
            Style(_features(backend, style, term.layers), share)
            for style, share in (sight.styles if reads_styles else ())
        ),
        seed=seed,
    )


def _features(backend: FeatureBackend, image: Tensor, layers: Sequence[str]) -> Features:
    of_network = [layer for layer in layers if layer != IMAGE_LAYER]
    features = dict(backend.features(image, of_network)) if of_network else {}
    return features | {IMAGE_LAYER: image}


def _check_side(deepest: LayerInfo, picture: Picture, size: tuple[int, int], asked: int) -> None:
    smallest = deepest.smallest_side
    if min(size) >= smallest:
        return
    height, width = picture.size
    message = (
        f"{picture.path}: {width}x{height} px is too small for the layer {deepest.name}, "
        f"which needs {smallest} px on the short side"
    )
    if min(picture.size) >= smallest:
        needed = -(-smallest * max(picture.size) // min(picture.size))
        message += f"; --size {asked} makes it {size[1]}x{size[0]}, --size {needed} would do"
    raise ImageError(message)
