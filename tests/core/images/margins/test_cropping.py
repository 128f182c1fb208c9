"""Margins left out of style images, as a run reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image
from stylectl import Event, Notice
from stylectl.core.errors import ImageError
from stylectl.core.images.inputs import Inputs, read_inputs
from stylectl.core.interfaces.source_image import SourceImage
from stylectl.core.job.building import build_job
from stylectl.core.job.paths import SAMPLES
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.preparation import prepare
from stylectl.plugins.manager import load_plugins

MARGINS = (24, 16, 20, 12)
WIDTH, HEIGHT = 160, 128


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a painting, and a scan of it with a white margin."""
    monkeypatch.chdir(tmp_path)
    with Image.open(SAMPLES["sample:painting"]) as image:
        painting = image.convert("RGB").resize((WIDTH, HEIGHT))
    painting.save("painting.png")
    framed(painting).save("scan.png")


def framed(image: Image.Image, color: Any = (255, 255, 255), factor: int = 1) -> Image.Image:
    left, top, right, bottom = (factor * width for width in MARGINS)
    size = image.width + left + right, image.height + top + bottom
    result = Image.new(image.mode, size, color)
    result.paste(image, (left, top))
    return result


def read(**options: Any) -> Inputs:
    return read_inputs(build_job({"styles": ["scan.png"], "size": 64, **options}))


def style(**options: Any) -> SourceImage:
    return read(**options).styles[0].image


def is_painting(image: SourceImage) -> bool:
    with Image.open("painting.png") as painting:
        return np.array_equal(np.asarray(image.rgb), np.asarray(painting))


def margin_notices(inputs: Inputs) -> list[str]:
    return [notice for notice in inputs.notices if "margin" in notice]


def test_the_margin_of_a_scan_is_left_out_and_that_is_said() -> None:
    inputs = read()
    assert is_painting(inputs.styles[0].image)
    assert inputs.styles[0].image.size == (HEIGHT, WIDTH)
    assert inputs.styles[0].image.outer_size == (HEIGHT + 28, WIDTH + 44)
    assert inputs.notices == (
        "scan.png: a margin in one color is left out of the style: 24 px on the left, 16 px at the "
        "top, 20 px on the right, 12 px at the bottom (`style_crop=none` keeps it)",
    )


def test_none_keeps_the_margin_and_numbers_cut_what_they_state() -> None:
    kept = read(style_crop="none")
    assert kept.styles[0].image.size == (HEIGHT + 28, WIDTH + 44)
    assert kept.notices == ()
    stated = read(style_crop=MARGINS)
    assert is_painting(stated.styles[0].image)
    assert stated.notices == ()
    assert style(style_crop=(0, 0, 100, 0)).size == (HEIGHT + 28, WIDTH - 56)


def test_an_image_without_a_margin_is_read_as_always() -> None:
    assert is_painting(style(styles=["painting.png"]))
    assert read(styles=["painting.png"]).notices == ()


def test_the_content_image_is_never_cropped() -> None:
    inputs = read(content="scan.png", styles=["painting.png"])
    assert inputs.content is not None
    assert inputs.content.size == (HEIGHT + 28, WIDTH + 44)


def test_each_style_has_its_own_crop() -> None:
    inputs = read(
        styles=["scan.png", "scan.png", "scan.png"], style_crop=["auto", "none", (1, 2, 3, 4)]
    )
    sizes = [style.image.size for style in inputs.styles]
    assert sizes == [(HEIGHT, WIDTH), (HEIGHT + 28, WIDTH + 44), (HEIGHT + 22, WIDTH + 40)]


@pytest.mark.parametrize("crop", [(204, 0, 0, 0), (100, 0, 104, 0), (0, 156, 0, 0), (9999,) * 4])
def test_a_crop_that_leaves_nothing_is_an_error(crop: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"scan.png: `style_crop=.*leaves nothing.*204x156 px"):
        read(style_crop=crop)
    assert style(style_crop=(203, 0, 0, 155)).size == (1, 1)


def test_the_margins_of_a_folder_are_found_for_each_image() -> None:
    Path("folder").mkdir()
    for name in ("painting.png", "scan.png"):
        Path(name).rename(Path("folder", name))
    inputs = read(styles=["folder"])
    assert [style.image.size for style in inputs.styles] == [(HEIGHT, WIDTH)] * 2
    assert len(margin_notices(inputs)) == 1


def test_a_transparent_margin_is_left_out_by_its_opacity_alone() -> None:
    with Image.open("painting.png") as painting:
        framed(painting.convert("RGBA"), (255, 255, 255, 0)).save("clear.png")
    image = style(styles=["clear.png"])
    assert image.size == (HEIGHT + 28, WIDTH + 44)
    assert image.alpha is not None
    stated = style(styles=["clear.png"], style_crop=MARGINS)
    assert is_painting(stated)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_margins_are_those_of_the_upright_image(orientation: int) -> None:
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's, which the orientation undoes
    with Image.open("scan.png") as scan:
        turned = scan if orientation == 1 else scan.transpose(Image.Transpose(turns[orientation]))
        exif = Image.Exif()
        exif[0x0112] = orientation
        turned.save("turned.png", exif=exif)
    for crop in ("auto", MARGINS):
        assert is_painting(style(styles=["turned.png"], style_crop=crop))


def test_a_large_scan_is_resampled_without_its_margin() -> None:
    """It is kept at the sizes of the run alone: the same pixels as if the file had no margin."""
    with Image.open("painting.png") as painting:
        large = painting.resize((8 * WIDTH, 8 * HEIGHT))
    large.save("large.png")
    framed(large, factor=8).save("large-scan.png")
    registry = load_plugins().registry

    def tensor(path: str, **options: Any) -> torch.Tensor:
        job = build_job({"styles": [path], "size": 96, "scales": 1, "device": "cpu", **options})
        (found,) = prepare(make_plan(job, registry)).inputs.styles
        assert found.image.size == (8 * HEIGHT, 8 * WIDTH)
        assert found.image.rgb.width < large.width  # not all of it was kept
        return found.image.tensor(77, 96)

    assert torch.equal(tensor("large-scan.png"), tensor("large.png"))
    stated = tuple(8 * width for width in MARGINS)
    assert torch.equal(tensor("large-scan.png", style_crop=stated), tensor("large.png"))


@pytest.mark.parametrize("divisor", [1, 2])
def test_a_map_of_the_scan_stays_aligned(divisor: int) -> None:
    with Image.open("painting.png") as painting:
        width, height = painting.size
    halves = np.zeros((height, width, 3), np.uint8)
    halves[:, : width // 2] = (255, 0, 0)
    halves[:, width // 2 :] = (0, 0, 255)
    Image.fromarray(halves).save("content-map.png")
    scan_map = framed(Image.fromarray(halves), (0, 255, 0))
    scan_map = scan_map.resize((scan_map.width // divisor, scan_map.height // divisor), 0)
    scan_map.save("scan-map.png")
    inputs = read(content="painting.png", regions=["content-map.png", "scan-map.png"])
    own_regions = [region.own_region for region in inputs.styles[0].regions]
    for own_region, left in zip(own_regions, (False, True), strict=True):
        assert own_region is not None
        assert own_region.shape == (height // divisor, width // divisor)
        expected = np.zeros(own_region.shape, bool)
        middle = own_region.shape[1] // 2
        expected[:, :middle], expected[:, middle:] = left, not left
        assert np.array_equal(own_region.numpy().astype(bool), expected)
    # Its green margin is no region any more, and the scan's size is the map's.
    scaled = [notice for notice in inputs.notices if "scaled to scan.png" in notice]
    assert len(inputs.notices) == 1 + len(scaled) == divisor


def test_a_run_of_the_scan_is_that_of_the_painting() -> None:
    options: dict[str, Any] = {"size": 64, "iterations": 3, "scales": 1, "device": "cpu"}
    notices: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)

    scan = stylectl.run(styles=["scan.png"], output="out.png", on_event=listen, **options)
    painting = stylectl.run(styles=["painting.png"], **options)
    assert np.array_equal(scan.image, painting.image)
    assert sum("left out of the style" in notice for notice in notices) == 1
    kept = stylectl.run(styles=["scan.png"], style_crop="none", output="out.png", **options)
    assert not np.array_equal(scan.image, kept.image)
    assert kept.job.styles[0].crop == "none"


def test_a_sweep_over_crops_paints_what_single_runs_paint() -> None:
    """The cells share a session, which keeps the targets of the style image."""
    options: dict[str, Any] = {"size": 64, "iterations": 2, "scales": 1, "device": "cpu"}
    options["styles"] = ["scan.png"]
    stylectl.sweep("sheet.png", {"style_crop": ["none", "auto"]}, **options)
    for crop in ("none", "auto"):
        stylectl.run(output="one.png", style_crop=crop, **options)
        with Image.open("one.png") as one, Image.open(f"sheet-cells/style_crop={crop}.png") as cell:
            assert np.array_equal(np.asarray(one), np.asarray(cell))
