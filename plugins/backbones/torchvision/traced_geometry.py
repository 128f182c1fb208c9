"""Windows of torch's operations, as nodes of a network's geometry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import fx, nn

from ..geometry import Node, Window

#: Operations whose output at a position depends on that position alone, as long as the map keeps
#: its size; all other operations count as seeing the whole image.
_POINTWISE_MODULES = (
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.Identity,
    nn.LayerNorm,
    nn.Linear,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Sigmoid,
    nn.Tanh,
)
_POINTWISE = frozenset(
    {"add", "sub", "mul", "truediv", "cat", "dropout", "stochastic_depth", "layer_norm"}
    | {"relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "mish", "hardswish", "tanh"}
    | {"hardsigmoid", "sigmoid", "chunk", "contiguous", "getitem", "permute", "reshape"}
    | {"split", "squeeze", "transpose", "unsqueeze", "view"}
)
#: Names of the positional arguments of max_pool2d and avg_pool2d.
MAX_ARGUMENTS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_AVERAGE_ARGUMENTS = ("kernel_size", "stride", "padding", "ceil_mode")


def node_geometry(node: fx.Node, model: nn.Module, sides: Mapping[str, tuple[int, ...]]) -> Node:
    """Return the geometry node of an operation.

    `sides` are the heights and widths of the values that have them, by name.
    """
    inputs = tuple(source.name for source in node.all_input_nodes)
    if node.name not in sides:
        return Node(inputs, windows=None)
    if windows := _windows(node, model):
        return Node(inputs, windows)
    output_sides = sides[node.name]
    input_sides = next(sides[name] for name in inputs if name in sides)
    if output_sides == input_sides and _is_pointwise(node, model):
        return Node(inputs)
    vertical, horizontal = (
        Window(stride=max(1, round(input_side / output_side)))
        for input_side, output_side in zip(input_sides, output_sides, strict=True)
    )
    return Node(inputs, (vertical, horizontal), whole=True)


def _is_pointwise(node: fx.Node, model: nn.Module) -> bool:
    if node.op == "call_module":
        return isinstance(model.get_submodule(str(node.target)), _POINTWISE_MODULES)
    return operation_name(node) in _POINTWISE


def operation_name(node: fx.Node) -> str:
    """Name of a called function or method."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _windows(node: fx.Node, model: nn.Module) -> tuple[Window, Window] | None:
    """Windows of a convolution or pooling; None for anything else."""
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            return None
        return _pair_of_windows(vars(module))
    for function, names in (("max_pool2d", MAX_ARGUMENTS), ("avg_pool2d", _AVERAGE_ARGUMENTS)):
        if operation_name(node) == function:
            arguments = dict(zip(names, node.args[1:], strict=False))
            return _pair_of_windows({**arguments, **node.kwargs})
    return None


def _pair_of_windows(settings: Mapping[str, Any]) -> tuple[Window, Window]:
    kernel = _pair(settings["kernel_size"])
    stride = _pair(settings.get("stride") or kernel)
    padding = _pair(settings.get("padding", 0))
    dilation = _pair(settings.get("dilation", 1))
    ceil = bool(settings.get("ceil_mode", False))
    mode = settings.get("padding_mode")
    # Reflection needs one pixel more than the padding; a ring can only be padded once around.
    extra = {"reflect": 1, "circular": 0}.get(str(mode))
    least = [1 if extra is None else max(1, pad + extra) for pad in padding]
    around = mode == "circular"
    vertical, horizontal = (
        Window(
            kernel[axis],
            stride[axis],
            padding[axis],
            padding[axis],
            dilation[axis],
            ceil,
            least[axis],
            around,
        )
        for axis in (0, 1)
    )
    return vertical, horizontal


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
