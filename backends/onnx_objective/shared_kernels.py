"""Kernels of convolutions stored once, for a network and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .fragment import Fragment


def with_shared_kernels(fragment: Fragment) -> Fragment:
    """Return the fragment with flipped kernels computed from the kernels that they are flipped of.

    The gradient of a convolution is one with the kernel flipped in space and its channel axes
    swapped, which would double the file. Runtimes compute such constants when they load a model.
    """
    arrays = {
        name: numpy_helper.to_array(tensor)
        for name, tensor in fragment.constants.items()
        if len(tensor.dims) > 2 and tensor.data_type in _FLOATS
    }
    originals = {_key(_flipped(array)): name for name, array in reversed(arrays.items())}
    shared = Fragment(fragment.label)
    kept = dict(fragment.constants)
    order = list(arrays)
    for name, array in arrays.items():
        original = originals.get(_key(array))
        if original is not None and order.index(original) < order.index(name):
            del kept[name]
            _add_flip(shared, original, name, array.ndim - 2)
    shared.constants |= kept
    shared.nodes += fragment.nodes
    return shared


_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)


def _add_flip(fragment: Fragment, kernel: str, name: str, spatial: int) -> None:
    """Add the nodes of a flipped kernel, with the given name."""
    swapped, axes = f"{name}.swapped", range(2, 2 + spatial)
    perm = [1, 0, *axes]
    fragment.nodes.append(helper.make_node("Transpose", [kernel], [swapped], swapped, perm=perm))
    bounds = {
        "last": [-1] * spatial,
        "before-first": [np.iinfo(np.int64).min] * spatial,
        "axes": list(axes),
    }
    names = [f"{fragment.label}/flip-{spatial}/{word}" for word in bounds]
    for constant, values in zip(names, bounds.values(), strict=True):
        array = np.array(values, np.int64)
        fragment.constants[constant] = numpy_helper.from_array(array, constant)
    inputs = [swapped, *names, names[0]]  # a step of -1, too
    fragment.nodes.append(helper.make_node("Slice", inputs, [name], name))


def _flipped(kernel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.flip(kernel.swapaxes(0, 1), axis=tuple(range(2, kernel.ndim)))


def _key(array: np.ndarray[Any, Any]) -> tuple[tuple[int, ...], bytes]:
    return array.shape, np.ascontiguousarray(array).tobytes()
