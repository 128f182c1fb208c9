from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from stylectl.core.errors import OutputError, UsageError
from stylectl.core.interfaces.result import Result, Snapshot
from stylectl.core.interfaces.specs import WriterArguments
from stylectl.core.planning.registry import Registry

Write = Callable[..., Path]
SHORT = {"seconds": 1, "fps": 10, "hold": 0.5}


def gif_frames(path: Path) -> list[tuple[np.ndarray, int]]:
    """Each frame (RGBA) and its milliseconds."""
    frames = []
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append((np.asarray(image.convert("RGBA")), image.info["duration"]))
    return frames


def mp4_frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [
            frame.reformat(
                format="rgb24", src_colorspace="ITU709", dst_color_range="JPEG"
            ).to_ndarray()
            for frame in container.decode(video=0)
        ]


def level(frame: np.ndarray) -> float:
    return float(frame[..., :3].mean())


# GIF


def test_a_gif_goes_the_way_and_stays_at_the_picture(
    result: Result, snapshots: list[Snapshot], write: Write
) -> None:
    path = write(result, "out.gif", SHORT, snapshots)
    frames = gif_frames(path)
    assert [duration for _, duration in frames] == [100] * 10 + [500]
    assert [level(frame) for frame, _ in frames[:-1]] == [20 * step for step in range(10)]
    assert {frame.shape for frame, _ in frames} == {(30, 41, 4)}
    # 256 colors for a picture with more of them.
    assert np.abs(frames[-1][0][..., :3] / 255 - result.image).mean() < 0.04
    with Image.open(path) as image:
        assert image.info["loop"] == 0


def test_a_gif_takes_no_longer_than_it_is_told(
    result: Result, snapshots: list[Snapshot], write: Write
) -> None:
    # A frame of 1/12 s is no whole number of GIF's hundredths.
    options = {"seconds": 1, "fps": 12, "hold": 1}
    frames = gif_frames(write(result, "out.gif", options, snapshots))
    assert sum(duration for _, duration in frames) == 2000


def test_many_snapshots_are_thinned(
    result: Result, snapshots: list[Snapshot], write: Write
) -> None:
    frames = gif_frames(write(result, "out.gif", {**SHORT, "fps": 5}, snapshots))
    assert len(frames) == 6
    assert [level(frame) for frame, _ in frames[:-1]] == [20, 60, 100, 140, 180]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_few_snapshots_stay_longer(
    result: Result, snapshots: list[Snapshot], write: Write, kept: int
) -> None:
    frames = gif_frames(write(result, "out.gif", SHORT, snapshots[:kept]))
    assert len(frames) == kept + 1
    assert sum(duration for _, duration in frames) == (1500 if kept else 500)


def test_a_gif_is_clear_where_the_picture_is(
    clear_result: Result, snapshots: list[Snapshot], write: Write
) -> None:
    frames = gif_frames(write(clear_result, "out.gif", SHORT, snapshots))
    assert len(frames) == 11
    for frame, _ in frames:
        assert (frame[:, :20, 3] == 0).all()
        assert (frame[:, 20:, 3] == 255).all()


# MP4


def test_a_film_goes_the_way_and_stays_at_the_picture(
    result: Result, snapshots: list[Snapshot], write: Write
) -> None:
    frames = mp4_frames(write(result, "out.mp4", SHORT, snapshots))
    assert len(frames) == 15
    assert {frame.shape for frame in frames} == {(30, 40, 3)}
    # Lossy, and the levels of limited range are coarser: some steps of 255.
    for step, frame in enumerate(frames[:10]):
        assert abs(level(frame) - 20 * step) < 4
    for frame in frames[10:]:
        assert np.abs(frame.mean((0, 1)) / 255 - result.image.mean((0, 1))).max() < 0.02


def test_a_film_says_how_it_is_to_be_shown(
    result: Result, snapshots: list[Snapshot], write: Write
) -> None:
    path = write(result, "out.mp4", SHORT, snapshots)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        tags = codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range
        assert tags == (1, 1, 1, 1)  # BT.709, limited range
        assert stream.average_rate == 10
        assert container.duration == 1_500_000
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")  # a browser can start at once


@pytest.mark.parametrize("size", [(1, 30), (17, 3), (31, 33)])
@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_odd_sizes(result: Result, write: Write, size: tuple[int, int], suffix: str) -> None:
    odd = replace(result, image=np.full((*size, 3), 0.5, np.float32))
    snapshot = Snapshot(0, 0, 0.0, np.full((2, 3, 3), 128, np.uint8))
    path = write(odd, f"out{suffix}", SHORT, [snapshot])
    if suffix == ".gif":
        assert gif_frames(path)[-1][0].shape == (*size, 4)
    else:
        height, width = (max(2, side - side % 2) for side in size)
        assert {frame.shape for frame in mp4_frames(path)} == {(height, width, 3)}


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_the_long_side_can_be_limited(
    result: Result, snapshots: list[Snapshot], write: Write, suffix: str
) -> None:
    path = write(result, f"out{suffix}", {**SHORT, "side": 20}, snapshots)
    if suffix == ".gif":
        assert gif_frames(path)[0][0].shape == (15, 20, 4)
    else:
        assert mp4_frames(path)[0].shape == (14, 20, 3)


@pytest.mark.parametrize("name", ["a%03d.mp4", "file:a.mp4", "a b'c.mp4"])
def test_a_name_is_a_name(result: Result, write: Write, name: str) -> None:
    if sys.platform == "win32" and ":" in name:
        pytest.skip("no name for Windows")
    write(result, name, SHORT)
    assert [path.name for path in Path().iterdir()] == [name]


def test_without_pyav_a_film_is_refused_before_the_run(
    result: Result, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"\.mp4 needs PyAV.*pip install 'stylectl\[video\]'"):
        write(result, "out.mp4")
    assert write(result, "out.gif").is_file()


def test_as_many_snapshots_are_wanted_as_there_are_frames(registry: Registry) -> None:
    for name in ("gif", "mp4"):
        spec = registry.writers.get(name)
        assert spec.create(WriterArguments(options=spec.options(seconds=3, fps=10))).snapshots == 30


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
@pytest.mark.parametrize("suffix", [".gif", ".mp4", ".tif", ".npy", ".json", ".html", ".png"])
def test_a_disk_that_fills_up_leaves_the_old_file(
    result: Result, write: Write, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    import resource
    import signal

    noise = np.random.default_rng(0).random((200, 200, 3), np.float32)
    path = Path(f"out{suffix}")
    path.write_text("old")
    options = {"bits": 16} if suffix == ".png" else {}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write(replace(result, image=noise), path.name, options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert [each.name for each in Path().iterdir()] == [path.name]
