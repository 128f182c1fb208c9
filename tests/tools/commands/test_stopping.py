"""Processes that are stopped and killed: what they leave, and how they are resumed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stylectl.core.job.paths import SAMPLES

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals"),
]

#: A small network, and signals that the process sends itself: at a step, when a file is written,
#: when a file is about to be moved into place, and when the program is done.
PLUGIN = """
import atexit, os, signal
from stylectl import BackboneSpec, NoOptions, Writer, WriterSpec, hookimpl
from stylectl.testing import KinkedBackbone

def send(name):
    os.kill(os.getpid(), getattr(signal, name))

class Moment:
    def __init__(self, variable):
        at, _, self.signal = os.environ.get(variable, "").partition(":")
        self.left = int(at or 0)

    def comes(self):
        self.left -= 1
        if self.left == 0:
            send(self.signal)

STEP, FSYNC = Moment("AT_STEP"), Moment("AT_FSYNC")
fsync = os.fsync

def counted_fsync(file):
    FSYNC.comes()
    fsync(file)

os.fsync = counted_fsync
for name in os.environ.get("AT_EXIT", "").split():
    atexit.register(send, name)

class Signalling(Writer):
    def write(self, request):
        request.path.write_text("half")
        for name in os.environ["IN_WRITER"].split():
            send(name)
        request.path.write_text("whole")

@hookimpl
def stylectl_step(event):
    STEP.comes()

@hookimpl
def stylectl_backbones():
    yield BackboneSpec(name="kinked", summary="small", create=lambda arguments: KinkedBackbone())

@hookimpl
def stylectl_writers():
    yield WriterSpec(name="signalling", summary="", suffixes=(".sig",),
                     create=lambda arguments: Signalling())
"""

#: 12 steps at two scales, with a checkpoint after each.
SMALL = ["--size", "64", "--scales", "2", "--iterations", "12", "--backbone", "kinked"]
SMALL += ["--device", "cpu"]
EACH_STEP = ["--checkpoint-every", "0"]

#: A run of the program, with the moments of its signals: exit code, stdout and stderr.
Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin in it, installed as pip would."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "plugin_stopping.py").write_text(PLUGIN)
    info = folder / "stylectl_stopping-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stylectl-stopping\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stylectl]\nstopping = plugin_stopping\n")
    return folder


@pytest.fixture
def own_environment(environment: dict[str, str], site: Path, tmp_path: Path) -> dict[str, str]:
    path = os.pathsep.join([str(site), *filter(None, [environment.get("PYTHONPATH")])])
    own = {"PYTHONPATH": path, "STYLECTL_PLUGINS": "stopping", "OMP_NUM_THREADS": "1"}
    folders = {"XDG_STATE_HOME": str(tmp_path / "state"), "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    (tmp_path / "work").mkdir()
    return {**environment, **own, **folders}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The current folder of the processes."""
    return tmp_path / "work"


@pytest.fixture
def run(own_environment: dict[str, str], tmp_path: Path, work: Path) -> Program:
    def run(*arguments: str, **moments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "stylectl", *arguments],
            cwd=work,
            env={**own_environment, **moments},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def snapshots(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "tmp").glob("stylectl-*"))


def checkpoints(run: Program) -> list[dict[str, object]]:
    listed = run("list", "checkpoints", "--json").stdout
    rows: list[dict[str, object]] = json.loads(listed)["checkpoints"]
    return rows


def same(one: Path, other: Path) -> bool:
    return bool(np.array_equal(np.load(one), np.load(other)))


@pytest.mark.parametrize(
    "flags",
    [
        ["--optimizer", "lbfgs", "--backend", "onnx"],
        ["--optimizer", "adam", "--backend", "torch"],
    ],
    ids=lambda flags: flags[1],
)
def test_a_killed_run_is_resumed_to_the_same_pixels(
    run: Program, work: Path, tmp_path: Path, flags: list[str]
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    at = random.Random(seed).randint(3, 13)  # the starting points of both scales count, too
    assert run("run", *SMALL, *flags, "-o", "whole.npy", "--no-checkpoint").returncode == 0
    command = ["run", *SMALL, *flags, *EACH_STEP, "-o", "out.npy", "-o", "out.gif"]
    killed = run(*command, AT_STEP=f"{at}:SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    (row,) = checkpoints(run)
    assert row["state"] == "stopped"
    assert names(work) == ["whole.npy"]
    assert snapshots(tmp_path) != []
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert f"resuming after step {str(row['steps']).split()[0]} of 12" in done.stderr
    assert same(work / "out.npy", work / "whole.npy")
    assert names(work) == ["out.gif", "out.npy", "whole.npy"]
    assert snapshots(tmp_path) == []
    assert names(tmp_path / "state/stylectl/checkpoints") == []


@pytest.mark.parametrize("files", [0, 4])
def test_a_run_killed_while_it_writes_a_checkpoint_is_resumed(
    run: Program, work: Path, tmp_path: Path, files: int
) -> None:
    """After some `files`, the next is written, and not yet in its place."""
    command = ["run", *SMALL, *EACH_STEP, "-o", "out.npy"]
    at = 3 * files + 1  # twice for each file, and once for its folder
    assert run(*command, AT_FSYNC=f"{at}:SIGKILL").returncode == -signal.SIGKILL
    folder = tmp_path / "state/stylectl/checkpoints"
    assert list(folder.glob("*/.stylectl-*"))
    done = run(*command)
    assert done.returncode == 0
    # The first file is that of the starting point, before any step.
    expected = f"resuming after step {files - 1} of 12"
    assert (expected in done.stderr) is (files > 0)
    assert names(folder) == []
    assert run("run", *SMALL, "-o", "whole.npy").returncode == 0
    assert same(work / "out.npy", work / "whole.npy")


def test_what_a_run_killed_while_it_wrote_its_output_left_is_removed(
    run: Program, work: Path
) -> None:
    (work / "out.sig").write_text("before")
    killed = run("run", *SMALL, "-o", "out.sig", IN_WRITER="SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    assert len(names(work)) == 2
    assert (work / "out.sig").read_text() == "before"
    assert run("run", *SMALL, "-o", "other.npy").returncode == 0
    assert names(work) == ["other.npy", "out.sig"]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("SIGTERM", 143, "SIGTERM"), ("SIGHUP", 129, "SIGHUP"), ("SIGINT", 130, "Ctrl-C")],
)
def test_a_signal_writes_the_result_and_resume_goes_on(
    run: Program, work: Path, name: str, code: int, words: str
) -> None:
    flags = [*SMALL, *EACH_STEP, "-o", "out.npy", "-o", "out.png", "--json"]
    stopped = run("run", *flags, AT_STEP=f"10:{name}")
    assert stopped.returncode == code, stopped.stderr
    assert f"stopped by {words}; the result so far" in stopped.stderr
    assert "is kept in out.npy, out.png; the same command resumes after step 7" in stopped.stderr
    assert json.loads(stopped.stdout)["interrupted"] is True
    assert names(work) == ["out.npy", "out.png"]
    (row,) = checkpoints(run)
    assert row["steps"] == "7 of 12"
    assert "checkpoints: 1" in run("cache").stdout
    done = run("resume", "out.png", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"] == ["out.npy", "out.png"]
    assert run("run", *SMALL, "-o", "whole.npy").returncode == 0
    assert same(work / "out.npy", work / "whole.npy")
    assert checkpoints(run) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_run_without_a_name_is_resumed_under_its_name(
    run: Program, work: Path, name: str
) -> None:
    stopped = run("run", *SMALL, *EACH_STEP, AT_STEP=f"9:{name}")
    if name == "SIGTERM":
        assert stopped.returncode == 143
        assert names(work) == ["photo_painting.png"]
    else:
        assert names(work) == [".stylectl-photo_painting.png.lock"]
    done = run("run", *SMALL, *EACH_STEP)
    assert "resuming after step 7 of 12" in done.stderr
    assert names(work) == ["photo_painting.png"]
    with Image.open(work / "photo_painting.png") as image:
        image.load()
        text = getattr(image, "text")["stylectl"]  # noqa: B009
    assert json.loads(text)["interrupted"] is False
    assert run("run", *SMALL).stdout == "wrote photo_painting-2.png\n"


def test_a_stopped_run_without_a_checkpoint_is_not_said_to_resume(run: Program, work: Path) -> None:
    stopped = run("run", *SMALL, "-o", "out.npy", AT_STEP="5:SIGTERM")
    assert stopped.returncode == 143
    assert "kept in out.npy" in stopped.stderr
    assert "resumes" not in stopped.stderr
    resumed = run("resume", "out.npy")
    assert resumed.returncode == 2
    assert "there is no checkpoint of out.npy" in resumed.stderr


def test_before_the_first_step_a_signal_only_interrupts(run: Program, work: Path) -> None:
    stopped = run("run", *SMALL, *EACH_STEP, "-o", "out.npy", AT_STEP="1:SIGTERM")
    assert stopped.returncode == 143
    assert stopped.stderr.splitlines()[-1] == "stylectl: interrupted"
    assert "kept" not in stopped.stderr
    assert names(work) == []


def test_signals_wait_until_the_files_are_written(run: Program, work: Path) -> None:
    signals = "SIGTERM SIGINT SIGHUP SIGTERM"
    done = run("run", *SMALL, *EACH_STEP, "-o", "out.sig", IN_WRITER=signals)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote out.sig\n"
    assert (work / "out.sig").read_text() == "whole"
    assert checkpoints(run) == []
    stopped = run("run", *SMALL, "-o", "again.sig", AT_STEP="9:SIGTERM", IN_WRITER="SIGINT SIGTERM")
    assert stopped.returncode == 143
    assert "kept in again.sig" in stopped.stderr
    assert (work / "again.sig").read_text() == "whole"


def test_signals_when_the_program_is_done_change_nothing(run: Program, work: Path) -> None:
    done = run("run", *SMALL, "-o", "out.npy", AT_EXIT="SIGINT SIGTERM SIGHUP")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote out.npy\n"


def test_what_could_not_be_written_is_not_said_to_be_kept(run: Program, work: Path) -> None:
    (work / "gone").mkdir()
    stopped = run(
        *["run", *SMALL, *EACH_STEP, "-o", "gone/out.npy", "-o", "out.sig"],
        AT_STEP="9:SIGTERM",
        IN_WRITER="SIGNOTHING",
    )
    assert stopped.returncode == 1
    assert "kept in gone/out.npy;" in stopped.stderr
    assert "out.sig: the writer 'signalling'" in stopped.stderr
    assert len(checkpoints(run)) == 1


@pytest.mark.parametrize(
    ("module", "name"),
    [("typer.main", "SIGINT"), ("torch._C", "SIGINT"), ("torch.autograd", "SIGTERM")],
)
def test_a_signal_in_an_import_is_one_line(
    own_environment: dict[str, str], work: Path, module: str, name: str
) -> None:
    code = f"""
import os, signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Finder())
sys.argv = ["stylectl", "run", *{SMALL!r}]
from stylectl.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=work,
        env=own_environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr == "stylectl: interrupted\n"
    assert done.returncode == 128 + getattr(signal, name)


def test_a_closed_terminal_loses_no_result(own_environment: dict[str, str], work: Path) -> None:
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "stylectl", "run"]
    process = subprocess.Popen(
        [*program, *SMALL, "-o", "out.npy", "--iterations", "100000"],
        cwd=work,
        env=own_environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        seen = b""
        # The first loss is that of the starting point, before any step.
        while len(set(re.findall(rb"loss ([\d.e+-]+) ", seen))) < 2:
            seen += os.read(ours, 1000)
        os.close(ours)  # the terminal is closed: the system sends SIGHUP
        assert process.wait(timeout=100) == 129
    finally:
        process.kill()
        process.wait()
    assert (work / "out.npy").exists()


def test_two_runs_at_one_time_take_two_names(own_environment: dict[str, str], work: Path) -> None:
    command = [sys.executable, "-m", "stylectl", "run", *SMALL]
    processes = [
        subprocess.Popen(command, cwd=work, env=own_environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = {process.communicate(timeout=300)[0] for process in processes}
    assert said == {f"wrote photo_painting{end}.png\n" for end in ("", "-2", "-3")}
    assert names(work) == ["photo_painting-2.png", "photo_painting-3.png", "photo_painting.png"]


def test_a_batch_is_resumed_inside_a_result(run: Program, work: Path) -> None:
    for folder in ("c", "s"):
        (work / folder).mkdir()
    for name in ("a", "b"):
        Image.open(SAMPLES["sample:photo"]).save(work / "c" / f"{name}.png")
    Image.open(SAMPLES["sample:painting"]).save(work / "s" / "x.png")
    command = ["batch", "--contents", "c", "--styles", "s", *SMALL, *EACH_STEP, "--json"]
    killed = run(*command, "-o", "out", AT_STEP="20:SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    stopped = run(*command, "-o", "out", AT_STEP="4:SIGTERM")
    assert stopped.returncode == 143
    assert "the same command resumes" in stopped.stderr
    done = run(*command, "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "resuming after step" in done.stderr
    assert run(*command, "-o", "whole").returncode == 0
    for name in ("a_x.png", "b_x.png"):
        ours, theirs = (Image.open(work / folder / name) for folder in ("out", "whole"))
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    assert names(work / "out") == ["a_x.png", "b_x.png"]  # nor a folder of locks


@pytest.mark.parametrize("command", ["batch", "sweep"])
def test_a_queue_removes_what_is_left_of_a_finished_result(
    run: Program, work: Path, tmp_path: Path, command: str
) -> None:
    """The process was killed when the result was written, and its checkpoint was not deleted."""
    arguments = [command, *SMALL, *EACH_STEP]
    if command == "sweep":
        arguments += ["--set", "seed=1,2", "-o", "sheet.png"]
    else:
        photo, painting = (str(SAMPLES[f"sample:{name}"]) for name in ("photo", "painting"))
        arguments += ["--contents", photo, "--styles", painting, "-o", "out"]
    killed = run(*arguments, AT_STEP="9:SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    kept = tmp_path / "state/stylectl/checkpoints"
    shutil.copytree(kept, tmp_path / "copy")
    assert run(*arguments).returncode == 0
    assert checkpoints(run) == []
    shutil.copytree(tmp_path / "copy", kept, dirs_exist_ok=True)
    result = min(work.glob("*/*.png"))
    lock = result.with_name(f".stylectl-{result.name}.lock")
    lock.touch()
    before = result.read_bytes()
    assert len(checkpoints(run)) == 1
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert result.read_bytes() == before
    assert list(kept.iterdir()) == []
    assert not lock.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--checkpoint", "a", "--no-checkpoint"], ["--checkpoint", "--no-checkpoint"]),
        (["run", "--checkpoint-every", "5", "--no-checkpoint"], ["--checkpoint-every"]),
        (["run", "--checkpoint-every", "soon"], ["--checkpoint-every", "soon"]),
        (["run", "--save-every", "never"], ["--save-every", "never"]),
        (["run", "--checkpoint", "file"], ["file", "folder"]),
        (["resume"], ["there is no checkpoint to resume"]),
        (["list", "terms", "--checkpoint", "a"], ["list checkpoints"]),
    ],
)
def test_a_mistake_is_one_line(
    run: Program, work: Path, arguments: list[str], words: list[str]
) -> None:
    (work / "file").touch()
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_resume_refuses_what_does_not_fit(run: Program, work: Path) -> None:
    stopped = run("run", *SMALL, *EACH_STEP, "-o", "out.npy", AT_STEP="5:SIGTERM")
    assert stopped.returncode == 143
    before = (work / "out.npy").read_bytes()
    refused = run("resume", OMP_NUM_THREADS="2")
    assert refused.returncode == 1
    assert "threads (1, now 2)" in refused.stderr
    assert (work / "out.npy").read_bytes() == before
    assert len(checkpoints(run)) == 1
    assert "checkpoints: 0, 1 deleted" in run("cache", "--clear-checkpoints").stdout
    assert checkpoints(run) == []
