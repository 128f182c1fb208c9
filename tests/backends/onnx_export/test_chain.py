from collections.abc import Iterable

import onnx
import pytest
import torch
from stylectl.backends.onnx_export.chain import chain_model
from stylectl.backends.onnx_export.check import check_model
from stylectl.core.interfaces.backbone import LayerInfo
from stylectl.core.interfaces.trunk import ChainTrunk
from torch import nn

IMAGE = "image"
#: Of the images that exported models are compared with torch on, the smallest side.
DEEPEST = LayerInfo("b", channels=4, stride=4, receptive_field=20)


def chain(*steps: tuple[str, nn.Module]) -> ChainTrunk:
    return ChainTrunk(steps, mean=(0.4, 0.5, 0.6), scale=(0.2, 0.3, 0.1))


def plain_chains() -> Iterable[tuple[str, ChainTrunk]]:
    yield (
        "vgg-like",
        chain(
            ("", nn.Conv2d(3, 4, 3, padding=1)),
            ("a", nn.ReLU()),
            ("", nn.MaxPool2d(2)),
            ("", nn.Conv2d(4, 6, (3, 5), padding=(1, 2), bias=False)),
            ("", nn.ReLU()),
            ("b", nn.AvgPool2d(2)),
        ),
    )
    yield "ends in a convolution", chain(("b", nn.Conv2d(3, 6, 1)))
    yield "grouped and dilated", chain(("b", nn.Conv2d(3, 6, 3, padding=2, dilation=2, groups=3)))
    yield "by three", chain(("a", nn.MaxPool2d(3)), ("b", nn.ReLU()))
    yield "like an inner name", chain(("conv_2", nn.Conv2d(3, 4, 1)), ("b", nn.Conv2d(4, 4, 1)))
    yield "reflect", chain(("b", nn.Conv2d(3, 4, 5, padding=2, padding_mode="reflect")))
    yield "replicate", chain(("b", nn.Conv2d(3, 4, 3, padding=1, padding_mode="replicate")))
    yield "circular", chain(("b", nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("trunk", [pytest.param(chain, id=name) for name, chain in plain_chains()])
def test_a_plain_chain_is_written_as_torch_computes_it(trunk: ChainTrunk, half: bool) -> None:
    trunk = trunk.to(torch.float16 if half else torch.float32)
    model = chain_model(trunk, trunk.layers, IMAGE, opset=19)
    assert model is not None
    onnx.checker.check_model(model, full_check=True)
    check_model(model, trunk, DEEPEST)  # raises where they differ
    known = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    assert [output.name for output in known.graph.output] == list(trunk.layers)
    trunk.float()


def test_steps_behind_the_layers_are_left_out() -> None:
    trunk = chain(("a", nn.Conv2d(3, 4, 1)), ("b", nn.Conv2d(4, 5, 1)))
    model = chain_model(trunk, ["a"], IMAGE, opset=18)
    assert model is not None
    assert [node.op_type for node in model.graph.node] == ["Sub", "Div", "Conv"]


class Derived(ChainTrunk):
    pass


class OwnConvolution(nn.Conv2d):
    pass


@pytest.mark.parametrize(
    "trunk",
    [
        pytest.param(chain(("a", nn.Conv2d(3, 4, 3))), id="smaller"),
        pytest.param(chain(("a", nn.Conv2d(3, 4, 3, padding=1, stride=2))), id="strided"),
        pytest.param(chain(("a", nn.Conv2d(3, 4, 3, padding="same"))), id="by word"),
        pytest.param(chain(("a", nn.MaxPool2d(2, ceil_mode=True))), id="rounded up"),
        pytest.param(chain(("a", nn.MaxPool2d(3, 2))), id="overlapping"),
        pytest.param(chain(("a", nn.AvgPool2d(2, padding=1))), id="padded pool"),
        pytest.param(chain(("a", nn.Tanh())), id="another operator"),
        pytest.param(chain(("a", OwnConvolution(3, 4, 1))), id="somebody's own step"),
        pytest.param(Derived([("a", nn.ReLU())], (0, 0, 0), (1, 1, 1)), id="derived"),
        pytest.param(nn.Identity(), id="no chain"),
    ],
)
def test_what_is_not_plain_is_left_to_the_exporter(trunk: ChainTrunk) -> None:
    assert chain_model(trunk, ["a"], IMAGE, opset=18) is None
