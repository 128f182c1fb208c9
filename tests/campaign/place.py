"""The folders of one attempt, and runs of the program in them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .server import Ending, Request, Strike

#: What a stream of a run may be instead of a file that is read afterwards.
FULL, CLOSED = "/dev/full", None
#: Longest text of stdout or stderr that is kept, in bytes.
_LONGEST = 2_000_000


@dataclass(frozen=True)
class Outcome:
    """The end of a run, and what it printed."""

    ending: Ending
    stdout: str
    stderr: str

    @property
    def code(self) -> int:
        """The exit code; negative: the signal that killed it."""
        return self.ending.code


class Server:
    """The process that forks the runs; see `campaign.server`."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "stylectl.tests.campaign.server"]
        # A file's module may be imported by every run: from the folder of the checkout as well.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._answer() == "ready"

    def run(self, request: Request) -> Ending:
        """Run the program, and wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(request)) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert isinstance(answer, dict)
        return Ending(**answer)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> object:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server of the campaign has ended")
        return json.loads(line)


class Place:
    """Folders of an attempt: `work`, the current folder, and `state` and `tmp` of the user.

    The cache is one for the whole campaign, since an export of a network takes seconds.
    """

    def __init__(self, root: Path, server: Server, environment: dict[str, str]) -> None:
        self.root = root
        self.work, self.state, self.tmp = root / "work", root / "state", root / "tmp"
        for folder in (self.work, self.state, self.tmp):
            folder.mkdir(parents=True)
        self._server = server
        self._environment = {
            **environment,
            "TMPDIR": str(self.tmp),
            **{f"XDG_{kind}_HOME": str(self.state) for kind in ("STATE", "CONFIG", "DATA")},
        }

    def run(
        self,
        *arguments: str,
        strikes: Sequence[Strike] = (),
        stdout: str | None = "",
        stderr: str | None = "",
        encoding: str = "utf-8",
        file_size: int | None = None,
        limit: float = 180.0,
    ) -> Outcome:
        """Run the program in a process that was forked, in the folder `work`."""
        out, err = self.root / "stdout", self.root / "stderr"
        for file in (out, err):
            file.write_bytes(b"")
        streams = (
            os.devnull,
            *(str(file) if to == "" else to for file, to in ((out, stdout), (err, stderr))),
        )
        ending = self._server.run(
            Request(
                arguments=arguments,
                root=str(self.root),
                folder=str(self.work),
                environment=self._environment,
                streams=streams,  # type: ignore[arg-type]
                encoding=encoding,
                file_size=file_size,
                strikes=tuple(strikes),
                limit=limit,
            )
        )
        return Outcome(ending, _text(out), _text(err))

    def run_from_cold(
        self, *arguments: str, kill_after: float | None = None, limit: float = 180.0
    ) -> Outcome:
        """Run the program as a user does; kill it after so many seconds."""
        started, hung = time.monotonic(), False
        process = subprocess.Popen(
            [sys.executable, "-m", "stylectl", *arguments],
            cwd=self.work,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            stdout, stderr = process.communicate(timeout=kill_after or limit)
        except subprocess.TimeoutExpired:
            hung = kill_after is None
            process.kill()
            stdout, stderr = process.communicate()
        ending = Ending(process.returncode, time.monotonic() - started, hung)
        return Outcome(ending, stdout, stderr)

    def files(self) -> dict[str, str]:
        """Return what is in the folder `work`: a digest for each file, by name."""
        return {
            str(path.relative_to(self.work)): _digest(path)
            for path in sorted(self.work.rglob("*"))
            if path.is_symlink() or not path.is_dir()
        }

    def left_over(self) -> list[str]:
        """Return the files that a finished run should have removed."""
        hidden = [path.name for path in self.work.rglob(".stylectl-*")]
        kept = [path.name for path in (self.state / "stylectl/checkpoints").glob("*")]
        return hidden + self.temporary() + kept

    def temporary(self) -> list[str]:
        """Return what a run should have removed from TMPDIR.

        A process that is killed when Python tries the folder leaves an empty file of eight
        letters, which is not stylectl's.
        """
        names = [path.name for path in self.tmp.iterdir()]
        return [name for name in names if not re.fullmatch("[a-z0-9_]{8}", name)]


@contextmanager
def places(root: Path | None = None) -> Iterator[Places]:
    """Yield the source of the folders of attempts, below a new folder in `root`."""
    with tempfile.TemporaryDirectory(
        prefix="stylectl-campaign-", dir=root, ignore_cleanup_errors=True
    ) as folder:
        opened = Places(Path(folder))
        try:
            yield opened
        finally:
            opened.close()


class Places:
    """The source of the folders of attempts, with the server that all of them share."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = 0
        self.environment = {
            # The files of coverage would be written in places that the attempts make unwritable.
            **{
                name: text
                for name, text in os.environ.items()
                if not name.startswith(("STYLECTL_", "COVERAGE_"))
            },
            "STYLECTL_PLUGINS": "",
            "XDG_CACHE_HOME": str(root / "cache"),
            "HOME": str(root),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "ORT_DISABLE_TELEMETRY": "1",
            "NO_COLOR": "1",
            "COLUMNS": "100",
        }
        self._server = Server(self.environment)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Yield new folders, which are deleted afterwards."""
        self._number += 1
        root = self._root / f"{self._number}"
        try:
            yield Place(root, self._server, self.environment)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def close(self) -> None:
        """End the server."""
        self._server.close()


def _text(file: Path) -> str:
    return file.read_bytes()[:_LONGEST].decode("utf-8", "replace")


def _digest(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"a link to {os.readlink(path)}"  # noqa: PTH115 - it may lead nowhere
    if not stat.S_ISREG(status.st_mode):
        return "no regular file"
    return hashlib.sha256(path.read_bytes()).hexdigest()
