"""Exit codes of a program, with one line on stderr for an error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import typer

from ...core.errors import StylectlError
from .messages import with_flags


def run_and_exit(program: Callable[[], int | None]) -> NoReturn:
    """Run a program and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted, or its own code."""
    try:
        code = program()
    except StylectlError as error:
        if error.__cause__ and os.environ.get("STYLECTL_TRACE_PLUGINS") == "1":
            traceback.print_exception(error.__cause__)
        code = _print_error(with_flags(str(error)), error.exit_code)
    except typer.TyperException as error:
        code = _print_error(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _print_error("interrupted", 130)
    sys.exit(code)


def _print_error(message: str, code: int) -> int:
    if message:
        sys.stderr.write(f"stylectl: {' '.join(message.split())}\n")
    return code
