from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.backends.pytorch.fast_convolution import FastConvolution, suitable
from stylectl.backends.pytorch.options import TorchOptions
from stylectl.backends.pytorch.winograd import adjoint, convolve, transformed
from stylectl.core.interfaces.backbone import Backbone
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from torch import Tensor, nn
from torch.nn import functional

#: The transforms multiply by up to 8 in each direction and divide again: a few tens of float32's
#: 6e-8, and that of sums of hundreds of products.
CLOSE = 2e-5


def off(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(shape, generator=generator)
    return maps.contiguous(memory_format=torch.channels_last) if maps.dim() == 4 else maps


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    inputs=st.integers(1, 9),
    outputs=st.integers(1, 9),
    # The larger ones take several strips.
    height=st.one_of(st.integers(3, 14), st.integers(90, 101)),
    width=st.one_of(st.integers(3, 14), st.integers(90, 101)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)
def test_it_is_the_convolution_and_its_transpose(
    batch: int, inputs: int, outputs: int, height: int, width: int, padding: tuple[int, int]
) -> None:
    x, kernel, bias = (
        random(batch, inputs, height, width),
        random(outputs, inputs, 3, 3, seed=1),
        random(outputs, seed=2),
    )
    expected = functional.conv2d(x.double(), kernel.double(), bias.double(), padding=padding)
    ready = transformed(kernel, bias)
    got = convolve(x, ready, padding)
    assert got.shape == expected.shape
    assert off(got, expected) <= CLOSE
    gradient = random(*expected.shape, seed=3)
    expected = functional.conv_transpose2d(gradient.double(), kernel.double(), padding=padding)
    got = adjoint(gradient, ready, padding)
    assert got.shape == x.shape
    assert off(got, expected) <= CLOSE


def test_what_comes_out_is_channels_last() -> None:
    kernel = transformed(random(4, 3, 3, 3), None)
    for size in ((8, 8), (9, 13)):  # of whole tiles, and of parts
        maps = convolve(random(1, 3, *size), kernel, (1, 1))
        back = adjoint(maps, kernel, (1, 1))
        for each in (maps, back):
            assert each.is_contiguous(memory_format=torch.channels_last)
            # torch lays out what it makes of it by this.
            assert torch.empty_like(each).stride() == each.stride()


@pytest.mark.parametrize("mode", ["zeros", "replicate", "reflect", "circular"])
@pytest.mark.parametrize("side", [40, 8])  # by Winograd's algorithm, and directly
def test_a_fast_convolution_pads_as_the_direct_one_does(
    mode: Literal["zeros", "reflect", "replicate", "circular"], side: int
) -> None:
    direct = nn.Conv2d(128, 256, 3, padding=1, padding_mode=mode).requires_grad_(False)
    assert suitable(direct)
    x = random(1, 128, side, side + 3)
    assert off(FastConvolution(direct)(x), direct.double()(x.double())) <= CLOSE


def test_a_convolution_needs_no_bias() -> None:
    direct = nn.Conv2d(128, 256, 3, padding=1, bias=False).requires_grad_(False)
    x = random(1, 128, 40, 40)
    assert off(FastConvolution(direct)(x), direct(x)) <= CLOSE


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(256, 256, 5, padding=1),
        nn.Conv2d(256, 256, 3, padding=0),
        nn.Conv2d(256, 256, 3, padding=1, stride=2),
        nn.Conv2d(256, 256, 3, padding=1, dilation=2),
        nn.Conv2d(256, 256, 3, padding=1, groups=2),
        nn.Conv2d(256, 256, 3, padding=1, dtype=torch.float64),
        nn.Conv2d(64, 256, 3, padding=1),
        nn.ReLU(),
    ],
)
def test_others_are_left_as_they_are(convolution: nn.Module) -> None:
    assert not suitable(convolution)


@pytest.mark.parametrize("padding", ["zeros", "replicate", "reflect", "circular"])
def test_vgg19_is_as_accurate_as_the_direct_way(padding: str) -> None:
    """At a size where all layers with many channels, but the deepest, take the fast way."""
    network = VGG19(VGG19Options.model_validate({"padding": padding}))
    layers = ["relu1_1", "relu3_1", "relu4_2", "relu5_1"]
    image = random(1, 3, 224, 250).abs() / 4
    exact = _gradients(network, layers, image, torch.float64)
    fast, direct = (
        _by_backend(network, layers, image, TorchOptions(device="cpu", convolution=convolution))
        for convolution in ("auto", "direct")
    )
    # The gradient jumps where rounding turns a rectifier or a maximum over, in torch's own
    # convolutions as well: most of either distance to float64 is that. Four times the rounding
    # turns a few more over.
    assert off(fast, exact) <= off(direct, exact) + 5e-4
    assert not torch.equal(fast, direct)


def _cotangents(features: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: random(*value.shape) / value.numel() for name, value in features.items()}


def _gradients(network: Backbone, layers: list[str], image: Tensor, dtype: torch.dtype) -> Tensor:
    trunk = network.trunk(layers).to(dtype)
    leaf = image.to(dtype).requires_grad_()
    features = trunk(leaf)
    cotangents = _cotangents(features)
    loss = sum((features[name] * cotangents[name]).sum() for name in layers)
    assert isinstance(loss, Tensor)
    return torch.autograd.grad(loss, leaf)[0]


def _by_backend(
    network: Backbone, layers: list[str], image: Tensor, options: TorchOptions
) -> Tensor:
    with TorchBackend(network, layers, options) as backend:
        features, pullback = backend.vjp(image)
        return pullback(_cotangents(dict(features)))
