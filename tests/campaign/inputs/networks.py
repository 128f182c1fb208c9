"""ONNX files that are damaged, hostile or expensive to inspect."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..judge import Attempt, judged
from ..place import Place
from .mutations import damaged
from .samples import with_images
from .weights import pickled


def attempt(random: Random, place: Place) -> Attempt:
    """Give a wrong ONNX file as the backbone."""
    with_images(place)
    model = _network()
    what, change = random.choice(list(CHANGES.items()))
    change(random, model)
    data = model.SerializeToString()
    if random.random() < 0.25:
        damage, data = damaged(random, data)
        what = f"{what}, {damage}"
    elif random.random() < 0.15:
        what, data = "a pickle", pickled(random, place)
    (place.work / "net.onnx").write_bytes(data)
    (place.work / "secret").write_bytes(np.ones(4096, np.float32).tobytes())
    before = place.files()
    backend = random.choice(["onnx", "onnx", "torch"])
    network = ("--backbone", "onnx:net.onnx", "--backend", backend, "--device", "cpu")
    outcome = place.run(
        *("run", "photo.png", "painting.png", *network, "-o", "out.png"),
        *("--size", "32", "--iterations", "2", "--scales", "1"),
    )
    return judged(f"{what}, by {backend}", place, before, outcome, ["out.png"])


def _network() -> onnx.ModelProto:
    weights = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(weights.standard_normal(shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["conv1"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("MaxPool", ["relu1"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pool", "w2"], ["conv2"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    output = helper.make_tensor_value_info("relu2", TensorProto.FLOAT, ["n", 4, "h2", "w2"])
    inputs = [weight("w1", 4, 3, 3, 3), weight("w2", 4, 4, 3, 3)]
    graph = helper.make_graph(nodes, "network", [image], [output], inputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = "stylectl.preprocessing", "torchvision"
    return model


def _insert(model: onnx.ModelProto, *nodes: onnx.NodeProto, result: str = "x") -> None:
    """Put nodes between the first rectifier and the pooling."""
    old = list(model.graph.node)
    old[2].input[0] = result
    del model.graph.node[:]
    model.graph.node.extend([*old[:2], *nodes, *old[2:]])


def _constant(name: str, values: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values)))


def _nothing(random: Random, model: onnx.ModelProto) -> None:
    """Change nothing."""


def _attributes(random: Random, model: onnx.ModelProto) -> None:
    """Give attributes odd numbers."""
    for _ in range(random.randint(1, 3)):
        node = random.choice(model.graph.node)
        if node.attribute:
            attribute = random.choice(node.attribute)
            odd = [-1, 0, 1, 5, 2**31, 2**62]
            values = [random.choice(odd) for _ in range(random.choice([0, 1, 2, 4, 4, 9]))]
            del attribute.ints[:]
            attribute.ints.extend(values)


def _shapes(random: Random, model: onnx.ModelProto) -> None:
    """State other shapes of weights and inputs."""
    tensor = random.choice(model.graph.initializer)
    tensor.dims[random.randrange(4)] = random.choice([-1, 0, 1, 7, 2**40, 2**62])
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[random.randrange(4)].dim_value = random.choice([-1, 0, 1, 2, 4, 2**40])


def _wiring(random: Random, model: onnx.ModelProto) -> None:
    """Rename inputs and outputs of nodes: cycles, missing names, names twice."""
    names = ["image", "conv1", "relu1", "pool", "conv2", "relu2", "w1", "", "missing", "\x1b[31m\n"]
    for _ in range(random.randint(1, 3)):
        node = random.choice(model.graph.node)
        side = random.choice([node.input, node.output])
        side[random.randrange(len(side))] = random.choice(names)


def _operators(random: Random, model: onnx.ModelProto) -> None:
    """Use other operators, of other domains."""
    node = random.choice(model.graph.node)
    node.op_type = random.choice(
        [
            "Loop",
            "If",
            "Scan",
            "NonZero",
            "Einsum",
            "FFT",
            "",
            "x" * 5000,
            "Resize",
            "Dropout",
            "Sin",
        ]
    )
    node.domain = random.choice(["", "", "ai.onnx.ml", "com.microsoft", "evil"])


def _external(random: Random, model: onnx.ModelProto) -> None:
    """Keep weights in files outside of the folder, or at odd offsets."""
    tensor = random.choice(model.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    file = random.choice(
        ["secret", "../../etc/passwd", "/etc/passwd", "missing", "/dev/zero", ".", ""]
    )
    values = {
        "location": file,
        "offset": "0",
        "length": random.choice(["432", "-1", "9" * 30, "x"]),
    }
    values["offset"] = random.choice(["0", "-5", "99999999999999999999", "nan"])
    for key, value in values.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def _expensive(random: Random, model: onnx.ModelProto) -> None:
    """Add nodes whose shapes or constants take for ever to compute."""
    node = helper.make_node
    match random.choice(["dots", "range", "fill", "tile", "expand", "pad", "many"]):
        case "dots":
            _insert(model, node("Einsum", ["relu1"], ["x"], equation="." * 30 + "->" + "." * 30))
        case "range":
            bounds = [
                _constant(name, np.int64(value))
                for name, value in (("a", 0), ("b", 10**12), ("c", 1))
            ]
            total = node("ReduceSum", ["r"], ["s"], keepdims=0)
            cast = node("Cast", ["s"], ["f"], to=TensorProto.FLOAT)
            rest = [total, cast, node("Mul", ["relu1", "f"], ["x"])]
            _insert(model, *bounds, node("Range", ["a", "b", "c"], ["r"]), *rest)
        case "fill":
            shape = _constant("a", np.array([10**6, 10**6]))
            rest = [node("ReduceSum", ["r"], ["s"], keepdims=0), node("Mul", ["relu1", "s"], ["x"])]
            _insert(model, shape, node("ConstantOfShape", ["a"], ["r"]), *rest)
        case "tile":
            _insert(
                model,
                _constant("a", np.array([1, 1, 10**5, 10**5])),
                node("Tile", ["relu1", "a"], ["x"]),
            )
        case "expand":
            _insert(
                model,
                _constant("a", np.array([10**9, 4, 1, 1])),
                node("Expand", ["relu1", "a"], ["x"]),
            )
        case "pad":
            widths = _constant("a", np.array([0, 0, 10**9, 10**9, 0, 0, 10**9, 10**9]))
            _insert(model, widths, node("Pad", ["relu1", "a"], ["x"]))
        case _:
            names = ["relu1", *(f"n{number}" for number in range(3000)), "x"]
            _insert(model, *(node("Relu", [a], [b]) for a, b in pairwise(names)))


def _values(random: Random, model: onnx.ModelProto) -> None:
    """Weights that are not finite, or of another type, or too short."""
    tensor = random.choice(model.graph.initializer)
    match random.choice(["nan", "short", "type", "double"]):
        case "nan":
            values = np.full(numpy_helper.to_array(tensor).shape, np.nan, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        case "short":
            tensor.raw_data = tensor.raw_data[:-9]
        case "type":
            tensor.data_type = random.choice([0, 2, 7, 8, 9, 10, 16, 17, 23, 999])
        case _:
            tensor.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype("f8"), tensor.name)
            )


def _outputs(random: Random, model: onnx.ModelProto) -> None:
    """No output, or one that no node makes; no input; several inputs."""
    match random.choice(["none", "other", "inputless", "two"]):
        case "none":
            del model.graph.output[:]
        case "other":
            model.graph.output[0].name = "nowhere"
        case "inputless":
            del model.graph.input[:]
        case _:
            more = helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])
            model.graph.input.append(more)


CHANGES: dict[str, Callable[[Random, onnx.ModelProto], None]] = {
    "a network": _nothing,
    "odd attributes": _attributes,
    "odd shapes": _shapes,
    "odd wiring": _wiring,
    "odd operators": _operators,
    "external data": _external,
    "expensive nodes": _expensive,
    "odd weights": _values,
    "odd outputs": _outputs,
}
