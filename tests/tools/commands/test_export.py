from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnx

Program = Callable[..., subprocess.CompletedProcess[str]]


def test_export_writes_one_file_and_says_how_close_it_is(program: Program, tmp_path: Path) -> None:
    done = program(
        "export", "--layers", "conv2_1,relu1_1", "-o", "vgg.onnx", "--json", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert list(said["layers"]) == ["relu1_1", "relu2_1"]  # in order of depth, by their own names
    assert [path.name for path in tmp_path.iterdir()] == ["vgg.onnx"]
    outputs = onnx.load(tmp_path / "vgg.onnx").graph.output
    assert [each.name for each in outputs] == ["relu1_1", "relu2_1"]


def test_mistakes_are_told_before_any_work(program: Program, tmp_path: Path) -> None:
    for arguments, complaint in (
        (["-o", "vgg.pt"], "suffix should be .onnx"),
        (["-o", "missing/vgg.onnx"], "there is no folder missing"),
        (["-o", "vgg.onnx", "--layers", "relu9_1"], "unknown layer 'relu9_1'"),
        (["-o", "vgg.onnx", "--pooling", "median"], "pooling"),
        (["-o", "vgg.onnx", "--backbone", "vgg18"], "did you mean vgg19?"),
    ):
        done = program("export", *arguments, folder=tmp_path)
        assert done.returncode == 2
        assert complaint in done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_network_that_is_exported_is_not_overwritten(program: Program, tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    model.write_bytes(b"weights")
    (tmp_path / "hard.onnx").hardlink_to(model)
    for arguments in (
        ["--backbone", "onnx:net.onnx", "-o", "net.onnx"],
        ["--backbone", "onnx:net.onnx", "-o", "hard.onnx"],
        ["--weights", "net.onnx", "-o", "./net.onnx"],
    ):
        done = program("export", *arguments, folder=tmp_path)
        assert done.returncode == 2
        assert "would overwrite an input" in done.stderr
    assert model.read_bytes() == b"weights"


def test_a_run_on_the_onnx_backend_gives_the_picture_of_torch(
    program: Program, tmp_path: Path
) -> None:
    import numpy as np
    from PIL import Image

    pictures = []
    for backend in ("torch", "onnx"):
        output = f"{backend}.png"
        done = program(
            "run", "--backend", backend, "--size", "64", "--iterations", "2", "-o", output,
            "--precision", "float32",
            folder=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with Image.open(tmp_path / output) as picture:
            pictures.append(np.asarray(picture, np.int16))
    # Few steps: rounding has had no time to grow beyond the last of 256 levels. Only where it has
    # switched a rectifier near its kink are the pixels that this one sees farther apart.
    difference = np.abs(pictures[0] - pictures[1])
    assert np.quantile(difference, 0.99) <= 1
    assert difference.mean() < 0.1


SMALL = ("--size", "48", "--scales", "1", "--content-layers", "relu2_1")


def test_an_objective_is_written_with_its_start(program: Program, tmp_path: Path) -> None:
    done = program(
        "export", "--objective", "sample:photo", "sample:painting", *SMALL, "-o", "step.onnx",
        "--json", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["size"] == [48, 32]
    assert record["loss"] <= 1e-5
    assert min(record["gradients"]) <= 1e-3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step.onnx", "step.start.f32"]
    assert (tmp_path / "step.start.f32").stat().st_size == 4 * 3 * 48 * 32
    outputs = [value.name for value in onnx.load(tmp_path / "step.onnx").graph.output]
    assert outputs == ["loss", "gradient", "loss/content", "loss/style", "loss/tv"]


def test_what_an_objective_cannot_have_is_an_error_of_one_line(
    program: Program, tmp_path: Path
) -> None:
    pair = ("--objective", "sample:photo", "sample:painting")
    for arguments, complaint in (
        ([*pair, "--layers", "relu1_1"], "--layers has no effect"),
        (["--set", "size=48"], "--set is of an objective; add --objective"),
        (["--style-weight", "3"], "--style-weight is of an objective"),
        ([*pair, "--fp16"], "not exported in float16"),
        ([*pair, "--size", "4x"], "size"),
        (["--size", "48"], "WIDTHxHEIGHT"),
        ([*pair, *SMALL, "--term", "mrf"], "mrf"),
        (["--job", "none.toml"], "none.toml"),
        (["--dtype", "float64"], "no convolution of float64"),
    ):
        done = program("export", *arguments, "-o", "step.onnx", folder=tmp_path)
        assert done.returncode == 2, (arguments, done.stderr)
        assert complaint in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_inputs_of_an_objective_are_not_overwritten(program: Program, tmp_path: Path) -> None:
    (tmp_path / "step.start.f32").write_bytes(b"a painting of mine")
    done = program(
        "export", "--objective", "sample:photo", "step.start.f32", "-o", "step.onnx",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "would overwrite an input" in done.stderr
    assert (tmp_path / "step.start.f32").read_bytes() == b"a painting of mine"
