"""Values of a graph that subgraphs of its nodes use: branches of If, bodies of loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def uses(node: NodeProto) -> set[str]:
    """Return the values of the graph that a node uses: its inputs, and those of its subgraphs."""
    names = {name for name in node.input if name}
    for graph in subgraphs(node):
        names |= _captured(graph)
    return names


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the subgraphs of a node, without theirs."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def rename_uses(node: NodeProto, names: Mapping[str, str]) -> None:
    """Rename values of the graph wherever a node or one of its subgraphs uses them."""
    for index, name in enumerate(node.input):
        node.input[index] = names.get(name, name)
    for graph in subgraphs(node):
        hidden = {value.name for value in (*graph.input, *graph.initializer)}
        visible = {name: new for name, new in names.items() if name not in hidden}
        for inner in graph.node:
            rename_uses(inner, visible)
            visible = {name: new for name, new in visible.items() if name not in inner.output}
        for output in graph.output:
            output.name = visible.get(output.name, output.name)


def _captured(graph: GraphProto) -> set[str]:
    inner = {value.name for value in (*graph.input, *graph.initializer)}
    names: set[str] = set()
    for node in graph.node:
        names |= uses(node) - inner
        inner |= {*node.output}
    return names | {value.name for value in graph.output} - inner
