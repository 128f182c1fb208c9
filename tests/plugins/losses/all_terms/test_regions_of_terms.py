"""Sums over a region, of every term that is one of sums, against sums over chosen positions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from stylectl import References, Region, StatisticsTerm, Style
from stylectl.core.interfaces.specs import LossTermArguments, NoOptions
from stylectl.core.interfaces.statistics import FeatureTile, tensors_of
from stylectl.plugins.losses.content import ContentLoss, ContentOptions
from stylectl.plugins.losses.covariance import CovarianceLoss, CovarianceOptions
from stylectl.plugins.losses.moments import MomentsLoss, MomentsOptions
from stylectl.plugins.losses.statistics import gram as gram_module
from stylectl.plugins.losses.statistics import pivoted_sums
from stylectl.plugins.losses.statistics.gram import gram_matrix
from stylectl.plugins.losses.statistics.sums import covariance_sums, mean_and_covariance
from stylectl.plugins.losses.style import StyleLoss, StyleOptions
from stylectl.plugins.losses.wasserstein import WassersteinLoss
from torch import Tensor

LAYERS = {"a": 1.0}
#: A term of any statistics.
Term = StatisticsTerm[Any, Any]

OF_STYLES: list[Term] = [
    StyleLoss(LossTermArguments(layers=LAYERS, options=StyleOptions())),
    CovarianceLoss(LossTermArguments(layers=LAYERS, options=CovarianceOptions())),
    MomentsLoss(LossTermArguments(layers=LAYERS, options=MomentsOptions())),
    WassersteinLoss(LossTermArguments(layers=LAYERS, options=NoOptions())),
]
each_of_styles = pytest.mark.parametrize("term", OF_STYLES, ids=lambda term: type(term).__name__)

#: The root in `wasserstein` makes 1e-8 of float64's error of 1e-16.
ROOT = 1e-7


def assert_close(value: Tensor, expected: Tensor, rtol: float = 1e-10) -> None:
    """float64: sums of some dozen products."""
    torch.testing.assert_close(value, expected, rtol=rtol, atol=1e-10)


def maps(seed: int, height: int = 6, width: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 5, height, width, generator=generator, dtype=torch.float64)


def columns(chosen: slice, width: int = 8, height: int = 6) -> Region:
    weights = torch.zeros(1, 1, height, width, dtype=torch.float64)
    weights[..., chosen] = 1
    return {"a": weights}


def soft(seed: int) -> Region:
    return {"a": maps(seed)[:, :1]}


def bound_value(term: Term, result: Tensor, *styles: Style) -> Tensor:
    return term.bind(References({}, styles))({"a": result})


def tensors(term: Term, features: Tensor, region: Region) -> dict[str, Tensor]:
    """Return the statistics of the layer `a`, by field."""
    statistics = term.statistics(FeatureTile({"a": features}, {}, region))
    return {field: value for (_, field), value in tensors_of(statistics).items()}


@each_of_styles
def test_a_hard_region_has_the_sums_of_its_positions(term: Term) -> None:
    features = maps(1)
    chosen = tensors(term, features[..., 2:5], {})
    for name, value in tensors(term, features, columns(slice(2, 5))).items():
        assert_close(value, chosen[name].to(value))


@each_of_styles
def test_sums_of_regions_that_share_the_picture_add_up_to_the_whole(
    term: Term,
) -> None:
    features, part = maps(1), soft(9)
    rest = {"a": 1 - part["a"]}
    one, other = tensors(term, features, part), tensors(term, features, rest)
    for name, value in tensors(term, features, {}).items():
        # The number of positions is a float32 in `style`.
        assert_close(one[name] + other[name], value, 1e-6 if name == "positions" else 1e-10)


@each_of_styles
def test_the_gradient_in_a_soft_region_is_that_of_finite_differences(
    term: Term,
) -> None:
    target = Style({"a": maps(2)}, 1.0, soft(3), soft(4))
    loss = term.bind(References({}, (target,)))
    assert torch.autograd.gradcheck(lambda x: loss({"a": x}), (maps(1).requires_grad_(),))


@each_of_styles
def test_each_region_has_its_own_styles(term: Term) -> None:
    left, right = columns(slice(0, 4)), columns(slice(4, 8))
    one, other, result = {"a": maps(2)}, {"a": maps(3)}, maps(1)
    both = bound_value(term, result, Style(one, 0.3, left), Style(other, 0.7, right))
    apart = bound_value(term, result[..., :4], Style(one, 0.3)) + bound_value(
        term, result[..., 4:], Style(other, 0.7)
    )
    assert both.item() == pytest.approx(apart.item(), rel=ROOT)


@each_of_styles
def test_a_region_of_the_style_is_where_its_statistics_come_from(
    term: Term,
) -> None:
    wide, result = maps(2, 6, 8), maps(1)
    cut = bound_value(term, result, Style({"a": wide[..., 3:]}, 1.0))
    confined = bound_value(term, result, Style({"a": wide}, 1.0, own_region=columns(slice(3, 8))))
    assert confined.item() == pytest.approx(cut.item(), rel=ROOT)


@each_of_styles
def test_images_of_one_source_count_as_if_they_hung_side_by_side(
    term: Term,
) -> None:
    small, large, result = maps(2, 6, 2), maps(3, 6, 9), maps(1)
    folder = [Style({"a": image}, 0.5, source=4) for image in (small, large)]
    hung = Style({"a": torch.cat([small, large], dim=3)}, 1.0)
    together = bound_value(term, result, hung).item()
    assert bound_value(term, result, *folder).item() == pytest.approx(together, rel=ROOT)


@each_of_styles
def test_the_results_sums_are_taken_once_for_each_region(
    term: Term, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, result = columns(slice(0, 4)), maps(1)
    styles = [Style({"a": maps(seed)}, 0.25, where) for seed in (2, 3)]
    styles += [Style({"a": maps(seed)}, 0.25) for seed in (4, 5)]
    loss = term.bind(References({}, tuple(styles)))
    taken: list[Region] = []
    statistics = term.statistics

    def counted(tile: FeatureTile) -> object:
        taken.append(tile.region)
        return statistics(tile)

    monkeypatch.setattr(term, "statistics", counted)
    loss({"a": result})
    assert taken == [where, {}]


def test_chunks_of_weighted_positions_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    features, where = maps(1), soft(2)
    weights = where["a"].flatten(2)
    tile = FeatureTile({"a": features}, {}, where)
    gram, sums = gram_matrix(features, weights), covariance_sums(tile, ["a"])
    monkeypatch.setattr(gram_module, "CHUNK", 7)
    monkeypatch.setattr(pivoted_sums, "CHUNK", 7)
    assert_close(gram_matrix(features, weights), gram)
    again = covariance_sums(tile, ["a"])
    assert_close(again["a"].products, sums["a"].products)


def test_a_bright_even_region_keeps_its_covariance_in_float32() -> None:
    # As bright as 1000 in the region, with a deviation of 0.01; elsewhere something else.
    features = 1000 + 0.01 * maps(1)
    features[..., 4:] = -500
    where = columns(slice(0, 4))
    single = features.float()
    exact, rounded = (
        mean_and_covariance(covariance_sums(FeatureTile({"a": value}, {}, where), ["a"])["a"])[1]
        for value in (single.double(), single)
    )
    # About the region's own mean float32 loses 1e-7 of the deviation, not of the brightness.
    assert (rounded - exact).abs().max() < 1e-4 * exact.abs().max()


@pytest.mark.parametrize("normalization", ["relative", "mean", "paper"])
def test_the_content_is_held_as_without_a_mask_where_it_is_white(normalization: str) -> None:
    term = ContentLoss(
        LossTermArguments(
            layers=LAYERS, options=ContentOptions.model_validate({"normalization": normalization})
        )
    )
    photo, result = {"a": maps(1)}, maps(2).requires_grad_()
    where = columns(slice(0, 3))
    masked = term.bind(References(photo, (), content_region=where))({"a": result})
    free = term.bind(References(photo, ()))({"a": result})
    (inside,), (everywhere,) = (torch.autograd.grad(each, result) for each in (masked, free))
    assert_close(inside[..., :3], everywhere[..., :3])
    assert not inside[..., 3:].any()


@each_of_styles
def test_a_region_without_any_weight_gives_finite_numbers(term: Term) -> None:
    result = maps(1).requires_grad_()
    nowhere = columns(slice(0, 0))
    loss = bound_value(term, result, Style({"a": maps(2)}, 1.0, nowhere))
    (gradient,) = torch.autograd.grad(loss, result)
    assert torch.isfinite(loss)
    assert not gradient.any()
