"""Feature maps of an ONNX model, and their geometry in the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....core.errors import WeightsError
from ....core.interfaces.backbone import LayerInfo
from ....core.shown import one_line
from ..geometry import SIZES, Node, Window, geometries, spatial_dimensions
from .subgraphs import uses

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

_Shape = tuple[int, ...]

#: Most numbers of a constant from which shapes are inferred; larger ones are weights.
_LARGEST_TABLE = 256

_ACTIVATIONS = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Mish", "HardSwish", "Clip"}
    | {"Softplus", "Sigmoid", "Tanh", "Swish", "ThresholdedRelu"}
)
_JOINS = frozenset({"Add", "Concat", "Mul", "Sum"})
_POINTWISE = (
    _ACTIVATIONS
    | _JOINS
    | {"BatchNormalization", "Cast", "Div", "Dropout", "Erf", "Exp", "HardSigmoid", "Identity"}
    | {"LRN", "Max", "Min", "Neg", "Pow", "Reshape", "Slice", "Softsign", "Split", "Sqrt", "Sub"}
    | {"Transpose", "Unsqueeze", "Squeeze", "Where", "Sign", "Abs", "Reciprocal"}
)
_WINDOWED = frozenset({"Conv", "MaxPool", "AveragePool", "LpPool"})


@dataclass(frozen=True)
class OnnxMaps:
    """Layers of a model, in order of depth.

    `image` is the name of the input. `stages` are the ends of the network's stages: outputs of
    activations, sums and concatenations that no other path bypasses.
    """

    image: str
    layers: tuple[LayerInfo, ...]
    stages: tuple[LayerInfo, ...]


def feature_maps(model: ModelProto, source: str) -> OnnxMaps:
    """Find the feature maps of a model.

    Raises WeightsError for a model whose input is not one RGB image, or that has no feature maps.
    """
    image = _image_input(model, source)
    slim, tables = _without_weights(model), _tables(model, source)
    shapes = [_shapes(slim, image, size, source) for size in SIZES]
    spatial = {
        name: spatial_dimensions(shape, shapes[1].get(name)) for name, shape in shapes[0].items()
    }
    sides = {
        name: tuple(shapes[1][name][axis] for axis in axes)
        for name, axes in spatial.items()
        if axes
    }
    nodes = {
        output: _geometry(node, sides, spatial.get(output) or (2, 3), output, tables)
        for node in model.graph.node
        for output in node.output
        if output
    }
    layers = {
        name: LayerInfo(
            name,
            shapes[0][name][1],
            geometry.stride,
            geometry.receptive_field,
            geometry.smallest_side,
        )
        for name, geometry in geometries(nodes, image).items()
        if len(shapes[0].get(name, ())) == 4 and spatial.get(name) == (2, 3)
    }
    if not layers:
        raise WeightsError(f"{source}: has no feature maps: 4-D values that grow with the image")
    stages = [layers[name] for name in _stage_ends(model, image) if name in layers]
    infos = tuple(layers.values())
    return OnnxMaps(image, infos, tuple(stages) or infos)


def _image_input(model: ModelProto, source: str) -> str:
    import onnx

    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) == 1:
        tensor = inputs[0].type.tensor_type
        sizes = [dim.dim_value for dim in tensor.shape.dim]
        if len(sizes) == 4 and sizes[1] in (0, 3) and tensor.elem_type == onnx.TensorProto.FLOAT:
            return str(inputs[0].name)
    raise WeightsError(f"{source}: should have one input, an image (N, 3, H, W) in float32")


def _without_weights(model: ModelProto) -> ModelProto:
    """Copy a model for shape inference: large weights become inputs, stated shapes are dropped."""
    import onnx

    slim = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    slim.graph.name = "shapes"
    slim.graph.node.extend(model.graph.node)
    slim.graph.input.extend(model.graph.input)
    inputs = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if _is_table(tensor):
            slim.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            slim.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    for output in model.graph.output:
        slim.graph.output.append(onnx.ValueInfoProto(name=output.name))
    return slim


def _is_table(tensor: TensorProto) -> bool:
    count = 1
    for size in tensor.dims:
        count *= size
    return count <= _LARGEST_TABLE and not tensor.external_data


def _tables(model: ModelProto, source: str) -> dict[str, list[int]]:
    """Small integer constants, such as the widths of paddings, by name."""
    import onnx

    constants = {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    constants |= {tensor.name: tensor for tensor in model.graph.initializer}
    try:
        return {
            name: onnx.numpy_helper.to_array(tensor).flatten().tolist()
            for name, tensor in constants.items()
            if tensor.data_type == onnx.TensorProto.INT64 and _is_table(tensor)
        }
    except (ValueError, TypeError) as error:  # fewer numbers than the shape has
        raise WeightsError(f"{source}: damaged, a constant cannot be read ({error})") from None


def _shapes(slim: ModelProto, image: str, size: tuple[int, int], source: str) -> dict[str, _Shape]:
    """Known shapes of the floating-point values, by name, for an image of this size."""
    import onnx

    for graph_input in slim.graph.input:
        if graph_input.name == image:
            dims = graph_input.type.tensor_type.shape.dim
            for dim, length in zip(dims, (1, 3, *size), strict=True):
                dim.dim_value = length
    try:
        inferred = onnx.shape_inference.infer_shapes(slim, data_prop=True)
    except Exception as error:  # the C++ code's errors have no common base
        line = one_line(str(error), 120)
        raise WeightsError(f"{source}: its shapes cannot be inferred ({line})") from None
    values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    return {value.name: shape for value in values if (shape := _known_shape(value)) is not None}


def _known_shape(value: ValueInfoProto) -> _Shape | None:
    import onnx

    tensor = value.type.tensor_type
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    if tensor.elem_type not in floats or not tensor.HasField("shape"):
        return None
    sizes = tuple(dim.dim_value for dim in tensor.shape.dim)
    return sizes if all(size > 0 for size in sizes) else None


def _geometry(
    node: NodeProto,
    sides: Mapping[str, _Shape],
    axes: tuple[int, int],
    output: str,
    tables: Mapping[str, list[int]],
) -> Node:
    """Return the geometry node of one output of an operation.

    `axes` are those of the output's height and width, such as 3 and 4 where channels are a depth.
    If the arrangement of its positions is unknown, it has none, so that neither it nor the values
    that depend on it alone are layers.
    """
    inputs = tuple(name for name in node.input if name)
    if output not in sides:
        return Node(inputs, windows=None)
    settings = {attribute.name: _value(attribute) for attribute in node.attribute}
    if node.op_type in _WINDOWED and "kernel_shape" in settings:
        return Node(inputs[:1], (_window(settings, axes[0] - 2), _window(settings, axes[1] - 2)))
    if node.op_type == "Pad" and (padded := _padding(node, settings, axes, tables)):
        return Node(inputs[:1], padded)
    if any(sides.get(name) == sides[output] for name in inputs):
        return Node(inputs, whole=node.op_type not in _POINTWISE)
    return Node(inputs, windows=None)


def _value(attribute: Any) -> Any:
    import onnx

    return onnx.helper.get_attribute_value(attribute)


def _window(settings: Mapping[str, Any], direction: int) -> Window:
    kernel, count = settings["kernel_shape"][direction], len(settings["kernel_shape"])
    ones, zeros = (1,) * count, (0,) * 2 * count
    dilation = settings.get("dilations", ones)[direction]
    before, after = (settings.get("pads", zeros)[i] for i in (direction, direction + count))
    if settings.get("auto_pad") in (b"SAME_UPPER", b"SAME_LOWER"):
        # One position for each stride that begins: the padding depends on the input's size, the
        # part that a position sees does not.
        extent = dilation * (kernel - 1)
        before, after = extent // 2, extent - extent // 2
    return Window(
        kernel=kernel,
        stride=settings.get("strides", ones)[direction],
        before=before,
        after=after,
        dilation=dilation,
        ceil=bool(settings.get("ceil_mode", 0)),
    )


def _padding(
    node: NodeProto,
    settings: Mapping[str, Any],
    axes: tuple[int, int],
    tables: Mapping[str, list[int]],
) -> tuple[Window, Window] | None:
    widths = settings.get("pads") or tables.get(node.input[1] if len(node.input) > 1 else "")
    if widths is None or len(widths) <= 2 * axes[1] or len(node.input) > 3:
        return None
    reflected, rank = settings.get("mode") == b"reflect", len(widths) // 2
    vertical, horizontal = (
        Window(
            before=widths[axis],
            after=widths[axis + rank],
            least=1 + max(widths[axis], widths[axis + rank], 0) if reflected else 1,
        )
        for axis in axes
    )
    return vertical, horizontal


def _stage_ends(model: ModelProto, image: str) -> Iterator[str]:
    """Yield the outputs of activations and joins through which all later nodes see the image."""
    nodes = model.graph.node
    last_use = {name: index for index, node in enumerate(nodes) for name in uses(node)}
    computed = {image}  # values that depend on the image
    latest = last_use.get(image, -1)
    for index, node in enumerate(nodes):
        if not computed & uses(node):
            continue
        if latest <= index and node.op_type in _ACTIVATIONS | _JOINS:
            yield node.output[0]
        computed.update(node.output)
        latest = max(latest, *(last_use.get(name, -1) for name in node.output))
