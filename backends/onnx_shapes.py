"""ONNX's checks and shape inference, without a copy of the weights.

Both serialize a model; of a network with gigabytes of weights they would make several copies.
"""

from __future__ import annotations

import math

import onnx
from onnx import helper

#: Most numbers of a constant that a shape may depend on; a larger one is a weight.
_MOST_NUMBERS = 4096


def inferred_graph(model: onnx.ModelProto) -> onnx.GraphProto:
    """Return the model's graph with inferred shapes, and with inputs in place of large weights."""
    return onnx.shape_inference.infer_shapes(_without_weights(model), data_prop=True).graph


def check(model: onnx.ModelProto) -> None:
    """Check a model, its shapes included. Raises onnx.checker.ValidationError or InferenceError."""
    onnx.checker.check_model(_without_weights(model), full_check=True)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with inputs of their types and shapes in place of large weights."""
    graph = model.graph
    inputs = {value.name for value in graph.input}
    small, weights = list[onnx.TensorProto](), list[onnx.ValueInfoProto]()
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= _MOST_NUMBERS:
            small.append(tensor)
        elif tensor.name not in inputs:
            weights.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return onnx.ModelProto(
        ir_version=model.ir_version,
        opset_import=model.opset_import,
        functions=model.functions,
        graph=onnx.GraphProto(
            name=graph.name,
            node=graph.node,
            input=[*graph.input, *weights],
            output=graph.output,
            value_info=graph.value_info,
            initializer=small,
            sparse_initializer=graph.sparse_initializer,
        ),
    )
