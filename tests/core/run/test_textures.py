"""Pictures without a content image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image
from stylectl.core.errors import ImageError, MemoryLimitError, UsageError
from stylectl.core.job.building import build_job
from stylectl.core.job.paths import SAMPLES
from stylectl.core.job.presets import PRESETS
from stylectl.core.job.toml import job_toml
from stylectl.core.outputs.names import reserved_name
from stylectl.core.outputs.record import read_job_file
from stylectl.core.planning.job_files import make_job
from stylectl.plugins.manager import load_plugins
from torch import Tensor

PHOTO, PAINTING = (str(SAMPLES[name]) for name in ("sample:photo", "sample:painting"))


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def texture(**options: Any) -> stylectl.Result:
    small = {"texture": PAINTING, "size": (64, 48), "iterations": 3, "scales": 1, "device": "cpu"}
    return stylectl.run(**{**small, **options})


def test_it_has_the_size_that_was_asked_for_and_no_content() -> None:
    result = texture(output=["tex.png", "tex.html", "tex.json"])
    assert result.image.shape == (48, 64, 3)
    assert result.content is None
    assert result.alpha is None
    assert result.job.content is None
    assert result.job.size == (64, 48)
    assert set(result.inputs) == {PAINTING}
    assert set(result.final_losses) == {"style", "tv"}
    page = Path("tex.html").read_text()
    assert "a texture of painting" in page
    assert "The content image" not in page


@pytest.mark.parametrize("preset", sorted({*PRESETS} - {"nnst", "strotss"}))
def test_every_preset_paints_one(preset: str) -> None:
    result = texture(preset=preset)
    assert result.image.shape == (48, 64, 3)
    assert "content" not in result.final_losses


@pytest.mark.parametrize("preset", ["nnst", "strotss"])
def test_a_preset_whose_term_needs_the_content_image_is_refused(preset: str) -> None:
    with pytest.raises(UsageError, match=rf"{preset}.* compares with a content image"):
        texture(preset=preset)


def test_one_number_is_a_squares_side() -> None:
    assert texture(size=48).image.shape == (48, 48, 3)
    assert build_job({"texture": PAINTING}).size == (512, 512)
    assert build_job({"texture": PAINTING}, preset="draft").size == (256, 256)


def test_the_png_carries_the_job_that_makes_it_again() -> None:
    first = texture(output="tex.png", scales=2, iterations=4, seed=3)
    again = stylectl.run("tex.png")
    # The record has the painting's path relative to its own folder.
    assert Path(again.job.styles[0].image).resolve() == Path(PAINTING).resolve()
    assert again.job.model_copy(update={"styles": first.job.styles}) == first.job
    assert np.array_equal(again.image, first.image)
    Path("job.toml").write_text(job_toml(first.job))
    registry = load_plugins().registry
    assert make_job({}, registry, read_job_file(Path("job.toml"))) == first.job
    larger = make_job({"size": (96, 80)}, registry, read_job_file(Path("tex.png")))
    assert (larger.content, larger.size) == (None, (96, 80))


def test_a_size_of_two_numbers_says_that_there_is_no_content() -> None:
    job = build_job({"styles": [PAINTING], "size": (64, 48)})
    assert job.content is None
    assert [term.name for term in job.terms] == ["style", "tv"]
    assert job == build_job({"texture": PAINTING, "size": (64, 48)})
    from_file = build_job({}, {"size": [64, 48], "styles": [PAINTING]})
    assert from_file == job


def test_several_paintings_are_blended_by_their_weights() -> None:
    result = texture(texture=[PAINTING, PHOTO], style_weights=[3, 1])
    assert [share for _, share in result.styles] == [0.75, 0.25]


def test_the_start_has_the_paintings_colors_unless_another_is_asked_for() -> None:
    assert texture().job.init.name == "style"
    assert texture(init="noise").job.init.name == "noise"
    assert texture(init=PHOTO).job.init.name == "file"


def gram(image: Tensor) -> Tensor:
    rows = image.flatten(2)[0]
    return rows @ rows.T / rows.shape[1]


def test_its_statistics_become_the_paintings() -> None:
    """Of the pixels themselves, whose Gram matrices no term looks at."""
    result = texture(size=(96, 80), iterations=25, term=[{"name": "tv", "weight": 0.0}])
    made = torch.from_numpy(result.image).permute(2, 0, 1)[None]
    target = gram(result.styles[0][0].tensor(80, 96))
    error = (gram(made) - target).norm() / target.norm()
    started = gram(
        torch.from_numpy(texture(size=(96, 80), init="noise", iterations=1).image).permute(2, 0, 1)[
            None
        ]
    )
    assert error < 0.1
    assert error < 0.5 * (started - target).norm() / target.norm()
    assert result.final_losses["style"] < 0.1 * result.initial_losses["style"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"content_weight": 2.0}, "'content'.* compares with a content image"),
        ({"content_weight": 0.0}, "'content'.* compares with a content image"),
        ({"content_layers": ["relu3_1"]}, "`content_layers` has no effect"),
        ({"term": [{"name": "laplacian"}]}, "'laplacian'.* compares with a content image"),
        ({"term": [{"name": "strotss"}]}, "'strotss'.* compares with a content image"),
        ({"init": "content"}, "cannot start from content; start from noise"),
        ({"init": "content+noise"}, "cannot start from content"),
        ({"content": PHOTO}, "`texture` names the style images"),
        ({"styles": [PAINTING]}, "`texture` names the style images"),
        ({"upscale": True}, "upscale has no effect"),
        ({"size": (64, 0)}, "`size` should be a whole number of pixels from 1"),
        ({"size": (64, 48, 32)}, "`size` should be a long side, or"),
        ({"size": (64.5, 48)}, "`size` should be a whole number"),
    ],
)
def test_what_needs_a_content_image_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        texture(**options)


def test_a_job_files_own_terms_are_not_left_out() -> None:
    file = {"terms": ["content", "style"], "size": [64, 48], "styles": [PAINTING]}
    with pytest.raises(UsageError, match=r"'content'.* compares with a content image"):
        stylectl.run(build_job({}, file))


def test_two_numbers_beside_a_photo_are_an_error() -> None:
    with pytest.raises(UsageError, match="size should be one number, the long side"):
        build_job({"content": PHOTO, "styles": [PAINTING], "size": (64, 48)})


@pytest.mark.parametrize("size", [(64, 12), (12, 40)])
def test_a_size_that_is_too_small_names_one_that_would_do(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="needs 16 px on each side") as caught:
        texture(size=size)
    (named,) = re.findall(r"`size=(\d+)x(\d+)` would do", str(caught.value))
    assert texture(size=tuple(map(int, named)), iterations=1).image.shape[2] == 3


def test_a_size_beyond_the_memory_is_an_error_with_one_that_would_fit() -> None:
    with pytest.raises(MemoryLimitError, match=r"65536x30000 px take .*`size=\d+x\d+` would fit"):
        texture(size=(65536, 30000))


def test_both_backends_paint_alike() -> None:
    options: dict[str, Any] = {
        "size": (32, 32),
        "iterations": 2,
        "style_layers": ["relu1_1", "relu2_1"],
    }
    ours, theirs = (texture(backend=backend, **options).image for backend in ("torch", "onnx"))
    # Two steps of L-BFGS from float32 gradients that agree to 1e-3.
    assert np.abs(ours - theirs).max() < 0.01


def test_its_name_is_the_paintings() -> None:
    with reserved_name(None, "images/night.jpg") as name:
        assert name == Path("night_texture.png")


def test_a_style_too_small_is_still_an_error(tmp_path: Path) -> None:
    Image.new("RGB", (12, 12)).save(tmp_path / "tiny.png")
    with pytest.raises(ImageError, match=r"tiny.png: 12x12 px is too small"):
        texture(texture="tiny.png")
