"""A forward ONNX graph, read once: nodes, constants, types, dependence on the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ..onnx_shapes import inferred_graph
from .constants import constants
from .errors import NoGradientError
from .subgraphs import captured

#: A size; the name of a size that is known only when the graph runs; or None.
Dimension = int | str | None

_FLOATS = frozenset(
    (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
    )
)


#: Operators whose outputs are integers in place of the numbers of their inputs.
_QUANTIZING = frozenset({"DynamicQuantizeLinear", "QuantizeLinear"})


@dataclass(frozen=True)
class ValueType:
    """Element type (onnx.TensorProto.FLOAT and the like) and dimensions of a value."""

    element: int
    dimensions: tuple[Dimension, ...] | None

    @property
    def floating(self) -> bool:
        """True if the value can have a gradient."""
        return self.element in _FLOATS


@dataclass(frozen=True)
class Node:
    """A node: one call of an operator.

    `active` are the positions of the inputs that depend on the image, `captured` the values that
    the node's subgraphs (the branches of an If) use and that depend on it. An optional input that
    is left out is "" or beyond the end of `inputs`.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    active: frozenset[int]
    captured: frozenset[str] = frozenset()

    def input(self, position: int) -> str:
        """Return the name of an input, or "" for one that is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def unsupported(self, reason: str) -> NoGradientError:
        """Return the error that states why this node cannot be differentiated."""
        return NoGradientError(f"no gradient of {self.operator} (node {self.name!r}): {reason}")


class ForwardGraph:
    """An ONNX model with one input, the image, and a layer for each output.

    A graph of several inputs is read as a function of some of them; the others are plain values.
    """

    def __init__(self, model: onnx.ModelProto, by: Sequence[str] = ()) -> None:
        """Read the graph as a function of the inputs `by`, which may be left out if it has one.

        Raises NoGradientError if they are left out, and the graph has no or several inputs.
        """
        graph = model.graph
        inferred = inferred_graph(model)
        self.opset = max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
            default=1,
        )
        self.constants = constants(model, inferred)
        inputs = [value.name for value in graph.input if value.name not in self.constants]
        if not by and len(inputs) != 1:
            raise NoGradientError(
                f"no gradient of a graph with {len(inputs)} inputs; it must have one"
            )
        self.inputs: tuple[str, ...] = tuple(by or inputs)
        self.layers = tuple(value.name for value in graph.output)
        self._types = dict(_types(graph, inferred))
        self.nodes = tuple(self._read(graph))
        self._producers = {value: node for node in self.nodes for value in node.outputs}
        self._users: dict[str, list[str]] = {}
        for node, proto in zip(self.nodes, graph.node, strict=True):
            for value in {*node.inputs, *captured(proto)}:
                self._users.setdefault(value, []).append(node.operator)

    @property
    def image(self) -> str:
        """The first input."""
        return self.inputs[0]

    def type(self, value: str) -> ValueType:
        """Return the type of a value. Raises NoGradientError if it is unknown."""
        if value not in self._types:
            raise NoGradientError(f"no gradient through {value!r}: its type is unknown")
        return self._types[value]

    def dimensions(self, value: str) -> tuple[Dimension, ...]:
        """Return the dimensions of a value. Raises NoGradientError if their number is unknown."""
        dimensions = self.type(value).dimensions
        if dimensions is None:
            raise NoGradientError(f"no gradient through {value!r}: its rank is unknown")
        return dimensions

    def constant(self, value: str, node: Node) -> np.ndarray[Any, Any]:
        """Return an input of a node that must be constant. Raises NoGradientError if it is not."""
        if value not in self.constants:
            raise node.unsupported(f"{value!r} is not a constant")
        return self.constants[value]

    def is_pooled_rectifier(self, value: str) -> bool:
        """Return whether the value is a rectifier's output that one max pooling alone uses."""
        producer = self._producers.get(value)
        rectified = producer is not None and producer.operator == "Relu"
        return rectified and self._users.get(value) == ["MaxPool"] and value not in self.layers

    def _read(self, graph: onnx.GraphProto) -> Iterator[Node]:
        active, quantized = {*self.inputs}, set[str]()
        for node in graph.node:
            positions = frozenset(
                position for position, value in enumerate(node.input) if value in active
            )
            in_subgraphs = frozenset(captured(node) & active)
            if positions or in_subgraphs:
                # No gradient passes through a value of integers (a shape, an index); one that
                # stands for numbers of the image is active, so that its readers are refused.
                if node.op_type in _QUANTIZING or quantized & {*node.input, *in_subgraphs}:
                    quantized.update(node.output)
                active.update(
                    value
                    for value in node.output
                    if value not in self._types or self._types[value].floating or value in quantized
                )
            standard = node.domain in ("", "ai.onnx")
            yield Node(
                node.op_type if standard else f"{node.domain}::{node.op_type}",
                node.name or "".join(node.output[:1]),
                tuple(node.input),
                tuple(node.output),
                {
                    attribute.name: helper.get_attribute_value(attribute)
                    for attribute in node.attribute
                },
                positions,
                in_subgraphs,
            )


def _types(graph: onnx.GraphProto, inferred: onnx.GraphProto) -> Iterator[tuple[str, ValueType]]:
    for value in (*graph.input, *inferred.value_info, *inferred.output):
        tensor = value.type.tensor_type
        dimensions = None
        if tensor.HasField("shape"):
            dimensions = tuple(
                size.dim_value if size.HasField("dim_value") else size.dim_param or None
                for size in tensor.shape.dim
            )
        yield value.name, ValueType(tensor.elem_type, dimensions)
    for constant in graph.initializer:
        yield constant.name, ValueType(constant.data_type, tuple(constant.dims))
