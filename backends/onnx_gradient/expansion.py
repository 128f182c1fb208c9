"""Nodes that stand for several: ONNX's functions, and loops of a few turns, written out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..onnx_shapes import inferred_graph
from .constants import constants
from .subgraphs import renamed, subgraphs

#: Operators that are replaced by the function that defines them.
_FUNCTIONS = frozenset({"Attention", "CenterCropPad"})
#: Most turns of a loop that is written out, and most nodes of all of them.
MOST_TURNS, _MOST_NODES = 64, 8192


def expanded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with other nodes in place of functions and of loops of a few turns.

    A loop is one of a number of turns that is known without the image, and ends no earlier. A model
    without any is returned as it is.
    """
    number, left = 0, _MOST_NODES
    while any(_expands(node) for node in model.graph.node):
        known = _Known(model)
        result = onnx.ModelProto()
        result.CopyFrom(model)
        del result.graph.node[:], result.graph.value_info[:]
        changed = False
        for node in model.graph.node:
            number += 1
            part = _written_out(node, known, f"expanded/{number}/") if _expands(node) else None
            if part is None or len(part.nodes) > left:
                result.graph.node.append(node)
                continue
            changed, left = True, left - len(part.nodes)
            result.graph.node.extend(part.nodes)
            result.graph.initializer.extend(part.initializers)
        if not changed:
            return model
        model = result
    return model


def _expands(node: onnx.NodeProto) -> bool:
    standard = node.domain in ("", "ai.onnx")
    return standard and (node.op_type in _FUNCTIONS or node.op_type in ("Loop", "Scan"))


@dataclass
class _Part:
    """Nodes and constants in the place of one node."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def body(self, graph: onnx.GraphProto, inputs: Sequence[str], prefix: str) -> list[str]:
        """Add the nodes of a subgraph for values as its inputs; return the names of its outputs."""
        names = _prefixed(graph.node, prefix)
        names |= {value.name: name for value, name in zip(graph.input, inputs, strict=True)}
        for tensor in graph.initializer:
            names[tensor.name] = prefix + tensor.name
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = names[tensor.name]
            self.initializers.append(copy)
        self.nodes += renamed(graph.node, names)
        return [names.get(value.name, value.name) for value in graph.output]


class _Known:
    """The opset of a model, its constants, and the types of its values."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.opset = max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
            default=1,
        )
        graph, inferred = model.graph, inferred_graph(model)
        self.constants = constants(model, inferred)
        infos = (*graph.input, *inferred.value_info, *inferred.output)
        self.types = {value.name: value.type for value in infos}
        for tensor in graph.initializer:
            self.types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)

    def size(self, value: str, axis: int) -> int | None:
        """Return the size of a value along an axis, or None if it is not known."""
        tensor = self.types.get(value, onnx.TypeProto()).tensor_type
        dims = tensor.shape.dim
        if not -len(dims) <= axis < len(dims) or not dims[axis].HasField("dim_value"):
            return None
        return int(dims[axis].dim_value)

    def unsqueeze(self, part: _Part, value: str, axis: int, output: str) -> str:
        """Add a node that inserts an axis of one element."""
        if self.opset < 13:
            return part.node("Unsqueeze", [value], output, axes=[axis])
        axes = part.constant(f"{output}/axes", np.array([axis]))
        return part.node("Unsqueeze", [value, axes], output)


def _written_out(node: onnx.NodeProto, known: _Known, prefix: str) -> _Part | None:
    """Return what stands in the place of a node, or None if it stays."""
    if node.op_type == "Loop":
        return _loop(node, known, prefix)
    if node.op_type == "Scan":
        return _scan(node, known, prefix)
    return _function(node, known, prefix)


def _function(node: onnx.NodeProto, known: _Known, prefix: str) -> _Part | None:
    try:
        # onnx's stubs lack some of its methods.
        schema: Any = onnx.defs.get_schema(node.op_type, max_inclusive_version=known.opset)
        types = [
            known.types[name].SerializeToString() if name else onnx.TypeProto().SerializeToString()
            for name in node.input
        ]
    except (onnx.defs.SchemaError, KeyError):  # an opset without it, or a value of unknown type
        return None
    versions = [
        version
        for version in schema.context_dependent_function_opset_versions
        if version <= known.opset
    ]
    if not versions:
        return None
    definition = schema.get_context_dependent_function_with_opset_version(
        max(versions), node.SerializeToString(), types
    )
    function = onnx.FunctionProto.FromString(definition)
    names = _prefixed(function.node, prefix)
    names |= dict(zip(function.input, node.input, strict=False))
    names |= dict.fromkeys(function.input[len(node.input) :], "")
    outputs = zip(function.output, node.output, strict=False)
    names |= {inner: name for inner, name in outputs if name}
    nodes = renamed(function.node, names)
    for inner in nodes:
        _bind_attributes(inner, node)
    return _Part(nodes)


def _bind_attributes(node: onnx.NodeProto, call: onnx.NodeProto) -> None:
    """Give a function's node the attributes of its call that it refers to, or none."""
    stated = {attribute.name: attribute for attribute in call.attribute}
    attributes = []
    for attribute in node.attribute:
        bound = onnx.AttributeProto()
        bound.CopyFrom(attribute)
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in stated:
                continue
            bound.CopyFrom(stated[attribute.ref_attr_name])
            bound.name = attribute.name
        attributes.append(bound)
    del node.attribute[:]
    node.attribute.extend(attributes)


def _loop(node: onnx.NodeProto, known: _Known, prefix: str) -> _Part | None:
    (body,) = subgraphs(node)
    count, condition = known.constants.get(node.input[0]), node.input[1]
    if count is None or not 1 <= int(count.reshape(-1)[0]) <= MOST_TURNS:
        return None
    if condition and not known.constants.get(condition, np.array(False)).all():
        return None
    if not _goes_on(body):
        return None
    part, carried = _Part(), list(node.input[2:])
    always = part.constant(f"{prefix}condition", np.array(True))
    rows: list[list[str]] = []
    for turn in range(int(count.reshape(-1)[0])):
        index = part.constant(f"{prefix}{turn}", np.array(turn))
        outputs = part.body(body, [index, always, *carried], f"{prefix}{turn}/")
        carried = outputs[1 : 1 + len(carried)]
        rows.append(outputs[1 + len(carried) :])
    for name, value in zip(node.output, carried, strict=False):
        if name:
            part.node("Identity", [value], name)
    _stack(part, known, node.output[len(carried) :], rows, [0] * len(rows[0]))
    return part


def _goes_on(body: onnx.GraphProto) -> bool:
    """Return whether the condition that the body of a loop returns is always true."""
    name = body.output[0].name
    for node in reversed(body.node):
        if name in node.output:
            if node.op_type == "Constant":
                value = helper.get_attribute_value(node.attribute[0])
                return isinstance(value, onnx.TensorProto) and bool(
                    numpy_helper.to_array(value).all()
                )
            if node.op_type != "Identity":
                return False
            name = node.input[0]
    stored = [tensor for tensor in body.initializer if tensor.name == name]
    return name == body.input[1].name or any(numpy_helper.to_array(t).all() for t in stored)


def _scan(node: onnx.NodeProto, known: _Known, prefix: str) -> _Part | None:
    if known.opset < 9:  # its first axis was one of batches
        return None
    settings = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    body, count = settings["body"], settings["num_scan_inputs"]
    states = len(node.input) - count
    carried, scanned = list(node.input[:states]), node.input[states:]
    axes = settings.get("scan_input_axes", [0] * count)
    backwards = settings.get("scan_input_directions", [0] * count)
    turns = known.size(scanned[0], axes[0])
    if turns is None or not 1 <= turns <= MOST_TURNS:
        return None
    part, rows = _Part(), list[list[str]]()
    for turn in range(turns):
        slices = []
        for number, value in enumerate(scanned):
            place = turns - 1 - turn if backwards[number] else turn
            index = part.constant(f"{prefix}{turn}/place/{number}", np.array(place))
            inputs = [value, index]
            slices.append(
                part.node("Gather", inputs, f"{prefix}{turn}/{number}", axis=axes[number])
            )
        outputs = part.body(body, [*carried, *slices], f"{prefix}{turn}/")
        carried = outputs[:states]
        rows.append(outputs[states:])
    for name, value in zip(node.output, carried, strict=False):
        if name:
            part.node("Identity", [value], name)
    results = len(rows[0])
    output_axes = settings.get("scan_output_axes", [0] * results)
    directions = settings.get("scan_output_directions", [0] * results)
    _stack(part, known, node.output[states:], rows, output_axes, directions)
    return part


def _stack(
    part: _Part,
    known: _Known,
    outputs: Sequence[str],
    rows: Sequence[Sequence[str]],
    axes: Sequence[int],
    directions: Sequence[int] = (),
) -> None:
    """Add nodes that join what each turn returns, along a new axis for each output."""
    for number, output in enumerate(outputs):
        if not output:
            continue
        values = [
            known.unsqueeze(part, row[number], axes[number], f"{output}/{turn}/of/{number}")
            for turn, row in enumerate(rows)
        ]
        if directions and directions[number]:
            values.reverse()
        part.node("Concat", values, output, axis=axes[number])


def _prefixed(nodes: Sequence[onnx.NodeProto], prefix: str) -> dict[str, str]:
    """Return new names for what nodes compute, and for the nodes."""
    return {name: prefix + name for node in nodes for name in (*node.output, node.name) if name}
