"""Signals that stop the program: Ctrl-C (SIGINT), SIGTERM, SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ...core.stopping import StopRequests

_NAMES = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}

#: Seconds after a stop in which further signals wait, since the result is about to be written.
_PATIENCE = 1.0
#: Seconds after which a signal comes again that came at a time when nothing may be raised.
_AGAIN = 0.05


#: Modules of the standard library whose functions are called when an object is deleted.
_WEAK_REFERENCES = (f"{os.sep}weakref.py", f"{os.sep}_weakrefset.py")
#: Part of the paths of pydantic's modules.
_PYDANTIC = f"{os.sep}pydantic{os.sep}"


class Stopped(KeyboardInterrupt):
    """A signal that stops the program; the message is its name."""

    def __init__(self, number: int) -> None:
        super().__init__(_NAMES[signal.Signals(number).name])
        #: Exit code of a program that the signal stopped.
        self.exit_code = 128 + number


class StopSignals(StopRequests):
    """Handler that raises `Stopped`, except while that is deferred."""

    def __init__(self) -> None:
        self._deferred = 0
        self._pending: Stopped | None = None
        self._patient_until = 0.0
        self._terminals = [number for number in (1, 2) if os.isatty(number)]

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """See StopRequests.deferred."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1

    def raise_deferred(self) -> None:
        """See StopRequests.raise_deferred."""
        if self._pending is not None:
            self._patient_until = time.monotonic() + _PATIENCE
            raise self._pending

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if signal.Signals(number).name == "SIGHUP":
            self._leave_closed_terminals()
        if self._deferred or time.monotonic() < self._patient_until:
            self._pending = self._pending or Stopped(number)
        elif _may_not_raise(frame):
            self._postpone(number)
        else:
            self._patient_until = time.monotonic() + _PATIENCE
            raise Stopped(number)

    def _postpone(self, number: int) -> None:
        """Handle a signal a little later."""
        again = threading.Timer(_AGAIN, signal.raise_signal, [number])
        again.daemon = True
        again.start()

    def _leave_closed_terminals(self) -> None:
        """Send what is printed from now on nowhere, if the terminal was closed.

        Printing would raise OSError, before the result is written.
        """
        for number in self._terminals:
            if not os.isatty(number):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


class StartSignals(StopSignals):
    """Handler for the start of the program, which has nothing to lose yet."""

    def _postpone(self, number: int) -> None:
        os.write(2, b"stylectl: interrupted\n")
        os._exit(Stopped(number).exit_code)


@contextmanager
def stop_signals(handler: type[StopSignals] = StopSignals) -> Iterator[StopSignals]:
    """Handle the signals by a new `handler` while the context is open, in the main thread.

    Signals that the program was started to ignore, as by nohup, stay ignored.
    """
    signals = handler()
    former = {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                former[number] = signal.signal(number, signals.handle)
    try:
        yield signals
    finally:
        for number, former_handler in former.items():
            signal.signal(number, former_handler)


def ignore_signals() -> None:
    """Ignore the signals from now on: the program is done, and only its modules end.

    The exit code is then that of what was done, and no module shows a traceback.
    """
    for name in _NAMES:
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _may_not_raise(frame: FrameType | None) -> bool:
    """Return whether an exception would break an import, or never arrive.

    Those in finalisers and weak references are printed and dropped; pydantic replaces those in
    serialisers by errors of its own.
    """
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if file.startswith("<frozen importlib.") or name == "__del__":
            return True
        if _PYDANTIC in file or file.endswith(_WEAK_REFERENCES):
            return True
        frame = frame.f_back
    return False
