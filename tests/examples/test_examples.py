"""The programs in `examples/` that paint with an exported objective: built, run, and compared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

pytestmark = pytest.mark.subprocess

EXAMPLES = Path(__file__).parents[2] / "examples"
STEPS = 3


def stylectl(*arguments: str, folder: Path) -> None:
    command = [sys.executable, "-m", "stylectl", *arguments]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    completed = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the result of a run, the objective that it minimised, and the start."""
    folder = tmp_path_factory.mktemp("paint")
    stylectl(
        "run", "--size", "48", "--scales", "1", "--content-layers", "relu2_1",
        "--style-layers", "relu1_1,relu2_1", "--optimizer", "adam", "--iterations", str(STEPS),
        "-o", "run.png", folder=folder,
    )  # fmt: skip
    stylectl("export", "--job", "run.png", "-o", "step.onnx", folder=folder)
    return folder


def check_painted(painted: Path, folder: Path) -> None:
    with Image.open(painted) as image, Image.open(folder / "run.png") as expected:
        difference = np.abs(np.asarray(image, np.int16) - np.asarray(expected, np.int16))
    # Adam divides a gradient by its own size at the first step: a pixel whose gradient is nearly
    # zero may move either way, by 0.02. All others agree but for the last of 256 levels.
    assert np.quantile(difference, 0.99) <= 1
    assert difference.mean() < 0.1


def run(*command: str | Path, **environment: str) -> None:
    completed = subprocess.run(
        [str(argument) for argument in command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def headers() -> Path | None:
    """The folder with ONNX Runtime's headers, if there is one."""
    roots = [os.environ.get("ONNXRUNTIME_ROOT", ""), sys.prefix, "/usr/local", "/usr"]
    below = ("include", "include/onnxruntime", "include/onnxruntime/core/session")
    places = (Path(root, place) for root in roots if root for place in below)
    return next((place for place in places if (place / "onnxruntime_cxx_api.h").is_file()), None)


def library(folder: Path) -> Path | None:
    """ONNX Runtime's library, as the Python package has it, under the name that programs load."""
    packaged = list(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.1*"))
    if not packaged:
        return None
    link = folder / "libonnxruntime.so.1"
    link.symlink_to(packaged[0])
    return link


@pytest.mark.slow
def test_the_cpp_program_paints_what_a_run_paints(folder: Path, tmp_path: Path) -> None:
    include, shared = headers(), library(tmp_path)
    if not (shutil.which("cmake") and (shutil.which("c++") or os.environ.get("CXX"))):
        pytest.skip("needs cmake and a C++ compiler")
    if include is None:
        pytest.skip("needs the headers of ONNX Runtime: `make examples`, or libonnxruntime-dev")
    if shared is None:
        pytest.skip("the Python package of ONNX Runtime has no libonnxruntime.so.1")
    build = tmp_path / "build"
    run(
        "cmake", "-S", EXAMPLES / "cpp", "-B", build, "-DCMAKE_CXX_FLAGS=-Wall -Werror",
        f"-DONNXRUNTIME_INCLUDE={include}", f"-DONNXRUNTIME_LIBRARY={shared}",
    )  # fmt: skip
    run("cmake", "--build", build)
    painted = tmp_path / "out.ppm"
    run(build / "paint", folder / "step.onnx", folder / "step.start.f32", painted, str(STEPS))
    check_painted(painted, folder)


@pytest.mark.slow
def test_the_javascript_program_paints_what_a_run_paints(folder: Path, tmp_path: Path) -> None:
    if not shutil.which("node"):
        pytest.skip("needs Node")
    if not (EXAMPLES / "web" / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("needs onnxruntime-web: `make examples`")
    painted = tmp_path / "out.ppm"
    program = EXAMPLES / "web" / "paint-node.js"
    run("node", program, folder / "step.onnx", folder / "step.start.f32", painted, str(STEPS))
    check_painted(painted, folder)
