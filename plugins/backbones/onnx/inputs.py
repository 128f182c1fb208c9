"""The input of an ONNX model: one RGB image, in either order of dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....core.errors import WeightsError

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True)
class ImageInput:
    """Name, element type (onnx.TensorProto.FLOAT and the like) and layout of a model's input.

    `channels_last` is true for (N, H, W, 3). `fixed` are the height and width that the file states,
    if it states both.
    """

    name: str
    element: int
    channels_last: bool
    fixed: tuple[int, int] | None = None

    def dimensions(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of one image of this size."""
        return (1, height, width, 3) if self.channels_last else (1, 3, height, width)


def image_inputs(model: ModelProto, source: str) -> tuple[ImageInput, ...]:
    """Return the model's input, in each layout that it may have: two where the file states none.

    Raises WeightsError for a model with another input than one RGB image in float32 or float16.
    """
    import onnx

    # ONNX Runtime has no convolutions in float64.
    elements = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    layouts: list[ImageInput] = []
    if len(inputs) == 1 and inputs[0].type.tensor_type.elem_type in elements:
        tensor = inputs[0].type.tensor_type
        sizes = [dim.dim_value for dim in tensor.shape.dim]
        for channels, rows, other in ((1, 2, 3), (3, 1, 1)):
            if len(sizes) == 4 and (sizes[channels] or 3) == 3 and sizes[other] != 1:
                height, width = sizes[rows : rows + 2]
                fixed = (height, width) if height and width else None
                layouts.append(ImageInput(inputs[0].name, tensor.elem_type, channels == 3, fixed))
        stated = [layout for layout in layouts if sizes[3 if layout.channels_last else 1] == 3]
        layouts = stated or layouts
    if not layouts:
        raise WeightsError(
            f"{source}: should have one input, an image (N, 3, H, W) or (N, H, W, 3) in float32 or "
            f"float16, not {_described(inputs)}"
        )
    return tuple(layouts)


def _described(inputs: list[ValueInfoProto]) -> str:
    import onnx

    if len(inputs) != 1:
        return f"{len(inputs)} inputs"
    tensor = inputs[0].type.tensor_type
    sizes = [str(dim.dim_value or dim.dim_param or "?") for dim in tensor.shape.dim]
    return f"({', '.join(sizes)}) of {onnx.TensorProto.DataType.Name(tensor.elem_type)}"
