"""Colors of the style images in the content image's places, beside formulas in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stylectl import Event, StepDone, UsageError
from stylectl.core.images.colors import matching
from stylectl.core.images.colors.matching import matching_for, smoothed_along
from stylectl.core.images.colors.moments import EPSILON, ColorMoments
from stylectl.core.images.colors.oklab import from_oklab, to_oklab
from stylectl.core.images.colors.palettes import Palette, palettes_of
from stylectl.core.images.inputs import read_inputs
from stylectl.core.job.building import build_job
from torch import Tensor


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def colorful(seed: int, low: float = 0.1, high: float = 0.9, size: int = 24) -> Tensor:
    """Random colors in blocks of 4 x 4 pixels, in float64."""
    generator = np.random.default_rng(seed)
    blocks = generator.uniform(low, high, (3, size // 4, size // 4))
    return torch.from_numpy(blocks.repeat(4, 1).repeat(4, 2))[None]


def gray(seed: int) -> Tensor:
    return colorful(seed).mean(1, keepdim=True).repeat(1, 3, 1, 1)


def rows(maps: Tensor) -> np.ndarray:
    pixels: np.ndarray = maps[0].flatten(1).double().numpy()
    return pixels


def palette(image: Tensor, region: Tensor | None = None, share: float = 1.0) -> Palette:
    return Palette(region, share, ColorMoments.of(to_oklab(image)[0].flatten(1)))


def changed(colors: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(S + e)^1/2 (C + e)^-1/2 (x - m) + n, for colors and target (C, P)."""
    own, wanted = (
        np.cov(pixels, ddof=0) + EPSILON * np.eye(len(pixels)) for pixels in (colors, target)
    )

    def root(matrix: np.ndarray, power: float) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        result: np.ndarray = vectors @ np.diag(values**power) @ vectors.T
        return result

    change = root(wanted, 0.5) @ root(own, -0.5)
    mean, wanted_mean = (pixels.mean(1, keepdims=True) for pixels in (colors, target))
    result: np.ndarray = change @ (colors - mean) + wanted_mean
    return result


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=3, max_size=3))
def test_oklab_comes_back(levels: list[int]) -> None:
    color = torch.tensor(levels, dtype=torch.float64).view(1, 3, 1, 1) / 255
    # The cube magnifies rounding near black the least.
    assert torch.allclose(from_oklab(to_oklab(color)), color, atol=1e-9)


def test_oklab_has_its_published_values() -> None:
    """Of linear red, by the table of Ottosson's page, to the digits of its matrices."""
    red = torch.tensor([1.0, 0, 0], dtype=torch.float64).view(1, 3, 1, 1)
    expected = torch.tensor([0.6280, 0.2249, 0.1258], dtype=torch.float64)
    assert torch.allclose(to_oklab(red).flatten(), expected, atol=1e-4)
    white = to_oklab(torch.ones(1, 3, 1, 1, dtype=torch.float64)).flatten()
    assert torch.allclose(white, torch.tensor([1.0, 0, 0], dtype=torch.float64), atol=1e-6)


def test_moments_are_those_of_numpy_with_weights() -> None:
    colors = colorful(1)[0].flatten(1)
    weights = torch.rand(colors.shape[1], generator=torch.Generator().manual_seed(1)).double()
    weights[::3] = 0
    moments = ColorMoments.of(colors, weights)
    values, parts = colors.numpy(), weights.numpy()
    assert np.allclose(moments.mean, np.average(values, axis=1, weights=parts), atol=1e-14)
    assert np.allclose(moments.covariance, np.cov(values, ddof=0, aweights=parts), atol=1e-14)
    assert np.array_equal(moments.most, values[:, parts > 0].max(1))


def test_pooled_moments_are_those_of_all_colors_together() -> None:
    first, second = colorful(1)[0].flatten(1), colorful(2, 0.4, 0.6)[0].flatten(1)[:, :144]
    sizes = [first.shape[1], second.shape[1]]
    pooled = ColorMoments.pooled([ColorMoments.of(first), ColorMoments.of(second)], sizes)
    expected = ColorMoments.of(torch.cat([first, second], 1))
    for name in ("mean", "covariance", "least", "most"):
        assert torch.allclose(getattr(pooled, name), getattr(expected, name), atol=1e-14)


def test_given_moments_are_the_closed_form() -> None:
    colors, target = rows(colorful(1)), rows(colorful(2, 0.3, 0.6))
    moments = [ColorMoments.of(torch.from_numpy(values)) for values in (colors, target)]
    made = moments[1].given_to(torch.from_numpy(colors).view(1, 3, 24, 24), moments[0])
    assert np.allclose(rows(made), changed(colors, target), atol=1e-12)
    # Its covariance is the target's, but for the regularisation.
    own, wanted = np.cov(colors, ddof=0), np.cov(target, ddof=0)
    assert np.allclose(np.cov(rows(made), ddof=0), wanted, atol=2 * EPSILON + own.max() * 1e-3)


def test_the_light_is_the_results_and_the_chroma_the_contents_changed_and_smoothed() -> None:
    content, style, result = colorful(1), colorful(2), colorful(3)
    made = to_oklab(matching_for(content, None, [palette(style)], False).apply(result))
    lab = [to_oklab(image) for image in (content, style, result)]
    least, most = (bound(rows(lab[1]), axis=1)[:, None] for bound in (np.min, np.max))
    light = rows(lab[2])[:1].clip(least[0], most[0])
    chroma = changed(rows(lab[0])[1:], rows(lab[1])[1:])
    size = (24, 24)
    smooth = bilateral(chroma.reshape(2, *size), light.reshape(size)).reshape(2, -1)
    expected = np.concatenate([light, smooth.clip(least[1:], most[1:])])
    pixels = from_oklab(torch.from_numpy(expected).view(1, 3, *size))
    inside = ((pixels >= 0) & (pixels <= 1)).all(1).flatten().numpy()  # others are clipped
    assert inside.mean() > 0.5
    assert np.allclose(rows(made)[:, inside], expected[:, inside], atol=1e-8)


def bilateral(chroma: np.ndarray, light: np.ndarray, mode: Any = "edge") -> np.ndarray:
    """Five passes of 3 x 3 means, weighted by exp(-10 |difference of light|), pixel by pixel."""
    height, width = light.shape
    guide = np.pad(light, 1, mode=mode)
    for _ in range(5):
        framed = np.pad(chroma, ((0, 0), (1, 1), (1, 1)), mode=mode)
        smooth = np.empty_like(chroma)
        for y in range(height):
            for x in range(width):
                weights = np.exp(-10 * np.abs(guide[y : y + 3, x : x + 3] - light[y, x]))
                near = framed[:, y : y + 3, x : x + 3]
                smooth[:, y, x] = (near * weights).sum((1, 2)) / weights.sum()
        chroma = smooth
    return chroma


@pytest.mark.parametrize("strip", [5, 128])
@pytest.mark.parametrize(("wraps", "mode"), [(False, "edge"), (True, "wrap")])
def test_the_filter_is_that_of_brute_force_and_wraps(
    wraps: bool, mode: str, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_STRIP", strip)
    chroma, light = colorful(1, size=12)[:, :2], colorful(2, size=12)[:, :1]
    made = smoothed_along(chroma, light, wraps)[0].numpy()
    assert np.allclose(made, bilateral(chroma[0].numpy(), light[0, 0].numpy(), mode), atol=1e-12)


def test_a_seamless_results_colors_wrap() -> None:
    content, style, result = colorful(1), colorful(2), colorful(3)
    still = matching_for(content, None, [palette(style)], True)
    moved = matching_for(content.roll((5, 7), (2, 3)), None, [palette(style)], True)
    assert torch.allclose(
        moved.apply(result.roll((5, 7), (2, 3))), still.apply(result).roll((5, 7), (2, 3))
    )


@pytest.mark.parametrize("gray_side", ["style", "content"])
def test_beside_a_gray_image_the_results_colors_get_the_moments(gray_side: str) -> None:
    result = colorful(3, 0.3, 0.7)
    content = gray(1) if gray_side == "content" else colorful(1)
    style = gray(2) if gray_side == "style" else colorful(2)
    made = matching_for(content, None, [palette(style)], False).apply(result)
    target = rows(to_oklab(style))
    least, most = target.min(1)[:, None], target.max(1)[:, None]
    inside = rows(to_oklab(result)).clip(least, most)
    expected = changed(inside, target).clip(least, most)
    pixels = from_oklab(torch.from_numpy(expected).view(1, 3, 24, 24)).clamp(0, 1)
    assert torch.allclose(made, pixels, atol=1e-8)


def test_two_regions_have_their_styles_colors_and_the_rest_its_own() -> None:
    content, result = colorful(1), colorful(3)
    masks = [torch.zeros(24, 24), torch.zeros(24, 24)]
    masks[0][:, :8] = masks[1][:, 8:16] = 1
    palettes = [palette(colorful(4, 0, 0.5), masks[0]), palette(colorful(5, 0.5, 1), masks[1])]
    made = matching_for(content, None, palettes, False).apply(result)
    assert torch.allclose(made[..., 16:], result[..., 16:], atol=1e-6)
    for number, part in enumerate((slice(0, 8), slice(8, 16))):
        alone = matching_for(content, None, [palettes[number]], False).apply(result)
        assert torch.allclose(made[..., part], alone[..., part], atol=1e-6)
        assert not torch.allclose(made[..., part], result[..., part], atol=0.1)


def test_where_two_styles_meet_they_count_by_their_weights() -> None:
    """Shares are weight times area: at the same pixel, 1 to 3, though the areas differ."""
    content, result = colorful(1), colorful(3)
    half = torch.zeros(24, 24)
    half[:, :12] = 1
    everywhere = palette(colorful(4), None, share=1.0)
    confined = palette(colorful(5), half, share=3 * 0.5)
    both = matching_for(content, None, [everywhere, confined], False)
    at_left = [part.weights[0, 0, 0, 0].item() for part in both.parts]
    at_right = [part.weights[0, 0, 0, -1].item() for part in both.parts]
    assert at_left == pytest.approx([0.25, 0.75])
    assert at_right == pytest.approx([1, 0])
    assert both.apply(result).isfinite().all()


def test_what_is_transparent_in_the_content_does_not_count() -> None:
    content, style, result = colorful(1), colorful(2), colorful(3)
    other = content.clone()
    alpha = torch.ones(24, 24)
    alpha[:, 12:], other[..., 12:] = 0, 0.9
    made = [matching_for(image, alpha, [palette(style)], False) for image in (content, other)]
    chroma = [one.parts[0].chroma for one in made]
    assert chroma[0] is not None
    assert chroma[1] is not None
    assert torch.allclose(chroma[0][..., :12], chroma[1][..., :12])
    hidden = matching_for(content, torch.zeros(24, 24), [palette(style)], False)
    assert torch.allclose(hidden.apply(result), result, atol=1e-6)


def saved(name: str, image: Tensor) -> str:
    levels = (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(levels).resize((96, 96), Image.Resampling.NEAREST).save(name)
    return name


def test_styles_without_masks_are_one_palette_the_mixture_by_their_weights() -> None:
    names = [saved("red.png", colorful(4, 0, 0.5)), saved("blue.png", colorful(5, 0.5, 1))]
    photo = saved("photo.png", colorful(1))
    job = build_job({"content": photo, "styles": names, "style_weights": [3, 1], "size": 96})
    (mixed,) = palettes_of(read_inputs(job), (96, 96))
    means = [
        palettes_of(
            read_inputs(build_job({"content": photo, "styles": [name], "size": 96})), (96, 96)
        )[0].colors.mean
        for name in names
    ]
    assert torch.allclose(mixed.colors.mean, 0.75 * means[0] + 0.25 * means[1], atol=1e-12)
    mask = torch.zeros(1, 3, 24, 24)
    mask[..., :12] = 1
    masks = [saved("mask.png", mask), "none"]
    masked = build_job({"content": photo, "styles": names, "style_mask": masks, "size": 96})
    assert [part.region is None for part in palettes_of(read_inputs(masked), (96, 96))] == [
        False,
        True,
    ]


def paint(**options: Any) -> stylectl.Result:
    small = {"size": 64, "iterations": 4, "scales": 2, "color": "chroma", "device": "cpu"}
    return stylectl.run(**{**small, **options})


@pytest.fixture
def files() -> dict[str, Any]:
    photo, painting = saved("photo.png", colorful(1)), saved("painting.png", colorful(2, 0, 0.6))
    return {"content": photo, "styles": [painting]}


def test_a_run_shows_the_matched_colors_at_every_step(files: dict[str, Any]) -> None:
    heard: list[Event] = []
    result = paint(**files, on_event=heard.append, output="out.png", save_every=1)
    steps = [event for event in heard if isinstance(event, StepDone)]
    assert torch.equal(steps[-1].image[0].permute(1, 2, 0), torch.from_numpy(result.image))
    plain = paint(**files, color="style")
    # The objective is the same: only what is shown differs.
    assert result.steps[-1].losses == plain.steps[-1].losses
    content = torch.from_numpy(np.array(Image.open("photo.png"))).permute(2, 0, 1)[None] / 255
    style = torch.from_numpy(np.array(Image.open("painting.png"))).permute(2, 0, 1)[None] / 255
    content, style = (
        torch.nn.functional.interpolate(image, (64, 64), mode="area") for image in (content, style)
    )
    shown = torch.from_numpy(plain.image).permute(2, 0, 1)[None]
    expected = matching_for(content, None, [palette(style)], False).apply(shown)
    # The program resamples with another filter.
    assert (expected[0].permute(1, 2, 0) - torch.from_numpy(result.image)).abs().mean() < 0.03
    still = np.asarray(Image.open("out-0001.png"), dtype=float) / 255
    first = next(event for event in steps if event.scale == 0 and event.step == 1)
    assert np.abs(still - first.image[0].permute(1, 2, 0).numpy()).max() < 1 / 255


def test_a_run_with_masks_seamless_and_from_its_own_png(files: dict[str, Any]) -> None:
    mask = torch.zeros(1, 3, 24, 24)
    mask[..., :12] = 1
    masked = paint(**files, style_mask=[saved("mask.png", mask)], iterations=2, scales=1)
    plain = paint(**files, style_mask=["mask.png"], iterations=2, scales=1, color="style")
    assert np.abs(masked.image - plain.image)[:, 40:].max() < 0.01  # clipping, and rounding
    assert np.abs(masked.image - plain.image)[:, :24].mean() > 0.02
    paint(**files, seamless=True, iterations=2, scales=1)
    first = paint(**files, iterations=2, scales=1, output="out.png")
    again = stylectl.run("out.png")
    assert again.job.color == "chroma"
    assert np.array_equal(first.image, again.image)


def test_textures_have_no_places_of_colors(files: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="takes the content's colors"):
        stylectl.run(texture=files["styles"][0], size=64, color="chroma")
