"""Deprecations: what still works for one minor release, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from inspect import signature
from typing import Any

from .attribution import current_label
from .errors import PluginError


class StylectlDeprecationWarning(DeprecationWarning):
    """Use of something that the next minor release of stylectl removes."""


def warn_deprecated(what: str, instead: str, removed_in: str = "0.3") -> None:
    """Warn that `what` is deprecated, with the name of the plugin whose code runs.

    `instead` says what to write in its place. Python shows equal warnings once.
    """
    user = current_label()
    subject = f"{user} uses {what}, which" if user else what
    warnings.warn(
        f"{subject} is deprecated and will be removed in stylectl {removed_in}; {instead}",
        StylectlDeprecationWarning,
        stacklevel=3,
    )


def take_one_argument(spec: Any, *former: str) -> None:
    """Adapt a spec's `create` of version 0.1, which took the fields of its argument one by one.

    Raises PluginError for a `create` that cannot be called.
    """
    create: Callable[..., Any] = spec.create
    if not callable(create):
        raise PluginError(f"{type(spec).__name__} {spec.name!r}: `create` should be callable")
    if _accepts(create, 1) or not _accepts(create, len(former)):
        return  # a call that fails is attributed to the plugin
    kind = type(spec).__name__.removesuffix("Spec")
    warn_deprecated(
        f"create({', '.join(former)}) of a {kind}Spec",
        f"take one argument, a {kind}Arguments with these fields",
    )

    def adapted(arguments: Any) -> Any:
        return create(*(getattr(arguments, name) for name in former))

    object.__setattr__(spec, "create", adapted)


def _accepts(function: Callable[..., object], count: int) -> bool:
    """Return whether the function can be called with `count` arguments."""
    try:
        signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return count == 1
    return True
