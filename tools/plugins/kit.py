"""The checks of `stylectl.testing` for one contribution, as a list."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import SkipTest

from ...core.deprecation import StylectlDeprecationWarning
from ...core.errors import StylectlError, UsageError
from ...core.interfaces.specs import BackendSpec, Spec, WriterArguments, WriterSpec


@dataclass(frozen=True)
class KitCheck:
    """A named check.

    `run` gets an empty folder, and returns a remark, or "". It raises AssertionError or another
    error if the contribution fails, and SkipTest if the check cannot be made on this machine.
    """

    name: str
    run: Callable[[Path], str]


def kit_checks(table: str, spec: Spec) -> list[KitCheck]:
    """Return the checks of a contribution with its default options.

    `table` is the name of its table in the registry.
    """
    from ... import testing

    if isinstance(spec, BackendSpec):
        return _backend_checks(spec)
    functions: dict[str, Callable[[Any], list[testing.Check]]] = {
        "terms": testing.loss_term_checks,
        "backbones": testing.backbone_checks,
        "writers": testing.writer_checks,
        "optimizers": testing.optimizer_checks,
        "initializers": testing.initializer_checks,
        "parametrizations": testing.parametrization_checks,
    }
    if table not in functions:
        return []

    def run(check: testing.Check, folder: Path) -> str:
        if isinstance(spec, WriterSpec):
            try:
                with warnings.catch_warnings():  # the check itself warns of what is deprecated
                    warnings.simplefilter("ignore", StylectlDeprecationWarning)
                    spec.create(WriterArguments(options=spec.options()))
            except UsageError as error:  # by contract: something that it needs is not installed
                raise SkipTest(str(error)) from None
        check.run(folder)
        return ""

    return [
        KitCheck(check.name.replace("_", " "), partial(run, check))
        for check in functions[table](spec)
    ]


#: What an author may state about a backend in a subclass of BackendSuite, from the strictest on.
_STATEMENTS: tuple[dict[str, bool], ...] = (
    {},
    {"batches": False},
    {"dynamic_shapes": False},
    {"deterministic": False},
)


def _backend_checks(spec: BackendSpec[Any]) -> list[KitCheck]:
    """Return the tests of the backend suite, each on all of its networks."""
    from ...plugins.testing.backend_case import cases_of
    from ...testing import BackendSuite

    options = spec.options()
    cases = cases_of(spec, options.model_dump(), [options.device], [options.precision], None)

    def run(test: str, _: Path) -> str:
        try:
            next(iter(cases.values())).backend().close()
        except StylectlError as error:  # by contract: this machine cannot run it
            raise SkipTest(str(error)) from None
        failure: Exception | None = None
        for statement in _STATEMENTS:
            suite = BackendSuite()
            vars(suite).update(statement)
            try:
                for case in cases.values():
                    getattr(suite, test)(case)
            except SkipTest:
                raise
            except Exception as error:  # a plugin's code may raise anything
                failure = failure or error
            else:
                return "".join(f"where its suite states {name} = False" for name in statement)
        assert failure is not None
        raise failure

    tests = [name for name in dir(BackendSuite) if name.startswith("test_")]
    return [
        KitCheck(test.removeprefix("test_").replace("_", " "), partial(run, test)) for test in tests
    ]
