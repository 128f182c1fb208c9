"""A backward ONNX graph, written node by node by the gradient rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .forward import ForwardGraph, Node

#: Opset of the backward graph's operators, whatever the forward model's is. Those of later opsets
#: are the same.
OPSET = 18
#: IR version of opset 18's release or later, which onnxruntime 1.20 reads.
IR_VERSION = 10

#: Beginning of the names that the differentiation makes, which no value of a forward graph has.
PREFIX = "gradient/"


def cotangent_name(value: str) -> str:
    """Return the name of the backward model's input for the cotangent of a layer.

    That of the forward model's input is the name of the backward model's output.
    """
    return f"{PREFIX}at/{value}"


class BackwardGraph:
    """A backward graph under construction: the gradient rules add its nodes.

    Values are identified by their names. A rule may use any value of the forward graph, by `saved`:
    constants are copied, anything else becomes an output of the forward model and an input of the
    backward one. With `on_cpu`, the graph is for ONNX Runtime's CPU provider, which has some
    operators that others lack. The names that it makes begin with `prefix`. A rule may raise
    `opset`, that of the graph's operators.
    """

    def __init__(self, forward: ForwardGraph, *, on_cpu: bool, prefix: str = PREFIX) -> None:
        self.forward = forward
        self.on_cpu = on_cpu
        self.opset = OPSET
        self._prefix = prefix
        self._nodes: list[onnx.NodeProto] = []
        self._first: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._saved: dict[str, None] = {}
        self._shapes: dict[str, str] = {}
        self._count = 0

    def emit(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        return self.emit_many(operator, inputs, 1, **attributes)[0]

    def emit_late(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node that runs only when it is needed, and return its output's name.

        Its inputs are saved values, constants, and outputs of other such nodes.

        ONNX Runtime walks back from the result and, of a node's inputs, follows the one whose node
        is last in the file. It would reach a mask behind the gradient's own nodes before them: all
        masks would be computed at the start, and held. So these nodes are first in the file.
        """
        name = self.fresh_name(operator)
        self._first.append(helper.make_node(operator, list(inputs), [name], name, **attributes))
        return name

    def emit_many(
        self, operator: str, inputs: Iterable[str], outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node with several outputs, and return their names.

        Attributes that are None are left out.
        """
        names = tuple(self.fresh_name(operator) for _ in range(outputs))
        present = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(helper.make_node(operator, list(inputs), names, names[0], **present))
        return names

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        """Add a constant, and return its name."""
        name = self.fresh_name("constant")
        self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def integers(self, *values: int) -> str:
        """Add a vector of int64, such as a shape, axes or positions, and return its name."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, number: float, like: str) -> str:
        """Add a number with the element type of `like`, a value of the forward graph."""
        element = self.forward.type(like).element
        return self.constant(np.array(number, helper.tensor_dtype_to_np_dtype(element)))

    def saved(self, value: str) -> str:
        """Make a value of the forward graph available, and return its name, which is unchanged."""
        if value in self.forward.constants:
            array = self.forward.constants[value]
            self._constants[value] = numpy_helper.from_array(array, value)
        else:
            self._saved[value] = None
        return value

    def is_saved(self, value: str) -> bool:
        """Return whether the value is one of the forward graph that is kept for this graph."""
        return value in self._saved

    def shape(self, value: str) -> str:
        """Return the name of the shape of a value of the forward graph, a vector of int64.

        The value itself is not kept for this, but only if a rule saves it.
        """
        dimensions = self.forward.type(value).dimensions
        if dimensions is not None and all(isinstance(size, int) for size in dimensions):
            return self.integers(*(size for size in dimensions if isinstance(size, int)))
        return self._shapes.setdefault(value, self.fresh_name("shape"))

    def finish_branch(self) -> tuple[Sequence[onnx.NodeProto], Sequence[onnx.TensorProto]]:
        """Return the nodes and constants of a graph that follows on the forward graph's nodes."""
        shape_nodes = [
            helper.make_node("Shape", [value], [name], name) for value, name in self._shapes.items()
        ]
        nodes = (*shape_nodes, *self._first, *self._nodes)
        return nodes, tuple(self._constants.values())

    def finish(self, result: str) -> Finished:
        """Return the backward graph that ends in `result`, and the values that it requires."""
        inputs = {*self._saved, *self.forward.layers, self.forward.image}
        backward = {value: name for value, name in self._shapes.items() if value in inputs}
        forward = {value: name for value, name in self._shapes.items() if value not in inputs}
        shape_nodes = [
            helper.make_node("Shape", [value], [name], name) for value, name in backward.items()
        ]
        name = cotangent_name(self.forward.image)
        last = helper.make_node("Identity", [result], [name], "result")
        return Finished(
            nodes=(*shape_nodes, *self._first, *self._nodes, last),
            constants=tuple(self._constants.values()),
            saved=tuple(dict.fromkeys((*self._saved, *backward))),
            shapes=forward,
        )

    def fresh_name(self, word: str) -> str:
        """Return a new name that contains the word."""
        self._count += 1
        return f"{self._prefix}{word}_{self._count}"


@dataclass(frozen=True)
class Finished:
    """The nodes and constants of a backward graph, and the forward graph's values that they use.

    `saved` are these values; `shapes` are those of which only the shape is used, each with its
    shape's name.
    """

    nodes: tuple[onnx.NodeProto, ...]
    constants: tuple[onnx.TensorProto, ...]
    saved: tuple[str, ...]
    shapes: Mapping[str, str]


#: Function that adds the nodes of a node's vjp: from the gradient at the node's first output to the
#: gradients at its inputs, by position, for the active inputs at least. Raises NoGradientError for
#: a node that it does not support.
Rule = Callable[[BackwardGraph, Node, str], Mapping[int, str]]

#: The same for an operator of several outputs: the gradients at all of them, or "" where there is
#: none.
RuleOfSeveralOutputs = Callable[[BackwardGraph, Node, Sequence[str]], Mapping[int, str]]
