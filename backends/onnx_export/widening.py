"""Networks whose numbers are halves (float16), with float32 in their place.

Finite differences cannot show what the gradient of a network in float16 is: its features are
rounded to 11 bits. They can for the same network in float32, which it can be compared with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper

from ...core.interfaces.backbone import Backbone
from ...core.interfaces.trunk import Trunk


def has_halves(model: ModelProto) -> bool:
    """Return whether the weights, or other values, of a model are in float16."""
    return any(tensor.data_type == TensorProto.FLOAT16 for tensor in _tensors(model.graph)) or any(
        attribute.name == "to" and attribute.i == TensorProto.FLOAT16
        for graph in _graphs(model.graph)
        for node in graph.node
        for attribute in node.attribute
    )


def widened(model: ModelProto) -> ModelProto:
    """Return the model with float32 in the place of float16; its weights are the same numbers."""
    wide = ModelProto()
    wide.CopyFrom(model)
    for tensor in _tensors(wide.graph):
        if tensor.data_type == TensorProto.FLOAT16:
            numbers = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))
    for graph in _graphs(wide.graph):
        del graph.value_info[:]  # inferred again
        for value in (*graph.input, *graph.output):
            if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT16:
                    attribute.i = TensorProto.FLOAT
    return onnx.shape_inference.infer_shapes(wide)


class WidenedFile(Backbone):
    """An ONNX file as a backbone, in float32 throughout; `model` is its model for some layers."""

    def __init__(self, file: Backbone, model: ModelProto) -> None:
        self.name, self.layers, self.aliases = file.name, file.layers, file.aliases
        self.default_content_layers = file.default_content_layers
        self.default_style_layers = file.default_style_layers
        self._file, self._model = file, bytes(widened(model).SerializeToString())

    def trunk(self, layers: Collection[str]) -> Trunk:
        """See Backbone.trunk."""
        return self._file.trunk(layers)

    def onnx_model(self, layers: Collection[str]) -> bytes | None:
        """See Backbone.onnx_model."""
        return self._model


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and its subgraphs."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in (
                *attribute.graphs,
                *([attribute.g] if attribute.HasField("g") else []),
            ):
                yield from _graphs(subgraph)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield the weights and constants of a graph and of its subgraphs."""
    for part in _graphs(graph):
        yield from part.initializer
        for node in part.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
