"""Losses of activations that are smoothed by a softmax, beside plain formulas in float64."""

from __future__ import annotations

import pytest
import torch
from stylectl import Loss, LossTermArguments, References, Region, Style
from stylectl.plugins.losses.content import ContentOptions, content_loss
from stylectl.plugins.losses.style import StyleLoss, StyleOptions
from torch import Tensor

FACTOR = 2.5

#: Some hundred roundings of 1.1e-16 in another order, and two digits for differences.
ROUNDING = 1e-11


def features(seed: int, height: int = 6, width: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 4 * torch.rand(1, 5, height, width, generator=generator, dtype=torch.float64)


def of_style(style: Tensor, layer_weight: float = 1.0) -> Loss:
    options = StyleOptions(softmax=FACTOR)
    term = StyleLoss(LossTermArguments(layers={"a": layer_weight}, options=options))
    return term.bind(References({}, (Style({"a": style}, 1.0),)))


def of_content(content: Tensor, region: Region | None = None) -> Loss:
    options = ContentOptions(softmax=FACTOR)
    term = content_loss(LossTermArguments(layers={"a": 1.0}, options=options))
    return term.bind(References({"a": content}, (), content_region=region or {}))


def temperature(reference: Tensor) -> Tensor:
    return FACTOR * reference.square().mean().sqrt()


def softmax(maps: Tensor, temperature: Tensor) -> Tensor:
    """Softmax over all values of a layer, times their number."""
    return maps.numel() * torch.softmax((maps / temperature).flatten(), 0).view_as(maps)


def mean_products(maps: Tensor) -> Tensor:
    return torch.einsum("nihw,njhw->ij", maps, maps) / maps[0, 0].numel()


def plain_content(result: Tensor, content: Tensor) -> Tensor:
    target = softmax(content, temperature(content))
    difference = softmax(result, temperature(content)) - target
    return 0.5 * difference.square().sum() / (target - 1).square().sum()


def plain_style(result: Tensor, style: Tensor) -> Tensor:
    target = mean_products(softmax(style, temperature(style)))
    gram = mean_products(softmax(result, temperature(style)))
    return (gram - target).square().sum() / (target - 1).square().sum()


def same_with_gradient(loss: Loss, expected: Tensor, result: Tensor) -> None:
    value = loss({"a": result})
    assert value.item() == pytest.approx(expected.item(), rel=ROUNDING)
    (gradient,), (plain,) = (torch.autograd.grad(each, result) for each in (value, expected))
    assert (gradient - plain).norm() < ROUNDING * plain.norm()


def test_content_is_that_of_a_softmax_over_the_layer() -> None:
    result, content = features(1).requires_grad_(), features(2)
    same_with_gradient(of_content(content), plain_content(result, content), result)


def test_style_is_that_of_a_softmax_over_the_layer() -> None:
    result, style = features(1).requires_grad_(), features(2, 4, 9)
    same_with_gradient(of_style(style), plain_style(result, style), result)


def test_content_in_a_region_is_that_of_a_softmax_over_the_region() -> None:
    result, content = features(1), features(2)
    region = {"a": torch.zeros(1, 1, 6, 8, dtype=torch.float64)}
    region["a"][..., :3] = 1
    cut = [softmax(maps[..., :3], temperature(content)) for maps in (result, content)]
    inside = softmax(content, temperature(content)) / (
        softmax(content, temperature(content))[..., :3].mean()
    )
    expected = 0.5 * (cut[0] - cut[1]).square().sum() / (inside - 1).square().sum()
    value = of_content(content, region)({"a": result}).item()
    assert value == pytest.approx(expected.item(), rel=ROUNDING)


def test_style_in_a_region_is_that_of_a_softmax_over_the_region() -> None:
    result, style = features(1), features(2)
    region = {"a": torch.zeros(1, 1, 6, 8, dtype=torch.float64)}
    region["a"][..., :3] = 1
    term = StyleLoss(LossTermArguments(layers={"a": 1.0}, options=StyleOptions(softmax=FACTOR)))
    loss = term.bind(References({}, (Style({"a": style}, 1.0, region),)))
    expected = of_style(style)({"a": result[..., :3]}).item()
    assert loss({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)


def test_an_image_without_activations_has_the_layers_weight_at_every_size() -> None:
    for side in (4, 16):
        reference = features(1, side, side)
        empty = torch.zeros_like(reference)
        assert of_style(reference, 3.0)({"a": empty}).item() == pytest.approx(3.0)
        assert of_content(reference)({"a": empty}).item() == pytest.approx(0.5)


def test_float32_holds_activations_of_forty_times_their_root_mean_square() -> None:
    peaks = torch.zeros(1, 8, 64, 64)
    peaks[:, 0, 0, 0], peaks[:, 1, 9, 9] = 40.0 * FACTOR, 39.5 * FACTOR
    scale = peaks.square().mean().sqrt() * 40  # T is then 1 / 40 of the peak
    style = peaks / scale + torch.rand(peaks.shape, generator=torch.Generator().manual_seed(1))
    result = (style.flip(2) * 0.99).requires_grad_()
    for reference, plain in ((of_style(style), plain_style), (of_content(style), plain_content)):
        value = reference({"a": result})
        expected = plain(result.double(), style.double())
        # An exponent of 40 in float32 is off by 40 * 6e-8, and so are the squares of exponentials,
        # whose relative distance, 1 for an image without activations, is a difference.
        assert value.item() == pytest.approx(expected.item(), abs=1e-5)
        assert torch.autograd.grad(value, result)[0].isfinite().all()


def test_nearly_equal_images_lose_no_digits_of_the_content_loss() -> None:
    content = features(2)
    result = content + 1e-4 * features(3)
    single = of_content(content.float())({"a": result.float()}).item()
    # The result is rounded to float32: 6e-8 of its values, beside differences of 1e-4.
    assert single == pytest.approx(plain_content(result, content).item(), rel=2e-3)
