"""Names of an ONNX model's values that are not those of stylectl's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .subgraphs import rename_uses

if TYPE_CHECKING:
    from onnx import ModelProto

#: Input of the models that backends run; beginnings of the names that they give to values.
_IMAGE, _PREFIXES = "image", ("gradient/", "stylectl/")
#: Beginning of the names that such values of a file get.
_OTHER = "other/"


def with_free_names(model: ModelProto) -> ModelProto:
    """Rename values that are called like stylectl's own, in place: `image` becomes `other/image`.

    The model's input may be called so: it is replaced anyway.
    """
    graph = model.graph
    inputs = {value.name for value in graph.input}
    computed = [name for node in graph.node for name in node.output]
    computed += [tensor.name for tensor in graph.initializer]
    taken = {*computed, *inputs}
    names: dict[str, str] = {}
    for name in computed:
        if name in names or not (name == _IMAGE or name.startswith(_PREFIXES)):
            continue
        new = _OTHER + name
        while new in taken:
            new = _OTHER + new
        taken.add(new)
        names[name] = new
    if not names:
        return model
    for node in graph.node:
        rename_uses(node, names)
        for index, name in enumerate(node.output):
            node.output[index] = names.get(name, name)
    for value in (*graph.initializer, *graph.value_info, *graph.output, *graph.input):
        value.name = names.get(value.name, value.name)
    return model
