"""What the checks say when something is wrong."""

from __future__ import annotations


def require(condition: bool, message: str) -> None:
    """Raises AssertionError: pytest does not rewrite the asserts of this package."""
    if not condition:
        raise AssertionError(message)
