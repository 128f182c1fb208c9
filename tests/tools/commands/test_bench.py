from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]

#: VGG-19 up to conv5_1: the channels of each block's convolutions.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))


def gflop_by_hand(width: int, height: int) -> float:
    """Two operations for each of a convolution's products; the gradient takes as many again."""
    channels, total = 3, 0
    for block in BLOCKS:
        for before, after in pairwise((channels, *block)):
            total += 2 * 9 * before * after * width * height
        channels = block[-1]
        width, height = width // 2, height // 2
    return 2 * total / 1e9


def test_the_bench_counts_and_measures(program: Program, tmp_path: Path) -> None:
    done = program(
        "bench", "--size", "96", "--repeats", "1", "--device", "cpu", "--json", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    figures = json.loads(line)
    assert figures["size"] == [96, 64]
    assert figures["backend"] == "torch"
    assert figures["device"] == "cpu"
    assert figures["precision"] == "float32"
    # Printed with one decimal.
    assert figures["gflop"] == pytest.approx(gflop_by_hand(96, 64), abs=0.051)
    for key in ("seconds", "gflop_per_second", "matmul_gflop_per_second", "ratio", "threads"):
        assert figures[key] > 0
    assert figures["peak_memory_mb"] >= figures["memory_before_mb"] > 0
    low, high = figures["seconds_spread"]
    assert low <= figures["seconds"] <= high


def test_the_bench_names_a_bad_option(program: Program, tmp_path: Path) -> None:
    done = program("bench", "--size", "0", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "--size" in done.stderr


def test_backends_are_measured_in_turn(program: Program, tmp_path: Path) -> None:
    options = ("--size", "64", "--repeats", "2", "--device", "cpu", "--json")
    both = ("--backend", "torch", "--backend", "onnx@cpu", "--gradient", "native")
    done = program("bench", *options, *both, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)["backends"]
    assert (first["backend"], second["backend"]) == ("torch", "onnx")
    assert second["details"]["gradient"] == "native"
    assert first["gflop"] == second["gflop"]
    assert min(first["seconds"], second["seconds"]) > 0
    assert second["seconds_to_first"] > second["seconds_to_start"] > 0


def test_a_backend_may_have_a_device_of_its_own(program: Program, tmp_path: Path) -> None:
    done = program("bench", "--size", "64", "--backend", "onnx@nowhere", folder=tmp_path)
    assert done.returncode == 2
    assert "unknown device 'nowhere'" in done.stderr


def test_a_gradient_that_no_backend_can_choose_is_wrong_usage(
    program: Program, tmp_path: Path
) -> None:
    both = ("--backend", "torch", "--backend", "torch")
    done = program("bench", *both, "--gradient", "native", folder=tmp_path)
    assert done.returncode == 2
    assert "--gradient has no effect" in done.stderr
