"""Tracing torchvision's models: their graphs, and which of the nodes are feature maps."""

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
#: Maps of the classes' scores are no features: SqueezeNet's classifier is a convolution.
_CLASSIFIER = "classifier."


@dataclass(frozen=True)
class FeatureMap:
    """A node whose output is (N, C, H, W), or (N, H, W, C) if `channels_last`.

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
    """A model's graph, without in-place operations, with its feature maps in order of depth.

    `maps` are the activations, and the last nodes of modules that have parts; `ends` says which
    map is the last of such a module, by the module's path. `wraps` is `Backbone.wraps`.
    """

    root: nn.Module
    graph: fx.Graph
    maps: dict[str, FeatureMap]
    ends: dict[str, str]
    wraps: bool


def traced(model: nn.Module, name: str) -> TracedModel:
    """Trace a model on the meta device, in evaluation mode; nothing is computed.

    Raises UsageError for one that cannot be traced or takes images of one size only.
    """
    model.eval()
    for module in model.modules():
        if "inplace" in vars(module):
            vars(module)["inplace"] = False  # a layer would be overwritten by what follows it
    graph, paths = _trace(model, name)
    shapes = [_shapes(model, graph, size, name) for size in SIZES]
    spatial = {each: spatial_dimensions(shapes[0][each], shapes[1].get(each)) for each in shapes[0]}
    image = next(node for node in graph.nodes if node.op == "placeholder").name
    sides = {
        each: tuple(shapes[1][each][at] for at in where) for each, where in spatial.items() if where
    }
    nodes = {
        node.name: node_geometry(node, model, sides)
        for node in graph.nodes
        if node.name in shapes[0] and node.op.startswith("call_")
    }
    every = {node.name: node for node in graph.nodes}
    known = geometries(nodes, image)
    last = _last_nodes(paths[each] for each in nodes)
    maps = {}
    for each, geometry in known.items():
        path, shape, where = paths[each], shapes[0][each], spatial[each]
        if len(shape) == 4 and where in ((2, 3), (1, 2)):
            activation = is_activation(every[each], model)
            if path.startswith(_CLASSIFIER) or not (activation or path in last.values()):
                continue
            channels = shape[1] if where == (2, 3) else shape[3]
            last_axis = where == (1, 2)
            stage = _stage(model, path)
            maps[path] = FeatureMap(path, every[each], channels, last_axis, geometry, stage)
    ends = {prefix: path for prefix, path in last.items() if path in maps and prefix not in maps}
    return TracedModel(model, graph, maps, ends, all(node.wraps for node in nodes.values()))


def is_activation(node: fx.Node, model: nn.Module) -> bool:
    """Whether a node is a nonlinearity of its single input."""
    if node.op == "call_module":
        return type(model.get_submodule(str(node.target))).__name__.lower() in _ACTIVATIONS
    return operation_name(node) in _ACTIVATIONS


def _trace(model: nn.Module, name: str) -> tuple[fx.Graph, dict[str, str]]:
    """The graph, and torchvision's path for each of its nodes' names."""
    extraction = import_torchvision("torchvision.models.feature_extraction")
    operations = import_torchvision("torchvision.ops")
    tracer = extraction.NodePathTracer(autowrap_modules=(operations,))
    try:
        graph: fx.Graph = tracer.trace(model)
    except Exception as error:  # whatever a model does that symbols cannot
        raise UsageError(
            f"{name} cannot be a backbone: torch.fx cannot trace it ({_short(error)})"
        ) from None
    for node in graph.nodes:
        node.target = _OUT_OF_PLACE.get(node.target, node.target)
        if "inplace" in node.kwargs:
            node.kwargs = {**node.kwargs, "inplace": False}
    return graph, {node.name: path for node, path in tracer.node_to_qualname.items()}


class _ShapeRecorder(fx.Interpreter):
    """Runs a graph and keeps the shape of each node's output: of the first, if it has several."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, graph=graph)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """See fx.Interpreter."""
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
            f"{name} cannot be a backbone: it does not take images of any size, as a "
            "convolutional network does"
        ) from None
    return recorder.shapes


def _last_nodes(paths: Iterable[str]) -> dict[str, str]:
    """For each module that has parts, the last path within it."""
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
