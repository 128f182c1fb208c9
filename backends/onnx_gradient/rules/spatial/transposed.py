"""The gradient rule for transposed convolution."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...backward import BackwardGraph, Rule
from ...forward import Node
from .convolution import crop


def _conv_transpose(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Apply the convolution of the same kernel, of which the operator is the adjoint."""
    if node.active != {0}:
        raise node.unsupported("its kernel depends on the image")
    kernel = graph.forward.dimensions(node.inputs[1])[2:]
    spatial = len(kernel)
    sizes = [size for size in kernel if isinstance(size, int)]
    if len(sizes) < spatial:
        raise node.unsupported("the size of its kernel is unknown")
    ones = [1] * spatial
    strides = list(node.attributes.get("strides", ones))
    dilations = list(node.attributes.get("dilations", ones))
    convolved = graph.emit(
        "Conv",
        gradient,
        graph.saved(node.inputs[1]),
        pads=_pads(graph, node, sizes, strides, dilations),
        strides=strides,
        dilations=dilations,
        group=node.attributes.get("group", 1),
        kernel_shape=sizes,
    )
    # An output padding of a stride or more leaves room for one more position.
    return {0: crop(graph, convolved, graph.shape(node.inputs[0]), spatial)}


def _pads(
    graph: BackwardGraph, node: Node, kernel: list[int], strides: list[int], dilations: list[int]
) -> list[int]:
    """Return the pads at the axes' beginnings, then at their ends, also those that are implied."""
    spatial = len(kernel)
    automatic = node.attributes.get("auto_pad", b"NOTSET")
    shape = node.attributes.get("output_shape")
    if automatic == b"VALID":
        return [0] * 2 * spatial
    if automatic == b"NOTSET" and shape is None:
        return list(node.attributes.get("pads", [0] * 2 * spatial))
    outer = node.attributes.get("output_padding", [0] * spatial)
    begins, ends = [], []
    for axis in range(spatial):
        # The output without pads, beyond one stride for each position.
        total = outer[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - strides[axis]
        if shape is not None:
            size = graph.forward.dimensions(node.inputs[0])[2 + axis]
            if not isinstance(size, int):
                raise node.unsupported("its output has a fixed shape")
            total += size * strides[axis] - shape[len(shape) - spatial + axis]
        if total < 0:
            raise node.unsupported("its pads are negative")
        half = total // 2
        begin = half if automatic == b"SAME_UPPER" else total - half
        begins.append(begin)
        ends.append(total - begin)
    return begins + ends


RULES: Mapping[str, Rule] = MappingProxyType({"ConvTranspose": _conv_transpose})
