"""Checks of a loss term: its contract, its gradient, and its invariances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from ...core.errors import StylectlError
from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermArguments, LossTermSpec
from ...core.interfaces.statistics import FeatureTile, StatisticsTerm, StyleTarget, added
from ...core.interfaces.terms import Loss, LossTerm, References, Style
from ...core.interfaces.video.former import FormerResult
from ...core.planning.terms import check_term, default_layers
from ...core.validation import validated
from .checks import Check, require, run_all
from .network import TinyBackbone
from .term_inputs import SIDE, Images, confined, half, left_half, permuted, ramp, zeros

#: Relative tolerance. A term in float32 loses 6e-8 at each of some thousand operations, and a digit
#: or two where it takes differences.
_SINGLE = 1e-3
#: Relative tolerance for sums in another order, in float64.
_DOUBLE = 1e-9


def check_loss_term(
    spec: LossTermSpec[Any],
    *,
    options: Mapping[str, Any] = {},
    ignores_positions: bool = False,
    ignores_scale: bool = False,
) -> None:
    """Run all of `loss_term_checks`. Raises AssertionError for the first that fails."""
    checks = loss_term_checks(
        spec, options=options, ignores_positions=ignores_positions, ignores_scale=ignores_scale
    )
    run_all(checks, Path())


def loss_term_checks(
    spec: LossTermSpec[Any],
    *,
    options: Mapping[str, Any] = {},
    ignores_positions: bool = False,
    ignores_scale: bool = False,
) -> list[Check]:
    """Return the checks of the term that `spec` makes with `options`.

    It is evaluated on the tiny network's features of fixed images: a result, a content image of its
    size, and two style images of other sizes.

    - ``keeps_the_contract``: layers, references, a scalar with a gradient.
    - ``changes_nothing``: no input changes, and no state is kept between calls.
    - ``gradient_is_right``: it is that of finite differences (torch.autograd.gradcheck, float64).
    - ``float32_agrees``: the value in float32 is nearly that in float64.
    - ``black_images_are_finite``: their values and gradients are finite.
    - ``tiles_add_up``: the statistics of a StatisticsTerm's tiles add up to those of the image.
    - ``regions_confine``: a `regional` term has the same value in a region of ones as without a
      region, no gradient where a region's weight is zero, the right gradient where the weight is
      between zero and one, and finite numbers in a region whose weights are all zero.
    - ``positions_do_not_matter``, if `ignores_positions`: a permutation of the result's positions
      does not change the value.
    - ``scale_does_not_matter``, if `ignores_scale`: with all features a hundred times as large, the
      value is the same.
    - ``runs_on_cuda``: the contract on a CUDA device.
    """
    case = _Case(spec, options)
    functions = {
        "keeps_the_contract": case.check_contract,
        "changes_nothing": case.check_nothing_changes,
        "gradient_is_right": case.check_gradient,
        "float32_agrees": case.check_single_precision,
        "black_images_are_finite": case.check_black_images,
        "tiles_add_up": case.check_tiles,
        "regions_confine": case.check_regions,
        "runs_on_cuda": case.check_cuda,
    }
    if ignores_positions:
        functions["positions_do_not_matter"] = case.check_positions
    if ignores_scale:
        functions["scale_does_not_matter"] = case.check_scale
    subject = getattr(spec, "name", "loss term")
    return [Check(subject, name, function) for name, function in functions.items()]


@dataclass(frozen=True)
class _Case:
    """A loss term with its options, and its checks; each creates the term anew."""

    spec: LossTermSpec[Any]
    options: Mapping[str, Any]

    def term(self) -> LossTerm:
        spec = self.spec
        require(isinstance(spec, LossTermSpec), f"not a LossTermSpec: {spec!r}")
        backbone, label = TinyBackbone(), f"the loss term {spec.name!r}"
        try:
            chosen = validated(spec.options, self.options, label)
            layers = {} if spec.layers_from == "image" else default_layers(spec, backbone)
            term = spec.create(LossTermArguments(layers=layers, options=chosen))
            check_term(term, backbone, label)
        except StylectlError as error:
            raise AssertionError(str(error)) from error
        return term

    def check_contract(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float64)
        _check_value(term.bind(images.references(term)), images.result(term), torch.float64)

    def check_gradient(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float64)
        _check_gradient(term.bind(images.references(term)), images.result(term))

    def check_nothing_changes(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float64)
        references, result = images.references(term), images.result(term)
        inputs = [references.content, *(style.features for style in references.styles), result]
        copies = [{name: value.clone() for name, value in features.items()} for features in inputs]
        loss = term.bind(references)
        values = {loss(result).item() for _ in range(4)}
        require(len(values) == 1, f"called again, it gives {' and '.join(map(str, values))}")
        for copy, features in zip(copies, inputs, strict=True):
            for name, value in features.items():
                require(torch.equal(copy[name], value), f"it changes the features {name}")

    def check_single_precision(self, folder: Path) -> None:
        term, exact, single = self.term(), Images(torch.float64), Images(torch.float32)
        expected = term.bind(exact.references(term))(exact.result(term)).item()
        loss, result = term.bind(single.references(term)), single.result(term)
        _check_value(loss, result, torch.float32)
        value = loss(result).item()
        close = abs(value - expected) <= _SINGLE * abs(expected) + 1e-12
        require(close, f"in float32 it gives {value}, in float64 {expected}")

    def check_black_images(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float32)
        usual, result = images.references(term), images.result(term)
        black = References(
            content=zeros(usual.content),
            styles=tuple(Style(zeros(style.features), style.weight) for style in usual.styles),
            seed=1,
            former=tuple(
                FormerResult(torch.zeros_like(former.image), former.reliability)
                for former in usual.former
            ),
        )
        pairs = ((usual, zeros(result)), (black, result), (black, zeros(result)))
        for references, features in pairs:
            try:
                _check_value(term.bind(references), features, torch.float32)
            except AssertionError as error:
                raise AssertionError(f"for features that are all zero: {error}") from error

    def check_tiles(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float64)
        if not isinstance(term, StatisticsTerm):
            raise SkipTest("not a StatisticsTerm")
        references, result = images.references(term), images.result(term)
        term = term.fitted(references)
        # An even row, since the deeper layer has half as many rows.
        row = SIDE // 2 - (SIDE // 2) % 2
        tiles = []
        for upper in (True, False):
            features, content = (
                {name: half(value, row, upper) for name, value in maps.items()}
                for maps in (result, references.content)
            )
            tiles.append(term.statistics(FeatureTile(features, content, {})))
        targets = [
            StyleTarget(
                term.target(term.statistics(FeatureTile(style.features, {}, {}))), style.weight
            )
            for style in references.styles
        ]
        loss = term.loss_of_statistics(added(*tiles), targets)
        _check_same(loss, term.bind(references)(result), "from the statistics of two tiles")

    def check_regions(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float64)
        if not term.regional or not term.reads:
            raise SkipTest("not a term of regions")
        references, result = images.references(term), images.result(term)

        def bound(weights: Callable[[Tensor], Tensor]) -> Loss:
            return term.bind(confined(references, result, weights))

        everywhere = term.bind(references)(result)
        _check_same(bound(torch.ones_like)(result), everywhere, "in a region of ones")
        _check_gradient(bound(ramp), result)
        _check_value(bound(torch.zeros_like), result, torch.float64)
        leaves = _leaves(result)
        for name, gradient in _gradients(bound(left_half)(leaves), leaves).items():
            outside = gradient * (1 - left_half(gradient))
            require(not outside.any(), f"its gradient at {name} is not zero outside of the region")

    def check_positions(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float64)
        loss, result = term.bind(images.references(term)), images.result(term)
        moved = {name: permuted(value) for name, value in result.items()}
        _check_same(loss(moved), loss(result), "after the positions were permuted")

    def check_scale(self, folder: Path) -> None:
        term, images = self.term(), Images(torch.float64)
        loss, result = term.bind(images.references(term)), images.result(term)
        scaled = term.bind(images.references(term, 100.0))
        larger = {name: 100 * value for name, value in result.items()}
        _check_same(scaled(larger), loss(result), "with all features a hundred times as large")

    def check_cuda(self, folder: Path) -> None:
        if not torch.cuda.is_available():
            raise SkipTest("this machine has no CUDA device")
        term, images = self.term(), Images(torch.float32, torch.device("cuda"))
        _check_value(term.bind(images.references(term)), images.result(term), torch.float32)


def _check_value(loss: Loss, features: Features, dtype: torch.dtype) -> None:
    leaves = _leaves(features)
    value = loss(leaves)
    require(isinstance(value, Tensor) and value.shape == (), f"not a scalar: {value!r}")
    require(value.dtype == dtype, f"for {dtype} features it gives {value.dtype}")
    device = next(iter(features.values())).device
    require(value.device.type == device.type, f"for {device} features it gives {value.device}")
    require(value.requires_grad, "it has no gradient")
    require(bool(torch.isfinite(value)), f"it gives {value.item()}")
    for name, gradient in _gradients(value, leaves).items():
        require(bool(torch.isfinite(gradient).all()), f"its gradient at {name} is not finite")


def _check_gradient(loss: Loss, features: Features) -> None:
    names = list(features)

    def of_tensors(*tensors: Tensor) -> Tensor:
        return loss(dict(zip(names, tensors, strict=True)))

    leaves = _leaves(features)
    try:
        # In one random direction of each layer, not along every element: seconds, not minutes.
        torch.autograd.gradcheck(of_tensors, tuple(leaves.values()), fast_mode=True)
    except GradcheckError as error:
        message = str(error).partition("\n")[0]  # whole matrices follow
        raise AssertionError(
            f"its gradient is not that of finite differences: {message}"
        ) from error


def _check_same(value: Tensor, expected: Tensor, when: str) -> None:
    close = abs(value.item() - expected.item()) <= _DOUBLE * abs(expected.item()) + 1e-15
    require(close, f"{when} it gives {value.item()} instead of {expected.item()}")


def _leaves(features: Features) -> dict[str, Tensor]:
    return {name: value.detach().clone().requires_grad_() for name, value in features.items()}


def _gradients(value: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves, gradients, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}
