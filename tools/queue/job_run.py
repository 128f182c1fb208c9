"""Run of one job, with the plugins' event listeners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.interfaces.events import Listener
from ...core.interfaces.result import Result
from ...core.outputs.targets import Target
from ...core.planning.plan import Plan
from ...core.run.job_run import Saving, run_job
from ...core.run.session import Session
from ...plugins.listening import PluginListeners
from ...plugins.manager import Plugins


def run_planned(
    plan: Plan,
    outputs: Sequence[Path | Target],
    writers: Mapping[str, Mapping[str, Any]],
    plugins: Plugins,
    on_event: Listener,
    session: Session | None = None,
    saving: Saving = Saving(),  # noqa: B008 - frozen
) -> Result:
    """Run a job, write its outputs, and return the result.

    The error that ended the run early, or ListenerError for a plugin's listener that failed, is
    raised after the outputs are written. After Ctrl-C the interrupted result is returned.

    Raises StylectlError and its subclasses, and what `on_event` raises.
    """
    listeners = PluginListeners(plugins, on_event)
    result = run_job(plan, plugins.registry, outputs, writers, listeners, session, saving)
    if isinstance(result.stopped_by, Exception):
        raise result.stopped_by
    if listeners.failure and not result.interrupted:
        raise listeners.failure
    return result
