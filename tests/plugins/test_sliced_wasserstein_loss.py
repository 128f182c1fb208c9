from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.terms import Loss, References, Style
from stylectl.plugins.losses.sliced_wasserstein import (
    SlicedWassersteinLoss,
    SlicedWassersteinOptions,
    resampled,
    unit_vectors,
)
from torch import Tensor

# Sums of at most a few hundred squares, in two orders, of projections that lose a digit or two to
# cancellation.
ROUNDING = 1e-12


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def term(layers: dict[str, float], directions: int | None = None) -> SlicedWassersteinLoss:
    return SlicedWassersteinLoss(layers, SlicedWassersteinOptions(directions=directions))


def bound(*styles: tuple[Tensor, float], seed: int = 0, directions: int | None = None) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    references = References(content={}, styles=shares, seed=seed)
    return term({"a": 1.0}, directions).bind(references)


def direct(result: Tensor, style: Tensor, directions: Tensor) -> float:
    own, its = (each[0].flatten(1).numpy() for each in (result, style))
    number = own.shape[1]
    wanted = (np.arange(number) + 0.5) / number
    known = (np.arange(its.shape[1]) + 0.5) / its.shape[1]
    distance, square = 0.0, 0.0
    for direction in directions.numpy():
        target = np.interp(wanted, known, np.sort(direction @ its))
        distance += ((np.sort(direction @ own) - target) ** 2).sum()
        square += (target**2).sum()
    return float(distance / square)


@pytest.mark.parametrize("size", [(7, 9), (4, 5), (10, 13)])
@pytest.mark.parametrize("number", [None, 1, 12])
def test_value_is_the_distance_of_sorted_projections(
    size: tuple[int, int], number: int | None
) -> None:
    result, style = features(1, 1, 5, 7, 9), features(2, 1, 5, *size)
    directions = unit_vectors(number, style, torch.Generator().manual_seed(3))
    value = bound((style, 1.0), seed=3, directions=number)({"a": result}).item()
    assert value == pytest.approx(direct(result, style, directions), rel=ROUNDING)


def test_directions_are_unit_vectors_as_many_as_channels() -> None:
    directions = unit_vectors(None, features(1, 1, 6, 2, 2), torch.Generator().manual_seed(1))
    assert directions.shape == (6, 6)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(6, dtype=torch.float64))


def test_resampling_keeps_straight_quantiles_straight() -> None:
    line = (torch.arange(8, dtype=torch.float64).view(1, 1, 8) + 0.5) / 8
    expected = (torch.arange(4, dtype=torch.float64).view(1, 1, 4) + 0.5) / 4
    torch.testing.assert_close(resampled(line, 4), expected)
    assert resampled(line, 8) is line


def test_gradcheck_with_two_layers_and_two_styles_of_other_sizes() -> None:
    styles = (
        Style({"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 2, 3)}, 0.6),
        Style({"a": features(3, 1, 3, 6, 3), "b": features(4, 1, 2, 4, 1)}, 0.4),
    )
    loss = term({"a": 0.7, "b": 0.3}).bind(References(content={}, styles=styles))
    inputs = (features(5, 2, 3, 4, 5).requires_grad_(), features(6, 2, 2, 2, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss({"a": a, "b": b}), inputs)


def test_identical_features_lose_nothing() -> None:
    style = features(1, 1, 3, 4, 5)
    result = style.clone().requires_grad_()
    loss = bound((style, 1.0))({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_style_tiled_four_times_is_the_same_style() -> None:
    result, style = features(1, 1, 5, 4, 6), features(2, 1, 5, 4, 6)
    once = bound((style, 1.0))({"a": result}).item()
    tiled = bound((style.repeat(1, 1, 2, 2), 1.0))({"a": result}).item()
    assert tiled == pytest.approx(once, rel=ROUNDING)


@given(
    channels=st.integers(1, 5),
    height=st.integers(1, 8),
    width=st.integers(1, 8),
    seed=st.integers(0, 999),
)
def test_the_order_of_the_positions_does_not_matter(
    channels: int, height: int, width: int, seed: int
) -> None:
    result = features(seed, 1, channels, height, width)
    style = features(seed + 1, 1, channels, 4, 5)
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
    permuted = result.flatten(2)[:, :, order].view_as(result)
    loss = bound((style, 1.0))
    value = loss({"a": result}).item()
    assert loss({"a": permuted}).item() == pytest.approx(value, rel=1e-9, abs=ROUNDING)


def test_layer_weights_multiply_the_layers() -> None:
    style = {"a": features(1, 1, 3, 4, 5)}
    references = References(content={}, styles=(Style(style, 1.0),))
    result = {"a": features(3, 1, 3, 4, 5)}
    once, thrice = (term({"a": weight}).bind(references)(result).item() for weight in (1.0, 3.0))
    assert thrice == pytest.approx(3 * once, rel=2e-15)


def test_styles_are_averaged_by_their_shares() -> None:
    first, second, result = (
        features(1, 1, 3, 4, 5),
        features(2, 1, 3, 6, 7),
        features(3, 1, 3, 4, 5),
    )
    alone = [bound((style, 1.0))({"a": result}).item() for style in (first, second)]
    both = bound((first, 0.8), (second, 0.2))({"a": result}).item()
    assert both == pytest.approx(0.8 * alone[0] + 0.2 * alone[1], rel=2e-15)


def test_one_style_twice_at_half_the_weight_is_that_style_once() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 1, 3, 6, 7)
    once = bound((style, 1.0))({"a": result}).item()
    assert bound((style, 0.5), (style, 0.5))({"a": result}).item() == once


def test_a_batch_is_summed() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 2, 3, 4, 5)
    loss = bound((style, 1.0))
    each = sum(loss({"a": result[n : n + 1]}).item() for n in range(2))
    assert loss({"a": result}).item() == pytest.approx(each, rel=ROUNDING)


def test_a_seed_repeats_and_another_differs() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 1, 3, 4, 5)
    first, again, other = (
        bound((style, 1.0), seed=seed)({"a": result}).item() for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_black_images_are_finite() -> None:
    some = features(1, 1, 3, 4, 5)
    black = torch.zeros_like(some)
    assert bound((some, 1.0))({"a": black}).item() == pytest.approx(1.0)
    for result in (some, black):
        leaf = result.clone().requires_grad_()
        loss = bound((black, 1.0))({"a": leaf})
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_units_do_not_matter() -> None:
    style, result = features(1, 1, 3, 4, 5), features(2, 1, 3, 4, 5)
    scaled = bound((100 * style, 1.0))({"a": 100 * result}).item()
    assert scaled == pytest.approx(bound((style, 1.0))({"a": result}).item(), rel=ROUNDING)


def test_reads_the_styles_alone() -> None:
    made = term({"a": 1.0, "b": 2.0})
    assert made.reads == {"styles"}
    assert made.layers == ("a", "b")


def test_a_run_from_a_job_file_lowers_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    job = tmp_path / "job.toml"
    job.write_text(
        'size = 48\nscales = 1\niterations = 5\ninit = "content"\nseed = 3\n'
        'terms = [{ name = "content", weight = 0.1 },\n'
        '{ name = "sliced-wasserstein", weight = 9 }]\n'
        'backend = { name = "torch", device = "cpu" }\n'
    )
    losses: list[Any] = [step.losses for step in stylectl.run(job).steps]
    assert losses[-1]["sliced-wasserstein"] < 0.8 * losses[0]["sliced-wasserstein"]
