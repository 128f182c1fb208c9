"""`stylectl run`: one result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.messages import print_problems
from ..console.options import with_job_options
from ..console.printing import print_json, print_line, print_toml

if TYPE_CHECKING:
    from ...plugins.manager import Plugins

_OUT = "Output"


@with_job_options()
def command(
    options: dict[str, Any],
    photo: Annotated[
        str | None, typer.Argument(help="The content image. Without it, the sample pair is used.")
    ] = None,
    paintings: shared_flags.Paintings = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="[WRITER:]FILE",
            help="File to write; its suffix chooses the writer (stylectl list writers), or WRITER "
            "does. May be given several times. Default: a new .png in the current folder.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    writer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:KEY=VALUE[:KEY=VALUE]...",
            help="Settings of a writer, such as png:bits=16; may be given several times.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    preset: shared_flags.Preset = None,
    job: shared_flags.Job = None,
    settings: shared_flags.Set = None,
    no_plugin: shared_flags.NoPlugin = None,
    plugins_dir: shared_flags.PluginsDir = None,
    as_json: shared_flags.AsJson = False,
    print_job: Annotated[
        bool,
        typer.Option(
            "--print-job",
            help="Print the whole job as TOML and paint nothing.",
            rich_help_panel=_OUT,
        ),
    ] = False,
) -> int:
    """Paint PHOTO in the style of one or more PAINTINGs."""
    if photo and not paintings:
        raise UsageError("a content image needs a style image: stylectl run PHOTO PAINTING")
    if print_job and (output or writer or as_json):
        raise UsageError("--print-job paints nothing: --output, --writer, --json have no effect")
    from ...plugins.manager import load_plugins
    from ..console.writers import read_writers
    from ..queue.settings import fixed, read_settings

    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    models = plugins.registry.option_models
    images = {"content": photo, "styles": paintings or None}
    flags = options | {name: value for name, value in images.items() if value is not None}
    flags |= {"preset": preset} if preset else {}
    flags = fixed(read_settings(settings or [], models), flags)
    preset = flags.pop("preset", None)
    writers = read_writers(writer or [])
    return _run(flags, preset, job, output or [], writers, plugins, as_json, print_job)


def _run(
    options: dict[str, Any],
    preset: str | None,
    job_file: Path | None,
    outputs: list[str],
    writers: dict[str, dict[str, Any]],
    plugins: Plugins,
    as_json: bool,
    print_job: bool,
) -> int:
    from ...core.job.toml import job_toml
    from ...core.planning.job_files import make_job
    from ...core.planning.planner import make_plan
    from ...core.run.record import read_job_file

    print_problems(plugins.problems)
    registry = plugins.registry
    file = read_job_file(job_file) if job_file else None
    job = make_job(options, registry, file, preset)
    plan = make_plan(job, registry)
    if print_job:
        print_toml(job_toml(plan.job))
        return 0

    from ...core.files import check_is_no_input
    from ...core.run.outputs import Target, free_name
    from ..console.progress import progress
    from ..queue.job_run import run_planned

    targets = [Target.read(text) for text in outputs]
    targets = targets or [Target(free_name(job.content, job.styles[0].image))]
    check_is_no_input([target.path for target in targets], [job_file] if job_file else [])
    with progress() as listener:
        result = run_planned(plan, targets, writers, plugins, listener)
    paths = [str(target.path) for target in targets]
    if as_json:
        print_json({"outputs": paths, **result.summary()})
    else:
        for path in paths:
            print_line(f"wrote {path}")
    return 130 if result.interrupted else 0
