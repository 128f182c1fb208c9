from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl import ImageError, Notice, UsageError
from stylectl.tools.api.video import video as paint_clip
from stylectl.tools.clips.source import open_clip
from stylectl.tools.video.events import FrameDone, FrameStarted, VideoEvent, VideoStarted
from stylectl.tools.video.making import Video

from .conftest import HEIGHT, WIDTH, view, write_clip

#: As few steps as show what is to be shown.
QUICK: dict[str, Any] = {
    "iterations": 4,
    "frame_iterations": 2,
    "style_layers": ["relu1_1", "relu2_1"],
    "content_layers": ["relu2_2"],
    "size": 64,
}


def make(clip: Path, painting: Path | Sequence[Path], output: Path, **options: Any) -> Video:
    return paint_clip(clip, painting, output, **{**QUICK, **options})


def events_of(clip: Path, painting: Path, output: Path, **options: Any) -> list[VideoEvent]:
    events: list[VideoEvent] = []
    make(clip, painting, output, on_event=events.append, **options)
    return events


def pixels(path: Path) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def results(folder: Path) -> dict[str, str]:
    """SHA-256 of the finished frames in a work folder."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.glob("*/results/*/*.png"))
    }


def test_a_clip_becomes_a_video_of_its_length(clip: Path, painting: Path, tmp_path: Path) -> None:
    video = make(clip, painting, tmp_path / "out.mp4")
    assert (video.frames, video.size) == (4, (HEIGHT, WIDTH))
    frames = pixels(tmp_path / "out.mp4")
    assert [frame.shape for frame in frames] == [(HEIGHT, WIDTH, 3)] * 4
    changed = np.abs(frames[3].astype(int) - view(3).astype(int)).mean()
    assert changed > 2  # it is not the clip


def test_later_frames_take_over_and_make_fewer_steps(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    events = events_of(clip, painting, tmp_path / "out.mp4")
    starts = [event.starts_scene for event in events if isinstance(event, FrameStarted)]
    steps = [event.steps for event in events if isinstance(event, FrameDone)]
    assert starts == [True, False, False, False]
    assert steps == [4, 2, 2, 2]


def test_a_cut_starts_a_scene_afresh(painting: Path, tmp_path: Path) -> None:
    dark = [view(number) // 4 for number in range(2)]
    light = [255 - view(number, seed=5) // 4 for number in range(2)]
    clip = write_clip(tmp_path / "cut.mp4", [*dark, *light])
    events = events_of(clip, painting, tmp_path / "out.mp4")
    starts = [event.starts_scene for event in events if isinstance(event, FrameStarted)]
    assert starts == [True, False, True, False]


def test_a_still_clip_is_steady(painting: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "still.mp4", [view(0)] * 3)
    make(clip, painting, tmp_path / "steady.mkv", codec="ffv1", temporal_weight=1e4)
    make(clip, painting, tmp_path / "free.mkv", codec="ffv1", temporal_weight=0)

    def movement(path: Path) -> float:
        frames = [frame.astype(int) for frame in pixels(path)]
        return float(np.abs(frames[2] - frames[0]).mean())

    assert movement(tmp_path / "steady.mkv") < 0.5 * movement(tmp_path / "free.mkv")


class _Killed(BaseException):
    """Ends the making as a kill would: nothing is tidied up by stylectl."""


def test_it_goes_on_from_the_frames_so_far(clip: Path, painting: Path, tmp_path: Path) -> None:
    make(clip, painting, tmp_path / "whole.mp4")

    def kill(event: VideoEvent) -> None:
        if isinstance(event, FrameDone) and event.number == 1:
            raise _Killed

    with pytest.raises(_Killed):
        make(clip, painting, tmp_path / "out.mp4", on_event=kill)
    assert not (tmp_path / "out.mp4").exists()
    events = events_of(clip, painting, tmp_path / "out.mp4")
    started = next(event for event in events if isinstance(event, VideoStarted))
    assert started.painted == 2
    assert results(tmp_path / "out.mp4.work") == results(tmp_path / "whole.mp4.work")
    assert (tmp_path / "out.mp4").read_bytes()


def test_another_encoding_paints_nothing_again(clip: Path, painting: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    make(clip, painting, tmp_path / "out.mp4", work=work)
    events = events_of(clip, painting, tmp_path / "out.webm", work=work, crf=40)
    assert not [event for event in events if isinstance(event, FrameStarted)]
    assert len(pixels(tmp_path / "out.webm")) == 4


def test_other_settings_never_meet_former_frames(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    make(clip, painting, tmp_path / "out.mp4", work=work)
    events = events_of(clip, painting, tmp_path / "out.mp4", work=work, temporal_weight=1)
    assert len([event for event in events if isinstance(event, FrameDone)]) == 4


def test_passes_go_forward_and_backward(clip: Path, painting: Path, tmp_path: Path) -> None:
    events = events_of(clip, painting, tmp_path / "out.mp4", passes=3)
    order = [
        (event.painting_pass, event.number) for event in events if isinstance(event, FrameDone)
    ]
    assert order == [
        *((0, number) for number in (0, 1, 2, 3)),
        *((1, number) for number in (3, 2, 1, 0)),
        *((2, number) for number in (0, 1, 2, 3)),
    ]
    assert not [
        event
        for event in events_of(clip, painting, tmp_path / "out.mp4", passes=3)
        if isinstance(event, FrameDone)
    ]


def test_a_mask_may_be_a_clip(clip: Path, painting: Path, tmp_path: Path) -> None:
    half = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    half[:, WIDTH // 2 :] = 255
    mask = write_clip(tmp_path / "mask.mp4", [half] * 4)
    video = make(clip, painting, tmp_path / "out.mp4", style_mask=[str(mask)])
    assert (video.folder / "masks" / "0" / "000003.png").is_file()


def test_a_mask_of_another_length_is_refused(clip: Path, painting: Path, tmp_path: Path) -> None:
    mask = write_clip(tmp_path / "mask.mp4", [view(0)] * 3)
    with pytest.raises(UsageError, match=r"mask\.mp4: the mask has 3 frames, and .* has 4"):
        make(clip, painting, tmp_path / "out.mp4", style_mask=[str(mask)])


def test_a_clip_that_is_cut_off_gives_a_shorter_video(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    frames = [view(number) for number in range(12)]
    whole = write_clip(tmp_path / "whole.mkv", frames).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) * 9 // 10])
    for _ in range(2):  # it is said again when the frames are not read again
        events = events_of(cut, painting, tmp_path / "out.mp4")
        made = len(pixels(tmp_path / "out.mp4"))
        assert 0 < made < 12
        messages = [event.message for event in events if isinstance(event, Notice)]
        assert f"cut.mkv: the clip ends after frame {made} of it" in " ".join(messages)


def test_styles_fade_along_the_clip(clip: Path, painting: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.fromarray(255 - view(3, seed=20)).save(other)
    faded = make(
        clip,
        [painting, other],
        tmp_path / "out.mp4",
        style_weights=[1, 0],
        to=[0, 1],
        temporal_weight=0,
    )
    first = make(clip, painting, tmp_path / "first.mp4", temporal_weight=0)
    frames = [sorted(video.folder.glob("results/1/*.png")) for video in (faded, first)]
    assert frames[0][0].read_bytes() == frames[1][0].read_bytes()
    assert frames[0][3].read_bytes() != frames[1][3].read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": [1, 0]}, "`to` has 2 weights for 1 style images"),
        ({"flow": "none"}, "unknown optical flow 'none'"),
        ({"offsets": [2, 4]}, "offsets should be increasing distances from 1"),
        ({"every": 2, "fps": 5}, "every and fps exclude each other"),
        ({"start": 2, "end": 1}, "end should be after start"),
        ({"size": [64, 64]}, "size should be one number"),
        ({"stlye_weight": 1}, "there is no option 'stlye_weight'"),
        ({"codec": "none"}, "codec=none"),
        ({"color_profile": "keep"}, "`color_profile` has no effect"),
    ],
    ids=str,
)
def test_wrong_options_are_one_line_before_any_work(
    clip: Path, painting: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make(clip, painting, tmp_path / "out.mp4", **options)
    assert not (tmp_path / "out.mp4.work").exists()


def test_a_clip_that_is_too_small_is_named(painting: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        Image.fromarray(view(0)[:1, :1]).save(frames / f"{number:03}.png")
    with pytest.raises(ImageError, match="1x1 px is too small for the layer"):
        make(frames, painting, tmp_path / "out.mp4")


def test_the_video_contains_its_job(clip: Path, painting: Path, tmp_path: Path) -> None:
    make(clip, painting, tmp_path / "out.mp4", temporal_weight=7, offsets=[1, 3])
    again = paint_clip(job=tmp_path / "out.mp4", output=tmp_path / "again.mp4")
    assert again.frames == 4
    assert results(tmp_path / "out.mp4.work") == results(tmp_path / "again.mp4.work")


def write_flows(folder: Path, shift: float) -> None:
    """Flows of all neighbors of the pan, whose frames have 64x48 px."""
    folder.mkdir(exist_ok=True)
    for first in range(4):
        for second in (first - 1, first + 1):
            flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
            flow[..., 0] = shift * (first - second)
            np.save(folder / f"{first}_{second}.npy", flow)


def test_other_flow_files_make_another_video(clip: Path, painting: Path, tmp_path: Path) -> None:
    pattern = str(tmp_path / "flows" / "{first}_{second}.npy")
    options = {"flow": {"name": "files", "pattern": pattern}, "work": tmp_path / "work"}
    write_flows(tmp_path / "flows", 2)
    first = make(clip, painting, tmp_path / "out.mp4", **options)
    again = make(clip, painting, tmp_path / "out.mp4", **options)
    write_flows(tmp_path / "flows", 1)
    other = make(clip, painting, tmp_path / "out.mp4", **options)
    assert first.folder == again.folder != other.folder


def test_the_paths_of_flows_are_those_of_the_file(
    clip: Path, painting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_flows(tmp_path / "flows", 2)
    flow = {"name": "files", "pattern": "flows/{first}_{second}.npy"}
    made = make(Path(clip.name), Path(painting.name), Path("out.mp4"), flow=flow)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = paint_clip(job="../out.mp4", output="again.mp4", work=tmp_path / "out.mp4.work")
    assert again.frames == made.frames
    assert results(tmp_path / "out.mp4.work")


def test_a_weight_of_the_term_is_that_of_the_video(
    clip: Path, painting: Path, tmp_path: Path
) -> None:
    term = {"name": "temporal", "weight": 5.0}
    by_term = make(clip, painting, tmp_path / "a.mp4", term=term, work=tmp_path / "work")
    by_setting = make(clip, painting, tmp_path / "b.mp4", temporal_weight=5, work=tmp_path / "work")
    again = paint_clip(job=tmp_path / "a.mp4", output=tmp_path / "c.mp4", work=tmp_path / "work")
    assert by_term.folder == by_setting.folder == again.folder
    with pytest.raises(UsageError, match="`temporal_weight` has no effect"):
        make(clip, painting, tmp_path / "d.mp4", term=term, temporal_weight=3)


def test_transparency_is_that_of_the_clip(painting: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, : WIDTH // 2] = 255
    for number in range(2):
        image = np.dstack([view(number), alpha])
        Image.fromarray(image).save(tmp_path / "frames" / f"{number}.png")
    make(tmp_path / "frames", painting, tmp_path / "out.mov")
    with open_clip(str(tmp_path / "out.mov")) as written:
        frames = list(written.frames())
    assert len(frames) == 2
    for frame in frames:
        assert frame.alpha is not None
        np.testing.assert_allclose(frame.alpha, alpha / 255, atol=0.02)  # ProRes


def test_a_job_of_a_video_is_not_run_as_an_image(tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text("[video]\nevery = 2\n")
    with pytest.raises(UsageError, match="the job of a video; make it with `stylectl video --job`"):
        stylectl.run(job)


def test_notices_of_frames_come_once(clip: Path, painting: Path, tmp_path: Path) -> None:
    events = events_of(clip, painting, tmp_path / "out.mp4", size=2000)
    messages = [event.message for event in events if isinstance(event, Notice)]
    assert len(messages) == len({*messages})


def test_an_output_may_not_replace_an_input(clip: Path, painting: Path) -> None:
    with pytest.raises(UsageError, match="would overwrite an input"):
        make(clip, painting, clip)
    assert len(pixels(clip)) == 4


def test_the_summary_is_plain(clip: Path, painting: Path, tmp_path: Path) -> None:
    video = make(clip, painting, tmp_path / "out.mp4")
    summary = json.loads(json.dumps(video.summary()))
    assert summary["frames"] == 4
    assert summary["size"] == [WIDTH, HEIGHT]
