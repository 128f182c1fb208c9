from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl import Event, Notice, Result, RunFinished, RunStarted, ScaleStarted, StepDone
from stylectl.core.errors import (
    ImageError,
    MemoryLimitError,
    NumericalError,
    OutputError,
    UsageError,
)
from stylectl.core.images.decoding import read_image
from stylectl.core.job.paths import SAMPLES

PHOTO, PAINTING = (str(SAMPLES[name]) for name in ("sample:photo", "sample:painting"))


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def paint(**options: Any) -> Result:
    """A small picture on the CPU, whatever else the machine has."""
    small: dict[str, Any] = {"size": 64, "iterations": 3, "scales": 1, "device": "cpu"}
    return stylectl.run(**{**small, **options})


@pytest.fixture
def image_file(tmp_path: Path) -> Callable[..., str]:
    """Smooth waves of colors, as a PNG."""

    def make(name: str, width: int, height: int) -> str:
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        waves = [np.sin(x / 5), np.sin(y / 7), np.sin((x + y) / 9)]
        pixels = np.rint(127.5 + 120 * np.stack(waves, axis=2)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        return str(tmp_path / name)

    return make


# Events


def test_events_come_in_order_and_none_is_missing() -> None:
    heard: list[Event] = []
    result = paint(scales=2, iterations=5, on_event=heard.append)
    told = [event for event in heard if not isinstance(event, Notice)]
    assert isinstance(told[0], RunStarted)
    assert isinstance(told[-1], RunFinished)
    assert told[-1].result is result
    assert told[0].job == result.job
    assert len(told[0].scales) == 2
    at = 1
    for index, scale in enumerate(told[0].scales):
        assert told[at] == ScaleStarted(index, scale)
        steps = told[at + 1 : at + 2 + scale.steps]
        assert [event.step for event in steps if isinstance(event, StepDone)] == [
            *range(scale.steps + 1)
        ]
        for event in steps:
            assert isinstance(event, StepDone)
            assert event.scale == index
            assert event.image.shape == (1, 3, scale.height, scale.width)
            assert event.loss == pytest.approx(sum(event.losses.values()), rel=1e-5)
        at += 2 + scale.steps
    assert at == len(told) - 1
    assert sum(scale.steps for scale in told[0].scales) == 5


def test_the_result_records_what_the_events_told() -> None:
    heard: list[Event] = []
    result = paint(scales=2, iterations=5, on_event=heard.append)
    steps = [event for event in heard if isinstance(event, StepDone)]
    assert [(record.scale, record.step, record.losses) for record in result.steps] == [
        (event.scale, event.step, event.losses) for event in steps
    ]
    assert all(before.seconds <= after.seconds for before, after in pairwise(result.steps))
    assert result.iterations == 5
    assert result.initial_losses == steps[0].losses
    assert result.final_losses == steps[-1].losses
    assert not result.interrupted
    assert result.device == "cpu"
    assert result.backend == "torch"


def test_the_picture_is_in_range_and_of_the_asked_size() -> None:
    result = paint()
    assert result.image.shape == (43, 64, 3)
    assert result.image.dtype == np.float32
    assert result.image.min() >= 0
    assert result.image.max() <= 1
    assert result.alpha is None


def test_every_input_is_hashed(image_file: Callable[..., str]) -> None:
    start = image_file("start.png", 64, 43)
    result = paint(content=PHOTO, styles=[PAINTING], init=start)
    assert set(result.inputs) == {PHOTO, PAINTING, start}
    assert result.inputs[PHOTO] == read_image(PHOTO).sha256


def test_the_summary_is_what_the_run_was() -> None:
    result = paint()
    summary = result.summary()
    assert summary["size"] == [64, 43]
    assert summary["iterations"] == 3
    assert summary["final_loss"] == dict(result.final_losses)
    assert summary["initial_loss"] == dict(result.initial_losses)


def test_a_photo_smaller_than_asked_is_not_enlarged(image_file: Callable[..., str]) -> None:
    heard: list[Event] = []
    small = image_file("small.png", 48, 32)
    result = paint(content=small, styles=[PAINTING], on_event=heard.append)
    assert result.image.shape == (32, 48, 3)
    assert any(isinstance(each, Notice) and "small.png" in each.message for each in heard)


def test_a_photo_smaller_than_asked_is_enlarged_on_request(
    image_file: Callable[..., str],
) -> None:
    result = paint(content=image_file("small.png", 48, 32), styles=[PAINTING], upscale=True)
    assert result.image.shape == (43, 64, 3)


def test_transparency_of_the_photo_is_kept(tmp_path: Path) -> None:
    image = Image.open(PHOTO).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, image.width // 2, image.height))
    image.save(tmp_path / "cut.png")
    result = paint(content="cut.png", styles=[PAINTING], output=["out.png", "out.webp"])
    assert result.alpha is not None
    assert result.alpha.shape == result.image.shape[:2]
    for name in ("out.png", "out.webp"):
        with Image.open(name) as written:
            alpha = np.asarray(written.convert("RGBA"))[..., 3]
        assert (alpha[:, :28] < 10).all()
        assert (alpha[:, -28:] > 245).all()


# Seeds


@pytest.mark.parametrize("init", ["content+noise", "noise", "style"])
def test_a_seed_repeats_the_same_pixels_and_another_does_not(init: str) -> None:
    first, again, other = (paint(init=init, seed=seed).image for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_written_png_makes_the_same_pixels_again() -> None:
    first = paint(output="out.png", seed=5, optimizer="adam", tv_weight=0.01)
    again = stylectl.run("out.png")
    assert np.array_equal(first.image, again.image)
    assert again.job == first.job


# Invariants


def test_a_style_twice_at_half_weight_is_the_style_once() -> None:
    once = paint(styles=[PAINTING], content=PHOTO)
    twice = paint(styles=[PAINTING, PAINTING], style_weights=[0.5, 0.5], content=PHOTO)
    # Half and half add up exactly, but in another order, so that the last bit of the loss may
    # differ; the network and the optimizer may enlarge that in each step.
    assert np.abs(once.image - twice.image).max() < 1e-3


def test_only_the_ratios_of_style_weights_matter(image_file: Callable[..., str]) -> None:
    styles = [PAINTING, image_file("waves.png", 80, 60)]
    small = paint(styles=styles, style_weights=[1, 3], content=PHOTO)
    large = paint(styles=styles, style_weights=[8, 24], content=PHOTO)
    assert np.array_equal(small.image, large.image)


def test_large_style_weights_do_not_overflow(image_file: Callable[..., str]) -> None:
    styles = [PAINTING, image_file("waves.png", 80, 60)]
    small = paint(styles=styles, style_weights=[1, 1], content=PHOTO)
    huge = paint(styles=styles, style_weights=[1e308, 1e308], content=PHOTO)
    assert np.array_equal(small.image, huge.image)


def test_several_styles_differ_from_each_alone(image_file: Callable[..., str]) -> None:
    styles = [PAINTING, image_file("waves.png", 80, 60)]
    both = paint(styles=styles, style_weights=[1, 1], content=PHOTO).image
    for style in styles:
        assert np.abs(paint(styles=[style], content=PHOTO).image - both).max() > 0.01


def test_a_style_of_weight_zero_counts_for_nothing(image_file: Callable[..., str]) -> None:
    styles = [PAINTING, image_file("waves.png", 80, 60)]
    both = paint(styles=styles, style_weights=[2, 0], content=PHOTO).image
    assert np.array_equal(both, paint(styles=[PAINTING], content=PHOTO).image)


@pytest.mark.parametrize("left_out", ["content", "style", "tv"])
def test_a_term_of_weight_zero_is_as_if_left_out(tmp_path: Path, left_out: str) -> None:
    names = ["content", "style", "tv"]
    weights = {"content": 1.0, "style": 100.0, "tv": 5.0}

    def job(terms: dict[str, float]) -> Path:
        rows = [f'{{name = "{name}", weight = {weight}}}' for name, weight in terms.items()]
        (tmp_path / "job.toml").write_text(f"terms = [{', '.join(rows)}]\n")
        return tmp_path / "job.toml"

    zero = paint(job=job({**weights, left_out: 0.0}))
    without = paint(job=job({name: weights[name] for name in names if name != left_out}))
    assert np.array_equal(zero.image, without.image)
    assert zero.final_losses == without.final_losses
    assert left_out not in zero.final_losses


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_an_image_styled_with_itself_stays_as_it_is(optimizer: str) -> None:
    heard: list[Event] = []
    options: dict[str, Any] = {"content": PHOTO, "styles": [PHOTO], "tv_weight": 0}
    with pytest.raises(NumericalError, match="it is the minimum of the loss terms"):
        paint(init="content", optimizer=optimizer, on_event=heard.append, **options)
    (result,) = [event.result for event in heard if isinstance(event, RunFinished)]
    assert set(result.final_losses.values()) == {0.0}
    shown = read_image(PHOTO).tensor(43, 64)[0].permute(1, 2, 0).numpy()
    assert np.abs(result.image - shown).max() < 1e-6


def test_starting_from_the_content_file_is_starting_from_the_content() -> None:
    named = paint(content=PHOTO, styles=[PAINTING], init="content")
    file = paint(content=PHOTO, styles=[PAINTING], init=PHOTO)
    assert np.array_equal(named.image, file.image)


def test_the_picture_moves_toward_the_style() -> None:
    result = paint(iterations=15)
    assert result.final_losses["style"] < result.initial_losses["style"] / 2


def test_the_papers_loss_falls_tenfold_in_60_iterations() -> None:
    result = paint(preset="paper", size=192, iterations=60, seed=0)
    assert result.steps[-1].loss < result.steps[0].loss / 10


# What cannot be done


@pytest.mark.parametrize("weight", [1e38, 1e300])
def test_a_loss_beyond_all_numbers_names_its_term(weight: float) -> None:
    named = r"'style' .*= (inf|nan)|the loss style = .* left the range of float32"
    with pytest.raises(NumericalError, match=named):
        paint(style_weight=weight, output="out.png")
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("width", "height", "size"), [(1, 1, 512), (7, 2000, 512), (2000, 15, 2000)]
)
@pytest.mark.parametrize("role", ["content", "style"])
def test_too_small_an_image_names_the_layer_and_the_size(
    image_file: Callable[..., str], width: int, height: int, size: int, role: str
) -> None:
    tiny = image_file("tiny.png", width, height)
    images = {"content": PHOTO, "styles": [PAINTING]}
    images |= {"content": tiny} if role == "content" else {"styles": [tiny]}
    with pytest.raises(ImageError) as caught:
        paint(**images, size=size)
    for word in ("tiny.png", f"{width}x{height}", "relu5_1", "16 px"):
        assert word in str(caught.value)


def test_a_shallower_layer_takes_smaller_images(image_file: Callable[..., str]) -> None:
    tiny = image_file("tiny.png", 8, 8)
    layers = {"content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}
    assert paint(content=tiny, styles=[tiny], **layers).image.shape == (8, 8, 3)


def test_the_named_size_is_enough(image_file: Callable[..., str]) -> None:
    long = image_file("long.png", 1200, 60)
    with pytest.raises(ImageError) as caught:
        paint(content=long, styles=[PAINTING], size=64)
    (named,) = re.findall(r"`size=(\d+)` would do", str(caught.value))
    result = paint(content=long, styles=[PAINTING], size=int(named), iterations=1)
    assert min(result.image.shape[:2]) >= 16


def test_too_large_a_picture_names_a_size_that_would_fit() -> None:
    with pytest.raises(MemoryLimitError) as caught:
        paint(size=65536, upscale=True)
    (named,) = re.findall(r"`size=(\d+)`", str(caught.value))
    assert 16 <= int(named) < 65536
    assert "GB" in str(caught.value)


def test_a_size_beyond_the_photos_own_costs_neither_memory_nor_disk(
    image_file: Callable[..., str],
) -> None:
    small = image_file("small.png", 48, 32)
    result = paint(content=small, styles=[PAINTING], size=65536, output="out.png")
    assert result.image.shape == (32, 48, 3)


@pytest.mark.parametrize("output", ["nowhere/out.png", "out.xyz", PHOTO])
def test_a_bad_output_is_found_before_the_work(output: str) -> None:
    heard: list[Event] = []
    with pytest.raises((UsageError, OutputError)):
        paint(content=PHOTO, styles=[PAINTING], output=output, on_event=heard.append)
    assert not any(isinstance(event, RunStarted) for event in heard)


def test_a_missing_start_is_found_before_the_work() -> None:
    heard: list[Event] = []
    with pytest.raises(UsageError, match=r"nowhere\.png"):
        paint(init="nowhere.png", on_event=heard.append)
    assert not any(isinstance(event, RunStarted) for event in heard)


def test_a_job_and_options_exclude_each_other() -> None:
    job = paint().job
    assert stylectl.run(job, size=32).image.shape[1] == 32
    with pytest.raises(UsageError, match="complete"):
        stylectl.run(job, preset="paper")


def test_a_job_runs_as_it_is() -> None:
    first = paint()
    assert np.array_equal(stylectl.run(first.job).image, first.image)


# Interruption


def interrupt_at(step: int) -> Callable[[Event], None]:
    def listener(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == step:
            raise KeyboardInterrupt

    return listener


def interrupted(step: int, **options: Any) -> Result:
    """The result that the last event of a run that is interrupted has."""
    results: list[Result] = []
    stop = interrupt_at(step)

    def listener(event: Event) -> None:
        if isinstance(event, RunFinished):
            results.append(event.result)
        stop(event)

    with pytest.raises(KeyboardInterrupt):
        paint(**options, on_event=listener)
    (result,) = results
    return result


def test_an_interrupted_run_keeps_its_picture() -> None:
    result = interrupted(3, iterations=50, output=["out.png", "out.jpg"])
    assert result.interrupted
    assert result.iterations == 3
    assert result.image.shape == (43, 64, 3)
    for name in ("out.png", "out.jpg"):
        with Image.open(name) as written:
            assert written.size == (64, 43)
    with Image.open("out.png") as written:
        assert np.array_equal(np.asarray(written), np.rint(result.image * 255).astype(np.uint8))


def test_an_interrupted_run_is_the_whole_runs_beginning() -> None:
    stopped = interrupted(4, iterations=50, seed=1)
    assert np.array_equal(stopped.image, paint(iterations=4, seed=1).image)


def test_an_interruption_at_a_coarse_scale_keeps_that_scale() -> None:
    result = interrupted(2, scales=2, iterations=50)
    assert result.interrupted
    assert max(result.image.shape) < 64


def test_a_listener_that_fails_at_the_end_loses_no_result() -> None:
    def listener(event: Event) -> None:
        if isinstance(event, RunFinished):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        paint(iterations=1, on_event=listener, output="out.png")
    with Image.open("out.png") as written:
        assert written.size == (64, 43)


def test_an_interruption_before_the_first_picture_goes_on_up() -> None:
    def listener(event: Event) -> None:
        if isinstance(event, ScaleStarted):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(on_event=listener, output="out.png")
    assert not Path("out.png").exists()
