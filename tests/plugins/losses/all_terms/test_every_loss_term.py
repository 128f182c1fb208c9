"""What holds for every built-in loss term, or for all of a kind; what is a term's own, its closed
forms above all, stands in a module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import stylectl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl import IMAGE_LAYER, Loss, LossTerm, References, StatisticsTerm, Style
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.statistics import FeatureTile, StyleTarget, added
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins
from stylectl.testing import check_loss_term
from torch import Tensor

#: Relative: some thousand roundings of 1.1e-16 in another order, and a few digits to differences.
ROUNDING = 1e-11


@dataclass(frozen=True)
class Case:
    """A term with options, and what it promises."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    reads: frozenset[str] = frozenset({"styles"})
    ignores_positions: bool = False
    ignores_scale: bool = True
    #: Of the result's loss where it is its own reference; what is not zero has no such reference.
    least: float | None = 1e-12
    weight: float = 30.0

    def __str__(self) -> str:
        return "-".join([self.name, *map(str, self.options.values())])


CONTENT = frozenset({"content"})
BOTH = frozenset({"content", "styles"})

CASES = [
    Case("content", reads=CONTENT),
    Case("content", {"normalization": "mean"}, CONTENT, ignores_scale=False),
    Case("content", {"normalization": "paper"}, CONTENT, ignores_scale=False, weight=1e-4),
    Case("content", {"softmax": 2.0}, CONTENT),
    Case("content", {"softmax": 1.0, "normalization": "mean"}, CONTENT),
    Case("style", ignores_positions=True),
    Case("style", {"softmax": 2.0}, ignores_positions=True),
    Case("style", {"softmax": 1.0, "normalization": "paper"}, ignores_positions=True),
    Case("style", {"normalization": "paper"}, ignores_positions=True, ignores_scale=False),
    Case("covariance", ignores_positions=True),
    Case("covariance", {"normalization": "plain"}, ignores_positions=True, ignores_scale=False),
    Case("moments", ignores_positions=True),
    Case("moments", {"normalization": "paper"}, ignores_positions=True, ignores_scale=False),
    # A difference of traces of matrix roots: half of the digits.
    Case("wasserstein", ignores_positions=True, least=1e-7),
    Case("histogram", ignores_positions=True),
    Case("sliced-wasserstein", ignores_positions=True),
    Case("sliced-wasserstein", {"directions": 3}, ignores_positions=True),
    Case("mrf", weight=9.0),
    Case("mrf", {"stride": 1, "style_stride": 1, "chunk": 7}, weight=9.0),
    Case("nnst", reads=frozenset({"content", "styles", "result"}), least=None, weight=9.0),
    Case("strotss", reads=BOTH, ignores_scale=False, weight=9.0),
    Case("strotss", {"samples": 6}, BOTH, ignores_scale=False, least=None, weight=9.0),
    Case("laplacian", reads=CONTENT, ignores_scale=False),
    Case("laplacian", {"pools": [1]}, CONTENT, ignores_scale=False),
    *(
        Case("tv", {"power": power, "reduction": reduction}, frozenset(), False, False, None)
        for power in (1, 2)
        for reduction in ("mean", "sum")
    ),
    Case("tv", {"flat": 0.3}, CONTENT, False, False, None),
    Case("temporal", reads=frozenset({"former"}), ignores_scale=False, least=None),
]

#: Distances themselves, not their squares: they have a slope, or a rounded one, at zero.
ROOTS = ("wasserstein", "strotss")

#: They take the layers together, as one long vector at each position.
COLUMNS = ("nnst", "strotss")

OF_STYLES = [case for case in CASES if "styles" in case.reads]
SUM_TERMS = ("content", "style", "covariance", "moments", "wasserstein")
OF_SUMS = [case for case in CASES if case.name in SUM_TERMS]
ON_LAYERS = [case for case in CASES if case.name not in ("tv", "laplacian", "temporal")]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


def term(registry: Registry, case: Case, **layers: float) -> LossTerm:
    spec = registry.terms.get(case.name)
    shares = {} if spec.layers_from == "image" else layers or {"a": 0.7, "b": 0.3}
    options = spec.options.model_validate(dict(case.options))
    return spec.create(LossTermArguments(layers=shares, options=options))


def features(seed: int, height: int = 6, width: int = 8, batch: int = 1) -> dict[str, Tensor]:
    """Of a layer, a deeper one, and the pixels; channels of different strength."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(channels: int, rows: int, columns: int) -> Tensor:
        strength = torch.rand(1, channels, 1, 1, generator=generator, dtype=torch.float64) * 2 + 0.1
        shape = (batch, channels, rows, columns)
        return strength * torch.rand(shape, generator=generator, dtype=torch.float64)

    return {
        "a": drawn(4, height, width),
        "b": drawn(3, height // 2, width // 2),
        IMAGE_LAYER: drawn(3, height, width),
    }


def bound(
    made: LossTerm, content: dict[str, Tensor], *styles: tuple[dict[str, Tensor], float]
) -> Loss:
    return made.bind(
        References(
            content=content if "content" in made.reads else {},
            styles=tuple(Style(*each) for each in styles) if "styles" in made.reads else (),
            seed=1,
        )
    )


def test_every_built_in_term_is_here(registry: Registry) -> None:
    assert {case.name for case in CASES} == {spec.name for spec in registry.terms}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_passes_the_checks_for_plugin_authors(registry: Registry, case: Case) -> None:
    check_loss_term(
        registry.terms.get(case.name),
        options=case.options,
        ignores_positions=case.ignores_positions,
        ignores_scale=case.ignores_scale,
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradcheck_of_every_element(registry: Registry, case: Case) -> None:
    result, content = features(1, 4, 6), features(2, 4, 6)
    loss = bound(term(registry, case), content, (features(3, 6, 4), 0.6), (features(4, 5, 7), 0.4))
    leaves = {name: value.requires_grad_() for name, value in result.items()}
    used = term(registry, case).layers

    def of_tensors(*tensors: Tensor) -> Tensor:
        return loss(dict(zip(used, tensors, strict=True)))

    assert torch.autograd.gradcheck(of_tensors, tuple(leaves[name] for name in used))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_reads_what_it_should(registry: Registry, case: Case) -> None:
    made = term(registry, case)
    assert made.reads == case.reads
    assert isinstance(made, StatisticsTerm) == (case.name in SUM_TERMS)
    pixels = (IMAGE_LAYER,) if case.name in COLUMNS or case not in ON_LAYERS else ()
    assert made.layers == ((("a", "b") if case in ON_LAYERS else ()) + pixels)


@pytest.mark.parametrize("case", [case for case in CASES if case.least is not None], ids=str)
def test_it_loses_nothing_at_its_own_reference(registry: Registry, case: Case) -> None:
    image = features(1)
    loss = bound(term(registry, case), image, (image, 1.0))
    leaves = {name: value.clone().requires_grad_() for name, value in image.items()}
    assert case.least is not None
    value = loss(leaves)
    assert abs(value.item()) <= case.least
    if case.name not in ROOTS:
        gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        assert all(each.abs().max() < 1e-9 for each in gradients if each is not None)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_batch_is_summed(registry: Registry, case: Case) -> None:
    result, content, style = features(3, batch=2), features(1), features(2)
    loss = bound(term(registry, case), content, (style, 1.0))
    each = [loss({name: value[n : n + 1] for name, value in result.items()}) for n in range(2)]
    expected = sum(loss.item() for loss in each)
    assert loss(result).item() == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize("case", OF_STYLES, ids=str)
def test_styles_are_averaged_by_their_shares(registry: Registry, case: Case) -> None:
    result, content, first, second = features(3), features(4), features(1), features(2, 8, 10)
    made = term(registry, case)
    alone = [bound(made, content, (style, 1.0))(result).item() for style in (first, second)]
    both = bound(made, content, (first, 0.8), (second, 0.2))(result).item()
    # Each style draws its own samples; a softmax has the temperature of all styles together.
    if not {"samples", "softmax"} & set(case.options):
        assert both == pytest.approx(0.8 * alone[0] + 0.2 * alone[1], rel=ROUNDING)
    twice = bound(made, content, (first, 0.5), (first, 0.5))(result).item()
    assert twice == pytest.approx(alone[0], rel=ROUNDING)


#: Of the directions of `sliced-wasserstein`, those of a layer depend on which were drawn before.
APART = [case for case in ON_LAYERS if case.name not in (*COLUMNS, "sliced-wasserstein")]


@pytest.mark.parametrize("case", APART, ids=str)
def test_layer_weights_multiply_the_layers(registry: Registry, case: Case) -> None:
    result, content, style = features(3), features(1), features(2)
    a, b, both = (
        bound(term(registry, case, **layers), content, (style, 1.0))(result).item()
        for layers in ({"a": 1.0}, {"b": 1.0}, {"a": 3.0, "b": 0.5})
    )
    assert both == pytest.approx(3 * a + 0.5 * b, rel=ROUNDING)


@given(height=st.integers(2, 10), width=st.integers(2, 9), seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("case", [case for case in CASES if case.ignores_positions], ids=str)
def test_the_order_of_the_positions_does_not_matter(
    registry: Registry, case: Case, height: int, width: int, seed: int
) -> None:
    result, style = features(seed, height, width), features(seed + 1, 5, 4)
    generator = torch.Generator().manual_seed(seed)
    permuted = {
        name: value.flatten(2)[
            :, :, torch.randperm(value[0, 0].numel(), generator=generator)
        ].view_as(value)
        for name, value in result.items()
    }
    loss = bound(term(registry, case), {}, (style, 1.0))
    # Two images' statistics may happen to be nearly equal, and their difference few digits.
    expected = loss(result).item()
    assert loss(permuted).item() == pytest.approx(expected, rel=1e-8, abs=1e-8)


@given(row=st.integers(1, 4), width=st.integers(2, 9), seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("case", OF_SUMS, ids=str)
def test_sums_of_two_tiles_add_up_to_the_wholes(
    registry: Registry, case: Case, row: int, width: int, seed: int
) -> None:
    made = term(registry, case)
    assert isinstance(made, StatisticsTerm)
    result, content, style = features(seed, 10, width), features(seed + 1, 10, width), features(2)
    reads_styles = "styles" in made.reads
    made = made.fitted(References(content=content, styles=(Style(style, 1.0),)))
    tiles = []
    for upper in (True, False):
        own, of_content = (
            {
                name: value[:, :, : row * value.shape[2] // 5]
                if upper
                else value[:, :, row * value.shape[2] // 5 :]
                for name, value in each.items()
            }
            for each in (result, content if "content" in made.reads else {})
        )
        tiles.append(made.statistics(FeatureTile(own, of_content, {})))
    of_style = made.target(made.statistics(FeatureTile(style, {}, {}))) if reads_styles else None
    targets = [StyleTarget(of_style, 1.0)] if reads_styles else []
    whole = bound(made, content, (style, 1.0))(result).item()
    # As above: what is compared may be a difference of nearly equal numbers.
    assert made.loss_of_statistics(added(*tiles), targets).item() == pytest.approx(
        whole, rel=1e-8, abs=1e-8
    )


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.least is not None and not case.options], ids=str
)
def test_a_run_lowers_it(case: Case) -> None:
    result = stylectl.run(
        size=48,
        scales=1,
        iterations=5,
        # The content image is the minimum of terms that read it, or a kink of them.
        init="style" if "content" in case.reads else "content",
        device="cpu",
        style_weight=0.001,
        content_weight=0.001,
        tv_weight=0,
        term=[{"name": case.name, "weight": case.weight}],
    )
    assert result.final_losses[case.name] < 0.95 * result.initial_losses[case.name]
