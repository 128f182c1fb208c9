"""Plans of a video's frames, each of which is a job by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...core.attribution import attributed_to
from ...core.errors import ImageError, UsageError
from ...core.images.files import SUFFIXES, file_sha256, style_files
from ...core.interfaces.specs import FlowArguments
from ...core.interfaces.video.flow import FlowEstimator
from ...core.job.model import Job
from ...core.job.video import VideoSettings
from ...core.planning.backbones import Backbones
from ...core.planning.plan import Plan
from ...core.planning.planner import make_plan
from ...core.planning.registry import Registry
from ...core.sizes.fitting import Size, result_size, whole_strides
from ...core.validation import described, validated
from ..clips.reading.image_sequence import is_sequence

#: Part of the loss by which ten steps of a frame must change it, so that there are more. A frame
#: that starts from the one before has little to change.
_LEAST_CHANGE = 1e-3

#: Name of the loss term that holds a frame to former ones.
TEMPORAL = "temporal"


@dataclass(frozen=True)
class VideoPlan:
    """A video with all that it names looked up and validated.

    - `plan`: of a frame that starts a scene; its content image is the clip.
    - `iterations`: the steps of the other frames.
    - `moving`: the masks and maps that are clips themselves, by their paths in the job.
    - `flow`: the estimator of optical flow, which `flow_label` names in messages.
    """

    plan: Plan
    settings: VideoSettings
    iterations: int
    moving: tuple[str, ...]
    flow: FlowEstimator
    flow_label: str
    registry: Registry
    _backbones: Backbones

    @property
    def clip(self) -> str:
        """Path of the clip, as in the job."""
        assert self.plan.job.content is not None
        return self.plan.job.content

    def size(self, clip_size: Size) -> Size:
        """Return the size of the result, (height, width) in pixels, of a clip of this size.

        Raises ImageError if it is too small for the network.
        """
        job, deepest = self.plan.job, self.plan.deepest
        size = result_size(job.size, clip_size, job.upscale)
        if min(size) < deepest.smallest_side:
            raise ImageError(
                f"{self.clip}: {size[1]}x{size[0]} px is too small for the layer {deepest.name}, "
                f"which needs {deepest.smallest_side} px on the short side"
            )
        return whole_strides(size, self.plan.stride) if job.seamless else size

    def frame(
        self, size: Size, files: Mapping[str, str], position: float, starts_scene: bool
    ) -> Plan:
        """Return the plan of a frame.

        `files` has the files of the frame, by the paths of the clip and of the masks in the job;
        `position` is the frame's in the clip, from 0 to 1. Raises UsageError and PluginError.
        """
        table = self.plan.job.as_table()
        table["size"], table["upscale"] = max(size), False
        if self.settings.to is not None:
            pairs = zip(table["styles"], self.plan.job.styles, self.settings.to, strict=True)
            table["styles"] = [
                {**style, "weight": (1 - position) * choice.weight + position * last}
                for style, choice, last in pairs
            ]
        if not starts_scene:
            table["scales"], table["iterations"] = 1, self.iterations
            table["least_change"] = max(self.plan.job.least_change, _LEAST_CHANGE)
            temporal = {"name": TEMPORAL, "weight": self.settings.temporal_weight}
            table["terms"] = [*table["terms"], temporal]
        job = _validated(_with_files(table, files))
        return make_plan(job, self.registry, self._backbones)

    def style_hashes(self) -> frozenset[str]:
        """Return the SHA-256 of all style images. Raises ImageError and UsageError."""
        paths = [path for style in self.plan.job.styles for path in style_files(style.image)]
        return frozenset(file_sha256(path) for path in paths)


def plan_video(job: Job, settings: VideoSettings, registry: Registry) -> VideoPlan:
    """Make the plan of a video; the job's content image is the clip.

    Raises UsageError for names, options and combinations that are not possible, and PluginError.
    """
    _check(job, settings)
    stated = [term for term in job.terms if term.name == TEMPORAL]
    if stated and "temporal_weight" in settings.model_fields_set:
        raise UsageError(
            f"`temporal_weight` has no effect: the job has its own term {TEMPORAL}; set its weight"
        )
    if stated:
        settings = settings.model_copy(update={"temporal_weight": stated[0].weight})
    others = tuple(term for term in job.terms if term.name != TEMPORAL)
    if not others:
        raise UsageError(f"a frame that starts a scene has no loss term beside {TEMPORAL}")
    backbones = Backbones(registry)
    plan = make_plan(job.model_copy(update={"terms": others}), registry, backbones)
    label = registry.flows.label(registry.flows.get(settings.flow.name).name)
    video = VideoPlan(
        plan,
        settings,
        settings.frame_iterations or max(1, plan.job.iterations // 4),
        tuple(path for path in _masks(plan.job) if _moves(path)),
        _flow(settings, registry, label),
        label,
        registry,
        backbones,
    )
    video.frame((64, 64), {}, 0.5, starts_scene=False)  # raises what a later frame would raise
    return video


def _check(job: Job, settings: VideoSettings) -> None:
    if job.content is None:
        raise UsageError("a video is made of a clip, and a texture has none")
    if job.preview:
        raise UsageError("`preview` of a job is for images; the preview of a video is shorter too")
    if job.color_profile != "srgb":
        raise UsageError("`color_profile` has no effect: the frames of a video have none")
    if settings.to is not None and len(settings.to) != len(job.styles):
        raise UsageError(
            f"`to` has {len(settings.to)} weights for {len(job.styles)} style images; with several "
            "of them, give one for each, as for `style_weights`"
        )
    if settings.to is not None and len(job.styles) == 1:
        raise UsageError("`to` has no effect with a single style image")


def _flow(settings: VideoSettings, registry: Registry, label: str) -> FlowEstimator:
    spec = registry.flows.get(settings.flow.name)
    options = validated(spec.options, settings.flow.options, f"flow {spec.name}")
    with attributed_to(label):
        return spec.create(FlowArguments(options=options))


def _masks(job: Job) -> list[str]:
    """Return the paths of all masks and maps of the content image."""
    paths = [job.content_mask, *(style.mask for style in job.styles)]
    if job.regions:
        paths.append(job.regions.content)
    return list(dict.fromkeys(path for path in paths if path is not None))


def _moves(path: str) -> bool:
    """Return whether a mask is a clip, and not one image for all frames."""
    return is_sequence(path) or Path(path).suffix.lower() not in SUFFIXES


def _with_files(table: dict[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """Return a job's table with the clip, and the masks that move, replaced by a frame's files."""

    def at_frame(values: Mapping[str, Any], key: str) -> dict[str, Any]:
        path = values.get(key)
        return {**values, key: files.get(path, path)} if isinstance(path, str) else dict(values)

    table = at_frame(at_frame(table, "content"), "content_mask")
    table["styles"] = [at_frame(style, "mask") for style in table["styles"]]
    if "regions" in table:
        table["regions"] = at_frame(table["regions"], "content")
    return table


def _validated(table: Mapping[str, Any]) -> Job:
    try:
        return Job.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"job: {described(error, Job.model_fields)}") from None
