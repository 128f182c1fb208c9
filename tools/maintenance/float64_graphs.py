"""ONNX models in float64, by ONNX's reference implementation.

ONNX Runtime's convolutions on the CPU have no float64. The reference implementation has, but takes
minutes where torch takes seconds, and fails for some forms of pooling and padding that networks
have: these operators are torch's own here.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from torch import Tensor
from torch.nn import functional

Array = np.ndarray[Any, Any]


def run_in_reference(model: onnx.ModelProto, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the outputs of a model by name; `values` are its inputs, and may be more."""
    evaluator = ReferenceEvaluator(model, new_ops=[Conv, ConvTranspose, MaxPool, Pad])
    names = [output.name for output in model.graph.output]
    inputs = {value.name: values[value.name].numpy() for value in model.graph.input}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, about arrays that are not writable
        outputs = evaluator.run(names, inputs)
    return {
        name: torch.from_numpy(np.array(output))
        for name, output in zip(names, outputs, strict=True)
    }


class Conv(OpRun):
    """ONNX's convolution with stated pads, over two dimensions."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **settings: Any) -> tuple[Array]:
        rows, columns, last_row, last_column = settings["pads"] or (0, 0, 0, 0)
        padded = functional.pad(torch.from_numpy(x), (columns, last_column, rows, last_row))
        output = functional.conv2d(
            padded,
            torch.from_numpy(w),
            None if b is None else torch.from_numpy(b),
            stride=settings["strides"] or 1,
            dilation=settings["dilations"] or 1,
            groups=settings["group"] or 1,
        )
        return (output.numpy(),)


class ConvTranspose(OpRun):
    """ONNX's transposed convolution with stated pads, over two dimensions."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **settings: Any) -> tuple[Array]:
        rows, columns, last_row, last_column = settings["pads"] or (0, 0, 0, 0)
        output = functional.conv_transpose2d(
            torch.from_numpy(x),
            torch.from_numpy(w),
            None if b is None else torch.from_numpy(b),
            stride=settings["strides"] or 1,
            output_padding=settings["output_padding"] or 0,
            dilation=settings["dilations"] or 1,
            groups=settings["group"] or 1,
        )
        return (functional.pad(output, (-columns, -last_column, -rows, -last_row)).numpy(),)


class MaxPool(OpRun):
    """ONNX's max pooling over two dimensions, with the same pads on opposite sides."""

    op_domain = ""

    def _run(self, x: Array, **settings: Any) -> tuple[Array, ...]:
        rows, columns, *_ = settings["pads"] or (0, 0)
        maxima, indices = functional.max_pool2d(
            torch.from_numpy(x),
            settings["kernel_shape"],
            settings["strides"],
            (rows, columns),
            settings["dilations"] or 1,
            bool(settings["ceil_mode"]),
            return_indices=True,
        )
        # torch counts within each plane, ONNX within the whole array.
        planes = torch.arange(x.shape[0] * x.shape[1]).view(*x.shape[:2], 1, 1)
        positions = indices + planes * (x.shape[2] * x.shape[3])
        return (maxima.numpy(), positions.numpy())[: len(self.onnx_node.output)]


class Pad(OpRun):
    """ONNX's padding, also by negative numbers."""

    op_domain = ""

    def _run(
        self,
        x: Array,
        pads: Array,
        value: Array | None = None,
        axes: Array | None = None,
        **settings: Any,
    ) -> tuple[Array]:
        axes = np.arange(x.ndim) if axes is None else axes % x.ndim
        before, after = np.split(pads, 2)
        widths = [(0, 0)] * x.ndim
        kept = [slice(None)] * x.ndim
        for axis, first, last in zip(axes.tolist(), before.tolist(), after.tolist(), strict=True):
            widths[axis] = (max(first, 0), max(last, 0))
            kept[axis] = slice(max(-first, 0), x.shape[axis] - max(-last, 0))
        number: dict[str, Any] = {}
        if settings["mode"] == "constant":
            number["constant_values"] = 0 if value is None else value
        return (np.pad(x[tuple(kept)], widths, settings["mode"], **number).astype(x.dtype),)
