"""A forward ONNX graph, read once: nodes, constants, types, and what depends on the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .errors import NoGradientError

#: A size, the name of a size that is known when the graph runs, or None.
Dimension = int | str | None

_FLOATS = frozenset(
    (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
    )
)


@dataclass(frozen=True)
class ValueType:
    """Element type (onnx.TensorProto.FLOAT and the like) and dimensions of a value."""

    element: int
    dimensions: tuple[Dimension, ...] | None

    @property
    def floating(self) -> bool:
        """Whether the value can have a gradient."""
        return self.element in _FLOATS


@dataclass(frozen=True)
class Node:
    """An operator's call. `active` are the positions of the inputs that depend on the image;
    an optional input that is left out is "" or beyond the end."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    active: frozenset[int]

    def input(self, position: int) -> str:
        """The name of an input, "" for one that is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def refuse(self, reason: str) -> NoGradientError:
        """The error that says why this node cannot be differentiated."""
        return NoGradientError(f"no gradient of {self.operator} (node {self.name!r}): {reason}")


class ForwardGraph:
    """An ONNX model with one input, the image, and a layer for each output."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Raises NoGradientError for a graph with more inputs, or one whose types are unknown."""
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.constants = dict(_constants(graph))
        inputs = [each.name for each in graph.input if each.name not in self.constants]
        if len(inputs) != 1:
            raise NoGradientError(
                f"no gradient of a graph with {len(inputs)} inputs, one is needed"
            )
        (self.image,) = inputs
        self.layers = tuple(each.name for each in graph.output)
        self._types = dict(_types(graph))
        self.nodes = tuple(self._read(graph))
        self._producers = {value: node for node in self.nodes for value in node.outputs}

    def type(self, value: str) -> ValueType:
        """Raises NoGradientError where the type of a value cannot be told."""
        if value not in self._types:
            raise NoGradientError(f"no gradient through {value!r}: its type is unknown")
        return self._types[value]

    def dimensions(self, value: str) -> tuple[Dimension, ...]:
        """Raises NoGradientError where not even the number of dimensions is known."""
        found = self.type(value).dimensions
        if found is None:
            raise NoGradientError(f"no gradient through {value!r}: its rank is unknown")
        return found

    def constant(self, value: str, node: Node) -> np.ndarray[Any, Any]:
        """The value of a node's input that the file must give. Raises NoGradientError."""
        if value not in self.constants:
            raise node.refuse(f"{value!r} is not a constant")
        return self.constants[value]

    def is_pooled_rectifier(self, value: str) -> bool:
        """Whether the value is a rectifier's output that is used by one max pooling alone."""
        producer = self._producers.get(value)
        users = [node.operator for node in self.nodes if value in node.inputs]
        rectified = producer is not None and producer.operator == "Relu"
        return rectified and users == ["MaxPool"] and value not in self.layers

    def _read(self, graph: onnx.GraphProto) -> Iterator[Node]:
        active = {self.image}
        for each in graph.node:
            depends = frozenset(at for at, value in enumerate(each.input) if value in active)
            if depends:
                # A value of integers (a shape, an index) is flat: no gradient passes through it.
                active.update(
                    value
                    for value in each.output
                    if value not in self._types or self._types[value].floating
                )
            own_domain = each.domain in ("", "ai.onnx")
            yield Node(
                each.op_type if own_domain else f"{each.domain}::{each.op_type}",
                each.name or "".join(each.output[:1]),
                tuple(each.input),
                tuple(each.output),
                {a.name: helper.get_attribute_value(a) for a in each.attribute},
                depends,
            )


def _constants(graph: onnx.GraphProto) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for tensor in graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            yield node.output[0], numpy_helper.to_array(node.attribute[0].t)


def _types(graph: onnx.GraphProto) -> Iterator[tuple[str, ValueType]]:
    described: Iterable[onnx.ValueInfoProto] = [*graph.input, *graph.value_info, *graph.output]
    for value in described:
        tensor = value.type.tensor_type
        dimensions = None
        if tensor.HasField("shape"):
            dimensions = tuple(
                each.dim_value if each.HasField("dim_value") else each.dim_param or None
                for each in tensor.shape.dim
            )
        yield value.name, ValueType(tensor.elem_type, dimensions)
    for constant in graph.initializer:
        yield constant.name, ValueType(constant.data_type, tuple(constant.dims))
