"""Reasons why values of an ONNX model cannot be layers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .inputs import ImageInput
from .shapes import Shapes, floats
from .subgraphs import uses

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True)
class Reasons:
    """Reasons from the shapes of values for two sizes of the image.

    `fixed` are the shapes for the size that the file states, if it does; `axes` those of the height
    and width of each value that has them.
    """

    image: ImageInput
    small: Shapes
    large: Shapes
    fixed: Shapes | None
    axes: Mapping[str, tuple[int, int]]

    def of_values(self, model: ModelProto, layers: Collection[str]) -> dict[str, str]:
        """Return the reason for each floating-point value that is no layer, by name, in order.

        Only values that depend on the image count.
        """
        computed, origins = {self.image.name}, dict[str, str]()
        reasons = {}
        for node in model.graph.node:
            if not computed & uses(node):
                continue
            computed.update(node.output)
            for name in node.output:
                if not name or name in self.small.other or not self._is_floating(name):
                    continue
                if name not in self.small.known:
                    before = [origins[used] for used in node.input if used in origins]
                    origins[name] = before[0] if before else _operator(node)
                if name not in layers:
                    reasons[name] = self._reason(name, origins.get(name, ""))
        return reasons

    def _is_floating(self, name: str) -> bool:
        return name in self.small.known or self.small.elements.get(name, 0) in (0, *floats())

    def _reason(self, name: str, origin: str) -> str:
        shape, larger = self.small.known.get(name), self.large.known.get(name)
        if shape is None or larger is None:
            if self.fixed and name in self.fixed.known and self.image.fixed:
                height, width = self.image.fixed
                return f"it is computed for images of {width}x{height} px alone: see {origin}"
            return f"its shape is unknown: see {origin}"
        if len(shape) != 4:
            return f"it is {len(shape)}-dimensional, not 4-dimensional"
        if shape == larger:
            return "its size does not grow with the image"
        if name not in self.axes or self.axes[name] not in ((2, 3), (1, 2)):
            return "its dimensions are not (N, C, H, W) or (N, H, W, C)"
        if shape[0] != 1:
            return f"it has {shape[0]} maps for one image"
        return "its height and width do not grow in proportion to the image, or it is too small"


def _operator(node: NodeProto) -> str:
    name = node.name or "".join(node.output[:1])
    return f"{node.op_type} {name!r}"
