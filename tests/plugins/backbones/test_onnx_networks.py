"""Networks of others in ONNX: features and gradients in ONNX Runtime beside torch in float64.

The files are written by torch's two exporters, or node by node, as tf2onnx and older tools do.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.plugins.backbones.onnx_file import OnnxFile, OnnxFileOptions
from torch import Tensor, nn
from torch.nn import functional

pytestmark = pytest.mark.subprocess

# Some ten operators in float32, each rounded by 6e-8, relative to the norm of the whole.
FLOAT32 = 5e-6
# Weights and activations in float16 are rounded by 5e-4, a few times.
FLOAT16 = 5e-3


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(path: Path) -> OnnxFile:
    return OnnxFile(OnnxFileOptions(model=str(path), preprocessing="none"))


def distance(value: Tensor, reference: Tensor) -> float:
    assert value.shape == reference.shape
    return float((value.double() - reference).norm() / reference.norm())


def check(
    path: Path,
    layers: Sequence[str],
    network: Callable[[Tensor], Sequence[Tensor]],
    size: tuple[int, int] = (32, 48),
    tolerance: float = FLOAT32,
) -> OnnxFile:
    """The layers of the file are the values of the network (in float64), and so is the gradient."""
    backbone = opened(path)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, *size, generator=generator)
    leaf = image.double().requires_grad_()
    expected = network(leaf)
    cotangents = [
        torch.randn(value.shape, generator=generator) / value.norm().item() for value in expected
    ]
    (pulled,) = torch.autograd.grad(expected, leaf, [value.double() for value in cotangents])
    options = OnnxOptions(device="cpu", gradient="native")
    with OnnxBackend(backbone, layers, options) as backend:
        features, pullback = backend.vjp(image)
        gradient = pullback(dict(zip(layers, cotangents, strict=True)))
    for layer, value in zip(layers, expected, strict=True):
        assert distance(features[layer], value.detach()) < tolerance
    assert distance(gradient, pulled) < tolerance
    return backbone


class Decoder(nn.Module):
    """Maps that are made smaller and larger again, by each way that networks of others use."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.instance = nn.InstanceNorm2d(16, affine=True)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.wide = nn.Conv2d(8, 16, 1)
        self.slope = nn.PReLU(16)
        self.last = nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        first = functional.gelu(self.norm(self.first(image)))
        down = functional.elu(self.instance(self.down(first)))
        up = torch.relu(self.up(down) + first)
        rolled = torch.roll(up, (2, -3), (2, 3)) * up
        shuffled = functional.pixel_shuffle(self.slope(self.wide(rolled)), 2)
        resized = functional.interpolate(shuffled, scale_factor=0.5, mode="bilinear")
        return first, down, rolled, shuffled, torch.tanh(self.last(resized))


NAMES = ("first", "down", "rolled", "shuffled", "resized")


def exported(module: nn.Module, path: Path, *, dynamo: bool, **settings: Any) -> None:
    example = torch.rand(2, 3, 32, 48)
    sizes: dict[str, Any] = {"dynamic_axes": {"x": {0: "n", 2: "h", 3: "w"}}}
    if dynamo:
        any_size = torch.export.Dim.AUTO
        sizes = {"dynamic_shapes": ({0: any_size, 2: any_size, 3: any_size},)}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                (example,),
                str(path),
                dynamo=dynamo,
                input_names=["x"],
                verbose=False,
                **(sizes | settings),
            )
    finally:
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("dynamo", "opset"), [(False, 11), (False, 14), (False, 17), (True, 18), (True, 20)]
)
def test_torch_exporters(tmp_path: Path, dynamo: bool, opset: int) -> None:
    torch.manual_seed(0)
    module, path = Decoder(), tmp_path / "decoder.onnx"
    exported(module, path, dynamo=dynamo, opset_version=opset, output_names=list(NAMES))
    module.double()
    backbone = check(path, NAMES, module)
    check(path, NAMES, module, (50, 38))
    layers = {info.name: info for info in backbone.layers}
    assert (layers["down"].stride, layers["rolled"].stride) == (2, 1)
    # PixelShuffle gives four positions for a pixel: half a pixel apart.
    assert layers["shuffled"].exact_stride is not None
    assert (layers["shuffled"].stride, float(layers["shuffled"].exact_stride)) == (1, 0.5)
    assert layers["shuffled"].receptive_field is layers["rolled"].receptive_field is None
    assert "shuffled" not in backbone.default_style_layers
