"""Chains of plain steps as ONNX models, written node by node.

torch.onnx.export takes seconds, most of them to load and to trace; a chain of convolutions,
rectifiers and pooling, such as VGG-19, needs no tracing. Chains with other steps are exported by
torch.onnx.export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from ...core.interfaces.trunk import ChainTrunk, Trunk

#: torch's names of the padding modes that repeat values -> ONNX's names.
_PADDING = {"replicate": "edge", "reflect": "reflect", "circular": "wrap"}
_IR_VERSION = 10


def chain_model(
    trunk: Trunk, layers: Sequence[str], image: str, opset: int
) -> onnx.ModelProto | None:
    """Return the model of a trunk up to `layers`, or None if it is not a chain of plain steps.

    The model has the input `image` (batch, 3, height, width), and a float32 output for each layer.
    """
    if type(trunk) is not ChainTrunk:  # a subclass may compute something else
        return None
    steps = trunk.upto(layers)
    if not all(_is_plain(step) for _, step in steps):
        return None
    graph = _Graph(_element(trunk))
    x, reduction = _normalized(graph, trunk, image), 1
    outputs = {}
    for name, step in steps:
        is_layer = name in layers
        x = graph.step(step, x, name if is_layer and graph.is_single else "")
        if isinstance(step, nn.MaxPool2d | nn.AvgPool2d):
            reduction *= _side(step)
        if is_layer:
            if not graph.is_single:
                graph.add("Cast", [x], output=name, to=TensorProto.FLOAT)
            outputs[name] = (graph.channels, reduction)
    layer_infos = [
        helper.make_tensor_value_info(
            name,
            TensorProto.FLOAT,
            [
                "batch",
                outputs[name][0],
                *(_symbolic_size(side, outputs[name][1]) for side in _SIDES),
            ],
        )
        for name in layers
    ]
    model_graph = helper.make_graph(
        graph.nodes,
        "main_graph",
        [helper.make_tensor_value_info(image, TensorProto.FLOAT, ["batch", 3, *_SIDES])],
        layer_infos,
        graph.initializers,
    )
    return helper.make_model(
        model_graph,
        producer_name="stylectl",
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=_IR_VERSION,
    )


_SIDES = ("height", "width")


def _symbolic_size(side: str, reduction: int) -> str:
    return side if reduction == 1 else f"({side}//{reduction})"


def _is_plain(step: nn.Module) -> bool:
    """Return whether the step keeps a map's size, or divides it by a whole number."""
    if type(step).__module__.split(".")[0] != "torch":  # a subclass may compute something else
        return False
    match step:
        case nn.ReLU():
            return True
        case nn.Conv2d(padding=tuple(padding)):
            window = zip(padding, step.kernel_size, step.dilation, strict=True)
            keeps_size = all(2 * pad == dilation * (side - 1) for pad, side, dilation in window)
            return keeps_size and step.stride == (1, 1)
        case nn.MaxPool2d():
            plain = (step.padding, step.dilation, step.ceil_mode) == (0, 1, False)
            return plain and isinstance(step.stride, int) and step.stride == step.kernel_size
        case nn.AvgPool2d():
            plain = (step.padding, step.ceil_mode, step.divisor_override) == (0, False, None)
            return plain and isinstance(step.stride, int) and step.stride == step.kernel_size
    return False


def _side(pooling: nn.MaxPool2d | nn.AvgPool2d) -> int:
    assert isinstance(pooling.kernel_size, int)
    return pooling.kernel_size


def _normalized(graph: _Graph, trunk: ChainTrunk, image: str) -> str:
    x = graph.add("Sub", [image, graph.constant("mean", trunk.mean)])
    x = graph.add("Div", [x, graph.constant("scale", trunk.scale)])
    return x if graph.is_single else graph.add("Cast", [x], to=graph.element)


def _element(trunk: Trunk) -> int:
    """Return the type of the trunk's weights in ONNX, float32 if it has none."""
    dtype = next((weight.dtype for weight in trunk.parameters()), torch.float32)
    others = {torch.float16: TensorProto.FLOAT16, torch.float64: TensorProto.DOUBLE}
    return others.get(dtype, TensorProto.FLOAT)


@dataclass
class _Graph:
    """A model's nodes and constants, as they are added; `channels` is the last step's number.

    `element` is the type of the weights (onnx.TensorProto.FLOAT and the like).
    """

    element: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    channels: int = 3

    @property
    def is_single(self) -> bool:
        """True if the weights are float32, as the image and the layers are."""
        return self.element == TensorProto.FLOAT

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its output: `output`, or a new one."""
        name = output or f".{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operator, inputs, [name], name.lstrip("."), **attributes)
        )
        return name

    def constant(self, name: str, values: Tensor | Sequence[float]) -> str:
        """Add an initializer, and return its name; plain numbers are one for each channel."""
        if isinstance(values, Tensor):
            array = values.detach().contiguous().cpu().numpy()
        else:
            array = np.array(values, np.float32).reshape(1, -1, 1, 1)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def step(self, step: nn.Module, x: str, output: str) -> str:
        """Add the nodes of a step that `_is_plain`, and return the name of its output."""
        match step:
            case nn.Conv2d(padding=tuple(padding)):
                self.channels = step.out_channels
                return self._convolution(step, padding, x, output)
            case nn.MaxPool2d() | nn.AvgPool2d():
                window = [_side(step)] * 2
                operator = "MaxPool" if isinstance(step, nn.MaxPool2d) else "AveragePool"
                return self.add(operator, [x], output, kernel_shape=window, strides=window)
        return self.add("Relu", [x], output)

    def _convolution(
        self, convolution: nn.Conv2d, padding: tuple[int, ...], x: str, output: str
    ) -> str:
        name, pads = f"convolution_{len(self.nodes)}", [*padding, *padding]
        if convolution.padding_mode != "zeros":
            frame = np.array([0, 0, *padding, 0, 0, *padding], np.int64)
            self.initializers.append(numpy_helper.from_array(frame, f"{name}.frame"))
            x = self.add("Pad", [x, f"{name}.frame"], mode=_PADDING[convolution.padding_mode])
            pads = [0] * 4
        weights = [self.constant(f"{name}.weight", convolution.weight)]
        if convolution.bias is not None:
            weights.append(self.constant(f"{name}.bias", convolution.bias))
        return self.add(
            "Conv",
            [x, *weights],
            output,
            kernel_shape=list(convolution.kernel_size),
            pads=pads,
            dilations=list(convolution.dilation),
            group=convolution.groups,
        )
