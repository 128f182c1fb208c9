from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl.core.outputs.record import read_record
from stylectl.tools.cli import main
from stylectl.tools.queue.sheets.contact_sheet import draw_sheet

#: 24 px and a few steps: what is tested here is around the runs.
SMALL: dict[str, Any] = {
    "content": "photo.png",
    "styles": ["painting.png"],
    "device": "cpu",
    "size": 24,
    "scales": 1,
    "iterations": 2,
    "style_layers": ["relu1_1", "relu2_1"],
    "content_layers": ["relu2_1"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two images."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(5)
    for name in ("photo", "painting"):
        coarse = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((36, 24), Image.Resampling.BICUBIC).save(f"{name}.png")
    return tmp_path


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder: Path | str) -> list[str]:
    return sorted(path.name for path in Path(folder).glob("[!.]*"))


def test_a_sheet_has_every_combination_and_is_made_again_without_painting() -> None:
    axes: dict[str, Any] = {"style_weight": [1, 100], "preset": ["draft", "paper"], "seed": [1]}
    report = stylectl.sweep("sheet.png", axes, **SMALL)
    assert report.exit_code == 0
    assert names("sheet-cells") == [
        "style_weight=100_preset=draft.png",
        "style_weight=100_preset=paper.png",
        "style_weight=1_preset=draft.png",
        "style_weight=1_preset=paper.png",
    ]
    # A cell is the picture that a run with these settings makes.
    stylectl.run(**SMALL, style_weight=100, preset="paper", seed=1, output="alone.png")
    cell = pixels("sheet-cells/style_weight=100_preset=paper.png")
    assert np.array_equal(cell, pixels("alone.png"))
    # And it is on the sheet, in the second column and row, pixel by pixel.
    sheet = pixels("sheet.png")
    found = [
        (top, left)
        for top in range(sheet.shape[0] - 15)
        for left in range(sheet.shape[1] - 23)
        if np.array_equal(sheet[top : top + 16, left : left + 24], cell)
    ]
    assert len(found) == 1
    assert found[0][0] > sheet.shape[0] / 2
    assert found[0][1] > sheet.shape[1] / 2

    Path("sheet.png").unlink()
    again = stylectl.sweep("sheet.png", axes, **SMALL)
    assert len(again.found) == 4
    assert not again.painted
    assert np.array_equal(pixels("sheet.png"), sheet)


def test_the_rows_are_the_combinations_of_the_other_settings() -> None:
    axes: dict[str, Any] = {
        "tv_weight": [0, 1],
        "style_weight": [1, 2],
        "init": ["content", "style"],
    }
    report = stylectl.sweep("sheet.png", axes, **{**SMALL, "iterations": 1})
    assert len(report.painted) == 8
    height, width = pixels("sheet.png").shape[:2]
    assert height > 4 * 16
    assert width > 2 * 24


def test_a_cell_that_fails_leaves_an_empty_place(monkeypatch: pytest.MonkeyPatch) -> None:
    report = stylectl.sweep(
        "sheet.png", {"device": ["cpu", "cuda:77"]}, **{**SMALL, "device": None}
    )
    assert report.exit_code == 1
    assert [path.name for path in report.painted] == ["device=cpu.png"]
    (failed,) = report.failed
    assert failed.name.startswith("device=cuda-77-")
    assert "CUDA" in report.failed[failed]
    assert Path("sheet.png").exists()


@pytest.mark.parametrize(
    ("axes", "options", "words"),
    [
        ({"stile_weight": [1, 2]}, {}, ["stile_weight", "did you mean style_weight?"]),
        ({"style_weight": [1]}, {}, ["nothing to sweep"]),
        ({"style_weight": [1, -1]}, {}, ["style_weight -1", "greater than or equal to 0"]),
        ({"optimizer.histry": [1, 2]}, {}, ["histry", "did you mean history?"]),
        ({"strots.weight": [1, 2]}, {}, ["strots", "did you mean strotss?"]),
        ({"preset": ["draft", "papper"]}, {}, ["preset papper", "did you mean paper?"]),
        ({"seed": [1, 2]}, {"init": "content"}, ["seed 1", "no effect"]),
        ({"size": [16, 20]}, {"styles": ["gone.png"]}, ["gone.png", "no such file"]),
    ],
)
def test_every_cell_is_looked_at_before_the_first_is_painted(
    folder: Path, axes: dict[str, Any], options: dict[str, Any], words: list[str]
) -> None:
    before = names(folder)
    with pytest.raises(stylectl.UsageError) as caught:
        stylectl.sweep("sheet.png", axes, **{**SMALL, **options})
    for word in words:
        assert word in str(caught.value)
    assert names(folder) == before


@pytest.mark.parametrize("output", ["sheet.jpg", "sheet", "nowhere/sheet.png"])
def test_the_sheet_is_a_png_in_a_folder_that_exists(output: str) -> None:
    with pytest.raises(stylectl.UsageError, match=output):
        stylectl.sweep(output, {"size": [16, 20]}, **{**SMALL, "size": None})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_keeps_the_finished_cells(environment: dict[str, str], folder: Path) -> None:
    arguments = ["sweep", "photo.png", "painting.png", "-o", "sheet.png", "--json"]
    for setting in ("style_weight=1e2,1e3", "tv_weight=0,1", "size=24", "iterations=30"):
        arguments += ["--set", setting]
    # A thread is enough for so little, and does not wait for others on a busy machine.
    environment = {**environment, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "stylectl", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "cell 2 of 4: style_weight 1e3, tv_weight 0" in line:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 130, stderr
    assert "the same command resumes" in stderr
    first = json.loads(stdout)
    assert first["sheet"] is None
    assert first["painted"]
    assert first["open"]
    assert not Path("sheet.png").exists()

    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(first['painted'])} of 4 cells found finished" in done.stderr
    second = json.loads(done.stdout)
    assert second["found"] == first["painted"]
    assert second["painted"] == first["open"]
    assert second["sheet"] == "sheet.png"
    assert pixels("sheet.png").ndim == 3


def command(*arguments: str) -> int:
    """The command in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stylectl", "sweep", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
    assert isinstance(left.value.code, int)
    return left.value.code


QUICK = ["--set", "size=24", "--set", "iterations=1", "--set", "device=cpu", "-o", "sheet.png"]


def test_the_paintings_may_be_an_axis(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("photo.png", "--set", "styles=painting.png,painting.png+photo.png", *QUICK) == 0
    assert capsys.readouterr().out == "wrote sheet.png\n"
    assert len(names("sheet-cells")) == 2


def test_a_job_file_holds_for_all_cells(capsys: pytest.CaptureFixture[str]) -> None:
    Path("job.toml").write_text('content = "photo.png"\nstyles = ["painting.png"]\nscales = 1\n')
    assert command("--job", "job.toml", "--set", "seed=1,2", "--json", *QUICK) == 0
    report = json.loads(capsys.readouterr().out)
    for path in report["painted"]:
        assert read_record(Path(path))["job"]["scales"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.png", "--set", "seed=1,2"], ["needs a style image", "styles"]),
        (["photo.png", "painting.png", "--set", "content=a,b"], ["content", "no effect"]),
        (["photo.png", "painting.png", "--set", "sede=1,2"], ["sede", "did you mean seed?"]),
        (["--job", "none.toml", "--set", "seed=1,2"], ["none.toml", "no such job file"]),
    ],
)
def test_mistakes_on_the_command_line(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*arguments, *QUICK) == 2
    said = capsys.readouterr().err
    for word in words:
        assert word in said


# The drawing


def test_smaller_pictures_are_enlarged_and_long_labels_broken(folder: Path) -> None:
    Image.new("RGB", (80, 60), (255, 0, 0)).save("large.png")
    Image.new("RGB", (40, 30), (0, 0, 255)).save("small.png")
    pictures = {(0, 0): Path("large.png"), (0, 1): Path("small.png")}
    label = "style_layers relu1_1,relu2_1,relu3_1,relu4_1 " + "x" * 40
    sheet = np.asarray(draw_sheet([label, "b"], [""], pictures, 512))
    for color in ((255, 0, 0), (0, 0, 255)):
        assert (sheet == color).all(axis=2).sum() == 80 * 60
    # No text stands outside the columns.
    assert sheet.shape[1] <= 2 * 80 + 3 * 8


def test_cells_are_no_larger_than_asked(folder: Path) -> None:
    Image.new("RGB", (80, 60), (255, 0, 0)).save("large.png")
    sheet = np.asarray(draw_sheet(["a"], [""], {(0, 0): Path("large.png")}, 40))
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == 40 * 30


def test_a_sheet_that_would_fill_the_memory_is_refused(folder: Path) -> None:
    Image.new("RGB", (500, 500)).save("large.png")
    with pytest.raises(stylectl.UsageError, match="cell_size"):
        draw_sheet(["a"] * 100, ["b"] * 100, {(0, 0): Path("large.png")}, 512)


def test_the_largest_result_of_a_sheet_has_most_pixels(folder: Path) -> None:
    Image.new("RGB", (300, 100)).save("wide.png")
    Image.new("RGB", (40, 120)).save("tall.png")
    files = {(0, 0): Path("wide.png"), (0, 1): Path("tall.png")}
    sheet = draw_sheet(["a", "b"], ["c"], files, 512)
    assert sheet.width > 600


# The sheet, and what must not be lost


def test_a_sheet_does_not_replace_an_input() -> None:
    before = Path("photo.png").read_bytes()
    Path("link.png").symlink_to("photo.png")
    for name in ("photo.png", "painting.png", "link.png"):
        with pytest.raises(stylectl.UsageError, match="would overwrite an input"):
            stylectl.sweep(name, {"seed": [1, 2]}, **SMALL)
    stylectl.run(output="job.png", **SMALL)
    with pytest.raises(stylectl.UsageError, match="would overwrite an input"):
        stylectl.sweep("job.png", {"seed": [1, 2]}, job="job.png")
    assert Path("photo.png").read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [{"device": "cuda:77"}, {"max_memory": "1KB"}, {"weights": "damaged.pth"}],
    ids=["device", "memory", "weights"],
)
def test_a_sweep_that_cannot_begin_ends_before_the_first_cell(
    folder: Path, options: dict[str, Any]
) -> None:
    Path("sheet.png").write_text("old")
    Path("damaged.pth").write_text("damaged")
    with pytest.raises(stylectl.StylectlError):
        stylectl.sweep("sheet.png", {"style_weight": [1, 2]}, **{**SMALL, **options})
    assert Path("sheet.png").read_text() == "old"
    assert list(folder.glob("sheet-cells/*.png")) == []


def test_a_sheet_of_failed_cells_leaves_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All cells fail when they are written: their names are taken by folders."""
    Path("sheet.png").write_text("old")
    for seed in (1, 2):
        Path(f"sheet-cells/seed={seed}.png").mkdir(parents=True)
    report = stylectl.sweep("sheet.png", {"seed": [1, 2]}, **SMALL)
    assert len(report.failed) == 2
    assert not report.has_sheet
    assert Path("sheet.png").read_text() == "old"
    assert (
        command(
            "photo.png",
            "painting.png",
            "-o",
            "sheet.png",
            "--set",
            "seed=1,2",
            "--json",
            "--size",
            "24",
            "--device",
            "cpu",
        )
        == 1
    )
    assert json.loads(capsys.readouterr().out)["sheet"] is None


def test_a_sheet_with_a_long_name_has_a_folder_for_its_cells() -> None:
    name = "写" * 80 + ".png"
    report = stylectl.sweep(name, {"seed": [1, 2]}, **SMALL)
    assert report.exit_code == 0
    assert pixels(name).ndim == 3
