"""Checks of parametrisations of the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...core.interfaces.optimizer import Parametrization
from ...core.interfaces.specs import ParametrizationSpec
from ...core.optimizers.colors import OwnColors
from ...core.optimizers.variables import Variables
from ...core.validation import validated
from .checks import Check, require, run_all, stylectl_errors_fail
from .pictures import photo

#: Sizes (height, width) of the images: even, odd, and small.
_SIZES = ((16, 24), (17, 11), (5, 6))
#: Largest difference of a decoded image: a hundred roundings of float32.
_TOLERANCE = 100 * torch.finfo(torch.float32).eps
#: Step of central differences in float64, and what their error may be, relative.
_STEP, _SLOPE_TOLERANCE = 1e-5, 1e-5


def check_parametrization(spec: ParametrizationSpec, *, options: Mapping[str, Any] = {}) -> None:
    """Run all of `parametrization_checks`. Raises AssertionError for the first that fails."""
    run_all(parametrization_checks(spec, options=options), Path())


def parametrization_checks(
    spec: ParametrizationSpec, *, options: Mapping[str, Any] = {}
) -> list[Check]:
    """Return the checks of the parametrisation of `spec` with `options`.

    It gets images of several sizes.

    - ``keeps_the_contract``: the shapes, types and devices of parameters and images; pixels where
      `are_pixels` says so; not many more parameters than `size_ratio` says.
    - ``decodes_what_it_encodes``: an image comes back, but for rounding, and is not changed.
    - ``gradient_is_right``: that of `decode`, beside central differences in float64.
    """
    case = _Case(spec, options)
    functions = {
        "keeps_the_contract": case.check_contract,
        "decodes_what_it_encodes": case.check_images,
        "gradient_is_right": case.check_gradient,
    }
    subject = getattr(spec, "name", "parametrisation")
    return [
        Check(subject, name, stylectl_errors_fail(function)) for name, function in functions.items()
    ]


@dataclass(frozen=True)
class _Case:
    """A parametrisation with its options, and its checks."""

    spec: ParametrizationSpec
    options: Mapping[str, Any]

    def parametrization(self) -> Parametrization:
        spec = self.spec
        require(isinstance(spec, ParametrizationSpec), f"not a ParametrizationSpec: {spec!r}")
        return validated(spec.options, self.options, f"parametrisation {spec.name}")

    def variables(self, size: tuple[int, int]) -> Variables:
        label = f"the parametrisation {self.spec.name!r}"
        return Variables(self.parametrization(), OwnColors(), size, label)

    def check_contract(self, folder: Path) -> None:
        for size in _SIZES:
            variables, image = self.variables(size), photo(*size)
            parameters = variables.encode(image)
            require(len(parameters) == 1, "the first dimension of its parameters should be N")
            variables.image(parameters)
            same = variables.fit(parameters)
            require(same, "the shape of its parameters depends on more than the image's size")
            if variables.parametrization.are_pixels:
                require(
                    parameters.shape == image.shape, "`are_pixels` is True, and they have no pixels"
                )
            ratio, stated = parameters.numel() / image.numel(), variables.parametrization.size_ratio
            require(
                ratio <= 1.1 * stated + 0.1,
                f"it has {ratio:.2f} parameters for each number; `size_ratio` is {stated:.2f}",
            )

    def check_images(self, folder: Path) -> None:
        for size in _SIZES:
            variables, image = self.variables(size), photo(*size)
            decoded = variables.image(variables.encode(image))
            require(torch.equal(image, photo(*size)), "it changes the image that it encodes")
            difference = (decoded - image).abs().max().item()
            require(
                difference <= _TOLERANCE,
                f"a decoded image of {size} differs from the encoded one by {difference:.2g}",
            )

    def check_gradient(self, folder: Path) -> None:
        for size in _SIZES:
            variables, generator = self.variables(size), torch.Generator().manual_seed(0)
            point = variables.encode(photo(*size).double())
            leaf = point.clone().requires_grad_()
            with torch.enable_grad():
                image = variables.image(leaf)
            cotangent, direction = (_normal(like, generator) for like in (image, point))
            (gradient,) = torch.autograd.grad(image, leaf, cotangent)
            after, before = (
                (cotangent * variables.image(point + step * direction)).sum().item()
                for step in (_STEP, -_STEP)
            )
            slope, expected = (gradient * direction).sum().item(), (after - before) / (2 * _STEP)
            scale = max(abs(expected), gradient.norm().item() * direction.norm().item())
            require(
                abs(slope - expected) <= _SLOPE_TOLERANCE * max(scale, 1e-30),
                f"the slope by its gradient is {slope:.6g}, by differences {expected:.6g}",
            )


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)
