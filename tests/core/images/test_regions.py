"""Several styles, and where they are wanted: masks, maps of regions, folders, scales."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image
from stylectl import Event, Notice, Result
from stylectl.core.errors import ImageError, UsageError
from stylectl.core.images.inputs import Inputs, read_inputs
from stylectl.core.interfaces.backend import FeatureBackend
from stylectl.core.interfaces.optimizer import Evaluation
from stylectl.core.job.building import build_job
from stylectl.core.planning.plan import Plan
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.preparation import prepare
from stylectl.core.run.session import Session
from stylectl.core.sizes.fitting import style_size
from stylectl.plugins.losses.statistics.gram import gram_matrix
from stylectl.plugins.manager import load_plugins
from torch import Tensor

SIDE = 64
LAYERS = ["relu1_1", "relu2_1"]
BACKENDS = pytest.mark.parametrize("backend", ["torch", "onnx"])


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the images that the tests use: a photo of waves, two textures, and masks."""
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = np.stack([np.sin(x / 5), np.sin(y / 7), np.sin((x + y) / 9)], axis=2)
    save("photo.png", 127 + 60 * waves)
    stripes, checks = (x // 4 % 2)[..., None], ((x // 8 + y // 8) % 2)[..., None]
    save("red.png", stripes * [200, 40, 30] + [40, 0, 0])
    save("blue.png", checks * [20, 60, 180] + [0, 30, 60])
    for name, white in (("left", x < SIDE // 2), ("right", x >= SIDE // 2), ("all", x >= 0)):
        save(f"{name}.png", 255 * white)
    save("quarter.png", 255 * (x < SIDE // 4))


def save(name: str, pixels: np.ndarray) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(name)


SMALL: dict[str, Any] = {
    "content": "photo.png",
    "styles": ["red.png", "blue.png"],
    "size": SIDE,
    "iterations": 3,
    "scales": 1,
    "device": "cpu",
    "style_layers": LAYERS,
    "content_layers": ["relu2_1"],
}


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """Small, and without layers for a term that has no weight."""
    options = {**SMALL, **given}
    for term in ("content", "style"):
        if options.get(f"{term}_weight") == 0:
            options.pop(f"{term}_layers")
    return options


def paint(**options: Any) -> Result:
    return stylectl.run(**options_of(options))


def plan_of(**options: Any) -> tuple[Plan, Inputs]:
    plan = make_plan(build_job(options_of(options)), load_plugins().registry)
    return plan, read_inputs(plan.job)


@dataclass(frozen=True)
class Seen:
    plan: Plan
    backend: FeatureBackend
    evaluation: Evaluation
    image: Tensor


def evaluated(**options: Any) -> Seen:
    """The objective at a picture of noise."""
    plan, _ = plan_of(**options)
    prepared = prepare(plan)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, *prepared.size, generator=generator)
    with Session() as session:
        run = session.open(prepared)
        evaluation = run.objective(run.inputs_at(-1)).evaluate(image)
        return Seen(plan, run.backend, evaluation, image)


def style_distance(plan: Plan, pixels: np.ndarray, style: str) -> float:
    """The mean of the layers' relative distances of Gram matrices."""
    with Image.open(style) as opened:
        target = np.asarray(opened)
    images = [pixels, target / 255]
    with plan.open_backend() as backend:
        own, other = (
            backend.features(torch.from_numpy(each).float().permute(2, 0, 1)[None].contiguous())
            for each in images
        )
    distances = []
    for layer in plan.layers:
        gram, wanted = (gram_matrix(f[layer]) / f[layer][0, 0].numel() for f in (own, other))
        distances.append(((gram - wanted).norm() / wanted.norm()).item())
    return float(np.mean(distances))


# Masks


@BACKENDS
def test_each_half_has_the_statistics_of_its_own_style(backend: str) -> None:
    result = paint(
        style_mask=["left.png", "right.png"],
        content_weight=0,
        tv_weight=0,
        init="noise",
        iterations=20,
        backend=backend,
    )
    plan, _ = plan_of(content_weight=0, tv_weight=0)
    # Without the strip along the border, where both styles see each other's pixels.
    left, right = result.image[:, : SIDE // 2 - 6], result.image[:, SIDE // 2 + 6 :]
    for half, own, other in ((left, "red.png", "blue.png"), (right, "blue.png", "red.png")):
        near, far = (style_distance(plan, half, style) for style in (own, other))
        assert near < 0.5 * far


@BACKENDS
def test_nothing_bleeds_farther_than_the_receptive_field(backend: str) -> None:
    seen = evaluated(
        styles=["red.png"],
        style_mask=["quarter.png"],
        content_weight=0,
        tv_weight=0,
        backend=backend,
    )
    moved = seen.evaluation.gradient.abs().amax((0, 1, 2))
    field = seen.plan.backbone.deepest(seen.plan.layers).receptive_field
    assert field is not None
    assert (moved[: SIDE // 4] > 0).all()
    assert not moved[SIDE // 4 + field // 2 + 1 :].any()


def test_a_style_pulls_at_its_region_as_hard_as_it_would_at_the_whole() -> None:
    flat = np.full((SIDE, SIDE, 3), 90)
    save("photo.png", flat)
    options: dict[str, Any] = {"content_weight": 0, "tv_weight": 0, "styles": ["red.png"]}

    def gradient(**more: Any) -> Tensor:
        plan, _ = plan_of(**options, **more)
        with Session() as session:
            run = session.open(prepare(plan))
            inputs = run.inputs_at(-1)
            return run.objective(inputs).evaluate(inputs.content).gradient

    whole, half = gradient(), gradient(style_mask=["left.png"])
    # Of an even picture the means over half of it are those over all, but for the edges, which are
    # half or a third of each: far from them the pull is the same within what that makes.
    middle = (slice(None), slice(None), slice(28, 36), slice(12, 20))
    torch.testing.assert_close(half[middle], whole[middle], rtol=0.1, atol=0)


def test_white_masks_change_nothing() -> None:
    plain = evaluated()
    white = evaluated(style_mask=["all.png", "all.png"], content_mask="all.png")
    assert white.evaluation.losses == pytest.approx(plain.evaluation.losses, rel=1e-5)
    # float32: sums in another order.
    torch.testing.assert_close(
        white.evaluation.gradient, plain.evaluation.gradient, rtol=1e-3, atol=1e-7
    )


def test_a_content_mask_frees_what_is_black() -> None:
    only_content = {"style_weight": 0, "tv_weight": 0}
    free = evaluated(**only_content, content_mask="quarter.png").evaluation.gradient
    held = evaluated(**only_content).evaluation.gradient
    # relu2_1 sees 10 px or fewer.
    assert not free[..., SIDE // 4 + 6 :].any()
    torch.testing.assert_close(
        free[..., : SIDE // 4 - 8], held[..., : SIDE // 4 - 8], rtol=1e-4, atol=1e-9
    )


def test_backends_agree_on_masks() -> None:
    masked: dict[str, Any] = {"style_mask": ["left.png", "none"], "content_mask": "right.png"}
    one, other = (evaluated(**masked, backend=each).evaluation for each in ("torch", "onnx"))
    # As tests/backends/onnxruntime/test_terms.py has it.
    assert other.losses == pytest.approx(one.losses, rel=1e-3)
    assert (other.gradient - one.gradient).norm() < 2e-2 * one.gradient.norm()


def notices(**options: Any) -> list[str]:
    heard: list[Event] = []
    paint(**options, iterations=1, on_event=heard.append)
    return [event.message for event in heard if isinstance(event, Notice)]


def test_a_mask_of_another_size_is_scaled_and_that_is_said() -> None:
    save("small.png", np.full((20, 20), 255))
    save("wide.png", np.full((20, 50), 255))
    told = notices(style_mask=["small.png", "wide.png"], content_mask="left.png")
    assert [message for message in told if ".png has" in message] == [
        "small.png has 20x20 px and is scaled to photo.png, which has 64x64 px",
        "wide.png has 50x20 px and is stretched to photo.png, which has 64x64 px",
    ]


def test_styles_with_the_same_mask_share_a_region() -> None:
    _, inputs = plan_of(style_mask=["left.png", "left.png"], content_mask="left.png")
    (one,), (other,) = (style.regions for style in inputs.styles)
    assert one.region is other.region is inputs.content_mask


def test_a_mask_that_is_all_black_is_an_error() -> None:
    save("night.png", np.zeros((9, 9)))
    with pytest.raises(ImageError, match=r"night\.png: the mask is all black"):
        paint(style_mask=["night.png", "none"])


@pytest.mark.parametrize("preset", ["paper", "draft"])
def test_a_png_brings_its_masks_back(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    masks: dict[str, Any] = {"style_mask": ["left.png", "none"], "content_mask": "right.png"}
    Path("made").mkdir()
    first = paint(**masks, style_size=[1, 0.5], preset=preset, output="made/out.png")
    monkeypatch.chdir("made")
    again = stylectl.run("out.png")
    assert np.array_equal(first.image, again.image)
    assert {Path(path).name for path in again.inputs} == {
        "photo.png",
        "red.png",
        "blue.png",
        "left.png",
        "right.png",
    }


# Maps of regions


def maps() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    left = (x < SIDE // 2)[..., None]
    save("cmap.png", np.where(left, [255, 0, 0], [0, 0, 255]))
    save("smap.png", np.where((y < 16)[..., None], [255, 0, 0], [0, 255, 0]))
    save("tmap.png", np.where((y < 16)[..., None], [0, 0, 255], [0, 255, 0]))


def test_a_region_takes_its_style_from_the_same_color_and_no_other_is_entered() -> None:
    maps()
    _, inputs = plan_of(regions=["cmap.png", "smap.png", "tmap.png"])
    (red,), (blue,) = (style.regions for style in inputs.styles)
    assert red.region is not None
    assert blue.region is not None
    assert torch.equal(red.region, ~blue.region)
    assert red.own_region is not None
    assert red.own_region.float().mean() == 0.25
    assert [red.share, blue.share] == [0.5, 0.5]
    assert sum("#00ff00" in notice for notice in inputs.notices) == 2
    assert set(inputs.hashes) >= {"cmap.png", "smap.png", "tmap.png"}


def test_regions_are_masks_on_cut_styles() -> None:
    maps()
    for name in ("red", "blue"):
        with Image.open(f"{name}.png") as image:
            wide = image.resize((SIDE, SIDE // 4), Image.Resampling.NEAREST)
            tall = Image.new("RGB", (SIDE, SIDE))
            tall.paste(wide, (0, 0))
            # What lies beyond the border is seen from within: the same again.
            tall.paste(wide, (0, SIDE // 4))
            tall.save(f"{name}.png")
    # With layers of one pixel's sight alone the regions are exact: nothing beyond matters much.
    with_maps = evaluated(regions=["cmap.png", "smap.png", "tmap.png"]).evaluation.losses["style"]
    for name in ("red", "blue"):
        with Image.open(f"{name}.png") as image:
            image.crop((0, 0, SIDE, SIDE // 4)).save(f"{name}.png")
    with_masks = evaluated(style_mask=["left.png", "right.png"]).evaluation.losses["style"]
    # The cut image's lower edge is an edge of the network's, padded with zeros.
    assert with_maps == pytest.approx(with_masks, rel=0.05)


def test_a_style_without_a_color_of_the_contents_is_not_entered() -> None:
    maps()
    save("cmap.png", np.broadcast_to([255, 0, 0], (SIDE, SIDE, 3)))
    _, inputs = plan_of(regions=["cmap.png", "smap.png", "tmap.png"])
    assert [style.image.path for style in inputs.styles] == ["red.png"]
    assert inputs.styles[0].share == 1


def test_a_color_without_a_partner_is_an_error() -> None:
    maps()
    with pytest.raises(ImageError, match=r"cmap\.png: the color #0000ff is not in smap\.png"):
        paint(styles=["red.png"], regions=["cmap.png", "smap.png"])


def test_a_folder_cannot_have_a_map() -> None:
    maps()
    save("folder/a.png", np.full((SIDE, SIDE, 3), 9))
    with pytest.raises(UsageError, match=r"smap\.png cannot be the map of a folder"):
        paint(styles=["folder"], regions=["cmap.png", "smap.png"])


# Folders


def folder_of(**images: str) -> None:
    Path("folder").mkdir()
    for name, source in images.items():
        with Image.open(source) as image:
            image.save(f"folder/{name}.PNG")
    Path("folder/.hidden.png").write_bytes(b"no image")
    Path("folder/notes.txt").write_text("no image")
    Path("folder/more.png").mkdir()


def test_the_images_of_a_folder_are_one_style_with_their_mean_statistics() -> None:
    folder_of(b="red.png", a="blue.png")
    seen = evaluated(styles=["folder"], content_weight=0, tv_weight=0)
    plan, _ = plan_of(content_weight=0, tv_weight=0)
    expected = 0.0
    with plan.open_backend() as backend:
        pictures = [seen.image]
        for name in ("red.png", "blue.png"):
            with Image.open(name) as image:
                pixels = torch.from_numpy(np.array(image)).float() / 255
            pictures.append(pixels.permute(2, 0, 1)[None].contiguous())
        features = [backend.features(each) for each in pictures]
    for layer in LAYERS:
        own, red, blue = (gram_matrix(f[layer]).double() / f[layer][0, 0].numel() for f in features)
        mean = (red + blue) / 2
        expected += 0.5 * ((own - mean).square().sum() / mean.square().sum()).item()
    # The weight of the balanced preset; products and sums in float32.
    assert seen.evaluation.value == pytest.approx(45 * expected, rel=1e-4)


def test_a_folder_has_the_weight_of_one_style_and_each_file_a_hash() -> None:
    folder_of(b="red.png", a="blue.png")
    _, inputs = plan_of(styles=["folder", "red.png"], style_weights=[1, 1])
    assert [style.image.path for style in inputs.styles] == [
        "folder/a.PNG",
        "folder/b.PNG",
        "red.png",
    ]
    assert [style.source for style in inputs.styles] == [0, 0, 1]
    assert [style.share for style in inputs.styles] == [0.25, 0.25, 0.5]
    assert {"folder/a.PNG", "folder/b.PNG"} < set(inputs.hashes)


def test_terms_that_are_no_sums_take_a_folder_as_well() -> None:
    folder_of(b="red.png", a="blue.png")
    term = [{"name": "histogram", "weight": 1.0, "layers": LAYERS}]
    folder = evaluated(styles=["folder"], style_weight=0, term=term)
    apart = evaluated(styles=["blue.png", "red.png"], style_weight=0, term=term)
    assert folder.evaluation.value == pytest.approx(apart.evaluation.value, rel=1e-6)


def test_a_folder_without_images_is_wrong_usage() -> None:
    Path("empty").mkdir()
    with pytest.raises(UsageError, match="empty: the folder has no image in it"):
        paint(styles=["empty"])


def test_an_output_among_the_styles_is_refused() -> None:
    folder_of(a="red.png")
    with pytest.raises(UsageError, match="one of the images of a style's folder"):
        paint(styles=["folder"], output="folder/out.png")
    assert not Path("folder/out.png").exists()


# Scales


def seen_sizes(scale: float, size: int, style: str = "red.png") -> tuple[int, int]:
    _, inputs = plan_of(styles=[style], style_size=scale, size=size)
    return style_size(inputs.styles[0].image.size, scale, size)


def test_the_scale_is_relative_to_the_size_at_1() -> None:
    assert seen_sizes(1, 48) == (48, 48)
    assert seen_sizes(0.5, 48) == (24, 24)
    save("tiny.png", np.full((30, 20, 3), 9))
    assert seen_sizes(1, 48, "tiny.png") == (30, 20)
    assert seen_sizes(0.5, 48, "tiny.png") == (15, 10)
    assert seen_sizes(2, 48, "tiny.png") == (60, 40)


def test_a_smaller_scale_makes_smaller_motifs() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    for name, side in (("coarse", 8), ("fine", 4)):
        checks = ((x // side + y // side) % 2)[..., None]
        save(f"{name}.png", checks * [20, 60, 180] + [0, 30, 60])
    options: dict[str, Any] = {"content_weight": 0, "tv_weight": 0, "init": "style"}
    options |= {"styles": ["coarse.png"], "style_layers": ["relu2_1"]}
    plan, _ = plan_of(**options)
    halved, whole = (paint(**options, iterations=12, style_size=scale).image for scale in (0.5, 1))
    for picture, own, other in ((halved, "fine", "coarse"), (whole, "coarse", "fine")):
        near, far = (style_distance(plan, picture, f"{name}.png") for name in (own, other))
        assert near < 0.9 * far


def test_enlarging_a_style_is_said_and_too_small_a_scale_is_an_error() -> None:
    told = notices(style_size=[2, 1])
    assert [message for message in told if "`style_size=" in message] == [
        "red.png has 64 px and is enlarged to 128 px for `style_size=2`; "
        "a larger image would be sharper"
    ]
    with pytest.raises(ImageError, match=r"red\.png.*`style_size=0\.01` makes it 1x1"):
        paint(style_size=0.01)
