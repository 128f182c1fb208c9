"""Plugins as listeners of a run."""

from __future__ import annotations

from ..core.errors import ListenerError
from ..core.interfaces.events import (
    Event,
    Listener,
    Notice,
    RunFinished,
    RunStarted,
    StepDone,
)
from ..core.shown import error_line
from .manager import PluginRecord, Plugins

#: Hooks by which a plugin gets the events of runs.
HOOKS = ("stylectl_run_started", "stylectl_step", "stylectl_run_finished")


class PluginListeners:
    """Listener that passes a run's events to `listener`, then to the plugins.

    A plugin that fails gets no more events, and `listener` gets a notice. The run continues; the
    caller raises `failure` when the run's outputs are written.
    """

    def __init__(self, plugins: Plugins, listener: Listener) -> None:
        self._plugins, self._listener = plugins, listener
        # Looked up once, so that plugins without a hook cost nothing at each step.
        self._listening = {
            hook: [
                record
                for record in plugins.records
                if record.state == "loaded" and plugins.has_hook(record.name, hook)
            ]
            for hook in HOOKS
        }
        #: First failure of a plugin.
        self.failure: ListenerError | None = None

    def __call__(self, event: Event) -> None:
        """Handle an event of the run."""
        self._listener(event)
        match event:
            case RunStarted():
                self._call("stylectl_run_started", event)
            case StepDone():
                self._call("stylectl_step", event)
            case RunFinished():
                self._call("stylectl_run_finished", event)

    def _call(self, hook: str, event: Event) -> None:
        for record in tuple(self._listening[hook]):
            try:
                self._plugins.call(record.name, hook, event=event)
            except (Exception, SystemExit) as error:
                self._drop(record, hook, error)

    def _drop(self, record: PluginRecord, hook: str, error: BaseException) -> None:
        for listening in self._listening.values():
            if record in listening:
                listening.remove(record)
        message = (
            f"the plugin {record.name} ({record.origin}) failed in {hook}: {error_line(error)}"
        )
        self._listener(Notice(f"{message}; the run continues without it"))
        if self.failure is None:
            self.failure = ListenerError(message)
            self.failure.__cause__ = error
