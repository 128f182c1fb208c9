"""A run that is resumed ends with the same pixels, whatever stopped it and wherever."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image, ImageSequence
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from stylectl import Event, Notice, Result, RunFinished, RunStarted, StepDone
from stylectl.core.checkpoints import conditions
from stylectl.core.checkpoints.folder import Checkpoints, checkpoints_in
from stylectl.core.job.paths import SAMPLES
from stylectl.core.memory import limits as memory
from stylectl.core.optimizers.lbfgs import LBFGS

SMALL: dict[str, Any] = {
    "size": 96,
    "scales": 2,
    "iterations": 8,
    "device": "cpu",
    "content_layers": ["relu2_1"],
    "style_layers": ["relu1_1", "relu2_1"],
}
#: A term that follows the result, and draws positions in the final pass.
NNST: dict[str, Any] = {
    "preset": "nnst",
    "scales": "octaves",
    "content_layers": None,
    "style_layers": None,
    "nnst.layers": ["relu1_1", "relu2_1"],
    "nnst.grid": 8,
}
#: A term that draws positions within a scale.
STROTSS: dict[str, Any] = {
    "preset": "strotss",
    "scales": "octaves",
    "content_layers": None,
    "style_layers": None,
    "strotss.layers": ["relu1_1", "relu2_1"],
    "strotss.samples": 64,
}
#: Half of what this picture takes with Adam; L-BFGS holds more images.
TILED = {"adam": "6MB", "lbfgs": "7MB"}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of exported networks, which all tests share: an export takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _own_folder_and_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exports: None) -> None:
    """The program itself counts as nothing here: it takes more than these pictures."""
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.setattr(memory, "_held_memory", lambda device: 0)
    monkeypatch.chdir(tmp_path)


def paint(**options: Any) -> Result:
    return stylectl.run(**{**SMALL, **options})


def kept(**options: Any) -> Result:
    """A run with a checkpoint after each step."""
    return paint(checkpoint="kept", checkpoint_every=0, **options)


def stop_after(steps: int) -> Callable[[Event], None]:
    """A listener that stops a run in the step after `steps` steps, before its checkpoint."""
    events = iter(range(10**6))

    def listener(event: Event) -> None:
        if isinstance(event, StepDone) and next(events) > steps:
            raise KeyboardInterrupt

    return listener


def stopped(steps: int, **options: Any) -> None:
    """Stop a run; events count the starting points of both scales, too."""
    with pytest.raises(KeyboardInterrupt):
        kept(on_event=stop_after(steps), **options)
    assert len(Checkpoints(Path("kept")).stored()) == 1


def resumed(**options: Any) -> tuple[Result, list[Event]]:
    events: list[Event] = []
    return kept(on_event=events.append, **options), events


def notices(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Notice))


def losses(result: Result) -> list[tuple[int, int, dict[str, float]]]:
    return [(record.scale, record.step, dict(record.losses)) for record in result.steps]


@pytest.mark.parametrize("tiled", [False, True], ids=["plain", "tiled"])
@pytest.mark.parametrize("backend", ["torch", "onnx"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_resumed_run_has_the_same_bits(optimizer: str, backend: str, tiled: bool) -> None:
    options = {"optimizer": optimizer, "backend": backend}
    options |= {"max_memory": TILED[optimizer]} if tiled else {}
    whole = paint(**options)
    assert ("tiles" in whole.details) is tiled
    first_scale = whole.scales[0].steps
    # In the first scale; at its end, and at the start of the next.
    for steps in (2, first_scale, first_scale + 1):
        stopped(steps, **options)
        again, events = resumed(**options)
        assert "resuming" in notices(events)
        assert np.array_equal(again.image, whole.image)
        assert losses(again) == losses(whole)
        assert not again.interrupted
        assert Checkpoints(Path("kept")).stored() == []


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": {"name": "lbfgs", "line_search": "strong-wolfe", "scaling": "scalar"}},
        {"optimizer": {"name": "lbfgs", "history": 2, "line_search": "none"}},
        {"optimizer": {"name": "adam", "averaging": 0.0}},
        {"color": "luminance"},
        {"color": "chroma"},
        {"normalize_gradients": True},
        {"seamless": True, "init": "noise"},
        {"texture": ["sample:painting"], "size": (64, 48), "content_layers": None},
        {"term": ["sliced-wasserstein"]},
        {"parametrization": {"name": "laplacian", "levels": 3}, "optimizer": "adam"},
        {"parametrization": "fourier", "color": "luminance"},
        STROTSS,
        STROTSS | {"strotss.redraw": 3},
        NNST | {"nnst.rematch": 1},
        NNST | {"nnst.rematch": 3},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_kind_of_run_is_resumed(options: dict[str, Any]) -> None:
    whole = paint(**options)
    stopped(6, **options)
    again, _ = resumed(**options)
    assert np.array_equal(again.image, whole.image)


def test_a_run_is_stopped_and_resumed_again_and_again() -> None:
    whole = paint()
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            kept(on_event=stop_after(1))
    again, events = resumed()
    assert "resuming" in notices(events)
    assert np.array_equal(again.image, whole.image)
    assert losses(again) == losses(whole)


def test_a_run_goes_on_after_a_loss_that_was_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimizer was restarted with shorter steps before the run is stopped."""
    first = LBFGS.iterate

    def iterate(self: LBFGS, problem: Any) -> Any:
        for number, iterate in enumerate(first(self, problem)):
            if number == 3 and problem.step_factor == 1.0 and problem.state is None:
                iterate.evaluation.gradient.fill_(torch.nan)
            yield iterate

    monkeypatch.setattr(LBFGS, "iterate", iterate)
    whole = paint(scales=1)
    stopped(6, scales=1)
    again, events = resumed(scales=1)
    assert "not finite" not in notices(events)
    assert np.array_equal(again.image, whole.image)


def test_the_same_command_resumes_to_other_outputs_too(tmp_path: Path) -> None:
    whole = paint()
    stopped(5, output="one.npy")
    again, events = resumed(output="other.npy")
    assert "resuming" in notices(events)
    assert np.array_equal(np.load("other.npy"), whole.image)
    assert again.seconds >= again.steps[-1].seconds


def test_listeners_get_the_number_of_steps_that_were_made_before() -> None:
    stopped(3)
    _, events = resumed()
    (started,) = [event for event in events if isinstance(event, RunStarted)]
    steps = [event for event in events if isinstance(event, StepDone)]
    assert started.steps_done == 3
    assert (steps[0].scale, steps[0].step) == (0, 4)


def test_the_last_event_has_the_files_and_the_step_of_the_checkpoint() -> None:
    events: list[Event] = []
    stop = stop_after(5)

    def listener(event: Event) -> None:
        events.append(event)
        stop(event)

    with pytest.raises(KeyboardInterrupt):
        kept(on_event=listener, output="out.png")
    assert isinstance(events[-1], RunFinished)
    assert events[-1].outputs == (Path("out.png"),)
    assert events[-1].checkpoint == 5
    _, events = resumed(output="out.png")
    assert isinstance(events[-1], RunFinished)
    assert events[-1].checkpoint is None


def test_a_film_is_complete_after_a_resumption() -> None:
    def frames(name: str) -> list[np.ndarray]:
        with Image.open(name) as film:
            return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]

    paint(output="whole.gif")
    stopped(6, output="out.gif")
    resumed(output="out.gif")
    assert len(frames("out.gif")) == len(frames("whole.gif"))
    for ours, theirs in zip(frames("out.gif"), frames("whole.gif"), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_film_that_was_not_asked_for_before_lacks_images_and_that_is_said() -> None:
    stopped(6)
    _, events = resumed(output="out.gif")
    assert "lack images of the steps so far" in notices(events)


# What is not taken


def changed_image(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    with Image.open(SAMPLES["sample:photo"]) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("photo.png")
    return {}


def other_version(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(conditions, "version", lambda name: f"1.2.3 of {name}")
    return {}


def other_threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 61)
    return {}


def other_job(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"seed": 5, "iterations": 9}


def less_memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"max_memory": "6.5MB"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed_image, ["photo.png"]),
        (other_version, ["torch (", "now 1.2.3 of torch"]),
        (other_threads, ["threads (", "now 61"]),
        (other_job, ["`iterations`", "`seed`"]),
        (less_memory, ["tiles of scale 2"]),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_not_taken_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, change: Callable[..., Any], words: list[str]
) -> None:
    Image.open(SAMPLES["sample:photo"]).save("photo.png")
    options = {"content": "photo.png", "styles": ["sample:painting"], "output": "out.npy"}
    stopped(5, **options)
    options |= change(monkeypatch)
    afresh = paint(**options)
    result, events = resumed(**options)
    assert "starting from the beginning" in notices(events)
    for word in words:
        assert word in notices(events)
    assert np.array_equal(result.image, afresh.image)


def test_max_pixels_does_not_matter() -> None:
    stopped(5)
    _, events = resumed(max_pixels=100_000_000)
    assert "resuming" in notices(events)


@pytest.mark.parametrize("damage", ["cut", "text", "header", "tensor"])
def test_a_damaged_checkpoint_is_not_taken(damage: str) -> None:
    whole = paint()
    stopped(5)
    (stored,) = Checkpoints(Path("kept")).stored()
    file = stored.folder / "checkpoint.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif damage == "text":
        file.write_text("no tensors")
    else:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata()
        tensors = load_file(file)
        ((key, text),) = metadata.items()
        if damage == "header":
            metadata = {key: json.dumps({**json.loads(text), "steps": "many"})}
        else:
            del tensors["image"]
        save_file(tensors, file, metadata)
    result, events = resumed()
    assert "resuming" not in notices(events)
    assert np.array_equal(result.image, whole.image)


def test_a_run_without_checkpoints_leaves_nothing_behind(tmp_path: Path) -> None:
    paint()
    assert list(tmp_path.iterdir()) == []


def test_a_short_run_writes_no_checkpoint(tmp_path: Path) -> None:
    """The first one comes after a minute."""
    paint(checkpoint="kept")
    assert not Path("kept").exists()


def test_checkpoints_that_cannot_be_written_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stylectl.core.run.checkpointing.write_checkpoint", full)
    result, events = resumed()
    assert notices(events).count("no checkpoint can be written (No space left on device)") == 1
    assert not result.interrupted
    assert list(Path("kept").iterdir()) == []


def test_other_folders_beside_the_checkpoints_are_left_alone() -> None:
    for name in ("kept/own", "kept/other-12345678"):
        Path(name).mkdir(parents=True)
    (Path("kept") / "poetry.lock").touch()
    stopped(5)
    resumed()
    assert sorted(path.name for path in Path("kept").iterdir()) == [
        "other-12345678",
        "own",
        "poetry.lock",
    ]


def test_what_a_process_left_before_its_first_checkpoint_is_removed() -> None:
    left = Path("kept/out-0123abcd.checkpoint/snapshots")
    left.mkdir(parents=True)
    (Path("kept") / ".stylectl-out-0123abcd.checkpoint.lock").touch()
    stopped(5)
    resumed()
    assert list(Path("kept").iterdir()) == []


def test_two_runs_of_one_job_have_a_checkpoint_each() -> None:
    """The second run begins while the first one is under way."""
    whole = paint()
    inner: list[Result] = []

    def listener(event: Event) -> None:
        if isinstance(event, StepDone) and event.scale == 1 and event.step == 1:
            inner.append(kept(output="second.npy"))
            assert len(checkpoints_in("kept").stored()) == 1

    kept(output="first.npy", on_event=listener)
    for name in ("first.npy", "second.npy"):
        assert np.array_equal(np.load(name), whole.image)
    assert checkpoints_in("kept").stored() == []


# Stills


def test_stills_are_written_while_the_run_goes_on() -> None:
    result = paint(output=["out.png", "out.gif"], save_every=3, iterations=10)
    assert sorted(path.name for path in Path().glob("out-*")) == [
        "out-0003.png",
        "out-0006.png",
        "out-0009.png",
    ]
    early = paint(iterations=10, on_event=lambda event: None)
    assert np.array_equal(early.image, result.image)
    with Image.open("out-0009.png") as image:
        image.load()
        record = json.loads(getattr(image, "text")["stylectl"])  # noqa: B009
    assert record["interrupted"] is True
    assert record["iterations"] == 9


def test_stills_of_a_resumed_run_are_those_of_the_whole_run() -> None:
    paint(output="whole.npy", save_every=2)
    stopped(5, output="out.npy", save_every=2)
    resumed(output="out.npy", save_every=2)
    for number in (2, 4, 6, 8):
        ours, theirs = (np.load(f"{name}-000{number}.npy") for name in ("out", "whole"))
        assert np.array_equal(ours, theirs)


def test_stills_come_by_time_as_well() -> None:
    paint(output="out.png", save_every="0.001s")
    assert len(list(Path().glob("out-*.png"))) == 8


@pytest.mark.parametrize("every", [0, "0", "0s", "ten", "-3", "5d"])
def test_an_interval_that_is_none_is_refused(every: Any) -> None:
    with pytest.raises(stylectl.UsageError, match="save_every"):
        paint(output="out.png", save_every=every)


def test_a_still_overwrites_no_input() -> None:
    Image.open(SAMPLES["sample:photo"]).save("out-0007.png")
    with pytest.raises(stylectl.UsageError, match=r"out-0007\.png"):
        paint(content="out-0007.png", styles=["sample:painting"], output="out.png", save_every=5)


def test_stills_need_an_output_that_shows_the_result_alone() -> None:
    with pytest.raises(stylectl.UsageError, match="no effect"):
        paint(output="out.gif", save_every=5)


# Optimizers of plugins


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("None", "the optimizer descent gives no state"),
        ("lambda: OptimizerState({}, {'set': {1}})", "the state's values"),
        ("lambda: OptimizerState({'it': image.to_sparse()})", "'it' is not a dense tensor"),
    ],
)
def test_an_optimizer_without_a_state_that_can_be_kept_runs_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, words: str
) -> None:
    code = f"""
from stylectl import Iterate, Optimizer, OptimizerSpec, OptimizerState, hookimpl

class Descent(Optimizer):
    def images_held(self, steps):
        return 3
    def iterate(self, problem):
        image = problem.image
        while True:
            evaluation = problem.evaluate(image)
            yield Iterate(image, evaluation, {state})
            image = image - 1e-4 * problem.step_factor * evaluation.gradient

@hookimpl
def stylectl_optimizers():
    yield OptimizerSpec(name="descent", summary="", options=Descent)
"""
    (tmp_path / "site").mkdir()
    module = f"plugin_descent_{abs(hash(state))}"
    (tmp_path / "site" / f"{module}.py").write_text(code)
    info = tmp_path / "site" / "stylectl_descent-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stylectl-descent\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[stylectl]\ndescent = {module}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("STYLECTL_PLUGINS", "descent")
    result, events = resumed(optimizer="descent")
    assert result.iterations == 8
    assert notices(events).count("no checkpoint") == 1
    assert words in notices(events)
    assert not Path("kept").exists() or not checkpoints_in("kept").stored()
