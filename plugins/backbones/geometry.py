"""Geometry of a network's layers in the image: strides, receptive fields, smallest images.

A network is a graph of nodes, from torch.fx or ONNX alike. Everything is computed from the sizes of
its windows, for each direction by itself, without running the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

#: Two sizes of an image, whose comparison shows which dimensions change with the size: height and
#: width differ, and most windows fit a whole number of times.
SIZES = ((224, 288), (256, 320))

#: No known network needs a larger image for its deepest layer.
_LARGEST_SIDE = 512


@dataclass(frozen=True)
class Window:
    """Window of a convolution or pooling along one direction; the default is a point.

    `before` and `after` are the padding at either end. With `ceil`, a last window that is not
    full counts if it begins inside the input, as in torch. `least` is the shortest input that the
    operation supports. With `around`, the padding is copied from the opposite end.
    """

    kernel: int = 1
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil: bool = False
    least: int = 1
    around: bool = False

    @property
    def wraps(self) -> bool:
        """True if an input of a whole number of strides is treated as a ring.

        There is one position for each stride, and beyond an end only the opposite end is seen.
        """
        rest = self.before + self.after - self.dilation * (self.kernel - 1)
        return -self.stride < rest <= 0 and (self.around or self.before == self.after == 0)

    def outputs(self, side: int) -> int:
        """Number of positions for an input of length `side`; 0 if the input is too short."""
        if side < self.least:
            return 0
        room = side + self.before + self.after - self.dilation * (self.kernel - 1) - 1
        if not self.ceil:
            return room // self.stride + 1 if room >= 0 else 0
        count = -(-room // self.stride) + 1
        begins_outside = (count - 1) * self.stride >= side + self.before
        return max(0, count - 1 if begins_outside else count)


@dataclass(frozen=True)
class Arrangement:
    """Positions of a map along one direction, by the length of the image.

    They are `stride` pixels apart. Borders may take away or add some of them: `offset` pixels.
    """

    stride: Fraction
    offset: Fraction = Fraction(0)

    def outputs(self, side: int) -> int:
        """Number of positions for an image of length `side`; 0 if it is too short."""
        return max(0, math.floor((side + self.offset) / self.stride))


@dataclass(frozen=True)
class Node:
    """Operation of a network: its `inputs`, by name, and its windows, vertical and horizontal.

    Without `windows` it has no positions (global pooling, a matrix product): the nodes that read it
    see the whole image. With `whole`, it has positions, which count as seeing the whole image,
    since what they see is unknown (attention, normalisation over the image). With `arranged`, its
    positions are arranged anew (resizing, shifts); they count as seeing the whole image.
    """

    inputs: tuple[str, ...]
    windows: tuple[Window, Window] | None = (Window(), Window())
    whole: bool = False
    arranged: tuple[Arrangement, Arrangement] | None = None

    @property
    def wraps(self) -> bool:
        """True if rolled inputs give an output that is rolled likewise, or the same output."""
        if self.windows is None:
            return True
        if self.whole or self.arranged:
            return False
        return all(window.wraps for window in self.windows)


@dataclass(frozen=True)
class Geometry:
    """Geometry of a layer in image pixels, the larger of both directions; see `LayerInfo`."""

    stride: int
    receptive_field: int | None
    smallest_side: int
    exact_stride: Fraction | None = None


@dataclass(frozen=True)
class _Span:
    """Part of the image that position p sees: from p * stride + low to p * stride + high.

    With `whole`, it sees the whole image.
    """

    stride: Fraction
    low: Fraction
    high: Fraction
    whole: bool = False


def spatial_dimensions(
    small: tuple[int, ...], large: tuple[int, ...] | None
) -> tuple[int, int] | None:
    """Indices of the two dimensions that changed with the image's size; None if not exactly two.

    `small` and `large` are a value's shapes for two sizes of the image.
    """
    if large is None or len(small) != len(large):
        return None
    changed = [index for index, (a, b) in enumerate(zip(small, large, strict=True)) if a != b]
    return (changed[0], changed[1]) if len(changed) == 2 else None


def geometries(nodes: Mapping[str, Node], image: str) -> dict[str, Geometry]:
    """Compute the geometry of every node that has positions and depends on the node `image`.

    `nodes` are in order of evaluation and do not include the image. Nodes that need an image of
    more than 512 pixels to have a position are left out.
    """
    vertical, horizontal = (_spans(nodes, image, direction) for direction in (0, 1))
    sides = _smallest_sides(nodes, image)
    return {
        name: Geometry(
            stride=math.ceil(stride := max(span.stride, horizontal[name].stride)),
            receptive_field=None
            if span.whole or horizontal[name].whole
            else 1
            + math.ceil(max(span.high - span.low, horizontal[name].high - horizontal[name].low)),
            smallest_side=sides[name],
            exact_stride=None if stride.denominator == 1 else stride,
        )
        for name, span in vertical.items()
        if name in sides
    }


def _spans(nodes: Mapping[str, Node], image: str, direction: int) -> dict[str, _Span]:
    start = Fraction(0)
    spans = {image: _Span(Fraction(1), start, start)}
    pooled: set[str] = set()  # nodes without positions that depend on the image
    for name, node in nodes.items():
        inputs = [spans[source] for source in node.inputs if source in spans]
        sees_whole = node.whole or any(source in pooled for source in node.inputs)
        if node.arranged and (inputs or sees_whole):
            spans[name] = _Span(node.arranged[direction].stride, start, start, whole=True)
            continue
        if node.windows is None or not inputs:
            if inputs or sees_whole:
                pooled.add(name)
            continue
        span, window = _joined(inputs), node.windows[direction]
        spans[name] = _Span(
            stride=span.stride * window.stride,
            low=span.low - window.before * span.stride,
            high=span.high + (window.dilation * (window.kernel - 1) - window.before) * span.stride,
            whole=span.whole or sees_whole,
        )
    del spans[image]
    return spans


def _joined(spans: Iterable[_Span]) -> _Span:
    spans = list(spans)
    return _Span(
        stride=max(span.stride for span in spans),
        low=min(span.low for span in spans),
        high=max(span.high for span in spans),
        whole=any(span.whole for span in spans) or len({span.stride for span in spans}) > 1,
    )


def _smallest_sides(nodes: Mapping[str, Node], image: str) -> dict[str, int]:
    """Side of the smallest square image for which a node has a position in both directions."""
    names = {name for name, node in nodes.items() if node.windows is not None}
    sides: dict[str, int] = {}
    for side in range(1, _LARGEST_SIDE + 1):
        vertical, horizontal = (_positions(nodes, image, side, direction) for direction in (0, 1))
        for name in names - sides.keys():
            if vertical.get(name) and horizontal.get(name):
                sides[name] = side
        if not names - sides.keys():
            break
    return sides


def _positions(nodes: Mapping[str, Node], image: str, side: int, direction: int) -> dict[str, int]:
    """Number of each node's positions for an image of this side; 0 if it is too small."""
    counts = {image: side}
    for name, node in nodes.items():
        sides = {counts[source] for source in node.inputs if source in counts}
        if 0 in sides:
            counts[name] = 0
        elif node.arranged:
            counts[name] = node.arranged[direction].outputs(side)
        elif not sides or node.windows is None:
            continue
        elif len(sides) > 1:
            counts[name] = 0
        else:
            counts[name] = node.windows[direction].outputs(sides.pop())
    return counts
