from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from stylectl.backends.onnx_export.check import check_model
from stylectl.backends.onnx_export.export import export_trunk, save_model, weights_hash
from stylectl.core.errors import BackendError, OutputError
from stylectl.core.interfaces.backbone import Backbone, LayerInfo
from stylectl.core.interfaces.trunk import ChainTrunk, Trunk
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from torch import Tensor, nn

LAYERS = ("relu1_1", "relu2_1", "relu3_1")


class Tiny(Backbone):
    name = "tiny"
    layers: tuple[LayerInfo, ...] = (LayerInfo("relu1", channels=4, stride=2, receptive_field=3),)
    aliases = {}  # noqa: RUF012
    default_content_layers = default_style_layers = {"relu1": 1.0}  # noqa: RUF012

    def trunk(self, layers: Collection[str]) -> Trunk:
        convolution = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        with torch.no_grad():
            values = torch.linspace(-1, 1, convolution.weight.numel())
            convolution.weight.copy_(values.view_as(convolution.weight))
            convolution.bias.fill_(0.1)  # type: ignore[union-attr]
        return ChainTrunk([("", convolution), ("relu1", nn.ReLU())], (0.5,) * 3, (1, 1, 1))


@pytest.fixture(scope="module")
def vgg() -> tuple[onnx.ModelProto, Trunk]:
    backbone = VGG19(VGG19Options())
    trunk = backbone.trunk(LAYERS)
    return export_trunk(trunk, backbone, LAYERS), trunk


@pytest.fixture(scope="module")
def tiny() -> tuple[onnx.ModelProto, Trunk]:
    trunk = Tiny().trunk(["relu1"])
    return export_trunk(trunk, Tiny(), ["relu1"]), trunk


def test_the_graph_is_the_networks_own(vgg: tuple[onnx.ModelProto, Trunk]) -> None:
    operators = [each.op_type for each in vgg[0].graph.node]
    convolution, pool = ["Conv", "Relu"], ["MaxPool"]
    assert operators == [
        "Sub",
        "Div",
        *convolution * 2,
        *pool,
        *convolution * 2,
        *pool,
        *convolution,
    ]


def test_names_and_sizes_are_readable(vgg: tuple[onnx.ModelProto, Trunk]) -> None:
    graph = vgg[0].graph

    def described(value: onnx.ValueInfoProto) -> tuple[str, list[str | int]]:
        dims = value.type.tensor_type.shape.dim
        return value.name, [each.dim_param or each.dim_value for each in dims]

    assert [described(each) for each in graph.input] == [("image", ["batch", 3, "height", "width"])]
    assert [described(each) for each in graph.output] == [
        ("relu1_1", ["batch", 64, "height", "width"]),
        ("relu2_1", ["batch", 128, "(height//2)", "(width//2)"]),
        ("relu3_1", ["batch", 256, "(height//4)", "(width//4)"]),
    ]


def test_the_file_says_what_it_is(vgg: tuple[onnx.ModelProto, Trunk]) -> None:
    model, trunk = vgg
    said = {each.key: each.value for each in model.metadata_props}
    assert said["stylectl.backbone"] == "vgg19"
    assert said["stylectl.layers"] == ",".join(LAYERS)
    assert said["stylectl.weights_sha256"] == weights_hash(trunk)
    assert said["stylectl.preprocessing"] == "none"
    assert said["stylectl.version"]


def test_the_file_does_not_name_this_machines_files(vgg: tuple[onnx.ModelProto, Trunk]) -> None:
    assert str(Path(__file__).parents[3]).encode() not in vgg[0].SerializeToString()
    assert b".py" not in vgg[0].SerializeToString()


def test_a_saved_model_runs_in_plain_onnx_runtime(
    vgg: tuple[onnx.ModelProto, Trunk], tmp_path: Path
) -> None:
    model, trunk = vgg
    save_model(model, tmp_path / "vgg.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["vgg.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "vgg.onnx")
    for shape in ((1, 3, 33, 47), (2, 3, 16, 17)):
        image = np.random.default_rng(0).random(shape, np.float32)
        found = session.run(None, {"image": image})
        for layer, got in zip(LAYERS, found, strict=True):
            expected = trunk(torch.from_numpy(image))[layer]
            # Sums in another order, over a few layers.
            np.testing.assert_allclose(got, expected.numpy(), rtol=1e-4, atol=1e-3)


def test_an_exact_model_passes_the_comparison(vgg: tuple[onnx.ModelProto, Trunk]) -> None:
    distances = check_model(*vgg, VGG19(VGG19Options()).deepest(LAYERS))
    assert set(distances) == set(LAYERS)
    assert max(distances.values()) < 1e-6


def test_a_wrong_model_fails_it(tiny: tuple[onnx.ModelProto, Trunk]) -> None:
    model, trunk = tiny
    other = Tiny().trunk(["relu1"])
    next(other.parameters()).data.mul_(1.001)
    check_model(model, trunk, Tiny.layers[0])
    with pytest.raises(BackendError, match=r"differs from torch by .* at the layer relu1"):
        check_model(model, other, Tiny.layers[0])


def test_half_precision_is_close(tiny: tuple[onnx.ModelProto, Trunk]) -> None:
    trunk = Tiny().trunk(["relu1"]).half()
    model = export_trunk(trunk, Tiny(), ["relu1"])
    assert {each.data_type for each in model.graph.initializer if len(each.dims) == 4 and
            each.dims[0] == 4} == {onnx.TensorProto.FLOAT16}  # fmt: skip
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    check_model(model, trunk, Tiny.layers[0])
    check_model(model, tiny[1].half(), Tiny.layers[0])


class Branched(Trunk):
    """A network whose layers are called like values that torch's exporter names by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3, padding=1)
        nn.init.constant_(self.convolution.weight, 0.1)

    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        x = self.convolution(image.to(self.convolution.weight.dtype)).relu()
        return {"relu": x, "add": x + x.sigmoid()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_layers_may_be_called_like_inner_values(dtype: torch.dtype) -> None:
    trunk = Branched().to(dtype)
    backbone = Tiny()
    backbone.layers = tuple(
        LayerInfo(name, channels=4, stride=1, receptive_field=3) for name in ("relu", "add")
    )
    model = export_trunk(trunk, backbone, ["relu", "add"])
    assert [output.name for output in model.graph.output] == ["relu", "add"]
    elements = {output.type.tensor_type.elem_type for output in model.graph.output}
    assert elements == {onnx.TensorProto.FLOAT}
    if dtype != torch.float64:  # of which ONNX Runtime has no convolution
        check_model(model, trunk, backbone.layers[0])


def test_more_weights_than_a_model_can_have_are_an_error() -> None:
    with torch.device("meta"):  # where weights take no memory
        trunk = ChainTrunk([("relu1", nn.Conv2d(3, 2**28, 1))], (0.5,) * 3, (1, 1, 1))
    with pytest.raises(BackendError, match=r"tiny has 4\.3 GB of weights .* can have 2\.1 GB"):
        export_trunk(trunk, Tiny(), ["relu1"])


def test_the_hash_is_of_names_values_and_types() -> None:
    one, same, half = (Tiny().trunk(["relu1"]) for _ in range(3))
    other = Tiny().trunk(["relu1"])
    next(other.parameters()).data[0, 0, 0, 0] += 1e-6
    assert weights_hash(one) == weights_hash(same)
    assert len({weights_hash(one), weights_hash(half.half()), weights_hash(other)}) == 3


class Stubborn(Tiny):
    """Its trunk looks at the pixels to decide what to do, which no graph can."""

    name = "stubborn"

    def trunk(self, layers: Collection[str]) -> Trunk:
        return StubbornTrunk()


class StubbornTrunk(Trunk):
    def forward(self, image: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        return {"relu1": image if image.mean().item() > 0.5 else -image}


def test_a_network_without_an_onnx_form_is_an_error() -> None:
    with pytest.raises(BackendError, match="stubborn has no ONNX form") as raised:
        export_trunk(StubbornTrunk(), Stubborn(), ["relu1"])
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_a_folder_that_is_not_there_is_an_error(
    tiny: tuple[onnx.ModelProto, Trunk], tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(tiny[0], tmp_path / "missing" / "tiny.onnx")
