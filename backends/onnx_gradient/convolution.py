"""Gradient rules for convolution and for batch normalization, a fixed factor per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from .backward import BackwardGraph, Rule
from .forward import Node

#: Largest number of channels that ONNX Runtime's convolutions for the CPU compute together.
_BLOCK = 16


def _conv(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply the adjoint of a convolution.

    With stride one, it is a convolution with the kernel flipped in space and its channel axes
    swapped. Otherwise it is the transposed convolution, and so for the few channels of an image:
    ONNX Runtime's convolutions for the CPU would compute them in blocks of 16.
    """
    if node.active != {0}:
        raise node.unsupported("its kernel depends on the image")
    weight = graph.forward.constant(node.inputs[1], node)
    kernel = weight.shape[2:]
    ones = [1] * len(kernel)
    group = node.attributes.get("group", 1)
    strides = list(node.attributes.get("strides", ones))
    dilations = list(node.attributes.get("dilations", ones))
    if pads_by_size(node, strides):
        begins = pads_before(graph, node, kernel, strides, dilations)
        adjoint = transposed_within(
            graph,
            gradient,
            graph.constant(weight),
            begins,
            graph.shape(node.inputs[0]),
            strides=strides,
            dilations=dilations,
            group=group,
        )
        return {0: adjoint}
    pads = explicit_pads(node, len(kernel), kernel, dilations)
    reach = [(size - 1) * dilation for size, dilation in zip(kernel, dilations, strict=True)]
    flipped_pads = [extent - pad for extent, pad in zip(reach * 2, pads, strict=True)]
    few = graph.on_cpu and group == 1 and weight.shape[1] < _BLOCK
    if strides == ones and min(flipped_pads) >= 0 and not few:
        flipped = graph.constant(flipped_kernel(weight, group))
        convolved = graph.emit(
            "Conv",
            gradient,
            flipped,
            pads=flipped_pads,
            dilations=dilations,
            group=group,
            kernel_shape=list(kernel),
        )
        return {0: convolved}
    adjoint = transposed(
        graph,
        gradient,
        graph.constant(weight),
        graph.shape(node.inputs[0]),
        pads=pads,
        strides=strides,
        dilations=dilations,
        group=group,
    )
    return {0: adjoint}


def flipped_kernel(weight: np.ndarray[Any, Any], group: int) -> np.ndarray[Any, Any]:
    """Return the kernel with its channel axes swapped, reversed in space.

    (outputs, inputs / group, ...) becomes (inputs, outputs / group, ...).
    """
    outputs, inputs, *kernel = weight.shape
    grouped = weight.reshape(group, outputs // group, inputs, *kernel)
    swapped = grouped.swapaxes(1, 2).reshape(group * inputs, outputs // group, *kernel)
    return np.flip(swapped, axis=tuple(range(2, swapped.ndim)))


def transposed(
    graph: BackwardGraph,
    gradient: str,
    weight: str,
    shape: str,
    *,
    pads: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    group: int = 1,
) -> str:
    """Add the adjoint of a convolution, with an output of a given shape (a vector in the graph).

    A stride leaves up to stride - 1 rows over; how many is known only when the graph runs. All are
    computed, and those beyond the shape are cut off.
    """
    spatial = len(strides)
    output = graph.emit(
        "ConvTranspose",
        gradient,
        weight,
        pads=list(pads),
        strides=list(strides),
        dilations=list(dilations),
        group=group,
        output_padding=[stride - 1 for stride in strides],
    )
    if all(stride == 1 for stride in strides):
        return output
    return crop(graph, output, shape, spatial)


def crop(graph: BackwardGraph, value: str, shape: str, spatial: int) -> str:
    """Cut a value down to the sizes that `shape` has in its last, spatial dimensions."""
    axes = graph.integers(*range(2, 2 + spatial))
    ends = graph.emit("Slice", shape, graph.integers(2), graph.integers(2 + spatial))
    return graph.emit("Slice", value, graph.integers(*[0] * spatial), ends, axes)


def transposed_within(
    graph: BackwardGraph,
    gradient: str,
    weight: str,
    begins: str,
    shape: str,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    group: int = 1,
) -> str:
    """Add the adjoint of a convolution whose padding is known only when the graph runs.

    `begins` are the pads at the axes' beginnings, a vector in the graph. The gradient at the padded
    input is computed, and cut down to the sizes that `shape` has in its last dimensions.
    """
    spatial = len(strides)
    padded = graph.emit(
        "ConvTranspose",
        gradient,
        weight,
        strides=list(strides),
        dilations=list(dilations),
        group=group,
        output_padding=[stride - 1 for stride in strides],
    )
    sizes = graph.emit("Slice", shape, graph.integers(2), graph.integers(2 + spatial))
    axes = graph.integers(*range(2, 2 + spatial))
    return graph.emit("Slice", padded, begins, graph.emit("Add", begins, sizes), axes)


def pads_by_size(node: Node, strides: Sequence[int]) -> bool:
    """Return whether the pads depend on the size: `auto_pad` SAME with a stride."""
    return _is_same(node) and any(stride != 1 for stride in strides)


def pads_before(
    graph: BackwardGraph,
    node: Node,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> str:
    """Return the pads at the axes' beginnings for `auto_pad` SAME, a vector in the graph.

    The output has ceil(size / stride) positions. The padding that they need is divided between both
    ends; an odd one is larger at the end (SAME_UPPER) or at the beginning (SAME_LOWER).
    """
    spatial = len(kernel)
    shape = graph.shape(node.inputs[0])
    sizes = graph.emit("Slice", shape, graph.integers(2), graph.integers(2 + spatial))
    steps = graph.integers(*strides)
    extents = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    steps_less_one = graph.integers(*(stride - 1 for stride in strides))
    last = graph.emit("Div", graph.emit("Add", sizes, steps_less_one), steps)
    last = graph.emit("Mul", graph.emit("Sub", last, graph.integers(1)), steps)
    end = graph.emit("Add", last, graph.integers(*extents))
    total = graph.emit("Max", graph.emit("Sub", end, sizes), graph.integers(0))
    if node.attributes["auto_pad"] == b"SAME_LOWER":
        total = graph.emit("Add", total, graph.integers(1))
    return graph.emit("Div", total, graph.integers(2))


def explicit_pads(
    node: Node, spatial: int, kernel: Sequence[int] = (), dilations: Sequence[int] = ()
) -> list[int]:
    """Return the pads at the axes' beginnings, then at their ends.

    For `auto_pad` SAME, the stride is 1, and `kernel` and `dilations` are given. Raises
    NoGradientError for SAME otherwise.
    """
    if node.attributes.get("auto_pad", b"NOTSET") == b"VALID":
        return [0] * 2 * spatial
    if not _is_same(node):
        return list(node.attributes.get("pads", [0] * 2 * spatial))
    if not kernel:
        raise node.unsupported(f"auto_pad is {node.attributes['auto_pad'].decode()}")
    totals = [(size - 1) * dilation for size, dilation in zip(kernel, dilations, strict=True)]
    upper = node.attributes["auto_pad"] == b"SAME_UPPER"
    begins = [total // 2 if upper else total - total // 2 for total in totals]
    return [*begins, *(total - begin for total, begin in zip(totals, begins, strict=True))]


def _is_same(node: Node) -> bool:
    return node.attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")


def _batch_normalization(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Multiply by the fixed factor of each channel; training mode is not supported."""
    if node.attributes.get("training_mode", 0):
        raise node.unsupported("it is in training mode")
    scale, variance = (graph.forward.constant(node.inputs[position], node) for position in (1, 4))
    deviation = np.sqrt(variance.astype(np.float64) + node.attributes.get("epsilon", 1e-5))
    factor = (scale / deviation).astype(scale.dtype)
    spatial = len(graph.forward.dimensions(node.inputs[0])) - 2
    return {0: graph.emit("Mul", gradient, graph.constant(factor.reshape(-1, *[1] * spatial)))}


RULES: Mapping[str, Rule] = MappingProxyType(
    {"BatchNormalization": _batch_normalization, "Conv": _conv}
)
