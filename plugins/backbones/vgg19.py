"""VGG-19 (Simonyan and Zisserman 2015), the network of Gatys, Ecker and Bethge (2015)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.interfaces.backbone import Backbone, LayerInfo
from ...core.interfaces.specs import BackboneSpec
from ...core.job.paths import JobPath
from .. import hooks
from .padding import DESCRIPTION, Padding, set_padding
from .preprocessing import CAFFE_MEAN, CAFFE_SCALE, IMAGENET_MEAN, IMAGENET_SCALE
from .vgg19_weights import (
    BLOCKS,
    ORIGINS,
    PUBLISHED,
    PreprocessingName,
    Weights,
    check_preprocessing,
    load_weights,
)
from .weight_files import SUFFIXES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...core.interfaces.trunk import Trunk

_CHANNELS = (64, 128, 256, 512, 512)

#: Mean that is subtracted from an RGB image in [0, 1], and scale that divides it then. The Caffe
#: model was trained on BGR images in 0-255: its first kernels are reordered below, for RGB.
_PREPROCESSING: dict[PreprocessingName, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "caffe": (CAFFE_MEAN, CAFFE_SCALE),
    "torchvision": (IMAGENET_MEAN, IMAGENET_SCALE),
}


class VGG19Options(BaseModel):
    """Options of the backbone `vgg19`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Annotated[str, JobPath(suffixes=SUFFIXES)] = Field(
        default="embedded",
        description="embedded (Oxford, 8-bit codes), torchvision (a download), or a file",
    )
    preprocessing: PreprocessingName | None = Field(
        default=None, description="images that the network expects, for an unknown weights file"
    )
    pooling: Literal["max", "average"] = "max"
    padding: Padding = Field(default="zeros", description=DESCRIPTION)


def _layers() -> Iterable[LayerInfo]:
    stride, field = 1, 1
    for block, (count, channels) in enumerate(zip(BLOCKS, _CHANNELS, strict=True), start=1):
        for number in range(1, count + 1):
            field += 2 * stride
            yield LayerInfo(f"relu{block}_{number}", channels, stride, field)
        field += stride
        stride *= 2


class VGG19(Backbone):
    """Backbone of 16 convolutions with their rectifiers, ``relu1_1`` to ``relu5_4``."""

    name = "vgg19"
    layers = tuple(_layers())
    aliases = {info.name.replace("relu", "conv"): info.name for info in layers}  # noqa: RUF012
    default_content_layers = {"relu4_2": 1.0}  # noqa: RUF012
    #: Each weight is about half the one before it, so that colors and brush strokes count most, and
    #: large motifs, which would replace those of the content, least.
    default_style_layers = {  # noqa: RUF012
        "relu1_1": 0.52,
        "relu2_1": 0.26,
        "relu3_1": 0.13,
        "relu4_1": 0.06,
        "relu5_1": 0.03,
    }

    def __init__(self, options: VGG19Options) -> None:
        check_preprocessing(options.weights, options.preprocessing)
        self._options = options
        self.wraps = options.padding == "circular"
        self.source, self.license = ORIGINS.get(options.weights, ("a file of the user", ""))
        if options.padding == "reflect":  # a map of one pixel has no other to mirror
            self.layers = tuple(
                replace(info, smallest_side=2 * info.stride) for info in VGG19.layers
            )

    @property
    def published(self) -> Mapping[str, str]:
        """See Backbone.published."""
        return PUBLISHED if self._options.weights == "torchvision" else {}

    def trunk(self, layers: Collection[str]) -> Trunk:
        """See Backbone.trunk."""
        from torch import nn

        from ...core.interfaces.trunk import ChainTrunk

        weights = load_weights(self._options.weights, self._options.preprocessing)
        pooling = nn.MaxPool2d(2) if self._options.pooling == "max" else nn.AvgPool2d(2)
        steps = _steps(weights, pooling, layers)
        trunk = ChainTrunk(steps, *_PREPROCESSING[weights.preprocessing])
        set_padding(trunk, self._options.padding)
        return trunk


def _steps(
    weights: Weights, pooling: nn.Module, layers: Collection[str]
) -> Iterable[tuple[str, nn.Module]]:
    """Yield convolutions, rectifiers, and pooling before each block, up to the deepest layer."""
    from torch import nn

    names = [info.name for info in VGG19.layers]
    depth = 1 + max(names.index(layer) for layer in layers)
    for name, (kernel, bias) in zip(names[:depth], weights.convolutions, strict=False):
        if name == "relu1_1" and weights.preprocessing == "caffe":
            kernel = kernel.flip(1)
        elif name.endswith("_1") and name != "relu1_1":
            yield "", pooling
        yield "", _convolution(kernel, bias)
        yield name if name in layers else "", nn.ReLU()


def _convolution(kernel: Tensor, bias: Tensor) -> nn.Conv2d:
    from torch import nn

    outputs, inputs = kernel.shape[:2]
    convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, device="meta")
    convolution.weight = nn.Parameter(kernel, requires_grad=False)
    convolution.bias = nn.Parameter(bias, requires_grad=False)
    return convolution


@hooks.backbones
def backbones() -> Iterable[BackboneSpec[Any]]:
    """Yield the backbone `vgg19`."""
    yield BackboneSpec(
        name="vgg19",
        summary="VGG-19 (Simonyan and Zisserman 2015), weights embedded",
        create=lambda arguments: VGG19(arguments.options),
        options=VGG19Options,
    )
