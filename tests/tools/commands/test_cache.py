from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_what_is_kept_is_shown_and_deleted(tmp_path: Path, environment: dict[str, str]) -> None:
    def cache(*arguments: str) -> str:
        command = [sys.executable, "-m", "stylectl", "cache", *arguments]
        own = {**environment, "XDG_CACHE_HOME": str(tmp_path)}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=own).stdout

    empty = json.loads(cache("--json"))
    folder = Path(empty["folder"])
    assert empty["bytes"] == {}
    model = folder / "onnx" / "models" / "abc"
    model.mkdir(parents=True)
    (model / "forward.onnx").write_bytes(bytes(1000))
    (model / "backward.onnx").write_bytes(bytes(500))
    weights = folder / "weights" / "vgg19.pth"
    weights.parent.mkdir()
    weights.write_bytes(bytes(2000))
    shown = json.loads(cache("--json"))
    assert shown["bytes"] == {"onnx/models/abc": 1500, "weights/vgg19.pth": 2000}
    assert weights.exists()
    assert cache("--clear").splitlines()[-1].startswith("      0.0 MB  deleted from")
    assert not folder.exists()
    assert json.loads(cache("--json"))["bytes"] == {}
