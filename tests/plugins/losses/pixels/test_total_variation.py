from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import IMAGE_LAYER, Loss, References
from stylectl.plugins.losses.pixels.total_variation import TotalVariationLoss, TotalVariationOptions
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


def guided(content: Tensor, flat: float, power: Power = 2, **references: Any) -> Loss:
    options = TotalVariationOptions(power=power, reduction="sum", flat=flat)
    return TotalVariationLoss(LossTermArguments(layers={}, options=options)).bind(
        References(content={IMAGE_LAYER: content}, styles=(), **references)
    )


def change_around(content: Tensor, y: int, x: int) -> float:
    """The mean square of the deviations from local means, over the part of 5 x 5 pixels inside."""

    def around(maps: Tensor, y: int, x: int) -> Tensor:
        return maps[:, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]

    image = content[0]
    rows = [
        [image[:, a, b] - around(image, a, b).mean((1, 2)) for b in range(image.shape[2])]
        for a in range(image.shape[1])
    ]
    deviations = torch.stack([torch.stack(row, 1) for row in rows], 1)
    return float(around(deviations.square(), y, x).mean())


@pytest.mark.parametrize("power", EVERY_POWER)
@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_pairs_are_weighted_by_the_flatness_of_the_content(
    power: Power, wraps: bool, masked: bool
) -> None:
    height, width, flat = 4, 7, 0.3
    image, content = picture(1, 3, height, width), picture(2, 3, height, width)[1:]
    mask = picture(1, 1, height, width)
    weights = [
        [
            math.exp(-change_around(content, y, x) / (2 * flat**2))
            * (mask[0, 0, y, x].item() if masked else 1)
            for x in range(width)
        ]
        for y in range(height)
    ]
    expected = 0.0
    for y in range(height):
        for x in range(width):
            for below, right in ((y, x + 1), (y + 1, x)):
                if wraps:
                    below, right = below % height, right % width
                if below < height and right < width:
                    differences = (image[0, :, below, right] - image[0, :, y, x]).abs() ** power
                    pair = weights[y][x] * weights[below][right]
                    expected += pair * differences.sum().item()
    region = {IMAGE_LAYER: mask} if masked else {}
    loss = guided(content, flat, power, wraps=wraps, content_region=region)
    # Sums of some ten numbers, rounded to 1e-16 each.
    assert loss({IMAGE_LAYER: image}).item() == pytest.approx(expected, rel=1e-12)


def test_a_flat_content_image_smooths_everywhere() -> None:
    image = picture(1, 3, 5, 8)
    everywhere = bound(2, "sum")({IMAGE_LAYER: image})
    loss = guided(torch.full_like(image, 0.7), 0.05)({IMAGE_LAYER: image})
    assert loss.item() == pytest.approx(everywhere.item(), rel=1e-9)


def test_an_edge_of_the_content_image_is_free_and_the_flat_area_beside_it_is_not() -> None:
    content = torch.zeros(1, 3, 8, 20, dtype=torch.float64)
    content[..., 10:] = 1.0
    edge, flat = torch.zeros_like(content), torch.zeros_like(content)
    edge[..., 10:] = 0.5
    flat[..., 4:] = 0.5
    loss = guided(content, 0.05)
    assert loss({IMAGE_LAYER: edge}).item() < 1e-12
    assert loss({IMAGE_LAYER: flat}).item() == pytest.approx(8 * 3 * 0.25)


def test_the_content_image_is_read_only_where_it_is_needed() -> None:
    def reads(**options: Any) -> frozenset[str]:
        arguments = LossTermArguments(layers={}, options=TotalVariationOptions(**options))
        return TotalVariationLoss(arguments).reads

    assert reads() == frozenset()
    assert reads(flat=0.05) == {"content"}


@pytest.mark.parametrize("flat", [0, -0.1, 1.5, float("nan"), "sky"])
def test_a_deviation_that_is_none_is_refused(flat: Any) -> None:
    with pytest.raises(ValidationError, match="flat"):
        TotalVariationOptions(flat=flat)
