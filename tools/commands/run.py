"""`stylectl run`: one result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.messages import print_problems
from ..console.options import with_job_options
from ..console.printing import keep_stdout_for_data, print_json, print_line, print_toml

if TYPE_CHECKING:
    from ...core.job.model import Job
    from ...core.job.paths import JobFile
    from ...core.outputs.targets import Target
    from ...core.run.job_run import Saving
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
    save_every: Annotated[
        str | None,
        typer.Option(
            metavar="N|TIME",
            help="Also write the result of every Nth step, or after every TIME such as 10m, to "
            "files such as out-0050.png.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    checkpoint: shared_flags.Checkpoint = None,
    no_checkpoint: shared_flags.NoCheckpoint = False,
    checkpoint_every: shared_flags.CheckpointEvery = None,
    as_json: shared_flags.AsJson = False,
    print_job: Annotated[
        bool,
        typer.Option(
            "--print-job",
            callback=keep_stdout_for_data,
            help="Print the whole job as TOML and paint nothing.",
            rich_help_panel=_OUT,
        ),
    ] = False,
) -> int:
    """Paint PHOTO in the style of one or more PAINTINGs.

    A run that was stopped or killed goes on from its checkpoint when the same command is given
    again.
    """
    if photo and not paintings:
        raise UsageError("a content image needs a style image: stylectl run PHOTO PAINTING")
    saving_flags = save_every or checkpoint or no_checkpoint or checkpoint_every
    if print_job and (output or writer or as_json or saving_flags):
        raise UsageError(
            "--print-job paints nothing: --output, --writer, --json, --save-every and those of "
            "checkpoints have no effect"
        )
    kept = shared_flags.checkpoint_choice(checkpoint, no_checkpoint)
    from ...core.job.toml import job_toml
    from ...core.outputs.record import read_job_file
    from ...core.outputs.targets import Target
    from ...core.planning.job_files import make_job
    from ...core.planning.planner import make_plan
    from ...plugins.manager import load_plugins
    from ..console.signals import stop_signals
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
    print_problems(plugins.problems)
    file = read_job_file(job) if job else None
    chosen = make_job(flags, plugins.registry, file, preset)
    if print_job:
        print_toml(job_toml(make_plan(chosen, plugins.registry).job))
        return 0

    from ...core.files import check_is_no_input
    from ..queue.saving import read_saving

    targets = [Target.read(text) for text in output or []]
    check_is_no_input([target.path for target in targets], [job] if job else [])
    with stop_signals() as stops:
        saving = read_saving(
            kept,
            checkpoint_every,
            save_every,
            stops,
            writers=writers,
            no_plugin=no_plugin or (),
            plugins_dir=plugins_dir or (),
            default_name=not output,
        )
        return paint(chosen, plugins, targets, writers, saving, as_json, file)


def paint(
    job: Job,
    plugins: Plugins,
    outputs: Sequence[Target],
    writers: Mapping[str, Mapping[str, Any]],
    saving: Saving,
    as_json: bool,
    file: JobFile | None = None,
) -> int:
    """Run a job, show its progress and its outputs, and return the exit code.

    Without `outputs`, the result is written to a new file in the current folder. `file` is the one
    that the job was read from: inputs that differ from those in its record are reported.
    """
    from ...core.outputs.names import reserved_name
    from ...core.outputs.record import changed_inputs
    from ...core.outputs.targets import Target
    from ...core.planning.planner import make_plan
    from ...core.run.checkpointing import default_output
    from ..console.exit import exit_code_of
    from ..console.progress import progress
    from ..queue.job_run import run_planned

    plan = make_plan(job, plugins.registry)
    if file is not None:
        print_problems(changed_inputs(file, plan))
    with ExitStack() as stack:
        if not outputs:
            former = default_output(saving.checkpoints, plan, plugins.registry)
            names = reserved_name(plan.job.content, plan.job.styles[0].image, former)
            outputs = [Target(stack.enter_context(names))]
        listener = stack.enter_context(progress())
        result = run_planned(plan, outputs, writers, plugins, listener, saving=saving)
    paths = [str(target.path) for target in outputs]
    if as_json:
        print_json({"outputs": paths, **result.summary()})
    else:
        for path in paths:
            print_line(f"wrote {path}")
    return exit_code_of(result.stopped_by) if result.stopped_by else 0
