"""The export of trunks as ONNX models: dynamic batch, height, width; preprocessing inside."""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from ...core.errors import BackendError, OutputError
from ...core.files import whole_file
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.trunk import Trunk
from ..onnx_gradient.subgraphs import renamed
from ..onnx_shapes import check
from .chain import chain_model

#: Name of the models' one input.
IMAGE = "image"
#: Lowest opset with all operators of the models and their gradients; TensorRT 10 supports it.
_OPSET = 18
#: Lowest opset whose padding can wrap around.
_WRAPPING_OPSET = 19
#: Bytes of weights that a model can have: a serialized one has less than 2^31 bytes in all.
_MOST_BYTES = 2_100_000_000
#: Prefix of the outputs' names while torch exports, which gives the same names to other values.
_OUTPUT = "stylectl/layer/"


def export_trunk(trunk: Trunk, backbone: Backbone, layers: Sequence[str]) -> onnx.ModelProto:
    """Return a checked model of a trunk that `backbone` made for `layers` (canonical names).

    The model takes `image`, (N, 3, H, W), float32, RGB, sRGB-encoded in [0, 1], and gives a
    float32 output (N, C, H', W') for each layer, under its name; between them the network has the
    type of the trunk's weights. Raises BackendError when the trunk has no ONNX form, or more
    weights than a model can have.
    """
    size = sum(weight.nbytes for weight in trunk.state_dict().values())
    if size > _MOST_BYTES:
        raise BackendError(
            f"the backbone {backbone.name} has {size / 1e9:.1f} GB of weights up to the layer "
            f"{backbone.deepest(layers).name}, and an ONNX model can have {_MOST_BYTES / 1e9:g} "
            "GB; choose layers that are less deep, or use `backend=torch`"
        )
    model = chain_model(trunk, layers, IMAGE, _opset(trunk)) or _exported(trunk, layers, backbone)
    metadata = {
        "backbone": backbone.name,
        "layers": ",".join(layers),
        "weights_sha256": weights_hash(trunk),
        "preprocessing": "none",  # is left to the caller: the input is RGB in [0, 1]
        "version": version("stylectl"),
    }
    onnx.helper.set_model_props(
        model, {f"stylectl.{key}": value for key, value in metadata.items()}
    )
    check(model)
    return model


def weights_hash(trunk: Trunk) -> str:
    """Return the SHA-256 of the weights' names, types, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name, value in sorted(trunk.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.contiguous().cpu().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Write the model under a temporary name, and move the complete file into place.

    Raises OutputError when that is not possible.
    """
    try:
        with whole_file(path) as temporary:
            temporary.write_bytes(model.SerializeToString(deterministic=True))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from None


class _Outputs(nn.Module):
    """A module that returns the trunk's activations as a tuple in a fixed order, in float32."""

    def __init__(self, trunk: Trunk, layers: Sequence[str]) -> None:
        super().__init__()
        self.trunk, self.layers = trunk, tuple(layers)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        activations = self.trunk(image, self.layers)
        return tuple(activations[layer].float() for layer in self.layers)


def _exported(trunk: Trunk, layers: Sequence[str], backbone: Backbone) -> onnx.ModelProto:
    side = backbone.deepest(layers).smallest_side
    # Odd sizes and two images, since the exporter might take a size of one for a constant.
    example = torch.zeros(2, 3, 4 * side + 15, 5 * side + 17)
    any_size = torch.export.Dim.AUTO
    try:
        with _quietly():
            program = torch.onnx.export(
                _Outputs(trunk, layers).eval(),
                (example,),
                dynamo=True,
                input_names=[IMAGE],
                output_names=[f"{_OUTPUT}{layer}" for layer in layers],
                dynamic_shapes=({0: any_size, 2: any_size, 3: any_size},),
                opset_version=_opset(trunk),
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        reason = (str(root).strip() or type(root).__name__).splitlines()[0]
        raise BackendError(f"the backbone {backbone.name} has no ONNX form: {reason}") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for proto in (model.graph, *model.graph.node, *model.graph.value_info):
        del proto.metadata_props[:]  # names of files and stack traces of this machine
    _name_layers(model.graph, layers)
    _name_sizes(model.graph, backbone)
    return model


def _opset(trunk: Trunk) -> int:
    wraps = any(getattr(module, "padding_mode", "") == "circular" for module in trunk.modules())
    return _WRAPPING_OPSET if wraps else _OPSET


def _name_layers(graph: onnx.GraphProto, layers: Sequence[str]) -> None:
    """Give the outputs the names of the layers, and other names to values that have these."""
    taken = {value for node in graph.node for value in node.output}
    names = {f"{_OUTPUT}{layer}": layer for layer in layers}
    for layer in layers:
        if layer in taken:
            names[layer] = f"{_OUTPUT}before/{layer}"
    nodes = renamed(graph.node, names)
    del graph.node[:]
    graph.node.extend(nodes)
    for info in (*graph.value_info, *graph.output):
        info.name = names.get(info.name, info.name)


def _name_sizes(graph: onnx.GraphProto, backbone: Backbone) -> None:
    """Rename the image's sizes to batch, height and width, from names that torch has generated.

    Raises BackendError when one of them has become a constant.
    """
    sizes = [graph.input[0].type.tensor_type.shape.dim[axis].dim_param for axis in (0, 2, 3)]
    if not all(sizes):
        raise BackendError(f"the backbone {backbone.name} has no ONNX form for images of any size")
    names = dict(zip(sizes, ("batch", "height", "width"), strict=True))
    for value in (*graph.input, *graph.value_info, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_param = re.sub(
                    r"\w+", lambda word: names.get(word[0], word[0]), dimension.dim_param
                )


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence torch's exporter, which warns of its own deprecations and logs its progress."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
