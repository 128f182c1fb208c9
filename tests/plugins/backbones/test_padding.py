"""What the networks see beyond the picture's edges."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import stylectl
import torch
from stylectl.backends.onnxruntime.backend import OnnxBackend
from stylectl.backends.onnxruntime.options import OnnxOptions
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import ImageError, UsageError
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import BackendOptions
from stylectl.core.job.choices import Choice
from stylectl.core.planning.backbones import Backbones
from stylectl.plugins.backbones.padding import Padding
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from stylectl.plugins.manager import load_plugins
from torch import Tensor, nn

EVERY_PADDING = get_args(Padding)
TRACED = ("vgg16", "alexnet", "squeezenet1_1", "resnet50", "torchvision:mobilenet_v3_small")


def backbone_of(name: str, **options: Any) -> Backbone:
    choice = {**Choice.model_validate(name).model_dump(), **options}
    return Backbones(load_plugins().registry).get(Choice.model_validate(choice))[0]


@pytest.fixture
def random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """For torchvision's models, whose own would be a download."""
    from stylectl.plugins.backbones.torchvision import models as torchvision_models
    from stylectl.plugins.backbones.torchvision.weights import TorchvisionWeights

    def assign(network: nn.Module, weights: object, name: str) -> None:
        """Weights that keep the numbers of about one size."""
        network.to_empty(device="cpu").requires_grad_(False)
        generator = torch.Generator().manual_seed(0)
        for key, value in network.state_dict().items():
            if value.dim() == 4:
                value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
            elif value.is_floating_point():
                around_zero = key.endswith(("bias", "mean"))
                low, high = (-0.1, 0.1) if around_zero else (0.5, 1.5)
                value.uniform_(low, high, generator=generator)

    plain = TorchvisionWeights("none", {}, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    monkeypatch.setattr(torchvision_models, "read_weights", lambda *_: plain)
    monkeypatch.setattr(torchvision_models, "assign", assign)


def vgg19(padding: str, **options: Any) -> VGG19:
    return VGG19(VGG19Options.model_validate({"padding": padding, **options}))


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def unevenness(features: Tensor) -> float:
    """How much the positions of a map differ, relative to its values."""
    spread = features - features.mean((2, 3), keepdim=True)
    return float(spread.norm() / features.norm())


# Of float32, 1e-7 in each of a few hundred products and of some layers.
FLAT = 1e-4


@pytest.mark.parametrize("name", ["vgg19", *TRACED])
@pytest.mark.parametrize("padding", ["replicate", "reflect"])
@pytest.mark.usefixtures("random_weights")
def test_a_flat_picture_has_no_border_but_with_zeros(name: str, padding: str) -> None:
    image = torch.tensor([0.8, 0.3, 0.1]).view(1, 3, 1, 1).expand(1, 3, 96, 97)
    padded, usual = backbone_of(name, padding=padding), backbone_of(name)
    layers = [*padded.default_content_layers, *padded.default_style_layers]
    for layer, features in padded.trunk(layers)(image).items():
        assert unevenness(features) < FLAT, layer
    assert max(map(unevenness, usual.trunk(layers)(image).values())) > 0.01


def test_only_the_first_convolution_repeats_the_edge_if_so_asked() -> None:
    image = torch.tensor([0.8, 0.3, 0.1]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    features = vgg19("replicate-first").trunk(["relu1_1", "relu1_2"])(image)
    assert unevenness(features["relu1_1"]) < FLAT
    assert unevenness(features["relu1_2"]) > 0.01


@pytest.mark.parametrize("padding", EVERY_PADDING)
def test_the_interior_does_not_know_the_padding(padding: str) -> None:
    image, layer = noise(64, 64), "relu3_1"
    expected = vgg19("zeros").trunk([layer])(image)[layer]
    features = vgg19(padding).trunk([layer])(image)[layer]
    # A position sees 24 pixels, of which 12 to either side of its own four: three positions.
    assert torch.equal(features[..., 3:-3, 3:-3], expected[..., 3:-3, 3:-3])
    assert torch.equal(features, expected) == (padding == "zeros")


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "torchvision:mobilenet_v3_small"])
@pytest.mark.usefixtures("random_weights")
def test_features_of_a_ring_roll_with_the_picture(name: str) -> None:
    backbone, image, stride = backbone_of(name, padding="circular"), noise(64, 48), 16
    assert backbone.wraps
    layers = list(backbone.default_style_layers)
    features = backbone.trunk(layers)(image)
    rolled = backbone.trunk(layers)(image.roll((stride, 2 * stride), (2, 3)))
    for info in backbone.layers:
        if info.name in layers:
            steps = stride // info.stride, 2 * stride // info.stride
            expected = features[info.name].roll(steps, (2, 3))
            # float32: the same sums, in another order where a kernel handles borders apart.
            assert (rolled[info.name] - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "resnet50"])
def test_a_network_whose_windows_do_not_tile_is_no_ring(name: str) -> None:
    assert not backbone_of(name, padding="circular").wraps


def test_zeros_do_not_wrap() -> None:
    assert not backbone_of("vgg19").wraps
    assert not backbone_of("vgg16").wraps


@pytest.mark.parametrize("name", ["vgg19", "vgg16", "alexnet"])
@pytest.mark.parametrize("padding", EVERY_PADDING)
@pytest.mark.usefixtures("random_weights")
def test_the_smallest_side_is_enough_and_needed(name: str, padding: str) -> None:
    backbone = backbone_of(name, padding=padding)
    for info in (backbone.layers[0], backbone.layers[4], backbone.layers[-1]):
        trunk, side = backbone.trunk([info.name]), info.smallest_side
        assert trunk(noise(side, side))[info.name].numel()
        if side > 1:
            with pytest.raises(RuntimeError):
                assert trunk(noise(side - 1, side))[info.name].numel()


@pytest.mark.parametrize("padding", ["replicate", "circular"])
def test_onnx_runtime_pads_and_differentiates_alike(padding: str) -> None:
    backbone, layers, image = vgg19(padding), ["relu1_1", "relu2_1"], noise(21, 34)
    torch_backend = TorchBackend(backbone, layers, BackendOptions(device="cpu"))
    options = OnnxOptions(device="cpu", gradient="native")
    with OnnxBackend(backbone, layers, options) as onnx_backend:
        expected, expected_pullback = torch_backend.vjp(image)
        features, pullback = onnx_backend.vjp(image)
        # float32, in sums of another order.
        for layer in layers:
            assert (features[layer] - expected[layer]).norm() < 5e-6 * expected[layer].norm()
        wanted, gradient = expected_pullback(expected), pullback(features)
    # A rectifier or a maximum that rounding switches moves a whole element.
    assert (gradient - wanted).norm() < 2e-3 * wanted.norm()


def test_padding_is_an_option_of_a_run() -> None:
    made = [
        stylectl.run(padding=padding, size=48, iterations=2, scales=1, device="cpu")
        for padding in (None, "zeros", "replicate")
    ]
    assert (made[0].image == made[1].image).all()
    assert (made[0].image != made[2].image).any()
    assert made[0].job.backbone.options["padding"] == "zeros"
    assert made[2].job.backbone.options["padding"] == "replicate"


def test_a_mirror_needs_more_than_an_edge() -> None:
    with pytest.raises(ImageError, match="relu5_1, which needs 32 px"):
        stylectl.run(padding="reflect", size=40, iterations=1, device="cpu")


def test_an_unknown_padding_is_an_error_that_names_the_known() -> None:
    with pytest.raises(UsageError, match="padding should be 'zeros', 'replicate-first'"):
        stylectl.run(padding="mirror")
