"""The gradient rule for padding."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ...backward import BackwardGraph, Rule
from ...forward import Node

#: End of a slice that runs to the end of a value, beyond any position.
_END = 2**31 - 1


def _pad(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Cut off the padding, and add its gradient to the rows that it repeats."""
    mode = node.attributes.get("mode", b"constant").decode()
    if node.active != {0}:
        raise node.unsupported("the value that it pads with depends on the image")
    if mode == "constant" and node.input(1) and node.input(1) not in graph.forward.constants:
        # Widths that depend on the image's size, as those that fill up windows.
        widths = graph.emit("Neg", graph.saved(node.inputs[1]))
        axes = [graph.saved(node.inputs[3])] if node.input(3) else []
        return {0: graph.emit("Pad", gradient, widths, "", *axes)}
    sizes = graph.shape(node.inputs[0])
    for axis, begin, end in _pads(graph, node):
        if mode == "constant":
            gradient = _inside(graph, gradient, begin, end, axis)
            continue
        if min(begin, end) < 0:
            raise node.unsupported(f"it pads by a negative number, in the mode {mode}")
        size = graph.emit("Gather", sizes, graph.integers(axis))
        gradient = _ADJOINTS[mode](graph, gradient, begin, end, size, axis)
    return {0: gradient}


def _pads(graph: BackwardGraph, node: Node) -> list[tuple[int, int, int]]:
    """Return axis, begin and end of every padding that is not zero."""
    rank = len(graph.forward.dimensions(node.inputs[0]))
    if "pads" in node.attributes:  # before opset 11
        pads = np.array(node.attributes["pads"])
    else:
        pads = graph.forward.constant(node.inputs[1], node)
    axes = np.arange(rank)
    if node.input(3):
        axes = graph.forward.constant(node.inputs[3], node) % rank
    rows = zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True)
    return [(int(axis), int(begin), int(end)) for axis, begin, end in rows if begin or end]


def _inside(graph: BackwardGraph, gradient: str, begin: int, end: int, axis: int) -> str:
    """Cut off the padding; add zeros where a negative padding had cut off rows."""
    start, stop = max(begin, 0), -end if end > 0 else _END
    inside = _sliced(graph, gradient, start, stop, axis)
    if min(begin, end) >= 0:
        return inside
    return _between_zeros(graph, inside, graph.integers(max(-begin, 0), max(-end, 0)), axis)


def _reflected(
    graph: BackwardGraph, gradient: str, begin: int, end: int, size: str, axis: int
) -> str:
    """Add the padding's gradient, reversed, to the rows next to the first and to the last."""
    total = _inside(graph, gradient, begin, end, axis)
    one = graph.integers(1)
    if begin:
        head = _sliced(graph, gradient, begin - 1, -_END, axis, step=-1)
        after = graph.emit("Sub", size, graph.integers(begin + 1))
        pads = graph.emit("Concat", one, after, axis=0)
        total = graph.emit("Add", total, _between_zeros(graph, head, pads, axis))
    if end:
        tail = _sliced(graph, gradient, -1, -1 - end, axis, step=-1)
        before = graph.emit("Sub", size, graph.integers(end + 1))
        pads = graph.emit("Concat", before, one, axis=0)
        total = graph.emit("Add", total, _between_zeros(graph, tail, pads, axis))
    return total


def _edges(graph: BackwardGraph, gradient: str, begin: int, end: int, size: str, axis: int) -> str:
    """Add the padding's gradient to the first row and to the last."""
    total = _inside(graph, gradient, begin, end, axis)
    zero, others = graph.integers(0), graph.emit("Sub", size, graph.integers(1))
    for count, start, stop, before_and_after in (
        (begin, 0, begin, (zero, others)),
        (end, -end, _END, (others, zero)),
    ):
        if count:
            part = _sliced(graph, gradient, start, stop, axis)
            row = graph.emit("ReduceSum", part, graph.integers(axis), keepdims=1)
            pads = graph.emit("Concat", *before_and_after, axis=0)
            total = graph.emit("Add", total, _between_zeros(graph, row, pads, axis))
    return total


def _wrapped(
    graph: BackwardGraph, gradient: str, begin: int, end: int, size: str, axis: int
) -> str:
    """Add the padding's gradient to the rows at the opposite end."""
    total = _inside(graph, gradient, begin, end, axis)
    zero = graph.integers(0)
    if begin:
        head = _sliced(graph, gradient, 0, begin, axis)
        before = graph.emit("Sub", size, graph.integers(begin))
        pads = graph.emit("Concat", before, zero, axis=0)
        total = graph.emit("Add", total, _between_zeros(graph, head, pads, axis))
    if end:
        tail = _sliced(graph, gradient, -end, _END, axis)
        after = graph.emit("Sub", size, graph.integers(end))
        pads = graph.emit("Concat", zero, after, axis=0)
        total = graph.emit("Add", total, _between_zeros(graph, tail, pads, axis))
    return total


#: Adjoints of the padding modes that repeat rows of the value.
_ADJOINTS = {"edge": _edges, "reflect": _reflected, "wrap": _wrapped}


def _sliced(
    graph: BackwardGraph, value: str, start: int, stop: int, axis: int, step: int = 1
) -> str:
    bounds = [graph.integers(number) for number in (start, stop, axis, step)]
    return graph.emit("Slice", value, *bounds)


def _between_zeros(graph: BackwardGraph, value: str, pads: str, axis: int) -> str:
    """Surround the value by zeros: `pads` (a vector of two) are their numbers on each side."""
    return graph.emit("Pad", value, pads, "", graph.integers(axis))


RULES: Mapping[str, Rule] = MappingProxyType({"Pad": _pad})
