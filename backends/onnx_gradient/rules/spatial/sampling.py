"""The gradient rule for sampling an image at the points of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType

import numpy as np
import onnx

from ...backward import BackwardGraph, Rule
from ...forward import Node

#: Names of the cubic mode since opset 20 and before.
_CUBIC = ("cubic", "bicubic")
#: Weights of the cubic mode by distance, below one pixel and above, from the power 3 down to 0.
_INNER, _OUTER = (1.25, -2.25, 0.0, 1.0), (-0.75, 3.75, -6.0, 3.0)


def _grid_sample(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Add the gradient of each point to the pixels around it, with the weights of the sampling."""
    if node.active != {0}:
        raise node.unsupported("its grid depends on the image")
    value = node.inputs[0]
    if len(graph.forward.dimensions(value)) != 4:
        raise node.unsupported("it is not of images")
    sizes, grid = graph.shape(value), graph.saved(node.inputs[1])
    batch, channels, height, width = (
        graph.emit("Gather", sizes, graph.integers(axis)) for axis in range(4)
    )

    def taps(coordinate: int, size: str) -> list[tuple[str, str]]:
        points = graph.emit("Gather", grid, graph.constant(np.array(coordinate)), axis=-1)
        points = graph.emit("Reshape", points, graph.integers(0, 1, -1))
        return list(_Axis(graph, node, graph.emit("CastLike", size, grid)).taps(points))

    # (N, C, points) into (N, C, pixels)
    sources = graph.emit("Reshape", gradient, graph.integers(0, 0, -1))
    area = graph.emit("Mul", height, width)
    zero = onnx.helper.make_tensor("zero", graph.forward.type(value).element, [1], [0])
    total = graph.emit(
        "ConstantOfShape", graph.emit("Concat", batch, channels, area, axis=0), value=zero
    )
    for (row, high), (column, wide) in product(taps(1, height), taps(0, width)):
        pixels = graph.emit("Add", graph.emit("Mul", row, width), column)
        weight = graph.emit("CastLike", graph.emit("Mul", high, wide), gradient)
        total = graph.emit(
            "ScatterElements",
            total,
            graph.emit("Expand", pixels, graph.emit("Shape", sources)),
            graph.emit("Mul", sources, weight),
            axis=2,
            reduction="add",
        )
    return {0: graph.emit("Reshape", total, sizes)}


class _Axis:
    """The pixels around points along one axis of `size` pixels, for points in [-1, 1]."""

    def __init__(self, graph: BackwardGraph, node: Node, size: str) -> None:
        self._graph, self._like, self._size = graph, node.inputs[1], size
        self._last = graph.emit("Sub", size, self._number(1))
        self._mode = node.attributes.get("mode", b"linear").decode()
        self._padding = node.attributes.get("padding_mode", b"zeros").decode()
        self._aligned = bool(node.attributes.get("align_corners", 0))

    def taps(self, points: str) -> Iterator[tuple[str, str]]:
        """Yield the positions (int64) and weights of the pixels that the points are read from."""
        graph, cubic = self._graph, self._mode in _CUBIC
        place = self._place(points)
        place = place if cubic else self._inside(place)
        if self._mode == "nearest":
            yield self._tap(graph.emit("Round", place), self._number(1))
            return
        floor = graph.emit("Floor", place)
        rest = graph.emit("Sub", place, floor)
        complement = graph.emit("Sub", self._number(1), rest)
        if not cubic:
            yield self._tap(floor, complement)
            yield self._tap(graph.emit("Add", floor, self._number(1)), rest)
            return
        for offset, distance, outer in (
            (-1, graph.emit("Add", rest, self._number(1)), True),
            (0, rest, False),
            (1, complement, False),
            (2, graph.emit("Add", complement, self._number(1)), True),
        ):
            position = graph.emit("Add", floor, self._number(offset))
            factors = _OUTER if outer else _INNER
            yield self._tap(self._inside(position), self._polynomial(distance, factors))

    def _place(self, points: str) -> str:
        """Return the points in pixels: from -1 and 1 at the centres or at the edges of the ends."""
        graph, shifted = self._graph, self._graph.emit("Add", points, self._number(1))
        if self._aligned:
            scaled = graph.emit("Mul", shifted, self._last)
        else:
            scaled = graph.emit("Sub", graph.emit("Mul", shifted, self._size), self._number(1))
        return graph.emit("Mul", scaled, self._number(0.5))

    def _inside(self, place: str) -> str:
        """Return positions moved inside, as the padding mode does it."""
        graph = self._graph
        if self._padding == "zeros":
            return place
        if self._padding == "reflection":
            low = self._number(0 if self._aligned else -0.5)
            span = self._last if self._aligned else self._size
            span = graph.emit("Max", span, self._number(1))
            distance = graph.emit("Abs", graph.emit("Sub", place, low))
            turns = graph.emit("Floor", graph.emit("Div", distance, span))
            rest = graph.emit("Sub", distance, graph.emit("Mul", turns, span))
            odd = graph.emit("Mod", turns, self._number(2), fmod=1)
            odd = graph.emit("Greater", odd, self._number(0.5))
            rest = graph.emit("Where", odd, graph.emit("Sub", span, rest), rest)
            place = graph.emit("Add", rest, low)
        return self._clipped(place)

    def _tap(self, position: str, weight: str) -> tuple[str, str]:
        """Return the position as an index, with the weight zero for one outside."""
        graph, clipped = self._graph, self._clipped(position)
        inside = graph.emit("Equal", position, clipped)
        weight = graph.emit("Where", inside, weight, self._number(0))
        return graph.emit("Cast", clipped, to=onnx.TensorProto.INT64), weight

    def _clipped(self, position: str) -> str:
        below = self._graph.emit("Min", position, self._last)
        return self._graph.emit("Max", below, self._number(0))

    def _polynomial(self, value: str, factors: Sequence[float]) -> str:
        total = self._number(factors[0])
        for factor in factors[1:]:
            product = self._graph.emit("Mul", total, value)
            total = self._graph.emit("Add", product, self._number(factor))
        return total

    def _number(self, value: float) -> str:
        return self._graph.scalar(value, like=self._like)


RULES: Mapping[str, Rule] = MappingProxyType({"GridSample": _grid_sample})
