"""The plugins that listen to a run."""

from __future__ import annotations

from ..core.errors import PluginError
from ..core.events import Event, Listener, Notice, RunFinished, RunStarted, StepDone
from .manager import PluginRecord, Plugins


class PluginListeners:
    """Passes a run's events to the plugins. One that fails is told of nothing more, and `listener`
    is told of it; the run goes on, for its picture is worth more than what a plugin thinks of it.
    """

    def __init__(self, plugins: Plugins, listener: Listener) -> None:
        self._plugins, self._listener = plugins, listener
        # Found once: a step should not cost more for each plugin that only brings something.
        self._listening = {
            hook: [
                record
                for record in plugins.records
                if record.state == "loaded" and plugins.answers(record.name, hook)
            ]
            for hook in ("stylectl_run_started", "stylectl_step", "stylectl_run_finished")
        }
        #: The first failure, to be raised when the picture is written.
        self.failure: PluginError | None = None

    def hear(self, event: Event) -> None:
        """Takes in one event of the run."""
        match event:
            case RunStarted():
                self._tell("stylectl_run_started", event)
            case StepDone():
                self._tell("stylectl_step", event)
            case RunFinished():
                self._tell("stylectl_run_finished", event)

    def _tell(self, hook: str, event: Event) -> None:
        for record in tuple(self._listening[hook]):
            try:
                self._plugins.ask(record.name, hook, event=event)
            except Exception as error:
                self._give_up(record, hook, error)

    def _give_up(self, record: PluginRecord, hook: str, error: Exception) -> None:
        for listening in self._listening.values():
            if record in listening:
                listening.remove(record)
        message = (
            f"the plugin {record.name} ({record.origin}) failed in {hook}: "
            f"{type(error).__name__}: {error}"
        )
        self._listener(Notice(f"{message}; the run goes on without it"))
        if self.failure is None:
            self.failure = PluginError(message)
            self.failure.__cause__ = error
