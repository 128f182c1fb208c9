"""Trunks of traced models: the part of a graph on which the requested layers depend."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor, fx, nn

from ....core.interfaces.trunk import ChainTrunk, Trunk


class GraphTrunk(Trunk):
    """Trunk of preprocessing, (image - mean) / scale per channel, and a graph of layers."""

    def __init__(
        self, extracted: fx.GraphModule, mean: Sequence[float], scale: Sequence[float]
    ) -> None:
        super().__init__()
        self.network = extracted
        self._mean, self._scale = tuple(mean), tuple(scale)
        self.requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """See Trunk.forward."""
        outputs = _outputs(self.network)
        network = self.network
        if layers is not None and set(layers) != outputs.keys():
            network = extract(network, {name: outputs[name] for name in outputs if name in layers})
        mean = image.new_tensor(self._mean).view(1, 3, 1, 1)
        scale = image.new_tensor(self._scale).view(1, 3, 1, 1)
        weight = next((parameter for parameter in network.parameters()), image)
        activations: dict[str, Tensor] = network(((image - mean) / scale).to(weight.dtype))
        return activations


def make_trunk(
    extracted: fx.GraphModule, mean: Sequence[float], scale: Sequence[float]
) -> ChainTrunk | GraphTrunk:
    """Make a ChainTrunk if the graph is a chain, which backends differentiate faster."""
    outputs = {node: name for name, node in _outputs(extracted).items()}
    *nodes, _ = extracted.graph.nodes
    for node, previous in zip(nodes[1:], nodes, strict=False):
        if node.op != "call_module" or node.args != (previous,) or node.kwargs:
            return GraphTrunk(extracted, mean, scale)
    steps = [
        (outputs.get(node, ""), extracted.get_submodule(str(node.target))) for node in nodes[1:]
    ]
    return ChainTrunk(steps, mean, scale)


def extract(
    root: nn.Module, outputs: Mapping[str, fx.Node], channels_last: Collection[str] = ()
) -> fx.GraphModule:
    """Extract the part of a graph on which `outputs` depend, as a module that returns them by name.

    `outputs` are nodes of one graph over `root`. Those in `channels_last` are permuted from
    (N, H, W, C) to (N, C, H, W). Modules and weights are shared with `root`.
    """
    needed = _ancestors(outputs.values())
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in next(iter(outputs.values())).graph.nodes:
        if node in needed:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    results = {name: copies[node] for name, node in outputs.items()}
    for name in channels_last:
        results[name] = graph.call_method("permute", (results[name], 0, 3, 1, 2))
    graph.output(results)
    return fx.GraphModule(root, graph)


def _outputs(module: fx.GraphModule) -> dict[str, fx.Node]:
    outputs: dict[str, fx.Node] = module.graph.output_node().args[0]  # type: ignore[assignment]
    return outputs


def _ancestors(nodes: Collection[fx.Node]) -> set[fx.Node]:
    """Nodes with all nodes on which they depend."""
    ancestors: set[fx.Node] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node not in ancestors:
            ancestors.add(node)
            pending.extend(node.all_input_nodes)
    return ancestors
