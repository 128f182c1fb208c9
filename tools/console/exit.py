"""Exit codes of a program, with one line on stderr for an error."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn, TextIO

import typer

from ...core.deprecation import StylectlDeprecationWarning
from ...core.errors import StylectlError
from ...core.shown import one_line
from .messages import with_flags
from .streams import Stream, guard_streams

#: Longest message of an error, in characters.
_LONGEST = 4000


def run_and_exit(program: Callable[[], int | None]) -> NoReturn:
    """Run a program and exit: 0 done, 1 failed, 2 wrong usage, or its own code.

    After a signal, the code is 128 and the signal's number: 130 after Ctrl-C. The exit code of a
    program that was done is 1 if its stdout could not be written.
    """
    stdout = guard_streams()
    warnings.simplefilter("default", StylectlDeprecationWarning)
    warnings.showwarning = _show_warning(warnings.showwarning)
    try:
        code = program()
    except StylectlError as error:
        if error.__cause__ and os.environ.get("STYLECTL_TRACE_PLUGINS") == "1":
            traceback.print_exception(error.__cause__)
        code = _print_error(with_flags(str(error)), error.exit_code)
    except typer.TyperException as error:
        code = _print_error(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort) as error:
        code = interrupted(error)
    sys.exit(code or _end(stdout))


def _end(stdout: Stream) -> int:
    """Write what stdout has buffered; return 1, with a message, if it could not be written."""
    stdout.data.flush()
    failure = stdout.data.failure
    if failure is None:
        return 0
    if isinstance(failure, BrokenPipeError):
        return 1  # the reader wanted no more
    reason = getattr(failure, "strerror", None) or failure
    return _print_error(f"stdout: cannot be written ({reason})", 1)


def exit_code_of(stop: BaseException) -> int:
    """Return the exit code of a program that was stopped."""
    return getattr(stop, "exit_code", None) or 130


def interrupted(stop: BaseException) -> int:
    """Print that the program was interrupted, and return its exit code."""
    return _print_error("interrupted", exit_code_of(stop))


def _show_warning(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Return a function that prints a deprecation in one line, and others by `otherwise`."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, StylectlDeprecationWarning):
            sys.stderr.write(f"stylectl: {with_flags(str(message))}\n")
        else:
            otherwise(message, category, filename, lineno, file, line)

    return show


def _print_error(message: str, code: int) -> int:
    if message:
        sys.stderr.write(f"stylectl: {one_line(message, _LONGEST)}\n")
    return code
