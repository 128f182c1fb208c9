"""A backward ONNX graph, written node by node, and the models that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .forward import ForwardGraph, Node

#: Operators are written as this opset has them, whatever the forward model's is.
OPSET = 18


class BackwardGraph:
    """What the rules write to. Values of the backward graph are known by their names.

    Rules may use any value of the forward graph, by `saved`: constants are copied, anything else
    becomes an output of the forward model and an input of the backward one. `on_cpu` says that
    ONNX Runtime's kernels for the CPU run the graph, which has some that others lack.
    """

    def __init__(self, forward: ForwardGraph, *, on_cpu: bool) -> None:
        self.forward = forward
        self.on_cpu = on_cpu
        self._nodes: list[onnx.NodeProto] = []
        self._first: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._saved: dict[str, None] = {}
        self._shapes: dict[str, str] = {}
        self._count = 0

    def emit(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output and gives that output's name."""
        return self.emit_many(operator, inputs, 1, **attributes)[0]

    def emit_late(self, operator: str, saved: str, **attributes: Any) -> str:
        """Adds a node that depends on a saved value alone, to run only when it is needed.

        ONNX Runtime walks back from the result and, of a node's inputs, follows the one whose node
        stands last in the file. A mask that stood behind the gradient's own nodes would be walked
        to before them: all masks would be made at the start, and held. So they stand in front.
        """
        name = self._fresh(operator)
        self._first.append(helper.make_node(operator, [saved], [name], name, **attributes))
        return name

    def emit_many(
        self, operator: str, inputs: Iterable[str], outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        """Adds a node with several outputs. Attributes that are None are left out."""
        names = tuple(self._fresh(operator) for _ in range(outputs))
        given = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(helper.make_node(operator, list(inputs), names, names[0], **given))
        return names

    def constant(self, value: np.ndarray[Any, Any]) -> str:
        """Adds a constant."""
        name = self._fresh("constant")
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, *values: int) -> str:
        """Adds a vector of int64: a shape, axes, positions."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, number: float, like: str) -> str:
        """Adds a number of the element type that a value of the forward graph has."""
        element = self.forward.type(like).element
        return self.constant(np.array(number, helper.tensor_dtype_to_np_dtype(element)))

    def saved(self, value: str) -> str:
        """A value of the forward graph, by its own name."""
        if value in self.forward.constants:
            known = self.forward.constants[value]
            self._constants[value] = numpy_helper.from_array(known, value)
        else:
            self._saved[value] = None
        return value

    def is_saved(self, value: str) -> bool:
        """Whether it is a value of the forward graph that is kept."""
        return value in self._saved

    def shape(self, value: str) -> str:
        """The shape of a value of the forward graph, as a vector of int64.

        The value itself is not kept for it, unless it is anyway.
        """
        dimensions = self.forward.type(value).dimensions
        if dimensions is not None and all(isinstance(each, int) for each in dimensions):
            return self.integers(*(each for each in dimensions if isinstance(each, int)))
        return self._shapes.setdefault(value, self._fresh("shape"))

    def finish(self, result: str) -> Finished:
        """The backward graph that ends in the value `result`, and what it needs."""
        at_hand = {*self._saved, *self.forward.layers, self.forward.image}
        here = {value: name for value, name in self._shapes.items() if value in at_hand}
        there = {value: name for value, name in self._shapes.items() if value not in at_hand}
        first = [helper.make_node("Shape", [value], [name], name) for value, name in here.items()]
        last = helper.make_node("Identity", [result], [f"d_{self.forward.image}"], "result")
        return Finished(
            nodes=(*first, *self._first, *self._nodes, last),
            constants=tuple(self._constants.values()),
            saved=tuple(dict.fromkeys((*self._saved, *here))),
            shapes=there,
        )

    def _fresh(self, word: str) -> str:
        self._count += 1
        return f"gradient/{word}_{self._count}"


@dataclass(frozen=True)
class Finished:
    """`saved` are values of the forward graph that the backward nodes use, `shapes` those (with
    the shape's name) of which only the shape is used."""

    nodes: tuple[onnx.NodeProto, ...]
    constants: tuple[onnx.TensorProto, ...]
    saved: tuple[str, ...]
    shapes: Mapping[str, str]


#: Writes the gradient of a node. Gets the gradient at its first output; gives those at the inputs
#: by position, for the active ones at least. Raises NoGradientError for what it cannot do.
Rule = Callable[[BackwardGraph, Node, str], Mapping[int, str]]
