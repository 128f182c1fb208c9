"""Shapes of an ONNX model's values for images of given sizes, inferred without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....core.errors import WeightsError
from ....core.shown import one_line
from .inputs import ImageInput

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto, ValueInfoProto

Shape = tuple[int, ...]

#: Most numbers of a constant from which shapes are inferred; larger ones are weights.
_LARGEST_TABLE = 256


@dataclass(frozen=True)
class Shapes:
    """Shapes of the floating-point values of a model, by name, for an image of one size.

    Those that are not known completely are left out. `other` are the values of other types.
    """

    known: Mapping[str, Shape]
    other: frozenset[str]


class ShapeInference:
    """Inference of shapes, from a copy of a model without its large weights."""

    def __init__(self, model: ModelProto, image: ImageInput, source: str) -> None:
        self._slim, self._image, self._source = without_weights(model), image, source

    def shapes(self, size: tuple[int, int]) -> Shapes:
        """Return the shapes for one image of this height and width.

        Raises WeightsError when they cannot be inferred.
        """
        import onnx

        for graph_input in self._slim.graph.input:
            if graph_input.name == self._image.name:
                shape = graph_input.type.tensor_type.shape
                del shape.dim[:]
                for length in self._image.dimensions(*size):
                    shape.dim.add().dim_value = length
        try:
            inferred = onnx.shape_inference.infer_shapes(self._slim, data_prop=True)
        except Exception as error:  # the C++ code's errors have no common base
            line = one_line(str(error), 120)
            raise WeightsError(f"{self._source}: its shapes cannot be inferred ({line})") from None
        known, other = dict[str, Shape](), set[str]()
        for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
            if not _is_floating(value):
                other.add(value.name)
            elif value.type.tensor_type.HasField("shape"):
                dims = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
                if all(length > 0 for length in dims):
                    known[value.name] = dims
        return Shapes(known, frozenset(other))


def without_weights(model: ModelProto) -> ModelProto:
    """Copy a model for shape inference: large weights become inputs, stated shapes are dropped."""
    import onnx

    slim = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    slim.graph.name = "shapes"
    slim.graph.node.extend(model.graph.node)
    slim.graph.input.extend(model.graph.input)
    inputs = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if is_table(tensor):
            slim.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            slim.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    for output in model.graph.output:
        slim.graph.output.append(onnx.ValueInfoProto(name=output.name))
    return slim


def is_table(tensor: TensorProto) -> bool:
    """Return whether a constant is small enough to be one of shapes, pads or factors."""
    count = 1
    for size in tensor.dims:
        count *= size
    return count <= _LARGEST_TABLE and not tensor.external_data


def tables(model: ModelProto, source: str) -> dict[str, list[int]]:
    """Return small integer constants, such as the widths of paddings, by name.

    Raises WeightsError for a constant that cannot be read.
    """
    import onnx

    constants = {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    constants |= {tensor.name: tensor for tensor in model.graph.initializer}
    try:
        return {
            name: onnx.numpy_helper.to_array(tensor).flatten().tolist()
            for name, tensor in constants.items()
            if tensor.data_type == onnx.TensorProto.INT64 and is_table(tensor)
        }
    except (ValueError, TypeError) as error:  # fewer numbers than the shape has
        raise WeightsError(f"{source}: damaged, a constant cannot be read ({error})") from None


def _is_floating(value: ValueInfoProto) -> bool:
    import onnx

    floats = (
        *(onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE),
        *(onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16),
    )
    return value.type.tensor_type.elem_type in floats
