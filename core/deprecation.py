"""Deprecations: what still works for one minor release, with a warning."""

from __future__ import annotations

import warnings

from .attribution import current_label


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
