"""Whose colors the picture has, by statistics of its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image
from stylectl import Event, Result, StepDone
from stylectl.core.images.color_transfer import recolored
from stylectl.core.images.inputs import Inputs, read_inputs
from stylectl.core.job.building import build_job
from stylectl.core.planning.planner import make_plan
from stylectl.plugins.manager import load_plugins

#: Rounding to 8 bits is off by 1/510 at most.
ROUNDING = 1 / 510
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def blots(name: str, mean: list[float], mix: list[list[float]], alpha: bool = False) -> str:
    """Smooth blots of color about a mean, 96 x 96, well within [0, 1]."""
    generator = np.random.default_rng(len(name))
    rough = generator.uniform(-1, 1, (12, 12, 3))
    fine = np.stack(
        [
            np.asarray(Image.fromarray(rough[..., c]).resize((96, 96), Image.Resampling.BICUBIC))
            for c in range(3)
        ],
        axis=2,
    )
    pixels = (mean + fine @ np.array(mix)).clip(0, 1)
    levels = np.rint(pixels * 255).astype(np.uint8)
    if alpha:
        opaque = np.zeros((96, 96, 1), np.uint8)
        opaque[:, :48] = 255
        levels[:, 48:] = 0  # what is hidden is black
        levels = np.concatenate([levels, opaque], axis=2)
    Image.fromarray(levels).save(name)
    return name


@pytest.fixture
def photo() -> str:
    return blots(
        "photo.png", [0.45, 0.5, 0.6], [[0.1, 0.08, 0.02], [0, 0.08, 0.03], [0.02, 0, 0.1]]
    )


@pytest.fixture
def painting() -> str:
    return blots("painting.png", [0.6, 0.4, 0.3], [[0.12, 0, 0], [0, 0.05, 0.05], [0, 0, 0.04]])


def seen(color: str, size: int = 96, **options: Any) -> Inputs:
    plan = make_plan(build_job({"color": color, "size": size, **options}), load_plugins().registry)
    return recolored(read_inputs(plan.job), plan.job.color, (size, size))


def pixels(picture: Any) -> np.ndarray:
    return np.asarray(picture.rgb, dtype=float).reshape(-1, 3) / 255


def test_by_covariance_the_style_has_the_contents_mean_and_covariance(
    photo: str, painting: str
) -> None:
    inputs = seen("covariance", content=photo, styles=[painting])
    style, content = pixels(inputs.styles[0].image), pixels(inputs.content)
    np.testing.assert_allclose(style.mean(0), content.mean(0), atol=ROUNDING)
    # Rounding adds its own variance, 1/255^2/12 = 1.3e-6, and correlates with nothing.
    np.testing.assert_allclose(np.cov(style.T), np.cov(content.T), atol=5e-6)


def test_by_histogram_each_channel_has_the_contents_histogram(photo: str, painting: str) -> None:
    inputs = seen("histogram", content=photo, styles=[painting])
    style, content = pixels(inputs.styles[0].image), pixels(inputs.content)
    np.testing.assert_allclose(style.mean(0), content.mean(0), atol=ROUNDING)
    for channel in range(3):
        ranked = np.sort(style[:, channel]), np.sort(content[:, channel])
        # A level of the style becomes one level: it cannot have the width of the content's range
        # at its ranks. The widest gaps, at the tails, are of some levels of 255.
        assert np.abs(ranked[0] - ranked[1]).mean() < 1.5 / 255


def test_a_gray_style_is_recolored_as_far_as_it_goes(photo: str) -> None:
    ramp = np.linspace(60, 180, 96).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (96, 1))).save("gray.png")
    style = pixels(seen("covariance", content=photo, styles=["gray.png"]).styles[0].image)
    content = pixels(read_inputs(plan_of(photo).job).content)
    np.testing.assert_allclose(style.mean(0), content.mean(0), atol=ROUNDING)
    # One direction varies, as much as the content's colors do along it.
    values = np.linalg.eigvalsh(np.cov(style.T))
    assert values[1] < 1e-5 < values[2]


def plan_of(photo: str) -> Any:
    return make_plan(build_job({"content": photo}), load_plugins().registry)


def test_by_luminance_the_run_sees_gray_of_the_contents_mean_and_deviation(
    photo: str, painting: str
) -> None:
    inputs = seen("luminance", content=photo, styles=[painting])
    style, content = pixels(inputs.styles[0].image), pixels(inputs.content)
    for each in (style, content):
        assert (each == each[:, :1]).all()
    assert style.mean() == pytest.approx(content.mean(), abs=ROUNDING)
    assert style.std() == pytest.approx(content.std(), abs=ROUNDING)


@pytest.mark.parametrize("color", ["luminance", "histogram", "covariance"])
def test_with_a_mask_it_is_the_masked_part_of_the_content_that_counts(
    photo: str, painting: str, color: str
) -> None:
    mask = np.zeros((96, 96), np.uint8)
    mask[:, :30] = 255
    Image.fromarray(mask).save("mask.png")
    inputs = seen(color, content=photo, styles=[painting], style_mask=["mask.png"])
    part = pixels(inputs.content).reshape(96, 96, 3)[:, :30].reshape(-1, 3)
    style = pixels(inputs.styles[0].image)
    np.testing.assert_allclose(style.mean(0), part.mean(0), atol=ROUNDING)
    np.testing.assert_allclose(style.std(0), part.std(0), atol=5e-3)


def test_what_is_transparent_has_no_color(painting: str) -> None:
    content = blots("half.png", [0.5, 0.5, 0.7], [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]], True)
    inputs = seen("covariance", content=content, styles=[painting])
    shown = pixels(inputs.content).reshape(96, 96, 3)[:, :48].reshape(-1, 3)
    np.testing.assert_allclose(pixels(inputs.styles[0].image).mean(0), shown.mean(0), atol=ROUNDING)


# Of whole runs


def paint(color: str, **options: Any) -> Result:
    small = {"size": 64, "iterations": 6, "scales": 2, "device": "cpu", "color": color}
    return stylectl.run(**{**small, **options})


def chroma(image: np.ndarray) -> np.ndarray:
    colors: np.ndarray = image - (image @ LUMA)[..., None]
    return colors


@pytest.mark.parametrize("init", ["content+noise", "style", "noise"])
def test_by_luminance_the_picture_has_the_contents_chroma_at_every_step(
    photo: str, painting: str, init: str
) -> None:
    heard: list[Event] = []
    result = paint("luminance", content=photo, styles=[painting], init=init, on_event=heard.append)
    assert result.content is not None
    expected = chroma(result.content.tensor(64, 64)[0].permute(1, 2, 0).double().numpy())
    shown = chroma(result.image.astype(float))
    # Reduced where bright or dark would leave the colors that there are: never turned, never more.
    light = result.image @ LUMA
    inner = (light > 0.35) & (light < 0.65)
    assert inner.mean() > 0.1
    np.testing.assert_allclose(shown[inner], expected[inner], atol=1e-5)
    assert (np.abs(shown) <= np.abs(expected) + 1e-5).all()
    # Something was painted, and what listeners see is in color as well.
    before = result.content.tensor(64, 64)[0].permute(1, 2, 0).numpy() @ LUMA
    assert np.abs(light - before).mean() > 0.003
    steps = [event for event in heard if isinstance(event, StepDone)]
    torch.testing.assert_close(
        steps[-1].image[0].clamp(0, 1).permute(1, 2, 0), torch.from_numpy(result.image)
    )
    assert all(event.image.std(1).mean() > 0.02 for event in steps)


@pytest.mark.parametrize("color", ["histogram", "covariance"])
def test_a_picture_of_a_recolored_style_is_nearer_to_the_contents_colors(
    photo: str, painting: str, color: str
) -> None:
    def off(result: Result) -> float:
        expected = pixels(result.content).mean(0)
        return float(np.abs(result.image.reshape(-1, 3).mean(0) - expected).max())

    options = {
        "content": photo,
        "styles": [painting],
        "init": "style",
        "scales": 1,
        "iterations": 4,
    }
    plain, made = (paint(each, **options) for each in ("style", color))
    # The start has the recolored style's statistics, and the style loss keeps them.
    assert off(made) < 0.02 < 0.1 < off(plain)


@pytest.mark.parametrize("color", ["luminance", "covariance"])
def test_it_works_with_onnx_and_comes_back_from_the_png(
    photo: str, painting: str, color: str
) -> None:
    options: dict[str, Any] = {"content": photo, "styles": [painting], "backend": "onnx"}
    first = paint(color, **options, iterations=2, scales=1, output="out.png")
    again = stylectl.run("out.png")
    assert first.job.color == again.job.color == color
    assert np.array_equal(first.image, again.image)
