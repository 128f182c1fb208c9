"""Report on a video's flicker: one HTML file without external resources."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....core.errors import OutputError
from ....core.files import whole_file
from ..events import StageProgress, VideoListener
from ..painting import PaintingTask
from ..planning import VideoPlan
from ..work.flows import Flows, KnownFlow
from ..work.pictures import read_frame, to_float
from .chart import TimeChart, time_chart
from .contact_sheet import time_text
from .crops import Strip, shown_frames, strip
from .flicker import DISTANCES, FrameError, frame_errors, mean, mean_error

_TEMPLATE = Path(__file__).with_name("report.html.j2")

#: Kinds of frames, by the words for them.
_INPUT, _RESULT, _SINGLE = "input", "result", "frame by frame"


@dataclass(frozen=True)
class Distance:
    """Flicker at a distance, in frames.

    - `chart`: over the clip. `part`: mean part of the pixels that is measured, or None.
    - `clip`: mean errors over the clip, by the kind of frames; `compared`: the same over the frames
      that were painted by themselves. None where there are none.
    """

    frames: int
    chart: TimeChart
    part: float | None
    clip: Mapping[str, float | None]
    compared: Mapping[str, float | None]

    @property
    def ratio(self) -> float | None:
        """The result's error divided by that of frame by frame, or None."""
        result, single = (self.compared.get(kind) for kind in (_RESULT, _SINGLE))
        return result / single if result is not None and single else None


@dataclass(frozen=True)
class Subject:
    """A finished video that is reported on.

    - `flows`: those it was painted with. `starts`: the first frames of its scenes.
    - `compared`: the frames that were painted by themselves; one alone was not.
    - `record`: that of the video, as JSON.
    """

    task: PaintingTask
    flows: Flows
    starts: tuple[int, ...]
    compared: range
    record: str

    def files(self) -> dict[str, tuple[range, Callable[[int], Path]]]:
        """Return the numbers and the files of each kind of frames."""
        everything, last_pass = range(len(self.task.table)), self.task.last_pass
        kinds: dict[str, tuple[range, Callable[[int], Path]]] = {
            _INPUT: (everything, self.task.folder.frame),
            _RESULT: (everything, lambda number: self.task.folder.result(number, last_pass)),
        }
        if len(self.compared) > 1:
            kinds[_SINGLE] = (self.compared, self.task.folder.single)
        return kinds

    def flow(self, number: int, former: int) -> KnownFlow | None:
        """Return the flow of a frame to a former one of its scene, or None."""
        if any(former < start <= number for start in self.starts):
            return None
        return self.flows.flow(number, former)


def write_report(path: Path, subject: Subject, listener: VideoListener) -> None:
    """Measure a video, and write its report. Raises OutputError and PluginError."""
    page = _page(subject, _distances(subject, listener))
    try:
        with whole_file(path) as file:
            # File names may hold bytes that are not text.
            file.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


def _distances(subject: Subject, listener: VideoListener) -> list[Distance]:
    times = [shown.time for shown in subject.task.table.times]
    files = subject.files()
    total = len(DISTANCES) * sum(len(numbers) for numbers, _ in files.values())
    measured = 0
    distances = []
    for frames in DISTANCES:
        errors: dict[str, list[FrameError]] = {}
        for kind, (numbers, file) in files.items():
            errors[kind] = []
            for error in frame_errors(numbers, frames, _images(file), subject.flow):
                errors[kind].append(error)
                measured += 1
                listener(StageProgress("measuring", measured, total))
        distances.append(_distance(frames, errors, subject, times))
    return distances


def _distance(
    frames: int, errors: Mapping[str, list[FrameError]], subject: Subject, times: list[float]
) -> Distance:
    compared = subject.compared[frames:]  # as many pairs for each kind
    by_number = {
        kind: {frame.number: frame.error for frame in kind_errors}
        for kind, kind_errors in errors.items()
    }
    series = {
        kind: [by_number[kind].get(number) for number in range(len(times))] for kind in errors
    }
    return Distance(
        frames,
        time_chart(series, times, subject.starts),
        mean([frame.part for frame in errors[_INPUT] if frame.error is not None]),
        {kind: mean_error(errors[kind]) for kind in (_INPUT, _RESULT)},
        {
            kind: mean_error(frame for frame in errors[kind] if frame.number in compared)
            for kind in errors
        },
    )


def _images(file: Callable[[int], Path]) -> Callable[[int], Tensor]:
    def image(number: int) -> Tensor:
        pixels = np.ascontiguousarray(to_float(read_frame(file(number))))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None]

    return image


def _page(subject: Subject, distances: list[Distance]) -> str:
    import tomli_w
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.3g}"
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    record = json.loads(subject.record)
    times, compared = subject.task.table.times, subject.compared
    return template.render(
        title=_title(subject.task.video),
        version=record["versions"]["stylectl"],
        frames=len(times),
        size=subject.task.size,
        starts=[(start, time_text(times[start].time)) for start in subject.starts],
        flow=subject.task.video.settings.flow.name,
        kinds=[*subject.files()],
        compared=compared,
        compared_times=(time_text(times[compared[0]].time), time_text(times[compared[-1]].time)),
        distances=distances,
        strips=_strips(subject),
        shown=[(number, time_text(times[number].time)) for number in shown_frames(compared)],
        settings=tomli_w.dumps(record["job"]),
        record=record,
    )


def _strips(subject: Subject) -> list[Strip]:
    numbers = shown_frames(subject.compared)
    return [
        strip(kind, [to_float(read_frame(file(number))) for number in numbers])
        for kind, (_, file) in subject.files().items()
    ]


def _title(video: VideoPlan) -> str:
    images = [style.image.removeprefix("sample:") for style in video.plan.job.styles]
    styles = " and ".join(Path(image).stem for image in images)
    return f"{Path(video.clip).stem} in the style of {styles}"
