"""ONNX Runtime's telemetry is off: it writes nothing, and opens no socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import stylectl
stylectl.run(
    output="out.png", backend="onnx", device="cpu", size=24, iterations=1, scales=1,
    style_layers=["relu1_1"], content_layers=["relu1_1"],
)
"""


@pytest.mark.subprocess
def test_a_run_leaves_no_file_of_telemetry_and_opens_no_socket(tmp_path: Path) -> None:
    folders = {"HOME": "home", "TMPDIR": "temporary", "XDG_CACHE_HOME": "cache", "work": "work"}
    for name in folders.values():
        (tmp_path / name).mkdir()
    environment = {
        **os.environ,
        **{variable: str(tmp_path / name) for variable, name in folders.items()},
        "STYLECTL_PLUGINS": "",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    del environment["work"]
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    trace = tmp_path / "trace"
    traced = [sys.executable, "-c", SCRIPT]
    if shutil.which("strace"):
        watch = ["strace", "-f", "-qq", "-e", "trace=socket,connect", "-o", str(trace)]
        if subprocess.run([*watch, "true"], capture_output=True, check=False).returncode == 0:
            traced = [*watch, *traced]
    subprocess.run(traced, cwd=tmp_path / "work", env=environment, check=True, timeout=300)
    for name in ("home", "temporary"):
        assert list((tmp_path / name).rglob("*")) == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["stylectl"]
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["out.png"]
    if trace.exists():
        assert trace.read_text() == ""


def test_a_plugin_that_loads_onnx_runtime_finds_it_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stylectl.testing import load_plugins

    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    load_plugins()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
