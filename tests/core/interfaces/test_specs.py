"""What a spec refuses when it is made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from stylectl import (
    PRESETS,
    BackendOptions,
    LossTermSpec,
    NoOptions,
    PluginError,
    PresetSpec,
    WriterSpec,
)

NAMES = st.from_regex(r"[a-z0-9_][a-z0-9_+-]{0,20}", fullmatch=True)


def term(**changes: Any) -> LossTermSpec[Any]:
    fields: dict[str, Any] = {
        "name": "ink",
        "summary": "draws lines",
        "create": print,
        "layers_from": "style",
    }
    return LossTermSpec(**(fields | changes))


def writer(suffixes: Any) -> WriterSpec[Any]:
    fields: dict[str, Any] = {"create": print, "suffixes": suffixes, "options": NoOptions}
    return WriterSpec(name="ink", summary="", **fields)


@given(NAMES)
def test_a_plain_name_is_taken(name: str) -> None:
    assert term(name=name).name == name


@given(NAMES, st.sampled_from(list(":=. /\t\n\x1b\x00,@\u202e")), NAMES)
def test_a_name_that_a_job_or_a_terminal_would_misread_is_refused(
    before: str, wrong: str, after: str
) -> None:
    with pytest.raises(PluginError) as caught:
        term(name=before + wrong + after)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["", "-ink", "+ink", "Größe", "٣", None, 5, b"ink"])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(PluginError, match="a name has letters"):
        term(name=name)


@pytest.mark.parametrize("summary", [None, "two\nlines", "two\u2028lines"])
def test_a_summary_is_one_line_of_text(summary: Any) -> None:
    with pytest.raises(PluginError, match="`summary` should be one line of text"):
        term(summary=summary)


@pytest.mark.parametrize("key", ["name", "weight", "layers"])
def test_options_do_not_hide_a_key_of_the_job(key: str) -> None:
    class Options(NoOptions):
        __annotations__ = {key: float}

    with pytest.raises(PluginError, match=f"'{key}', a key of the job"):
        term(options=Options)


def test_options_that_take_anything_are_refused() -> None:
    class Options(BaseModel):
        model_config = ConfigDict(frozen=True)

    with pytest.raises(PluginError, match="reject unknown names"):
        term(options=Options)


@pytest.mark.parametrize("options", [None, dict, NoOptions()])
def test_options_are_a_model(options: Any) -> None:
    with pytest.raises(PluginError, match="should be a pydantic model"):
        term(options=options)


@pytest.mark.parametrize("suffixes", [(".ppm",), (".jpg", ".jpeg"), (".jp2",)])
def test_suffixes_with_their_dot_are_taken(suffixes: tuple[str, ...]) -> None:
    assert writer(suffixes).suffixes == suffixes


@pytest.mark.parametrize(
    "suffixes", [(), ".ppm", (".PPM",), ("ppm",), (".",), (".tar.gz",), (".p m",), (None,), None]
)
def test_other_suffixes_are_refused(suffixes: Any) -> None:
    with pytest.raises(PluginError, match="`suffixes` should be a tuple"):
        writer(suffixes)


BALANCED = PRESETS["balanced"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"table": BALANCED | {"sise": 3}}, "there is no 'sise'; did you mean size"),
        ({"table": {}}, "is missing"),
        ({"table": 3}, "should be a table"),
        ({"table": BALANCED | {"seed": {1}}}, "not a plain value"),
        ({"texture": {"init": 3}}, "init"),
        ({"options": BackendOptions}, "a preset has no options"),
        ({"name": "a b"}, "a name has letters"),
    ],
)
def test_a_preset_that_no_job_can_have_is_refused(changes: dict[str, Any], words: str) -> None:
    fields: dict[str, Any] = {"name": "mine", "summary": "", "table": BALANCED}
    with pytest.raises(PluginError, match=words):
        PresetSpec(**(fields | changes))


def test_a_preset_keeps_its_values_when_the_plugins_table_changes() -> None:
    table = PRESETS["balanced"]
    spec = PresetSpec(name="mine", summary="", table=table)
    table["terms"].clear()
    assert len(spec.table["terms"]) == 3
