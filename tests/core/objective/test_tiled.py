"""The objective by tiles is the objective of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stylectl.core.interfaces.backend import FeatureBackend
from stylectl.core.interfaces.optimizer import Evaluation
from stylectl.core.interfaces.specs import LossTermArguments, NoOptions
from stylectl.core.interfaces.statistics import StatisticsTerm
from stylectl.core.interfaces.terms import LossTerm, References, Style
from stylectl.core.job.building import build_job
from stylectl.core.objective.objective import Objective
from stylectl.core.objective.tiled_objective import TiledObjective
from stylectl.core.objective.weighted_losses import WeightedLoss
from stylectl.core.planning.plan import Plan
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.preparation import prepare
from stylectl.core.run.session import Session
from stylectl.core.sizes.tiles import Tiler, Tilers, tiler_for
from stylectl.plugins.losses.content import ContentLoss, ContentOptions
from stylectl.plugins.losses.covariance import CovarianceLoss, CovarianceOptions
from stylectl.plugins.losses.moments import MomentsLoss, MomentsOptions
from stylectl.plugins.losses.pixels.total_variation import TotalVariationLoss, TotalVariationOptions
from stylectl.plugins.losses.style import StyleLoss, StyleOptions
from stylectl.plugins.losses.wasserstein import WassersteinLoss
from stylectl.plugins.manager import load_plugins
from torch import Tensor

LAYERS = ["relu1_1", "relu2_1"]
SUMS = ["content", "style", "covariance", "moments", "wasserstein"]


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a photo of odd sides, two paintings, and masks with soft borders."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:75, :101]
    waves = np.stack([np.sin(x / 5), np.sin(y / 7), np.sin((x + y) / 9)], axis=2)
    save("photo.png", 127 + 60 * waves)
    save("red.png", (x // 4 % 2)[..., None] * [200, 40, 30] + [40, 0, 0])
    save("blue.png", ((x // 8 + y // 8) % 2)[:61, :, None] * [20, 60, 180] + [0, 30, 60])
    save("left.png", 255 * (1 - x / 100) ** 2)
    save("right.png", 255 * (1 - (1 - x / 100) ** 2))
    save("half.png", 255 * (x < 50))
    save("corner.png", 255 * ((x < 20) & (y < 20)))


def save(name: str, pixels: np.ndarray) -> None:
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(name)


def plan_of(weights: dict[str, float], **options: Any) -> Plan:
    """A job with these terms alone."""
    terms = [
        {"name": name, "weight": weight, **({} if name == "tv" else {"layers": LAYERS})}
        for name, weight in weights.items()
    ]
    small = {
        "content": "photo.png",
        "styles": ["red.png", "blue.png"],
        "size": 101,
        "scales": 1,
        "iterations": 1,
        "device": "cpu",
        **options,
    }
    return make_plan(build_job(small, {"terms": terms}), load_plugins().registry)


def tiler_of(plan: Plan, most: int) -> Tiler:
    infos = [info for info in plan.backbone.layers if info.name in plan.layers]
    strides = {info.name: info.stride for info in infos}
    return tiler_for(strides, max(info.receptive_field or 0 for info in infos), 2, most)


def evaluations(plan: Plan, most: int) -> tuple[Evaluation, Evaluation]:
    """Of the whole, and by tiles, at the content with noise."""
    prepared = prepare(plan)
    with Session() as session:
        run = session.open(prepared)
        whole = run.inputs_at(-1)
        tiler = tiler_of(plan, most)
        tiled = replace(whole, tilers=Tilers(tiler, tiler))
        generator = torch.Generator().manual_seed(0)
        image = whole.content + 0.1 * torch.randn(whole.content.shape, generator=generator)
        objectives = [run.objective(inputs) for inputs in (whole, tiled)]
        assert isinstance(objectives[0], Objective)
        assert isinstance(objectives[1], TiledObjective)
        first, second = (objective.evaluate(image) for objective in objectives)
        return first, second


def assert_same(whole: Evaluation, tiled: Evaluation) -> None:
    """To float32: a sum over 10^4 positions is off by some 10^-7 of its terms' size, whichever way
    it is added up, and so is each product that a gradient is made of."""
    assert list(tiled.losses) == list(whole.losses)
    for name, loss in whole.losses.items():
        assert tiled.losses[name] == pytest.approx(loss, rel=1e-5), name
    assert tiled.value == pytest.approx(whole.value, rel=1e-5)
    assert (tiled.gradient - whole.gradient).norm() <= 1e-5 * whole.gradient.norm()
    assert tiled.finite


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_all_terms_together(backend: str) -> None:
    plan = plan_of({**dict.fromkeys(SUMS, 1.0), "tv": 10.0}, backend=backend)
    assert_same(*evaluations(plan, 2200))


@pytest.mark.parametrize("most", [500, 900, 5000])
def test_tiles_of_any_shape(most: int) -> None:
    assert_same(*evaluations(plan_of({"content": 1.0, "style": 5.0, "tv": 10.0}), most))


@pytest.mark.parametrize("name", SUMS)
def test_each_term_alone(name: str) -> None:
    assert_same(*evaluations(plan_of({name: 2.0}), 1500))


@pytest.mark.parametrize(("size", "upscale"), [(64, False), (77, False), (118, True)])
def test_other_sizes(size: int, upscale: bool) -> None:
    plan = plan_of({"content": 1.0, "style": 5.0}, size=size, upscale=upscale)
    assert_same(*evaluations(plan, 1200))


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_regions_are_cut_too(backend: str) -> None:
    plan = plan_of(
        dict.fromkeys(SUMS, 1.0),
        style_mask=["left.png", "right.png"],
        content_mask="left.png",
        backend=backend,
    )
    assert_same(*evaluations(plan, 1500))


def test_a_region_may_lie_in_one_tile_alone() -> None:
    plan = plan_of(
        {"content": 1.0, "style": 1.0, "covariance": 1.0, "moments": 1.0},
        style_mask=["corner.png", "right.png"],
        content_mask="corner.png",
    )
    assert_same(*evaluations(plan, 900))


def test_maps_of_regions_are_cut_with_the_styles() -> None:
    plan = plan_of(
        {"style": 1.0, "covariance": 1.0},
        styles=["red.png"],
        regions=["corner.png", "half.png"],
    )
    assert_same(*evaluations(plan, 900))


@pytest.mark.parametrize("padding", ["replicate", "reflect"])
def test_other_paddings(padding: str) -> None:
    assert_same(*evaluations(plan_of({"content": 1.0, "style": 5.0}, padding=padding), 1500))


def test_textures() -> None:
    plan = plan_of({"style": 5.0}, content=None, texture=["red.png"], styles=None, size=(90, 71))
    assert_same(*evaluations(plan, 1500))


# In float64, where nothing but the method can make a difference


def smooth(seed: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def bound(backend: FeatureBackend, image: Tensor) -> Iterator[WeightedLoss]:
    layers = {"smooth1_1": 0.5, "smooth2_1": 0.5}
    terms: list[LossTerm] = [
        *(
            ContentLoss(LossTermArguments(layers=layers, options=ContentOptions(normalization=n)))
            for n in ("relative", "mean")
        ),
        *(
            StyleLoss(LossTermArguments(layers=layers, options=StyleOptions(normalization=n)))
            for n in ("relative", "paper")
        ),
        CovarianceLoss(LossTermArguments(layers=layers, options=CovarianceOptions())),
        MomentsLoss(LossTermArguments(layers=layers, options=MomentsOptions())),
        WassersteinLoss(LossTermArguments(layers=layers, options=NoOptions())),
        TotalVariationLoss(LossTermArguments(layers={}, options=TotalVariationOptions())),
    ]
    paintings = smooth(2, 30, 41), smooth(4, 25, 25)
    styles = [Style(backend.features(painting), 0.5) for painting in paintings]
    references = References(backend.features(smooth(1, *image.shape[2:])), ())
    for number, term in enumerate(terms):
        given = References({}, styles) if "styles" in term.reads else references
        yield WeightedLoss(f"{number}", 1.0 + number, term.bind(given), f"the term {number}")


@pytest.mark.parametrize("size", [(40, 52), (41, 53)])
@pytest.mark.parametrize("most", [1, 700, 1200])
def test_in_float64_it_is_the_same(
    smooth_backend: FeatureBackend, size: tuple[int, int], most: int
) -> None:
    image = smooth(3, *size)
    losses = list(bound(smooth_backend, image))
    tiler = tiler_for({"smooth1_1": 1, "smooth2_1": 2}, 8, 2, most)
    assert len(tiler.tiles(*size)) > 1
    whole = Objective(smooth_backend, losses).evaluate(image)
    tiled = TiledObjective(smooth_backend, losses, tiler).evaluate(image)
    # 2000 positions and 2^-53: sums in another order differ by 10^-14 or so. Wasserstein takes
    # roots, but these matrices are well conditioned.
    for name, loss in whole.losses.items():
        assert tiled.losses[name] == pytest.approx(loss, rel=1e-12), name
    assert (tiled.gradient - whole.gradient).norm() <= 1e-12 * whole.gradient.norm()


def test_what_is_not_finite_is_named(smooth_backend: FeatureBackend) -> None:
    image = smooth(3, 40, 52)
    tiler = tiler_for({"smooth1_1": 1, "smooth2_1": 2}, 8, 2, 700)
    losses = list(bound(smooth_backend, image))
    losses[2] = WeightedLoss("2", math.inf, losses[2].loss, "the term 2")
    evaluation = TiledObjective(smooth_backend, losses, tiler).evaluate(image)
    assert not evaluation.finite
    assert evaluation.nonfinite_source == "the term 2 = inf"


def test_what_the_network_spoils_is_named(smooth_backend: FeatureBackend) -> None:
    image = smooth(3, 40, 52)
    tiler = tiler_for({"smooth1_1": 1, "smooth2_1": 2}, 8, 2, 700)
    losses = [each for each in bound(smooth_backend, image) if each.name == "2"]
    image[0, 0, 7, 7] = math.nan
    evaluation = TiledObjective(smooth_backend, losses, tiler).evaluate(image)
    assert evaluation.nonfinite_source == "the term 2 = nan"


def test_the_image_is_not_modified(smooth_backend: FeatureBackend) -> None:
    image = smooth(3, 40, 52)
    before = image.clone()
    tiler = tiler_for({"smooth1_1": 1, "smooth2_1": 2}, 8, 2, 700)
    TiledObjective(smooth_backend, list(bound(smooth_backend, image)), tiler).evaluate(image)
    assert torch.equal(image, before)
    assert not image.requires_grad


def test_every_built_in_term_of_sums_is_tried_here() -> None:
    """So that a new one joins the list above."""
    registry = load_plugins().registry
    found = {
        spec.name
        for spec in registry.terms
        if isinstance(
            spec.create(LossTermArguments(layers={"relu1_1": 1.0}, options=spec.options())),
            StatisticsTerm,
        )
    }
    assert found == set(SUMS)
