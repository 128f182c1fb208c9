from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.terms import Loss, References
from stylectl.plugins.losses.content import ContentLoss, ContentOptions
from torch import Tensor

Normalization = Literal["relative", "mean", "paper"]


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1


def term(layers: dict[str, float], normalization: Normalization = "paper") -> ContentLoss:
    return ContentLoss(layers, ContentOptions(normalization=normalization))


def bound(
    normalization: Normalization, layers: dict[str, float], content: dict[str, Tensor]
) -> Loss:
    return term(layers, normalization).bind(References(content=content, styles=()))


def test_gradient_is_the_difference_of_the_features() -> None:
    # Equation 2 of Gatys et al. 2015 for F > 0; where F is 0 the network's rectifier, and not the
    # loss, takes the gradient out.
    result, content = features(1, 1, 5, 7, 9).requires_grad_(), features(2, 1, 5, 7, 9)
    loss = bound("paper", {"a": 1.0}, {"a": content})({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    # 2 * 1/2 * (F - P): products with powers of two are exact, but leave 2 roundings' room.
    torch.testing.assert_close(gradient, result.detach() - content, rtol=4.5e-16, atol=0)


def test_value_is_half_the_sum_of_squares() -> None:
    result, content = features(1, 1, 2, 3, 4), features(2, 1, 2, 3, 4)
    pairs = zip(result.flatten().tolist(), content.flatten().tolist(), strict=True)
    expected = 0.5 * sum((f - p) ** 2 for f, p in pairs)
    value = bound("paper", {"a": 1.0}, {"a": content})({"a": result}).item()
    # A sum of 24 positive numbers: at most 24 roundings of 1.1e-16.
    assert value == pytest.approx(expected, rel=3e-15)


@pytest.mark.parametrize("normalization", ["relative", "mean", "paper"])
def test_gradcheck(normalization: Normalization) -> None:
    loss = bound(
        normalization,
        {"a": 0.7, "b": 0.3},
        {"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 2, 3)},
    )
    inputs = (features(3, 1, 3, 4, 5).requires_grad_(), features(4, 1, 2, 2, 3).requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: loss({"a": a, "b": b}), inputs)


def test_mean_is_the_sum_divided_by_each_layers_elements() -> None:
    content = {"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 6, 7)}
    result = {"a": features(3, 1, 3, 4, 5), "b": features(4, 1, 2, 6, 7)}
    expected = sum(
        bound("paper", {name: 0.5}, content)(result).item() / content[name].numel() for name in "ab"
    )
    # A handful of roundings of 1.1e-16.
    assert bound("mean", {"a": 0.5, "b": 0.5}, content)(result).item() == pytest.approx(
        expected, rel=2e-15
    )


def test_layer_weights_multiply_the_layers() -> None:
    content = {"a": features(1, 1, 3, 4, 5), "b": features(2, 1, 2, 6, 7)}
    result = {"a": features(3, 1, 3, 4, 5), "b": features(4, 1, 2, 6, 7)}
    alone = {name: bound("paper", {name: 1.0}, content)(result).item() for name in "ab"}
    both = bound("paper", {"a": 3.0, "b": 0.25}, content)(result).item()
    assert both == pytest.approx(3 * alone["a"] + 0.25 * alone["b"], rel=2e-15)


@pytest.mark.parametrize("normalization", ["relative", "mean", "paper"])
def test_identical_features_lose_nothing(normalization: Normalization) -> None:
    content = features(1, 1, 3, 4, 5)
    result = content.clone().requires_grad_()
    loss = bound(normalization, {"a": 1.0}, {"a": content})({"a": result})
    (gradient,) = torch.autograd.grad(loss, result)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_batch_is_summed() -> None:
    content, result = features(1, 2, 3, 4, 5), features(2, 2, 3, 4, 5)
    whole = bound("mean", {"a": 1.0}, {"a": content})({"a": result}).item()
    each = sum(
        bound("mean", {"a": 1.0}, {"a": content[n : n + 1]})({"a": result[n : n + 1]}).item()
        for n in range(2)
    )
    # Two orders of summation of 60 positive numbers each.
    assert whole == pytest.approx(each, rel=2e-14)


def test_reads_the_content_alone() -> None:
    made = term({"a": 1.0, "b": 2.0})
    assert made.reads == {"content"}
    assert set(made.layers) == {"a", "b"}


def test_references_are_not_modified() -> None:
    content, result = features(1, 1, 3, 4, 5), features(2, 1, 3, 4, 5)
    before = content.clone(), result.clone()
    bound("mean", {"a": 1.0}, {"a": content})({"a": result})
    assert torch.equal(content, before[0])
    assert torch.equal(result, before[1])


@given(
    normalization=st.sampled_from(["relative", "mean", "paper"]),
    channels=st.integers(1, 6),
    height=st.integers(2, 9),
    width=st.integers(1, 9),
    where=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_sums_of_two_tiles_add_up_to_the_wholes(
    normalization: Normalization, channels: int, height: int, width: int, where: float, seed: int
) -> None:
    made = term({"a": 1.0}, normalization)
    result = features(seed, 1, channels, height, width)
    content = features(seed + 1, 1, channels, height, width)
    row = 1 + round(where * (height - 2))
    upper = made.sums({"a": result[:, :, :row]}, {"a": content[:, :, :row]})
    lower = made.sums({"a": result[:, :, row:]}, {"a": content[:, :, row:]})
    added = {name: upper[name] + lower[name] for name in upper}
    whole = made.sums({"a": result}, {"a": content})
    assert added.keys() == whole.keys()
    for name, value in whole.items():
        # Two orders of summation of at most 6 * 9 * 9 positive numbers: 486 roundings of 1.1e-16.
        torch.testing.assert_close(added[name], value, rtol=6e-14, atol=0)
    expected = bound(normalization, {"a": 1.0}, {"a": content})({"a": result}).item()
    assert made.loss_of_sums(added, ()).item() == pytest.approx(expected, rel=6e-14)


def test_relative_is_the_sum_over_the_contents_own_squares() -> None:
    result, content = features(1, 1, 2, 3, 4), features(2, 1, 2, 3, 4)
    value = bound("relative", {"a": 3.0}, {"a": content})({"a": result}).item()
    expected = 1.5 * ((result - content) ** 2).sum().item() / (content**2).sum().item()
    assert value == pytest.approx(expected, rel=1e-13)  # sums of 24 terms in float64


def test_relative_does_not_depend_on_the_networks_units() -> None:
    result, content = features(1, 1, 2, 3, 4), features(2, 1, 2, 3, 4)
    losses = [
        bound("relative", {"a": 1.0}, {"a": scale * content})({"a": scale * result}).item()
        for scale in (1.0, 1000.0)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-13)


def test_relative_to_nothing_is_finite() -> None:
    black = torch.zeros(1, 2, 3, 4, dtype=torch.float64)
    assert bound("relative", {"a": 1.0}, {"a": black})({"a": black}).item() == 0
    assert torch.isfinite(bound("relative", {"a": 1.0}, {"a": black})({"a": black + 1}))
