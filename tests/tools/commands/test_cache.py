from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stylectl.tools.cli import main


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


def test_the_least_recently_used_models_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def cache(*arguments: str) -> tuple[int, str]:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["stylectl", "cache", *arguments])
            with pytest.raises(SystemExit) as left:
                main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out + printed.err

    folder = Path(json.loads(cache("--json")[1])["folder"])
    for name, days in {"new": 1, "old": 3, "older": 5}.items():
        model = folder / "onnx" / "models" / name
        model.mkdir(parents=True)
        (model / "forward.onnx").write_bytes(bytes(400_000))
        then = time.time() - days * 86400
        os.utime(model, (then, then))
    (folder / "weights").mkdir()
    (folder / "weights" / "vgg19.pth").write_bytes(bytes(2000))
    report = json.loads(cache("--cache-size", "1MB", "--json")[1])
    assert report["deleted"] == ["onnx/models/older"]
    assert report["bytes"] == {
        "onnx/models/new": 400_000,
        "onnx/models/old": 400_000,
        "weights/vgg19.pth": 2000,
    }
    assert "2 deleted" in cache("--cache-size", "0")[1]
    assert (folder / "weights" / "vgg19.pth").exists()
    for wrong in (["--cache-size", "much"], ["--cache-size", "1GB", "--clear"]):
        code, said = cache(*wrong)
        assert code == 2
        assert "--cache-size" in said
