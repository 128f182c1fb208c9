"""Checks of a contribution, each a test of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

from ...core.errors import StylectlError, UsageError, did_you_mean

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Check:
    """One check of a contribution.

    - `subject`: the contribution's name.
    - `name`: the name of the check, such as ``tiles_add_up``.
    - `function`: raises AssertionError with what is wrong, and unittest.SkipTest where the check
      does not apply. It may write files to the empty folder that it gets.
    """

    subject: str
    name: str
    function: Callable[[Path], None]

    def run(self, folder: Path) -> None:
        """Run the check. Raises AssertionError and unittest.SkipTest."""
        self.function(folder)

    def __str__(self) -> str:
        return f"{self.subject}-{self.name}"


def require(condition: bool, message: str) -> None:
    """Raise AssertionError with `message` unless `condition` holds.

    A plain assert would have no message: pytest does not rewrite the asserts of this package.
    """
    if not condition:
        raise AssertionError(message)


def stylectl_errors_fail(function: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return the check, with errors of stylectl as failures."""

    def check(folder: Path) -> None:
        try:
            function(folder)
        except StylectlError as error:
            raise AssertionError(str(error)) from error

    return check


def run_all(checks: Iterable[Check], folder: Path) -> None:
    """Run all checks that apply. Raises AssertionError for the first that fails."""
    for check in checks:
        with suppress(SkipTest):
            check.run(folder)


def parametrize_with_checks(
    checks: Iterable[Check], expected_failures: Mapping[str, str] = {}
) -> pytest.MarkDecorator:
    """Return a decorator that makes a pytest test of each check::

        @parametrize_with_checks(
            [*loss_term_checks(TERM), *writer_checks(WRITER)],
            expected_failures={"tiles_add_up": "its statistics are means"},
        )
        def test_contracts(check: Check, tmp_path: Path) -> None:
            check.run(tmp_path)

    `expected_failures` has the names of checks that fail for a known reason; one that passes is a
    failure. Raises UsageError for a name that no check has.
    """
    import pytest

    checks = list(checks)
    names = dict.fromkeys(check.name for check in checks)
    for name in expected_failures:
        if name not in names:
            raise UsageError(f"no check is called {name!r}; {did_you_mean(name, names)}")
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                check,
                id=str(check),
                marks=[pytest.mark.xfail(reason=expected_failures[check.name], strict=True)]
                if check.name in expected_failures
                else [],
            )
            for check in checks
        ],
    )
