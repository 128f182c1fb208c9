"""Numbers under which nothing happens: the run says so, and what it has is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl import NumericalError

SMALL: dict[str, Any] = {"size": 48, "iterations": 3, "scales": 1, "device": "cpu"}
WEIGHTS = ("content_weight", "style_weight", "tv_weight")


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("weight", [1e-45, 1e-300])
def test_weights_that_are_too_small_are_an_error(
    tmp_path: Path, optimizer: str, weight: float
) -> None:
    output = tmp_path / "out.png"
    weights: dict[str, Any] = dict.fromkeys(WEIGHTS, weight)
    with pytest.raises(NumericalError, match="no step changed a pixel"):
        stylectl.run(output=output, optimizer=optimizer, **weights, **SMALL)
    assert output.is_file()


#: What weights that are too large may end with, each with its reason.
REASONS = "no step changed a pixel|a step from the loss style = .* left the range of float32"


@pytest.mark.parametrize("weight", [1e22, 1e30])
@pytest.mark.parametrize(
    "options", [{"optimizer": "adam"}, {"optimizer": "lbfgs"}, {"normalize_gradients": True}]
)
def test_large_weights_give_a_result_or_the_reason(options: dict[str, Any], weight: float) -> None:
    reason = ""
    try:
        result = stylectl.run(style_weight=weight, **options, **SMALL)
    except NumericalError as error:
        reason = str(error)
    if reason:
        assert re.search(REASONS, reason)
    else:
        assert result.final_losses["style"] < result.initial_losses["style"]


@pytest.mark.parametrize("color", ["luminance", "histogram", "covariance"])
def test_a_gray_content_image_gives_a_gray_result(tmp_path: Path, color: str) -> None:
    ramp = np.repeat(np.linspace(40, 210, 48).astype(np.uint8)[None], 32, axis=0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    result = stylectl.run(
        content=tmp_path / "ramp.png", styles=["sample:painting"], color=color, **SMALL
    )
    spread = result.image.max(axis=2) - result.image.min(axis=2)
    assert spread.max() <= 1e-6
    assert 0.2 < result.image.mean() < 0.8


def test_the_minimum_of_the_losses_is_where_nothing_moves(tmp_path: Path) -> None:
    gray = tmp_path / "gray.png"
    Image.new("RGB", (48, 32), (128, 128, 128)).save(gray)
    with pytest.raises(NumericalError, match="it is the minimum of the loss terms"):
        stylectl.run(content=gray, styles=[gray], init="content", **SMALL)
