"""Trunks of traced models: the part of a graph that leads to the layers asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor, fx, nn

from ....core.interfaces.trunk import ChainTrunk, Trunk


class GraphTrunk(Trunk):
    """Preprocessing, (image - mean) / scale per channel, and a graph whose outputs are layers."""

    def __init__(
        self, extracted: fx.GraphModule, mean: Sequence[float], scale: Sequence[float]
    ) -> None:
        super().__init__()
        self.network = extracted
        self._mean, self._scale = tuple(mean), tuple(scale)
        self.requires_grad_(False)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """See Trunk."""
        outputs = _outputs(self.network)
        network = self.network
        if layers is not None and set(layers) != outputs.keys():
            network = extract(network, {name: outputs[name] for name in outputs if name in layers})
        mean = image.new_tensor(self._mean).view(1, 3, 1, 1)
        scale = image.new_tensor(self._scale).view(1, 3, 1, 1)
        weight = next((each for each in network.parameters()), image)
        activations: dict[str, Tensor] = network(((image - mean) / scale).to(weight.dtype))
        return activations


def make_trunk(
    extracted: fx.GraphModule, mean: Sequence[float], scale: Sequence[float]
) -> ChainTrunk | GraphTrunk:
    """A chain where the graph is one, which a backend differentiates faster."""
    outputs = {node: name for name, node in _outputs(extracted).items()}
    *nodes, _ = extracted.graph.nodes
    for node, before in zip(nodes[1:], nodes, strict=False):
        if node.op != "call_module" or node.args != (before,) or node.kwargs:
            return GraphTrunk(extracted, mean, scale)
    steps = [
        (outputs.get(node, ""), extracted.get_submodule(str(node.target))) for node in nodes[1:]
    ]
    return ChainTrunk(steps, mean, scale)


def extract(
    root: nn.Module, outputs: Mapping[str, fx.Node], channels_last: Collection[str] = ()
) -> fx.GraphModule:
    """What leads to `outputs`, nodes of one graph over `root`, as a module that gives them by name.

    Those in `channels_last` are turned from (N, H, W, C) to (N, C, H, W). Modules and weights are
    shared with `root`.
    """
    needed = _ancestors(outputs.values())
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in next(iter(outputs.values())).graph.nodes:
        if node in needed:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    made = {name: copies[node] for name, node in outputs.items()}
    for name in channels_last:
        made[name] = graph.call_method("permute", (made[name], 0, 3, 1, 2))
    graph.output(made)
    return fx.GraphModule(root, graph)


def _outputs(module: fx.GraphModule) -> dict[str, fx.Node]:
    found: dict[str, fx.Node] = module.graph.output_node().args[0]  # type: ignore[assignment]
    return found


def _ancestors(nodes: Collection[fx.Node]) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
