"""The checks of `stylectl.testing` for one contribution, as a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import StylectlError, UsageError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import BackendOptions, FeatureBackend
from ...core.interfaces.specs import BackendSpec, Spec, WriterSpec


class NotChecked(Exception):  # noqa: N818 - it is not an error of the contribution
    """Raised by a check that cannot be made on this machine; the message says why."""


@dataclass(frozen=True)
class KitCheck:
    """A named check.

    `run` gets an empty folder, and returns a remark, or "". It raises AssertionError or another
    error if the contribution fails, and NotChecked.
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
    if isinstance(spec, WriterSpec):
        return [KitCheck("contract", partial(_check_writer, spec))]
    checks: dict[str, Callable[[Any], None]] = {
        "terms": testing.check_loss_term,
        "backbones": testing.check_backbone,
        "optimizers": testing.check_optimizer,
        "initializers": testing.check_initializer,
    }

    def run(_: Path) -> str:
        checks[table](spec)
        return ""

    return [KitCheck("contract", run)]


def _check_writer(spec: WriterSpec, folder: Path) -> str:
    from ...testing import check_writer

    try:
        spec.create(spec.options())
    except UsageError as error:  # by contract: something that it needs is not installed
        raise NotChecked(str(error)) from None
    check_writer(spec, folder)
    return ""


#: What an author may state about a backend in a subclass of BackendSuite, from the strictest on.
_STATEMENTS: tuple[dict[str, bool], ...] = (
    {},
    {"batches": False},
    {"dynamic_shapes": False},
    {"deterministic": False},
)


def _backend_checks(spec: BackendSpec) -> list[KitCheck]:
    """Return the tests of the backend suite, each on all of its networks."""
    from ...plugins.testing.backend_case import TOLERANCES, Case
    from ...testing import BackendSuite, KinkedBackbone, TinyBackbone

    class Suite(BackendSuite):
        def create(
            self, backbone: Backbone, layers: Sequence[str], options: BackendOptions
        ) -> FeatureBackend:
            return spec.create(backbone, layers, options)

    options = spec.options()
    cases = [
        Case(spec.create, backbone, options, TOLERANCES[options.precision])
        for backbone in (TinyBackbone(), KinkedBackbone())
    ]

    def run(test: str, _: Path) -> str:
        try:
            cases[0].backend().close()
        except StylectlError as error:  # by contract: this machine cannot run it
            raise NotChecked(str(error)) from None
        failure: Exception | None = None
        for statement in _STATEMENTS:
            suite = Suite()
            vars(suite).update(statement)
            try:
                for case in cases:
                    getattr(suite, test)(case)
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
