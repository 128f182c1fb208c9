"""Assertions of the checks."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    """Raise AssertionError with `message` unless `condition` holds.

    A plain assert would have no message: pytest does not rewrite the asserts of this package.
    """
    if not condition:
        raise AssertionError(message)
