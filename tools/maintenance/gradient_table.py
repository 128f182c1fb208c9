"""Maintainer script: the docs' table of networks that the onnx backend differentiates itself.

    python -m stylectl.tools.maintenance.gradient_table [MODEL ...] >> docs/backends.md

The weights are random, since only the operators matter. Each network is exported and differentiated
at its default layers. The gradient of an image, for random cotangents at these layers, is computed
by the two models in ONNX Runtime, and compared with torch.autograd in float64. In float32, rounding
may decide otherwise at a rectifier or a maximum. So where the distance is larger than rounding
alone, the same is done for the network in float64: its two models are computed by ONNX's reference
implementation.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor

from ...backends.accuracy.distances import relative_l2
from ...backends.offline import import_onnxruntime
from ...backends.onnx_export.export import export_trunk
from ...backends.onnx_gradient import (
    NoGradientError,
    cotangent_name,
    differentiate,
)
from ...core.errors import BackendError, StylectlError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import Features
from ...core.job.choices import Choice
from ...core.planning.backbones import Backbones
from ...plugins.backbones.torchvision.loading import import_torchvision
from ...plugins.manager import load_plugins
from .float64_graphs import run_in_reference

_BUILTIN = ("vgg16", "alexnet", "squeezenet1_1", "resnet50")
#: Least height and width of the image, odd ones, so that windows do not fit; and of a small image,
#: in which less often a rectifier is close to its kink.
_SIDES, _SMALL_SIDES = (97, 115), (35, 41)
#: Largest distance by the rounding of sums; those that were measured are at most 3e-6.
_ROUNDING = 1e-5


def main() -> None:
    """Print the table, of all models or of those that are named."""
    print(
        "| backbone | gradient in ONNX Runtime | its distance from float64 | "
        "the distance in float64 |\n| --- | --- | --- | --- |"
    )
    for model in sys.argv[1:] or ["vgg19", *_models()]:
        name = model if model in ("vgg19", *_BUILTIN) else f"torchvision:{model}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                is_random = model != "vgg19"
                file = Path(folder) / "random.pth"
                backbone = _random(model, file) if is_random else _backbone({"name": model})
                row = _row(backbone)
            except StylectlError as error:
                row = f"none: {error} | "
        print(f"| `{name}` | {row.strip()} |", flush=True)


def _models() -> list[str]:
    models = import_torchvision("torchvision.models")
    others = (name for name in models.list_models(models) if name not in ("vgg19", *_BUILTIN))
    return [*_BUILTIN, *others]


def _backbone(choice: dict[str, str]) -> Backbone:
    return Backbones(load_plugins().registry).get(Choice.model_validate(choice))[0]


def _random(model: str, file: Path) -> Backbone:
    models = import_torchvision("torchvision.models")
    torch.manual_seed(0)
    torch.save(models.get_model(model, weights=None).state_dict(), file)
    choice = {"name": model} if model in _BUILTIN else {"name": "torchvision", "model": model}
    return _backbone({**choice, "weights": str(file)})


def _row(backbone: Backbone) -> str:
    names = {*backbone.default_content_layers, *backbone.default_style_layers}
    layers = [info.name for info in backbone.layers if info.name in names]
    try:
        distance = _distance(backbone, layers, torch.float32, _SIDES)
    except NoGradientError as error:
        return f"by torch: {error} | | "
    row = f"native | {distance:.1e} | "
    if distance <= _ROUNDING:
        return row
    try:
        return f"{row}{_distance(backbone, layers, torch.float64, _SIDES):.1e}"
    except BackendError:  # its weights are too large for a model in float64
        distance = _distance(backbone, layers, torch.float32, _SMALL_SIDES)
        height, width = _SMALL_SIDES
        return f"{row}in float32, {distance:.1e} at {width}x{height} px"


def _distance(
    backbone: Backbone, layers: Sequence[str], dtype: torch.dtype, sides: tuple[int, int]
) -> float:
    """Return the relative L2 distance of the models' gradient, in a type, from the exact one."""
    image, cotangents, exact = _exact(backbone, layers, sides)
    trunk = backbone.trunk(layers).to(dtype)
    models = differentiate(export_trunk(trunk, backbone, layers), on_cpu=True)
    del trunk
    run = run_in_reference if dtype == torch.float64 else _run
    values = {"image": image}
    values |= {cotangent_name(layer): cotangent for layer, cotangent in cotangents.items()}
    for model in (models.forward, models.backward):
        values |= run(model, values)
    return relative_l2(values[cotangent_name("image")], exact)


def _exact(
    backbone: Backbone, layers: Sequence[str], least_sides: tuple[int, int]
) -> tuple[Tensor, Features, Tensor]:
    """Return an image, cotangents, and the image's gradient by torch in float64.

    The image is normalised in float32, as in all models.
    """
    side = backbone.deepest(layers).smallest_side
    generator = torch.Generator().manual_seed(0)
    sides = max(least_sides[0], side + 3), max(least_sides[1], side + 5)
    image = torch.rand(1, 3, *sides, generator=generator)
    leaf = image.clone().requires_grad_()
    features = backbone.trunk(layers).double()(leaf)
    cotangents = {
        layer: torch.randn(features[layer].shape, generator=generator)
        / features[layer].norm().item()
        for layer in layers
    }
    outputs = [features[layer] for layer in layers]
    doubles = [cotangents[layer].double() for layer in layers]
    (gradient,) = torch.autograd.grad(outputs, leaf, doubles)
    return image, cotangents, gradient


def _run(model: onnx.ModelProto, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    session = import_onnxruntime().InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inputs = {value.name: values[value.name].numpy() for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    outputs = zip(names, session.run(names, inputs), strict=True)
    return {name: torch.from_numpy(output) for name, output in outputs}


if __name__ == "__main__":
    main()
