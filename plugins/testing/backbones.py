"""Checks of a backbone: its description of the layers, and its trunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...backends.accuracy.distances import relative_l2
from ...backends.pytorch.backend import TorchBackend, autograd_vjp
from ...core.errors import StylectlError, UsageError
from ...core.interfaces.backbone import Backbone, LayerInfo
from ...core.interfaces.backend import BackendOptions
from ...core.interfaces.specs import BackboneSpec
from ...core.planning.backbones import create_backbone
from ...core.validation import validated
from .checks import Check, require, run_all
from .pictures import painting, photo

#: Tolerance, absolute and relative, in float32: convolutions may sum in another order.
_CLOSE = 1e-4
#: Relative L2 tolerance of a gradient: rounding switches some rectifiers of a deep network, which
#: moves the gradient of VGG-19 by 0.02; a wrong gradient is off by about 1.
_GRADIENT = 0.1
#: Largest receptive field that is checked, in pixels: larger ones would require slow, large images.
_LARGEST_FIELD = 128


def check_backbone(spec: BackboneSpec[Any], *, options: Mapping[str, Any] = {}) -> None:
    """Run all of `backbone_checks`. Raises AssertionError for the first that fails."""
    run_all(backbone_checks(spec, options=options), Path())


def backbone_checks(spec: BackboneSpec[Any], *, options: Mapping[str, Any] = {}) -> list[Check]:
    """Return the checks of the backbone that `spec` makes with `options`, on the CPU in float32.

    - ``layers_have_names``: names are unique; aliases and default layers are layers.
    - ``trunk_keeps_the_contract``: it returns exactly the requested layers, with the same values
      each time and for any other requested layers; images of a batch do not mix; the image is not
      changed; the weights are frozen; channels and strides are as described.
    - ``geometry_is_right``: receptive fields and smallest sides are as described.
    - ``torch_backend_runs_it``: with autograd's gradient.
    """

    def check(function: Callable[[Backbone], None]) -> Callable[[Path], None]:
        return lambda _folder: function(_created(spec, options))

    functions = {
        "layers_have_names": _check_names,
        "trunk_keeps_the_contract": _check_trunk,
        "geometry_is_right": _check_geometry,
        "torch_backend_runs_it": _check_backend,
    }
    subject = getattr(spec, "name", "backbone")
    return [Check(subject, name, check(function)) for name, function in functions.items()]


def _created(spec: BackboneSpec[Any], options: Mapping[str, Any]) -> Backbone:
    require(isinstance(spec, BackboneSpec), f"not a BackboneSpec: {spec!r}")
    label = f"the backbone {spec.name!r}"
    try:
        return create_backbone(spec, validated(spec.options, options, label), label)
    except StylectlError as error:
        raise AssertionError(str(error)) from error


def _image(backbone: Backbone) -> Tensor:
    side = 2 * max(info.smallest_side for info in backbone.layers) + 5
    return photo(side, side + 6)


def _check_names(backbone: Backbone) -> None:
    names = [info.name for info in backbone.layers]
    require(len(names) > 0, "it has no layers")
    require(len(set(names)) == len(names), "two of its layers have one name")
    for alias, name in backbone.aliases.items():
        require(name in names, f"the alias {alias!r} stands for the unknown layer {name!r}")
        require(alias not in names, f"{alias!r} is both a layer and an alias")
    for kind in ("content", "style"):
        weights: Mapping[str, float] = getattr(backbone, f"default_{kind}_layers")
        require(len(weights) > 0, f"it has no default {kind} layers")
        positive = all(weight > 0 for weight in weights.values())
        require(positive, f"the weight of a default {kind} layer is not > 0")
    try:
        backbone.canonical("no such layer")
    except UsageError:
        return
    raise AssertionError("canonical() accepts an unknown layer")


def _check_trunk(backbone: Backbone) -> None:
    image = _image(backbone)
    names = [info.name for info in backbone.layers]
    trunk = backbone.trunk(names)
    frozen = not any(weight.requires_grad for weight in trunk.parameters())
    require(frozen, "its weights are not frozen")
    before = image.clone()
    activations = trunk(image)
    require(torch.equal(before, image), "it changes the image")
    require(set(activations) == set(names), f"asked for {names}, it returns {sorted(activations)}")
    for info in backbone.layers:
        _check_map(info, activations[info.name], image)
    _check_equal(activations, trunk(image), "the second time", exact=True)
    for name in names:
        expected = {name: activations[name]}
        _check_equal(expected, trunk(image, [name]), f"asked for {name} alone")
        _check_equal(expected, backbone.trunk([name])(image), f"made for {name} alone")
    other = painting(*image.shape[2:])
    batch = trunk(torch.cat([image, other]))
    first = {name: value[:1] for name, value in batch.items()}
    _check_equal(activations, first, "in a batch with another image")
    outside = trunk(4 * image - 2)
    finite = all(torch.isfinite(value).all() for value in outside.values())
    require(finite, "for pixels outside of [0, 1], which are allowed, its features are not finite")


def _check_map(info: LayerInfo, value: Tensor, image: Tensor) -> None:
    shape = tuple(value.shape)
    require(value.dim() == 4 and shape[0] == 1, f"{info.name} has the shape {shape}")
    require(value.dtype == torch.float32, f"{info.name} is of {value.dtype}")
    channels = f"{info.name} has {shape[1]} channels, not {info.channels}"
    require(shape[1] == info.channels, channels)
    for pixels, positions in zip(image.shape[2:], shape[2:], strict=True):
        # Unpadded borders may remove some positions; a border can add one.
        fits = 0 < positions <= -(-pixels // info.stride) + 1
        message = f"{info.name} has {positions} positions for {pixels} pixels, stride {info.stride}"
        require(fits, message)


def _check_geometry(backbone: Backbone) -> None:
    for info in backbone.layers:
        trunk = backbone.trunk([info.name])
        try:
            smallest = trunk(photo(info.smallest_side, info.smallest_side))[info.name]
        except RuntimeError as error:
            message = f"{info.name} fails at its smallest side, {info.smallest_side}: {error}"
            raise AssertionError(message) from error
        require(smallest.numel() > 0, f"{info.name} has no position at its smallest side")
        if info.receptive_field is not None and info.receptive_field <= _LARGEST_FIELD:
            _check_receptive_field(info, trunk)


def _check_receptive_field(info: LayerInfo, trunk: torch.nn.Module) -> None:
    """Check that no pixel beyond the receptive field changes a position."""
    field = info.receptive_field or 0
    side = max(2 * field + 2 * info.stride, info.smallest_side)
    leaf = photo(side, side).requires_grad_()
    maps = trunk(leaf)[info.name]
    row, column = maps.shape[2] // 2, maps.shape[3] // 2
    (gradient,) = torch.autograd.grad(maps[0, :, row, column].sum(), leaf)
    seen = gradient[0].abs().sum(0).nonzero()
    if len(seen) == 0:
        return
    spread = int((seen.max(0).values - seen.min(0).values).max()) + 1
    message = f"{info.name} depends on {spread} pixels, more than its receptive field of {field}"
    require(spread <= field, message)


def _check_backend(backbone: Backbone) -> None:
    image = _image(backbone)
    names = tuple(info.name for info in backbone.layers)
    with TorchBackend(backbone, names, BackendOptions(device="cpu")) as backend:
        features, pullback = backend.vjp(image)
        cotangents = {name: torch.ones_like(value) for name, value in features.items()}
        gradient = pullback(cotangents)
    plain, plain_pullback = autograd_vjp(backbone.trunk(names), image)
    _check_equal(plain, features, "through the torch backend")
    expected = plain_pullback(cotangents)
    require(bool(torch.isfinite(gradient).all()), "its gradient is not finite")
    require(bool(gradient.any()), "its gradient is zero everywhere")
    off = relative_l2(gradient, expected)
    require(off <= _GRADIENT, f"through the torch backend, the gradient is off by {off:.2g}")


def _check_equal(
    expected: Mapping[str, Tensor], got: Mapping[str, Tensor], when: str, exact: bool = False
) -> None:
    require(set(got) == set(expected), f"{when}, it returns {sorted(got)}, not {sorted(expected)}")
    for name, value in expected.items():
        scale = value.abs().max().item()
        bound = 0.0 if exact else _CLOSE * scale + 1e-12
        off = (got[name] - value).abs().max().item()
        require(off <= bound, f"{when}, {name} is off by {off:.3g} (of {scale:.3g})")
