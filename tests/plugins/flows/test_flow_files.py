from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from stylectl import ImageError, UsageError
from stylectl.core.interfaces.specs import FlowArguments
from stylectl.core.interfaces.video.flow import FlowFrame
from stylectl.core.validation import validated
from stylectl.core.video.flow_png import encoded
from stylectl.plugins.flows.files import FlowFiles, FlowFilesOptions
from stylectl.plugins.flows.formats import read_flow


def flow(height: int = 6, width: int = 8) -> np.ndarray:
    """Displacements that the .png of 16 bits holds exactly."""
    values = np.random.default_rng(1).integers(-300, 300, (height, width, 2))
    return (values / 64).astype(np.float32)


def write(path: Path, values: np.ndarray) -> Path:
    match path.suffix:
        case ".flo":
            head = struct.pack("<fii", 202021.25, values.shape[1], values.shape[0])
            path.write_bytes(head + values.astype("<f4").tobytes())
        case ".npy":
            np.save(path, values)
        case ".npz":
            np.savez(path, other=np.zeros(3), flow=np.moveaxis(values, 2, 0))
        case ".png":
            path.write_bytes(encoded(values, np.ones(values.shape[:2], bool)))
    return path


def files(pattern: str, start: int = 0) -> FlowFiles:
    return FlowFiles(FlowArguments(options=FlowFilesOptions(pattern=pattern, start=start)))


def frame(number: int, height: int = 6, width: int = 8) -> FlowFrame:
    return FlowFrame(number, np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize("suffix", [".flo", ".npy", ".npz", ".png"])
def test_each_format_is_read(tmp_path: Path, suffix: str) -> None:
    assert (read_flow(write(tmp_path / f"a{suffix}", flow())) == flow()).all()


def test_the_file_is_that_of_both_frames_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "0005_0004.flo", flow())
    found = files(str(tmp_path / "{first:04d}_{second:04d}.flo"), start=1)
    given = found.flow(frame(4), frame(3))
    assert given is not None
    assert (given == flow()).all()


def test_another_size_scales_the_displacements(tmp_path: Path) -> None:
    write(tmp_path / "0-1.flo", np.full((6, 8, 2), 2, np.float32))
    given = files(str(tmp_path / "{first}-{second}.flo")).flow(frame(0, 12, 16), frame(1, 12, 16))
    assert given is not None
    np.testing.assert_allclose(given, 4)


def test_another_shape_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "0-1.flo", flow())
    with pytest.raises(ImageError, match="another shape"):
        files(str(tmp_path / "{first}-{second}.flo")).flow(frame(0, 60, 20), frame(1, 60, 20))


def test_the_flow_of_neighbors_must_be_there(tmp_path: Path) -> None:
    found = files(str(tmp_path / "{first}-{second}.flo"))
    assert found.flow(frame(4), frame(0)) is None
    with pytest.raises(UsageError, match=r"4-3\.flo: no such file"):
        found.flow(frame(4), frame(3))


@pytest.mark.parametrize("pattern", ["a.flo", "{first}.flo", "{first}{second}{x}.flo", "{first"])
def test_a_pattern_needs_both_frames(pattern: str) -> None:
    with pytest.raises(UsageError, match="pattern should have"):
        validated(FlowFilesOptions, {"pattern": pattern}, "flow files")


def _pickled(path: Path) -> Path:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return path


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    good = write(tmp_path / "good.flo", flow()).read_bytes()
    cases = {
        "empty.flo": b"",
        "cut.flo": good[:-1],
        "wrong.flo": b"PIEX" + good[4:],
        "huge.flo": struct.pack("<fii", 202021.25, 1 << 30, 1 << 30),
        "a.npy": b"nonsense",
        "a.npz": b"nonsense",
        "a.png": b"nonsense",
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ImageError, match="not a flow file"):
            read_flow(tmp_path / name)
    with pytest.raises(ImageError, match="not a flow file"):
        read_flow(_pickled(tmp_path / "pickled.npy"))
    unknown = flow()
    unknown[0, 0] = 1e10
    with pytest.raises(ImageError, match="unknown displacements"):
        read_flow(write(tmp_path / "unknown.flo", unknown))
