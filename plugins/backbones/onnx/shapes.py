"""Shapes of an ONNX model's values for images of given sizes, inferred node by node.

onnx infers the shapes of one node. What it lacks is the arithmetic between nodes: the shape of a
value may be computed from the sizes of others, and small arrays are computed here for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....core.errors import WeightsError
from .inputs import ImageInput
from .small_values import LARGEST, Array, computed, constant_value, is_small

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TypeProto

Shape = tuple[int, ...]

#: Operators between sizes and the shapes, slices, pads and factors that they lead to.
_ARITHMETIC = frozenset(
    {"Abs", "Add", "And", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Expand"}
    | {"Flatten", "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual"}
    | {"Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Range", "ReduceMax", "ReduceMin"}
    | {"ReduceProd", "ReduceSum", "Reshape", "Round", "ScatterElements", "ScatterND", "Slice"}
    | {"Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where"}
)


@dataclass(frozen=True)
class Shapes:
    """Shapes of a model's values, by name, as far as they are known, for an image of one size.

    `known` are those of floating-point values, `other` those of integers and truth values.
    `elements` are the element types of all values (onnx.TensorProto.FLOAT and the like).
    """

    known: Mapping[str, Shape]
    other: Mapping[str, Shape]
    elements: Mapping[str, int]


class ShapeInference:
    """Inference of shapes for images of several sizes."""

    def __init__(self, model: ModelProto, image: ImageInput) -> None:
        import onnx

        self._model, self._image = model, image
        versions = {entry.domain: entry.version for entry in model.opset_import}
        self._opset = max(versions.get("", 1), versions.get("ai.onnx", 1))
        self._types = {
            tensor.name: onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
            for tensor in model.graph.initializer
        }

    def shapes(self, size: tuple[int, int], batch: int = 1) -> Shapes:
        """Return the shapes for images of this height and width."""
        import onnx

        types, arrays = dict(self._types), dict(_small_constants(self._model))
        types[self._image.name] = onnx.helper.make_tensor_type_proto(
            self._image.element, (batch, *self._image.dimensions(*size)[1:])
        )
        for node in self._model.graph.node:
            types.update(self._outputs(node, types, arrays))
            arrays.update(self._arrays(node, types, arrays))
        known, other, elements = dict[str, Shape](), dict[str, Shape](), dict[str, int]()
        for name, inferred in types.items():
            tensor = inferred.tensor_type
            elements[name] = tensor.elem_type
            if (shape := _known_shape(inferred)) is not None:
                (known if tensor.elem_type in floats() else other)[name] = shape
        return Shapes(known, other, elements)

    def _outputs(
        self, node: NodeProto, types: Mapping[str, TypeProto], arrays: Mapping[str, Array]
    ) -> dict[str, TypeProto]:
        """Return the types of a node's outputs; nothing where onnx cannot infer them."""
        import onnx

        try:
            schema = onnx.defs.get_schema(node.op_type, self._opset, "")
            outputs = dict(
                onnx.shape_inference.infer_node_outputs(
                    schema,
                    node,
                    {name: types[name] for name in node.input if name in types},
                    {
                        name: onnx.numpy_helper.from_array(arrays[name], name)
                        for name in node.input
                        if name in arrays
                    },
                    opset_imports=list(self._model.opset_import),
                    ir_version=self._model.ir_version,
                )
            )
        except Exception:  # of an input of unknown type, or settings that do not fit each other
            return {}
        if node.op_type == "Reshape":  # onnx believes the shape that a node states
            shapes = [_known_shape(types[node.input[0]]), _known_shape(outputs[node.output[0]])]
            counts = {np.prod(shape, dtype=float) for shape in shapes if shape is not None}
            return outputs if len(counts) < 2 else {}
        return outputs

    def _arrays(
        self, node: NodeProto, types: Mapping[str, TypeProto], arrays: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the arrays that a node computes from known ones, if they are small."""
        if node.op_type in ("Shape", "Size"):
            shape = _known_shape(types[node.input[0]]) if node.input[0] in types else None
            if shape is None:
                return {}
            limits = {entry.name: entry.i for entry in node.attribute}
            part = shape[limits.get("start", 0) : limits.get("end", len(shape))]
            size = np.array(np.prod(shape, dtype=np.int64))
            return {node.output[0]: size if node.op_type == "Size" else np.array(part, np.int64)}
        shapes = [_known_shape(types[name]) for name in node.output if name in types]
        is_small = len(shapes) == len(node.output) and all(
            shape is not None and np.prod(shape, dtype=float) <= LARGEST for shape in shapes
        )
        inputs = {name: arrays[name] for name in node.input if name in arrays}
        if not is_small or node.op_type not in _ARITHMETIC or {*node.input} - {"", *inputs}:
            return {}
        return computed(node, inputs, self._model)


def tables(model: ModelProto, source: str) -> dict[str, list[int]]:
    """Return small integer constants, such as the widths of paddings, by name.

    Raises WeightsError for a constant that cannot be read.
    """
    try:
        return {
            name: array.flatten().tolist()
            for name, array in _small_constants(model)
            if array.dtype == np.int64
        }
    except (ValueError, TypeError) as error:  # fewer numbers than the shape has
        raise WeightsError(f"{source}: damaged, a constant cannot be read ({error})") from None


def _small_constants(model: ModelProto) -> Iterator[tuple[str, Array]]:
    import onnx

    for tensor in model.graph.initializer:
        if is_small(tensor):
            yield tensor.name, onnx.numpy_helper.to_array(tensor)
    for node in model.graph.node:
        if (value := constant_value(node)) is not None:
            yield node.output[0], value


def _known_shape(inferred: TypeProto) -> Shape | None:
    tensor = inferred.tensor_type
    if not tensor.HasField("shape"):
        return None
    dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    return tuple(dims) if all(length >= 0 for length in dims) else None


def floats() -> tuple[int, ...]:
    """Return the element types of floating-point numbers."""
    import onnx

    kinds = onnx.TensorProto
    return (kinds.FLOAT, kinds.DOUBLE, kinds.FLOAT16, kinds.BFLOAT16)
