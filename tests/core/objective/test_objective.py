from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from stylectl.core.errors import PluginError
from stylectl.core.interfaces.backend import FeatureBackend, Features
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import IMAGE_LAYER, Loss, References, Style
from stylectl.core.objective.objective import Objective
from stylectl.core.objective.weighted_losses import WeightedLoss
from stylectl.plugins.losses.content import ContentLoss, ContentOptions
from stylectl.plugins.losses.pixels.total_variation import TotalVariationLoss, TotalVariationOptions
from stylectl.plugins.losses.style import StyleLoss, StyleOptions
from torch import Tensor


def weighted(name: str, weight: float, loss: Loss) -> WeightedLoss:
    return WeightedLoss(name, weight, loss, f"the loss term {name!r}")


def picture(seed: int, height: int = 6, width: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def objective(backend: FeatureBackend) -> Objective:
    content = References(backend.features(picture(1)), ())
    styles = (
        Style(backend.features(picture(2, 8, 5)), 0.75),
        Style(backend.features(picture(3)), 0.25),
    )
    content_term = ContentLoss(
        LossTermArguments(layers={"smooth2_1": 1.0}, options=ContentOptions())
    )
    style_term = StyleLoss(
        LossTermArguments(
            layers={"smooth1_1": 0.5, "smooth2_1": 0.5}, options=StyleOptions(normalization="paper")
        )
    )
    variation = TotalVariationLoss(LossTermArguments(layers={}, options=TotalVariationOptions()))
    return Objective(
        backend,
        [
            weighted("content", 3.0, content_term.bind(content)),
            weighted("style", 20.0, style_term.bind(References({}, styles))),
            weighted("tv", 0.5, variation.bind(References({}, ()))),
        ],
    )


def central_differences(function: Callable[[Tensor], float], at: Tensor, step: float) -> Tensor:
    gradient = torch.zeros_like(at)
    for index in range(at.numel()):
        shift = torch.zeros_like(at)
        shift.view(-1)[index] = step
        gradient.view(-1)[index] = (function(at + shift) - function(at - shift)) / (2 * step)
    return gradient


def test_gradient_agrees_with_central_differences(smooth_backend: FeatureBackend) -> None:
    goal, image = objective(smooth_backend), picture(4)
    evaluation = goal.evaluate(image)
    expected = central_differences(lambda at: goal.evaluate(at).value, image, 1e-5)
    error = (evaluation.gradient - expected).norm() / expected.norm()
    # The formula's own error measures 0.23 step^2 here (at steps of 1e-3 and 1e-4), 2e-11 at 1e-5;
    # rounding, which grows as 1 / step, makes it 1.5e-10 in all. Ten times that is allowed.
    assert error < 2e-9


def test_every_term_is_in_that_gradient(smooth_backend: FeatureBackend) -> None:
    losses = objective(smooth_backend).evaluate(picture(4)).losses
    assert set(losses) == {"content", "style", "tv"}
    # Each share matters at the tolerance of the test above.
    assert min(losses.values()) > 1e-2 * sum(losses.values())


def test_shares_add_up_to_the_value(smooth_backend: FeatureBackend) -> None:
    evaluation = objective(smooth_backend).evaluate(picture(4))
    # Three positive float64 numbers in two orders.
    assert sum(evaluation.losses.values()) == pytest.approx(evaluation.value, rel=5e-16)


def test_the_weight_multiplies_value_share_and_gradient(smooth_backend: FeatureBackend) -> None:
    def loss(features: Features) -> Tensor:
        return features["smooth1_1"].square().sum() + features[IMAGE_LAYER].sum()

    once = Objective(smooth_backend, [weighted("it", 1.0, loss)]).evaluate(picture(1))
    twice = Objective(smooth_backend, [weighted("it", 2.0, loss)]).evaluate(picture(1))
    assert twice.value == 2 * once.value
    assert twice.losses["it"] == 2 * once.losses["it"]
    # Doubling is exact in each product and sum of the chain.
    assert torch.equal(twice.gradient, 2 * once.gradient)


def test_the_image_is_not_modified(smooth_backend: FeatureBackend) -> None:
    image = picture(4)
    before = image.clone()
    objective(smooth_backend).evaluate(image)
    assert torch.equal(image, before)
    assert not image.requires_grad
    assert image.grad is None


def test_evaluating_twice_gives_the_same(smooth_backend: FeatureBackend) -> None:
    goal = objective(smooth_backend)
    first, second = goal.evaluate(picture(4)), goal.evaluate(picture(4))
    assert first.value == second.value
    assert torch.equal(first.gradient, second.gradient)


def test_a_term_may_read_the_pixels_alone(smooth_backend: FeatureBackend) -> None:
    image = picture(4)
    goal = Objective(
        smooth_backend, [weighted("brightness", 2.0, lambda f: f[IMAGE_LAYER].square().sum())]
    )
    evaluation = goal.evaluate(image)
    # One product for each pixel; powers of two are exact.
    torch.testing.assert_close(evaluation.gradient, 4 * image, rtol=4.5e-16, atol=0)


def test_a_term_may_leave_layers_and_pixels_unread(smooth_backend: FeatureBackend) -> None:
    goal = Objective(smooth_backend, [weighted("one", 1.0, lambda f: f["smooth2_1"].sum())])
    image = picture(4)
    features, pullback = smooth_backend.vjp(image)
    expected = pullback({"smooth2_1": torch.ones_like(features["smooth2_1"])})
    assert torch.equal(goal.evaluate(image).gradient, expected)


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda f: f["smooth1_1"].sum(dim=(2, 3)), id="a matrix"),
        pytest.param(lambda f: f["smooth1_1"].sum().view(1), id="one element, not a scalar"),
        pytest.param(lambda f: f["smooth1_1"].detach().sum(), id="detached"),
        pytest.param(lambda f: torch.tensor(1.0), id="a constant"),
        pytest.param(lambda f: f["smooth1_1"].sum().item(), id="a float"),
        pytest.param(lambda f: None, id="nothing"),
    ],
)
def test_a_loss_that_breaks_the_contract_is_named(
    smooth_backend: FeatureBackend, loss: Callable[[Features], Tensor]
) -> None:
    def fine(features: Features) -> Tensor:
        return features["smooth2_1"].sum()

    goal = Objective(smooth_backend, [weighted("fine", 1.0, fine), weighted("culprit", 1.0, loss)])
    with pytest.raises(PluginError, match="culprit"):
        goal.evaluate(picture(1))


def test_a_value_or_gradient_that_is_not_finite_is_told(smooth_backend: FeatureBackend) -> None:
    def nan_value(features: Features) -> Tensor:
        return features["smooth1_1"].sum() * math.nan

    def infinite_gradient(features: Features) -> Tensor:
        # The root's slope at zero.
        return (features[IMAGE_LAYER] - features[IMAGE_LAYER].detach()).abs().sqrt().sum()

    good = objective(smooth_backend).evaluate(picture(1))
    bad = Objective(smooth_backend, [weighted("bad", 1.0, nan_value)]).evaluate(picture(1))
    steep = Objective(smooth_backend, [weighted("steep", 1.0, infinite_gradient)]).evaluate(
        picture(1)
    )
    assert good.finite
    assert not bad.finite
    assert steep.value == 0
    assert not steep.finite
