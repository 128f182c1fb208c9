"""Models of single operators, run by ONNX Runtime, and their gradients beside torch.autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from stylectl.backends.onnx_gradient import cotangent_name, differentiate
from torch import Tensor

Function = Callable[[Tensor], Tensor]
Array = np.ndarray[Any, Any]

# ONNX Runtime's kernels for the CPU are float32. An element is a sum of at most some hundred
# products here, each rounded by 6e-8: a few times that, relative to the norm of the whole.
FLOAT32 = 2e-6

DYNAMIC = ("N", 4, "H", "W")


def values(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def integers(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def build(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, Array] = {},
    dims: tuple[int | str | None, ...] = DYNAMIC,
    opset: int = 18,
    output_rank: int | None = None,
    element: int = onnx.TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model from `image` to `out`."""
    rank = len(dims) if output_rank is None else output_rank
    graph = helper.make_graph(
        nodes,
        "forward",
        [helper.make_tensor_value_info("image", element, dims)],
        [helper.make_tensor_value_info("out", element, [None] * rank)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def run(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = {each.name for each in session.get_inputs()}
    names = [each.name for each in session.get_outputs()]
    found = session.run(names, {key: each for key, each in inputs.items() if key in wanted})
    return dict(zip(names, found, strict=True))


def gradient(
    model: onnx.ModelProto, image: Array, cotangent: Array, on_cpu: bool
) -> tuple[Array, Array]:
    models = differentiate(model, on_cpu=on_cpu)
    forward = run(models.forward, {"image": image})
    given = forward | {"image": image, cotangent_name("out"): cotangent}
    return forward["out"], run(models.backward, given)[cotangent_name("image")]


def error(got: Array, expected: Tensor) -> float:
    wanted = expected.detach().double().numpy()
    assert got.shape == wanted.shape
    scale = float(np.linalg.norm(wanted)) or 1.0
    return float(np.linalg.norm(got.astype(np.float64) - wanted)) / scale


def check(
    model: onnx.ModelProto,
    function: Function,
    *shape: int,
    image: Array | None = None,
    tolerance: float = FLOAT32,
) -> None:
    """The model is the function, and so is its gradient."""
    image = values(*shape) if image is None else image
    leaf = torch.from_numpy(image).double().requires_grad_()
    expected = function(leaf)
    cotangent = values(*expected.shape, seed=1)
    (pulled,) = torch.autograd.grad(expected, leaf, torch.from_numpy(cotangent).double())
    for on_cpu in (True, False):
        output, found = gradient(model, image, cotangent.astype(image.dtype), on_cpu)
        assert error(output, expected) < tolerance
        assert error(found, pulled) < tolerance


def node(operator: str, *inputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, ["image", *inputs], ["out"], "tested", **attributes)


def double(array: Array) -> Tensor:
    return torch.from_numpy(np.asarray(array)).double()
