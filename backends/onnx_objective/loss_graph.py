"""The graph that a loss term writes its ONNX form into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from ...core.errors import PluginError
from ...core.interfaces.terms import IMAGE_LAYER, LossGraph, Operand
from ..onnx_gradient.backward import IR_VERSION, OPSET

#: Dimensions of a layer: numbers, or names of sizes that are known only when the graph runs.
Dimensions = Sequence[int | str]


def layer_name(layer: str) -> str:
    """Return the name of the value that has the result's features at a layer, or its pixels."""
    return layer if layer == IMAGE_LAYER else f"layer/{layer}"


def content_name(layer: str) -> str:
    """Return the name of the value that has the content image's features at a layer."""
    return f"content-layer/{layer}"


class OnnxLossGraph(LossGraph):
    """The nodes and constants of one loss term.

    - `label`: names the term in errors.
    - `prefix`: begins the names that the graph makes.
    - `layers`: dimensions of the layers that the term may read.
    - `element`: type of all floating values (onnx.TensorProto.FLOAT).
    """

    def __init__(
        self, label: str, prefix: str, layers: Mapping[str, Dimensions], element: int
    ) -> None:
        self._label, self._prefix, self._layers, self.element = label, prefix, layers, element
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._read: dict[str, Dimensions] = {}
        self._content: dict[str, Dimensions] = {}

    def layer(self, name: str) -> str:
        """Return the name of the result's features; see LossGraph.layer."""
        self._read[name] = self._dimensions(name)
        return layer_name(name)

    def content(self, name: str) -> str:
        """Return the name of the content image's features; see LossGraph.content."""
        self._content[name] = self._dimensions(name)
        return content_name(name)

    def node(self, operator: str, *inputs: Operand, **attributes: Any) -> str:
        """Add a node; see LossGraph.node."""
        name = f"{self._prefix}{operator.lower()}_{len(self._nodes)}"
        names = [
            operand if isinstance(operand, str) else self._constant(operand) for operand in inputs
        ]
        self._nodes.append(helper.make_node(operator, names, [name], name, **attributes))
        return name

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of the result that the nodes read."""
        return tuple(self._read)

    @property
    def content_layers(self) -> tuple[str, ...]:
        """The layers of the content image that the nodes read."""
        return tuple(self._content)

    def model(self, loss: str, output: str) -> onnx.ModelProto:
        """Return the model whose inputs are the layers, and whose output is the value `loss`.

        The output gets the name `output`. Raises PluginError for a value that is not a scalar.
        """
        inputs = {
            **{layer_name(name): dims for name, dims in self._read.items()},
            **{content_name(name): dims for name, dims in self._content.items()},
        }
        nodes = [*self._nodes, helper.make_node("Identity", [loss], [output], output)]
        graph = helper.make_graph(
            nodes,
            "loss",
            [
                helper.make_tensor_value_info(name, self.element, dims)
                for name, dims in inputs.items()
            ],
            [helper.make_tensor_value_info(output, self.element, [])],
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            reason = " ".join(str(error).split())
            raise PluginError(
                f"{self._label}: `onnx_loss` returns no scalar of valid nodes: {reason}"
            ) from None
        return model

    def _dimensions(self, name: str) -> Dimensions:
        if name not in self._layers:
            raise PluginError(
                f"{self._label}: `onnx_loss` reads {name!r}, which is not among the term's layers"
            )
        return self._layers[name]

    def _constant(self, value: Tensor | float | tuple[int, ...]) -> str:
        name = f"{self._prefix}constant_{len(self._constants)}"
        array: np.ndarray[Any, Any]
        if isinstance(value, tuple):
            array = np.array(value, np.int64)
        else:
            tensor = torch.as_tensor(value).detach().cpu().double()
            array = tensor.numpy().astype(helper.tensor_dtype_to_np_dtype(self.element))
        self._constants.append(numpy_helper.from_array(array, name))
        return name
