"""The loss `nnst` beside brute force in float64, and the preset that uses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl import (
    IMAGE_LAYER,
    ChangingLoss,
    Features,
    LossTermArguments,
    References,
    Renewal,
    Style,
    UsageError,
)
from stylectl.plugins.losses import nnst
from stylectl.plugins.losses.nnst import (
    Candidates,
    NnstLoss,
    NnstOptions,
    detail,
    joined,
    resampled,
)
from torch import Tensor
from torch.nn.functional import cosine_similarity

WEIGHTS = {"a": 0.5, "b": 0.5}


def drawn(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def hypercolumns(features: Features) -> Tensor:
    return joined(resampled(features, WEIGHTS))


def maps(seed: int, height: int = 16, width: int = 24) -> Features:
    return {
        "a": drawn(seed, 1, 4, height, width),
        "b": drawn(seed + 100, 1, 6, height // 2, width // 2),
        IMAGE_LAYER: drawn(seed + 200, 1, 3, height, width),
    }


def bound(*styles: Style, scale: int = 1, final: bool = False, **options: Any) -> ChangingLoss:
    term = NnstLoss(LossTermArguments(layers=WEIGHTS, options=NnstOptions(**options)))
    references = References(maps(1), styles, seed=1, scale=scale, final_pass=final)
    loss = term.bind(references)
    assert isinstance(loss, ChangingLoss)
    return loss


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 9), candidates=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_nearest_has_the_largest_centred_cosine(rows: int, candidates: int, seed: int) -> None:
    first, second = drawn(seed, rows, 5) + 1, drawn(seed + 1, candidates, 5) - 2
    centred = [vectors - vectors.mean(0) for vectors in (first, second)]
    similar = cosine_similarity(centred[0][:, None], centred[1][None], dim=2)
    found = Candidates.of([second.clone()], 1.0).nearest(first)
    distances = (found[:, None] - second[None]).norm(dim=2)
    chosen = similar.gather(1, distances.argmin(1, keepdim=True))[:, 0]
    assert distances.amin(1).max() < 1e-12  # a candidate, but for rounding
    assert torch.allclose(chosen, similar.amax(1), atol=1e-12)


def test_the_search_in_parts_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = Candidates.of([drawn(1, 30, 5), drawn(2, 20, 5)], 1.0)
    whole = candidates.nearest(drawn(3, 40, 5))
    monkeypatch.setattr(nnst, "_ROWS", 7)
    monkeypatch.setattr(nnst, "_BLOCK", 13)
    assert torch.equal(candidates.nearest(drawn(3, 40, 5)), whole)


def test_hypercolumns_have_all_layers_divided_by_their_channels() -> None:
    features = {"a": torch.full((1, 4, 16, 24), 8.0), "b": torch.full((1, 6, 8, 12), 3.0)}
    columns = hypercolumns(features | {IMAGE_LAYER: torch.zeros(1, 3, 16, 24)})
    assert columns.shape == (1, 4 * 6, 10)
    assert torch.allclose(columns[..., :4], torch.tensor(0.5 * 8 / 4))
    assert torch.allclose(columns[..., 4:], torch.tensor(0.5 * 3 / 6))


def test_the_loss_at_a_scale_is_that_of_brute_force() -> None:
    style, observed, result = maps(2, 12, 20), maps(3), maps(4)
    loss = bound(Style(style, 1.0)).renewed(Renewal(0, 1, observed))(result)
    columns, candidates, rows = (hypercolumns(one)[0] for one in (result, style, observed))
    distances = []
    for column, row in zip(columns, rows, strict=True):
        similar = cosine_similarity(
            (row - rows.mean(0))[None], candidates - candidates.mean(0), dim=1
        )
        target = candidates[similar.argmax()]
        distances.append(1 - cosine_similarity(column, target, dim=0))
    assert loss.item() == pytest.approx(torch.stack(distances).mean().item(), rel=1e-10)


def test_the_loss_of_the_final_pass_is_that_of_brute_force() -> None:
    """With a grid of all positions, layer by layer."""
    style, result = maps(2, 12, 20), maps(4)
    loss = bound(Style(style, 1.0), final=True, grid=24).renewed(Renewal(0, 1, result))(result)
    expected = 0.0
    for layer in WEIGHTS:
        rows, candidates = (one[layer][0].flatten(1).mT for one in (result, style))
        rows, candidates = rows - rows.mean(0), candidates - candidates.mean(0)
        similar = cosine_similarity(rows[:, None], candidates[None], dim=2)
        expected += 0.5 * (1 - similar.amax(1)).mean().item()
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_a_result_whose_columns_are_the_styles_has_no_loss() -> None:
    style = maps(2)
    loss = bound(Style(style, 1.0)).renewed(Renewal(0, 1, style))
    assert loss(style).item() == pytest.approx(0, abs=1e-12)


def test_the_first_scale_looks_for_the_content_alone() -> None:
    content, result = maps(1)[IMAGE_LAYER], drawn(9, 1, 3, 16, 24)
    assert torch.equal(bound(Style(maps(2), 1.0), scale=0).observed(result), content)
    mixed = bound(Style(maps(2), 1.0), alpha=0.25).observed(result)
    assert torch.allclose(mixed, 0.25 * content + 0.75 * (result + detail(content)))


def test_images_of_one_style_are_pooled() -> None:
    """A folder of a style and another one has the nearest of both."""
    first, second, observed = maps(2), maps(3), maps(4)
    pooled = [Style(first, 0.25, source=0), Style(second, 0.75, source=0)]
    loss = bound(*pooled).renewed(Renewal(0, 1, observed))
    for features in (first, second):
        renewed = bound(*pooled).renewed(Renewal(0, 1, features))
        assert renewed(features).item() == pytest.approx(0, abs=0.2)
    assert loss(observed).item() > 0


def test_styles_are_averaged_by_their_weights() -> None:
    first, second, observed, result = (maps(seed) for seed in (2, 3, 4, 5))
    renewal = Renewal(0, 1, observed)
    both = bound(Style(first, 0.3), Style(second, 0.7)).renewed(renewal)(result)
    alone = [bound(Style(one, 1.0)).renewed(renewal)(result) for one in (first, second)]
    assert both.item() == pytest.approx(0.3 * alone[0].item() + 0.7 * alone[1].item(), rel=1e-12)


def test_the_final_pass_draws_other_positions_for_another_seed() -> None:
    style, result = maps(2, 32, 48), maps(4, 32, 48)
    loss = bound(Style(style, 1.0), final=True, grid=8, rematch=3)
    assert loss.every == 3
    values = {seed: loss.renewed(Renewal(0, seed, result))(result).item() for seed in (1, 2, 3, 4)}
    assert len(set(values.values())) > 1
    assert loss.renewed(Renewal(9, 1, result))(result).item() == values[1]


SMALL: dict[str, Any] = {
    "preset": "nnst",
    "size": 128,
    "iterations": 30,
    "nnst.layers": ["relu1_1", "relu2_1", "relu3_1"],
}


def test_the_preset_paints_and_the_same_seed_paints_the_same() -> None:
    first, again, other = (stylectl.run(**SMALL, seed=seed) for seed in (1, 1, 2))
    assert [(scale.width, scale.final_pass) for scale in first.scales] == [
        (64, False),
        (128, False),
        (128, True),
    ]
    for number in range(3):
        losses = [record.loss for record in first.steps if record.scale == number]
        assert losses[-1] < losses[0]
    assert first.job.color == "chroma"
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_the_style_counts_in_four_orientations() -> None:
    """So a style that is turned by a quarter gives the same candidates, in another order."""
    assert NnstLoss.style_turns == (0, 1, 2, 3)


def test_lbfgs_is_refused() -> None:
    with pytest.raises(UsageError, match="`optimizer=adam`"):
        stylectl.run(**SMALL, optimizer="lbfgs")


def test_masks_are_refused() -> None:
    with pytest.raises(UsageError, match="nnst cannot be confined to a region"):
        stylectl.run(**SMALL, style_mask=["sample:photo"])
