"""Videos of synthetic clips, and their measures, for the table of `flicker.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from ....core.errors import UsageError, did_you_mean
from ....core.images.decoding import read_image
from ....core.interfaces.events import Notice
from ....core.interfaces.specs import FlowArguments, FlowSpec
from ....core.video.reliability import reliable
from ....plugins import hooks
from ....plugins.manager import Plugins, load_plugins
from ...api.video import video_plan
from ...console.messages import print_problems
from ...judge.gram import gram_distance
from ...judge.pictures import open_pictures
from ...queue.sheets.contact_sheet import draw_sheet, write_sheet
from ...video.events import VideoEvent
from ...video.making import Video, make_video
from ...video.painting import PaintingTask
from ...video.planning import VideoPlan
from ...video.report.flicker import DISTANCES, frame_errors, mean, mean_error
from ...video.report.frame_by_frame import paint_frame_by_frame
from ...video.work.flows import KnownFlow
from ...video.work.folder import WorkFolder
from ...video.work.pictures import read_frame, to_float, write_frame
from .synthetic_clips import ExactFlow, SyntheticClip, synthetic_clips

#: Side of a photograph, relative to that of the frames that view it.
_MARGIN = 1.6

#: Files of the frames of one way to paint a clip, by the number of the frame.
Files = Callable[[int], Path]


@dataclass(frozen=True)
class Settings:
    """Settings of the table.

    - `photographs`, `painting`: paths. `size`: (height, width) of the frames in pixels.
    - `frames`: of each clip, `iterations`: of a full run.
    - `weights`, `flows`: of the videos, in all combinations. `clips`: names, or None for all.
    """

    photographs: tuple[str, str]
    painting: str
    size: tuple[int, int]
    frames: int
    iterations: int
    weights: tuple[float, ...]
    flows: tuple[str, ...]
    clips: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Measured:
    """Measures of a video beside those of the same frames painted each by itself.

    - `ratios`: of the warping errors at `DISTANCES`; None where there is none.
    - `style`, `style_frame_by_frame`: distances from the painting.
    """

    clip: str
    flow: str
    weight: float
    ratios: tuple[float | None, ...]
    style: float
    style_frame_by_frame: float


def measured(settings: Settings, folder: Path) -> Iterator[Measured]:
    """Yield the measures of each clip, painted in `folder`, with each flow and each weight."""
    clips = _clips(settings)
    plugins = load_plugins(extra=[_exact_flow(clips)])
    print_problems(plugins.problems)
    for clip in clips.values():
        yield from _measured_clip(clip, settings, plugins, folder / clip.name)


def means(rows: Sequence[Measured]) -> Iterator[Measured]:
    """Yield the means over the clips for each flow and each weight."""
    for flow, weight in dict.fromkeys((row.flow, row.weight) for row in rows):
        same = [row for row in rows if (row.flow, row.weight) == (flow, weight)]
        columns = zip(*(row.ratios for row in same), strict=True)
        ratios = tuple(mean([value for value in column if value is not None]) for column in columns)
        style = sum(row.style for row in same) / len(same)
        single = sum(row.style_frame_by_frame for row in same) / len(same)
        yield Measured("mean", flow, weight, ratios, style, single)


def _clips(settings: Settings) -> dict[str, SyntheticClip]:
    first, second = (_photograph(path, settings.size) for path in settings.photographs)
    clips = {
        clip.name: clip for clip in synthetic_clips((first, second), settings.size, settings.frames)
    }
    for name in settings.clips or ():
        if name not in clips:
            raise UsageError(f"unknown clip {name!r}; {did_you_mean(name, clips)}")
    return {name: clips[name] for name in settings.clips or clips}


def _photograph(path: str, size: tuple[int, int]) -> Tensor:
    """Return a photograph (1, 3, H, W) in which all views of the clips find room."""
    image = read_image(path)
    factor = _MARGIN * max(needed / side for needed, side in zip(size, image.size, strict=True))
    height, width = (round(side * factor) for side in image.size)
    return image.tensor(height, width)


class _ExactOptions(BaseModel):
    """Options of the flow `exact`: the name of its clip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str


def _exact_flow(clips: Mapping[str, SyntheticClip]) -> ModuleType:
    """Return a plugin with the exact flow of the clips."""

    def create(arguments: FlowArguments[_ExactOptions]) -> ExactFlow:
        return ExactFlow(clips[arguments.options.clip])

    @hooks.flows
    def flows() -> Iterable[FlowSpec[Any]]:
        yield FlowSpec(
            name="exact",
            summary="that of a synthetic clip",
            create=create,
            options=_ExactOptions,
        )

    plugin = ModuleType("exact_flow")
    vars(plugin)["flows"] = flows
    return plugin


def _measured_clip(
    clip: SyntheticClip, settings: Settings, plugins: Plugins, folder: Path
) -> Iterator[Measured]:
    _write_clip(clip, folder / "clip")
    content = folder / "clip" / "00000.png"
    single: Files | None = None
    rows: dict[str, Files] = {"input": lambda number: folder / "clip" / f"{number:05}.png"}
    for flow in settings.flows:
        for weight in settings.weights:
            plan = _plan(clip, settings, plugins, folder / "clip", flow, weight)
            name = f"{flow} {weight:g}"
            made = make_video(plan, folder / f"{name}.mp4", plugins, _print_notices)
            work = WorkFolder(made.folder.parent, made.folder.name)
            if single is None:
                single = _frame_by_frame(plan, work, made)
                rows["frame by frame"] = single
                single_errors = _errors(clip, single)
                single_style = _style(single, content, settings)
            painted = _results(work)
            rows[name] = painted
            ratios = tuple(
                error / reference if error is not None and reference else None
                for error, reference in zip(_errors(clip, painted), single_errors, strict=True)
            )
            style = _style(painted, content, settings)
            yield Measured(clip.name, flow, weight, ratios, style, single_style)
    _write_samples(rows, len(clip), folder.with_suffix(".png"))


def _write_clip(clip: SyntheticClip, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(clip)):
        write_frame(folder / f"{number:05}.png", clip.frame(number))


def _plan(
    clip: SyntheticClip,
    settings: Settings,
    plugins: Plugins,
    frames: Path,
    flow: str,
    weight: float,
) -> VideoPlan:
    options: dict[str, Any] = {
        "content": str(frames),
        "styles": [settings.painting],
        "size": max(settings.size),
        "iterations": settings.iterations,
        "temporal_weight": weight,
        "flow": {"name": flow, "clip": clip.name} if flow == "exact" else flow,
    }
    plan, notices = video_plan(options, plugins)
    print_problems(notices)
    return plan


def _frame_by_frame(plan: VideoPlan, work: WorkFolder, made: Video) -> Files:
    table = work.read_table()
    assert table is not None
    task = PaintingTask(plan, work, table, made.size)
    paint_frame_by_frame(task, range(made.frames), _print_notices)
    return work.single


def _results(work: WorkFolder) -> Files:
    return lambda number: work.result(number, 0)


def _errors(clip: SyntheticClip, files: Files) -> list[float | None]:
    """Return the mean warping error at each distance."""

    def image(number: int) -> Tensor:
        return _map(to_float(read_frame(files(number))))

    def flow(number: int, former: int) -> KnownFlow:
        there, back = _map(clip.flow(number, former)), _map(clip.flow(former, number))
        return KnownFlow(there, reliable(there, back))

    frames = range(len(clip))
    return [mean_error(frame_errors(frames, distance, image, flow)) for distance in DISTANCES]


def _map(values: np.ndarray) -> Tensor:
    """Return (1, C, H, W) of (H, W, C)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, 2, 0)))[None]


def _style(files: Files, content: Path, settings: Settings) -> float:
    """Return the mean distance of the frames from the style image."""
    paths = [str(files(number)) for number in range(settings.frames)]
    with open_pictures(paths, str(content), settings.painting, max(settings.size)) as pictures:
        distances = [gram_distance(picture, pictures.style) for picture in pictures.results]
    return sum(distances) / len(distances)


def _write_samples(rows: Mapping[str, Files], frames: int, path: Path) -> None:
    """Write an image with some frames of each way to paint the clip."""
    numbers = sorted({round(part * (frames - 1)) for part in (0, 0.25, 0.5, 0.75, 1)})
    files = {
        (row, column): file(number)
        for row, file in enumerate(rows.values())
        for column, number in enumerate(numbers)
    }
    with Image.open(files[0, 0]) as image:
        long_side = max(image.size)
    labels = [f"frame {number}" for number in numbers]
    write_sheet(draw_sheet(labels, list(rows), files, long_side), path)


def _print_notices(event: VideoEvent) -> None:
    if isinstance(event, Notice):
        print_problems([event.message])
