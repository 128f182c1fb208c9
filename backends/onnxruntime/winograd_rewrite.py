"""3x3 convolutions in ONNX's operators with fewer products, by Winograd's F(4x4, 3x3).

The algorithm is that of Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
Each tile of 4x4 outputs is computed from 6x6 inputs d with 36 products for each pair of channels,
instead of 144: Y = A^T [(G g G^T) * (B^T d B)] A. The three linear maps are a convolution with
stride 4 and two matrix products; between them are 36 matrix products, in one operator.
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
#: Least numbers of channels (the smaller and the larger of a kernel's two numbers) and of tiles of
#: 4x4 outputs at which Winograd's algorithm is used. Measured with the kernels of VGG-19 in ONNX
#: Runtime 1.31: with fewer channels, the maps from and to tiles take as long as the products that
#: they save; with fewer tiles, computing the transformed kernel does.
_FEWER_CHANNELS, _MORE_CHANNELS, _TILES = 128, 256, 16

#: Least opset with the operators of the rewritten convolutions.
_OPSET = 15

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
    """Return the model with both ways of each suitable convolution, for ONNX Runtime on the CPU.

    One image with enough tiles is convolved by Winograd's algorithm, a smaller one or a batch
    directly. Suitable are 3x3 convolutions in float32 of many channels, with stride 1 and the same
    padding, 0 to 2, on all sides. The results of both ways differ by a few 1e-6 of their norm. A
    model of an opset before 15 is returned as it is.
    """
    if not any(entry.domain == "" and entry.version >= _OPSET for entry in model.opset_import):
        return model
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    graph = rewritten.graph
    overridable = {value.name for value in graph.input}
    kernels = {
        tensor.name: tensor for tensor in graph.initializer if tensor.name not in overridable
    }
    nodes = list(graph.node)
    del graph.node[:]
    constants = _Constants(graph)
    for node in nodes:
        if _is_suitable(node, kernels):
            outputs, inputs = kernels[node.input[1]].dims[:2]
            graph.node.extend(_choice_of_ways(_Convolution(node, outputs, inputs), constants))
        else:
            graph.node.append(node)
    return rewritten


def _is_suitable(node: onnx.NodeProto, kernels: Mapping[str, TensorProto]) -> bool:
    if node.op_type != "Conv" or node.domain or node.input[1] not in kernels:
        return False
    kernel = kernels[node.input[1]]
    fewer, more = sorted(kernel.dims[:2])
    attributes = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    return (
        kernel.data_type == TensorProto.FLOAT
        and list(kernel.dims[2:]) == [3, 3]
        and fewer >= _FEWER_CHANNELS
        and more >= _MORE_CHANNELS
        and attributes.get("group", 1) == 1
        and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        and set(attributes.get("strides", [1])) == set(attributes.get("dilations", [1])) == {1}
        and _pads(node) in ([0] * 4, [1] * 4, [2] * 4)
    )


def _pads(node: onnx.NodeProto) -> list[int]:
    return next(
        (list(attribute.ints) for attribute in node.attribute if attribute.name == "pads"), [0] * 4
    )


@dataclass(frozen=True)
class _Convolution:
    """A convolution from (N, inputs, H, W) to (N, outputs, H + 2 p - 2, W + 2 p - 2).

    p is the padding on each side.
    """

    node: onnx.NodeProto
    outputs: int
    inputs: int

    @property
    def padding(self) -> int:
        return _pads(self.node)[0]

    @property
    def result(self) -> str:
        return str(self.node.output[0])


def _choice_of_ways(convolution: _Convolution, constants: _Constants) -> list[onnx.NodeProto]:
    """Return the nodes that replace the convolution: an `If` of both ways, with its condition.

    The branches have no constants of their own. ONNX Runtime (1.31) would store a new layout of the
    direct way's kernel in the branch, under a name that is taken outside of it, and could not load
    the model that it has saved.
    """
    choice = _Nodes(f"{convolution.result}/choice")
    batch = choice.add("Shape", convolution.node.input[0], end=1)
    size = choice.add("Shape", convolution.node.input[0], start=2)
    size = choice.add("Add", size, constants.integers(2 * convolution.padding - 2))
    tiles = choice.add("Add", size, constants.integers(TILE - 1))  # a part of a tile counts as one
    tiles = choice.add("Div", tiles, constants.integers(TILE))
    enough = choice.add("ReduceProd", tiles)
    enough = choice.add("GreaterOrEqual", enough, constants.integers(_TILES))
    single = choice.add("Equal", batch, constants.integers(1))
    pays = choice.add("And", single, enough)
    return [
        *choice.protos,
        helper.make_node(
            "If",
            [pays],
            [convolution.result],
            convolution.node.name,
            then_branch=_winograd_branch(convolution, constants, batch, size, tiles),
            else_branch=_direct_branch(convolution),
        ),
    ]


def _direct_branch(convolution: _Convolution) -> onnx.GraphProto:
    node = onnx.NodeProto()
    node.CopyFrom(convolution.node)
    node.output[0] = f"{convolution.result}/direct"
    return _branch(convolution, [node])


def _winograd_branch(
    convolution: _Convolution, constants: _Constants, batch: str, size: str, tiles: str
) -> onnx.GraphProto:
    """Return the branch of Winograd's algorithm, for a batch of 1.

    `size` are the output's height and width, `tiles` their numbers of tiles, T in all.
    """
    nodes, integers = _Nodes(f"{convolution.result}/winograd"), constants.integers
    outputs, inputs, padding = convolution.outputs, convolution.inputs, convolution.padding
    x, kernel, *bias = convolution.node.input
    # The transformed kernel is computed in each run, by a shape that depends on the image: what
    # depends on constants alone is computed by ONNX Runtime when it loads a model, and kept. The
    # transformed kernel takes four times the memory of the kernel, and computing it takes a tenth
    # of the time that it saves.
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
        # The padding reaches the end of a last tile with a single row, or column, of the output.
        pads=[padding] * 2 + [padding + TILE - 1] * 2,
    )
    values = nodes.add("Reshape", values, integers(inputs, _PRODUCTS, -1))
    values = nodes.add("Transpose", values, perm=[1, 0, 2])  # (36, inputs, T)
    values = nodes.add("MatMul", products, values)

    values = nodes.add("Reshape", values, integers(_PRODUCTS, -1))
    values = nodes.add("MatMul", constants.kronecker(_A_T), values)
    values = nodes.add("Reshape", values, integers(_RESULTS, outputs, -1))
    for bias_name in filter(None, bias):
        values = nodes.add("Add", values, nodes.add("Reshape", bias_name, integers(-1, 1)))
    shape = nodes.add("Concat", integers(1, _RESULTS * outputs), tiles, axis=0)
    values = nodes.add("Reshape", values, shape)
    uncropped = nodes.add("DepthToSpace", values, blocksize=TILE, mode="DCR")
    nodes.add("Slice", uncropped, integers(0, 0), size, integers(2, 3))
    return _branch(convolution, nodes.protos)


def _branch(convolution: _Convolution, nodes: Sequence[onnx.NodeProto]) -> onnx.GraphProto:
    """Return a graph whose output is that of its last node."""
    (result,) = nodes[-1].output
    sizes = [None, convolution.outputs, None, None]
    output = helper.make_tensor_value_info(result, TensorProto.FLOAT, sizes)
    return helper.make_graph(nodes, result, [], [output])


class _Constants:
    """The constants of a graph, without duplicates."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._initializers = graph.initializer
        self._names: set[str] = set()

    def integers(self, *values: int) -> str:
        """Add a vector of int64, and return its name."""
        return self._named(f"winograd/{'_'.join(map(str, values))}", np.array(values, np.int64))

    def kronecker(self, rows: Sequence[Sequence[float]], shape: tuple[int, ...] = ()) -> str:
        """Add the matrix that maps X to M X M^T, both row by row, and return its name.

        M is the matrix of these `rows`.
        """
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
    """A list of nodes; their outputs are named under `prefix`."""

    prefix: str
    protos: list[onnx.NodeProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        name = f"{self.prefix}/{operator}_{len(self.protos)}"
        self.protos.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name
