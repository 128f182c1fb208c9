"""Contest of programs that optimise the same result by one objective, an iteration each in turn.

Each runs in a process of its own (`contestant.py`), so that its memory is its own, and waits while
another one works, so that a change of the machine's speed affects all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from ...core.errors import StylectlError
from .contender import OURSELVES, Entry
from .peers import Peer

#: Time limit for the end of a contestant's process, once its input is closed.
_SECONDS_TO_EXIT = 30


@dataclass(frozen=True)
class Record:
    """Measurements of one contender.

    `seconds_to_start` is the time from the start of its process until its first iteration could
    begin; `iterations` has the seconds and the loss of each iteration; memory is in MB (10^6
    bytes).
    """

    name: str
    device: str
    details: Mapping[str, str]
    seconds_to_start: float
    iterations: tuple[tuple[float, float], ...]
    peak_memory_mb: float


@dataclass(frozen=True)
class Outcome:
    """Records of a contest, the peer's last, with the common size (width, height) and threads."""

    size: tuple[int, int]
    threads: int
    records: tuple[Record, ...]


def hold_contest(
    peer: Peer,
    backends: Sequence[Mapping[str, Any]],
    images: Mapping[str, Any],
    size: int,
    iterations: int,
    plugins_dir: Sequence[Path] = (),
) -> Outcome:
    """Hold a contest between stylectl, once with each backend's options, and a peer.

    The objective is the peer's. `images` are the options that name the content and the style image,
    if they are not the sample pair; the result has the long side `size`. `plugins_dir` has folders
    of plugins. Raises StylectlError and its subclasses.
    """
    import torch

    threads = torch.get_num_threads()
    with TemporaryDirectory(prefix="stylectl-contest-") as name, ExitStack() as stack:
        folder = Path(name)
        content, style, (width, height) = _fitted(images, size, folder)
        objective = {"terms": peer.terms(height, width), "init": "content", "motifs": 1}
        common: dict[str, Any] = {
            "size": size,
            "scales": 1,
            "upscale": True,
            "iterations": iterations,
        }
        common |= {"precision": "float32"}  # unless the options state another
        contestants: list[_Contestant] = []

        def enter(name: str, entry: Entry) -> None:
            log = folder / f"{len(contestants)}.log"
            contestants.append(stack.enter_context(_Contestant(name, entry, log)))

        for options in backends:
            job = _checked_job({**images, **common, **options}, objective, plugins_dir)
            # The peer crops nothing.
            job |= {"content": str(content), "styles": [{"image": str(style), "crop": "none"}]}
            folders = [str(folder.resolve()) for folder in plugins_dir]
            entry = Entry(OURSELVES, str(content), str(style), "", threads, job, folders)
            settings = [options["backend"], *filter(None, [options.get("precision")])]
            enter(f"{OURSELVES} ({', '.join(settings)})", entry)
        # The peer runs on the device of stylectl.
        entry = replace(entry, program=peer.package, device=contestants[0].device, job={})
        enter(f"{peer.package} {peer.version}", entry)
        for _ in range(iterations):
            for contestant in contestants:
                contestant.step()
        records = tuple(contestant.record() for contestant in contestants)
    return Outcome((width, height), threads, records)


def _fitted(
    images: Mapping[str, Any], size: int, folder: Path
) -> tuple[Path, Path, tuple[int, int]]:
    """Write the content and the style image at their final sizes, and return the files.

    No program then resamples them. The last value is the content's (width, height).
    """
    from PIL import Image

    from ...core.images.decoding import read_image
    from ...core.job.building import build_job
    from ...core.sizes.fitting import fit

    job = build_job({**images, "size": size})
    assert job.content is not None  # there is always the sample
    files, sizes = [], []
    for number, path in enumerate((job.content, job.styles[0].image)):
        image = read_image(path)
        height, width = fit(image.size, size, upscale=number == 0)
        files.append(folder / f"{number}.png")
        sizes.append((width, height))
        image.rgb.resize((width, height), Image.Resampling.LANCZOS).save(files[-1])
    return files[0], files[1], sizes[0]


def _checked_job(
    options: Mapping[str, Any], objective: Mapping[str, Any], plugins_dir: Sequence[Path]
) -> dict[str, Any]:
    """Return the job as a table.

    Raises UsageError and ImageError for mistakes in it, or for images that are unsuitable at this
    size.
    """
    from ...core.job.building import build_job
    from ...core.planning.planner import make_plan
    from ...core.run.preparation import prepare
    from ...plugins.manager import load_plugins

    plan = make_plan(build_job(options, objective), load_plugins(folders=plugins_dir).registry)
    return prepare(plan).plan.job.as_table()


class _Contestant:
    """Process of a contender, which waits until a step is requested."""

    def __init__(self, name: str, entry: Entry, log: Path) -> None:
        self._name, self._log = name, log
        self._iterations: list[tuple[float, float]] = []
        self._peak = 0.0
        started = time.perf_counter()
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                # -P: no modules from the current folder, as for an installed program.
                [sys.executable, "-P", "-m", "stylectl.tools.bench.contestant"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            ready = self._request(json.dumps(asdict(entry)))
        except BaseException:
            self.close()
            raise
        self._start = time.perf_counter() - started
        self.device: str = ready["device"]
        self._details: dict[str, str] = ready["details"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process: close its input, and kill it if it does not exit in time."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdout.close()
        try:
            self._process.stdin.close()
            self._process.wait(_SECONDS_TO_EXIT)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def step(self) -> None:
        """Request one iteration and record its measurements."""
        answer = self._request("step")
        self._iterations.append((answer["seconds"], answer["loss"]))
        self._peak = answer["peak_memory_mb"]

    def record(self) -> Record:
        """Return the measurements so far."""
        return Record(
            name=self._name,
            device=self.device,
            details=self._details,
            seconds_to_start=self._start,
            iterations=tuple(self._iterations),
            peak_memory_mb=self._peak,
        )

    def _request(self, line: str) -> dict[str, Any]:
        """Send a line and return the answer. Raises StylectlError for an error or no answer."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        except BrokenPipeError:
            answer = {}
        if "error" in answer:
            raise StylectlError(f"{self._name}: {answer['error']}")
        if not answer:
            lines = self._log.read_text(errors="replace").split("\n")
            last = next((text for text in reversed(lines) if text.strip()), "no output")
            raise StylectlError(f"{self._name} has failed: {last}")
        return answer
