from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from stylectl.core.terms import Loss, References, Style
from stylectl.plugins.losses.strotss import StrotssLoss, StrotssOptions
from torch import Tensor

# Sums of some hundred terms, in two orders.
ROUNDING = 1e-12


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def bound(photo: Tensor, *styles: tuple[Tensor, float], seed: int = 0, **options: float) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    made = StrotssLoss({"a": 1.0}, StrotssOptions.model_validate(options))
    return made.bind(References(content={"a": photo}, styles=shares, seed=seed))


def distances(first: Any, second: Any) -> Any:
    made = np.empty((len(first), len(second)))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            made[i, j] = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return made


def direct(result: Tensor, content: Tensor, style: Tensor, alpha: float) -> float:
    """The formulas, at every position."""
    x, c, y = (each[0].flatten(1).T.numpy() for each in (result, content, style))
    cost = distances(x, y)
    transport = max(cost.min(1).mean(), cost.min(0).mean())
    spread, target = (np.cov(each.T, bias=True) for each in (x, y))
    moments = abs(x.mean(0) - y.mean(0)).sum() / abs(y.mean(0)).sum()
    moments += abs(spread - target).sum() / abs(target).sum()
    own, kept = (each / each.sum(0) for each in (distances(x, x), distances(c, c)))
    similar = abs(own - kept).sum() / len(x)
    return float((alpha * similar + moments + transport) / (2 + alpha))


@pytest.mark.parametrize("size", [(4, 5), (3, 3), (6, 7)])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 16.0])
def test_value_is_the_papers_sum(size: tuple[int, int], alpha: float) -> None:
    result, photo = features(1, 1, 3, 4, 5), features(2, 1, 3, 4, 5)
    style = features(3, 1, 3, *size)
    value = bound(photo, (style, 1.0), content=alpha)({"a": result}).item()
    assert value == pytest.approx(direct(result, photo, style, alpha), rel=ROUNDING)


@pytest.mark.parametrize("samples", [6, 1024])
def test_gradcheck_with_two_styles_of_other_sizes(samples: int) -> None:
    styles = ((features(1, 1, 3, 3, 5), 0.6), (features(3, 1, 3, 6, 3), 0.4))
    loss = bound(features(4, 1, 3, 4, 4), *styles, samples=samples)
    result = features(5, 2, 3, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss({"a": x}), (result,))


def test_identical_features_lose_nothing() -> None:
    image = features(1, 1, 3, 4, 5)
    assert abs(bound(image, (image, 1.0))({"a": image}).item()) < 1e-14


def test_the_order_of_the_positions_does_not_matter_to_all_of_them() -> None:
    result, content, style = (features(seed, 1, 3, 4, 5) for seed in (1, 2, 3))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    mixed = [each.flatten(2)[:, :, order].view_as(each) for each in (result, content)]
    value = bound(content, (style, 1.0))({"a": result}).item()
    permuted = bound(mixed[1], (style, 1.0))({"a": mixed[0]}).item()
    assert permuted == pytest.approx(value, rel=ROUNDING)


def test_styles_are_averaged_by_their_shares() -> None:
    content, result = features(4, 1, 3, 4, 5), features(3, 1, 3, 4, 5)
    first, second = features(1, 1, 3, 4, 5), features(2, 1, 3, 6, 7)
    alone = [bound(content, (style, 1.0))({"a": result}).item() for style in (first, second)]
    both = bound(content, (first, 0.8), (second, 0.2))({"a": result}).item()
    assert both == pytest.approx(0.8 * alone[0] + 0.2 * alone[1], rel=ROUNDING)


def test_one_style_twice_at_half_the_weight_is_that_style_once() -> None:
    content, result, style = (features(seed, 1, 3, 4, 5) for seed in (1, 2, 3))
    once = bound(content, (style, 1.0), samples=6)({"a": result}).item()
    twice = bound(content, (style, 0.5), (style, 0.5), samples=6)({"a": result}).item()
    assert twice == pytest.approx(once, rel=ROUNDING)


def test_a_batch_is_summed() -> None:
    content, style, result = (features(n, batch, 3, 4, 5) for n, batch in ((1, 1), (2, 1), (3, 2)))
    loss = bound(content, (style, 1.0))
    each = sum(loss({"a": result[n : n + 1]}).item() for n in range(2))
    assert loss({"a": result}).item() == pytest.approx(each, rel=ROUNDING)


def test_a_seed_repeats_and_another_differs() -> None:
    content, result, style = (features(seed, 1, 3, 4, 5) for seed in (1, 2, 3))
    first, again, other = (
        bound(content, (style, 1.0), seed=seed, samples=6)({"a": result}).item()
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_black_images_are_finite() -> None:
    some = features(1, 1, 3, 4, 5)
    black = torch.zeros_like(some)
    for result, content, style in product((some, black), repeat=3):
        leaf = result.clone().requires_grad_()
        loss = bound(content, (style, 1.0))({"a": leaf})
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_units_do_not_matter() -> None:
    content, result, style = (features(seed, 1, 3, 4, 5) for seed in (1, 2, 3))
    value = bound(content, (style, 1.0))({"a": result}).item()
    scaled = bound(100 * content, (100 * style, 1.0))({"a": 100 * result}).item()
    assert scaled == pytest.approx(value, rel=ROUNDING)


def test_reads_content_and_styles() -> None:
    made = StrotssLoss({"a": 1.0, "b": 2.0}, StrotssOptions())
    assert made.reads == {"content", "styles"}
    assert made.layers == ("a", "b")


def test_a_run_from_a_job_file_lowers_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    job = tmp_path / "job.toml"
    job.write_text(
        'size = 48\nscales = 1\niterations = 5\ninit = "content"\nseed = 3\n'
        'terms = [{ name = "content", weight = 0.1 },\n'
        '{ name = "strotss", weight = 9 }]\n'
        'backend = { name = "torch", device = "cpu" }\n'
    )
    losses: list[Any] = [step.losses for step in stylectl.run(job).steps]
    assert losses[-1]["strotss"] < 0.95 * losses[0]["strotss"]
