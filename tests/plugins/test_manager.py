from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import stylectl
from stylectl.core.errors import PluginError, StylectlError, UsageError
from stylectl.core.interfaces.events import Notice, RunFinished, RunStarted, StepDone
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import Plugins, load_plugins

GOOD = """
import torch
from stylectl import IMAGE_LAYER, LossTerm, LossTermSpec, hookimpl
from stylectl.core.interfaces.specs import NoOptions


class Darkness(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments):
        pass

    def bind(self, references):
        return lambda features: features[IMAGE_LAYER].square().mean()


@hookimpl
def stylectl_loss_terms():
    yield LossTermSpec(
        name="darkness", summary="prefers black", create=Darkness, layers_from="image"
    )
"""

LISTENING = """
from stylectl import hookimpl

heard = []


@hookimpl
def stylectl_run_started(event):
    heard.append(event)


@hookimpl
def stylectl_step(event):
    heard.append(event)


@hookimpl
def stylectl_run_finished(event):
    heard.append(event)
"""

#: What is wrong -> the plugin, and a word that its problem must say.
BROKEN = {
    "import error": ("import a_module_that_nobody_has", "a_module_that_nobody_has"),
    "no module": ("import sys\nsys.modules[__name__] = None\n", "None"),
    "a BaseException at import": (
        "class Stop(BaseException):\n    pass\nraise Stop('not today')",
        "not today",
    ),
    "a later interface": ("STYLECTL_API_VERSION = 99", "needs version 99 of the plugin interface"),
    "no hooks": ("def loss_terms():\n    return []", "no function in it is marked"),
    "control characters": ("raise ValueError('\\x1b[2J' + 'x' * 9999)", r"\x1b[2J"),
    "a name with a colon": (GOOD.replace('"darkness"', '"dark:ness"'), "dark:ness"),
    "options that hide a key of the job": (
        GOOD.replace(
            "@hookimpl", "class Options(NoOptions):\n    weight: float = 1\n\n\n@hookimpl"
        ).replace('layers_from="image"', 'layers_from="image", options=Options'),
        "'weight'",
    ),
    "syntax error": ("def broken(:\n", "SyntaxError"),
    "exit at import": ("raise SystemExit('I need a GPU')", "I need a GPU"),
    "not iterable": (
        "from stylectl import hookimpl\n@hookimpl\ndef stylectl_loss_terms():\n    return 5\n",
        "int",
    ),
    "wrong type": (
        "from stylectl import hookimpl\n@hookimpl\ndef stylectl_writers():\n    return ['png']\n",
        "WriterSpec",
    ),
    "another hook's type": (
        GOOD.replace("def stylectl_loss_terms", "def stylectl_writers"),
        "WriterSpec",
    ),
    "exception in a hook": (
        "from stylectl import hookimpl\n@hookimpl\ndef stylectl_backends():\n    1 / 0\n",
        "ZeroDivisionError",
    ),
    "misspelt hook": (GOOD.replace("stylectl_loss_terms", "stylectl_loss_term"), "loss_term"),
    "a hook without its mark": (GOOD.replace("@hookimpl\n", ""), "not marked @hookimpl"),
    "wrong argument": (
        "from stylectl import hookimpl\n@hookimpl\ndef stylectl_step(evnet):\n    pass\n",
        "evnet",
    ),
}

Install = Callable[..., str]


def term_names(registry: Registry) -> list[str]:
    return [spec.name for spec in registry.terms]


def record(plugins: Plugins, name: str) -> tuple[str, str | None]:
    (found,) = [each for each in plugins.records if each.name == name]
    return found.origin, found.reason or None


def paint(**options: Any) -> stylectl.Result:
    return stylectl.run(size=32, iterations=2, scales=1, init="content", device="cpu", **options)


def test_the_built_in_plugins_are_whole() -> None:
    plugins = load_plugins()
    assert plugins.problems == ()
    loaded = [each for each in plugins.records if each.state == "loaded"]
    assert {each.origin for each in loaded} == {"built-in"}
    assert {"content", "style", "tv"} <= set(term_names(plugins.registry))


def test_an_installed_plugin_is_found(install: Install) -> None:
    install(GOOD, "dark")
    plugins = load_plugins()
    assert record(plugins, "dark") == ("stylectl-dark 1.2", None)
    assert "darkness" in term_names(plugins.registry)
    assert "stylectl-dark 1.2" in plugins.registry.terms.origin("darkness")


def test_a_job_uses_an_installed_loss_term(install: Install, tmp_path: Path) -> None:
    install(GOOD, "dark")
    (tmp_path / "job.toml").write_text(
        'terms = ["content", {name = "darkness", weight = 1000000.0}]\n'
    )
    result = paint(job=tmp_path / "job.toml")
    assert set(result.final_losses) == {"content", "darkness"}
    assert result.final_losses["darkness"] < result.initial_losses["darkness"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_recorded_and_the_rest_works(install: Install, kind: str) -> None:
    source, word = BROKEN[kind]
    install(source, "bad", version="0.9")
    install(GOOD, "dark")
    plugins = load_plugins()
    origin, problem = record(plugins, "bad")
    assert origin == "stylectl-bad 0.9"
    assert problem is not None
    assert word in problem
    assert problem.isprintable()
    assert len(problem) < 500
    assert record(plugins, "dark") == ("stylectl-dark 1.2", None)
    assert {"darkness", "content", "style"} <= set(term_names(plugins.registry))
    (sentence,) = plugins.problems
    assert "bad" in sentence
    assert "stylectl-bad 0.9" in sentence


def test_a_broken_plugin_brings_nothing_at_all(install: Install) -> None:
    install(GOOD + "\n\n@hookimpl\ndef stylectl_writers():\n    raise OSError('no')\n", "bad")
    plugins = load_plugins()
    assert record(plugins, "bad")[1] is not None
    assert "darkness" not in term_names(plugins.registry)


def test_a_run_tells_of_a_broken_plugin_and_goes_on(install: Install) -> None:
    install("import a_module_that_nobody_has", "bad")
    heard: list[object] = []
    paint(on_event=heard.append)
    notices = [event.message for event in heard if isinstance(event, Notice)]
    assert any("bad" in message and "stylectl-bad 1.2" in message for message in notices)
    assert isinstance(heard[-1], RunFinished)


def test_a_term_that_two_distributions_bring_names_both_when_it_is_used(install: Install) -> None:
    install(GOOD, "dark", "stylectl-dark", "1.0")
    install(GOOD, "night", "stylectl-night", "2.5")
    registry = load_plugins().registry
    assert registry.terms.get("style").name == "style"
    with pytest.raises(PluginError) as caught:
        registry.terms.get("darkness")
    for word in ("darkness", "stylectl-dark 1.0", "stylectl-night 2.5", "no_plugin"):
        assert word in str(caught.value)


def test_switching_one_of_two_claimants_off_helps(install: Install) -> None:
    install(GOOD, "dark", "stylectl-dark", "1.0")
    install(GOOD, "night", "stylectl-night", "2.5")
    plugins = load_plugins(["night"])
    assert "stylectl-dark 1.0" in plugins.registry.terms.origin("darkness")
    assert plugins.registry.terms.get("darkness").name == "darkness"


def test_a_plugin_that_takes_a_built_in_term_is_left_out(install: Install) -> None:
    install(GOOD.replace('"darkness"', '"style"'), "dark")
    plugins = load_plugins()
    assert plugins.registry.terms.origin("style") == "the plugin stylectl.style (built-in)"
    assert plugins.problems == (
        "the plugin dark (stylectl-dark 1.2) is left out: the loss term 'style' is built in; the "
        "plugin must use another name",
    )


@pytest.mark.parametrize("name", ["style", "png", "report", "stylectl.png"])
def test_a_plugin_that_is_called_like_a_built_in_one_works(install: Install, name: str) -> None:
    install(GOOD, name, "stylectl-mine")
    plugins = load_plugins()
    assert plugins.problems == ()
    assert {"darkness", "style"} <= set(term_names(plugins.registry))
    assert plugins.registry.writer_for(Path("out.png")).name == "png"


def test_two_plugins_of_one_name_are_told_apart_by_their_distributions(install: Install) -> None:
    install(LISTENING, "same", "stylectl-one", "1.0")
    install(GOOD, "same", "stylectl-two", "2.5")
    plugins = load_plugins()
    assert record(plugins, "stylectl-one/same") == ("stylectl-one 1.0", None)
    assert record(plugins, "stylectl-two/same") == ("stylectl-two 2.5", None)
    without = load_plugins(["stylectl-two/same"])
    assert "darkness" not in term_names(without.registry)
    with pytest.raises(UsageError, match="stylectl-one/same or stylectl-two/same"):
        load_plugins(["same"])


def test_a_plugin_may_be_called_by_its_distribution(install: Install) -> None:
    install(GOOD, "png", "stylectl-mine")
    plugins = load_plugins(["stylectl-mine/png"])
    assert "darkness" not in term_names(plugins.registry)
    assert plugins.registry.writer_for(Path("out.png")).name == "png"


@pytest.mark.parametrize(
    ("requires", "complaint"),
    [
        ("stylectl>=99", "it requires stylectl>=99, and this is stylectl 0.2.0"),
        ("Stylectl <0.1", "it requires stylectl<0.1, and this is stylectl 0.2.0"),
        ("stylectl>=0.2,<0.3", None),
        ("stylectl>=99; python_version < '3'", None),
        ("stylectl>=99; extra == 'test'", None),
        ("numpy>=99", None),
        ("what is this", None),
    ],
)
def test_a_plugin_of_another_stylectl_is_refused_with_both_versions(
    install: Install, requires: str, complaint: str | None
) -> None:
    module = install(GOOD, "dark", requires=[requires])
    assert record(load_plugins(), "dark")[1] == complaint
    assert (module in sys.modules) == (complaint is None)


def test_a_hook_of_another_version_may_be_optional(install: Install) -> None:
    install(
        GOOD + "\n\n@hookimpl(optionalhook=True)\ndef stylectl_previews():\n    return []\n", "dark"
    )
    plugins = load_plugins()
    assert plugins.problems == ()
    assert "darkness" in term_names(plugins.registry)


def test_what_a_plugin_prints_at_import_goes_to_stderr(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("print('hello')\n" + GOOD, "dark")
    load_plugins()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err


def test_an_interruption_while_a_plugin_is_imported_is_the_users(install: Install) -> None:
    install("raise KeyboardInterrupt", "slow")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


def test_a_module_is_loaded_without_installing_it() -> None:
    module = ModuleType("my_package.dark")
    exec(GOOD, vars(module))
    plugins = load_plugins(extra=[module])
    assert record(plugins, "dark") == ("not installed", None)
    assert "darkness" in term_names(plugins.registry)


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        ("", []),
        ("dark", ["dark"]),
        ("ear", ["ear"]),
        ("dark,ear", ["dark", "ear"]),
        ("dark, ear", ["dark", "ear"]),
    ],
)
def test_an_environment_variable_lists_what_may_be_loaded(
    install: Install, monkeypatch: pytest.MonkeyPatch, allowed: str, found: list[str]
) -> None:
    install(GOOD, "dark")
    install(LISTENING, "ear")
    monkeypatch.setenv("STYLECTL_PLUGINS", allowed)
    plugins = load_plugins()
    loaded = [each for each in plugins.records if each.state == "loaded"]
    assert sorted(each.name for each in loaded if each.origin != "built-in") == found
    assert plugins.problems == ()


def test_a_plugin_that_may_not_be_loaded_is_not_imported(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = install(GOOD, "dark")
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    load_plugins()
    assert module not in sys.modules


def test_a_plugin_may_be_switched_off(install: Install) -> None:
    module = install(GOOD, "dark")
    plugins = load_plugins(["dark"])
    assert "darkness" not in term_names(plugins.registry)
    (skipped,) = [each for each in plugins.records if each.name == "dark"]
    assert (skipped.state, skipped.reason) == ("skipped", "switched off")
    assert module not in sys.modules


def test_a_built_in_plugin_may_be_switched_off() -> None:
    plugins = load_plugins(["png"])
    with pytest.raises(UsageError, match=r"out\.png"):
        plugins.registry.writer_for(Path("out.png"))


def test_switching_an_unknown_plugin_off_brings_up_the_nearest(install: Install) -> None:
    install(GOOD, "dark")
    with pytest.raises(UsageError, match=r"`no_plugin`: no plugin 'drak'; did you mean dark\?"):
        load_plugins(["drak"])


def test_listeners_hear_the_run(install: Install) -> None:
    module = install(LISTENING, "ear")
    paint()
    heard = sys.modules[module].heard
    assert isinstance(heard[0], RunStarted)
    assert isinstance(heard[-1], RunFinished)
    assert [event.step for event in heard if isinstance(event, StepDone)] == [0, 1, 2]


def test_a_listener_that_fails_is_named(install: Install) -> None:
    install(LISTENING.replace("heard.append(event)", "1 / 0"), "ear")
    with pytest.raises(PluginError, match="ear") as caught:
        paint()
    assert "ZeroDivisionError" in str(caught.value)


def test_a_term_that_gives_no_scalar_is_named(install: Install, tmp_path: Path) -> None:
    install(GOOD.replace(".square().mean()", ".square()"), "dark")
    (tmp_path / "job.toml").write_text('terms = ["content", "darkness"]\n')
    with pytest.raises(StylectlError, match="darkness"):
        paint(job=tmp_path / "job.toml")
