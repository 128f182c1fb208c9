"""Pictures that go on at their opposite edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from stylectl import Event, Notice
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import UsageError
from stylectl.core.images.resampling import resized
from stylectl.core.interfaces.backend import BackendOptions
from stylectl.core.interfaces.optimizer import Evaluation
from stylectl.core.interfaces.specs import LossTermArguments
from stylectl.core.interfaces.terms import IMAGE_LAYER, References, Style
from stylectl.core.job.building import build_job
from stylectl.core.job.paths import SAMPLES
from stylectl.core.objective.framed_features import framed_features
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.preparation import prepare
from stylectl.core.run.session import Session
from stylectl.core.sizes.pyramid import plan_scales
from stylectl.plugins.backbones.vgg19 import VGG19, VGG19Options
from stylectl.plugins.losses.mrf import MrfLoss, MrfOptions
from stylectl.plugins.losses.pixels.laplacian import pooled_laplacian
from stylectl.plugins.losses.pixels.total_variation import TotalVariationLoss, TotalVariationOptions
from stylectl.plugins.manager import load_plugins
from torch import Tensor

PHOTO, PAINTING = (str(SAMPLES[name]) for name in ("sample:photo", "sample:painting"))
STRIDE = 16


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def distance(value: Tensor, expected: Tensor) -> float:
    return float((value - expected).norm() / expected.norm())


# The objective does not know where the edges are


def evaluations(
    images: list[Tensor], preset: str | None = None, **options: Any
) -> list[Evaluation]:
    height, width = images[0].shape[2:]
    given = {"texture": PAINTING, "size": (width, height), "scales": 1, "device": "cpu"}
    plan = make_plan(build_job({**given, **options}, None, preset), load_plugins().registry)
    with Session() as session:
        run = session.open(prepare(plan))
        objective = run.objective(run.inputs_at(0))
        return [objective.evaluate(image) for image in images]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="balanced"),
        pytest.param({"preset": "paper"}, id="paper"),
        pytest.param({"normalize_gradients": True}, id="normalized"),
        pytest.param(
            {"term": [{"name": "mrf", "layers": ["relu3_1"]}, {"name": "sliced-wasserstein"}]},
            id="more terms",
        ),
        pytest.param(
            {"backend": "onnx", "gradient": "native", "style_layers": ["relu1_1", "relu2_1"]},
            id="onnx",
        ),
    ],
)
def test_a_rolled_picture_has_the_same_value_and_the_rolled_gradient(
    options: dict[str, Any],
) -> None:
    image, shifts = noise(48, 64), (STRIDE, 3 * STRIDE)
    here, there = evaluations([image, image.roll(shifts, (2, 3))], seamless=True, **options)
    # float32; a rectifier or a maximum within rounding of its switch moves whole elements.
    assert there.value == pytest.approx(here.value, rel=1e-5)
    assert distance(there.gradient, here.gradient.roll(shifts, (2, 3))) < 5e-3


def test_without_seamless_it_has_not() -> None:
    image, shifts = noise(48, 64), (STRIDE, 3 * STRIDE)
    here, there = evaluations([image, image.roll(shifts, (2, 3))])
    assert distance(there.gradient, here.gradient.roll(shifts, (2, 3))) > 0.05


# The images that it is compared with do not wrap


@pytest.mark.parametrize("size", [(16, 16), (48, 80), (37, 101)])
def test_a_paintings_opposite_edges_do_not_meet(size: tuple[int, int]) -> None:
    layers, image = ["relu1_1", "relu3_1", "relu5_1"], noise(*size)
    backend = TorchBackend(
        VGG19(VGG19Options(padding="circular")), layers, BackendOptions(device="cpu")
    )
    features = framed_features(backend, image, layers, STRIDE)
    shapes = {name: value.shape for name, value in backend.features(image, layers).items()}
    assert {name: value.shape for name, value in features.items()} == shapes
    mirrored = VGG19(VGG19Options(padding="reflect")).trunk(["relu1_1"])(image)["relu1_1"]
    if size[0] > STRIDE:  # at an image of one position there is no room for a frame
        # Differences of float32 products of up to some hundred, in another order.
        assert distance(features["relu1_1"], mirrored) < 1e-5


# The terms that look at neighbors


def ring(image: Tensor, wraps: bool = True) -> References:
    return References({IMAGE_LAYER: image}, (Style({IMAGE_LAYER: noise(9, 11, 2)}, 1.0),), 0, wraps)


@pytest.mark.parametrize("wraps", [True, False])
def test_total_variation_takes_opposite_edges_for_neighbors(wraps: bool) -> None:
    image = noise(5, 7)
    term = TotalVariationLoss(
        LossTermArguments(layers={}, options=TotalVariationOptions(reduction="sum"))
    )
    loss = term.bind(ring(image, wraps))({IMAGE_LAYER: image})
    differences = [image.roll(1, dim) - image for dim in (2, 3)]
    if not wraps:
        differences = [differences[0][:, :, 1:], differences[1][..., 1:]]
    expected = sum(each.square().sum().item() for each in differences)
    # 200 float32 numbers in two orders.
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_patches_go_on_at_the_opposite_edge() -> None:
    image = noise(8, 12)
    losses = [
        MrfLoss(LossTermArguments(layers={IMAGE_LAYER: 1.0}, options=MrfOptions()))
        .bind(ring(image, wraps))({IMAGE_LAYER: rolled})
        .item()
        for wraps in (True, False)
        for rolled in (image, image.roll((2, 4), (2, 3)))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[2] != pytest.approx(losses[3], rel=1e-3)


def test_the_laplacian_does_so_too() -> None:
    image = noise(16, 24)
    whole = pooled_laplacian(image, 4, "circular")
    rolled = pooled_laplacian(image.roll((4, 8), (2, 3)), 4, "circular")
    # Sums of a few hundred float32 numbers, and differences of them.
    torch.testing.assert_close(rolled, whole.roll((1, 2), (2, 3)), rtol=0, atol=1e-5)


# From scale to scale


@pytest.mark.parametrize(("old", "new"), [((48, 32), (64, 48)), ((64, 48), (48, 32))])
def test_resampling_wraps(old: tuple[int, int], new: tuple[int, int]) -> None:
    image = noise(*old)
    steps = [side // STRIDE for side in old], [side // STRIDE for side in new]
    rolled = resized(image.roll(steps[0], (2, 3)), new, wraps=True)
    expected = resized(image, new, wraps=True)
    assert expected.shape[2:] == new
    # float32 positions of the filter's taps.
    torch.testing.assert_close(rolled, expected.roll(steps[1], (2, 3)), rtol=0, atol=1e-4)
    plain = resized(image, new, wraps=False)
    torch.testing.assert_close(
        plain[:, :, 6:-6, 6:-6], expected[:, :, 6:-6, 6:-6], rtol=0, atol=1e-4
    )
    assert (plain - expected).abs().max() > 0.01


@pytest.mark.parametrize("size", [(512, 512), (320, 176), (16, 48)])
def test_every_scales_sides_are_multiples_of_the_stride(size: tuple[int, int]) -> None:
    scales = plan_scales(size, 6, 100, STRIDE, STRIDE)
    assert scales[-1].size == size
    assert all(side % STRIDE == 0 for scale in scales for side in scale.size)
    assert len({scale.size for scale in scales}) == len(scales)


# A whole run


def seam(image: np.ndarray) -> tuple[float, float]:
    """Mean absolute differences between the first and the last column, relative to those of
    neighboring columns; and so for the rows."""
    ratios = []
    for axis in (1, 0):
        across = np.abs(image.take(0, axis) - image.take(-1, axis)).mean()
        ratios.append(float(across / np.abs(np.diff(image, axis=axis)).mean()))
    return ratios[0], ratios[1]


def test_the_seam_of_a_texture_is_like_its_interior() -> None:
    # At one scale: the carried-over picture keeps the pooling windows' grid of the coarser ones,
    # which the edges lie on, so that only every tenth column could be compared with them.
    options: dict[str, Any] = {"size": (96, 96), "iterations": 25, "scales": 1, "device": "cpu"}
    tiled, cut = (
        stylectl.run(texture=PAINTING, seamless=seamless, **options) for seamless in (True, None)
    )
    # The differences vary from column to column by 0.17 of their mean: three times that.
    assert seam(tiled.image) == pytest.approx((1, 1), abs=0.5)
    assert min(seam(cut.image)) > 1.8


def test_a_photo_can_be_painted_seamlessly() -> None:
    options: dict[str, Any] = {
        "content": PHOTO,
        "styles": [PAINTING],
        "size": 64,
        "iterations": 20,
        "scales": 2,
    }
    tiled, cut = (
        stylectl.run(**options, device="cpu", seamless=seamless) for seamless in (True, None)
    )
    assert tiled.image.shape == (48, 64, 3)
    assert max(seam(tiled.image)) < max(seam(cut.image))


def test_sides_are_rounded_to_whole_strides_and_that_is_said() -> None:
    heard: list[Event] = []
    result = stylectl.run(
        texture=PAINTING,
        size=(60, 50),
        seamless=True,
        iterations=2,
        precision="float32",
        on_event=heard.append,
    )
    assert result.image.shape == (48, 64, 3)
    (said,) = (each.message for each in heard if isinstance(each, Notice))
    assert said.startswith("64x48 px instead of 60x50")


def test_the_png_carries_it() -> None:
    first = stylectl.run(
        texture=PAINTING, size=(48, 48), seamless=True, iterations=2, output="tex.png"
    )
    assert first.job.backbone.options["padding"] == "circular"
    again = stylectl.run("tex.png")
    # The record has the painting's path relative to its own folder.
    assert Path(again.job.styles[0].image).resolve() == Path(PAINTING).resolve()
    assert again.job.model_copy(update={"styles": first.job.styles}) == first.job
    assert np.array_equal(again.image, first.image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "reflect"}, "seamless needs `padding=circular`; the job has reflect"),
        ({"backbone": "alexnet"}, "the backbone alexnet does not wrap around"),
        ({"backbone": "resnet50"}, "the backbone resnet50 does not wrap around"),
        ({"backbone": "onnx:network.onnx"}, "the backbone onnx has no option `padding`"),
    ],
)
def test_what_cannot_wrap_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stylectl.run(texture=PAINTING, seamless=True, **options)
