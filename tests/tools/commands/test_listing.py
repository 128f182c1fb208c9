from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Listed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def listed(program: Listed, tmp_path: Path) -> Listed:
    return lambda *arguments: program("list", *arguments, folder=tmp_path)


def test_everything_is_listed_with_its_origin(listed: Listed) -> None:
    found = json.loads(listed("--json").stdout)
    assert set(found) == {
        "plugins",
        "backends",
        "backbones",
        "terms",
        "writers",
        "optimizers",
        "initializers",
        "presets",
    }
    for kind, name in (
        ("plugins", "stylectl.vgg19"),
        ("backends", "torch"),
        ("backbones", "vgg19"),
        ("terms", "style"),
        ("writers", "png"),
        ("optimizers", "lbfgs"),
        ("initializers", "content+noise"),
        ("presets", "balanced"),
    ):
        (row,) = [row for row in found[kind] if row["name"] == name]
        assert "built-in" in row["from"]


def test_options_have_defaults_values_and_descriptions(listed: Listed) -> None:
    (tv,) = [
        row for row in json.loads(listed("terms", "--json").stdout)["terms"] if row["name"] == "tv"
    ]
    (power,) = [option for option in tv["options"] if option["name"] == "power"]
    assert power["default"] == 2
    assert power["values"] == "1 | 2"
    assert "edges" in power["description"]


def test_the_layers_of_a_backbone_are_listed(listed: Listed) -> None:
    layers = json.loads(listed("backbones", "--layers", "vgg19", "--json").stdout)["layers"]
    assert [row["name"] for row in layers[:3]] == ["relu1_1", "relu1_2", "relu2_1"]
    (content,) = [row for row in layers if row["default for"] == "content 1"]
    assert content == {
        "name": "relu4_2",
        "channels": 512,
        "stride": 8,
        # 3 pixels, and 2 more strides for each convolution, 1 for each pooling.
        "receptive field": 1 + 4 * 1 + 1 + 4 * 2 + 2 + 8 * 4 + 4 + 4 * 8,
        "default for": "content 1",
    }


def test_a_plugin_that_is_switched_off_is_listed_as_skipped(listed: Listed) -> None:
    found = json.loads(listed("--no-plugin", "total_variation", "--json").stdout)
    (record,) = [row for row in found["plugins"] if row["name"] == "stylectl.total_variation"]
    assert record["state"] == "skipped: switched off"
    assert "tv" not in [row["name"] for row in found["terms"]]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nothing"], "nothing"),
        (["terms", "--layers", "vgg19"], "list backbones"),
        (["backbones", "--layers", "vgg91"], "vgg19"),
    ],
)
def test_a_mistake_is_one_line(listed: Listed, arguments: list[str], word: str) -> None:
    done = listed(*arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stderr.count("\n") == 1
