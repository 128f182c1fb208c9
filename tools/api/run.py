"""`stylectl.run`: one result from Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.files import check_is_no_input, paths_of
from ...core.interfaces.events import Listener, Notice, ignore
from ...core.interfaces.result import Result
from ...core.job.model import Job
from ...core.outputs.record import changed_inputs, read_job_file
from ...core.outputs.targets import Target
from ...core.planning.job_files import make_job
from ...core.planning.planner import make_plan
from ...plugins.manager import load_plugins
from ..queue.job_run import run_planned
from ..queue.saving import read_saving


def run(
    job: Job | str | Path | None = None,
    *,
    output: str | Path | Sequence[str | Path] = (),
    writers: Mapping[str, Mapping[str, Any]] = {},
    on_event: Listener = ignore,
    checkpoint: bool | str | Path = False,
    checkpoint_every: float | None = None,
    save_every: int | str | None = None,
    no_plugin: Collection[str] = (),
    plugins_dir: str | Path | Sequence[str | Path] = (),
    preset: str | None = None,
    **options: Any,
) -> Result:
    """Run a job and return its result.

    `job` is a `Job`, or the path of a job file (TOML, or a file with a record that stylectl wrote),
    or None for a job made of a `preset` and `options`. The options have the names of the command
    line's flags: ``content="photo.jpg", styles=["painting.jpg"], size=512, style_weight=2.0``; they
    override the job. The result is also written to each `output`; its suffix chooses the writer, or
    the writer's name before it does, as in ``"png:out.png"`` (in text; a `Path` is a file's name
    alone). `writers` has settings of the writers, such as ``{"png": {"bits": 16}}``. `on_event` is
    called with each event of the run; the last one, `RunFinished`, has the result, also that of an
    interrupted run. `no_plugin` names plugins that are not loaded, and `plugins_dir` folders with
    plugins of one file.

    With ``checkpoint=True``, an unfinished run can be resumed by the same call or by
    ``stylectl resume``; a path names the folder for the checkpoints, of which one is written every
    `checkpoint_every` seconds (60). `save_every` writes the results of some steps as well: of every
    50th with ``50``, after every ten minutes with ``"10m"``.

    Raises StylectlError and its subclasses, KeyboardInterrupt after Ctrl-C, and what `on_event`
    raises. After the first step, they are raised once the result so far is written to the outputs.
    """
    plugins = load_plugins(no_plugin, folders=paths_of(plugins_dir))
    file = read_job_file(Path(job)) if isinstance(job, str | Path) else None
    if isinstance(job, Job):
        if preset is not None:
            raise UsageError("`preset` has no effect: the job is complete")
        chosen = job.replace(**options) if options else job
    else:
        chosen = make_job(options, plugins.registry, file, preset)
    files = [output] if isinstance(output, str | Path) else output
    targets = [Target.read(path) if isinstance(path, str) else Target(Path(path)) for path in files]
    if isinstance(job, str | Path):
        check_is_no_input([target.path for target in targets], [Path(job)])
    for problem in plugins.problems:
        on_event(Notice(problem))
    plan = make_plan(chosen, plugins.registry)
    for message in changed_inputs(file, plan) if file else ():
        on_event(Notice(message))
    saving = read_saving(
        checkpoint,
        checkpoint_every,
        save_every,
        writers=writers,
        no_plugin=no_plugin,
        plugins_dir=paths_of(plugins_dir),
    )
    result = run_planned(plan, targets, writers, plugins, on_event, saving=saving)
    if result.stopped_by is not None:
        raise result.stopped_by
    return result
