"""A job's images: read, checked against the network, and seen at a scale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .backbone import LayerInfo
from .backend import FeatureBackend, Features
from .blame import blaming
from .canvas import canvas, canvas_size, check_texture_size
from .errors import ImageError, PluginError
from .images import Picture, fit, read_picture
from .objective import Objective, WeightedLoss
from .plan import Plan, PlannedTerm
from .schedule import Scale, plan_scales, whole_strides
from .seamless import seamless_features
from .terms import IMAGE_LAYER, LossTerm, References, Style


@dataclass(frozen=True)
class Inputs:
    """The content image (a texture has none), the style images with their shares, which add up to
    1, and the image to start from, if the job names one."""

    content: Picture | None
    styles: tuple[tuple[Picture, float], ...]
    start: Picture | None

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by its path in the job."""
        pictures = [self.content, *(style for style, _ in self.styles), self.start]
        return {picture.path: picture.sha256 for picture in pictures if picture is not None}


@dataclass(frozen=True)
class Sight:
    """The images as they are at one scale, (1, 3, H, W) on the backend's device: the content at the
    scale's size, each style at its own, with its share. A texture's content is a blank canvas, of
    which nothing is read but the size."""

    content: Tensor
    styles: tuple[tuple[Tensor, float], ...]


def read_inputs(plan: Plan) -> Inputs:
    """Raises UsageError or ImageError for a file that cannot be used."""
    job = plan.job
    largest = max(style.weight for style in job.styles)
    relative = [style.weight / largest for style in job.styles]  # their sum is finite
    return Inputs(
        read_picture(job.content, job.max_pixels) if job.content is not None else None,
        tuple(
            (read_picture(style.image, job.max_pixels), weight / sum(relative))
            for style, weight in zip(job.styles, relative, strict=True)
            if weight > 0
        ),
        read_picture(job.start_path, job.max_pixels) if job.start_path else None,
    )


def scales_for(plan: Plan, inputs: Inputs) -> list[Scale]:
    """The schedule. Raises ImageError when an image is too small for a layer at the job's size, and
    UsageError for a texture that is to be so."""
    job = plan.job
    deepest = plan.backbone.deepest(plan.layers)
    stride = plan.stride if job.seamless else 1
    size = whole_strides(canvas_size(job, inputs.content), stride)
    asked = job.size if isinstance(job.size, int) else max(job.size)
    if inputs.content is None:
        check_texture_size(size, deepest)
    else:
        _check_side(deepest, inputs.content, size, asked)
    for picture, _ in inputs.styles:
        # The finest scale says how small a style may be; at coarser ones it keeps what is needed.
        _check_side(deepest, picture, fit(picture.size, max(size)), asked)
    return plan_scales(size, job.scales, job.iterations, deepest.smallest_side, stride)


def at_scale(plan: Plan, inputs: Inputs, scale: Scale, device: torch.device) -> Sight:
    """The images at `scale`. A style's long side is that of the picture, or its own if shorter."""
    smallest = plan.backbone.deepest(plan.layers).smallest_side
    styles = []
    for picture, share in inputs.styles:
        height, width = fit(picture.size, max(scale.size))
        tensor = picture.tensor(max(height, smallest), max(width, smallest)).to(device)
        styles.append((tensor, share))
    content = canvas(inputs.content, scale.height, scale.width)
    return Sight(content.to(device), tuple(styles))


def bind_objective(plan: Plan, backend: FeatureBackend, sight: Sight) -> Objective:
    """The plan's terms with their targets, as the function to minimise at one scale."""
    losses = [_bound(plan, planned, backend, sight) for planned in plan.terms]
    return Objective(backend, losses, plan.network, plan.cotangents)


def _bound(plan: Plan, planned: PlannedTerm, backend: FeatureBackend, sight: Sight) -> WeightedLoss:
    with blaming(plan.network):
        references = _references(planned.term, backend, sight, plan)
    with blaming(planned.label):
        loss = planned.term.bind(references)
    if not callable(loss):
        raise PluginError(f"{planned.label} must be bound to a function, not {loss!r}")
    return WeightedLoss(planned.name, planned.weight, loss, planned.label, planned.shares)


def _references(term: LossTerm, backend: FeatureBackend, sight: Sight, plan: Plan) -> References:
    reads_content, reads_styles = "content" in term.reads, "styles" in term.reads
    see = backend.features
    if plan.job.seamless:
        see = partial(seamless_features, backend, stride=plan.stride)
    return References(
        content=_features(see, sight.content, term.layers) if reads_content else {},
        styles=tuple(
            Style(_features(see, style, term.layers), share)
            for style, share in (sight.styles if reads_styles else ())
        ),
        seed=plan.job.seed,
        wraps=plan.job.seamless,
    )


def _features(
    see: Callable[[Tensor, Collection[str]], Features], image: Tensor, layers: Sequence[str]
) -> Features:
    of_network = [layer for layer in layers if layer != IMAGE_LAYER]
    features = dict(see(image, of_network)) if of_network else {}
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
