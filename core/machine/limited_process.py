"""Work on untrusted files in another process, with limits of memory and time.

A module that does such work is run as ``python -m``, and calls `serve`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import errors
from ..errors import StylectlError
from ..shown import error_line

#: Libraries that would reserve memory for each of a machine's processors.
_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
#: A process is ended after so many times its seconds: the machine may be busy.
_PATIENCE = 3


@dataclass(frozen=True)
class Limits:
    """Limits of a process: bytes of memory (on Linux), and seconds of processor time."""

    memory: int
    seconds: int


class ProcessError(Exception):
    """A process that failed or exceeded its limits; the message is a verb with its object."""


def call(module: str, request: Any, limits: Limits) -> Any:
    """Return what the work of a `module` of stylectl returns for a request, both JSON values.

    Raises the StylectlError that the work raises, and ProcessError if it fails otherwise.
    """
    package = Path(__file__).parents[1]
    paths = [str(package.parent), *filter(None, sys.path)]
    environment = {**os.environ, **_SINGLE_THREADED, "PYTHONPATH": os.pathsep.join(paths)}
    # -P: no module is imported from the current folder, which may be the untrusted file's.
    command = [sys.executable, "-P", "-m", f"{__name__.partition('.')[0]}.{module}"]
    try:
        process = subprocess.run(
            command,
            input=json.dumps({"limits": asdict(limits), "request": request}).encode(),
            capture_output=True,
            env=environment,
            timeout=_PATIENCE * limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProcessError(f"takes more than {_PATIENCE * limits.seconds} s") from None
    except OSError as error:
        raise ProcessError(f"cannot be started ({error.strerror})") from None
    lines = process.stdout.splitlines()
    if process.returncode or not lines:
        raise ProcessError(_failure(process.returncode, limits))
    answer = json.loads(lines[-1])
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    if "failure" in answer:
        raise ProcessError(answer["failure"])
    return answer["result"]


def serve(work: Callable[[Any], Any]) -> None:
    """Read a request from standard input, do the work within its limits, and print the answer."""
    asked = json.load(sys.stdin)
    limits = Limits(**asked["limits"])
    _limit_this_process(limits)
    try:
        answer = {"result": work(asked["request"])}
    except StylectlError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    except MemoryError:
        answer = {"failure": _too_much_memory(limits)}
    except Exception as error:  # libraries raise anything on damaged files
        answer = {"failure": f"fails ({error_line(error)})"}
    print(json.dumps(answer), flush=True)


def extend_memory(size: int) -> None:
    """Allow this process `size` bytes more, for files whose size is known only while it works."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limit = soft + size
            resource.setrlimit(
                resource.RLIMIT_AS,
                (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard),
            )


def _limit_this_process(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        soft, hard = resource.getrlimit(kind)
        for bound in (soft, hard):
            if bound != resource.RLIM_INFINITY:
                limit = min(limit, bound)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses limits of memory
            resource.setrlimit(kind, (limit, hard))


def _failure(code: int, limits: Limits) -> str:
    """Return what happened to a process that ended without an answer."""
    import signal

    if code == -int(getattr(signal, "SIGXCPU", 24)):
        return f"takes more than {limits.seconds} s"
    if code == -int(getattr(signal, "SIGABRT", 6)):
        return _too_much_memory(limits)  # a failed allocation that a library did not handle
    return f"ends with a crash ({code})"


def _too_much_memory(limits: Limits) -> str:
    return f"takes more than {limits.memory / 1e9:.1f} GB of memory"
