"""`stylectl video`: a clip, frame by frame, held steady."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..console import shared_flags
from ..console.messages import print_problems
from ..console.options import with_job_options
from ..console.printing import print_json, print_line
from ..console.video_flags import with_video_settings
from ..video.options import JOB_OPTIONS

_OUT = "Output"


@with_job_options(*JOB_OPTIONS)
@with_video_settings
def command(
    options: dict[str, Any],
    settings: dict[str, Any],
    clip: Annotated[
        str | None,
        typer.Argument(
            help="A video, an animated image, a folder of numbered images, or a pattern such as "
            "frames/%05d.png."
        ),
    ] = None,
    paintings: shared_flags.Paintings = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=shared_flags.path_of,
            metavar="FILE",
            help="The video; its suffix chooses the format. A folder or a pattern stands for "
            "numbered images.",
            rich_help_panel=_OUT,
        ),
    ] = Path("out.mp4"),
    work: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="DIR",
            help="Folder of the finished frames, from which the same command goes on. Default: "
            "beside the output, OUT.work.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help="Make a few small seconds, in about a minute.",
            rich_help_panel=_OUT,
        ),
    ] = False,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="FILE.png",
            help="Also write an image with frames from all of the video.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="FILE.html",
            help="Also write a page about the video's flicker.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    preset: shared_flags.Preset = None,
    job: shared_flags.Job = None,
    set_options: shared_flags.Set = None,
    no_plugin: shared_flags.NoPlugin = None,
    plugins_dir: shared_flags.PluginsDir = None,
    as_json: shared_flags.AsJson = False,
) -> int:
    """Paint CLIP in the style of one or more PAINTINGs, steady from frame to frame.

    A video that was stopped or killed goes on when the same command is given again.
    """
    from ...plugins.manager import load_plugins
    from ..api.video import video_plan
    from ..console.signals import stop_signals
    from ..console.video_progress import video_progress
    from ..queue.settings import fixed, read_settings
    from ..video.making import Keeping, make_video
    from ..video.report.extras import Extras

    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    print_problems(plugins.problems)
    images = {"content": clip, "styles": paintings or None}
    flags = options | {key: value for key, value in images.items() if value}
    flags |= {"preset": preset} if preset else {}
    values = fixed(read_settings(set_options or [], plugins.registry.option_models), flags)
    preset = values.pop("preset", None)
    values |= settings
    plan, notices = video_plan(values, plugins, job, preset, preview)
    print_problems(notices)
    with stop_signals() as stops, video_progress() as listener:
        made = make_video(
            plan,
            output,
            plugins,
            listener,
            Keeping(work, stops),
            Extras(contact_sheet, report),
        )
    if as_json:
        print_json(made.summary())
    else:
        print_line(f"wrote {made.output}")
    return 0
