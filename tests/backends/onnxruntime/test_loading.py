"""What is made of models to start sooner: optimised models, and sizes for engines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from stylectl.backends.onnx_export.export import export_trunk
from stylectl.backends.onnx_gradient import GradientModels, cotangent_name, differentiate
from stylectl.backends.onnxruntime import optimized as onnx_optimized
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.models import cache_folder
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.onnxruntime.session import Session, to_onnx
from stylectl.backends.onnxruntime.tensorrt import ShapeRange, profile_options, shape_ranges
from stylectl.core.interfaces.backend import FeatureBackend
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options

LAYERS = ("relu1_1", "relu2_1")


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def opened() -> OnnxBackend:
    return OnnxBackend(VGG19(VGG19Options()), LAYERS, OnnxOptions(device="cpu"))


@pytest.fixture
def with_models(fresh_cache: Path) -> None:
    """The models are there; what ONNX Runtime makes of them is not."""
    opened()


def gradient(backend: FeatureBackend) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    features, pullback = backend.vjp(torch.rand(1, 3, 21, 17, generator=generator))
    return pullback({name: torch.ones_like(value) for name, value in features.items()})


def test_optimised_models_are_made_once_and_compute_the_same(
    with_models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (cache_folder() / "optimized").exists()
    first = gradient(opened())
    kept = sorted((cache_folder() / "optimized").iterdir())
    assert len(kept) == 2  # forward and backward
    monkeypatch.setattr(onnx_optimized, "session_options", None)
    assert torch.equal(gradient(opened()), first)
    assert sorted((cache_folder() / "optimized").iterdir()) == kept


def test_another_version_of_the_runtime_has_optimised_models_of_its_own(
    with_models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    monkeypatch.setattr(onnxruntime, "__version__", "99.0")
    opened()
    assert len(list((cache_folder() / "optimized").iterdir())) == 4


def test_a_damaged_optimised_model_is_made_again(with_models: None) -> None:
    first = gradient(opened())
    for folder in (cache_folder() / "optimized").iterdir():
        model = folder / "model.onnx"
        model.write_bytes(model.read_bytes()[:-100])
    assert torch.equal(gradient(opened()), first)


def test_what_is_kept_can_be_entered_by_nobody_else(with_models: None) -> None:
    opened()
    for kind in ("models", "optimized"):
        assert (cache_folder() / kind).stat().st_mode & 0o777 == 0o700


SCRIPT = """
import torch
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
backend = OnnxBackend(VGG19(VGG19Options()), ["relu1_1"], OnnxOptions(device="cpu"))
features, pullback = backend.vjp(torch.full((1, 3, 8, 9), 0.5))
print(pullback({"relu1_1": torch.ones_like(features["relu1_1"])}).sum().item())
"""


@pytest.mark.subprocess
def test_several_processes_fill_one_cache_at_once(tmp_path: Path) -> None:
    own = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, env=own, text=True)
        for _ in range(2)
    ]
    printed = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert len(printed) == 1
    again = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, check=True, env=own, text=True
    )
    assert {again.stdout} == printed
    left = [path.name for path in tmp_path.glob("stylectl/onnx/*/*")]
    # The pair of models, each of them optimised, and the result of the check: nothing half-made.
    assert len(left) == 4
    assert not any(name.startswith(".") for name in left)


@pytest.fixture(scope="module")
def models() -> GradientModels:
    backbone = VGG19(VGG19Options())
    return differentiate(export_trunk(backbone.trunk(LAYERS), backbone, LAYERS))


def test_the_sizes_told_to_a_compiler_are_those_that_come(
    models: GradientModels, tmp_path: Path
) -> None:
    sizes = [(33, 50), (64, 41), (47, 47)]
    ranges = shape_ranges(models.forward, sizes)
    file = tmp_path / "forward.onnx"
    file.write_bytes(models.forward.SerializeToString())
    session = Session(file, (("CPUExecutionProvider", {}),), torch.device("cpu"))
    seen: dict[str, list[tuple[int, ...]]] = {}
    for height, width in sizes:
        image = to_onnx(torch.zeros(1, 3, height, width))
        for name, value in session.run({"image": image}, session.outputs).items():
            seen.setdefault(name, []).append(tuple(value.shape()))
    assert ranges.keys() == {"image", *seen}
    assert ranges["image"] == ShapeRange((1, 3, 33, 41), (1, 3, 64, 50), (1, 3, 47, 47))
    for name, shapes in seen.items():
        assert ranges[name].smallest == tuple(map(min, *shapes))
        assert ranges[name].largest == tuple(map(max, *shapes))
        assert ranges[name].best == shapes[-1]


def test_the_gradients_inputs_all_have_sizes(models: GradientModels) -> None:
    ranges = shape_ranges(models.forward, [(32, 48)])
    cotangents = {cotangent_name(layer) for layer in LAYERS}
    assert {each.name for each in models.backward.graph.input} <= {*ranges, *cotangents}


def test_sizes_as_the_provider_reads_them() -> None:
    ranges = {
        "image": ShapeRange((1, 3, 32, 41), (1, 3, 64, 50), (1, 3, 47, 47)),
        "relu1_1": ShapeRange((1, 64, 32, 41), (1, 64, 64, 50), (1, 64, 47, 47)),
    }
    assert profile_options(ranges) == {
        "trt_profile_min_shapes": "image:1x3x32x41,relu1_1:1x64x32x41",
        "trt_profile_max_shapes": "image:1x3x64x50,relu1_1:1x64x64x50",
        "trt_profile_opt_shapes": "image:1x3x47x47,relu1_1:1x64x47x47",
    }
    assert profile_options({}) == {}
