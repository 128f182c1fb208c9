"""Checks of a loss term: its contract, its gradient, and its invariances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from ...core.errors import StylectlError
from ...core.interfaces.backend import Features
from ...core.interfaces.specs import LossTermSpec
from ...core.interfaces.terms import IMAGE_LAYER, Loss, LossTerm, References, Style, SumTerm
from ...core.planning.terms import check_term, default_layers
from ...core.validation import validated
from .network import TinyBackbone
from .pictures import painting, photo
from .require import require

#: Side of the images, in pixels: small enough for finite differences by each pixel.
_SIDE = 10

#: Relative tolerance. A term in float32 loses 6e-8 at each of some thousand operations, and a digit
#: or two where it takes differences.
_SINGLE = 1e-3
#: Relative tolerance for sums in another order, in float64.
_DOUBLE = 1e-9


def check_loss_term(
    spec: LossTermSpec,
    *,
    options: Mapping[str, Any] = {},
    ignores_positions: bool = False,
    ignores_scale: bool = False,
) -> None:
    """Check the term that `spec` makes with `options`.

    It is evaluated on the tiny network's features of fixed images: a result, a content image of its
    size, and two style images of other sizes.

    - It keeps its contract: layers, references, a scalar with a gradient, no input changed, no
      state kept between calls.
    - Its gradient is that of finite differences (torch.autograd.gradcheck, in float64).
    - Its value in float32 is nearly the same; black images have finite values and gradients.
    - The sums of a SumTerm's tiles add up to those of the whole image.
    - A `regional` term has the same value in a region of ones as without a region, no gradient
      where a region's weight is zero, the right gradient where the weight is between zero and one,
      and finite numbers in a region whose weights are all zero.
    - `ignores_positions`: a permutation of the result's positions does not change the value.
    - `ignores_scale`: with all features a hundred times as large, the value is the same.

    With a CUDA device, the term is checked there too. Raises AssertionError.
    """
    require(isinstance(spec, LossTermSpec), f"not a LossTermSpec: {spec!r}")
    term = _created(spec, options)
    images = _Images(torch.float64)
    loss = term.bind(images.references(term))
    result = images.result(term)
    _check_value(loss, result, torch.float64)
    _check_nothing_changes(term, images)
    _check_gradient(loss, result)
    _check_single_precision(term, loss(result).item())
    _check_black_images(term)
    if isinstance(term, SumTerm):
        _check_tiles(term, images)
    if term.regional and term.reads:
        _check_regions(term, images)
    if ignores_positions:
        permuted = {name: _permuted(value) for name, value in result.items()}
        _check_same(loss(permuted), loss(result), "after the positions were permuted")
    if ignores_scale:
        scaled = term.bind(images.references(term, 100.0))
        larger = {name: 100 * value for name, value in result.items()}
        _check_same(scaled(larger), loss(result), "with all features a hundred times as large")
    if torch.cuda.is_available():
        _check_device(term, torch.device("cuda"))


class _Images:
    """Features of the fixed images, at the tiny network's layers and the pixels."""

    def __init__(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
        self._trunk = TinyBackbone(dtype).trunk([info.name for info in TinyBackbone.layers])
        self._trunk.to(device)
        self._dtype, self._device = dtype, device

    def features(self, image: Tensor, term: LossTerm) -> dict[str, Tensor]:
        image = image.to(self._device, self._dtype)
        activations = {**self._trunk(image), IMAGE_LAYER: image}
        return {name: activations[name] for name in term.layers}

    def result(self, term: LossTerm) -> dict[str, Tensor]:
        mixed = 0.6 * photo(_SIDE, _SIDE + 2) + 0.4 * painting(_SIDE, _SIDE + 2)
        return self.features(mixed, term)

    def references(self, term: LossTerm, scale: float = 1.0) -> References:
        def scaled(image: Tensor) -> Features:
            return {name: scale * value for name, value in self.features(image, term).items()}

        styles = (
            Style(scaled(painting(12, 8)), 0.75),
            Style(scaled(painting(9, 14).flip(3)), 0.25),
        )
        return References(
            content=scaled(photo(_SIDE, _SIDE + 2)) if "content" in term.reads else {},
            styles=styles if "styles" in term.reads else (),
            seed=1,
        )


def _created(spec: LossTermSpec, options: Mapping[str, Any]) -> LossTerm:
    backbone, label = TinyBackbone(), f"the loss term {spec.name!r}"
    try:
        chosen = validated(spec.options, options, label)
        layers = {} if spec.layers_from == "image" else default_layers(spec, backbone)
        term = spec.create(layers, chosen)
        check_term(term, backbone, label)
    except StylectlError as error:
        raise AssertionError(str(error)) from error
    return term


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


def _check_nothing_changes(term: LossTerm, images: _Images) -> None:
    references, result = images.references(term), images.result(term)
    inputs = [references.content, *(style.features for style in references.styles), result]
    copies = [{name: value.clone() for name, value in features.items()} for features in inputs]
    loss = term.bind(references)
    first, second = loss(result).item(), loss(result).item()
    require(first == second, f"called twice, it gives {first} and {second}")
    for copy, features in zip(copies, inputs, strict=True):
        for name, value in features.items():
            require(torch.equal(copy[name], value), f"it changes the features {name}")


def _check_single_precision(term: LossTerm, expected: float) -> None:
    images = _Images(torch.float32)
    loss, result = term.bind(images.references(term)), images.result(term)
    _check_value(loss, result, torch.float32)
    value = loss(result).item()
    close = abs(value - expected) <= _SINGLE * abs(expected) + 1e-12
    require(close, f"in float32 it gives {value}, in float64 {expected}")


def _check_black_images(term: LossTerm) -> None:
    images = _Images(torch.float32)
    usual, result = images.references(term), images.result(term)
    black = References(
        content=_zeros(usual.content),
        styles=tuple(Style(_zeros(style.features), style.weight) for style in usual.styles),
        seed=1,
    )
    for references, features in ((usual, _zeros(result)), (black, result), (black, _zeros(result))):
        try:
            _check_value(term.bind(references), features, torch.float32)
        except AssertionError as error:
            raise AssertionError(f"for features that are all zero: {error}") from error


def _check_tiles(term: SumTerm, images: _Images) -> None:
    references, result = images.references(term), images.result(term)
    # An even row, since the deeper layer has half as many rows.
    row = _SIDE // 2 - (_SIDE // 2) % 2
    tiles = []
    for upper in (True, False):
        features, content = (
            {name: _half(value, row, upper) for name, value in maps.items()}
            for maps in (result, references.content)
        )
        tiles.append(term.sums(features, content, {}))
    added = {name: tiles[0][name] + tiles[1][name] for name in tiles[0]}
    styles = [
        (term.prepared(term.sums(style.features, {}, {})), style.weight)
        for style in references.styles
    ]
    expected = term.bind(references)(result)
    _check_same(term.loss_of_sums(added, styles), expected, "from the sums of two tiles")


def _half(features: Tensor, row: int, upper: bool) -> Tensor:
    cut = row * features.shape[2] // _SIDE
    return features[:, :, :cut] if upper else features[:, :, cut:]


def _check_regions(term: LossTerm, images: _Images) -> None:
    references, result = images.references(term), images.result(term)

    def bound(weights: Callable[[Tensor], Tensor]) -> Loss:
        return term.bind(_confined(references, result, weights))

    everywhere = term.bind(references)(result)
    _check_same(bound(torch.ones_like)(result), everywhere, "in a region of ones")
    _check_gradient(bound(_ramp), result)
    _check_value(bound(torch.zeros_like), result, torch.float64)
    leaves = _leaves(result)
    for name, gradient in _gradients(bound(_left_half)(leaves), leaves).items():
        outside = gradient * (1 - _left_half(gradient))
        require(not outside.any(), f"its gradient at {name} is not zero outside of the region")


def _confined(
    references: References, result: Features, weights: Callable[[Tensor], Tensor]
) -> References:
    """Return the references with regions: of the result for content and styles, and of the styles.

    The styles' own regions are left out where all weights would be zero.
    """

    def region(features: Features) -> dict[str, Tensor]:
        return {name: weights(value[:1, :1]) for name, value in features.items()}

    confined = region(result)
    empty = not any(values.any() for values in confined.values())
    styles = tuple(
        replace(style, region=confined, own_region={} if empty else region(style.features))
        for style in references.styles
    )
    return replace(references, styles=styles, content_region=confined if references.content else {})


def _ramp(features: Tensor) -> Tensor:
    return torch.linspace(0, 1, features.shape[3]).to(features).expand_as(features)


def _left_half(features: Tensor) -> Tensor:
    return (_ramp(features) < 0.5).to(features)


def _check_device(term: LossTerm, device: torch.device) -> None:
    images = _Images(torch.float32, device)
    _check_value(term.bind(images.references(term)), images.result(term), torch.float32)


def _check_same(value: Tensor, expected: Tensor, when: str) -> None:
    close = abs(value.item() - expected.item()) <= _DOUBLE * abs(expected.item()) + 1e-15
    require(close, f"{when} it gives {value.item()} instead of {expected.item()}")


def _permuted(features: Tensor) -> Tensor:
    order = torch.randperm(features[0, 0].numel(), generator=torch.Generator().manual_seed(1))
    return features.flatten(2)[:, :, order].view_as(features)


def _leaves(features: Features) -> dict[str, Tensor]:
    return {name: value.detach().clone().requires_grad_() for name, value in features.items()}


def _gradients(value: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    pairs = zip(leaves, gradients, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def _zeros(features: Features) -> dict[str, Tensor]:
    return {name: torch.zeros_like(value) for name, value in features.items()}
