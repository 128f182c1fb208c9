from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Program = Callable[..., subprocess.CompletedProcess[str]]


def test_what_is_kept_is_shown_and_deleted(program: Program, tmp_path: Path) -> None:
    empty = json.loads(program("cache", "--json", folder=tmp_path).stdout)
    folder = Path(empty["folder"])
    assert empty["bytes"] == {}
    model = folder / "onnx" / "models" / "abc"
    model.mkdir(parents=True)
    (model / "forward.onnx").write_bytes(bytes(1000))
    (model / "backward.onnx").write_bytes(bytes(500))
    weights = folder / "weights" / "vgg19.pth"
    weights.parent.mkdir()
    weights.write_bytes(bytes(2000))
    shown = json.loads(program("cache", "--json", folder=tmp_path).stdout)
    assert shown["bytes"] == {"onnx/models/abc": 1500, "weights/vgg19.pth": 2000}
    assert weights.exists()
    lines = program("cache", "--clear", folder=tmp_path).stdout.splitlines()
    assert lines[-1].startswith("      0.0 MB  deleted from")
    assert not folder.exists()
    assert json.loads(program("cache", "--json", folder=tmp_path).stdout)["bytes"] == {}
