from __future__ import annotations

import socket
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from stylectl.core.errors import ImageError, UsageError
from stylectl.tools.clips.source import Clip, ClipOptions, Frame, open_clip

from .making import SIZE, picture, write_video

LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def read(path: Path, first: int = 0, **options: Any) -> tuple[Clip, list[Frame]]:
    """Return the clip and its frames."""
    with open_clip(str(path), ClipOptions(**options)) as clip:
        return clip, list(clip.frames(first))


def times(frames: Sequence[Frame]) -> list[float]:
    return [round(frame.time, 6) for frame in frames]


def test_a_video_is_read_with_its_times_and_colors(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=5)
    clip, frames = read(tmp_path / "a.mp4")
    assert times(frames) == [0, 0.1, 0.2, 0.3, 0.4]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert all(frame.duration == pytest.approx(0.1) for frame in frames)
    assert (clip.info.width, clip.info.height, clip.info.fps) == (64, 48, Fraction(10))
    assert (clip.info.kind, clip.info.has_audio, clip.info.has_alpha) == ("video", False, False)
    assert clip.problems == ()
    for frame in frames:
        assert frame.pixels.dtype == np.float32
        # crf 1 and chroma of half the sides, of smooth colors
        assert np.abs(frame.pixels - picture(frame.index)).max() < 0.03


def test_a_frame_is_the_same_however_it_is_reached(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=8)
    _, frames = read(tmp_path / "a.mp4")
    _, later = read(tmp_path / "a.mp4", first=5)
    assert [frame.index for frame in later] == [5, 6, 7]
    for one, other in zip(frames[5:], later, strict=True):
        assert (one.pixels == other.pixels).all()
        assert (one.time, one.duration) == (other.time, other.duration)


@pytest.mark.parametrize("audio_first", [False, True])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts"])
def test_a_clip_with_sound_is_read_to_its_last_frame(
    tmp_path: Path, suffix: str, audio_first: bool
) -> None:
    path = tmp_path / f"a.{suffix}"
    write_video(path, frames=12, audio=True, audio_first=audio_first)
    clip, frames = read(path)
    assert len(frames) == 12
    assert clip.problems == ()


def test_a_clip_without_composition_times_keeps_its_length(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, frames=20, options={"crf": "1", "bf": "2", "b_strategy": "0"})
    data = path.read_bytes()
    assert b"ctts" in data
    path.write_bytes(data.replace(b"ctts", b"free").replace(b"edts", b"free"))
    clip, frames = read(path)
    assert clip.problems == ()
    assert len(frames) == 20
    # The first frame may be shown for as long as the decoder held it back.
    assert frames[-1].time == pytest.approx(1.9, abs=0.21)
    blue = [round(float(frame.pixels[24, 32, 2]) * 10) for frame in frames]
    assert blue == [number % 10 for number in range(20)]


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    uneven = [0, 0.04, 0.08, 0.5, 0.52, 1.0]
    write_video(tmp_path / "a.mkv", frames=6, times=uneven)
    _, frames = read(tmp_path / "a.mkv")
    assert times(frames) == uneven


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_times_are_counted_from_the_first_frame_after_hours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write_video(path, frames=5, offset=3 * 3600)
    clip, frames = read(path)
    assert times(frames) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-3)
    assert clip.problems == ()
    assert clip.info.frames in (5, 6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": 0.2, "end": 0.6}, [2, 3, 4, 5]),
        ({"start": 0.25}, [3, 4, 5, 6, 7, 8, 9]),
        ({"end": 0.3}, [0, 1, 2]),
        ({"every": 3}, [0, 3, 6, 9]),
        ({"start": 0.1, "every": 4}, [1, 5, 9]),
        ({"fps": 5}, [0, 2, 4, 6, 8]),
        ({"fps": 20, "end": 0.2}, [0, 0, 1, 1]),
    ],
)
def test_the_part_that_is_asked_for_is_taken(
    tmp_path: Path, options: dict[str, Any], expected: list[int]
) -> None:
    write_video(tmp_path / "a.mp4", frames=10)
    clip, frames = read(tmp_path / "a.mp4", **options)
    blue = [round(float(frame.pixels[24, 32, 2]) * 10) for frame in frames]
    assert blue == expected
    assert frames[0].time == 0
    assert clip.info.frames == pytest.approx(len(frames), abs=1)
    length = frames[-1].time + frames[-1].duration
    assert length == pytest.approx(clip.info.duration, abs=0.051)


def test_ticks_of_a_millisecond_lose_no_frame_at_a_constant_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", frames=9, fps=30)
    for options in ({"fps": 30}, {"start": 1 / 30, "end": 7 / 30}):
        _, frames = read(tmp_path / "a.mkv", **options)
        blue = [round(float(frame.pixels[24, 32, 2]) * 10) for frame in frames]
        assert blue == (list(range(9)) if "fps" in options else [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    "options",
    [
        {"start": -1},
        {"end": 0},
        {"start": 2, "end": 1},
        {"every": 0},
        {"fps": 0},
        {"fps": float("nan")},
        {"fps": 5, "every": 2},
        {"start": float("inf")},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ClipOptions(**options)


def test_a_start_after_the_end_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=3)
    with pytest.raises(UsageError, match="no frame between `start=9`"):
        open_clip(str(tmp_path / "a.mp4"), ClipOptions(start=9))


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_a_turned_clip_is_read_upright(tmp_path: Path, degrees: int, turns: int) -> None:
    write_video(tmp_path / "a.mp4", frames=1, rotation=degrees)
    clip, (frame,) = read(tmp_path / "a.mp4")
    upright = np.rot90(picture(0), turns)
    assert frame.pixels.shape == upright.shape
    assert (clip.info.height, clip.info.width) == upright.shape[:2]
    assert np.abs(frame.pixels - upright).max() < 0.03


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=1, tags={"sample_aspect_ratio": Fraction(3, 2)})
    clip, (frame,) = read(tmp_path / "a.mp4")
    assert frame.pixels.shape == (48, 96, 3)
    assert "not square" in clip.info.notices[0]


#: Code points of H.273 -> factors of red and blue.
MATRICES = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_matrix_and_range_are_those_of_the_clip(
    tmp_path: Path, matrix: int, full: bool, bits: int
) -> None:
    red, blue = MATRICES[matrix]
    colors = np.array([[0.8, 0.3, 0.1], [0.1, 0.7, 0.4], [0.2, 0.2, 0.9], [1, 1, 1], [0, 0, 0]])
    luma = colors @ [red, 1 - red - blue, blue]
    chroma = [(colors[:, 2] - luma) / (2 - 2 * blue), (colors[:, 0] - luma) / (2 - 2 * red)]
    unit = 2 ** (bits - 8)
    if full:
        values = [luma * (2**bits - 1)] + [c * (2**bits - 1) + 128 * unit for c in chroma]
    else:
        values = [luma * 219 * unit + 16 * unit] + [c * 224 * unit + 128 * unit for c in chroma]
    dtype = np.uint8 if bits == 8 else np.uint16
    stripes = [
        np.repeat(np.rint(v).clip(0, 2**bits - 1).astype(dtype)[None], 48, 0) for v in values
    ]
    planes = [np.repeat(stripe, 13, axis=1)[:, :64] for stripe in stripes]
    name = "yuv444p" if bits == 8 else "yuv444p10le"
    write_video(
        tmp_path / "a.mkv",
        frames=1,
        codec="ffv1",
        pixel_format=name,
        options={},
        planes=lambda n: planes,
        tags={"colorspace": matrix, "color_range": 2 if full else 1},
    )
    _, (frame,) = read(tmp_path / "a.mkv")
    # Half a level of the file in luma and in chroma, whose factor is at most 2.
    tolerance = 2 / (2**bits - 1)
    for place, color in enumerate(colors):
        assert np.abs(frame.pixels[24, 13 * place + 5] - color).max() < tolerance


def test_ten_bits_show_no_bands(tmp_path: Path) -> None:
    ramp = np.repeat((np.arange(64, dtype=np.uint16) + 400)[None], 48, 0)
    gray = [ramp, np.full((24, 32), 512, np.uint16), np.full((24, 32), 512, np.uint16)]
    write_video(
        tmp_path / "a.mkv",
        frames=1,
        codec="ffv1",
        pixel_format="yuv420p10le",
        options={},
        planes=lambda n: gray,
        tags={"colorspace": 1, "color_range": 1},
    )
    _, (frame,) = read(tmp_path / "a.mkv")
    assert len(np.unique(frame.pixels[20, :, 1])) == 64
    expected = (ramp[20] / 4 - 16) / 219
    assert np.abs(frame.pixels[20, :, 1] - expected).max() < 1e-3


def test_gray_and_rgb_video_are_read(tmp_path: Path) -> None:
    level = np.full(SIZE, 77, np.uint8)
    write_video(tmp_path / "g.mkv", 1, "ffv1", "gray", {}, planes=lambda n: [level])
    _, (frame,) = read(tmp_path / "g.mkv")
    assert np.abs(frame.pixels - 77 / 255).max() < 1e-6
    write_video(
        tmp_path / "r.mkv",
        1,
        "ffv1",
        "gbrp16le",
        {},
        planes=lambda n: [level * np.uint16(257) + np.uint16(257 * step) for step in (0, 50, 100)],
    )
    _, (frame,) = read(tmp_path / "r.mkv")
    assert frame.pixels[3, 3] == pytest.approx(np.array([177, 77, 127]) / 255, abs=1e-3)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG"), (8, "linear")])
def test_transfer_functions_of_no_display_are_refused(
    tmp_path: Path, transfer: int, name: str
) -> None:
    write_video(tmp_path / "a.mkv", frames=1, tags={"color_trc": transfer})
    with pytest.raises(ImageError, match=name):
        open_clip(str(tmp_path / "a.mkv"))


def test_wide_primaries_are_converted(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", frames=1, tags={"color_primaries": 9})
    clip, (frame,) = read(tmp_path / "a.mkv")
    assert "BT.2020" in clip.info.notices[0]
    middle = frame.pixels[24, 32]
    assert middle[0] > picture()[24, 32, 0] - 0.02
    gray = frame.pixels[..., :2].mean()
    assert gray == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx", "prores_ks"])
def test_transparency_is_read(tmp_path: Path, codec: str) -> None:
    deep = codec == "prores_ks"
    column: np.ndarray = np.rint(np.linspace(0, 1023 if deep else 255, 48)).astype(
        np.uint16 if deep else np.uint8
    )
    alpha = np.repeat(column[:, None], 64, 1)

    def planes(number: int) -> list[np.ndarray]:
        if deep:
            return [np.full(SIZE, 500, np.uint16)] * 3 + [alpha]
        return [np.full(SIZE, 99, np.uint8)] + [np.full((24, 32), 99, np.uint8)] * 2 + [alpha]

    path = tmp_path / ("a.mov" if deep else "a.webm")
    options = {"profile": "4444"} if deep else {"auto-alt-ref": "0", "crf": "4", "b": "0"}
    write_video(path, 3, codec, "yuva444p10le" if deep else "yuva420p", options, planes=planes)
    clip, frames = read(path)
    assert clip.info.has_alpha
    assert len(frames) == 3
    read_alpha = frames[1].alpha
    assert read_alpha is not None
    assert np.abs(read_alpha - alpha / (1023 if deep else 255)).max() < 0.03


def test_an_interlaced_clip_is_refused_or_deinterlaced(tmp_path: Path) -> None:
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1", "crf": "1"}
    write_video(tmp_path / "a.mp4", frames=6, options=options)
    with pytest.raises(ImageError, match="`deinterlace=True`"):
        open_clip(str(tmp_path / "a.mp4"))
    _, frames = read(tmp_path / "a.mp4", deinterlace=True)
    assert times(frames) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert np.abs(frames[2].pixels - picture(2))[4:-4].max() < 0.06


def test_a_truncated_clip_gives_the_frames_before(tmp_path: Path) -> None:
    whole, cut = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write_video(whole, frames=40, options={"crf": "1", "g": "5", "bf": "0"})
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    clip, frames = read(cut)
    _, all_frames = read(whole)
    assert 5 < len(frames) < 35
    assert len(clip.problems) == 1
    assert f"ends after frame {len(frames)}" in clip.problems[0]
    for one, other in zip(frames, all_frames, strict=False):
        assert (one.pixels == other.pixels).all()


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_truncated_mp4_is_said_to_be_so(tmp_path: Path, share: float) -> None:
    whole, cut = tmp_path / "a.mp4", tmp_path / "b.mp4"
    write_video(whole, frames=40, movflags="+faststart")
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    clip, frames = read(cut)
    assert 5 < len(frames) < 40
    assert clip.problems


def test_every_frame_before_a_missing_part_is_used(tmp_path: Path) -> None:
    whole, cut = tmp_path / "a.mp4", tmp_path / "b.mp4"
    write_video(whole, frames=6, options={"crf": "1", "g": "1"}, movflags="+faststart")
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    assert packets[3].pos is not None
    cut.write_bytes(whole.read_bytes()[: packets[3].pos + 20])
    clip, frames = read(cut)
    assert len(frames) == 3
    assert "ends after frame 3" in clip.problems[0]
    assert len(clip.problems) == 1


def test_damaged_bytes_end_the_clip(tmp_path: Path) -> None:
    whole = tmp_path / "a.mkv"
    write_video(whole, frames=40, options={"crf": "1", "g": "5"})
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = np.random.default_rng(0).integers(0, 256, 600, np.uint8).tobytes()
    whole.write_bytes(data)
    clip, frames = read(whole)
    assert 3 < len(frames) < 40
    assert clip.problems
    for frame in frames:
        assert np.abs(frame.pixels - picture(frame.index)).max() < 0.05


def test_a_change_of_size_ends_the_clip(tmp_path: Path) -> None:
    write_video(tmp_path / "a.ts", frames=5)
    write_video(tmp_path / "b.ts", frames=5, size=(24, 32), offset=0.5)
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    clip, frames = read(both)
    assert len(frames) == 5
    assert "32x24 px instead of 64x48" in clip.problems[0]


def test_timestamps_that_jump_back_are_said(tmp_path: Path) -> None:
    write_video(tmp_path / "a.ts", frames=5, offset=5)
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() * 2)
    clip, frames = read(both)
    assert len(frames) == 10
    assert times(frames) == pytest.approx([n / 10 for n in range(10)], abs=1e-3)
    assert "jump back" in clip.problems[0]


def test_a_clip_of_one_pixel_is_read(tmp_path: Path) -> None:
    level = np.full((1, 1), 77, np.uint8)
    write_video(tmp_path / "a.mkv", 2, "ffv1", "gray", {}, size=(1, 1), planes=lambda n: [level])
    _, frames = read(tmp_path / "a.mkv")
    assert frames[1].pixels.shape == (1, 1, 3)


def test_too_many_pixels_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=1)
    with pytest.raises(ImageError, match="more than 1000 pixels"):
        open_clip(str(tmp_path / "a.mp4"), ClipOptions(max_pixels=1000))


def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path) -> None:
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (tmp_path / "text.mp4").write_text("hello " * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("sound.mp4", "text.mp4", "empty.mp4"):
        with pytest.raises(ImageError) as error:
            open_clip(str(tmp_path / name))
        assert str(error.value).startswith(str(tmp_path / name))
        assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="no such clip"):
        open_clip(str(tmp_path / "none.mp4"))


def test_a_video_of_no_frames_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", frames=10)
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data[: data.find(b"\x1f\x43\xb6\x75")])
    with pytest.raises(ImageError, match="not a video"):
        open_clip(str(tmp_path / "b.mkv"))


def test_playlists_and_addresses_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.ts", frames=5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        lists = {
            "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n",
            "a.txt": f"ffconcat version 1.0\nfile {tmp_path / 'a.ts'}\n",
            "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5000 RTP/AVP 96\n",
            "a.mpd": f'<?xml version="1.0"?><MPD><BaseURL>{address}</BaseURL></MPD>',
        }
        for name, text in lists.items():
            (tmp_path / name).write_text(text)
            with pytest.raises(ImageError, match="playlist"):
                open_clip(str(tmp_path / name))
        # Hidden behind text by which FFmpeg still takes it for a list.
        (tmp_path / "b.mp4").write_text(" " * 600 + lists["a.m3u8"])
        for name in (str(tmp_path / "b.mp4"), address, f"concat:{tmp_path / 'a.ts'}", "pipe:0"):
            with pytest.raises((ImageError, UsageError)):
                open_clip(name)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_file_with_a_name_like_an_address_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", frames=2)
    (tmp_path / "a.mp4").rename("concat:a.mp4")
    _, frames = read(Path("concat:a.mp4"))
    assert len(frames) == 2


def test_the_fingerprint_is_that_of_the_bytes(tmp_path: Path) -> None:
    import hashlib

    write_video(tmp_path / "a.mp4", frames=2)
    clip, _ = read(tmp_path / "a.mp4")
    assert clip.fingerprint() == hashlib.sha256((tmp_path / "a.mp4").read_bytes()).hexdigest()
