"""The loss `strotss` beside its formulas in numpy, and the preset that uses it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image
from stylectl import (
    IMAGE_LAYER,
    ChangingLoss,
    Features,
    LossTermArguments,
    References,
    Region,
    Renewal,
    Style,
    UsageError,
)
from stylectl.plugins.losses.strotss import StrotssLoss, StrotssOptions
from torch import Tensor
from torch.nn.functional import interpolate

#: float64: sums of some thousand products, in another order.
ROUNDING = 1e-10
WEIGHTS = {"a": 2.0, "b": 1.0}


def drawn(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def maps(seed: int, height: int = 6, width: int = 8) -> Features:
    return {
        "a": 30 * drawn(seed, 1, 4, height, width),
        "b": drawn(seed + 100, 1, 5, height // 2, width // 2),
        IMAGE_LAYER: drawn(seed + 200, 1, 3, height, width) / 2,
    }


def bound(photo: Features, *styles: Style, seed: int = 1, **options: Any) -> ChangingLoss:
    term = StrotssLoss(LossTermArguments(layers=WEIGHTS, options=StrotssOptions(**options)))
    loss = term.bind(References(photo, styles, seed))
    assert isinstance(loss, ChangingLoss)
    return loss


# The formulas


def columns(features: Features, content: Features) -> Any:
    """Pixels and layers of every position, in the content's units."""
    relative = {"a": 4 / 3, "b": 2 / 3}
    squares = [relative[name] ** 2 * content[name][0].pow(2).sum(0).mean() for name in relative]
    unit = (sum(squares) / 9) ** 0.5
    size = features[IMAGE_LAYER].shape[2:]
    enlarged = [
        relative[name] / unit * interpolate(features[name], size, mode="bilinear")
        for name in relative
    ]
    return torch.cat([features[IMAGE_LAYER], *enlarged], 1)[0].flatten(1).T.numpy()


def cosines(first: Any, second: Any) -> Any:
    values = np.empty((len(first), len(second)))
    for i, j in product(range(len(first)), range(len(second))):
        lengths = np.linalg.norm(first[i]) * np.linalg.norm(second[j])
        values[i, j] = 1 - first[i] @ second[j] / lengths
    return values


def transport(costs: Any) -> float:
    return float(max(costs.min(1).mean(), costs.min(0).mean()))


def color_costs(first: Any, second: Any) -> Any:
    """Of colors along the gray axis and two axes orthogonal to it."""
    axes = np.linalg.svd(np.ones((1, 3)))[2]
    first, second = first @ axes.T, second @ axes.T
    squares = (first[:, None] - second[None]) ** 2
    return np.sqrt(squares.mean(2)) + cosines(first, second)


def direct(result: Features, content: Features, style: Features, alpha: float) -> float:
    x, c, y = (columns(features, content) for features in (result, content, style))
    spread, target = (np.cov(rows.T, bias=True) for rows in (x, y))
    moments = abs(x.mean(0) - y.mean(0)).mean() + abs(spread - target).mean()
    similar, wanted = (costs / costs.sum(0) for costs in (cosines(x, x), cosines(c, c)))
    similarity = abs(similar - wanted).sum() / len(x)
    beta = 1 / max(alpha, 1)
    palette = transport(color_costs(x[:, :3], y[:, :3]))
    total = alpha * similarity + moments + transport(cosines(x, y)) + beta * palette
    return float(total / (2 + alpha + beta))


@pytest.mark.parametrize("size", [(4, 6), (6, 8), (10, 6)])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 16.0])
def test_the_value_at_all_positions_is_that_of_the_formulas(
    size: tuple[int, int], alpha: float
) -> None:
    result, content, style = maps(1), maps(2), maps(3, *size)
    value = bound(content, Style(style, 1.0), content=alpha)(result).item()
    assert value == pytest.approx(direct(result, content, style, alpha), rel=ROUNDING)


def test_the_weight_of_the_content_halves_when_the_size_doubles() -> None:
    for factor, alpha in ((1, 16.0), (2, 8.0)):
        result, content = maps(1, 6 * factor, 8 * factor), maps(2, 6 * factor, 8 * factor)
        value = bound(content, Style(maps(3), 1.0), content=2.0, content_side=64)(result).item()
        assert value == pytest.approx(direct(result, content, maps(3), alpha), rel=ROUNDING)


def test_the_networks_units_do_not_matter() -> None:
    def scaled(features: Features) -> Features:
        return {name: maps * (1 if name == IMAGE_LAYER else 50) for name, maps in features.items()}

    result, content, style = maps(1), maps(2), maps(3)
    value = bound(content, Style(style, 1.0))(result).item()
    again = bound(scaled(content), Style(scaled(style), 1.0))(scaled(result)).item()
    assert again == pytest.approx(value, rel=ROUNDING)


def test_a_flat_result_has_finite_gradients() -> None:
    flat = {name: torch.zeros_like(value).requires_grad_() for name, value in maps(1).items()}
    loss = bound(maps(2), Style(maps(3), 1.0))(flat)
    for gradient in torch.autograd.grad(loss, list(flat.values())):
        assert gradient.isfinite().all()


# Positions


def test_positions_follow_the_renewals_seed() -> None:
    result, content, style = maps(1), maps(2), maps(3)
    loss = bound(content, Style(style, 1.0), samples=6, redraw=3)
    values = {seed: loss.renewed(Renewal(0, seed))(result).item() for seed in range(4)}
    assert len(set(values.values())) == 4
    assert loss.renewed(Renewal(9, 2))(result).item() == values[2]
    assert loss.every == 3


def test_positions_of_the_style_follow_the_jobs_seed() -> None:
    content, style, result = maps(2), Style(maps(3), 1.0), maps(1)
    first, again, other = (
        bound(content, style, seed=seed, style_samples=6)(result).item() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_without_redraw_the_loss_stays_the_same_within_a_scale() -> None:
    arguments = LossTermArguments(layers=WEIGHTS, options=StrotssOptions())
    assert not StrotssLoss(arguments).renewed_within_scale
    assert bound(maps(2), Style(maps(3), 1.0)).every is None


def test_images_of_one_style_are_pooled() -> None:
    result, content = maps(1), maps(2)
    left, right = maps(3, 6, 4), maps(4, 6, 4)
    # The layer `b` of the whole would be interpolated across the seam.
    for features in (left, right):
        features["b"][:] = features["b"].mean((2, 3), keepdim=True)
    loss = bound(content, Style(left, 0.5, source=0), Style(right, 0.5, source=0))
    rows = np.concatenate([columns(features, content) for features in (left, right)])
    x = columns(result, content)
    separate = bound(content, Style(left, 0.5), Style(right, 0.5))
    difference = loss(result).item() - separate(result).item()

    def of(y: Any) -> float:
        spread, target = (np.cov(columns.T, bias=True) for columns in (x, y))
        moments = abs(x.mean(0) - y.mean(0)).mean() + abs(spread - target).mean()
        palette = transport(color_costs(x[:, :3], y[:, :3]))
        return float(moments + transport(cosines(x, y)) + palette)

    expected = of(rows) - (of(rows[:24]) + of(rows[24:])) / 2
    assert difference == pytest.approx(expected / 4, rel=1e-8)


# Regions


def columns_of(features: Features, chosen: slice) -> Region:
    """Weights of 1 in some of four columns of an image, else 0."""
    weights = {}
    for name, value in features.items():
        quarter = value.shape[3] // 4
        mask = torch.zeros(1, 1, *value.shape[2:], dtype=torch.float64)
        mask[..., slice(chosen.start * quarter, chosen.stop * quarter)] = 1
        weights[name] = mask
    return weights


def cut(features: Features, chosen: slice) -> Features:
    return {
        name: value[..., chosen.start * value.shape[3] // 4 : chosen.stop * value.shape[3] // 4]
        for name, value in features.items()
    }


def test_each_region_has_the_loss_of_its_part_alone() -> None:
    result, content, styles = maps(1), maps(2), (maps(3), maps(4))
    halves = slice(0, 2), slice(2, 4)
    regions = [columns_of(content, half) for half in halves]
    options: dict[str, Any] = {"content": 1.0, "samples": 48}
    both = bound(
        content,
        *(
            Style(style, weight, region)
            for style, weight, region in zip(styles, (0.3, 0.7), regions, strict=True)
        ),
        **options,
    )(result).item()
    alone = [
        bound(content, Style(style, 1.0, region), **options)(result).item()
        for style, region in zip(styles, regions, strict=True)
    ]
    assert both == pytest.approx(0.3 * alone[0] + 0.7 * alone[1], rel=ROUNDING)
    part = Style(styles[0], 1.0)
    for features in (content, result):
        features["a"][..., 4:] = features["a"][..., :4]  # so that halves have the unit of the whole
        features["b"][..., 2:] = features["b"][..., :2]
    confined = bound(content, Style(styles[0], 1.0, regions[0]))(result).item()
    small = bound(cut(content, halves[0]), part)(cut(result, halves[0])).item()
    assert confined == pytest.approx(small, rel=ROUNDING)


def test_a_region_of_the_style_is_where_its_columns_come_from() -> None:
    result, content, style = maps(1), maps(2), maps(3)
    right = slice(1, 4)
    confined = Style(style, 1.0, own_region=columns_of(style, right))
    value = bound(content, confined)(result).item()
    assert value == pytest.approx(
        bound(content, Style(cut(style, right), 1.0))(result).item(), rel=ROUNDING
    )


# The preset

SMALL: dict[str, Any] = {
    "preset": "strotss",
    "size": 128,
    "iterations": 20,
    "strotss.layers": ["relu1_1", "relu2_1"],
    "strotss.samples": 64,
    "strotss.style_samples": 128,
}


def test_the_preset_paints_and_the_same_seed_paints_the_same() -> None:
    first, again, other = (stylectl.run(**SMALL, seed=seed) for seed in (1, 1, 2))
    assert [scale.width for scale in first.scales] == [64, 128]
    for number in range(2):
        losses = [record.loss for record in first.steps if record.scale == number]
        assert np.mean(losses[-4:]) < np.mean(losses[:4])  # other positions have other losses
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_lbfgs_is_refused_for_positions_that_are_drawn_anew() -> None:
    with pytest.raises(UsageError, match="`optimizer=adam`"):
        stylectl.run(**SMALL, optimizer="lbfgs")


def test_each_region_gets_the_colors_of_its_style(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A red and a blue style, each on one half of a gray photograph with some noise."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(1)
    noise = generator.integers(-40, 40, (64, 64, 1))
    for name, color in (("photo", (128,) * 3), ("red", (190, 60, 50)), ("blue", (50, 60, 190))):
        Image.fromarray((np.array(color) + noise).astype(np.uint8)).save(f"{name}.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save("left.png")
    Image.fromarray(255 - mask).save("right.png")
    result = stylectl.run(
        **SMALL
        | {"size": 64, "scales": 1, "strotss.content_side": 51, "optimizer.step_size": 0.02},
        content="photo.png",
        styles=["red.png", "blue.png"],
        style_mask=["left.png", "right.png"],
    )
    redness = result.image[..., 0] - result.image[..., 2]
    # The styles have 0.55 and -0.55, the first image 0.
    assert redness[:, :24].mean() > 0.2
    assert redness[:, 40:].mean() < -0.2
