"""Maintainer script: the docs' table of networks that the onnx backend differentiates itself.

    python -m stylectl.tools.maintenance.gradient_table >> docs/backends.md

The weights are random, since only the operators matter. Each network is exported and differentiated
at its default layers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...backends.onnx_export.export import export_trunk
from ...backends.onnx_gradient import NoGradientError, differentiate
from ...core.errors import StylectlError
from ...core.interfaces.backbone import Backbone
from ...core.job.choices import Choice
from ...core.planning.backbones import Backbones
from ...plugins.backbones.torchvision.loading import import_torchvision
from ...plugins.manager import load_plugins

_BUILTIN = ("vgg16", "alexnet", "squeezenet1_1", "resnet50")
_TORCHVISION = (
    *("vgg19_bn", "densenet121", "googlenet", "inception_v3", "mnasnet1_0", "mobilenet_v2"),
    *("mobilenet_v3_large", "efficientnet_b0", "regnet_y_400mf", "resnext50_32x4d"),
    *("shufflenet_v2_x1_0", "wide_resnet50_2", "convnext_tiny", "swin_t"),
)


def main() -> None:
    """Print the table."""
    print("| backbone | gradient in ONNX Runtime |\n| --- | --- |")
    print(f"| `vgg19` | {_gradient(_backbone({'name': 'vgg19'}))} |")
    for model in (*_BUILTIN, *_TORCHVISION):
        name = model if model in _BUILTIN else f"torchvision:{model}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                gradient = _gradient(_random(model, Path(folder) / "random.pth"))
            except StylectlError as error:
                gradient = f"none: {error}"
        print(f"| `{name}` | {gradient} |", flush=True)


def _backbone(choice: dict[str, str]) -> Backbone:
    return Backbones(load_plugins().registry).get(Choice.model_validate(choice))[0]


def _random(model: str, file: Path) -> Backbone:
    import torch

    models = import_torchvision("torchvision.models")
    torch.save(models.get_model(model, weights=None).state_dict(), file)
    choice = {"name": model} if model in _BUILTIN else {"name": "torchvision", "model": model}
    return _backbone({**choice, "weights": str(file)})


def _gradient(backbone: Backbone) -> str:
    names = {*backbone.default_content_layers, *backbone.default_style_layers}
    layers = [info.name for info in backbone.layers if info.name in names]
    model = export_trunk(backbone.trunk(layers), backbone, layers)
    try:
        differentiate(model)
    except NoGradientError as error:
        return f"by torch: {error}"
    return "native"


if __name__ == "__main__":
    main()
