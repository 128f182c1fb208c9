"""The constants of a graph, among them values that nodes compute from constants alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = np.ndarray[Any, Any]

#: Operators between stored weights and the operator that uses them, such as those of int8 files.
_FOLDED = frozenset(
    {"Add", "Cast", "Concat", "DequantizeLinear", "Div", "Flatten", "Gather", "Identity", "Mul"}
    | {"Neg", "Reciprocal", "Reshape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze"}
)
#: Least opset of DequantizeLinear that onnx's reference implementation has.
_DEQUANTIZING_OPSET = 19
#: Most elements of a computed constant, beside a few for each element that it is computed from.
_ELEMENTS, _GROWTH = 2**20, 4


def constants(model: onnx.ModelProto, inferred: onnx.GraphProto) -> dict[str, Array]:
    """Return the initializers and constants of a model by name; its graph has inferred shapes.

    A value that nodes compute from constants alone is one too, if the operators are among those
    that store weights in another form, and the value is not much larger than the constants.
    """
    graph = model.graph
    stored: dict[str, Array] = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
    }
    sizes = dict(_sizes(inferred))
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type == "Constant":
            value = _constant(node)
            if value is not None:
                stored[node.output[0]] = value
        elif node.op_type in _FOLDED and all(name in stored for name in node.input if name):
            bound = sum(stored[name].size for name in node.input if name) * _GROWTH + _ELEMENTS
            if sizes.get(node.output[0], bound + 1) <= bound:
                stored.update(_computed(node, model, stored))
    return stored


def _constant(node: onnx.NodeProto) -> Array | None:
    """Return the value of a Constant node; None for a sparse one or text."""
    (attribute,) = node.attribute
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return numpy_helper.to_array(value)
    if attribute.name in ("value_float", "value_floats"):
        return np.array(value, np.float32)
    return np.array(value, np.int64) if attribute.name in ("value_int", "value_ints") else None


def _computed(
    node: onnx.NodeProto, model: onnx.ModelProto, stored: Mapping[str, Array]
) -> dict[str, Array]:
    inputs = {name: stored[name] for name in node.input if name}
    graph = helper.make_graph(
        [node],
        "constant",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in inputs.items()
        ],
        [onnx.ValueInfoProto(name=node.output[0])],
    )
    imports = model.opset_import
    if node.op_type == "DequantizeLinear":  # onnx computes no older one; they differ in types alone
        opset = max(entry.version for entry in imports if entry.domain in ("", "ai.onnx"))
        imports = [helper.make_opsetid("", max(opset, _DEQUANTIZING_OPSET))]
    single = helper.make_model(graph, opset_imports=imports, ir_version=model.ir_version)
    try:
        (value,) = ReferenceEvaluator(single).run(None, inputs)
    except Exception:  # of settings that do not fit; the value is then computed by the runtime
        return {}
    return {node.output[0]: np.asarray(value)}


def _sizes(graph: onnx.GraphProto) -> Iterator[tuple[str, int]]:
    """Yield the number of elements of each value of known shape."""
    for value in (*graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        dims = [size.dim_value if size.HasField("dim_value") else -1 for size in tensor.shape.dim]
        if tensor.HasField("shape") and min(dims, default=0) >= 0:
            size = 1
            for length in dims:
                size *= length
            yield value.name, size
