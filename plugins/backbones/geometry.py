"""What a layer's positions are in the image: strides, receptive fields, smallest images.

A network is given as a graph of nodes, whatever made it (torch.fx, ONNX); all is computed from the
sizes of its windows, for each direction by itself, without running anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Two sizes of an image, to see what changes with it: height and width differ, and most windows
#: fit a whole number of times.
SIZES = ((224, 288), (256, 320))

#: No known network needs a larger image for its deepest layer.
_LARGEST_SIDE = 512


@dataclass(frozen=True)
class Window:
    """How a convolution or pooling moves along one direction; the default is a point.

    `before` and `after` are the padding at either end. With `ceil`, a last window that is not
    full counts if it begins inside the input, as in torch. `least` is the shortest input that the
    operation takes. `around` says that the padding is what lies at the opposite end.
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
        """Whether it takes an input of so many strides, and no rest, as a ring: one position for
        each stride, and nothing seen beyond the ends but what lies at the opposite ones."""
        rest = self.before + self.after - self.dilation * (self.kernel - 1)
        return -self.stride < rest <= 0 and (self.around or self.before == self.after == 0)

    def outputs(self, side: int) -> int:
        """The number of positions of an input of so many; 0 where there is none."""
        if side < self.least:
            return 0
        room = side + self.before + self.after - self.dilation * (self.kernel - 1) - 1
        if not self.ceil:
            return room // self.stride + 1 if room >= 0 else 0
        count = -(-room // self.stride) + 1
        begins_outside = (count - 1) * self.stride >= side + self.before
        return max(0, count - 1 if begins_outside else count)


@dataclass(frozen=True)
class Node:
    """An operation: the names of the nodes that it reads, and its windows, vertical and horizontal.

    Without `windows` it has no positions (global pooling, a matrix product): whoever reads it
    sees the whole image. `whole` says the same of an operation whose positions are known, but not
    what they see: attention, normalisation over the image.
    """

    inputs: tuple[str, ...]
    windows: tuple[Window, Window] | None = (Window(), Window())
    whole: bool = False

    @property
    def wraps(self) -> bool:
        """Whether what it gives is rolled around as its inputs are, or stays the same."""
        if self.windows is None:
            return True
        return not self.whole and all(window.wraps for window in self.windows)


@dataclass(frozen=True)
class Geometry:
    """Of a layer, in image pixels, the larger of both directions; see `LayerInfo`."""

    stride: int
    receptive_field: int | None
    smallest_side: int


@dataclass(frozen=True)
class _Span:
    """Position p sees the image from p * stride + low to p * stride + high."""

    stride: int
    low: int
    high: int
    whole: bool = False


def spatial_dimensions(
    small: tuple[int, ...], large: tuple[int, ...] | None
) -> tuple[int, int] | None:
    """Which two dimensions of a shape changed with the image's size; None if not just two did."""
    if large is None or len(small) != len(large):
        return None
    changed = [at for at, (a, b) in enumerate(zip(small, large, strict=True)) if a != b]
    return (changed[0], changed[1]) if len(changed) == 2 else None


def geometries(nodes: Mapping[str, Node], image: str) -> dict[str, Geometry]:
    """Of every node that has positions and comes, by way of any others, from the node `image`.

    `nodes` are in order of evaluation and do not include the image. Left out is also what no image
    of up to 512 pixels leaves a position.
    """
    vertical, horizontal = (_spans(nodes, image, direction) for direction in (0, 1))
    sides = _smallest_sides(nodes, image)
    return {
        name: Geometry(
            stride=max(span.stride, horizontal[name].stride),
            receptive_field=None
            if span.whole or horizontal[name].whole
            else 1 + max(span.high - span.low, horizontal[name].high - horizontal[name].low),
            smallest_side=sides[name],
        )
        for name, span in vertical.items()
        if name in sides
    }


def _spans(nodes: Mapping[str, Node], image: str, direction: int) -> dict[str, _Span]:
    spans = {image: _Span(1, 0, 0)}
    pooled: set[str] = set()  # comes from the image and has no positions
    for name, node in nodes.items():
        reads = [spans[each] for each in node.inputs if each in spans]
        sees_whole = node.whole or any(each in pooled for each in node.inputs)
        if node.windows is None or not reads:
            if reads or sees_whole:
                pooled.add(name)
            continue
        seen, window = _joined(reads), node.windows[direction]
        spans[name] = _Span(
            stride=seen.stride * window.stride,
            low=seen.low - window.before * seen.stride,
            high=seen.high + (window.dilation * (window.kernel - 1) - window.before) * seen.stride,
            whole=seen.whole or sees_whole,
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
    """The side of the smallest square that leaves a node a position in both directions."""
    wanted = {name for name, node in nodes.items() if node.windows is not None}
    found: dict[str, int] = {}
    for side in range(1, _LARGEST_SIDE + 1):
        vertical, horizontal = (_positions(nodes, image, side, direction) for direction in (0, 1))
        for name in wanted - found.keys():
            if vertical.get(name) and horizontal.get(name):
                found[name] = side
        if not wanted - found.keys():
            break
    return found


def _positions(nodes: Mapping[str, Node], image: str, side: int, direction: int) -> dict[str, int]:
    """How many each node has for an image of this side; 0 where the network cannot get there."""
    counts = {image: side}
    for name, node in nodes.items():
        sides = {counts[each] for each in node.inputs if each in counts}
        if not sides:
            continue
        if len(sides) > 1 or 0 in sides:
            counts[name] = 0
        elif node.windows is not None:
            counts[name] = node.windows[direction].outputs(sides.pop())
    return counts
