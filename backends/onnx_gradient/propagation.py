"""The propagation of cotangents through a graph, from its outputs to its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import onnx
from onnx import helper

from .backward import IR_VERSION, OPSET, BackwardGraph
from .errors import NoGradientError
from .expansion import MOST_TURNS, expanded
from .forward import ForwardGraph, Node
from .rules import RULES, RULES_OF_SEVERAL_OUTPUTS
from .subgraphs import outer_values, renamed

#: Reason for which a loop that is still there, since `expanded` writes out others, is refused.
_NOT_WRITTEN_OUT = (
    "a loop is differentiated if the number of its turns is known without the image, is at most "
    f"{MOST_TURNS}, and its condition is always true"
)


def propagate(
    graph: BackwardGraph, cotangents: Iterable[tuple[str, str]]
) -> tuple[dict[str, str], dict[int, NoGradientError]]:
    """Add the nodes of the gradient at the forward graph's inputs, and return it, by input.

    `cotangents` are pairs of a value of the forward graph and its cotangent. A gradient is "" if
    there is none. Also return the errors of the nodes that have no gradient, by the nodes'
    positions, from the last to the first; nothing is propagated through them.
    """
    forward = graph.forward
    pending: dict[str, list[str]] = {}
    for value, cotangent in cotangents:
        pending.setdefault(value, []).append(cotangent)
    unsupported: dict[int, NoGradientError] = {}
    for number, node in reversed([*enumerate(forward.nodes)]):
        if not node.active and not node.captured:
            continue
        gradients = [_total(graph, pending.pop(output, [])) for output in node.outputs]
        if not any(gradients):
            continue
        try:
            parts = [*_parts(graph, node, gradients)]
        except NoGradientError as error:
            unsupported[number] = error
            continue
        for value, part in parts:
            pending.setdefault(value, []).append(part)
    totals = {value: _total(graph, pending.pop(value, [])) for value in forward.inputs}
    return totals, unsupported


def _total(graph: BackwardGraph, parts: list[str]) -> str:
    total = ""
    for part in parts:
        total = graph.emit("Add", total, part) if total else part
    return total


def _parts(graph: BackwardGraph, node: Node, gradients: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield values that a node uses, with the gradients at them, from those at its outputs."""
    if node.operator == "If" and not node.active:
        yield from _through_branches(graph, node, gradients)
        return
    if node.operator in ("Loop", "Scan"):
        raise node.unsupported(_NOT_WRITTEN_OUT)
    if node.captured:
        raise node.unsupported("its subgraphs use values that depend on the image")
    if node.operator in RULES_OF_SEVERAL_OUTPUTS:
        parts = RULES_OF_SEVERAL_OUTPUTS[node.operator](graph, node, gradients)
    elif node.operator not in RULES:
        raise node.unsupported("there is no rule for this operator")
    elif any(gradients[1:]):
        raise node.unsupported("another output than its first is used")
    else:
        parts = RULES[node.operator](graph, node, gradients[0])
    for position, part in parts.items():
        yield node.inputs[position], part


def _through_branches(
    graph: BackwardGraph, node: Node, gradients: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Differentiate an If: each branch of the new one computes a branch again, and its gradient.

    The condition, which is not differentiated, may depend on the image.
    """
    values = sorted(node.captured)
    branches = {
        key: _backward_branch(graph, node.attributes[key], values, gradients)
        for key in ("then_branch", "else_branch")
    }
    condition = graph.saved(node.inputs[0])
    parts = graph.emit_many("If", [condition], len(values), **branches)
    yield from zip(values, parts, strict=True)


def _backward_branch(
    graph: BackwardGraph,
    branch: onnx.GraphProto,
    values: Sequence[str],
    gradients: Sequence[str],
) -> onnx.GraphProto:
    """Return a branch that has the gradients at `values`, which are zero for those it lacks."""
    prefix = f"{graph.fresh_name('branch')}/"
    outer = sorted(outer_values(branch))
    active = [value for value in outer if value in values]
    if not active:
        names = [f"{prefix}zeros_{number}" for number, _ in enumerate(values)]
        zeros = [_zeros(graph, *pair) for pair in zip(values, names, strict=True)]
        return helper.make_graph(zeros, prefix, [], _infos(graph, values, names))
    model = _as_model(graph.forward, branch, outer, prefix)
    forward = ForwardGraph(model, active)
    backward = BackwardGraph(forward, on_cpu=graph.on_cpu, prefix=prefix)
    pairs = zip(forward.layers, gradients, strict=True)
    totals, unsupported = propagate(backward, [(layer, part) for layer, part in pairs if part])
    for error in unsupported.values():
        raise error
    graph.opset = max(graph.opset, backward.opset, forward.opset)
    for value in outer:
        graph.saved(value)
    results, names = list[onnx.NodeProto](), list[str]()
    for value in values:
        name = backward.fresh_name("result")
        total = totals.get(value)
        results.append(
            helper.make_node("Identity", [total], [name], name)
            if total
            else _zeros(graph, value, name)
        )
        names.append(name)
    nodes, constants = backward.finish_branch()
    stored = [tensor for tensor in model.graph.initializer if tensor.name not in outer]
    present = {*outer, *(tensor.name for tensor in stored)}
    stored += [tensor for tensor in constants if tensor.name not in present]
    nodes = [*model.graph.node, *nodes, *results]
    return helper.make_graph(nodes, prefix, [], _infos(graph, values, names), stored)


def _infos(
    graph: BackwardGraph, values: Sequence[str], names: Sequence[str]
) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, graph.forward.type(value).element, None)
        for value, name in zip(values, names, strict=True)
    ]


def _zeros(graph: BackwardGraph, value: str, name: str) -> onnx.NodeProto:
    """Return a node of zeros of the shape of a value of the graph around it."""
    zero = helper.make_tensor("zero", graph.forward.type(value).element, [1], [0])
    return helper.make_node("ConstantOfShape", [graph.shape(value)], [name], name, value=zero)


def _as_model(
    forward: ForwardGraph, branch: onnx.GraphProto, outer: Sequence[str], prefix: str
) -> onnx.ModelProto:
    """Return a branch as a model whose inputs are the values that it uses of the outer graph.

    Constants are stored in it. Its values have new names, and its opset is one that the backward
    graph may have.
    """
    inputs = [
        helper.make_tensor_value_info(
            value, forward.type(value).element, forward.type(value).dimensions
        )
        for value in outer
        if value not in forward.constants
    ]
    stored = [
        onnx.numpy_helper.from_array(forward.constants[value], value)
        for value in outer
        if value in forward.constants
    ]
    graph = helper.make_graph(
        branch.node, "branch", inputs, branch.output, [*branch.initializer, *stored]
    )
    imports = [helper.make_opsetid("", forward.opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
    if forward.opset < OPSET:
        model = _converted(model)
    model = expanded(model)
    names = {
        name: prefix + name
        for part in model.graph.node
        for name in (*part.output, part.name)
        if name and name not in outer
    }
    names |= {
        tensor.name: prefix + tensor.name
        for tensor in model.graph.initializer
        if tensor.name not in outer
    }
    nodes = renamed(model.graph.node, names)
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    for value in (*model.graph.initializer, *model.graph.output):
        value.name = names.get(value.name, value.name)
    return model


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter's errors have no common base
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NoGradientError(f"no gradient of a branch: {reason}") from None
