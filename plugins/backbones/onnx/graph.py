"""Feature maps of an ONNX model, and their geometry in the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ....core.errors import WeightsError
from ....core.interfaces.backbone import LayerInfo
from ..geometry import SIZES, Arrangement, Node, Window, geometries, spatial_dimensions
from .inputs import ImageInput, image_inputs
from .reasons import Reasons
from .shapes import Shape, ShapeInference, Shapes, tables
from .subgraphs import uses

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

#: Axes of the height and width of (N, H, W, C).
_CHANNELS_LAST = (1, 2)
#: Largest difference of a map's growth from the image's: windows at the borders take away some
#: positions.
_PROPORTION = 0.06

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
    | {"Transpose", "Unsqueeze", "Squeeze", "Where", "Sign", "Abs", "Reciprocal", "Log", "Sin"}
    | {"Cos", "Floor", "Ceil", "Round", "Not", "And", "Or", "Equal", "Greater", "GreaterOrEqual"}
    | {"Less", "LessOrEqual", "QuantizeLinear", "DequantizeLinear"}
)
_WINDOWED = frozenset({"Conv", "MaxPool", "AveragePool", "LpPool"})


@dataclass(frozen=True)
class OnnxMaps:
    """Layers of a model, in order of depth.

    `stages` are the ends of the network's stages: outputs of activations, sums and concatenations
    that no other path bypasses. The layers `channels_last` are (N, H, W, C). `unusable` are the
    other floating-point values that depend on the image, and why they cannot be layers. `shapes`
    are the element types and dimensions of values for which onnx infers none for images of any
    size, 0 for a dimension that depends on the image.
    """

    image: ImageInput
    layers: tuple[LayerInfo, ...]
    stages: tuple[LayerInfo, ...]
    channels_last: tuple[str, ...]
    unusable: Mapping[str, str]
    shapes: Mapping[str, tuple[int, tuple[int, ...]]]


def feature_maps(model: ModelProto, source: str) -> OnnxMaps:
    """Find the feature maps of a model.

    Raises WeightsError for a model whose input is not one RGB image, or that has no feature maps.
    """
    inputs = image_inputs(model, source)
    constants = tables(model, source)
    layouts = [_maps(model, image, constants) for image in inputs]
    maps = max(layouts, key=lambda maps: len(maps.layers))
    if not maps.layers:
        if maps.image.fixed:
            height, width = maps.image.fixed
            raise WeightsError(
                f"{source}: has no feature maps for images of any size: it is made for images of "
                f"{width}x{height} px alone"
            )
        raise WeightsError(f"{source}: has no feature maps: 4-D values that grow with the image")
    return maps


def _maps(model: ModelProto, image: ImageInput, constants: Mapping[str, list[int]]) -> OnnxMaps:
    inference = ShapeInference(model, image)
    small, large = (inference.shapes(size) for size in SIZES)
    shapes, larger = {**small.other, **small.known}, {**large.other, **large.known}
    layouts = {
        name: layout
        for name, shape in shapes.items()
        if (layout := _layout(shape, larger.get(name)))
    }
    nodes = {
        output: _geometry(node, _settings(node, small), layouts, output, constants)
        for node in model.graph.node
        for output in node.output
        if output
    }
    by_name = geometries(nodes, image.name)
    layers = {
        name: LayerInfo(
            name,
            small.known[name][3 if layouts[name].axes == _CHANNELS_LAST else 1],
            geometry.stride,
            geometry.receptive_field,
            geometry.smallest_side,
            geometry.exact_stride,
        )
        for name, geometry in by_name.items()
        if name in small.known and name in layouts and layouts[name].is_map
    }
    fixed = inference.shapes(image.fixed) if image.fixed else None
    reasons = Reasons(
        image, small, large, fixed, {name: item.axes for name, item in layouts.items()}
    )
    stages = [layers[name] for name in _stage_ends(model, image.name) if name in layers]
    infos = tuple(layers.values())
    return OnnxMaps(
        image,
        infos,
        tuple(stages) or infos,
        tuple(name for name in layers if layouts[name].axes == _CHANNELS_LAST),
        reasons.of_values(model, layers),
        _common(small, large, inference.shapes(SIZES[0], batch=2)),
    )


def _common(small: Shapes, *others: Shapes) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Return element types and shapes, with 0 for dimensions that differ between images."""
    common = {}
    for name, shape in {**small.known, **small.other}.items():
        shapes = [other.known.get(name) or other.other.get(name, ()) for other in others]
        if all(len(other) == len(shape) for other in shapes):
            dims = tuple(
                size if all(other[axis] == size for other in shapes) else 0
                for axis, size in enumerate(shape)
            )
            common[name] = (small.elements[name], dims)
    return common


@dataclass(frozen=True)
class _Layout:
    """A value's number of axes, those of its height and width, their lengths and positions.

    `arranged` is None where the lengths do not grow in proportion to the image. `is_map` is true
    for a value that can be a layer.
    """

    rank: int
    axes: tuple[int, int]
    sides: tuple[int, int]
    arranged: tuple[Arrangement, Arrangement] | None
    is_map: bool


def _layout(small: Shape, large: Shape | None) -> _Layout | None:
    """Return the layout of a value from its shapes for `SIZES`; None if it has no two sides."""
    axes = spatial_dimensions(small, large)
    if axes is None or large is None:
        return None
    directions = []
    for axis, (before, after) in zip(axes, zip(*SIZES, strict=True), strict=True):
        growth, expected = large[axis] / max(small[axis], 1), after / before
        if large[axis] > small[axis] and abs(growth / expected - 1) < _PROPORTION:
            stride = Fraction(after - before, large[axis] - small[axis])
            directions.append(Arrangement(stride, large[axis] * stride - after))
    is_map = len(small) == 4 and small[0] == 1 and axes in ((2, 3), _CHANNELS_LAST)
    both = (directions[0], directions[1]) if len(directions) == 2 else None
    return _Layout(len(small), axes, (large[axes[0]], large[axes[1]]), both, is_map)


def _geometry(
    node: NodeProto,
    settings: Mapping[str, Any],
    layouts: Mapping[str, _Layout],
    output: str,
    constants: Mapping[str, list[int]],
) -> Node:
    """Return the geometry node of one output of an operation.

    If its sides do not grow with the image, it has no positions, so that neither it nor the values
    that depend on it alone are layers. If they are not those of an input, they are arranged anew.
    """
    inputs = tuple(name for name in node.input if name)
    if output not in layouts:
        return Node(inputs, windows=None)
    layout = layouts[output]
    axes = layout.axes  # such as 3 and 4 where channels are a depth
    if node.op_type in _WINDOWED and "kernel_shape" in settings:
        return Node(inputs[:1], (_window(settings, axes[0] - 2), _window(settings, axes[1] - 2)))
    if node.op_type == "Pad" and (padded := _padding(node, settings, axes, constants)):
        return Node(inputs[:1], padded)
    if any(name in layouts and layouts[name].sides == layout.sides for name in inputs):
        return Node(inputs, whole=not _is_pointwise(node, settings, layouts, layout))
    return Node(inputs, arranged=layout.arranged) if layout.arranged else Node(inputs, windows=None)


def _is_pointwise(
    node: NodeProto,
    settings: Mapping[str, Any],
    layouts: Mapping[str, _Layout],
    layout: _Layout,
) -> bool:
    """Return whether a position depends on that position alone, if its sides are an input's."""
    rank, last = layout.rank, max(layout.axes)
    match node.op_type:
        case "Slice":
            return len(node.input) < 5  # steps may reverse the order
        case "LayerNormalization":
            return last < int(settings.get("axis", -1)) % rank
        case "MatMul":
            return last < rank - 1 and node.input[1] not in layouts
    return node.op_type in _POINTWISE or str(node.op_type).startswith("Reduce")


def _settings(node: NodeProto, shapes: Shapes) -> dict[str, Any]:
    """Return a node's attributes, and a convolution's kernel shape where it is implied."""
    import onnx

    kernel = shapes.known.get(node.input[1], ()) if node.op_type == "Conv" else ()
    implied = {"kernel_shape": list(kernel[2:])} if kernel else {}
    stated = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    return implied | stated


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
