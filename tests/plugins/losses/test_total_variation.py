from __future__ import annotations

from typing import Literal

import pytest
import torch
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import IMAGE_LAYER, Loss, References
from stylectl.plugins.losses.total_variation import TotalVariationLoss, TotalVariationOptions
from torch import Tensor

Power = Literal[1, 2]
Reduction = Literal["mean", "sum"]

EVERY_POWER: list[Power] = [1, 2]
EVERY_REDUCTION: list[Reduction] = ["mean", "sum"]


def picture(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def bound(power: Power = 2, reduction: Reduction = "mean") -> Loss:
    options = TotalVariationOptions(power=power, reduction=reduction)
    return TotalVariationLoss(LossTermArguments(layers={}, options=options)).bind(
        References(content={}, styles=())
    )


def total_variation(image: Tensor, power: int) -> float:
    _, channels, height, width = image.shape
    total = 0.0
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                here = image[0, c, y, x].item()
                if x + 1 < width:
                    total += abs(image[0, c, y, x + 1].item() - here) ** power
                if y + 1 < height:
                    total += abs(image[0, c, y + 1, x].item() - here) ** power
    return total


@pytest.mark.parametrize("power", EVERY_POWER)
@pytest.mark.parametrize("reduction", EVERY_REDUCTION)
@pytest.mark.parametrize("size", [(4, 7), (1, 5), (6, 1), (1, 1)])
def test_agrees_with_a_loop_over_the_pixels(
    power: Power, reduction: Reduction, size: tuple[int, int]
) -> None:
    image = picture(1, 3, *size)
    divisor = image.numel() if reduction == "mean" else 1
    value = bound(power, reduction)({IMAGE_LAYER: image}).item()
    # Two orders of summation of at most 135 positive numbers, 1.1e-16 each.
    assert value == pytest.approx(total_variation(image, power) / divisor, rel=2e-14)


@pytest.mark.parametrize("power", EVERY_POWER)
@pytest.mark.parametrize("reduction", EVERY_REDUCTION)
def test_a_flat_image_loses_nothing(power: Power, reduction: Reduction) -> None:
    image = torch.full((1, 3, 5, 6), 0.3, requires_grad=True)
    loss = bound(power, reduction)({IMAGE_LAYER: image})
    (gradient,) = torch.autograd.grad(loss, image)
    assert loss.item() == 0
    assert not gradient.any()


def test_an_edge_costs_its_length_times_its_height() -> None:
    image = torch.zeros(1, 1, 4, 6)
    image[..., 3:] = 0.5
    assert bound(1, "sum")({IMAGE_LAYER: image}).item() == 4 * 0.5
    assert bound(2, "sum")({IMAGE_LAYER: image}).item() == 4 * 0.25
