"""`stylectl.run`: the Python API, on which the command line is a thin layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.events import Event, Listener, Notice, ignore
from ..core.inputs import read_inputs
from ..core.job import Job
from ..core.jobfile import read_job_file
from ..core.options import build_job
from ..core.outputs import plan_outputs, write_outputs
from ..core.plan import make_plan
from ..core.result import Result
from ..core.run import run_plan
from ..core.sight import scales_for
from ..core.snapshots import Recorder
from ..core.studio import Studio
from ..plugins.listening import PluginListeners
from ..plugins.manager import Plugins, load_plugins


def run(
    job: Job | str | Path | None = None,
    *,
    output: str | Path | Sequence[str | Path] = (),
    writers: Mapping[str, Mapping[str, Any]] = {},
    on_event: Listener = ignore,
    no_plugin: Collection[str] = (),
    preset: str | None = None,
    **options: Any,
) -> Result:
    """Paint a picture.

    `job` is a `Job`, or the path of a job file (TOML, or a PNG that stylectl wrote), or None for a
    job made of a `preset` and `options`. The options are called like the command line's flags:
    ``content="photo.jpg", styles=["painting.jpg"], size=512, style_weight=2.0``; they override the
    job file. The result is also written to each `output`, by its suffix; `writers` has settings of
    theirs, such as ``{"png": {"bits": 16}}``. `on_event` is called with each event of the run.
    Raises StylectlError and its kin; what is raised half-way comes after the picture so far is
    written.
    """
    plugins = load_plugins(no_plugin)
    if isinstance(job, Job):
        if options or preset:
            raise TypeError("a Job is complete: change it with job.model_copy(update=...)")
        made = job
    else:
        made = build_job(options, read_job_file(Path(job)) if job is not None else None, preset)
    outputs = [output] if isinstance(output, str | Path) else output
    return run_job(made, [Path(each) for each in outputs], writers, plugins, on_event)


def run_job(
    job: Job,
    outputs: Sequence[Path],
    writers: Mapping[str, Mapping[str, Any]],
    plugins: Plugins,
    on_event: Listener,
) -> Result:
    """Tell what is wrong with the plugins, then `paint_job`."""
    for problem in plugins.problems:
        on_event(Notice(problem))
    return paint_job(job, outputs, writers, plugins, on_event)


def paint_job(
    job: Job,
    outputs: Sequence[Path],
    writers: Mapping[str, Mapping[str, Any]],
    plugins: Plugins,
    on_event: Listener,
    studio: Studio | None = None,
) -> Result:
    """Plan, read the images, check the outputs, paint, write; then raise what went wrong on the
    way, if anything did."""
    plan = make_plan(job, plugins.registry)
    inputs = read_inputs(plan)
    size = scales_for(plan, inputs)[-1].size
    planned = plan_outputs(outputs, plan.job, size, plugins.registry, writers)
    listening = PluginListeners(plugins, on_event)
    wanted = max((output.writer.snapshots for output in planned), default=0)
    with Recorder(wanted, on_event) as recorder:

        def listener(event: Event) -> None:
            on_event(event)
            listening.hear(event)
            recorder.listen(event)

        result = run_plan(plan, inputs, listener, studio)
        write_outputs(result, planned, recorder.snapshots, on_event)
    if isinstance(result.stopped_by, Exception):
        raise result.stopped_by
    if listening.failure:
        raise listening.failure
    return result
