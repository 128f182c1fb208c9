from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from stylectl.core.errors import OutputError, UsageError
from stylectl.tools.clips.records import read_record
from stylectl.tools.clips.source import Clip, ClipOptions, Frame, open_clip
from stylectl.tools.clips.target import plan_clip
from stylectl.tools.clips.writer import ClipWriter

from .making import SIZE, clicks, picture, seconds, write_video

RECORD = json.dumps({"job": {"content": "é.png"}, "text": "<&\"'>" * 5000})
UNEVEN = [0, 0.04, 0.08, 0.5, 0.52, 1.0, 1.04]
ALPHA = np.repeat(np.linspace(0, 1, 48, dtype=np.float32)[:, None], 64, 1)


def write(
    path: Path,
    times: Sequence[float] = UNEVEN,
    alpha: np.ndarray | None = None,
    source: Clip | None = None,
    record: str | None = RECORD,
    size: tuple[int, int] = SIZE,
    fps: float = 25,
    **options: Any,
) -> tuple[str, ...]:
    """Write pictures at these times and return the notices."""
    target = plan_clip(path, size, fps, alpha=alpha is not None, **options)
    with ClipWriter(target, source, record) as writer:
        for number, start in enumerate(times):
            end = times[number + 1] if number + 1 < len(times) else start + 1 / fps
            writer.add(picture(number, size), alpha, start, end - start)
        writer.finish()
        return writer.notices


def read(path: Path, **options: Any) -> tuple[Clip, list[Frame]]:
    with open_clip(str(path), ClipOptions(**options)) as clip:
        return clip, list(clip.frames())


#: Suffix -> largest difference of smooth colors. H.264 and VP9: 8 bits, compressed; WebP: quality
#: 90; GIF: 256 colors; ProRes: 10 bits.
TOLERANCES = {
    ".mp4": 0.05,
    ".m4v": 0.05,
    ".mkv": 0.05,
    ".webm": 0.05,
    ".mov": 0.02,
    ".webp": 0.08,
    ".gif": 0.12,
    ".png": 0.003,
    ".apng": 0.003,
}


@pytest.mark.parametrize("suffix", TOLERANCES)
def test_every_suffix_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(path)
    clip, frames = read(path)
    assert clip.problems == ()
    assert [frame.time for frame in frames] == pytest.approx(UNEVEN, abs=0.001)
    # MP4 has durations in the order of decoding, so that the last may be another frame's.
    if suffix not in (".mp4", ".m4v"):
        assert frames[-1].duration == pytest.approx(0.04, abs=0.001)
    for frame in frames:
        assert np.abs(frame.pixels - picture(frame.index)).max() < TOLERANCES[suffix]
    assert read_record(path) == RECORD
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *((suffix, None) for suffix in (".mp4", ".webm", ".mov", ".mkv", ".gif", ".webp", ".png")),
        (".mp4", "hevc"),
        (".mp4", "av1"),
        (".mkv", "ffv1"),
    ],
)
def test_the_same_frames_give_the_same_bytes(
    tmp_path: Path, suffix: str, codec: str | None
) -> None:
    path = tmp_path / f"a{suffix}"
    files = set()
    for _ in range(8 if suffix == ".mp4" else 2):
        write(path, codec=codec)
        files.add(path.read_bytes())
    assert len(files) == 1


@pytest.mark.parametrize("suffix", [".webm", ".mov", ".webp", ".png", ".gif"])
def test_transparency_is_written_where_the_format_holds_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert write(path, alpha=ALPHA) == ()
    clip, frames = read(path)
    assert clip.info.has_alpha
    expected = (ALPHA >= 0.5) if suffix == ".gif" else ALPHA
    alpha = frames[2].alpha
    assert alpha is not None
    assert np.abs(alpha - expected).max() < 0.03


def test_transparency_that_is_lost_is_said(tmp_path: Path) -> None:
    (notice,) = write(tmp_path / "a.mp4", alpha=ALPHA)
    assert "holds no transparency" in notice


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "hevc"),
        (".mp4", "av1"),
        (".mov", "h264"),
        (".mkv", "ffv1"),
        (".mkv", "prores"),
        (".webm", "av1"),
    ],
)
def test_codecs_are_chosen_by_name(tmp_path: Path, suffix: str, codec: str | None) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, codec=codec)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == codec
    _, frames = read(path)
    tolerance = 1e-4 if codec == "ffv1" else 0.06
    assert np.abs(frames[1].pixels - picture(1)).max() < tolerance
    assert len(frames) == len(UNEVEN)


def test_an_mp4_is_tagged_converted_and_fast_to_start(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    gray = np.full((*SIZE, 3), [0.8, 0.3, 0.1], np.float32)
    with ClipWriter(plan_clip(path, SIZE, 25, crf=1)) as writer:
        writer.add(gray, None, 0, 0.04)
        writer.finish()
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name == "yuv420p"
        tags = frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range
        assert tags == (1, 1, 1, 1)
        luma = 0.2126 * 0.8 + 0.7152 * 0.3 + 0.0722 * 0.1
        expected = [
            16 + 219 * luma,
            128 + 224 * (0.1 - luma) / 1.8556,
            128 + 224 * (0.8 - luma) / 1.5748,
        ]
        for plane, value in zip(frame.planes, expected, strict=True):
            assert abs(np.frombuffer(bytes(plane), np.uint8)[0] - value) <= 1


def test_odd_sides_are_made_even_and_said(tmp_path: Path) -> None:
    (notice,) = write(tmp_path / "a.mp4", size=(47, 65))
    assert "66x48 px instead of 65x47" in notice
    _, frames = read(tmp_path / "a.mp4")
    assert frames[0].pixels.shape == (48, 66, 3)
    assert write(tmp_path / "a.mov", size=(47, 65)) == ()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.avi", {}, "no clip has the suffix"),
        ("a.mp4", {"codec": "vp8"}, "not for .mp4"),
        ("a.mp4", {"crf": 99}, "to 51"),
        ("a.mov", {"crf": 5}, "no effect"),
        ("a.gif", {"crf": 5}, "for videos"),
        ("a.mp4", {"bits": 16}, "numbered images"),
        ("none/a.mp4", {}, "no folder"),
        ("frames/%05d.jpg", {}, "numbered images are"),
        ("frames/%05d-%d.png", {}, "one number"),
        ("a.webp", {"size": (20000, 10)}, "at most 16383"),
        ("a.mp4", {"fps": 0}, "fps"),
    ],
)
def test_what_cannot_be_written_is_refused_before(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan_clip(tmp_path / name, **{"size": SIZE, **options})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "bits", "tolerance"),
    [("%04d.png", None, 0.003), ("%04d.png", 16, 0.004), ("%04d.tif", None, 0.004)],
)
def test_numbered_images_are_read_as_they_were_written(
    tmp_path: Path, name: str, bits: int | None, tolerance: float
) -> None:
    path = tmp_path / "frames" / name
    write(path, times=[0, 0.04, 0.08], alpha=ALPHA, bits=bits)
    assert len(list((tmp_path / "frames").iterdir())) == 3
    _, frames = read(path)
    assert [frame.time for frame in frames] == [0, 0.04, 0.08]
    for frame in frames:
        assert np.abs(frame.pixels - picture(frame.index)).max() < tolerance
        assert frame.alpha is not None
        assert np.abs(frame.alpha - ALPHA).max() < 0.005
    if name.endswith("png"):
        assert read_record(tmp_path / "frames" / "0001.png") == RECORD
    with pytest.raises(UsageError, match="has numbered images already"):
        plan_clip(path, SIZE)


def test_a_folder_is_filled_with_png(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "notes.txt").write_text("mine")
    write(tmp_path / "frames", times=[0, 0.04])
    names = sorted(file.name for file in (tmp_path / "frames").iterdir())
    assert names == ["00001.png", "00002.png", "notes.txt"]
    assert [file.name for file in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize("name", ["a.mp4", "a.webp", "a.png", "frames/%05d.png"])
def test_an_unfinished_clip_leaves_nothing(tmp_path: Path, name: str) -> None:
    target = plan_clip(tmp_path / name, SIZE)
    with ClipWriter(target) as writer:
        writer.add(picture(), None, 0, 0.04)
    with ClipWriter(target) as writer, pytest.raises(OutputError, match="no frame"):
        writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_former_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"former")
    with ClipWriter(plan_clip(path, SIZE)) as writer:
        writer.add(picture(), None, 0, 0.04)
    assert path.read_bytes() == b"former"
    write(path)
    assert len(read(path)[1]) == len(UNEVEN)


@pytest.mark.subprocess
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9")
def test_what_a_kill_leaves_is_removed_by_the_next_plan(tmp_path: Path) -> None:
    code = (
        "import sys, time; import numpy as np;"
        "from stylectl.tools.clips.target import plan_clip;"
        "from stylectl.tools.clips.writer import ClipWriter;"
        "w = ClipWriter(plan_clip(sys.argv[1], (48, 64)));"
        "[w.add(np.zeros((48, 64, 3), np.float32), None, n / 25, .04) for n in range(60)];"
        "print('here', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.mp4")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "a.mp4").exists()
    plan_clip(tmp_path / "a.mp4", SIZE)
    assert list(tmp_path.iterdir()) == []


def test_sound_subtitles_and_chapters_are_copied(tmp_path: Path) -> None:
    source = tmp_path / "source.mkv"
    write_video(
        source,
        frames=40,
        audio=True,
        subtitles=[(0.2, "one"), (2, "two")],
        chapters=[(0, 1.5, "first"), (1.5, 4, "second")],
    )
    clip, frames = read(source)
    assert (clip.info.has_audio, clip.info.has_subtitles, clip.info.has_chapters) == (True,) * 3
    times = [frame.time for frame in frames]
    assert write(tmp_path / "a.mkv", times=times, source=clip, fps=10) == ()
    assert clicks(tmp_path / "a.mkv") == pytest.approx(clicks(source), abs=0.002)
    with av.open(str(tmp_path / "a.mkv")) as container:
        titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
        assert titles == ["first", "second"]
        stream = container.streams.subtitles[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert [bytes(packet) for packet in packets] == [b"one", b"two"]
        assert seconds(packets[1]) == pytest.approx(2, abs=0.025)
    (notice,) = write(tmp_path / "a.mp4", times=times, source=clip, fps=10)
    assert "does not hold the subtitle stream" in notice
    assert clicks(tmp_path / "a.mp4") == pytest.approx(clicks(source), abs=0.002)
    notices = write(tmp_path / "a.webm", times=times, source=clip, fps=10)
    assert len(notices) == 2


@pytest.mark.parametrize("offset", [0, 3 * 3600])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_sound_is_cut_in_step_with_the_frames(tmp_path: Path, suffix: str, offset: int) -> None:
    source = tmp_path / "source.mkv"
    write_video(
        source,
        frames=40,
        audio=True,
        offset=offset,
        chapters=[(offset, offset + 1.5, "first"), (offset + 1.5, offset + 4, "second")],
    )
    clip, frames = read(source, start=1.0, end=3.0)
    path = tmp_path / f"a{suffix}"
    write(path, times=[frame.time for frame in frames], source=clip, fps=10)
    # The clicks at 1.5 and 2.5 s; those at 0.5 and 3.5 are cut off.
    assert clicks(path) == pytest.approx([0.5, 1.5], abs=0.03)
    with av.open(str(path)) as container:
        assert float(container.streams.audio[0].duration or 0) >= 0
        spans = [
            [
                float(time * (chapter["time_base"] or 0))
                for time in (chapter["start"], chapter["end"])
            ]
            for chapter in container.chapters()
        ]
    assert np.array(spans) == pytest.approx(np.array([[0, 0.5], [0.5, 2]]), abs=0.05)


def test_a_file_without_a_record_has_none(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", record=None)
    write(tmp_path / "a.gif", record=None)
    assert read_record(tmp_path / "a.mp4") is None
    assert read_record(tmp_path / "a.gif") is None


def test_rates_of_ntsc_are_exact(tmp_path: Path) -> None:
    fps = Fraction(24000, 1001)
    write(tmp_path / "a.mp4", times=[n / float(fps) for n in range(5)], fps=float(fps))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        times = [seconds(packet) for packet in container.demux(stream) if packet.size]
    assert sorted(times) == [float(n / fps) for n in range(5)]


@pytest.mark.parametrize("name", ["%04d.png", "%04d.tif"])
def test_dark_frames_of_16_bits_stay_dark(tmp_path: Path, name: str) -> None:
    path = tmp_path / "frames" / name
    with ClipWriter(plan_clip(path, SIZE, bits=16)) as writer:
        for number, level in enumerate([0.5, 0.04, 0.01, 0]):
            writer.add(np.full((*SIZE, 3), level, np.float32), None, number / 25, 0.04)
        writer.finish()
    clip, frames = read(path)
    assert clip.problems == ()
    levels = [float(frame.pixels.mean()) for frame in frames]
    assert levels == pytest.approx([0.5, 0.04, 0.01, 0], abs=1 / 255)
