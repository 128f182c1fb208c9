"""Graphs of torchvision's models, traced by torch.fx, and their feature maps."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from ....core.errors import UsageError
from ..geometry import SIZES, Geometry, geometries, spatial_dimensions
from .loading import import_torchvision
from .traced_geometry import node_geometry, operation_name

_OUT_OF_PLACE: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
_ACTIVATIONS = frozenset(
    {"elu", "gelu", "hardswish", "hardtanh", "leaky_relu", "leakyrelu", "mish", "relu", "relu6"}
    | {"selu", "silu", "softplus", "tanh"}
)
#: Prefix of paths that are not layers: SqueezeNet's classifier is a convolution, whose maps are the
#: scores of the classes.
_CLASSIFIER = "classifier."


@dataclass(frozen=True)
class FeatureMap:
    """Node whose output is (N, C, H, W), or (N, H, W, C) if `channels_last`.

    `path` is torchvision's name for it, `stage` the part of the network that it belongs to: one of
    the model's children, or a child of one that is a sequence itself.
    """

    path: str
    node: fx.Node
    channels: int
    channels_last: bool
    geometry: Geometry
    stage: str


@dataclass(frozen=True)
class TracedModel:
    """Graph of a model, without in-place operations, with its feature maps in order of depth.

    `maps` are the activations, and the last nodes of modules that have parts, by path; `ends` are
    the paths of the last maps of such modules, by the module's path. `wraps` is `Backbone.wraps`.
    """

    root: nn.Module
    graph: fx.Graph
    maps: dict[str, FeatureMap]
    ends: dict[str, str]
    wraps: bool


def traced(model: nn.Module, name: str) -> TracedModel:
    """Trace a model on the meta device, in evaluation mode, without computing anything.

    Raises UsageError for a model that cannot be traced or supports images of one size only.
    """
    model.eval()
    for module in model.modules():
        if "inplace" in vars(module):
            vars(module)["inplace"] = False  # the next operation would overwrite a layer
    graph, paths = _trace(model, name)
    shapes = [_shapes(model, graph, size, name) for size in SIZES]
    spatial = {
        label: spatial_dimensions(shape, shapes[1].get(label)) for label, shape in shapes[0].items()
    }
    image = next(node for node in graph.nodes if node.op == "placeholder").name
    sides = {
        label: tuple(shapes[1][label][axis] for axis in axes)
        for label, axes in spatial.items()
        if axes
    }
    nodes = {
        node.name: node_geometry(node, model, sides)
        for node in graph.nodes
        if node.name in shapes[0] and node.op.startswith("call_")
    }
    fx_nodes = {node.name: node for node in graph.nodes}
    layers = geometries(nodes, image)
    last = _last_nodes(paths[label] for label in nodes)
    maps = {}
    for label, geometry in layers.items():
        path, shape, axes = paths[label], shapes[0][label], spatial[label]
        if len(shape) == 4 and axes in ((2, 3), (1, 2)):
            activation = is_activation(fx_nodes[label], model)
            if path.startswith(_CLASSIFIER) or not (activation or path in last.values()):
                continue
            channels = shape[1] if axes == (2, 3) else shape[3]
            channels_last = axes == (1, 2)
            stage = _stage(model, path)
            maps[path] = FeatureMap(path, fx_nodes[label], channels, channels_last, geometry, stage)
    ends = {prefix: path for prefix, path in last.items() if path in maps and prefix not in maps}
    return TracedModel(model, graph, maps, ends, all(node.wraps for node in nodes.values()))


def is_activation(node: fx.Node, model: nn.Module) -> bool:
    """Return whether a node is a nonlinearity of its single input."""
    if node.op == "call_module":
        return type(model.get_submodule(str(node.target))).__name__.lower() in _ACTIVATIONS
    return operation_name(node) in _ACTIVATIONS


def _trace(model: nn.Module, name: str) -> tuple[fx.Graph, dict[str, str]]:
    """Trace the graph; also return torchvision's path of each node, by the node's name."""
    extraction = import_torchvision("torchvision.models.feature_extraction")
    operations = import_torchvision("torchvision.ops")
    tracer = extraction.NodePathTracer(autowrap_modules=(operations,))
    try:
        graph: fx.Graph = tracer.trace(model)
    except Exception as error:  # tracing runs the model's code, which may raise anything
        raise UsageError(
            f"{name} cannot be a backbone: torch.fx cannot trace it ({_short(error)})"
        ) from None
    for node in graph.nodes:
        node.target = _OUT_OF_PLACE.get(node.target, node.target)
        if "inplace" in node.kwargs:
            node.kwargs = {**node.kwargs, "inplace": False}
    return graph, {node.name: path for node, path in tracer.node_to_qualname.items()}


class _ShapeRecorder(fx.Interpreter):
    """Interpreter that records the shape of each node's output: the first, if it has several."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """See fx.Interpreter.run_node."""
        value = super().run_node(n)
        first = value[0] if isinstance(value, tuple | list) and value else value
        if isinstance(first, Tensor):
            self.shapes[n.name] = tuple(first.shape)
        return value


def _shapes(
    model: nn.Module, graph: fx.Graph, size: tuple[int, int], name: str
) -> dict[str, tuple[int, ...]]:
    recorder = _ShapeRecorder(model, graph)
    recorder.extra_traceback = False
    try:
        with torch.no_grad():
            recorder.run(torch.empty(1, 3, *size, device="meta"))
    except Exception:  # a model's own checks are assertions, RuntimeError, ValueError
        raise UsageError(
            f"{name} cannot be a backbone: it does not support images of any size, as a "
            "convolutional network does"
        ) from None
    return recorder.shapes


def _last_nodes(paths: Iterable[str]) -> dict[str, str]:
    """Last path within each module that has parts, by the module's path."""
    return {prefix: path for path in paths for prefix in _prefixes(path)}


def _prefixes(path: str) -> Iterator[str]:
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def _stage(model: nn.Module, path: str) -> str:
    first, _, rest = path.partition(".")
    if isinstance(getattr(model, first, None), nn.Sequential):
        return f"{first}.{rest.partition('.')[0]}"
    return first


def _short(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:80] or type(error).__name__
