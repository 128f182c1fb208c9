"""Objectives as ONNX models: their numbers, what is refused, and terms of plugins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from stylectl import (
    BackboneSpec,
    BackendError,
    Loss,
    LossGraph,
    LossTerm,
    LossTermArguments,
    LossTermSpec,
    NoOptions,
    PluginError,
    References,
    UsageError,
    hooks,
)
from stylectl.backends.onnx_export.card import card_of, opset_of
from stylectl.backends.onnx_objective.assembly import objective_model
from stylectl.backends.onnx_objective.losses import OnnxTerm
from stylectl.core.errors import StylectlError
from stylectl.core.interfaces.terms import IMAGE_LAYER
from stylectl.core.job.building import build_job
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.session import Session
from stylectl.plugins.losses.pixels.total_variation import flatness
from stylectl.plugins.manager import load_plugins
from stylectl.plugins.testing.network import KinkedBackbone, TinyBackbone
from stylectl.tools.export.network import export_network
from stylectl.tools.export.objective import ExportedObjective, export_objective
from stylectl.tools.export.variant import Variant

Array = np.ndarray[Any, Any]

#: What is promised: the relative difference of a loss, and the gradient's relative L2 distance.
VALUE, GRADIENT = 1e-5, 1e-3

SIZE = 40


class Darkness(LossTerm):
    """A plugin's term that has an ONNX form."""

    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments: LossTermArguments[NoOptions]) -> None:
        """Read no options."""

    def bind(self, references: References) -> Loss:
        return lambda features: features[IMAGE_LAYER].square().mean()

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        image = graph.layer(IMAGE_LAYER)
        return graph.node("ReduceMean", graph.node("Mul", image, image), keepdims=0)


class Unwritten(Darkness):
    """A term without an ONNX form."""

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        raise NotImplementedError("its quantiles have none")


class Wrong(Darkness):
    """A term whose ONNX form is another loss."""

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        return graph.node("ReduceMean", graph.layer(IMAGE_LAYER), keepdims=0)


class Vector(Darkness):
    """A term whose ONNX form is no scalar."""

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        return graph.node("ReduceMean", graph.layer(IMAGE_LAYER), (1, 2, 3), keepdims=0)


class Elsewhere(Darkness):
    """A term that reads a layer that is not its own."""

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        return graph.node("ReduceMean", graph.layer("relu9_9"), keepdims=0)


class Remainder(Darkness):
    """A term with an operator that has no gradient rule."""

    def onnx_loss(self, references: References, graph: LossGraph) -> str:
        return graph.node(
            "ReduceMean",
            graph.node("Mod", graph.layer(IMAGE_LAYER), graph.layer(IMAGE_LAYER), fmod=1),
            keepdims=0,
        )


TERMS: dict[str, type[Darkness]] = {
    "darkness": Darkness,
    "unwritten": Unwritten,
    "wrong": Wrong,
    "vector": Vector,
    "elsewhere": Elsewhere,
    "remainder": Remainder,
}


@hooks.loss_terms
def loss_terms() -> Iterator[LossTermSpec[NoOptions]]:
    for name, term in TERMS.items():
        yield LossTermSpec(
            name=name, summary=name, create=term, options=NoOptions, layers_from="image"
        )


@hooks.backbones
def backbones() -> Iterator[BackboneSpec[NoOptions]]:
    yield BackboneSpec(
        name="kinked", summary="kinks", create=lambda _: KinkedBackbone(), options=NoOptions
    )
    yield BackboneSpec(
        name="tiny", summary="no kinks", create=lambda _: TinyBackbone(), options=NoOptions
    )


MODULE = ModuleType("mine")
vars(MODULE).update(loss_terms=loss_terms, backbones=backbones)
REGISTRY = load_plugins(extra=[MODULE]).registry


@dataclass
class Exported:
    """An exported objective, run by ONNX Runtime."""

    exported: ExportedObjective

    def __post_init__(self) -> None:
        model = self.exported.model
        onnx.checker.check_model(model, full_check=True)
        self.card = card_of(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]

    def __call__(
        self, image: torch.Tensor, content: torch.Tensor | None = None
    ) -> dict[str, Array]:
        feeds = {"image": image.numpy()}
        if content is not None:
            feeds["content"] = content.numpy()
        return dict(zip(self.outputs, self.session.run(None, feeds), strict=True))


def plan_of(**options: Any) -> Any:
    small = {"size": SIZE, "scales": 1, "device": "cpu", "backbone": "kinked", **options}
    return make_plan(build_job(small), REGISTRY)


PLAIN = Variant()


def export(variant: Variant = PLAIN, scale: int | None = None, **options: Any) -> Exported:
    return Exported(export_objective(plan_of(**options), variant, scale, "step.start.f32"))


def term(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "weight": 1.0, **options}


def noise(height: int, width: int, seed: int = 3) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def terms(*names: str) -> list[dict[str, Any]]:
    """The named terms, without the others of the preset."""
    left_out = {"content", "style", "tv"}.difference(names)
    return [*map(term, names), *({"name": name, "weight": 0.0} for name in left_out)]


OBJECTIVES: dict[str, dict[str, Any]] = {
    "default": {},
    "content, mean": {"term": [term("content", normalization="mean"), term("style")]},
    "content, paper": {"term": [term("content", normalization="paper"), term("style")]},
    "content, two layers": {
        "term": [term("content", layers={"relu1_2": 0.3, "relu2_1": 0.7}), term("style")]
    },
    "style, paper": {"term": [term("style", normalization="paper"), term("content")]},
    "content and style, softmax": {
        "term": [term("content", softmax=3.0), term("style", softmax=3.0)]
    },
    "covariance": {"term": terms("covariance")},
    "moments": {"term": terms("moments")},
    "tv, power 1": {"term": [term("tv", power=1)]},
    "tv, flat": {"term": [term("tv", flat=0.1)]},
    "tv, flat, power 1": {"term": [term("tv", flat=0.1, power=1)]},
    "tv, sum": {"term": [term("tv", reduction="sum")]},
    "all": {"term": terms("content", "style", "tv", "covariance", "moments")},
    "normalized gradients": {"normalize_gradients": True},
    "two styles": {"styles": ["sample:painting", "sample:photo"], "style_weights": [3.0, 7.0]},
    "seamless": {"seamless": True, "backbone": "vgg19", "term": [term("style"), term("tv")]},
    "texture": {
        "content": None,
        "init": "noise",
        "size": (SIZE, 32),
        "term": [term("style"), term("tv")],
    },
    "of a plugin": {"term": [term("style"), term("darkness")]},
    "recolored content": {"color": "histogram"},
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_parts_and_gradient_are_those_of_the_objective(name: str) -> None:
    options = OBJECTIVES[name]
    exported = export(**options)
    image = noise(*exported.exported.start.shape[2:])  # type: ignore[union-attr]
    outputs = exported(image)
    with Session() as session:
        run = session.open(session.prepare(plan_of(**options)))
        expected = run.objective(run.inputs_at(0)).evaluate(image)
    assert float(outputs["loss"]) == pytest.approx(expected.value, rel=VALUE)
    assert exported.outputs[:2] == ["loss", "gradient"]
    parts = {key: float(outputs[f"loss/{key}"]) for key in expected.losses}
    assert parts == pytest.approx(expected.losses, rel=VALUE)
    assert len(exported.outputs) == 2 + len(parts)
    difference = torch.from_numpy(outputs["gradient"]) - expected.gradient
    assert difference.norm() <= GRADIENT * expected.gradient.norm()


def test_the_gradient_is_that_of_the_models_own_loss() -> None:
    # A network without kinks, which is no chain: torch.onnx writes it.
    exported = export(backbone="tiny", term=terms("content", "style", "covariance", "moments"))
    image, direction = noise(27, SIZE), noise(27, SIZE, seed=4) - 0.5
    step = 1e-2 * direction
    before, after = (float(exported(image + sign * step)["loss"]) for sign in (-1, 1))
    slope = float((torch.from_numpy(exported(image)["gradient"]) * step).sum())
    # Losses of about 1 are rounded by 1e-7, and differ by some 1e-3 here.
    assert (after - before) / 2 == pytest.approx(slope, rel=5e-3)


def test_masks_and_regions_count_as_in_a_run(tmp_path: Path) -> None:
    left = np.zeros((27, SIZE), np.uint8)
    left[:, : SIZE // 2], left[:, SIZE // 2 : SIZE // 2 + 4] = 255, 128
    for name, mask in (("left", left), ("right", 255 - left)):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    masks = [str(tmp_path / "left.png"), str(tmp_path / "right.png")]
    options: dict[str, Any] = {
        "styles": ["sample:painting", "sample:photo"],
        "style_mask": masks,
        "content_mask": masks[0],
        "term": [term(name) for name in ("content", "style", "covariance", "moments")],
    }
    exported = export(**options)
    image = noise(27, SIZE)
    with Session() as session:
        run = session.open(session.prepare(plan_of(**options)))
        expected = run.objective(run.inputs_at(0)).evaluate(image)
    outputs = exported(image)
    assert float(outputs["loss"]) == pytest.approx(expected.value, rel=VALUE)
    with pytest.raises(UsageError, match="masks and regions"):
        export(Variant(dynamic=True), **options)
    assert str(tmp_path) not in "".join(exported.card.values())


@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 51), (64, 20)])
def test_a_dynamic_model_is_the_objective_at_any_size(height: int, width: int) -> None:
    three = [term("content"), term("style"), term("tv", flat=0.1)]
    exported = export(Variant(dynamic=True), term=three)
    assert exported.inputs == ["image", "content"]
    content, image = 0.3 * noise(height, width, seed=1), noise(height, width)
    outputs = exported(image, content)
    assert outputs["gradient"].shape == (1, 3, height, width)
    # The content loss is zero at the content image; total variation knows where that is flat.
    at_content = exported(content, content)
    assert float(at_content["loss/content"]) == 0 < float(outputs["loss/content"])
    flat = flatness(content, 0.1)
    along_rows = image.diff(dim=3).square() * flat[..., 1:] * flat[..., :-1]
    along_columns = image.diff(dim=2).square() * flat[..., 1:, :] * flat[..., :-1, :]
    differences = (along_rows.sum() + along_columns.sum()) / (3 * height * width)
    assert float(outputs["loss/tv"]) == pytest.approx(float(differences), rel=VALUE)


def test_a_dynamic_model_without_content_has_one_input() -> None:
    exported = export(Variant(dynamic=True), term=terms("style"))
    assert exported.inputs == ["image"]
    assert exported.exported.start is None


def test_each_scale_has_its_own_objective() -> None:
    coarse, fine = (export(scale=number, scales=2) for number in (1, 2))
    sizes = [exported.session.get_inputs()[0].shape[2:] for exported in (coarse, fine)]
    assert sizes[1] == [27, SIZE]
    assert sizes[0] < sizes[1]
    assert "scale 1 of 2" in coarse.exported.notices[0]
    with pytest.raises(UsageError, match="has the scales 1"):
        export(scale=3, scales=2)


def test_the_card_says_what_a_program_has_to_know() -> None:
    exported = export(normalize_gradients=True)
    card = exported.card
    assert card["kind"] == "objective"
    assert card["size"] == f"{SIZE}x27"
    assert [entry["name"] for entry in json.loads(card["terms"])] == ["content", "style", "tv"]
    assert json.loads(card["start"])["file"] == "step.start.f32"
    assert json.loads(card["optimizer"])["steps"] > 0
    assert "not that of the output loss" in card["gradient"]
    assert len(card["images_sha256"].split(",")) == 2
    assert card["checked"].startswith("onnxruntime ")


def test_int8_weights_make_the_file_smaller_and_the_numbers_stay_those_of_the_rounded() -> None:
    plain, rounded = export(), export(Variant(precision="int8"))
    codes = [
        tensor
        for tensor in rounded.exported.model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8
    ]
    assert len(codes) == 3  # the convolutions
    image = noise(27, SIZE)
    losses = [float(exported(image)["loss"]) for exported in (plain, rounded)]
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.05)
    assert rounded.card["precision"] == "int8"


@pytest.mark.parametrize("opset", [19, 21])
def test_other_opsets_give_the_same_numbers(opset: int) -> None:
    plain, other = export(), export(Variant(opset=opset))
    assert opset_of(other.exported.model) == opset == int(other.card["opset"])
    image = noise(27, SIZE)
    assert float(plain(image)["loss"]) == pytest.approx(float(other(image)["loss"]), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "variant", "kind", "complaint"),
    [
        ({"term": [term("style"), term("mrf")]}, PLAIN, UsageError, "mrf.* has no ONNX form"),
        (
            {"term": [term("style"), term("unwritten")]},
            PLAIN,
            UsageError,
            "unwritten.* has no ONNX form: its quantiles have none",
        ),
        (
            {"term": [term("style"), term("wrong")]},
            PLAIN,
            BackendError,
            "output loss/wrong is .* instead of",
        ),
        (
            {"term": [term("style"), term("vector")]},
            PLAIN,
            PluginError,
            "vector.*returns no scalar",
        ),
        (
            {"term": [term("style"), term("elsewhere")]},
            PLAIN,
            PluginError,
            "elsewhere.*'relu9_9'",
        ),
        ({"term": [term("style"), term("remainder")]}, PLAIN, StylectlError, "Mod"),
        ({"color": "luminance"}, PLAIN, UsageError, "luminance"),
        ({"color": "chroma"}, PLAIN, UsageError, "gets its colors after the optimisation"),
        ({}, Variant(precision="float16"), UsageError, "smallest number"),
        ({}, Variant(opset=5), UsageError, "from 7 to"),
        ({}, Variant(size=(30, 30)), UsageError, "the result of this job has 40x27"),
        (
            {"seamless": True, "backbone": "vgg19", "term": [term("style")]},
            Variant(dynamic=True),
            UsageError,
            "multiples",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_reason(
    options: dict[str, Any], variant: Variant, kind: type[Exception], complaint: str
) -> None:
    with pytest.raises(kind, match=complaint):
        export(variant, **options)


@pytest.mark.parametrize("layer", ["loss", "gradient", "content", "mean_0", "constant_0"])
def test_a_layer_may_be_called_like_a_value_of_the_objective(layer: str) -> None:
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 4, 5])
    output = onnx.helper.make_tensor_value_info(layer, onnx.TensorProto.FLOAT, [1, 3, 4, 5])
    nodes = [onnx.helper.make_node("Mul", ["image", "image"], [layer])]
    graph = onnx.helper.make_graph(nodes, "network", [image], [output])
    opset = onnx.helper.make_opsetid("", 18)
    network = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)

    def mean_difference(graph: LossGraph) -> str:
        difference = graph.node("Sub", graph.layer(layer), graph.content(layer))
        return graph.node("ReduceMean", difference, keepdims=0)

    terms = [OnnxTerm("content", "the term", 2.0, {}, mean_difference)]
    features = {layer: torch.full((1, 3, 4, 5), 0.25), IMAGE_LAYER: torch.zeros(1, 3, 4, 5)}
    model = objective_model(network, terms, features)
    pixels = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    loss, gradient = session.run(["loss", "gradient"], {"image": pixels})
    # Sums of 60 numbers below 1, each rounded by 6e-8.
    np.testing.assert_allclose(loss, 2 * (np.square(pixels).mean() - 0.25), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, 4 * pixels / pixels.size, rtol=1e-5)


def test_the_page_has_every_key_of_the_card() -> None:
    """Of an objective, and of a network."""
    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text("utf-8")
    named = set(re.findall(r"`(\w+)`", page[page.index("## The model card") :]))
    network = export_network(TinyBackbone(), ["smooth2_1"], PLAIN).model
    objective = export(term=[term("style")]).exported.model
    for model in (network, objective):
        assert len(card_of(model)["weights_sha256"]) == 64
        assert card_of(model).keys() <= named
