"""Small values of ONNX models: the sizes, axes and conditions that shapes and branches follow from.

Larger ones are weights, which are neither read nor computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Array = np.ndarray[Any, Any]

#: Most numbers of a small value.
LARGEST = 256


def is_small(tensor: TensorProto) -> bool:
    """Return whether a tensor has few numbers, which are in the model's own file."""
    count = 1
    for size in tensor.dims:
        count *= size
    return count <= LARGEST and not tensor.external_data


def constant_value(node: NodeProto) -> Array | None:
    """Return the value of a node `Constant`; None for any other node, and for a large value."""
    import onnx

    for attribute in node.attribute if node.op_type == "Constant" else ():
        value = onnx.helper.get_attribute_value(attribute)
        if attribute.name == "value" and is_small(value):
            return onnx.numpy_helper.to_array(value)
        if attribute.name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
        if attribute.name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
    return None


def computed(node: NodeProto, inputs: Mapping[str, Array], model: ModelProto) -> dict[str, Array]:
    """Return the outputs of a node of `model`, by onnx's reference implementation.

    They are none where its settings do not fit each other: the runtime will say so.
    """
    from onnx import ValueInfoProto, helper
    from onnx.reference import ReferenceEvaluator

    types = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in inputs.items()
    ]
    outputs = [ValueInfoProto(name=name) for name in node.output]
    single = helper.make_model(
        helper.make_graph([node], "value", types, outputs),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    try:
        values = ReferenceEvaluator(single).run(None, dict(inputs))
    except Exception:  # the operators' errors have no common base
        return {}
    return {name: np.asarray(value) for name, value in zip(node.output, values, strict=True)}
