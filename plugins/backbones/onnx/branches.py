"""Branches of If whose condition is known without the image, such as the rank of a value.

torch's older exporter writes them for squeezes of dimensions that it does not know. A model without
them can be differentiated, and its layers' geometry is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .small_values import LARGEST, Array, computed, constant_value, is_small
from .subgraphs import rename_uses, subgraphs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

#: Operators whose values are computed if their inputs are known. Their outputs are hardly larger
#: than their inputs.
_FOLDED = frozenset(
    {"Add", "And", "Cast", "Concat", "Equal", "Flatten", "Gather", "Greater", "GreaterOrEqual"}
    | {"Identity", "Less", "LessOrEqual", "Mul", "Not", "Or", "Reshape", "Slice", "Squeeze", "Sub"}
    | {"Transpose", "Unsqueeze", "ConstantOfShape", "ReduceProd", "ReduceSum"}
)


def without_known_branches(model: ModelProto) -> ModelProto:
    """Return the model with the branches that are taken in place of such Ifs.

    A model without Ifs is returned as it is.
    """
    import onnx

    while any(node.op_type == "If" for node in model.graph.node):
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        known = _known(inferred)
        resolved = _resolved(model, known)
        if resolved is None:
            break
        model = resolved
    return model


def _resolved(model: ModelProto, known: Mapping[str, Array]) -> ModelProto | None:
    """Return the model with its known values as constants, and with known branches.

    Returns None if that changes nothing.
    """
    import onnx

    resolved = onnx.ModelProto()
    resolved.CopyFrom(model)
    graph = resolved.graph
    nodes, changed = list(graph.node), False
    stored = {tensor.name for tensor in graph.initializer}
    taken = stored | {name for node in nodes for name in (*node.input, *node.output)}
    del graph.node[:]
    for node in nodes:
        if node.op_type == "If" and node.input[0] in known:
            name = "then_branch" if known[node.input[0]].any() else "else_branch"
            branch = next(entry.g for entry in node.attribute if entry.name == name)
            graph.node.extend(_inlined(node, branch, taken, graph.initializer))
            changed = True
        elif node.op_type != "Constant" and node.output and set(node.output) <= known.keys():
            for output in node.output:
                graph.initializer.append(onnx.numpy_helper.from_array(known[output], output))
            changed = True
        else:
            graph.node.append(node)
    del graph.value_info[:]
    return resolved if changed else None


def _inlined(
    node: NodeProto, branch: GraphProto, taken: set[str], initializers: Any
) -> list[NodeProto]:
    """Return a branch's nodes, and append its constants; its values get names of their own."""
    import onnx

    names: dict[str, str] = {}
    inner = [tensor.name for tensor in branch.initializer]
    inner += [name for part in branch.node for name in part.output if name]
    for name in inner:
        new = f"{node.output[0]}/{name}"
        while new in taken:
            new += "'"
        taken.add(new)
        names[name] = new
    for tensor in branch.initializer:
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = names[tensor.name]
        initializers.append(copy)
    nodes = []
    for part in branch.node:
        copied = onnx.NodeProto()
        copied.CopyFrom(part)
        rename_uses(copied, names)
        for index, name in enumerate(copied.output):
            copied.output[index] = names.get(name, name)
        nodes.append(copied)
    for value, output in zip(branch.output, node.output, strict=True):
        nodes.append(
            onnx.helper.make_node("Identity", [names.get(value.name, value.name)], [output])
        )
    return nodes


def _known(model: ModelProto) -> dict[str, Array]:
    """Return the small values of a model with inferred shapes that do not depend on the image."""
    import onnx

    graph = model.graph
    shapes = {value.name: _shape(value) for value in (*graph.value_info, *graph.input)}
    overridable = {value.name for value in graph.input}
    known = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if is_small(tensor) and tensor.name not in overridable
    }
    partial: dict[str, tuple[int | None, ...]] = {}  # shapes of which some sizes are known
    for node in graph.node:
        if len(node.output) != 1 or any(subgraphs(node)):
            continue
        if node.op_type == "Shape" and not node.attribute and node.input[0] in shapes:
            sizes = shapes[node.input[0]]
            if sizes is not None:
                partial[node.output[0]] = sizes
        value = _value(node, known, partial, model)
        if value is not None and value.size <= LARGEST:
            known[node.output[0]] = value
    return known


def _value(
    node: NodeProto,
    known: Mapping[str, Array],
    partial: Mapping[str, tuple[int | None, ...]],
    model: ModelProto,
) -> Array | None:
    """Return the value of a node's output, or None if it is unknown or not to be computed."""
    if node.op_type == "Constant":
        return constant_value(node)
    if node.op_type == "Shape" and node.output[0] in partial:
        return _sizes(partial[node.output[0]])
    if node.op_type == "Gather" and node.input[0] in partial and node.input[1] in known:
        sizes, position = partial[node.input[0]], known[node.input[1]]
        if position.size == 1 and -len(sizes) <= int(position.flat[0]) < len(sizes):
            size = _sizes((sizes[int(position.flat[0])],))
            return None if size is None else size.reshape(position.shape)
    if node.op_type not in _FOLDED or not all(name in known for name in node.input if name):
        return None
    inputs = {name: known[name] for name in node.input if name}
    if node.op_type == "ConstantOfShape" and np.prod(inputs[node.input[0]].astype(float)) > LARGEST:
        return None
    return computed(node, inputs, model).get(node.output[0])


def _shape(value: ValueInfoProto) -> tuple[int | None, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim
    )


def _sizes(sizes: tuple[int | None, ...]) -> Array | None:
    """Return the sizes as a vector, or None if one is unknown."""
    if any(size is None for size in sizes):
        return None
    return np.array(sizes, np.int64)
