from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stylectl.core.images.decoding import read_image
from stylectl.core.job.building import build_job
from stylectl.tools.bench.contender import OURSELVES, Entry
from stylectl.tools.bench.contest import Outcome, Record
from stylectl.tools.bench.contest_figures import figures_of, record_of
from stylectl.tools.bench.contestant import Ourselves
from stylectl.tools.bench.peers import PEERS, Pastiche

Program = Callable[..., subprocess.CompletedProcess[str]]

SIDE = 40

# Both compute in float32, where the order of sums differs (tests/backends/pytorch/test_backend.py:
# activations to 5e-6); a loss is a square of their differences.
FLOAT32 = 2e-5

#: What VGG-19's Caffe model takes from BGR pixels in 0-255.
CAFFE_MEAN = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)


def save(path: Path, seed: int, height: int = SIDE, width: int = SIDE) -> str:
    """Noise with some structure: large squares with fine grain."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 200, (height // 8 + 1, width // 8 + 1, 3))
    large = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    pixels = large + random.integers(0, 55, (height, width, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return str(path)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    """Of pastiche; the style has another size than the content."""
    content, style = save(tmp_path / "content.png", 1), save(tmp_path / "style.png", 2, 32, 24)
    return Entry("pastiche", content, style, "cpu", 1, {})


def own_loss(entry: Entry, start: str, only: str = "") -> float:
    """Of our program at the image `start`, by pastiche's objective or one term of it."""
    terms = PEERS["pastiche"].terms(SIDE, SIDE)
    options = {"content": entry.content, "styles": [entry.style], "size": SIDE, "init": start}
    job = build_job(
        {
            **options,
            "scales": 1,
            "iterations": 1,
            "device": "cpu",
            "precision": "float32",
            "motifs": 1,
        },
        {"terms": [term for term in terms if only in ("", term["name"])]},
    )
    return Ourselves(replace(entry, program=OURSELVES, job=job.as_table())).step()


def test_the_objective_in_our_terms_is_pastiches(entry: Entry, tmp_path: Path) -> None:
    start = save(tmp_path / "start.png", 3)
    theirs = Pastiche(entry)
    image = read_image(start).tensor(SIDE, SIDE)
    theirs.artist.pastiche.data = image.flip(1) * 255 - CAFFE_MEAN
    # Term by term: one may be a thousandth of another.
    weights = theirs.artist.content_weight, theirs.artist.tv_weight
    for name, content_weight, style_weight, tv_weight in (
        ("content", weights[0], 0.0, 0.0),
        ("style", 0.0, 1.0, 0.0),
        ("", weights[0], 1.0, weights[1]),
    ):
        theirs.artist.content_weight = content_weight
        theirs.artist.style_weights = [style_weight]
        theirs.artist.tv_weight = tv_weight
        expected = theirs.artist._calc_loss().item()
        assert own_loss(entry, start, name) == pytest.approx(expected, rel=FLOAT32)
    across, down = ((image * 255).diff(dim=dim).abs().mean() for dim in (3, 2))
    terms = {term["name"]: term for term in PEERS["pastiche"].terms(SIDE, SIDE)}
    total = sum(image.diff(dim=dim).abs().sum() for dim in (3, 2))
    expected = float(0.5 * weights[1] * (across + down))
    assert float(terms["tv"]["weight"] * total) == pytest.approx(expected, rel=FLOAT32)


def test_both_programs_begin_with_the_same_loss_and_are_measured(
    program: Program, tmp_path: Path
) -> None:
    images = save(tmp_path / "content.png", 1, 48, 64), save(tmp_path / "style.png", 2, 64, 48)
    sizes = ("--size", "48", "--iterations", "3", "--device", "cpu")
    done = program("bench", *images, *sizes, "--peer", "pastiche", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    figures = json.loads(line)
    assert figures["size"] == [48, 36]
    assert figures["iterations"] == 3
    ours, theirs = figures["contenders"]
    assert (ours["name"], theirs["name"]) == ("stylectl (torch)", "pastiche 1.6.0")
    # The total variation is off by 0.4% for a picture of this shape, and a few percent of the loss.
    assert ours["curve"][0][1] == pytest.approx(theirs["curve"][0][1], rel=1e-3)
    for each in (ours, theirs):
        assert each["device"] == "cpu"
        assert len(each["curve"]) == 3
        assert each["peak_memory_mb"] > 100  # torch alone takes more
        assert each["seconds_to_start"] > 0
        low, high = each["seconds_spread"]
        assert 0 < low <= each["seconds"] <= high
        assert each["loss_after_equal_time"] in [loss for _, loss in each["curve"]]
    assert ours["curve"][-1][1] < ours["curve"][0][1]
    assert max(each["iterations_in_equal_time"] for each in (ours, theirs)) == 3
    (ratios,) = figures["ratios"]
    assert (ratios["of"], ratios["to"]) == (theirs["name"], ours["name"])
    memory = theirs["peak_memory_mb"] / ours["peak_memory_mb"]
    assert ratios["peak_memory_mb"] == pytest.approx(memory, abs=1e-3)


def test_several_backends_compete_and_the_report_is_in_words(
    program: Program, tmp_path: Path
) -> None:
    backends = ("--backend", "torch", "--backend", "onnx", "--gradient", "native")
    options = ("--size", "48", "--iterations", "1", "--device", "cpu", "--peer", "pastiche")
    done = program("bench", *options, *backends, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("48x32 px, 1 iterations, ")
    assert "pastiche 1.6.0 in multiples of stylectl (torch): an iteration" in done.stdout
    assert "pastiche 1.6.0 in multiples of stylectl (onnx): an iteration" in done.stdout
    losses = [line.split()[1] for line in lines if line.startswith("loss ")]
    assert len(losses) == 3
    assert len({f"{float(loss):.2e}" for loss in losses}) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--peer", "pastich"), "did you mean pastiche?"),
        (("--peer", "pastiche", "--precision", "tf32", "--device", "cpu"), "has no tf32"),
        (("--peer", "pastiche", "--convolution", "fast"), "convolution"),
        (("--peer", "pastiche", "--preset", "paper"), "--preset has no effect"),
        (("--peer", "pastiche", "--repeats", "3"), "--repeats has no effect"),
        (("--peer", "pastiche", "--gradient", "torch"), "--gradient has no effect"),
        (("--peer", "pastiche", "--size", "10"), "sample:photo: 640x427 px is too small"),
        (("--peer", "pastiche", "--iterations", "0"), "--iterations"),
        (("--iterations", "3"), "--iterations has no effect without --peer"),
        (("photo.png",), "a content image needs a style image"),
        (("photo.png", "painting.png", "--peer", "pastiche"), "photo.png: no such file"),
    ],
)
def test_wrong_usage_is_told_in_a_line(
    program: Program, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = program("bench", *arguments, folder=tmp_path)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_peer_that_is_not_installed_is_named_with_its_extra(
    environment: dict[str, str], tmp_path: Path
) -> None:
    code = "import sys; sys.modules['pastiche'] = None; from stylectl.tools.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", "--peer", "pastiche"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert "pip install 'stylectl[peers]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_ends_a_contender_is_told(
    environment: dict[str, str], program: Program, tmp_path: Path
) -> None:
    """The device is tried where the program runs."""
    device = ("--device", "cuda")
    done = program("bench", "--peer", "pastiche", *device, "--size", "48", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("stylectl: stylectl (torch): no CUDA device")
    assert len(done.stderr.splitlines()) == 1


def test_the_loss_after_equal_time_is_what_each_had_by_then() -> None:
    def record(name: str, *iterations: tuple[float, float]) -> Record:
        return Record(name, "cpu", {}, 2.0, iterations, 100.0)

    quick = record("quick", (1.0, 8.0), (0.5, 4.0), (0.5, 2.0))
    slow = record("slow", (0.75, 8.0), (1.0, 6.0), (1.5, 1.0))
    outcome = Outcome((64, 48), 2, (quick, slow))
    ours, theirs = figures_of(outcome)
    assert (ours.loss_after_equal_time, ours.iterations_in_equal_time) == (2.0, 3)
    assert (theirs.loss_after_equal_time, theirs.iterations_in_equal_time) == (6.0, 2)
    assert [end for end, _ in theirs.curve] == list(accumulate([0.75, 1.0, 1.5]))
    found = record_of(outcome)
    assert found["equal_time_seconds"] == 2.0
    (ratios,) = found["ratios"]
    assert ratios["seconds"] == 2.0  # medians: 1.0 and 0.5
    assert ratios["loss_after_equal_time"] == 3.0
