from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from stylectl.core.terms import Loss, References, Style
from stylectl.plugins.losses.mrf import MrfLoss, MrfOptions, nearest_patches, patch_size
from torch import Tensor
from torch.nn import functional

# Sums of at most a few hundred squares, in two orders, of differences that lose a digit or two to
# cancellation.
ROUNDING = 1e-12


def features(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    # Channels of different strength, so that no two distributions are alike.
    strength = torch.rand(1, shape[1], 1, 1, generator=generator, dtype=torch.float64) * 2
    return torch.rand(shape, generator=generator, dtype=torch.float64) * strength


def every_patch(**options: int) -> MrfOptions:
    return MrfOptions.model_validate({"stride": 1, "style_stride": 1} | options)


def term(layers: dict[str, float], **options: int) -> MrfLoss:
    return MrfLoss(layers, every_patch(**options))


def bound(*styles: tuple[Tensor, float], **options: int) -> Loss:
    shares = tuple(Style({"a": style}, weight) for style, weight in styles)
    return term({"a": 1.0}, **options).bind(References(content={}, styles=shares))


def direct(result: Tensor, style: Tensor, stride: int = 1, style_stride: int = 1) -> float:
    """Patch after patch, by the formula."""

    def patches(image: Any, step: int) -> list[Any]:
        height, width = image.shape[1:]
        return [
            image[:, y : y + 3, x : x + 3].ravel()
            for y in range(0, height - 2, step)
            for x in range(0, width - 2, step)
        ]

    own, its = patches(result[0].numpy(), stride), patches(style[0].numpy(), style_stride)
    distance = 0.0
    for patch in own:
        scores = [patch @ each / np.linalg.norm(patch) / np.linalg.norm(each) for each in its]
        distance += ((patch - its[int(np.argmax(scores))]) ** 2).sum()
    return float(distance / len(own) / np.mean([(each**2).sum() for each in its]))


@pytest.mark.parametrize("size", [(6, 8), (3, 3), (9, 5)])
@pytest.mark.parametrize(("stride", "style_stride"), [(1, 1), (2, 1), (3, 2)])
def test_value_is_the_distance_to_the_nearest_patches(
    size: tuple[int, int], stride: int, style_stride: int
) -> None:
    result, style = features(1, 1, 4, 6, 8), features(2, 1, 4, *size)
    loss = bound((style, 1.0), stride=stride, style_stride=style_stride)
    expected = direct(result, style, stride, style_stride)
    assert loss({"a": result}).item() == pytest.approx(expected, rel=ROUNDING)


def test_gradient_is_that_of_the_patches_one_by_one() -> None:
    result, style = features(1, 1, 4, 6, 8).requires_grad_(), features(2, 1, 4, 7, 5)
    (gradient,) = torch.autograd.grad(bound((style, 1.0))({"a": result}), result)
    nearest = nearest_patches(result.detach()[0], style[0], every_patch()).flatten()
    own, its = (functional.unfold(each, 3)[0].T for each in (result, style))
    plain = (own - its[nearest]).square().sum() / len(own) / its.square().sum(1).mean()
    (expected,) = torch.autograd.grad(plain, result)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("chunk", [1, 3, 7, 24, 25])
def test_chunks_change_nothing(chunk: int) -> None:
    result, style = features(1, 1, 4, 6, 8), features(2, 1, 4, 7, 5)
    whole, parts = (every_patch(chunk=each) for each in (1000, chunk))
    assert torch.equal(
        nearest_patches(result[0], style[0], parts), nearest_patches(result[0], style[0], whole)
    )
    value = bound((style, 1.0), chunk=chunk)({"a": result}).item()
    assert value == bound((style, 1.0), chunk=1000)({"a": result}).item()


def test_a_patch_finds_itself_whatever_its_strength() -> None:
    style = features(1, 1, 4, 6, 8)
    nearest = nearest_patches(3 * style[0], style[0], every_patch(chunk=5))
    assert torch.equal(nearest.flatten(), torch.arange(24))


def test_layers_smaller_than_a_patch_take_smaller_patches() -> None:
    result, style = features(1, 1, 3, 2, 4), features(2, 1, 3, 5, 1)
    assert patch_size(result[0], style[0]) == (2, 1)
    assert torch.isfinite(bound((style, 1.0))({"a": result}))
    assert bound((result, 1.0))({"a": result}).item() == 0


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
    # The mean of the equal patches that cover a position is rounded.
    assert loss.item() < 1e-30
    assert gradient.abs().max() < 1e-15


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


def test_black_images_are_finite() -> None:
    some = features(1, 1, 3, 4, 5)
    black = torch.zeros_like(some)
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
        'size = 48\nscales = 1\niterations = 5\ninit = "content"\n'
        'terms = [{ name = "content", weight = 0.1 },\n'
        '{ name = "mrf", weight = 9, layers = ["relu3_1"] }]\n'
        'backend = { name = "torch", device = "cpu" }\n'
    )
    losses: list[Any] = [step.losses for step in stylectl.run(job).steps]
    assert losses[-1]["mrf"] < 0.8 * losses[0]["mrf"]
