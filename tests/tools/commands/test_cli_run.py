from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stylectl.core.job.model import Job
from stylectl.core.job.paths import SAMPLES
from stylectl.core.job.presets import PRESETS

Program = Callable[..., subprocess.CompletedProcess[str]]

PHOTO, PAINTING = (str(SAMPLES[name]) for name in ("sample:photo", "sample:painting"))
SMALL = ["--size", "48", "--iterations", "2", "--device", "cpu"]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# A run with nothing but its defaults, looked at from several sides


@pytest.fixture(scope="module")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@pytest.fixture(scope="module")
def plain_run(program: Program, plain_folder: Path) -> subprocess.CompletedProcess[str]:
    return program("run", *SMALL, "--json", "--seed", "11", folder=plain_folder)


def test_a_run_without_images_paints_the_sample_pair_and_says_so(
    plain_run: subprocess.CompletedProcess[str], plain_folder: Path
) -> None:
    assert plain_run.returncode == 0
    assert "sample pair" in plain_run.stderr
    assert names(plain_folder) == ["photo_painting.png"]
    assert pixels(plain_folder / "photo_painting.png").shape == (32, 48, 3)


def test_stdout_is_one_line_of_json_with_the_promised_keys(
    plain_run: subprocess.CompletedProcess[str],
) -> None:
    (line,) = plain_run.stdout.splitlines()
    report = json.loads(line)
    assert report["outputs"] == ["photo_painting.png"]
    assert report["size"] == [48, 32]
    assert report["iterations"] == 2
    assert set(report["initial_loss"]) == set(report["final_loss"]) >= {"content", "style"}
    assert report["seconds"] > 0
    assert report["seconds_per_iteration"] >= 0
    assert report["backend"] == "torch"
    assert report["device"] == "cpu"
    assert report["interrupted"] is False


def test_stderr_has_only_lines_of_the_programs_own(
    plain_run: subprocess.CompletedProcess[str],
) -> None:
    lines = plain_run.stderr.splitlines()
    assert lines
    assert all(line.startswith("stylectl: ") for line in lines)
    assert any("48x32 px in 2 steps" in line for line in lines)


def test_a_picture_is_made_again_from_what_it_carries(
    plain_run: subprocess.CompletedProcess[str],
    plain_folder: Path,
    program: Program,
    tmp_path: Path,
) -> None:
    assert plain_run.returncode == 0
    first = plain_folder / "photo_painting.png"
    shown = program("show", first, folder=tmp_path)
    assert shown.returncode == 0
    assert tomllib.loads(shown.stdout)["seed"] == 11
    (tmp_path / "job.toml").write_text(shown.stdout)
    for job, name in ((Path("job.toml"), "toml.png"), (first, "png.png")):
        again = program("run", "--job", job, "-o", name, folder=tmp_path)
        assert again.returncode == 0, again.stderr
        assert np.array_equal(pixels(tmp_path / name), pixels(first))


def test_show_has_everything_as_json(
    plain_run: subprocess.CompletedProcess[str], plain_folder: Path, program: Program
) -> None:
    assert plain_run.returncode == 0
    shown = program("show", "photo_painting.png", "--json", folder=plain_folder)
    (line,) = shown.stdout.splitlines()
    record = json.loads(line)
    assert record["job"]["seed"] == 11
    assert {"stylectl", "torch", "python"} <= set(record["versions"])


# Images, outputs and jobs of one's own


def test_own_images_several_outputs_and_every_kind_of_flag(
    program: Program, tmp_path: Path
) -> None:
    shutil.copy(PHOTO, tmp_path / "my photo.jpg")
    done = program(
        "run",
        "my photo.jpg",
        PAINTING,
        PHOTO,
        *SMALL,
        *["-o", "a.png", "-o", "b.jpg", "--output", "c.webp"],
        *["--style-weights", "3,1", "--style-layers", "conv1_1=2,relu3_1=1"],
        *["--content-layers", "relu3_2,relu4_2", "--content-weight", "0.5"],
        *["--style-weight", "10", "--tv-weight", "0.1", "--optimizer", "adam"],
        *["--pooling", "average", "--init", "style", "--scales", "2", "--seed", "3"],
        *["--precision", "float32", "--backend", "torch", "--weights", "embedded"],
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert names(tmp_path) == ["a.png", "b.jpg", "c.webp", "my photo.jpg"]
    assert done.stdout.splitlines() == ["wrote a.png", "wrote b.jpg", "wrote c.webp"]
    assert "sample pair" not in done.stderr
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        job = json.loads(getattr(image, "text")["stylectl"])["job"]  # noqa: B009
    assert job["content"] == "my photo.jpg"
    assert [style["weight"] for style in job["styles"]] == [3, 1]
    terms = {term["name"]: term for term in job["terms"]}
    assert terms["style"]["layers"] == {"relu1_1": 2, "relu3_1": 1}
    assert terms["content"]["layers"] == {"relu3_2": 0.5, "relu4_2": 0.5}
    assert terms["tv"]["weight"] == 0.1


def test_a_job_file_in_another_folder_with_flags_over_it(program: Program, tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    shutil.copy(PHOTO, tmp_path / "jobs" / "photo.jpg")
    (tmp_path / "jobs" / "job.toml").write_text(
        'preset = "draft"\ncontent = "photo.jpg"\nsize = 64\niterations = 2\n'
        'backend = {name = "torch", device = "cpu"}\n'
    )
    done = program("run", "--job", "jobs/job.toml", "--size", "32", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["size"] == [32, 21]
    assert report["iterations"] == 2
    assert "no images given" not in done.stderr


@pytest.mark.parametrize("preset", PRESETS)
def test_a_printed_preset_is_a_whole_job_file(
    program: Program, tmp_path: Path, preset: str
) -> None:
    done = program("run", "--preset", preset, "--print-job", folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    # Masks, maps and plugins are there or not; they have no default that could be shown.
    printed = set(tomllib.loads(done.stdout))
    absent = {"content_mask", "regions", "max_memory", "plugins"}
    if preset in ("nnst", "strotss"):  # one term, without a balance
        absent.add("strength")
    assert printed == set(Job.model_fields) - absent
    assert names(tmp_path) == []


def test_the_former_flag_of_the_style_size_warns_in_one_line(
    program: Program, tmp_path: Path
) -> None:
    done = program("run", "--style-scale", "0.5", "--print-job", folder=tmp_path)
    assert tomllib.loads(done.stdout)["styles"] == [{"image": "sample:painting", "size": 0.5}]
    assert done.stderr == (
        "stylectl: --style-scale is deprecated and will be removed in stylectl 0.3; "
        "write --style-size\n"
    )
    both = ["--style-scale", "0.5", "--style-size", "0.5"]
    done = program("run", *both, "--print-job", folder=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "stylectl: --style-scale is the former name of --style-size; give one of them\n",
    )
    assert "--style-scale" not in program("run", "--help", folder=tmp_path).stdout


def test_masks_maps_sizes_and_colors_are_flags(program: Program, tmp_path: Path) -> None:
    flags = ["--style-size", "0.5,1", "--style-mask", "none", "--style-mask", "m.png"]
    flags += ["--content-mask", "c.png", "--color", "covariance"]
    done = program("run", "p.jpg", "a.jpg", "b.jpg", *flags, "--print-job", folder=tmp_path)
    job = tomllib.loads(done.stdout)
    assert job["styles"] == [
        {"image": "a.jpg", "size": 0.5},
        {"image": "b.jpg", "size": 1.0, "mask": "m.png"},
    ]
    assert (job["content_mask"], job["color"]) == ("c.png", "covariance")
    regions = ["--regions", "p.png", "a.png", "--style-map", "b.png"]
    done = program("run", "p.jpg", "a.jpg", "b.jpg", *regions, "--print-job", folder=tmp_path)
    maps = {"content": "p.png", "styles": ["a.png", "b.png"]}
    assert tomllib.loads(done.stdout)["regions"] == maps
    done = program("run", "p.jpg", "a.jpg", "--style-map", "b.png", folder=tmp_path)
    assert done.returncode == 2
    assert "--style-map has no effect without --regions" in done.stderr


# Help


def test_help_and_version(program: Program, tmp_path: Path) -> None:
    for arguments in (["--help"], ["run", "--help"], ["--version"]):
        done = program(*arguments, folder=tmp_path)
        assert done.returncode == 0
        assert done.stderr == ""
        assert "stylectl" in done.stdout


# What goes wrong


class RunsWhenUnpickled:
    """A pickle that writes a file named `executed` into the current folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("executed", "w")


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.png").write_text("no picture\n" * 100)
    (folder / "empty.jpg").touch()
    whole = Path(PHOTO).read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "folder.png").mkdir()
    with (folder / "evil.pth").open("wb") as file:
        pickle.dump({"features.0.weight": RunsWhenUnpickled()}, file)
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("RGB", (120, 80)).save(folder / "large.png")
    return folder


#: Arguments, exit code, and words that the one line must have.
MISTAKES: dict[str, tuple[list[str], int, list[str]]] = {
    "missing file": (["nowhere.jpg", PAINTING], 2, ["nowhere.jpg", "no such file"]),
    "directory": (["folder.png", PAINTING], 2, ["folder.png"]),
    "text": (["text.png", PAINTING], 1, ["text.png", "not an image"]),
    "truncated": (["truncated.jpg", PAINTING], 1, ["truncated.jpg", "damaged"]),
    "empty": ([PHOTO, "empty.jpg"], 1, ["empty.jpg", "empty"]),
    "too small": (["dot.png", PAINTING], 1, ["dot.png", "relu5_1", "16 px"]),
    "too many pixels": (
        ["large.png", PAINTING, "--max-pixels", "9000"],
        1,
        ["large.png", "--max-pixels"],
    ),
    "layer": (["--style-layers", "relu5_9"], 2, ["relu5_9", "did you mean relu5_"]),
    "preset": (["--preset", "papper"], 2, ["papper", "did you mean paper?"]),
    "suffix": (["-o", "out.pgn"], 2, ["out.pgn", ".png"]),
    "negative weight": (["--style-weight", "-1"], 2, ["--style-weight", "-1"]),
    "NaN weight": (["--content-weight", "nan"], 2, ["--content-weight", "nan"]),
    "cuda": (["--device", "cuda"], 1, ["CUDA", "--device cpu"]),
    "pickle": (
        ["--weights", "evil.pth", "--preprocessing", "caffe"],
        1,
        ["evil.pth", "refused"],
    ),
    "flag": (["--sise", "5"], 2, ["--sise", "--size"]),
    "no number": (["--size", "large"], 2, ["--size", "integer"]),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(
    program: Program, bad_files: Path, kind: str
) -> None:
    arguments, code, words = MISTAKES[kind]
    before = names(bad_files)
    # Named before the arguments, so that an argument may name another.
    beginning = [] if "--size" in arguments else ["--size", "48"]
    done = program("run", *beginning, "--iterations", "2", *arguments, folder=bad_files)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if " steps (" not in line]
    said = [line for line in said if "sample pair" not in line]
    assert len(said) == 1, done.stderr
    assert said[0].startswith("stylectl: ")
    for word in words:
        assert word in said[0]
    assert names(bad_files) == before


@pytest.fixture
def long_run(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that would take hours, and is killed if a test forgets it."""
    arguments = ["--size", "48", "--scales", "1", "--iterations", "1000000", "--device", "cpu"]
    outputs = ["-o", "out.png", "-o", "out.jpg", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "stylectl", "run", *arguments, *outputs],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(120, process.kill)
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_writes_the_picture_and_leaves_with_130(
    long_run: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert long_run.stderr is not None
    for line in long_run.stderr:
        if "s/step" in line:
            break
    else:
        pytest.fail("no progress was shown")
    assert "loss" in line
    assert "ETA" in line
    long_run.send_signal(signal.SIGINT)
    stdout, stderr = long_run.communicate(timeout=60)
    assert long_run.returncode == 130
    assert "Traceback" not in stderr
    assert "stopped" in stderr
    (report,) = stdout.splitlines()
    assert json.loads(report)["interrupted"] is True
    assert json.loads(report)["iterations"] > 0
    assert names(tmp_path) == ["out.jpg", "out.png"]
    for name in ("out.png", "out.jpg"):
        assert pixels(tmp_path / name).shape == (32, 48, 3)


def test_terms_are_added_and_changed_by_flag(program: Program, tmp_path: Path) -> None:
    terms = ["--term", "tv=5:power=1:reduction=sum", "--term", "style:layers=relu1_1=2,relu2_1=1"]
    done = program("run", "--preset", "paper", *terms, "--print-job", folder=tmp_path)
    job = {term["name"]: term for term in tomllib.loads(done.stdout)["terms"]}
    assert job["tv"] == {"name": "tv", "weight": 5.0, "power": 1, "reduction": "sum"}
    assert job["style"]["weight"] == 1000.0
    assert job["style"]["layers"] == {"relu1_1": 2.0, "relu2_1": 1.0}
