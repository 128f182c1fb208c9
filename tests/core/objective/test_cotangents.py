"""How losses become cotangents, plainly or with lengths that are the terms' weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import stylectl
import torch
from stylectl.core.errors import PluginError, UsageError
from stylectl.core.interfaces.backend import FeatureBackend, Features, LazyCotangents
from stylectl.core.interfaces.statistics import (
    FeatureTile,
    LayerStatistics,
    Statistics,
    StatisticsTerm,
    StyleTarget,
)
from stylectl.core.interfaces.terms import IMAGE_LAYER, Loss, References
from stylectl.core.job.building import build_job
from stylectl.core.job.presets import PRESETS
from stylectl.core.objective.cotangents import normalized_cotangents, plain_cotangents
from stylectl.core.objective.objective import Objective
from stylectl.core.objective.weighted_losses import WeightedLoss
from torch import Tensor

LAYERS = ("smooth1_1", "smooth2_1")


def term(
    name: str, weight: float, loss: Loss, shares: Mapping[str, float] | None = None
) -> WeightedLoss:
    return WeightedLoss(name, weight, loss, f"the loss term {name!r}", shares or {})


def squares(features: Features) -> Tensor:
    return sum((features[layer].square().sum() for layer in LAYERS), torch.tensor(0.0))


def cubes(features: Features) -> Tensor:
    return features["smooth2_1"].pow(3).sum()


def brightness(features: Features) -> Tensor:
    return features[IMAGE_LAYER].square().sum()


def picture(seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, 6, 7, generator=generator, dtype=torch.float64)


def unit(gradient: Tensor) -> Tensor:
    return gradient / gradient.abs().sum()


def test_each_terms_pull_at_a_layer_is_its_weight_times_the_layers_share(
    smooth_backend: FeatureBackend,
) -> None:
    image, shares = picture(), {"smooth1_1": 0.25, "smooth2_1": 0.75}
    terms = [term("squares", 6.0, squares, shares), term("cubes", 2.0, cubes, {"smooth2_1": 1.0})]
    features, pullback = smooth_backend.vjp(image)
    expected = pullback(
        {
            "smooth1_1": 6.0 * 0.25 * unit(2 * features["smooth1_1"]),
            "smooth2_1": 6.0 * 0.75 * unit(2 * features["smooth2_1"])
            + 2.0 * unit(3 * features["smooth2_1"].square()),
        }
    )
    goal = Objective(smooth_backend, terms, cotangents=normalized_cotangents)
    # What is added to a length is 1e-8, and the shortest is 0.1.
    torch.testing.assert_close(goal.evaluate(image).gradient, expected, rtol=1e-6, atol=0)


def test_the_pixels_are_a_layer_like_any_other(smooth_backend: FeatureBackend) -> None:
    image = picture()
    goal = Objective(
        smooth_backend, [term("brightness", 3.0, brightness)], cotangents=normalized_cotangents
    )
    torch.testing.assert_close(goal.evaluate(image).gradient, 3.0 * unit(image), rtol=1e-6, atol=0)


@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_the_units_of_a_loss_do_not_matter(smooth_backend: FeatureBackend, factor: float) -> None:
    def in_other_units(features: Features) -> Tensor:
        return factor * cubes(features)

    gradients = [
        Objective(
            smooth_backend,
            [term("squares", 1.0, squares), term("cubes", 1.0, loss)],
            cotangents=normalized_cotangents,
        )
        .evaluate(picture())
        .gradient
        for loss in (cubes, in_other_units)
    ]
    # The shortest gradient times the least factor is 1e-4, beside which 1e-8 is added.
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=0)


def test_values_and_shares_stay_those_of_the_losses(smooth_backend: FeatureBackend) -> None:
    terms = [term("squares", 6.0, squares), term("cubes", 2.0, cubes)]
    plain, normalized = (
        Objective(smooth_backend, terms, cotangents=each).evaluate(picture())
        for each in (plain_cotangents, normalized_cotangents)
    )
    assert plain.value == normalized.value
    assert plain.losses == normalized.losses
    assert not torch.equal(plain.gradient, normalized.gradient)


def test_a_term_that_is_content_asks_for_nothing(smooth_backend: FeatureBackend) -> None:
    def content(features: Features) -> Tensor:
        return (features["smooth2_1"] - features["smooth2_1"].detach()).square().sum()

    goal = Objective(
        smooth_backend, [term("content", 1.0, content)], cotangents=normalized_cotangents
    )
    evaluation = goal.evaluate(picture())
    assert evaluation.finite
    assert not evaluation.gradient.any()


def test_one_that_is_not_finite_is_named(smooth_backend: FeatureBackend) -> None:
    def steep(features: Features) -> Tensor:
        return (features["smooth1_1"] - features["smooth1_1"].detach()).abs().sqrt().sum()

    goal = Objective(smooth_backend, [term("steep", 1.0, steep)], cotangents=normalized_cotangents)
    evaluation = goal.evaluate(picture())
    assert not evaluation.finite
    assert "steep" in evaluation.nonfinite_source


# In a run


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_changes_by_it_and_moves_by_gradients_alone(preset: str) -> None:
    small: dict[str, Any] = {
        "preset": preset,
        "size": 48,
        "iterations": 4,
        "scales": 1,
        "device": "cpu",
    }
    plain, normalized = (stylectl.run(**small, normalize_gradients=on) for on in (None, True))
    assert (plain.image != normalized.image).any()
    assert normalized.job.normalize_gradients
    if normalized.job.optimizer.name == "lbfgs":
        assert normalized.job.optimizer.options["line_search"] == "none"
    again = stylectl.run(normalized.job)
    assert (again.image == normalized.image).all()


def test_the_weight_of_a_loss_is_its_pull_whatever_its_normalization() -> None:
    def painted(normalization: str) -> stylectl.Result:
        return stylectl.run(
            size=48,
            iterations=4,
            scales=1,
            device="cpu",
            normalize_gradients=True,
            optimizer="adam",
            term=[{"name": "content", "weight": 1.0, "normalization": normalization}],
        )

    # Rounding, and what is added to a length, is all that differs: measured was 2.4e-4. L-BFGS,
    # which takes differences of gradients, makes it larger in each step.
    difference = abs(painted("relative").image - painted("mean").image).max()
    assert difference < 1e-3


@pytest.mark.parametrize(
    ("search", "file"),
    [
        ("armijo", {}),
        ("strong-wolfe", {}),
        ("strong-wolfe", {"optimizer": {"name": "lbfgs", "line_search": "strong-wolfe"}}),
    ],
)
def test_a_line_search_that_compares_values_is_an_error(search: str, file: dict[str, Any]) -> None:
    given = {} if file else {"optimizer.line_search": search}
    job = build_job({"normalize_gradients": True, **given}, file)
    advice = "`optimizer.line_search=none` or `optimizer=adam`"
    with pytest.raises(UsageError, match=f"{search} compares values .* {advice}"):
        stylectl.run(job)


def test_a_line_search_that_a_file_spells_out_by_default_gives_way() -> None:
    file = {"optimizer": {"name": "lbfgs", "line_search": "armijo"}}
    job = build_job({"normalize_gradients": True, "size": 48, "iterations": 1}, file)
    assert stylectl.run(job).job.optimizer.options["line_search"] == "none"


def test_adam_compares_no_values() -> None:
    result = stylectl.run(
        size=48, iterations=3, scales=1, device="cpu", normalize_gradients=True, optimizer="adam"
    )
    assert result.iterations == 3


@dataclass(frozen=True)
class Powers(LayerStatistics):
    first: Tensor
    both: Tensor
    count: Tensor


class Squared(StatisticsTerm[Powers, None]):
    """The squares of a sum of one layer, and of one of both."""

    reads = frozenset()
    layers = LAYERS

    def statistics(self, tile: FeatureTile) -> Statistics[Powers]:
        features = tile.features
        both = sum((features[layer].pow(3).sum() for layer in LAYERS), torch.tensor(0.0))
        count = features[LAYERS[0]].new_full((), features[LAYERS[0]].numel())
        return {"all": Powers(features[LAYERS[0]].square().sum(), both, count)}

    def loss_of_statistics(
        self, statistics: Statistics[Powers], targets: Sequence[StyleTarget[None]]
    ) -> Tensor:
        powers = statistics["all"]
        return (powers.first / powers.count).square() + 0.1 * powers.both.square()


def layers_at(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(1, 2, 3, 4, generator=generator, dtype=torch.float64).requires_grad_()
        for name in (*LAYERS, IMAGE_LAYER)
    }


def test_losses_of_statistics_ask_for_the_gradient_of_the_sum_of_all() -> None:
    of_sums = term("squared", 3.0, Squared().bind(References(content={}, styles=())))
    terms = [of_sums, term("cubes", 2.0, cubes), term("again", 0.5, of_sums.loss)]
    leaves = layers_at(5)
    values, cotangents = plain_cotangents(terms, leaves)
    total = torch.stack([each.value(leaves) for each in terms])
    torch.testing.assert_close(values, total.detach())
    expected = torch.autograd.grad(total.sum(), [leaves[layer] for layer in LAYERS])
    assert set(cotangents) == set(LAYERS)  # no loss looks at the pixels
    for layer, gradient in reversed(list(zip(LAYERS, expected, strict=True))):
        torch.testing.assert_close(cotangents.take(layer), gradient)  # float64's own tolerance
        assert layer not in cotangents


def test_a_cotangent_is_computed_when_it_is_looked_at_and_once() -> None:
    computed: list[str] = []

    def awaited(layer: str) -> Tensor:
        computed.append(layer)
        return torch.ones(2)

    known = {"a": torch.zeros(2)}
    given = LazyCotangents(known, {layer: partial(awaited, layer) for layer in ("b", "c")})
    assert set(given) == {"a", "b", "c"}
    assert len(given) == 3
    assert "b" in given
    assert "d" not in given
    assert computed == []
    assert torch.equal(given["b"], torch.ones(2))
    assert torch.equal(given.take("b"), torch.ones(2))
    assert computed == ["b"]
    assert set(given) == {"a", "c"}
    assert {name: value.sum().item() for name, value in given.items()} == {"a": 0.0, "c": 2.0}
    assert computed == ["b", "c"]
    assert "a" in known


def test_what_a_sum_asks_for_may_fail_and_is_laid_to_its_term(
    smooth_backend: FeatureBackend,
) -> None:
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.sum()

        @staticmethod
        def backward(ctx: Any, slope: Tensor) -> Tensor:
            raise ValueError("no way back")

    class Broken(Squared):
        def statistics(self, tile: FeatureTile) -> Statistics[Powers]:
            features = tile.features[LAYERS[0]]
            total: Tensor = Failing.apply(features)  # type: ignore[no-untyped-call]
            return {"all": Powers(total, total, total.new_ones(()))}

    loss = Broken().bind(References(content={}, styles=()))
    with pytest.raises(PluginError, match=r"gradient of the loss term 'odd' failed.*no way back"):
        Objective(smooth_backend, [term("odd", 1.0, loss)]).evaluate(picture())
