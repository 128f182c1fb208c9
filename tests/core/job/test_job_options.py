from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stylectl.core.errors import StylectlError, UsageError
from stylectl.core.job.building import build_job
from stylectl.core.job.model import Job
from stylectl.core.job.options.table import OPTIONS
from stylectl.core.job.presets import PRESETS
from stylectl.core.job.toml import job_toml
from stylectl.core.outputs.record import read_job_file
from stylectl.core.planning.job_files import make_job
from stylectl.core.planning.plan import Plan
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins

STYLE_LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """What the built-in plugins bring, whatever else is installed."""
    return load_plugins().registry


#: Presets with the terms `content` and `style`, which have options of their own.
BALANCING = sorted(
    name
    for name, table in PRESETS.items()
    if {"content", "style"} <= {term["name"] for term in table["terms"]}
)


def plan(
    registry: Registry,
    file: dict[str, Any] | None = None,
    preset: str | None = None,
    **options: Any,
) -> Plan:
    return make_plan(build_job(options, file, preset), registry)


def full_job(registry: Registry, preset: str | None = None, **options: Any) -> dict[str, Any]:
    """The job as `--print-job` shows it."""
    text = job_toml(plan(registry, preset=preset, **options).job)
    return tomllib.loads(text)


def at(table: Any, *place: str) -> Any:
    """A value in a job; a loss term is found by its name."""
    for key in place:
        if isinstance(table, list):
            (table,) = [each for each in table if each["name"] == key]
        else:
            table = table[key]
    return table


# Presets


def test_the_paper_preset_has_the_papers_values(registry: Registry) -> None:
    job = full_job(registry, "paper")
    assert job["scales"] == 1
    assert job["init"]["name"] == "content+noise"
    assert job["optimizer"]["name"] == "lbfgs"
    assert job["backbone"]["name"] == "vgg19"
    assert job["backbone"]["weights"] == "embedded"
    assert job["backbone"]["pooling"] == "average"
    assert job["backbone"]["padding"] == "zeros"
    content, style = job["terms"]
    assert content["name"] == "content"
    assert content["layers"] == {"relu4_2": 1.0}
    assert content["normalization"] == "paper"
    assert style["name"] == "style"
    assert style["layers"] == dict.fromkeys(STYLE_LAYERS, 0.2)
    assert style["normalization"] == "paper"
    assert content["weight"] / style["weight"] == 1e-3


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_whole_job(registry: Registry, preset: str) -> None:
    job = full_job(registry, preset)
    # Masks, maps, a limit and plugins are there or not; they have no default that could be shown.
    absent = {"content_mask", "regions", "max_memory", "plugins"}
    if preset not in BALANCING:
        absent |= {"strength"}
    assert set(job) == set(Job.model_fields) - absent


@pytest.mark.parametrize("preset", PRESETS)
def test_a_printed_job_runs_as_the_same_job(registry: Registry, preset: str) -> None:
    first = plan(registry, preset=preset).job
    again = plan(registry, tomllib.loads(job_toml(first))).job
    assert again == first


def test_balanced_is_the_default_preset(registry: Registry) -> None:
    assert plan(registry).job == plan(registry, preset="balanced").job


# Overrides

EVERY_OPTION: list[tuple[str, Any, tuple[str, ...], Any]] = [
    ("content", "photo.jpg", ("content",), "photo.jpg"),
    ("styles", ["a.jpg"], ("styles",), [{"image": "a.jpg"}]),
    (
        "style_weights",
        [3, 7],
        ("styles",),
        [{"image": "x.jpg", "weight": 3.0}, {"image": "y.jpg", "weight": 7.0}],
    ),
    (
        "style_size",
        [0.5],
        ("styles",),
        [{"image": "x.jpg", "size": 0.5}, {"image": "y.jpg", "size": 0.5}],
    ),
    (
        "style_mask",
        ["none", "m.png"],
        ("styles",),
        [{"image": "x.jpg"}, {"image": "y.jpg", "mask": "m.png"}],
    ),
    (
        "style_crop",
        ["none", [4, 3, 2, 1]],
        ("styles",),
        [{"image": "x.jpg", "crop": "none"}, {"image": "y.jpg", "crop": [4, 3, 2, 1]}],
    ),
    ("content_mask", "m.png", ("content_mask",), "m.png"),
    (
        "regions",
        ["c.png", "x.png", "y.png"],
        ("regions",),
        {"content": "c.png", "styles": ["x.png", "y.png"]},
    ),
    ("color", "histogram", ("color",), "histogram"),
    ("size", 300, ("size",), 300),
    ("upscale", True, ("upscale",), True),
    ("color_profile", "keep", ("color_profile",), "keep"),
    ("metadata", "none", ("metadata",), "none"),
    ("scales", 2, ("scales",), 2),
    ("iterations", 7, ("iterations",), 7),
    ("strength", 0.25, ("strength",), 0.25),
    ("motifs", 0.75, ("motifs",), 0.75),
    ("seed", 42, ("seed",), 42),
    ("max_pixels", 5000, ("max_pixels",), 5000),
    ("max_memory", "4GB", ("max_memory",), "4GB"),
    ("backend", "torch", ("backend", "name"), "torch"),
    ("backbone", "vgg19", ("backbone", "name"), "vgg19"),
    ("device", "cpu", ("backend", "device"), "cpu"),
    ("precision", "bf16", ("backend", "precision"), "bf16"),
    ("gradient", "torch", ("backend", "gradient"), "torch"),
    ("convolution", "direct", ("backend", "convolution"), "direct"),
    ("cuda_graph", "off", ("backend", "cuda_graph"), "off"),
    ("weights", "torchvision", ("backbone", "weights"), "torchvision"),
    ("preprocessing", "caffe", ("backbone", "preprocessing"), "caffe"),
    ("pooling", "average", ("backbone", "pooling"), "average"),
    ("padding", "reflect", ("backbone", "padding"), "reflect"),
    ("optimizer", "adam", ("optimizer", "name"), "adam"),
    ("parametrization", "fourier", ("parametrization", "name"), "fourier"),
    ("final_pass", True, ("final_pass",), True),
    ("least_change", 1e-4, ("least_change",), 1e-4),
    ("init", "noise", ("init", "name"), "noise"),
    ("content_weight", 2.5, ("terms", "content", "weight"), 2.5),
    ("content_layers", ["conv3_2"], ("terms", "content", "layers"), {"relu3_2": 1.0}),
    ("style_weight", 12, ("terms", "style", "weight"), 12.0),
    (
        "style_layers",
        {"conv1_1": 1, "relu2_2": 3},
        ("terms", "style", "layers"),
        {"relu1_1": 1.0, "relu2_2": 3.0},
    ),
    ("tv_weight", 0.25, ("terms", "tv", "weight"), 0.25),
]

#: What an option needs beside it to have an effect.
NEEDS: dict[str, dict[str, Any]] = {
    "style_weights": {"styles": ["x.jpg", "y.jpg"]},
    "style_size": {"styles": ["x.jpg", "y.jpg"]},
    "style_mask": {"styles": ["x.jpg", "y.jpg"]},
    "style_crop": {"styles": ["x.jpg", "y.jpg"]},
    "regions": {"styles": ["x.jpg", "y.jpg"]},
    "preprocessing": {"weights": "own.pth"},
    "gradient": {"backend": "onnx"},
    "parametrization": {"optimizer": "adam"},
}


def test_the_table_of_options_is_complete() -> None:
    # `term` goes to a term of any name: it has tests of its own below. Those that change more than
    # one place have theirs: test_preview, test_textures, test_seamless, test_cotangents.
    wider = {"term", "preview", "texture", "seamless", "normalize_gradients"}
    assert {name for name, *_ in EVERY_OPTION} | wider == set(OPTIONS)


@pytest.mark.parametrize(
    ("option", "value", "place", "expected"), EVERY_OPTION, ids=[name for name, *_ in EVERY_OPTION]
)
@pytest.mark.parametrize("preset", BALANCING)
def test_an_option_lands_in_its_place_and_nowhere_else(
    registry: Registry,
    preset: str,
    option: str,
    value: Any,
    place: tuple[str, ...],
    expected: Any,
) -> None:
    beside = NEEDS.get(option, {})
    before = full_job(registry, preset, **beside)
    after = full_job(registry, preset, **beside, **{option: value})
    assert at(after, *place) == expected
    if place[0] not in ("terms", "optimizer", "init"):
        untouched = {key: item for key, item in after.items() if key != place[0]}
        assert untouched == {key: item for key, item in before.items() if key != place[0]}
    if place[0] == "terms":
        others = [term for term in before["terms"] if term["name"] != place[1]]
        assert [term for term in after["terms"] if term["name"] != place[1]] == others


@pytest.mark.parametrize(
    ("option", "value", "place", "expected"), EVERY_OPTION, ids=[name for name, *_ in EVERY_OPTION]
)
def test_an_option_overrides_the_job_file(
    registry: Registry, option: str, value: Any, place: tuple[str, ...], expected: Any
) -> None:
    file: dict[str, Any] = {
        "content": "file.jpg",
        "styles": [{"image": "x.jpg"}, {"image": "y.jpg"}],
        "size": 100,
        "scales": 3,
        "iterations": 50,
        "seed": 5,
        "max_pixels": 10**6,
        "backend": {
            "name": NEEDS.get(option, {}).get("backend", "torch"),
            "device": "auto",
            "precision": "float32",
        },
        "backbone": {"name": "vgg19", "weights": "file.pth", "pooling": "max"},
        "optimizer": "lbfgs",
        "init": "style",
        "terms": [
            {"name": "content", "weight": 9.0, "layers": ["relu4_1"]},
            {"name": "style", "weight": 9.0, "layers": ["relu5_1"]},
            {"name": "tv", "weight": 9.0},
        ],
    }
    job = plan(registry, file, **{option: value}).job
    assert at(tomllib.loads(job_toml(job)), *place) == expected


def test_the_job_file_overrides_its_preset(registry: Registry) -> None:
    job = plan(registry, {"preset": "paper", "iterations": 3}).job
    assert job.iterations == 3
    assert job.backbone.options["pooling"] == "average"


def test_the_job_file_overrides_the_preset_of_the_command_line(registry: Registry) -> None:
    job = plan(registry, {"iterations": 3}, "paper").job
    assert job.iterations == 3
    assert job.backbone.options["pooling"] == "average"


def test_an_option_keeps_the_other_options_of_the_same_choice(registry: Registry) -> None:
    file = {"optimizer": {"name": "lbfgs", "history": 33}}
    job = plan(registry, file, optimizer="lbfgs").job
    assert job.optimizer.options["history"] == 33


def test_another_choice_drops_the_options_of_the_first(registry: Registry) -> None:
    file = {"optimizer": {"name": "lbfgs", "history": 33}}
    job = plan(registry, file, optimizer="adam").job
    assert "history" not in job.optimizer.options


def test_an_option_that_is_none_counts_as_not_given(registry: Registry) -> None:
    nothing = dict.fromkeys(OPTIONS)
    assert plan(registry, **nothing).job == plan(registry).job


def test_layers_in_a_list_share_the_weight_equally(registry: Registry) -> None:
    job = full_job(registry, style_layers=["relu1_1", "relu2_1", "relu3_1", "relu4_1"])
    assert set(at(job, "terms", "style", "layers").values()) == {0.25}


def test_a_term_of_weight_zero_is_left_out(registry: Registry) -> None:
    names = [term["name"] for term in full_job(registry, content_weight=0)["terms"]]
    assert "style" in names
    assert "content" not in names


# The start: a name or a file


@pytest.mark.parametrize("name", ["content", "content+noise", "noise", "style"])
def test_init_takes_names(registry: Registry, name: str) -> None:
    assert plan(registry, init=name).job.init.name == name


@pytest.mark.parametrize("path", ["start.png", "./noise", "noise.png", "folder/content"])
def test_init_takes_anything_else_as_a_file(registry: Registry, path: str) -> None:
    init = plan(registry, init=path).job.init
    assert init.name == "file"
    assert init.options == {"path": path}


@pytest.mark.parametrize(("typo", "meant"), [("nois", "noise"), ("contents", "content")])
def test_a_start_that_is_neither_a_name_nor_a_file_is_found(
    registry: Registry, typo: str, meant: str
) -> None:
    with pytest.raises(UsageError, match=f"did you mean {meant}.* write ./{typo}"):
        plan(registry, init=typo)


def test_the_start_counts_among_the_inputs(registry: Registry) -> None:
    job = plan(registry, init="start.png", content="a.jpg", styles=["b.jpg"]).job
    assert job.input_paths == ["a.jpg", "b.jpg", "start.png"]


# Names that do not exist: the nearest is named


def complaint(
    registry: Registry,
    file: dict[str, Any] | None = None,
    preset: str | None = None,
    **options: Any,
) -> str:
    with pytest.raises(UsageError) as caught:
        plan(registry, file, preset, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("given_names", "nearest"),
    [
        ({"options": {"iteratons": 5}}, "iterations"),
        ({"options": {"styel_weight": 5}}, "style_weight"),
        ({"preset": "balancd"}, "balanced"),
        ({"file": {"preset": "papr"}}, "paper"),
        ({"options": {"backend": "trch"}}, "torch"),
        ({"options": {"optimizer": "lbgfs"}}, "lbfgs"),
        ({"options": {"content_layers": ["relu4_22"]}}, "relu4_2"),
        ({"options": {"style_layers": {"conv11": 1}}}, "conv1_1"),
        ({"file": {"backbone": "vvg19"}}, "vgg19"),
        ({"file": {"terms": [{"name": "stile"}]}}, "style"),
        ({"file": {"sise": 5}}, "size"),
        ({"file": {"prest": "paper"}}, "preset"),
        ({"file": {"optimizer": {"name": "lbfgs", "histroy": 5}}}, "history"),
        ({"file": {"backend": {"name": "torch", "devise": "cpu"}}}, "device"),
        ({"file": {"backbone": {"name": "vgg19", "poling": "max"}}}, "pooling"),
        ({"file": {"init": {"name": "noise", "nois": 1}}}, "noise"),
        ({"file": {"init": "content+noyse"}}, "content+noise"),
        (
            {"file": {"terms": [{"name": "content", "normalisation": "mean"}, "style"]}},
            "normalization",
        ),
        ({"options": {"pooling": "averge"}}, "average"),
        ({"options": {"precision": "fp61"}}, "fp16"),
    ],
)
def test_an_unknown_name_brings_up_the_nearest(
    registry: Registry, given_names: dict[str, Any], nearest: str
) -> None:
    options = given_names.get("options", {})
    message = complaint(registry, given_names.get("file"), given_names.get("preset"), **options)
    assert nearest in message


def test_an_unknown_key_of_a_style_is_named(registry: Registry) -> None:
    assert "wieght" in complaint(registry, {"styles": [{"image": "a.jpg", "wieght": 1}]})


@pytest.mark.parametrize(
    ("term", "wrong"),
    [({"name": "stile"}, "stile"), ({"name": "content", "normalisation": 1}, "normalisation")],
)
def test_a_term_of_weight_zero_is_checked_all_the_same(
    registry: Registry, term: dict[str, Any], wrong: str
) -> None:
    message = complaint(registry, {"terms": ["style", {**term, "weight": 0}]})
    assert wrong in message


# Options without an effect


@pytest.mark.parametrize(
    ("file", "preset", "options", "named"),
    [
        (None, None, {"seed": 1, "init": "content"}, "seed"),
        (None, None, {"seed": 1, "init": "start.png"}, "seed"),
        ({"seed": 1, "init": "content"}, None, {}, "seed"),
        (None, None, {"style_weights": [1]}, "`style_weights`"),
        (None, None, {"styles": ["a.jpg"], "style_weights": [1]}, "`style_weights`"),
        (None, None, {"content_weight": 0, "content_layers": ["relu4_2"]}, "`content_layers`"),
        (None, None, {"style_weight": 0, "style_layers": ["relu4_2"]}, "`style_layers`"),
        ({"terms": ["style"]}, None, {"content_layers": ["relu4_2"]}, "`content_layers`"),
        ({"terms": ["content"]}, None, {"style_layers": ["relu4_2"]}, "`style_layers`"),
        ({"preset": "paper"}, "draft", {}, "`preset`"),
        ({"terms": ["style", {"name": "tv", "layers": ["relu1_1"]}]}, None, {}, "layers"),
    ],
)
def test_an_option_without_an_effect_is_an_error(
    registry: Registry,
    file: dict[str, Any] | None,
    preset: str | None,
    options: dict[str, Any],
    named: str,
) -> None:
    message = complaint(registry, file, preset, **options)
    assert named in message
    assert "no effect" in message


@pytest.mark.parametrize("weights", ["embedded", "torchvision"])
def test_preprocessing_of_known_weights_is_an_error(registry: Registry, weights: str) -> None:
    def prepare() -> None:
        made = plan(registry, weights=weights, preprocessing="caffe")
        made.backbone.trunk(made.layers)

    with pytest.raises(UsageError, match="preprocessing has no effect"):
        prepare()


def test_a_preset_beside_a_complete_job_file_is_an_error(registry: Registry) -> None:
    complete = full_job(registry, "paper")
    message = complaint(registry, complete, "draft")
    assert "`preset` has no effect" in message


def test_the_number_of_style_weights_must_fit(registry: Registry) -> None:
    message = complaint(registry, styles=["a.jpg", "b.jpg"], style_weights=[1, 2, 3])
    assert "`style_weights`" in message
    assert "3" in message
    assert "2" in message


def test_no_term_at_all_is_an_error(registry: Registry) -> None:
    message = complaint(registry, content_weight=0, style_weight=0)
    assert "nothing to minimise" in message


def test_total_variation_alone_is_an_error(registry: Registry) -> None:
    message = complaint(registry, content_weight=0, style_weight=0, tv_weight=1)
    assert "nothing to minimise" in message


# Values out of range

BAD_WEIGHTS = [-1.0, -1e-9, math.nan, math.inf, -math.inf, "heavy"]


@pytest.mark.parametrize("option", ["content_weight", "style_weight", "tv_weight"])
@pytest.mark.parametrize("value", BAD_WEIGHTS)
def test_a_bad_weight_is_refused_under_its_flag(
    registry: Registry, option: str, value: Any
) -> None:
    given_options: dict[str, Any] = {option: value}
    message = complaint(registry, **given_options)
    assert f"`{option}`" in message
    assert str(value) in message


@pytest.mark.parametrize("value", BAD_WEIGHTS)
def test_a_bad_style_weight_is_refused_under_its_flag(registry: Registry, value: object) -> None:
    message = complaint(registry, styles=["a.jpg", "b.jpg"], style_weights=[1, value])
    assert "`style_weights`" in message
    assert str(value) in message


@pytest.mark.parametrize("option", ["content_layers", "style_layers"])
@pytest.mark.parametrize("value", BAD_WEIGHTS)
def test_a_bad_layer_weight_is_refused_under_its_flag(
    registry: Registry, option: str, value: Any
) -> None:
    given_options: dict[str, Any] = {option: {"relu4_2": value}}
    message = complaint(registry, **given_options)
    assert f"`{option}`" in message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"style_mask": ["m.png"]}, "`style_mask` has 1 values for 2 style images"),
        ({"style_size": [1, 2, 3]}, "`style_size` has 3 values for 2 style images"),
        ({"style_size": [1, 0]}, "`style_size` should be greater than 0, got 0"),
        ({"regions": ["c.png", "s.png"]}, "regions has 1 maps of styles for 2 styles"),
        (
            {"regions": ["c.png", "s.png", "t.png"], "style_mask": ["m.png", "none"]},
            "exclude each other",
        ),
        ({"style_mask": ["m.png", "none"], "term": [{"name": "mrf"}]}, "term mrf cannot be conf"),
        ({"content_mask": "m.png", "term": [{"name": "laplacian"}]}, "term laplacian cannot be"),
        ({"content_mask": "m.png", "term": [{"name": "strotss"}]}, "term strotss cannot be conf"),
        (
            {"content_mask": "m.png", "content_weight": 0, "tv_weight": 0},
            "content_mask has no effect",
        ),
        ({"style_mask": ["m.png", "none"], "style_weight": 0}, "mask has no effect"),
        ({"color": "covariance", "style_weight": 0}, "'covariance' has no effect"),
        (
            {"color": "blue"},
            "`color` should be 'style', 'luminance', 'histogram', 'covariance' or 'chroma'",
        ),
    ],
)
def test_what_masks_scales_and_colors_cannot_do_is_said(
    registry: Registry, options: dict[str, Any], expected: str
) -> None:
    assert expected in complaint(registry, styles=["a.jpg", "b.jpg"], **options)


def test_style_weights_of_zero_alone_are_refused(registry: Registry) -> None:
    message = complaint(registry, styles=["a.jpg", "b.jpg"], style_weights=[0, 0])
    assert "all zero" in message


def test_layer_weights_of_zero_alone_are_refused(registry: Registry) -> None:
    assert "all zero" in complaint(registry, style_layers={"relu1_1": 0, "relu2_1": 0})


def test_no_layers_at_all_are_refused(registry: Registry) -> None:
    assert "`style_layers`" in complaint(registry, style_layers={})
    assert "`style_layers`" in complaint(registry, style_layers=[])


def test_a_layer_under_two_names_is_refused(registry: Registry) -> None:
    message = complaint(registry, content_layers={"conv4_2": 1, "relu4_2": 1})
    assert "relu4_2 is named twice" in message


def test_a_layer_twice_in_a_list_is_refused(registry: Registry) -> None:
    message = complaint(registry, style_layers=["relu1_1", "relu1_1"])
    assert "twice" in message


def test_a_term_named_twice_is_refused(registry: Registry) -> None:
    message = complaint(registry, {"terms": ["style", {"name": "style", "weight": 2}]})
    assert "twice" in message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", 0),
        ("size", -5),
        ("size", 10**9),
        ("size", 1.5),
        ("scales", 0),
        ("scales", 21),
        ("scales", "all"),
        ("strength", 1.5),
        ("motifs", -0.5),
        ("iterations", 0),
        ("seed", -1),
        ("seed", 2**64),
        ("max_pixels", 0),
    ],
)
def test_a_number_out_of_range_is_refused_under_its_flag(
    registry: Registry, option: str, value: Any
) -> None:
    given_options: dict[str, Any] = {option: value}
    message = complaint(registry, **given_options)
    assert f"`{option}`" in message
    assert str(value) in message


@pytest.mark.parametrize(
    "file",
    [
        {"preset": 3},
        {"preset": ["paper"]},
        {"terms": 3},
        {"terms": []},
        {"terms": [3]},
        {"terms": "style"},
        {"terms": [{"weight": 1}]},
        {"terms": [{"name": 3}]},
        {"styles": 3},
        {"styles": []},
        {"styles": ["a.jpg"]},
        {"styles": [{"weight": 1}, {"weight": 2}]},
        {"styles": [3, 4]},
        {"backend": 3},
        {"backend": {}},
        {"backend": {"name": ["torch"]}},
        {"backbone": [1]},
        {"init": 3},
        {"init": {"name": "file"}},
        {"optimizer": False},
        {"content": 3},
        {"size": "large"},
        {"seed": math.inf},
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"content_weight": 1},
        {"style_weights": [1, 2]},
        {"device": "cpu"},
        {"optimizer": "adam"},
        {"init": "noise"},
        {"pooling": "max"},
    ],
    ids=lambda options: "-".join(options) or "none",
)
def test_a_job_file_of_the_wrong_shape_is_wrong_usage(
    registry: Registry, file: dict[str, Any], options: dict[str, Any]
) -> None:
    try:
        plan(registry, file, **options)
    except StylectlError as error:
        assert "\n" not in str(error)  # noqa: PT017 - an option may also repair the file
        assert error.exit_code == 2  # noqa: PT017


# There and back again

positive = st.floats(0.001, 1e6)
paths = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
layer_names = st.sampled_from([f"{kind}{block}_1" for kind in ("relu",) for block in range(1, 6)])
option_values = st.fixed_dictionaries(
    {},
    optional={
        "content": paths,
        "styles": st.lists(paths, min_size=1, max_size=3),
        "content_mask": paths,
        "color": st.sampled_from(["style", "luminance", "histogram", "covariance", "chroma"]),
        "style_size": st.floats(0.01, 8),
        "size": st.integers(1, 65536),
        "upscale": st.booleans(),
        "scales": st.one_of(st.integers(1, 20), st.just("auto")),
        "strength": st.floats(0, 1),
        "iterations": st.integers(1, 10**6),
        "seed": st.integers(0, 2**63 - 1),
        "max_pixels": st.integers(1, 10**12),
        "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
        "precision": st.sampled_from(["float32", "bf16", "fp16"]),
        "pooling": st.sampled_from(["max", "average"]),
        "optimizer": st.sampled_from(["lbfgs", "adam"]),
        "init": st.sampled_from(["content+noise", "noise", "style"]),
        "content_weight": positive,
        "style_weight": positive,
        "tv_weight": positive,
        "content_layers": st.dictionaries(layer_names, positive, min_size=1),
        "style_layers": st.lists(layer_names, min_size=1, unique=True),
    },
)


@given(option_values, st.sampled_from(BALANCING))
def test_a_job_survives_toml(options: dict[str, Any], preset: str) -> None:
    job = build_job(options, preset=preset)
    assert Job.model_validate(tomllib.loads(job_toml(job))) == job


@given(option_values, st.sampled_from(BALANCING))
def test_a_planned_job_survives_toml_and_planning(
    registry: Registry, options: dict[str, Any], preset: str
) -> None:
    first = plan(registry, preset=preset, **options).job
    assert plan(registry, tomllib.loads(job_toml(first))).job == first


# Paths in job files

JOB = """
content = "images/photo.jpg"
content_mask = "masks/content.png"
styles = [{image = "one.jpg", weight = 2, mask = "masks/one.png"}, {image = "sample:painting"}]
init = {name = "file", path = "../start.png"}
backbone = {name = "vgg19", weights = "own.pth", preprocessing = "caffe"}
"""


def test_paths_are_relative_to_the_job_files_folder(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "job.toml").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    job = make_job({}, registry, read_job_file(Path("jobs/job.toml")))
    assert job.content == "jobs/images/photo.jpg"
    assert [style.image for style in job.styles] == ["jobs/one.jpg", "sample:painting"]
    assert [style.mask for style in job.styles] == ["jobs/masks/one.png", None]
    assert job.content_mask == "jobs/masks/content.png"
    assert job.init.options["path"] == "start.png"
    assert job.backbone.options["weights"] == "jobs/own.pth"


def test_paths_of_maps_are_relative_to_the_job_files_folder(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "job.toml").write_text(
        'regions = {content = "c.png", styles = ["s.png"]}\n[[styles]]\nimage = "one.jpg"\n'
    )
    job = make_job({}, registry, read_job_file(tmp_path / "job.toml"))
    assert job.regions is not None
    maps = [job.regions.content, *job.regions.styles]
    assert [Path(each).resolve() for each in maps] == [tmp_path / "c.png", tmp_path / "s.png"]
    assert set(maps) < set(job.input_paths)


def test_absolute_paths_stay(registry: Registry, tmp_path: Path) -> None:
    photo = (tmp_path / "photo.jpg").as_posix()
    (tmp_path / "job.toml").write_text(f'content = "{photo}"\n')
    assert make_job({}, registry, read_job_file(tmp_path / "job.toml")).content == photo


def test_words_are_not_taken_for_paths(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('backbone = {name = "vgg19", weights = "torchvision"}\n')
    job = make_job({}, registry, read_job_file(tmp_path / "job.toml"))
    assert job.backbone.options["weights"] == "torchvision"
    assert job.content == "sample:photo"


def test_an_options_path_is_relative_to_the_current_folder(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "job.toml").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    job = make_job({"content": "here.jpg"}, registry, read_job_file(Path("jobs/job.toml")))
    assert job.content == "here.jpg"


@pytest.mark.parametrize(
    "content",
    [
        b"size = ",
        b"\xff\xfe\x00",
        b"a = 1\na = 2",
        b"x = " + b"[" * 100_000,
        b"x = 1" + b"0" * 5000,
        b" " * 2_000_000,
    ],
    ids=["broken", "binary", "twice", "deep", "long number", "large"],
)
def test_a_malformed_job_file_is_wrong_usage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "job.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"job\.toml"):
        read_job_file(tmp_path / "job.toml")


@pytest.mark.parametrize("name", ["missing.toml", "missing.png", "l" * 300 + ".toml", "."])
def test_a_missing_job_file_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        read_job_file(Path(name))


def test_a_term_is_added_with_its_options(registry: Registry) -> None:
    added = {"name": "tv", "weight": 3, "power": 1, "reduction": "sum"}
    job = plan(registry, preset="paper", term=[added]).job
    assert [term.name for term in job.terms] == ["content", "style", "tv"]
    assert job.terms[2].weight == 3
    assert job.terms[2].options == {"power": 1, "reduction": "sum"}


def test_a_term_that_the_job_has_is_changed_and_keeps_the_rest(registry: Registry) -> None:
    before = plan(registry).job.terms
    after = plan(registry, term=[{"name": "style", "weight": 5.0}]).job.terms
    assert [term.name for term in after] == [term.name for term in before]
    style = {term.name: term for term in after}["style"]
    assert style.weight == 5.0
    assert style.layers == {term.name: term for term in before}["style"].layers


# Crops of the style images


@pytest.mark.parametrize(
    ("value", "crops"),
    [
        ("none", ["none", "none"]),
        ([9, 8, 7, 6], [(9, 8, 7, 6)] * 2),
        ((9, 8, 7, 6), [(9, 8, 7, 6)] * 2),
        ([[9, 8, 7, 6]], [(9, 8, 7, 6)] * 2),
        (["auto", (9, 8, 7, 6)], ["auto", (9, 8, 7, 6)]),
    ],
)
def test_one_crop_is_that_of_all_styles_and_several_are_one_for_each(
    value: Any, crops: list[Any]
) -> None:
    job = build_job({"styles": ["x.jpg", "y.jpg"], "style_crop": value})
    assert [style.crop for style in job.styles] == crops


@pytest.mark.parametrize(
    "value", ["", "some", -1, [1, 2, 3], [1, 2, 3, -4], [1.5, 2, 3, 4], [1, 2, 3, 4, 5], [[1, 2]]]
)
def test_a_crop_that_is_none_is_wrong_usage(value: Any) -> None:
    with pytest.raises(UsageError, match="`style_crop`"):
        build_job({"style_crop": value})


@pytest.mark.parametrize(
    ("text", "crops"),
    [
        ("auto", ["auto"]),
        ("1,2,3,4", [[1, 2, 3, 4]]),
        ("auto,none", ["auto", "none"]),
        ("none,1,2,3,4,auto", ["none", [1, 2, 3, 4], "auto"]),
    ],
)
def test_a_crop_is_read_from_text(text: str, crops: list[Any]) -> None:
    assert OPTIONS["style_crop"].read("style_crop", text) == crops


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,auto", "1,2,3,4,5", "1.5,2,3,4", "all"])
def test_text_that_is_no_crop_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="`style_crop`"):
        OPTIONS["style_crop"].read("style_crop", text)
    with pytest.raises(UsageError, match="`style_crop`"):
        OPTIONS["style_crop"].read_one("style_crop", text)
