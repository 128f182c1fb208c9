"""The rule for padding."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from .backward import BackwardGraph, Rule
from .forward import Node

#: Further than any value reaches, for a slice that goes on to the end.
_END = 2**31 - 1


def _pad(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """What was padded is cut off; what it repeated gets its share back."""
    mode = node.attributes.get("mode", b"constant").decode()
    if node.active != {0}:
        raise node.refuse("what it pads with depends on the image")
    sizes = graph.shape(node.inputs[0])
    for axis, begin, end in _pads(graph, node):
        if mode == "constant":
            gradient = _inside(graph, gradient, begin, end, axis)
            continue
        if min(begin, end) < 0:
            raise node.refuse(f"it pads by a negative number, in the mode {mode}")
        size = graph.emit("Gather", sizes, graph.integers(axis))
        gradient = _GIVEN_BACK[mode](graph, gradient, begin, end, size, axis)
    return {0: gradient}


def _pads(graph: BackwardGraph, node: Node) -> list[tuple[int, int, int]]:
    """Axis, begin and end, where there is something to do."""
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
    """The gradient without its padding; zeros for what a negative number cut off."""
    start, stop = max(begin, 0), -end if end > 0 else _END
    inside = _sliced(graph, gradient, start, stop, axis)
    if min(begin, end) >= 0:
        return inside
    return _placed(graph, inside, graph.integers(max(-begin, 0), max(-end, 0)), axis)


def _reflected(
    graph: BackwardGraph, gradient: str, begin: int, end: int, size: str, axis: int
) -> str:
    """The padding, turned over, belongs to the rows next to the first and to the last."""
    whole = _inside(graph, gradient, begin, end, axis)
    one = graph.integers(1)
    if begin:
        head = _sliced(graph, gradient, begin - 1, -_END, axis, step=-1)
        after = graph.emit("Sub", size, graph.integers(begin + 1))
        pads = graph.emit("Concat", one, after, axis=0)
        whole = graph.emit("Add", whole, _placed(graph, head, pads, axis))
    if end:
        tail = _sliced(graph, gradient, -1, -1 - end, axis, step=-1)
        before = graph.emit("Sub", size, graph.integers(end + 1))
        pads = graph.emit("Concat", before, one, axis=0)
        whole = graph.emit("Add", whole, _placed(graph, tail, pads, axis))
    return whole


def _edges(graph: BackwardGraph, gradient: str, begin: int, end: int, size: str, axis: int) -> str:
    """The padding belongs to the first row and to the last."""
    whole = _inside(graph, gradient, begin, end, axis)
    none, others = graph.integers(0), graph.emit("Sub", size, graph.integers(1))
    for rows, start, stop, around in (
        (begin, 0, begin, (none, others)),
        (end, -end, _END, (others, none)),
    ):
        if rows:
            part = _sliced(graph, gradient, start, stop, axis)
            total = graph.emit("ReduceSum", part, graph.integers(axis), keepdims=1)
            pads = graph.emit("Concat", *around, axis=0)
            whole = graph.emit("Add", whole, _placed(graph, total, pads, axis))
    return whole


def _wrapped(
    graph: BackwardGraph, gradient: str, begin: int, end: int, size: str, axis: int
) -> str:
    """The padding belongs to the rows at the opposite end."""
    whole = _inside(graph, gradient, begin, end, axis)
    none = graph.integers(0)
    if begin:
        head = _sliced(graph, gradient, 0, begin, axis)
        before = graph.emit("Sub", size, graph.integers(begin))
        pads = graph.emit("Concat", before, none, axis=0)
        whole = graph.emit("Add", whole, _placed(graph, head, pads, axis))
    if end:
        tail = _sliced(graph, gradient, -end, _END, axis)
        after = graph.emit("Sub", size, graph.integers(end))
        pads = graph.emit("Concat", none, after, axis=0)
        whole = graph.emit("Add", whole, _placed(graph, tail, pads, axis))
    return whole


#: By mode, of those that repeat what is there.
_GIVEN_BACK = {"edge": _edges, "reflect": _reflected, "wrap": _wrapped}


def _sliced(
    graph: BackwardGraph, value: str, start: int, stop: int, axis: int, step: int = 1
) -> str:
    bounds = [graph.integers(each) for each in (start, stop, axis, step)]
    return graph.emit("Slice", value, *bounds)


def _placed(graph: BackwardGraph, value: str, pads: str, axis: int) -> str:
    """The value between zeros, as many before and after it as `pads` (a vector of two) says."""
    return graph.emit("Pad", value, pads, "", graph.integers(axis))


RULES: Mapping[str, Rule] = MappingProxyType({"Pad": _pad})
