"""The gradient rule for Einstein sums."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..backward import BackwardGraph, Rule
from ..forward import Node

_ELLIPSIS = "..."


def _einsum(graph: BackwardGraph, node: Node, gradient: str) -> Mapping[int, str]:
    """Sum the gradient and the other operands over the labels that an operand lacks.

    A label that only this operand has is a sum over its axis: the gradient is repeated there.
    """
    terms, result = _labels(graph, node)
    gradients = {}
    for position in sorted(node.active):
        others = [
            (terms[index], graph.saved(value))
            for index, value in enumerate(node.inputs)
            if index != position
        ]
        known = {*result, *(label for term, _ in others for label in term)}
        target = "".join(label for label in terms[position] if label in known)
        part = gradient
        if others or target != result:
            equation = ",".join([result, *(term for term, _ in others)]) + f"->{target}"
            part = graph.emit("Einsum", part, *(value for _, value in others), equation=equation)
        alone = [axis for axis, label in enumerate(terms[position]) if label not in known]
        if alone:
            part = graph.emit("Unsqueeze", part, graph.integers(*alone))
            part = graph.emit("Expand", part, graph.shape(node.inputs[position]))
        gradients[position] = part
    return gradients


def _labels(graph: BackwardGraph, node: Node) -> tuple[list[str], str]:
    """Return the labels of the operands and of the result, with letters in place of ellipses."""
    equation = node.attributes["equation"].decode().replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    ranks = [len(graph.forward.dimensions(value)) for value in node.inputs]
    hidden = [
        rank - len(term.replace(_ELLIPSIS, "")) if _ELLIPSIS in term else 0
        for term, rank in zip(terms, ranks, strict=True)
    ]
    if not arrow:
        letters = sorted(set(left) - set(",."))
        result = _ELLIPSIS * (_ELLIPSIS in left)
        result += "".join(letter for letter in letters if left.count(letter) == 1)
    free = [letter for letter in string.ascii_letters if letter not in equation]
    letters = free[: max(hidden)]
    terms = [
        term.replace(_ELLIPSIS, "".join(letters[len(letters) - count :]))
        for term, count in zip(terms, hidden, strict=True)
    ]
    result = result.replace(_ELLIPSIS, "".join(letters))
    if any(len(set(term)) < len(term) for term in (*terms, result)):
        raise node.unsupported("it takes a diagonal")
    _check_sizes(graph, node, terms, letters)
    return terms, result


def _check_sizes(
    graph: BackwardGraph, node: Node, terms: Sequence[str], ellipsis: Sequence[str]
) -> None:
    """Raise NoGradientError where an axis of one element may be broadcast."""
    sizes: dict[str, object] = {}
    for term, value in zip(terms, node.inputs, strict=True):
        for label, size in zip(term, graph.forward.dimensions(value), strict=True):
            other = sizes.setdefault(label, size)
            broadcast = size == 1 or other == 1 or label in ellipsis
            if broadcast and (size is None or size != other):
                raise node.unsupported("its operands may broadcast")


RULES: Mapping[str, Rule] = MappingProxyType({"Einsum": _einsum})
