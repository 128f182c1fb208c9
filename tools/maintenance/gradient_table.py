"""Maintainer script: the docs' table of networks that the onnx backend differentiates itself.

    python -m stylectl.tools.maintenance.gradient_table [MODEL ...] >> docs/backends.md

The weights are random, since only the operators matter. Each network is exported and differentiated
at its default layers. The gradient of an image, for random cotangents at these layers, is computed
by the two models in ONNX Runtime, and compared with torch.autograd in float64.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...backends.accuracy.distances import relative_l2
from ...backends.accuracy.exact import ExactBackend
from ...backends.offline import import_onnxruntime
from ...backends.onnx_export.export import export_trunk
from ...backends.onnx_gradient import (
    GradientModels,
    NoGradientError,
    cotangent_name,
    differentiate,
)
from ...core.errors import StylectlError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import Features
from ...core.job.choices import Choice
from ...core.planning.backbones import Backbones
from ...plugins.backbones.torchvision.loading import import_torchvision
from ...plugins.manager import load_plugins

_BUILTIN = ("vgg16", "alexnet", "squeezenet1_1", "resnet50")
#: Least sides of the image, odd ones, so that windows do not fit.
_HEIGHT, _WIDTH = 97, 115


def main() -> None:
    """Print the table, of all models or of those that are named."""
    print("| backbone | gradient in ONNX Runtime | distance from float64 |\n| --- | --- | --- |")
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
        print(f"| `{name}` | {row} |", flush=True)


def _models() -> list[str]:
    models = import_torchvision("torchvision.models")
    return [*_BUILTIN, *(name for name in models.list_models(models) if name not in _BUILTIN)]


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
    model = export_trunk(backbone.trunk(layers), backbone, layers)
    try:
        models = differentiate(model, on_cpu=True)
    except NoGradientError as error:
        return f"by torch: {error} | "
    return f"native | {_distance(backbone, models, layers):.1e}"


def _distance(backbone: Backbone, models: GradientModels, layers: Sequence[str]) -> float:
    """Return the relative L2 distance of the two models' gradient from that in float64."""
    side = backbone.deepest(layers).smallest_side
    generator = torch.Generator().manual_seed(0)
    sides = max(_HEIGHT, side + 3), max(_WIDTH, side + 5)
    image = torch.rand(1, 3, *sides, generator=generator)
    features, pullback = ExactBackend(backbone, layers).vjp(image)
    cotangents = {
        layer: torch.randn(feature.shape, generator=generator) / feature.norm().item()
        for layer, feature in features.items()
    }
    return relative_l2(_gradient(models, image, cotangents), pullback(cotangents))


def _gradient(models: GradientModels, image: Tensor, cotangents: Features) -> Tensor:
    values = {"image": image}
    values |= {cotangent_name(layer): cotangent for layer, cotangent in cotangents.items()}
    for model in (models.forward, models.backward):
        values |= _run(model.SerializeToString(), values)
    return values[cotangent_name("image")]


def _run(serialized: bytes, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    session = import_onnxruntime().InferenceSession(serialized, providers=["CPUExecutionProvider"])
    inputs = {value.name: values[value.name].numpy() for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    outputs = zip(names, session.run(names, inputs), strict=True)
    return {name: torch.from_numpy(output) for name, output in outputs}


if __name__ == "__main__":
    main()
