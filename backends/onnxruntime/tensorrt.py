"""TensorRT, which compiles a model for a range of sizes: the sizes, and where engines are kept."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
import torch

from ..disk_cache import key_of, private_folder
from ..onnx_export.export import IMAGE
from .session import Provider

NAME = "TensorrtExecutionProvider"

#: An input's sizes.
Shape = tuple[int, ...]


@dataclass(frozen=True)
class ShapeRange:
    """The smallest and the largest sizes that an input will have, and those that count most."""

    smallest: Shape
    largest: Shape
    best: Shape


def with_engines(
    providers: Sequence[Provider],
    folder: Path,
    model: str,
    version: str,
    ranges: Mapping[str, ShapeRange],
) -> tuple[Provider, ...]:
    """The providers, TensorRT being the first, with its engines and timings in a folder of their
    own in `folder`, by what they depend on: the model (its key), ONNX Runtime, TensorRT (its
    version) and the GPU.

    With `ranges` for all inputs whose sizes vary, engines are compiled for those; without, for what
    comes, and again whenever something larger or smaller comes. An engine is code that is executed:
    nobody else may enter its folder. Raises OSError.
    """
    (name, options), *others = providers
    gpu = torch.cuda.get_device_properties(int(options["device_id"]))
    key = key_of(model, onnxruntime.__version__, version, gpu.name, gpu.major, gpu.minor)
    private_folder(folder)
    place = str(private_folder(folder / key))
    kept = {"trt_engine_cache_path": place, "trt_timing_cache_path": place}
    return ((name, {**options, **kept, **profile_options(ranges)}), *others)


def profile_options(ranges: Mapping[str, ShapeRange]) -> dict[str, str]:
    """The ranges as options of the provider: ``image:1x3x64x48,relu1_1:1x64x64x48``."""
    if not ranges:
        return {}

    def listed(which: str) -> str:
        shapes = {name: getattr(each, which) for name, each in ranges.items()}
        return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())

    return {
        "trt_profile_min_shapes": listed("smallest"),
        "trt_profile_max_shapes": listed("largest"),
        "trt_profile_opt_shapes": listed("best"),
    }


def shape_ranges(
    forward: onnx.ModelProto, sizes: Sequence[tuple[int, int]]
) -> dict[str, ShapeRange]:
    """The shapes of the forward model's input and outputs, by name, for one image at a time of any
    of the `sizes` (height, width); the last one counts most.

    What no shape inference can tell is left out.
    """
    found = [_shapes_at(forward, *size) for size in sizes]
    return {
        name: ShapeRange(
            smallest=tuple(map(min, *(each[name] for each in found), shape)),
            largest=tuple(map(max, *(each[name] for each in found), shape)),
            best=shape,
        )
        for name, shape in found[-1].items()
        if all(name in each for each in found)
    }


def _shapes_at(forward: onnx.ModelProto, height: int, width: int) -> dict[str, Shape]:
    model = onnx.ModelProto()
    model.CopyFrom(forward)
    (image,) = (each for each in model.graph.input if each.name == IMAGE)
    for dimension, size in zip(
        image.type.tensor_type.shape.dim, (1, 3, height, width), strict=True
    ):
        dimension.dim_value = size
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    known = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {}
    for value in (*known.input, *known.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(
            each.HasField("dim_value") for each in dimensions
        ):
            shapes[value.name] = tuple(each.dim_value for each in dimensions)
    return shapes


def version_of(library: Path) -> str:
    """The version of the TensorRT that the provider's library is linked with."""
    try:
        return str(ctypes.CDLL(str(library)).getInferLibVersion())
    except (AttributeError, OSError):  # not every system looks into what a library depends on
        return "unknown"
