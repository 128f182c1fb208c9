"""Backbones from torchvision's classification models."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from ...core.interfaces.backbone import Backbone
from ...core.interfaces.specs import BackboneArguments, BackboneSpec
from .. import hooks
from .torchvision.options import AnyModelOptions, TorchvisionOptions

_SUMMARIES = {
    "vgg16": "VGG-16 (Simonyan and Zisserman 2015), torchvision's weights",
    "alexnet": "AlexNet (Krizhevsky 2014), torchvision's weights: fast, coarse",
    "squeezenet1_1": "SqueezeNet 1.1 (Iandola et al. 2016), torchvision's weights: 5 MB",
    "resnet50": "ResNet-50 (He et al. 2016), torchvision's weights",
}


def _named(model: str, arguments: BackboneArguments[TorchvisionOptions]) -> Backbone:
    from .torchvision.models import TorchvisionBackbone

    return TorchvisionBackbone(model, model, arguments.options)


def _any_model(arguments: BackboneArguments[AnyModelOptions]) -> Backbone:
    from .torchvision.models import TorchvisionBackbone

    options = arguments.options
    return TorchvisionBackbone(options.model, f"torchvision:{options.model}", options)


@hooks.backbones
def backbones() -> Iterable[BackboneSpec[Any]]:
    """Yield the backbones `vgg16`, `alexnet`, `squeezenet1_1`, `resnet50` and `torchvision`."""
    for model, summary in _SUMMARIES.items():
        yield BackboneSpec(
            name=model, summary=summary, create=partial(_named, model), options=TorchvisionOptions
        )
    yield BackboneSpec(
        name="torchvision",
        summary="any classification model of torchvision: torchvision:densenet121",
        create=_any_model,
        options=AnyModelOptions,
    )
