from __future__ import annotations

import doctest
import inspect

import pytest
from stylectl.plugins import hooks, hookspecs
from stylectl.plugins.manager import load_plugins

HOOKS = [name for name in vars(hookspecs) if name.startswith("stylectl_")]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hooks_documentation_says_when_and_has_an_example_that_runs(hook: str) -> None:
    text = inspect.getdoc(getattr(hookspecs, hook))
    assert text is not None
    assert text.startswith("Called ")
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(hookspecs, hook), hook)
    assert len(example.examples) >= 2
    results = doctest.DocTestRunner().run(example)
    assert results.failed == 0


def test_tracing_shows_each_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STYLECTL_TRACE_PLUGINS", "1")
    load_plugins()
    traced = capsys.readouterr().err
    for hook in ("stylectl_backends", "stylectl_backbones", "stylectl_loss_terms"):
        assert hook in traced


def test_without_tracing_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    load_plugins()
    assert capsys.readouterr().err == ""


def test_every_hook_has_its_mark() -> None:
    marks = {name for name, value in vars(hooks).items() if callable(value) and name.islower()}
    names = {name for name in vars(hookspecs) if name.startswith("stylectl_")}
    assert {f"stylectl_{name}" for name in marks if name != "hookimpl"} == names
    for name in names:

        def function() -> None: ...

        getattr(hooks, name.removeprefix("stylectl_"))(function)
        assert function.stylectl_impl["specname"] == name  # type: ignore[attr-defined]
