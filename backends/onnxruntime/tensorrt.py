"""TensorRT, which compiles a model for ranges of sizes: the ranges, and the engines' folder."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch

from ..disk_cache import key_of, mark_used, private_folder
from ..offline import import_onnxruntime
from ..onnx_export.export import IMAGE
from .session import Provider

onnxruntime = import_onnxruntime()

NAME = "TensorrtExecutionProvider"

#: Sizes of an input.
Shape = tuple[int, ...]


@dataclass(frozen=True)
class ShapeRange:
    """The smallest and the largest sizes of an input, and those to optimise for (`best`)."""

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
    """Return the providers, the first being TensorRT, with a folder for its engines and timings.

    The folder lies in `folder`, and is named by what engines depend on: the model (its key), ONNX
    Runtime, TensorRT (its version) and the GPU. With `ranges` for all inputs whose sizes vary,
    engines are compiled for those; without, for the sizes that occur, and again whenever a larger
    or smaller one occurs. An engine is code that is executed: no other user may enter its folder.
    Raises OSError.
    """
    (name, options), *others = providers
    gpu = torch.cuda.get_device_properties(int(options["device_id"]))
    key = key_of(model, onnxruntime.__version__, version, gpu.name, gpu.major, gpu.minor)
    private_folder(folder)
    engines = str(private_folder(folder / key))
    mark_used(folder / key)
    cache_options = {"trt_engine_cache_path": engines, "trt_timing_cache_path": engines}
    return ((name, {**options, **cache_options, **profile_options(ranges)}), *others)


def profile_options(ranges: Mapping[str, ShapeRange]) -> dict[str, str]:
    """Return the ranges as options of the provider: ``image:1x3x64x48,relu1_1:1x64x64x48``."""
    if not ranges:
        return {}

    def listed(field: str) -> str:
        shapes = {name: getattr(shape_range, field) for name, shape_range in ranges.items()}
        return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())

    return {
        "trt_profile_min_shapes": listed("smallest"),
        "trt_profile_max_shapes": listed("largest"),
        "trt_profile_opt_shapes": listed("best"),
    }


def shape_ranges(
    forward: onnx.ModelProto, sizes: Sequence[tuple[int, int]]
) -> dict[str, ShapeRange]:
    """Return the ranges of the shapes of the forward model's input and outputs, by name.

    They are for one image at a time of any of the `sizes` (height, width); the last one counts
    most. Shapes that shape inference cannot determine are left out.
    """
    shapes_by_size = [_shapes_at(forward, *size) for size in sizes]
    return {
        name: ShapeRange(
            smallest=tuple(map(min, *(shapes[name] for shapes in shapes_by_size), shape)),
            largest=tuple(map(max, *(shapes[name] for shapes in shapes_by_size), shape)),
            best=shape,
        )
        for name, shape in shapes_by_size[-1].items()
        if all(name in shapes for shapes in shapes_by_size)
    }


def _shapes_at(forward: onnx.ModelProto, height: int, width: int) -> dict[str, Shape]:
    model = onnx.ModelProto()
    model.CopyFrom(forward)
    (image,) = (value for value in model.graph.input if value.name == IMAGE)
    for dimension, size in zip(
        image.type.tensor_type.shape.dim, (1, 3, height, width), strict=True
    ):
        dimension.dim_value = size
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {}
    for value in (*inferred.input, *inferred.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(
            dimension.HasField("dim_value") for dimension in dimensions
        ):
            shapes[value.name] = tuple(dimension.dim_value for dimension in dimensions)
    return shapes


def version_of(library: Path) -> str:
    """Return the version of TensorRT that the provider's library is linked with, or "unknown"."""
    try:
        return str(ctypes.CDLL(str(library)).getInferLibVersion())
    except (AttributeError, OSError):  # some systems do not search a library's dependencies
        return "unknown"
