from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stylectl.core.images.decoding import read_image
from stylectl.plugins.backbones.vgg19_weights import load_weights
from stylectl.tools.maintenance.quality_runs import (
    MeasuredRun,
    Point,
    measured,
    own_job,
    reference_job,
)
from stylectl.tools.maintenance.time_to_quality import Comparison
from torch import Tensor
from torch.nn import functional

Module = Callable[..., subprocess.CompletedProcess[str]]

#: Layers before which there is a pooling.
POOLED = ("relu2_1", "relu3_1", "relu4_1", "relu5_1")
NAMES = [
    f"relu{block}_{number}"
    for block, count in enumerate((2, 2, 4, 4, 1), start=1)
    for number in range(1, count + 1)
]

# Our own value is float32, of activations that agree to 5e-6 with others' (test_torch_backend.py).
FLOAT32 = 2e-5


@pytest.fixture
def module(maintenance: Callable[[str], Module], tmp_path: Path) -> Module:
    """Runs the module as a maintainer would, on small pictures."""
    return partial(maintenance("time_to_quality"), folder=tmp_path)


def save(path: Path, seed: int, height: int, width: int) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def pixels_of(path: str) -> Tensor:
    """(1, 3, H, W), RGB in 0-255, float64."""
    picture = read_image(path)
    return picture.tensor(*picture.size).double() * 255


def features(pixels: Tensor) -> dict[str, Tensor]:
    """Of the Caffe model, which takes BGR in 0-255 without its mean; in float64."""
    mean = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64).view(1, 3, 1, 1)
    found, values = {}, pixels.flip(1) - mean
    convolutions = load_weights("embedded", None).convolutions
    for name, (kernel, bias) in zip(NAMES, convolutions, strict=False):
        if name in POOLED:
            values = functional.max_pool2d(values, 2)
        values = functional.conv2d(values, kernel.double(), bias.double(), padding=1).relu()
        found[name] = values
    return found


def objective(picture: Tensor, content: Tensor, style: Tensor) -> float:
    """As its definition says."""
    own, held, wanted = features(picture), features(content), features(style)

    def gram(layer: Tensor) -> Tensor:
        rows = layer[0].flatten(1)
        return rows @ rows.T / rows.numel()

    value = 5 * (own["relu4_2"] - held["relu4_2"]).square().mean()
    for name in ("relu1_1", *POOLED):
        value += 100 * (gram(own[name]) - gram(wanted[name])).square().mean()
    value += 0.001 * sum(picture.diff(dim=dim).abs().sum() for dim in (2, 3))
    return value.item()


def test_the_value_is_the_objectives(tmp_path: Path) -> None:
    content, style, start = (
        save(tmp_path / name, seed, *size)
        for name, seed, size in (
            ("content.png", 1, (32, 48)),
            ("style.png", 2, (40, 24)),
            ("start.png", 3, (32, 48)),
        )
    )
    images = {"content": content, "styles": [style], "size": 48}
    settings = {"init": start, "scales": 1, "iterations": 1, "device": "cpu"}
    run = measured(own_job(images, settings))
    assert run.size == (48, 32)
    expected = objective(*map(pixels_of, (start, content, style)))
    assert run.curve[0].value == pytest.approx(expected, rel=FLOAT32)


def test_the_reference_is_one_scale_of_lbfgs_from_the_content() -> None:
    images = {"content": "sample:photo", "styles": ["sample:painting"], "size": 48}
    run = measured(reference_job({**images, "device": "cpu"}, 2))
    assert run.scales == ((48, 32, 2),)
    assert [(point.scale, point.step) for point in run.curve] == [(0, 0), (0, 1), (0, 2)]
    assert run.curve[-1].value < run.curve[0].value
    assert run.seconds_to_run > 0
    table = run.job
    assert table["init"]["name"] == "content"
    plain = {"name": "lbfgs", "history": 10, "line_search": "armijo", "scaling": "scalar"}
    assert table["optimizer"] == plain


def test_our_run_is_compared_with_a_reference_that_can_be_taken_again(
    module: Module, tmp_path: Path
) -> None:
    images = ("sample:photo", "sample:painting", "--size", "64")
    first = module(*images, "--iterations", "3", "--set", "iterations=4", "--json")
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    reference, ours = found["reference"], found["ours"]
    assert reference["scales"] == [[64, 43, 3]]
    assert len(reference["curve"]) == 4
    assert ours["job"]["init"]["name"] == "content+noise"  # what `stylectl run` does
    assert found["target"] == reference["curve"][-1]["value"]
    assert found["at_target"]["reference"]["step"] == 3
    (tmp_path / "reference.json").write_text(first.stdout)
    taken = ("--reference", "reference.json")
    again = module(*images, *taken, "--set", "scales=2", "--set", "iterations=2", "--json")
    assert again.returncode == 0, again.stderr
    second = json.loads(again.stdout)
    assert second["reference"] == reference
    assert [scale[0] for scale in second["ours"]["scales"]] == [45, 64]
    words = module(*images, *taken, "--set", "iterations=1")
    assert words.returncode == 0, words.stderr
    assert "3 iterations of L-BFGS at one scale" in words.stdout
    assert "as low" in words.stdout
    other = module("sample:photo", "sample:painting", "--size", "48", *taken)
    assert other.returncode == 2
    assert "it was measured with other size" in other.stderr


def run_of(*curve: tuple[int, int, float, float], to_run: float) -> MeasuredRun:
    return MeasuredRun(
        scales=((32, 32, 2), (64, 64, 2))[-1 - curve[-1][0] :],
        threads=1,
        backend="torch",
        device="cpu",
        inputs=("a", "b"),
        versions={},
        job={},
        seconds_to_run=to_run,
        curve=tuple(
            Point(scale=scale, step=step, seconds=seconds, value=value)
            for scale, step, seconds, value in curve
        ),
    )


REFERENCE = run_of((0, 0, 1, 9.0), (0, 1, 5, 6.0), (0, 2, 10, 4.0), to_run=2)


def test_only_values_of_the_last_scale_count_and_coarse_scales_take_time() -> None:
    ours = run_of((0, 0, 1, 3.0), (1, 0, 3, 7.0), (1, 1, 4, 3.5), (1, 2, 6, 2.0), to_run=1)
    reached = Comparison(REFERENCE, ours).record()["at_target"]
    assert reached["value"] == 4.0
    assert reached["ours"] == {"step": 1, "seconds": 4.0, "seconds_from_images": 5.0}
    assert reached["reference"] == {"step": 2, "seconds": 10.0, "seconds_from_images": 12.0}
    assert (reached["ratio"], reached["ratio_from_images"]) == (2.5, 2.4)
    assert "is as low after 4.0 s (5.0 s from the images)" in Comparison(REFERENCE, ours).in_words()


def test_a_run_that_does_not_get_there_is_compared_at_its_best() -> None:
    ours = run_of((0, 0, 1, 3.0), (1, 0, 2, 8.0), (1, 1, 2.5, 5.5), (1, 2, 6, 5.7), to_run=1)
    comparison = Comparison(REFERENCE, ours)
    found: dict[str, Any] = comparison.record()
    assert found["at_target"]["ours"] is None
    assert found["at_target"]["ratio"] is None
    assert found["at_our_best"]["value"] == 5.5
    assert found["at_our_best"]["ratio"] == 4.0
    assert "is never as low: 5.5 after 2.5 s" in comparison.in_words()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "style_weight=3"), "--set changes terms"),
        (("--set", "pooling=average"), "--set changes backbone"),
        (("--set", "scales=1,2"), "give one value"),
        (("--set", "optimizer.histor=2"), "did you mean history?"),
        (("--size", "9"), "too small"),
        (("--reference", "none.json"), "cannot be read"),
        (("--reference", "words.json"), "is not what --json writes"),
        (("--reference", "none.json", "--iterations", "3"), "--iterations has no effect"),
        (("--reference-only", "--set", "scales=1"), "have no effect"),
    ],
)
def test_wrong_usage_is_told_in_a_line(
    module: Module, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "words.json").write_text("[1, 2]")
    done = module("sample:photo", "sample:painting", *arguments)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
