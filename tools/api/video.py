"""`stylectl.video`: a video from Python."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.files import paths_of
from ...core.interfaces.events import Notice, ignore
from ...core.job.video import VideoSettings
from ...core.outputs.record import changed_inputs
from ...core.planning.job_files import make_job
from ...plugins.manager import Plugins, load_plugins
from ..clips.source import open_clip
from ..video.events import VideoListener
from ..video.making import Keeping, Video, clip_options, make_video
from ..video.planning import VideoPlan, plan_video
from ..video.preview import previewed_video
from ..video.records import make_settings, read_video_job
from ..video.report.extras import Extras


def video(
    clip: str | Path | None = None,
    styles: str | Path | Sequence[str | Path] | None = None,
    output: str | Path = "out.mp4",
    *,
    job: str | Path | None = None,
    work: str | Path | None = None,
    preview: bool = False,
    contact_sheet: str | Path | None = None,
    report: str | Path | None = None,
    on_event: VideoListener = ignore,
    no_plugin: Collection[str] = (),
    plugins_dir: str | Path | Sequence[str | Path] = (),
    preset: str | None = None,
    **options: Any,
) -> Video:
    """Paint a clip in the style of paintings, and return the video.

    `clip` is a video, an animated image, a folder of numbered images, or a pattern of their names;
    `styles` are one or more style images. The suffix of `output` chooses the format. The options
    are those of `stylectl.run`, and the fields of `VideoSettings`, such as
    ``video("clip.mp4", "painting.jpg", "out.mp4", size=640, temporal_weight=50, end=4.0)``.

    `job` is a job file, or a video that stylectl wrote, whose settings hold where the options state
    no others. `work` is the work folder, beside the output by default; the same call goes on from
    it after it was stopped or killed. ``preview=True`` makes a few small seconds of the video.
    `contact_sheet` (.png) and `report` (.html) are files to write as well: frames from all of the
    video, and a page about its flicker.
    `on_event` is called with each `VideoEvent`. `no_plugin` names plugins that are not loaded, and
    `plugins_dir` folders with plugins of one file.

    Raises StylectlError and its subclasses, KeyboardInterrupt after Ctrl-C, and what `on_event`
    raises.
    """
    plugins = load_plugins(no_plugin, folders=paths_of(plugins_dir))
    for problem in plugins.problems:
        on_event(Notice(problem))
    values = dict(options)
    if clip is not None:
        values["content"] = str(clip)
    if styles is not None:
        values["styles"] = [str(path) for path in paths_of(styles)]
    plan, notices = video_plan(values, plugins, Path(job) if job else None, preset, preview)
    for message in notices:
        on_event(Notice(message))
    keeping = Keeping(work=None if work is None else Path(work))
    extras = Extras(
        None if contact_sheet is None else Path(contact_sheet),
        None if report is None else Path(report),
    )
    return make_video(plan, Path(output), plugins, on_event, keeping, extras)


def video_plan(
    options: dict[str, Any],
    plugins: Plugins,
    job: Path | None = None,
    preset: str | None = None,
    preview: bool = False,
) -> tuple[VideoPlan, list[str]]:
    """Return the plan of a video, and messages about its inputs.

    `options` are those of a job, and the fields of `VideoSettings`. Raises UsageError, PluginError
    and ImageError.
    """
    options = {name: value for name, value in options.items() if value is not None}
    own = {name: options.pop(name) for name in VideoSettings.model_fields if name in options}
    file, settings = (None, {}) if job is None else read_video_job(job, plugins.registry)
    if "content" not in options and (file is None or "content" not in file.table):
        raise UsageError("name the clip: stylectl video CLIP PAINTING")
    if "content" in options and "styles" not in options and file is None:
        raise UsageError("a clip needs a style image: stylectl video CLIP PAINTING")
    chosen = make_job(options, plugins.registry, file, preset)
    made = make_settings(settings, own)
    if preview:
        assert chosen.content is not None
        with open_clip(chosen.content, clip_options(made, chosen.max_pixels)) as clip:
            chosen, made = previewed_video(chosen, made, clip.info.fps)
    plan = plan_video(chosen, made, plugins.registry)
    return plan, changed_inputs(file, plan.plan) if file else []
