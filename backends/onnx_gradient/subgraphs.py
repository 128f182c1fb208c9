"""Subgraphs of nodes: the values that they use, and copies of their nodes under other names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the subgraphs of a node, without theirs."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def captured(node: onnx.NodeProto) -> set[str]:
    """Return the values of the graph that a node's subgraphs use."""
    names: set[str] = set()
    for graph in subgraphs(node):
        names |= outer_values(graph)
    return names


def outer_values(graph: onnx.GraphProto) -> set[str]:
    """Return the values that a subgraph uses and does not compute."""
    inner = {value.name for value in (*graph.input, *graph.initializer)}
    names: set[str] = set()
    for node in graph.node:
        names |= ({name for name in node.input if name} | captured(node)) - inner
        inner |= {*node.output}
    return names | {value.name for value in graph.output} - inner


def renamed(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Return copies of nodes whose values, wherever they are used, have other names."""
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        _rename(copy, names)
        copies.append(copy)
    return copies


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    node.name = names.get(node.name, node.name)
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for graph in subgraphs(node):
        hidden = {value.name for value in (*graph.input, *graph.initializer)}
        hidden |= {name for inner in graph.node for name in inner.output}
        visible = {name: new for name, new in names.items() if name not in hidden}
        for inner in graph.node:
            _rename(inner, visible)
        for output in graph.output:
            output.name = visible.get(output.name, output.name)
