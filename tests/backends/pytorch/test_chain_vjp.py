from collections.abc import Iterable

import pytest
import torch
from stylectl.backends.pytorch.backend import autograd_vjp
from stylectl.backends.pytorch.chain_vjp import chain_vjp
from stylectl.core.interfaces.backend import LazyCotangents
from stylectl.core.interfaces.trunk import ChainTrunk
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from torch import Tensor, nn


def random_image(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def cotangents_for(features: dict[str, Tensor]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {
        name: torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in features.items()
    }


def assert_like_autograd(trunk: ChainTrunk, image: Tensor) -> None:
    features, pullback = chain_vjp(trunk, image)
    expected, expected_pullback = autograd_vjp(trunk, image)
    assert features.keys() == expected.keys() == set(trunk.layers)
    for name in features:
        torch.testing.assert_close(features[name], expected[name])
    cotangents = cotangents_for(features)
    gradient, wanted = pullback(cotangents), expected_pullback(cotangents)
    # float64 epsilon is 2e-16; the sums are thousands of terms long, in another order.
    assert (gradient - wanted).norm() <= 1e-12 * wanted.norm()


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("layers", [["relu1_1"], ["relu2_1"], ["relu1_2", "relu4_2", "relu5_1"]])
@pytest.mark.parametrize("size", [(16, 16), (37, 53)])
def test_vgg19_has_the_gradient_that_autograd_gives(
    pooling: str, layers: list[str], size: tuple[int, int]
) -> None:
    options = VGG19Options.model_validate({"pooling": pooling})
    trunk = VGG19(options).trunk(layers).to(torch.float64)
    assert isinstance(trunk, ChainTrunk)
    assert_like_autograd(trunk, random_image(*size))


def test_vgg19s_gradient_agrees_with_central_differences() -> None:
    trunk = VGG19(VGG19Options()).trunk(["relu2_1"]).to(torch.float64)
    assert isinstance(trunk, ChainTrunk)
    image, direction = random_image(16, 16), random_image(16, 16).flip(3) - 0.5
    features, pullback = chain_vjp(trunk, image)
    cotangents = cotangents_for(features)
    slope = (pullback(cotangents) * direction).sum().item()
    step = 1e-7  # so small that no rectifier switches; rounding is then 1e-16 / 1e-7 of the value
    ends = [trunk(image + sign * step * direction)["relu2_1"] for sign in (1, -1)]
    expected = ((ends[0] - ends[1]) * cotangents["relu2_1"]).sum().item() / (2 * step)
    assert slope == pytest.approx(expected, rel=1e-6)


def convolution(inputs: int, outputs: int, **settings: object) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, dtype=torch.float64, **settings)  # type: ignore[arg-type]


def chains() -> Iterable[tuple[str, list[tuple[str, nn.Module]]]]:
    yield "strided", [("", convolution(3, 4, kernel_size=3, stride=2)), ("a", nn.ReLU())]
    yield "dilated", [("a", convolution(3, 4, kernel_size=3, dilation=2, padding=1))]
    yield "grouped", [("a", convolution(3, 6, kernel_size=5, groups=3, stride=3, padding=2))]
    yield "by word", [("a", convolution(3, 4, kernel_size=3, padding="same"))]
    for mode in ("replicate", "reflect", "circular"):
        around = {"padding_mode": mode, "padding": (3, 2)}
        yield f"{mode}, wide", [("a", convolution(3, 4, kernel_size=5, **around))]
        yield (
            f"{mode}, strided, within a chain",
            [
                ("", convolution(3, 4, kernel_size=3, padding=1, padding_mode=mode)),
                ("a", nn.ReLU()),
                ("b", convolution(4, 4, kernel_size=(3, 5), stride=2, groups=2, **around)),
                ("", nn.ReLU()),
                ("c", convolution(4, 2, kernel_size=1, padding_mode=mode)),
            ],
        )
    yield (
        "a rectifier of a layer",
        [
            ("a", convolution(3, 4, kernel_size=3)),
            ("b", nn.ReLU()),
            ("c", nn.Sigmoid()),
            ("", nn.MaxPool2d(3, 2, ceil_mode=True)),
            ("d", convolution(4, 2, kernel_size=1)),
        ],
    )


@pytest.mark.parametrize(("steps"), [pytest.param(steps, id=name) for name, steps in chains()])
def test_any_chain_has_the_gradient_that_autograd_gives(
    steps: list[tuple[str, nn.Module]],
) -> None:
    trunk = ChainTrunk(steps, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    assert_like_autograd(trunk, random_image(14, 17))


def test_a_second_pullback_is_an_error() -> None:
    trunk = ChainTrunk([("a", nn.ReLU())], (0, 0, 0), (1, 1, 1))
    _, pullback = chain_vjp(trunk, random_image(4, 4))
    pullback({})
    with pytest.raises(RuntimeError, match="once"):
        pullback({})


def test_cotangents_that_are_given_away_are_taken_and_others_stay() -> None:
    trunk = VGG19(VGG19Options()).trunk(["relu1_1", "relu2_1"])
    assert isinstance(trunk, ChainTrunk)
    image = random_image(16, 20).float()
    features, pullback = chain_vjp(trunk, image)
    kept = cotangents_for(features)
    first = pullback(kept)
    assert set(kept) == {"relu1_1", "relu2_1"}
    given = LazyCotangents(kept)
    again = chain_vjp(trunk, image)[1](given)
    assert not given
    assert torch.equal(first, again)
