from __future__ import annotations

from typing import Any

import pytest
from stylectl import UsageError
from stylectl.core.job.building import build_job
from stylectl.plugins.manager import load_plugins
from stylectl.tools.queue.settings import read_settings


def values(text: str) -> list[Any]:
    (setting,) = read_settings([text], load_plugins().registry.option_models)
    return [value for _, value in setting.values]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("style_weight=1e2,1e3", ["1e2", "1e3"]),
        ("style-weight=3", ["3"]),
        ("preset=draft,paper", ["draft", "paper"]),
        ("init=content+noise,noise", ["content+noise", "noise"]),
        ("content=2024", ["2024"]),
        ("style_layers=relu1_1+relu2_1,relu3_1", [["relu1_1", "relu2_1"], ["relu3_1"]]),
        ("style_layers=relu1_1=1e+3+relu2_1=2", [{"relu1_1": 1000.0, "relu2_1": 2.0}]),
        ("style_weights=3+7,1+1", [[3.0, 7.0], [1.0, 1.0]]),
        ("styles=a.jpg,b.jpg+c.jpg", [["a.jpg"], ["b.jpg", "c.jpg"]]),
        ("term=strotss=5,mrf", [[{"name": "strotss", "weight": 5.0}], [{"name": "mrf"}]]),
        (
            "term=style:layers=relu1_1+relu2_1",
            [[{"name": "style", "layers": ["relu1_1", "relu2_1"]}]],
        ),
        ("strotss.weight=1,5", ["1", "5"]),
        ("style.layers=relu1_1+relu2_1", [["relu1_1", "relu2_1"]]),
        ("init.path=a+b.png", ["a+b.png"]),
    ],
)
def test_values_are_read_as_those_of_the_flags(text: str, expected: list[Any]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["stile_weight=1"], ["stile_weight", "did you mean style_weight?"]),
        (["style_weight"], ["KEY=VALUE"]),
        (["=3"], ["KEY=VALUE"]),
        (["size=64,"], ["size", "empty"]),
        (["size=64,64"], ["size", "twice"]),
        (["size=64", "size=32"], ["size", "twice"]),
        (["style_layers=relu1_1=1+relu2_1"], ["style_layers", "weight to each"]),
        (["style_weights=a+b"], ["style_weights", "'a' is not a number"]),
        (["a.b.c=1"], ["a.b.c"]),
        ([".b=1"], [".b"]),
    ],
)
def test_mistakes(texts: list[str], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(texts, {})
    for word in words:
        assert word in str(caught.value)


def test_a_key_behind_a_dot_is_one_of_a_table_of_the_job() -> None:
    job = build_job(
        {"optimizer.history": 5, "style.normalization": "paper", "mrf.weight": 2, "style_weight": 7}
    )
    assert job.optimizer.options == {"history": 5}
    terms = {term.name: term for term in job.terms}
    assert terms["style"].options == {"normalization": "paper"}
    assert terms["style"].weight == 7
    assert terms["mrf"].weight == 2
    changed = build_job({"optimizer": "adam", "optimizer.averaging": 0.5})
    assert changed.optimizer.name == "adam"
    assert changed.optimizer.options == {"averaging": 0.5}
