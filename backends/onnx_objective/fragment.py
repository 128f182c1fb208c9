"""A part of an ONNX graph, put together from nodes of several graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclass
class Fragment:
    """Nodes and constants in topological order; a value is identified by its name.

    `label` begins the names that the fragment makes.
    """

    label: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def add(self, graph: onnx.GraphProto, prefix: str = "", names: Mapping[str, str] = {}) -> None:
        """Add the nodes and constants of a graph.

        Values are renamed by `names`, or get the `prefix`. Constants that are there already are the
        same.
        """

        def renamed(name: str) -> str:
            return names.get(name) or (prefix + name if name else "")

        computed = {name for node in self.nodes for name in node.output}
        for node in graph.node:
            self.nodes.append(_renamed(node, renamed))
        for tensor in graph.initializer:
            name = renamed(tensor.name)
            if name not in computed and name not in self.constants:
                copy = self.constants[name] = onnx.TensorProto()
                copy.CopyFrom(tensor)
                copy.name = name

    def add_fragment(self, other: Fragment) -> None:
        """Add the nodes and constants of another fragment, under their names."""
        self.nodes += other.nodes
        self.constants |= other.constants

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        name = f"{self.label}/{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def alias(self, value: str, name: str) -> None:
        """Give a value another name."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name))

    def constant(self, value: float | Sequence[int], element: int) -> str:
        """Add a number, or a vector, of the type `element`, and return its name."""
        name = f"{self.label}/constant_{len(self.constants)}"
        array = np.array(value, helper.tensor_dtype_to_np_dtype(element))
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def total(self, values: Sequence[str]) -> str:
        """Return the name of the sum of at least one value."""
        total = values[0]
        for value in values[1:]:
            total = self.node("Add", total, value)
        return total


def _renamed(node: onnx.NodeProto, renamed: Callable[[str], str]) -> onnx.NodeProto:
    """Return a copy of a node, and of the graphs inside it, with its values renamed."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = renamed(node.name)
    copy.input[:] = [renamed(name) for name in node.input]
    copy.output[:] = [renamed(name) for name in node.output]
    for attribute in copy.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            nodes = [_renamed(inner, renamed) for inner in graph.node]
            del graph.node[:]
            graph.node.extend(nodes)
            for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
                value.name = renamed(value.name)
    return copy
