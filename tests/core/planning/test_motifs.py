"""Motifs: their mapping to the weights of the style layers, and what they do to the picture."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import stylectl
import torch
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.errors import UsageError
from stylectl.core.interfaces.backbone import LayerInfo
from stylectl.core.job.building import build_job
from stylectl.core.job.presets import PRESETS
from stylectl.core.job.toml import job_toml
from stylectl.core.planning.backbones import Backbones
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.weights.motifs import OBJECT, STROKE, depth, factor
from stylectl.plugins.backbones.vgg19 import VGG19
from stylectl.plugins.manager import load_plugins

REGISTRY = load_plugins().registry
BACKBONES = Backbones(REGISTRY)
NETWORKS = ["vgg19", "resnet50", "squeezenet1_1"]

motifs_values = st.floats(0, 1)
layers = st.builds(
    LayerInfo,
    st.just("layer"),
    st.just(8),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
    st.none() | st.integers(1, 1000),
)


def layer_weights(name: str = "style", **options: Any) -> dict[str, float]:
    """Layer -> weight of the term `name` of the plan."""
    plan = make_plan(build_job({"device": "cpu", **options}), REGISTRY, BACKBONES)
    return dict(next(planned for planned in plan.terms if planned.name == name).layer_weights)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with layers of the receptive fields 3, 10, 24, 52 and 108 px."""
    steps: list[torch.nn.Module] = []
    channels = 3
    for _ in range(5):
        steps += [torch.nn.Conv2d(channels, 4, 3, padding=1), torch.nn.ReLU()]
        steps += [torch.nn.MaxPool2d(2)]
        channels = 4
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    torch.onnx.export(
        torch.nn.Sequential(*steps[:-1]),
        (torch.rand(1, 3, 64, 64),),
        path,
        input_names=["image"],
        dynamic_axes={"image": {2: "height", 3: "width"}},
        dynamo=False,
    )
    return f"onnx:{path}"


def test_motifs_1_are_the_weights_of_the_layers() -> None:
    assert layer_weights(motifs=1) == VGG19.default_style_layers
    layers = {"relu3_1": 0.3, "relu5_1": 0.7}
    assert layer_weights(motifs=1, style_layers=layers) == layers


def test_the_weights_of_vgg19_at_motifs_0_and_a_half() -> None:
    none, half = layer_weights(motifs=0), layer_weights(motifs=0.5)
    shallow = ["relu1_1", "relu2_1", "relu3_1"]
    for name in shallow:
        assert none[name] == half[name] == VGG19.default_style_layers[name]
    assert [*none] == [*shallow, "relu4_1"]  # relu5_1 is not even computed
    # Half a layer's depth of the way from 32 to 128 px, by the logarithm: relu4_1 has 68 px.
    assert none["relu4_1"] == pytest.approx(0.06 * 0.456, rel=2e-3)
    assert half["relu5_1"] == pytest.approx(0.03 * 0.5**2.5)


@pytest.mark.parametrize("network", [*NETWORKS, pytest.param("onnx", marks=pytest.mark.subprocess)])
def test_every_network_loses_what_is_deep_and_keeps_what_is_shallow(
    network: str, onnx_file: str
) -> None:
    backbone = onnx_file if network == "onnx" else network
    steps = [layer_weights(backbone=backbone, motifs=step / 4) for step in range(5)]
    first, *_, last = steps[-1]
    for less, more in pairwise(steps):
        assert less[first] == more[first]
        assert less.get(last, 0) < more[last]
        assert all(less.get(name, 0) <= weight for name, weight in more.items())
    spec = BACKBONES.get(build_job({"backbone": backbone}).backbone)[0]
    assert steps[-1] == pytest.approx(spec.default_style_layers)
    # Networks whose deepest style layer has the whole first scale in view leave it out.
    deepest = spec.deepest([last])
    assert (last in steps[0]) == (depth(deepest) < 1)
    assert (last in steps[0]) == (network == "onnx")


@given(layers, motifs_values, motifs_values)
def test_more_motifs_never_mean_less_of_a_layer(layer: LayerInfo, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert 0 <= factor(layer, less) <= factor(layer, more) <= factor(layer, 1) == 1


@given(layers, layers, motifs_values)
def test_a_deeper_layer_never_keeps_more(one: LayerInfo, other: LayerInfo, motifs: float) -> None:
    shallow, deep = sorted((one, other), key=depth)
    assert factor(deep, motifs) <= factor(shallow, motifs)
    if depth(deep) == 1:
        assert factor(deep, motifs) == pytest.approx(motifs**2.5, abs=1e-15)


@pytest.mark.parametrize(("field", "expected"), [(STROKE, 0), (64, 0.5), (OBJECT, 1), (999, 1)])
def test_depth_is_even_in_the_logarithm_of_the_receptive_field(field: int, expected: float) -> None:
    assert depth(LayerInfo("layer", 8, 4, field)) == pytest.approx(expected)


def test_layers_that_are_named_are_scaled_as_well() -> None:
    named = layer_weights(style_layers={"relu3_1": 2.0, "relu5_1": 1.0}, motifs=0.5)
    assert named == pytest.approx({"relu3_1": 2.0, "relu5_1": 0.5**2.5})


def test_the_layers_of_every_style_term_are_scaled_and_those_of_the_content_are_not() -> None:
    for term in ("mrf", "moments", "strotss"):
        terms = [{"name": term}]
        full, half = (layer_weights(term, term=terms, motifs=motifs) for motifs in (1, 0.5))
        assert half["relu5_1"] == pytest.approx(full["relu5_1"] * 0.5**2.5)
    assert layer_weights("content", motifs=0) == {"relu4_2": 1.0}


def test_the_printed_job_has_the_motifs_beside_the_layers_that_they_scale() -> None:
    plan = make_plan(build_job({"motifs": 0.25}), REGISTRY)
    table = tomllib.loads(job_toml(plan.job))
    assert table["motifs"] == 0.25
    assert {term["name"]: term.get("layers") for term in table["terms"]}["style"] == (
        VGG19.default_style_layers
    )
    again = make_plan(build_job({"motifs": 1}, table), REGISTRY)
    assert again.terms[1].layer_weights == VGG19.default_style_layers


def test_a_printed_job_without_motifs_takes_none_from_the_default_preset() -> None:
    """As a result of version 0.1, whose record knows no motifs."""
    table = make_plan(build_job({}, preset="balanced-0.1"), REGISTRY).job.as_table()
    table.pop("motifs", None)
    assert build_job({}, table).motifs == 1
    assert build_job({"size": 300}, table).motifs == 1
    assert build_job({}, {**table, "preset": "balanced"}).motifs == PRESETS["balanced"]["motifs"]


SHALLOW = {"style_layers": ["relu1_1", "relu2_1"]}


def test_motifs_without_a_deep_style_layer_are_refused() -> None:
    for options in (SHALLOW, {"style_weight": 0, "term": [{"name": "tv"}]}):
        with pytest.raises(UsageError, match="motifs has no effect"):
            make_plan(build_job({**options, "motifs": 0.5}), REGISTRY)
        plan = make_plan(build_job(options), REGISTRY)
        assert "motifs" not in job_toml(plan.job)


def test_motifs_of_a_preset_are_dropped_where_they_have_no_effect_and_those_of_a_file_by_1() -> (
    None
):
    from stylectl.core.job.presets import Preset

    def find_preset(name: str) -> Preset:
        return Preset(table=PRESETS["balanced"] | {"motifs": 0.3})

    job = build_job(SHALLOW, find_preset=find_preset)
    assert "motifs" not in make_plan(job, REGISTRY).job.as_table()
    recorded = make_plan(build_job({}, find_preset=find_preset), REGISTRY).job.as_table()
    assert recorded["motifs"] == 0.3
    with pytest.raises(UsageError, match="set it to 1"):
        make_plan(build_job(SHALLOW, recorded), REGISTRY)
    assert make_plan(build_job({**SHALLOW, "motifs": 1}, recorded), REGISTRY).job.motifs == 1


def test_motifs_that_leave_no_layer_are_refused() -> None:
    with pytest.raises(UsageError, match="`motifs=0` leaves out all of its layers"):
        make_plan(build_job({"style_layers": ["relu5_1"], "motifs": 0}), REGISTRY)


@pytest.mark.parametrize("motifs", [-0.1, 1.1, float("nan"), float("inf"), "many"])
def test_motifs_that_are_none_are_wrong_usage(motifs: object) -> None:
    with pytest.raises(UsageError, match="`motifs`"):
        build_job({"motifs": motifs})


def test_a_sweep_paints_what_single_runs_paint(tmp_path: Path) -> None:
    """The cells share a session, which keeps the targets of the style image."""
    options: dict[str, Any] = {"size": 64, "iterations": 3, "device": "cpu"}
    stylectl.sweep(tmp_path / "sheet.png", {"motifs": [1, 0.5, 0]}, **options)
    for motifs in (1, 0.5, 0):
        stylectl.run(output=tmp_path / "one.png", motifs=motifs, **options)
        single, cell = (
            stylectl_pixels(file)
            for file in (tmp_path / "one.png", tmp_path / "sheet-cells" / f"motifs={motifs}.png")
        )
        assert torch.equal(single, cell)


def stylectl_pixels(file: Path) -> torch.Tensor:
    import numpy as np
    from PIL import Image

    with Image.open(file) as image:
        return torch.from_numpy(np.array(image))
