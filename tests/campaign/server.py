"""Processes of stylectl that start at once: each is forked from one that has imported everything.

``python -m stylectl.tests.campaign.server`` reads requests (`Request`) as lines of JSON, runs the
program for each in a process of its own, and prints what became of it (`Ending`) as a line of JSON.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: Audit events that change files, or open them.
FILE_EVENTS = {
    *("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"),
    *("tempfile.mkstemp", "tempfile.mkdtemp", "shutil.rmtree"),
}


@dataclass(frozen=True)
class Strike:
    """A signal, sent after some seconds, or at the Nth file operation in the attempt's folders."""

    signal: int
    seconds: float | None = None
    operation: int | None = None


@dataclass(frozen=True)
class Request:
    """A run of the program.

    - `root`: the folder in which file operations count.
    - `streams`: files that replace stdin, stdout and stderr; None closes the stream.
    - `encoding`: of stdout and stderr.
    - `file_size`: the longest file that can be written, in bytes, as on a disk that is full.
    - `limit`: seconds after which the process counts as hanging, and is killed.
    """

    arguments: tuple[str, ...]
    root: str
    folder: str
    environment: Mapping[str, str]
    streams: tuple[str | None, str | None, str | None]
    encoding: str = "utf-8"
    file_size: int | None = None
    strikes: tuple[Strike, ...] = ()
    limit: float = 180.0


@dataclass(frozen=True)
class Ending:
    """The end of a process: its exit code, or the negative number of the signal that killed it."""

    code: int
    seconds: float
    hung: bool = False
    operations: int = 0
    connections: int = 0
    memory: int = 0


#: Seconds in which the program replaces the handlers of signals.
_FIRST_STATEMENTS = 0.02


@dataclass
class _Counters:
    """Numbers that a process and its parent share: file operations, connections, its beginning."""

    memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 17))

    def begin(self) -> None:
        """State that the program begins."""
        self.memory[16:] = b"1"

    def has_begun(self) -> bool:
        """Return whether the program has begun."""
        return bytes(self.memory[16:]) == b"1"

    def read(self) -> tuple[int, int]:
        operations, connections = struct.unpack("qq", self.memory[:16])
        return operations, connections

    def add(self, operations: int = 0, connections: int = 0) -> int:
        before = self.read()
        self.memory[:16] = struct.pack("qq", before[0] + operations, before[1] + connections)
        return before[0] + operations


def main() -> None:
    """Import what a run imports, then serve until stdin ends."""
    _import_what_runs_import()
    gc.freeze()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(_run(_read(line)))), flush=True)


def _read(line: str) -> Request:
    raw = json.loads(line)
    raw["strikes"] = tuple(Strike(**strike) for strike in raw["strikes"])
    return Request(**raw)


def _run(request: Request) -> Ending:
    counters = _Counters()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_program(request, counters)
    timed = sorted(
        (strike.seconds, strike.signal) for strike in request.strikes if strike.seconds is not None
    )
    hung = False
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        seconds = time.monotonic() - started
        if ended:
            break
        if not counters.has_begun():
            started += seconds  # the program is timed, and not what comes before it
        while timed and timed[0][0] <= seconds - _FIRST_STATEMENTS:
            os.kill(child, timed.pop(0)[1])
        if seconds > request.limit and not hung:
            hung = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.004)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # processes that a killed one had started
    operations, connections = counters.read()
    code = os.waitstatus_to_exitcode(status)
    return Ending(code, seconds, hung, operations, connections, 1024 * usage.ru_maxrss)


def _be_the_program(request: Request, counters: _Counters) -> None:
    """Run the program in this process, which was just forked, and end it."""
    code = 70
    try:
        os.setsid()
        _become(request)
        _watch(request, counters)
        from stylectl.__main__ import main as program

        counters.begin()
        try:
            program()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


def _become(request: Request) -> None:
    for number, path in enumerate(request.streams):
        os.close(number)
        if path is not None:
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
            assert os.open(path, flags, 0o600) == number
        else:  # closed; the number stays free until here, and is closed again below
            assert os.open(os.devnull, os.O_RDWR) == number
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        closed = request.streams[number] is None
        if closed:
            os.close(number)
        mode, errors = ("r", "strict") if number == 0 else ("w", "backslashreplace")
        options: dict[str, Any] = {"encoding": request.encoding, "errors": errors}
        stream = None if closed else open(number, mode, closefd=False, **options)  # noqa: SIM115
        setattr(sys, name, stream)
    os.environ.clear()
    os.environ.update(request.environment)
    tempfile.tempdir = None
    os.chdir(request.folder)
    sys.argv = ["stylectl", *request.arguments]
    if request.file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.file_size, hard))


def _watch(request: Request, counters: _Counters) -> None:
    """Count file operations and connections, and send this process the signals at operations."""
    signals = {strike.operation: strike.signal for strike in request.strikes}

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect":
            counters.add(connections=1)
        elif event in FILE_EVENTS and _is_inside(request, arguments):
            number = counters.add(operations=1)
            if number in signals:
                os.kill(os.getpid(), signals[number])

    sys.addaudithook(hook)


def _is_inside(request: Request, arguments: tuple[object, ...]) -> bool:
    path = arguments[0] if arguments else None
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    return isinstance(path, str) and (not path.startswith("/") or path.startswith(request.root))


def _import_what_runs_import() -> None:
    """Import the modules that two small runs import; they run in forked processes."""
    from stylectl.__main__ import main  # noqa: F401

    small = ("--size", "32", "--iterations", "1", "--device", "cpu", "-o", "out.png")
    network = ("--style-layers", "relu1_1", "--content-layers", "relu1_1")
    folder = tempfile.mkdtemp()  # a TemporaryDirectory would be deleted by each forked process
    listed = Path(folder) / "modules"
    for backend in ("torch", "onnx"):
        child = os.fork()
        if child == 0:
            atexit.register(lambda: listed.write_text("\n".join(sys.modules)))
            null = (os.devnull,) * 3
            arguments = ("run", *small, *network, "--backend", backend)
            _be_the_program(Request(arguments, folder, folder, {**os.environ}, null), _Counters())
        os.waitpid(child, 0)
        for module in listed.read_text().splitlines():
            with suppress(Exception):  # names that a library put into sys.modules itself
                importlib.import_module(module)
    shutil.rmtree(folder)
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
        raise RuntimeError("a module started a thread when it was imported: no process can fork")


if __name__ == "__main__":
    main()
