"""The report and the contact sheet of videos."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stylectl import UsageError
from stylectl.tools.api.video import video as paint_clip
from stylectl.tools.video.events import FrameStarted, StageProgress, VideoEvent
from stylectl.tools.video.making import Video
from torch.nn import functional

WIDTH, HEIGHT = 64, 48

#: As few steps as show what is to be shown.
QUICK: dict[str, Any] = {
    "iterations": 4,
    "frame_iterations": 2,
    "style_layers": ["relu1_1", "relu2_1"],
    "content_layers": ["relu2_2"],
    "size": 64,
}


def texture(seed: int, shift: int = 0) -> np.ndarray:
    """A smooth texture, moved to the left by `shift` pixels."""
    noise = torch.rand(1, 3, 12, 40, generator=torch.Generator().manual_seed(seed))
    smooth = functional.interpolate(noise, (HEIGHT, 160), mode="bicubic").clamp(0, 1)
    pixels = (smooth[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return pixels[:, shift : shift + WIDTH]


def write_images(folder: Path, images: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Three frames of a pan, a cut to a dark scene, and two frames of it."""
    pan = [texture(1, 2 * number) for number in range(3)]
    return write_images(tmp_path / "clip", [*pan, texture(2) // 4, texture(2, 1) // 4])


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    Image.fromarray(texture(9)).save(tmp_path / "painting.png")
    return tmp_path / "painting.png"


def make(clip: Path, painting: Path, output: Path, **options: Any) -> Video:
    return paint_clip(clip, painting, output, **{**QUICK, **options})


def test_a_report_compares_with_frames_painted_by_themselves(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    sheet = tmp_path / "sheet.png"
    made = make(clip, painting, tmp_path / "out.gif", report=page, contact_sheet=sheet)
    text = page.read_text()
    assert "clip in the style of painting" in text
    assert "2 scenes" in text
    assert "frames 1 to 3" in text
    assert "temporal_weight" not in text  # a default
    assert "frame_iterations = 2" in text
    row = re.search(r"1 frame</th>(.*?)</tr>", text, re.DOTALL)
    assert row is not None
    cells = re.findall(r'<td class="n">(.*?)</td>', row[1])
    assert len(cells) == 7
    result, single, ratio = (float(cell) for cell in cells[4:])
    assert result < single
    assert ratio == pytest.approx(result / single, rel=0.02)  # all have three digits
    images = re.findall(r'src="(.*?)"', text)
    assert len(images) == 9
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in images)
    assert not re.search(r"""(?:href|src)=["'](?!data:)|url\(|@import""", text)
    assert sorted(file.name for file in (made.folder / "single").iterdir()) == [
        "000000.png",
        "000001.png",
        "000002.png",
    ]
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert image.width > 4 * WIDTH
        assert image.height > 2 * HEIGHT


def test_a_frame_painted_by_itself_is_as_if_a_scene_began(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    made = make(clip, painting, tmp_path / "out.gif", report=tmp_path / "report.html")
    first, single = made.folder / "results/1/000000.png", made.folder / "single/000000.png"
    assert first.read_bytes() == single.read_bytes()


def test_a_report_goes_on_from_the_frames_that_are_there(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    made = make(clip, painting, tmp_path / "out.gif", report=page)
    before = page.read_text()
    kept = {file: file.read_bytes() for file in (made.folder / "single").iterdir()}
    (made.folder / "single" / "000001.png").unlink()
    events: list[VideoEvent] = []
    make(clip, painting, tmp_path / "out.gif", report=page, on_event=events.append)
    assert {file: file.read_bytes() for file in kept} == kept
    assert not any(isinstance(event, FrameStarted) for event in events)
    assert [event.done for event in stages(events, "comparing")] == [3]
    assert stages(events, "measuring")[-1].done == stages(events, "measuring")[-1].frames
    assert page.read_text() == before


def stages(events: list[VideoEvent], stage: str) -> list[StageProgress]:
    return [event for event in events if isinstance(event, StageProgress) and event.stage == stage]


def test_a_single_frame_has_a_report_without_figures(painting: Path, tmp_path: Path) -> None:
    clip = write_images(tmp_path / "still", [texture(1)])
    files = {"report": tmp_path / "report.html", "contact_sheet": tmp_path / "sheet.png"}
    made = make(clip, painting, tmp_path / "out.gif", **files)
    text = files["report"].read_text()
    assert "1 frame of 64 × 48 px" in text
    assert "nothing was painted frame by frame" in text
    assert not (made.folder / "single").exists()
    assert files["contact_sheet"].is_file()


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("report", "report.txt", r"`report` is written as \.html"),
        ("contact_sheet", "sheet.jpg", r"`contact_sheet` is written as \.png"),
        ("report", "nowhere/report.html", "there is no folder"),
        ("contact_sheet", "out.png", "the video has this name"),
        ("contact_sheet", "painting.png", "would overwrite an input"),
        ("contact_sheet", "clip/sheet.png", "among the numbered images"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_first_frame(
    clip: Path, painting: Path, tmp_path: Path, option: str, name: str, message: str
) -> None:
    events: list[VideoEvent] = []
    output = tmp_path / "out.png"
    with pytest.raises(UsageError, match=message):
        make(clip, painting, output, on_event=events.append, **{option: tmp_path / name})
    assert not events
    assert not output.exists()


def test_a_contact_sheet_does_not_lie_among_the_results(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "out" / "sheet.png"
    sheet.parent.mkdir()
    with pytest.raises(UsageError, match="among the numbered images"):
        make(clip, painting, tmp_path / "out", contact_sheet=sheet)
