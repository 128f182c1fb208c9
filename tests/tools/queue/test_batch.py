from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl.core.images import files
from stylectl.core.outputs.record import read_record
from stylectl.core.planning import planner

Program = Callable[..., subprocess.CompletedProcess[str]]

#: For the smallest network that there is, so that a picture takes milliseconds.
QUICK: dict[str, Any] = {"backbone": "tiny", "backend": "counting", "device": "cpu"}
SMALL: dict[str, Any] = {**QUICK, "size": 24, "iterations": 4, "scales": 2}

#: A plugin with that network, and a backend that writes down what it is asked for.
PLUGIN = """
from stylectl import BackboneSpec, BackendSpec, hookimpl
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.testing import TinyBackbone

OPENED, FEATURES = [], []

class Counting(TorchBackend):
    def __init__(self, arguments):
        super().__init__(arguments.backbone, arguments.layers, arguments.options)
        OPENED.append(arguments.layers)

    def features(self, image, layers=None):
        FEATURES.append((tuple(image.shape[2:]), round(float(image.mean()), 4), tuple(layers)))
        return super().features(image, layers)

@hookimpl
def stylectl_backends():
    yield BackendSpec(name="counting", summary="counts", create=Counting)

@hookimpl
def stylectl_backbones():
    yield BackboneSpec(name="tiny", summary="tiny", create=lambda arguments: TinyBackbone())
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin in it, installed as pip would."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "plugin_counting.py").write_text(PLUGIN)
    info = folder / "stylectl_counting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stylectl-counting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stylectl]\ncounting = plugin_counting\n")
    return folder


@pytest.fixture
def counting(site: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin's module, with nothing counted."""
    monkeypatch.setenv("STYLECTL_PLUGINS", "counting")
    monkeypatch.syspath_prepend(str(site))
    import plugin_counting  # type: ignore[import-not-found]

    plugin_counting.OPENED.clear()
    plugin_counting.FEATURES.clear()
    return plugin_counting


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: photos a and b, of different sizes, and paintings x and y."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(5)
    for name, size in {"c/a": (30, 40), "c/b": (40, 32), "s/x": (36, 28), "s/y": (28, 44)}.items():
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return tmp_path


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[!.]*"))


def pair(content: str, style: str, **more: Any) -> dict[str, Any]:
    output = f"out/{content}_{style}.png"
    return {"content": f"c/{content}.png", "styles": [f"s/{style}.png"], "output": output, **more}


ALL = [pair(content, style) for content in "ab" for style in "xy"]


# What pictures have in common is computed once, and the picture is the same


def test_every_target_is_computed_once(counting: Any, images: Path) -> None:
    report = stylectl.batch(ALL, **SMALL)
    assert len(report.painted) == 4
    assert len(counting.OPENED) == 1
    # Two photos with one layer and two paintings with two, each at two scales: eight, and no more.
    assert len(counting.FEATURES) == 8
    assert len(set(counting.FEATURES)) == 8


def test_terms_that_read_both_images_are_bound_for_each_pair(counting: Any, images: Path) -> None:
    stylectl.batch(ALL, term=[{"name": "strotss", "weight": 1.0}], **SMALL)
    # Beside those of before: strotss asks for both images of four pairs at two scales.
    assert len(counting.FEATURES) == 8 + 4 * 2 * 2


def test_a_picture_is_the_one_that_a_run_of_its_own_gives(counting: Any, images: Path) -> None:
    more: dict[str, Any] = {"term": ["strotss", "mrf"], "init": "style", "tv_weight": 0.5}
    stylectl.batch(ALL, **SMALL, **more)
    for each in ALL:
        made = each["output"]
        alone = {key: value for key, value in each.items() if key != "output"}
        stylectl.run(**alone, output="alone.png", **SMALL, **more)
        assert np.array_equal(pixels(made), pixels("alone.png")), made


@pytest.mark.parametrize(
    "changed",
    [
        {"style_weight": 300.0},
        {"style_layers": ["smooth2_1"]},
        {"size": 20},
        {"term": [{"name": "style", "normalization": "paper"}]},
        {"term": [{"name": "sliced-wasserstein", "weight": 1.0}], "seed": 4},
        {"pooling": "average", "backbone": "vgg19", "backend": "torch"},
    ],
    ids=lambda changed: next(reversed(changed)),
)
def test_what_differs_is_not_mixed_up(counting: Any, images: Path, changed: dict[str, Any]) -> None:
    """The second picture has the images of the first, which are expected again by the third."""
    other = {**pair("a", "x", **changed), "output": "out/other.png"}
    stylectl.batch([ALL[0], other, {**ALL[0], "output": "out/again.png"}], **SMALL)
    alone = {key: value for key, value in other.items() if key != "output"}
    stylectl.run(**{**SMALL, **alone}, output="alone.png")
    assert np.array_equal(pixels("out/other.png"), pixels("alone.png"))
    assert np.array_equal(pixels("out/again.png"), pixels("out/a_x.png"))
    assert not np.array_equal(pixels("out/again.png"), pixels("out/other.png"))


def test_what_no_later_picture_needs_is_dropped(counting: Any, images: Path) -> None:
    """In pairs of their own no image comes again, so that nothing is kept for it."""
    from stylectl.core.run.session import Session

    kept = []
    small = {**SMALL, "preset": "balanced-0.1"}

    class Watched(Session):
        def expect(self, images: Any, recurs: Any) -> None:
            super().expect(images, recurs)
            kept.append(len(self._cached))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stylectl.tools.queue.worker.Session", Watched)
        stylectl.batch([pair("a", "x"), pair("b", "y")], **small)
        assert kept == [0, 2]  # the total variation at two scales, which needs no image
        kept.clear()
        shutil.rmtree("out")
        stylectl.batch(ALL, **small)
    # Of the two scales of two images each time: a and x, x and y (not a), b and y (not x).
    assert kept == [0, 6, 6, 6]


# Finished pictures


def test_finished_pictures_are_found_and_others_made_again(counting: Any, images: Path) -> None:
    first = stylectl.batch(ALL, **SMALL)
    assert first.exit_code == 0
    times = {path: path.stat().st_mtime_ns for path in first.painted}
    second = stylectl.batch(ALL, **SMALL)
    assert set(second.found) == set(first.painted)
    assert not second.painted
    assert {path: path.stat().st_mtime_ns for path in second.found} == times

    shutil.copy("s/y.png", "s/x.png")  # another image under the old name
    third = stylectl.batch(ALL, **SMALL)
    assert [path.name for path in third.painted] == ["a_x.png", "b_x.png"]

    said: list[object] = []
    fourth = stylectl.batch(ALL, on_event=said.append, **{**SMALL, "iterations": 5})
    assert len(fourth.painted) == 4
    why = [event.why for event in said if isinstance(event, stylectl.TaskStarted)]
    assert why == ["again: it has other settings or files"] * 4


def test_paths_may_be_given_in_another_way(
    counting: Any, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stylectl.batch(ALL[:1], **SMALL)
    monkeypatch.chdir(images / "c")
    again = {
        "content": "a.png",
        "styles": [str(images / "s" / "x.png")],
        "output": "../out/a_x.png",
    }
    assert stylectl.batch([again], **SMALL).found


@pytest.mark.parametrize("kind", ["stopped", "foreign", "text", "of another program"])
def test_what_is_not_finished_is_painted(counting: Any, images: Path, kind: str) -> None:
    path = Path(ALL[0]["output"])
    path.parent.mkdir()
    if kind == "stopped":

        def stop(event: object) -> None:
            if isinstance(event, stylectl.StepDone) and event.step == 1:
                raise KeyboardInterrupt

        report = stylectl.batch(ALL[:1], on_event=stop, **SMALL)
        assert report.interrupted
        assert report.exit_code == 130
        assert report.open == (path,)
        assert read_record(path)["interrupted"] is True
    elif kind == "foreign":
        Image.new("RGB", (24, 24)).save(path)
    elif kind == "text":
        path.write_text("nothing")
    else:
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_text("stylectl", json.dumps({"job": {"size": []}, "inputs": 3}))
        Image.new("RGB", (24, 24)).save(path, pnginfo=text)
    assert stylectl.batch(ALL[:1], **SMALL).painted == (path,)
    assert read_record(path)["interrupted"] is False


# Failures


def test_a_failure_stops_no_other_picture(counting: Any, images: Path) -> None:
    (images / "c" / "a.png").write_bytes((images / "c" / "b.png").read_bytes()[:60])
    report = stylectl.batch(ALL, **SMALL)
    assert [path.name for path in report.painted] == ["b_x.png", "b_y.png"]
    assert [path.name for path in report.failed] == ["a_x.png", "a_y.png"]
    assert all("c/a.png" in reason and "damaged" in reason for reason in report.failed.values())
    assert report.exit_code == 1
    assert names(images / "out") == ["b_x.png", "b_y.png"]


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([pair("a", "x"), pair("a", "x")], ["picture 1", "picture 2", "out/a_x.png"]),
        ([pair("a", "x"), {**pair("a", "y"), "output": "OUT/A_X.png"}], ["picture 2"]),
        ([{**pair("a", "x"), "output": "out.jpg"}], ["picture 1", "PNG"]),
        ([{**pair("a", "x"), "output": "s/x.png"}], ["s/x.png", "would overwrite an input"]),
        ([pair("a", "x", stile_weight=3)], ["stile_weight", "did you mean style_weight"]),
        ([pair("a", "nowhere")], ["s/nowhere.png", "no such file"]),
        ([{**pair("a", "x"), "output": "c/a.png/x.png"}], ["c/a.png", "a file"]),
    ],
)
def test_mistakes_are_found_before_the_work(
    counting: Any, images: Path, pictures: list[dict[str, Any]], words: list[str]
) -> None:
    if "OUT/A_X.png" in str(pictures):
        (images / "OUT").symlink_to(images / "out")
        (images / "out").mkdir()
    with pytest.raises(stylectl.UsageError) as caught:
        stylectl.batch(pictures, **SMALL)
    for word in words:
        assert word in str(caught.value)
    assert not counting.OPENED


# The command


FLAGS = ["--set", "backbone=tiny", "--set", "device=cpu", "--set", "size=24"]
FOLDERS = ["--contents", "c", "--styles", "s", "-o", "out"]


#: A thread is enough for so little, and does not wait for others on a busy machine.
ONE = {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def environment(environment: dict[str, str], site: Path) -> dict[str, str]:
    """With the plugin."""
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return {**environment, "PYTHONPATH": paths, "STYLECTL_PLUGINS": "counting", **ONE}


@pytest.fixture
def stylectl_program(environment: dict[str, str], images: Path) -> Program:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stylectl", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stylectl", "batch", *FOLDERS, *FLAGS, "--json", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_with_130_and_the_same_command_goes_on(
    environment: dict[str, str], stylectl_program: Program, images: Path
) -> None:
    process = start(environment, "--set", "iterations=150")
    assert process.stderr is not None
    for line in process.stderr:
        if "result 2 of 4" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "the same command resumes" in stderr
    first = json.loads(stdout)
    assert first["painted"][0] == str(Path("out", "a_x.png"))
    assert first["open"]
    done = stylectl_program("batch", *FOLDERS, *FLAGS, "--json", "--set", "iterations=150")
    assert done.returncode == 0, done.stderr
    assert f"{len(first['painted'])} of 4 results found finished" in done.stderr
    second = json.loads(done.stdout)
    assert second["found"] == first["painted"]
    assert second["painted"] == first["open"]
    assert names(images / "out") == ["a_x.png", "a_y.png", "b_x.png", "b_y.png"]


def test_two_batches_share_the_work(environment: dict[str, str], images: Path) -> None:
    """Each picture is painted once, and both end when all of them are there."""
    reports = []
    processes = [start(environment, "--set", "iterations=80") for _ in range(2)]
    for process in processes:
        stdout, stderr = process.communicate(timeout=200)
        assert process.returncode == 0, stderr
        reports.append(json.loads(stdout))
    painted = [path for report in reports for path in report["painted"]]
    assert sorted(painted) == [f"out{os.sep}{name}" for name in names(images / "out")]
    assert len(painted) == 4
    for report in reports:
        assert len(report["painted"]) + len(report["found"]) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_batch_that_is_killed_leaves_nothing_that_blocks(
    environment: dict[str, str], counting: Any, images: Path
) -> None:
    process = start(environment, "--set", "iterations=1000000")
    deadline = time.monotonic() + 200
    while not list(images.glob("out/.*.lock")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert list(images.glob("out/.*.lock"))
    assert len(stylectl.batch(ALL, **SMALL).painted) == 4
    assert len(names(images / "out")) == 4


#: Arguments and words that the message has.
MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "nothing": (["-o", "out"], ["--contents", "--manifest"]),
    "both": (["--manifest", "m.csv", "--contents", "c", "-o", "out"], ["no effect"]),
    "empty": (["--contents", "empty", "--styles", "s", "-o", "out"], ["empty", "no images"]),
    "missing": (["--contents", "no", "--styles", "s", "-o", "out"], ["no", "no such folder"]),
    "zip": (["--contents", "c", "--styles", "s/x.png", "--pairs", "zip", "-o", "out"], ["2", "1"]),
    "into": (["--contents", "c", "--styles", "s", "-o", "c"], ["--contents", "inputs next"]),
    "axis": ([*FOLDERS, "--set", "size=24,32"], ["size", "sweep"]),
    "twice": ([*FOLDERS, "--set", "size=24", "--set", "size=32"], ["size", "twice"]),
    "images": ([*FOLDERS, "--set", "content=c/a.png"], ["content", "no effect"]),
    "file": (["--contents", "c", "--styles", "s", "-o", "s/x.png"], ["s/x.png", "a file"]),
    "stems": (["--contents", "same", "--styles", "s", "-o", "out"], ["a_x.png", "same/a.jpg"]),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_on_the_command_line(
    counting: Any,
    images: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from stylectl.tools.cli import main

    (images / "empty").mkdir()
    (images / "empty" / "notes.txt").touch()
    (images / "same").mkdir()
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (32, 32)).save(images / "same" / name)
    arguments, words = MISTAKES[kind]
    monkeypatch.setattr(sys, "argv", ["stylectl", "batch", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert left.value.code == 2, said
    for word in words:
        assert word in said
    assert not (images / "out").exists()


def test_zip_pairs_by_name(
    counting: Any,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from stylectl.tools.cli import main

    flags = [*FOLDERS, "--pairs", "zip", *FLAGS, "--set", "iterations=2", "--json"]
    monkeypatch.setattr(sys, "argv", ["stylectl", "batch", *flags])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert names(images / "out") == ["a_x.png", "b_y.png"]
    assert len(json.loads(capsys.readouterr().out)["painted"]) == 2


def test_folders_are_listed_once_and_plans_made_once(
    counting: Any, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[Path] = []
    planned: list[object] = []
    images_in, make = files.images_in, planner.make_plan

    def list_folder(folder: Path) -> list[Path]:
        listed.append(folder)
        return images_in(folder)

    def plan(*arguments: Any) -> Any:
        planned.append(arguments)
        return make(*arguments)

    monkeypatch.setattr(files, "images_in", list_folder)
    monkeypatch.setattr("stylectl.tools.queue.tasks.make_plan", plan)
    pictures = [{**each, "styles": ["s"]} for each in ALL]
    report = stylectl.batch(pictures, **SMALL)
    assert len(report.painted) == len(pictures)
    assert len(planned) == len(pictures)
    assert len(listed) == 1


def test_no_lock_files_are_left(counting: Any, images: Path) -> None:
    stylectl.batch(ALL[:1], **SMALL)
    assert [path.name for path in Path("out").iterdir()] == ["a_x.png"]
