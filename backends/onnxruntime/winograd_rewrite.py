"""3x3 convolutions in ONNX Runtime with fewer products: Winograd's F(4x4, 3x3), in ONNX's operators
(Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks").

Each tile of 4x4 outputs is computed from 6x6 inputs d with 36 products a pair of channels in place
of 144: Y = A^T [(G g G^T) * (B^T d B)] A. The three linear maps are a convolution with stride 4 and
two matrix products, and what is between them is one product of 36 matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..pytorch.winograd import INPUTS, TILE, G

_RESULTS, _PRODUCTS = TILE**2, INPUTS**2
#: Winograd's way pays from so many channels on, and so many tiles of 4x4 outputs. Measured with
#: the kernels of VGG-19 in ONNX Runtime 1.31: with fewer channels, the maps from and to tiles take
#: as long as the products that they save; with fewer tiles, making the transformed kernel does.
_FEWER_CHANNELS, _MORE_CHANNELS, _TILES = 128, 256, 16

_B_T = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_A_T = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def with_winograd(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, for ONNX Runtime's CPU provider, with both ways of each suitable convolution: of
    one image that has enough tiles by Winograd's algorithm, of a smaller one or a batch directly.

    Suitable are 3x3 convolutions in float32 of many channels, with stride 1 and the same padding, 0
    to 2, on all sides. The ways' results differ by a few 1e-6 of their norm. The model's opset is
    15 or later.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    overridable = {each.name for each in graph.input}
    kernels = {each.name: each for each in graph.initializer if each.name not in overridable}
    nodes = list(graph.node)
    del graph.node[:]
    constants = _Constants(graph)
    for node in nodes:
        if _is_suitable(node, kernels):
            outputs, inputs = kernels[node.input[1]].dims[:2]
            graph.node.extend(_both_ways(_Convolution(node, outputs, inputs), constants))
        else:
            graph.node.append(node)
    return made


def _is_suitable(node: onnx.NodeProto, kernels: Mapping[str, TensorProto]) -> bool:
    if node.op_type != "Conv" or node.domain or node.input[1] not in kernels:
        return False
    kernel = kernels[node.input[1]]
    fewer, more = sorted(kernel.dims[:2])
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return (
        kernel.data_type == TensorProto.FLOAT
        and list(kernel.dims[2:]) == [3, 3]
        and fewer >= _FEWER_CHANNELS
        and more >= _MORE_CHANNELS
        and given.get("group", 1) == 1
        and given.get("auto_pad", b"NOTSET") == b"NOTSET"
        and set(given.get("strides", [1])) == set(given.get("dilations", [1])) == {1}
        and _pads(node) in ([0] * 4, [1] * 4, [2] * 4)
    )


def _pads(node: onnx.NodeProto) -> list[int]:
    return next((list(each.ints) for each in node.attribute if each.name == "pads"), [0] * 4)


@dataclass(frozen=True)
class _Convolution:
    """Of x (N, inputs, H, W), to (N, outputs, H + 2 p - 2, W + 2 p - 2) for a padding p."""

    node: onnx.NodeProto
    outputs: int
    inputs: int

    @property
    def padding(self) -> int:
        return _pads(self.node)[0]

    @property
    def result(self) -> str:
        return str(self.node.output[0])


def _both_ways(convolution: _Convolution, constants: _Constants) -> list[onnx.NodeProto]:
    """The nodes that stand for the convolution.

    The branches have no constants of their own: ONNX Runtime (1.31) would lay out the kernel of the
    direct way anew, in a branch with names that are taken outside of it, and refuse to load the
    model that it has saved.
    """
    choice = _Nodes(f"{convolution.result}/choice")
    batch = choice.add("Shape", convolution.node.input[0], end=1)
    size = choice.add("Shape", convolution.node.input[0], start=2)
    size = choice.add("Add", size, constants.integers(2 * convolution.padding - 2))
    tiles = choice.add("Add", size, constants.integers(TILE - 1))  # parts of one count as well
    tiles = choice.add("Div", tiles, constants.integers(TILE))
    enough = choice.add("ReduceProd", tiles)
    enough = choice.add("GreaterOrEqual", enough, constants.integers(_TILES))
    single = choice.add("Equal", batch, constants.integers(1))
    pays = choice.add("And", single, enough)
    return [
        *choice.made,
        helper.make_node(
            "If",
            [pays],
            [convolution.result],
            convolution.node.name,
            then_branch=_by_winograd(convolution, constants, batch, size, tiles),
            else_branch=_directly(convolution),
        ),
    ]


def _directly(convolution: _Convolution) -> onnx.GraphProto:
    node = onnx.NodeProto()
    node.CopyFrom(convolution.node)
    node.output[0] = f"{convolution.result}/direct"
    return _branch(convolution, [node])


def _by_winograd(
    convolution: _Convolution, constants: _Constants, batch: str, size: str, tiles: str
) -> onnx.GraphProto:
    """For a batch of 1; `size` are the output's height and width, `tiles` their numbers of tiles,
    T in all."""
    nodes, integers = _Nodes(f"{convolution.result}/winograd"), constants.integers
    outputs, inputs, padding = convolution.outputs, convolution.inputs, convolution.padding
    x, kernel, *bias = convolution.node.input
    # The transformed kernel is made in each run, by a shape that depends on the image: ONNX Runtime
    # computes what depends on constants alone when it loads a model, and would keep it. It takes
    # four times the memory of the kernel, and making it a tenth of the time that it saves.
    columns = nodes.add("Reshape", kernel, nodes.add("Mul", batch, integers(-1, 9)))
    products = nodes.add("Gemm", constants.kronecker(G), columns, transB=1)
    products = nodes.add("Reshape", products, integers(_PRODUCTS, outputs, inputs))

    planes = nodes.add("Reshape", x, integers(inputs, 1, 0, 0))
    values = nodes.add(
        "Conv",
        planes,
        constants.kronecker(_B_T, (_PRODUCTS, 1, INPUTS, INPUTS)),
        kernel_shape=[INPUTS] * 2,
        strides=[TILE] * 2,
        # To where a last tile ends that has a single row, or column, of the output.
        pads=[padding] * 2 + [padding + TILE - 1] * 2,
    )
    values = nodes.add("Reshape", values, integers(inputs, _PRODUCTS, -1))
    values = nodes.add("Transpose", values, perm=[1, 0, 2])  # (36, inputs, T)
    values = nodes.add("MatMul", products, values)

    values = nodes.add("Reshape", values, integers(_PRODUCTS, -1))
    values = nodes.add("MatMul", constants.kronecker(_A_T), values)
    values = nodes.add("Reshape", values, integers(_RESULTS, outputs, -1))
    for each in filter(None, bias):
        values = nodes.add("Add", values, nodes.add("Reshape", each, integers(-1, 1)))
    shape = nodes.add("Concat", integers(1, _RESULTS * outputs), tiles, axis=0)
    values = nodes.add("Reshape", values, shape)
    whole = nodes.add("DepthToSpace", values, blocksize=TILE, mode="DCR")
    nodes.add("Slice", whole, integers(0, 0), size, integers(2, 3))
    return _branch(convolution, nodes.made)


def _branch(convolution: _Convolution, nodes: Sequence[onnx.NodeProto]) -> onnx.GraphProto:
    """A graph that gives what its last node gives."""
    (result,) = nodes[-1].output
    sizes = [None, convolution.outputs, None, None]
    described = helper.make_tensor_value_info(result, TensorProto.FLOAT, sizes)
    return helper.make_graph(nodes, result, [], [described])


class _Constants:
    """Constants of a graph, each of them once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._initializers = graph.initializer
        self._names: set[str] = set()

    def integers(self, *values: int) -> str:
        """A vector of int64."""
        return self._named(f"winograd/{'_'.join(map(str, values))}", np.array(values, np.int64))

    def kronecker(self, rows: Sequence[Sequence[float]], shape: tuple[int, ...] = ()) -> str:
        """For a matrix M, the one that maps X to M X M^T, both of them row by row."""
        matrix = np.kron(rows, rows).astype(np.float32)
        return self._named(
            f"winograd/{len(matrix)}x{len(matrix.T)}", matrix.reshape(shape or matrix.shape)
        )

    def _named(self, name: str, values: np.ndarray[Any, Any]) -> str:
        if name not in self._names:
            self._names.add(name)
            self._initializers.append(numpy_helper.from_array(values, name))
        return name


@dataclass
class _Nodes:
    """Nodes that are added one after the other; what they give is named under `prefix`."""

    prefix: str
    made: list[onnx.NodeProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output; gives the output's name."""
        name = f"{self.prefix}/{operator}_{len(self.made)}"
        self.made.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name
