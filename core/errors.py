"""Errors that stylectl raises on purpose.

A message says what was wrong, with which file or option, and what to do. Options are written in
backticks, as in Python: `style_weight`, `size=512`. The command line shows them as flags. It prints
the message in one line and exits with `exit_code`. Any other exception that escapes is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Self


class StylectlError(Exception):
    """Base class of every error that stylectl raises on purpose."""

    exit_code = 1

    def reworded(self, message: str) -> Self:
        """Return the same error with another message.

        The constructor of its class, which may take other arguments, is not called.
        """
        error = type(self).__new__(type(self), message)
        error.__dict__.update(self.__dict__)
        error.args = (message,)
        error.__cause__ = self.__cause__ or self
        return error


class UsageError(StylectlError):
    """An invalid request: an option, a job key, a name, a missing file."""

    exit_code = 2


class ImageError(StylectlError):
    """An image file that cannot be used: damaged, too large, too small, not an image."""


class WeightsError(StylectlError):
    """Network weights that cannot be used: wrong hash, wrong shapes, unsafe contents."""


class BackendError(StylectlError):
    """A job that the backend cannot run on this machine: no such device or precision."""


class OutputError(StylectlError):
    """A result that cannot be written to its path."""


class CheckpointError(StylectlError):
    """A checkpoint that cannot be resumed: damaged, or of another version, job or input."""


class MemoryLimitError(StylectlError):
    """A result that needs more memory than is available; the message has a size that would fit."""


class NumericalError(StylectlError):
    """A loss that is not finite, even after restarts with smaller steps."""


class PluginError(StylectlError):
    """A plugin that broke its contract, or two plugins that contribute the same name."""


class ListenerError(PluginError):
    """A plugin's listener that failed; the run went on without it, and its result is whole."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an "unknown name" message: the nearest known name, or all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return "there is " + ", ".join(names) if names else "there is none"
