"""Average pooling in place of max pooling, as Gatys, Ecker and Bethge (2015) preferred."""

from __future__ import annotations

from torch import fx, nn
from torch.nn import functional

from .traced_geometry import MAX_ARGUMENTS, operation_name


def average_pooling(model: nn.Module, graph: fx.Graph) -> bool:
    """Replace every max pooling of a traced model by an average over the same windows.

    The average excludes the padding, which is not part of the image. Returns whether any was
    replaced.
    """
    replaced = False
    for node in graph.nodes:
        if node.op == "call_module":
            module = model.get_submodule(str(node.target))
            if isinstance(module, nn.MaxPool2d):
                model.set_submodule(
                    str(node.target),
                    nn.AvgPool2d(
                        module.kernel_size,
                        module.stride,
                        module.padding,
                        module.ceil_mode,
                        count_include_pad=False,
                    ),
                )
                replaced = True
        elif operation_name(node) == "max_pool2d":
            arguments = {**dict(zip(MAX_ARGUMENTS, node.args[1:], strict=False)), **node.kwargs}
            node.target = functional.avg_pool2d
            node.args = node.args[:1]
            node.kwargs = {
                "kernel_size": arguments["kernel_size"],
                "stride": arguments.get("stride"),
                "padding": arguments.get("padding", 0),
                "ceil_mode": arguments.get("ceil_mode", False),
                "count_include_pad": False,
            }
            replaced = True
    return replaced
