"""How a program ends: with an exit code, and one line on stderr for what went wrong."""

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
    """Run it and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted, or what it returns."""
    try:
        code = program()
    except StylectlError as error:
        if error.__cause__ and os.environ.get("STYLECTL_TRACE_PLUGINS") == "1":
            traceback.print_exception(error.__cause__)
        code = _complain(with_flags(str(error)), error.exit_code)
    except typer.TyperException as error:
        code = _complain(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted", 130)
    sys.exit(code)


def _complain(message: str, code: int) -> int:
    if message:
        sys.stderr.write(f"stylectl: {' '.join(message.split())}\n")
    return code
