from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import Loss, References, Style
from stylectl.plugins.losses.mrf import MrfLoss, MrfOptions, nearest_patches, patch_size
from torch import Tensor
from torch.nn import functional

# Sums of at most a few hundred squares, in two orders, of differences that lose a digit or two to
# cancellation.
ROUNDING = 1e-12


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def every_patch(**options: int) -> MrfOptions:
    return MrfOptions.model_validate({"stride": 1, "style_stride": 1} | options)


def term(layers: dict[str, float], **options: int) -> MrfLoss:
    return MrfLoss(LossTermArguments(layers=layers, options=every_patch(**options)))


def bound(*styles: tuple[Tensor, float], **options: int) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    return term({"a": 1.0}, **options).bind(References(content={}, styles=shares))


def direct(result: Tensor, style: Tensor, stride: int = 1, style_stride: int = 1) -> float:
    """Patch after patch, by the formula."""

    def patches(image: Any, step: int) -> list[Any]:
        height, width = image.shape[1:]
        return [
            image[:, y : y + 3, x : x + 3].ravel()
            for y in range(0, height - 2, step)
            for x in range(0, width - 2, step)
        ]

    own, its = patches(result[0].numpy(), stride), patches(style[0].numpy(), style_stride)
    distance = 0.0
    for patch in own:
        scores = [patch @ each / np.linalg.norm(patch) / np.linalg.norm(each) for each in its]
        distance += ((patch - its[int(np.argmax(scores))]) ** 2).sum()
    return float(distance / len(own) / np.mean([(each**2).sum() for each in its]))


@pytest.mark.parametrize("size", [(6, 8), (3, 3), (9, 5)])
@pytest.mark.parametrize(("stride", "style_stride"), [(1, 1), (2, 1), (3, 2)])
def test_value_is_the_distance_to_the_nearest_patches(
    size: tuple[int, int], stride: int, style_stride: int
) -> None:
    result, style = features(1, 1, 4, 6, 8), features(2, 1, 4, *size)
    loss = bound((style, 1.0), stride=stride, style_stride=style_stride)
    expected = direct(result, style, stride, style_stride)
    assert loss({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)


def test_gradient_is_that_of_the_patches_one_by_one() -> None:
    result, style = features(1, 1, 4, 6, 8).requires_grad_(), features(2, 1, 4, 7, 5)
    (gradient,) = torch.autograd.grad(bound((style, 1.0))({"a": result}), result)
    nearest = nearest_patches(result.detach()[0], style[0], every_patch()).flatten()
    own, its = (functional.unfold(each, 3)[0].T for each in (result, style))
    plain = (own - its[nearest]).square().sum() / len(own) / its.square().sum(1).mean()
    (expected,) = torch.autograd.grad(plain, result)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("chunk", [1, 3, 7, 24, 25])
def test_chunks_change_nothing(chunk: int) -> None:
    result, style = features(1, 1, 4, 6, 8), features(2, 1, 4, 7, 5)
    whole, parts = (every_patch(chunk=each) for each in (1000, chunk))
    assert torch.equal(
        nearest_patches(result[0], style[0], parts), nearest_patches(result[0], style[0], whole)
    )
    value = bound((style, 1.0), chunk=chunk)({"a": result}).item()
    assert value == bound((style, 1.0), chunk=1000)({"a": result}).item()


def test_a_patch_finds_itself_whatever_its_strength() -> None:
    style = features(1, 1, 4, 6, 8)
    nearest = nearest_patches(3 * style[0], style[0], every_patch(chunk=5))
    assert torch.equal(nearest.flatten(), torch.arange(24))


def test_layers_smaller_than_a_patch_take_smaller_patches() -> None:
    result, style = features(1, 1, 3, 2, 4), features(2, 1, 3, 5, 1)
    assert patch_size(result[0], style[0]) == (2, 1)
    assert torch.isfinite(bound((style, 1.0))({"a": result}))
    assert bound((result, 1.0))({"a": result}).item() == 0
