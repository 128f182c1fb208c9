"""Everything that is made from the table of options follows it."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from stylectl.core.errors import UsageError
from stylectl.core.job.building import build_job
from stylectl.core.job.options.names import option_named
from stylectl.core.job.options.table import OPTIONS
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins
from stylectl.tools.cli import app
from stylectl.tools.console.options import flag_of
from stylectl.tools.maintenance.option_tables import PAGE, with_tables
from stylectl.tools.queue.manifest import manifest_tasks
from stylectl.tools.queue.settings import read_settings
from stylectl.tools.queue.tasks import TaskMaker

#: A text for each option, as one would type it, and what it is in the job of a plan.
TEXTS: dict[str, tuple[str, Any]] = {
    "content": ("p.jpg", "p.jpg"),
    "styles": ("p.jpg", "p.jpg"),
    "texture": ("p.jpg", "p.jpg"),
    "size": ("640", 640),
    "seamless": ("true", True),
    "upscale": ("true", True),
    "final_pass": ("true", True),
    "least_change": ("0", 0),
    "color_profile": ("keep", "keep"),
    "metadata": ("job", "job"),
    "max_pixels": ("1000", 1000),
    "strength": ("0.25", 0.25),
    "motifs": ("0.75", 0.75),
    "preview": ("false", False),
    "seed": ("5", 5),
    "content_weight": ("2.5", 2.5),
    "style_weight": ("1e2", 100.0),
    "style_weights": ("3,7", [3.0, 7.0]),
    "style_size": ("0.5", 0.5),
    "style_mask": ("m.png", "m.png"),
    "style_crop": ("9,0,8,7", (9, 0, 8, 7)),
    "content_mask": ("m.png", "m.png"),
    "regions": ("a.png,b.png", "a.png"),
    "color": ("luminance", "luminance"),
    "tv_weight": ("3", 3.0),
    "content_layers": ("relu3_2,relu4_2", {"relu3_2": 0.5, "relu4_2": 0.5}),
    "style_layers": ("relu1_1=1,relu2_1=3", {"relu1_1": 1.0, "relu2_1": 3.0}),
    "normalize_gradients": ("true", True),
    "term": ("moments=2", 2.0),
    "iterations": ("12", 12),
    "scales": ("2", 2),
    "optimizer": ("adam", "adam"),
    "parametrization": ("laplacian", "laplacian"),
    "init": ("noise", "noise"),
    "backend": ("onnx", "onnx"),
    "backbone": ("vgg16", "vgg16"),
    "device": ("cpu", "cpu"),
    "gradient": ("native", "native"),
    "convolution": ("direct", "direct"),
    "cuda_graph": ("off", "off"),
    "precision": ("float32", "float32"),
    "pooling": ("average", "average"),
    "padding": ("reflect", "reflect"),
    "weights": ("embedded", "embedded"),
    "preprocessing": ("caffe", "caffe"),
    "max_memory": ("4GB", "4GB"),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


def test_every_option_is_tried_here() -> None:
    assert TEXTS.keys() == OPTIONS.keys()


@pytest.mark.parametrize("name", TEXTS)
def test_set_reads_an_option_into_its_place_in_the_job(name: str) -> None:
    text, expected = TEXTS[name]
    option = OPTIONS[name]
    value = option.read(name, text)
    beside = {"styles": ["a.jpg", "b.jpg"]} if name == "style_weights" else {}
    job = build_job({**beside, name: value})
    match name:
        case "styles" | "texture":
            assert job.styles[0].image == expected
        case "style_weights":
            assert [style.weight for style in job.styles] == expected
        case "style_size":
            assert job.styles[0].size == expected
        case "style_mask":
            assert job.styles[0].mask == expected
        case "style_crop":
            assert job.styles[0].crop == expected
        case "regions":
            assert job.regions is not None
            assert job.regions.content == expected
        case "term":
            assert {term.name: term.weight for term in job.terms}["moments"] == expected
        case _:
            assert option.place.get(job.model_dump()) == expected


@pytest.mark.parametrize("command", ["run", "sweep", "batch"])
def test_every_option_is_a_flag(command: str) -> None:
    flags = {
        flag
        for parameter in typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
        for flag in parameter.opts
    }
    for option in OPTIONS.values():
        assert option.is_argument or flag_of(option.name) in flags


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_can_be_set_and_stand_in_a_manifest(name: str) -> None:
    (setting,) = read_settings([f"{name}={TEXTS[name][0].replace(',', '+')}"], {})
    assert setting.key == name
    assert option_named(name) is OPTIONS[name]


def test_a_manifests_columns_are_options(
    registry: Registry, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    excluded = {
        *("style_weights", "seamless", "normalize_gradients", "cuda_graph", "preprocessing"),
        *("init", "backbone", "weights"),
    }
    columns = [
        name for name, option in OPTIONS.items() if not option.are_paths and name not in excluded
    ]
    cells = [f'"{TEXTS[name][0]}"' for name in columns]
    (tmp_path / "m.csv").write_text(
        f"content,style,{','.join(columns)}\na.png,b.png,{','.join(cells)}\n"
    )
    (task,) = manifest_tasks(tmp_path / "m.csv", tmp_path, {}, TaskMaker(registry))
    assert task.job.iterations == 12
    assert task.job.optimizer.name == "adam"
    assert task.job.backend.name == "onnx"


def test_the_docs_have_the_tables() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_tables(page), "run python -m stylectl.tools.maintenance.option_tables"


def test_text_is_read_by_the_fields_type(registry: Registry) -> None:
    job = build_job({"optimizer.history": option_named("optimizer.history").read("o", "20")})
    assert make_plan(job, registry).job.optimizer.options["history"] == 20
    pools = option_named("laplacian.pools").read("p", "2,8")
    power = option_named("tv.power").read("p", "1")
    job = build_job({"term": "laplacian", "laplacian.pools": pools, "tv.power": power})
    options = {term.name: term.options for term in make_plan(job, registry).job.terms}
    assert tuple(options["laplacian"]["pools"]) == (2, 8)
    assert options["tv"]["power"] == 1


def test_text_for_a_text_stays_text() -> None:
    from pydantic import BaseModel
    from stylectl.core.job.options.text import loss_term
    from stylectl.core.validation import validated

    class Options(BaseModel):
        label: str
        count: int = 0

    table = loss_term("term", "x:label=007:count=007")
    read = validated(Options, {key: table[key] for key in ("label", "count")}, "x")
    assert (read.label, read.count) == ("007", 7)


def test_errors_name_the_option_without_dashes() -> None:
    for name, value in (("strength", 3), ("style_weight", -1), ("style_size", [0])):
        with pytest.raises(UsageError, match=f"^`{name}`"):
            build_job({name: value})
