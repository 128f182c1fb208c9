"""A plugin written for stylectl 0.1 works unchanged, in every one of its parts, with warnings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import stylectl
from PIL import Image
from stylectl import StylectlDeprecationWarning
from stylectl.core.interfaces.events import Event, Notice
from stylectl.plugins.manager import load_plugins
from stylectl.testing import check_backbone, check_loss_term

GOLDEN = Path(__file__).parent.parent / "fixtures" / "plugin_0_1.py"


@pytest.fixture
def module(install: Callable[..., str]) -> str:
    return install(GOLDEN.read_text(), "golden", requires=["stylectl>=0.1"])


#: What the golden plugin uses that is deprecated.
DEPRECATED = (
    "create(layers, options) of a LossTermSpec",
    "create(backbone, layers, options) of a BackendSpec",
    "write(result, snapshots, path, record) of a Writer",
    "SumTerm",
)


@pytest.mark.usefixtures("module")
def test_it_is_loaded_with_one_warning_for_each_former_form_and_its_own_name() -> None:
    with pytest.warns(StylectlDeprecationWarning) as caught:
        plugins = load_plugins()
    assert plugins.problems == ()
    (record,) = [record for record in plugins.records if record.name == "golden"]
    assert record.state == "loaded"
    messages = [str(warning.message) for warning in caught]
    for former in DEPRECATED:
        (message,) = {text for text in messages if f" uses {former}, which " in text}
        assert message.startswith("the plugin golden (stylectl-golden 1.2) uses ")
        assert "will be removed in stylectl 0.3; " in message
    assert len(set(messages)) == len(DEPRECATED)


@pytest.mark.subprocess
def test_a_command_prints_each_warning_once(
    module: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "stylectl", "list", "terms"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if "deprecated" in line]
    assert len(lines) == len(DEPRECATED)
    assert all(line.startswith("stylectl: the plugin golden (") for line in lines)


@pytest.mark.filterwarnings("ignore::stylectl.StylectlDeprecationWarning")
def test_a_job_of_all_its_parts_runs(module: str, tmp_path: Path) -> None:
    heard: list[Event] = []
    result = stylectl.run(
        size=32,
        iterations=4,
        scales=1,
        backend={"name": "golden", "speed": 2},
        backbone="golden",
        term=[
            {"name": "golden-means", "weight": 100.0},
            {"name": "golden-darkness", "level": 0.25},
        ],
        output=[tmp_path / "out.ppm", tmp_path / "out.png"],
        on_event=heard.append,
    )
    assert not [event for event in heard if isinstance(event, Notice)]
    for name in ("golden-means", "golden-darkness"):
        assert result.final_losses[name] < result.initial_losses[name]
    with Image.open(tmp_path / "out.ppm") as image:
        assert image.size == (32, 21)
    told = sys.modules[module].heard
    assert [each[0] for each in told] == ["started", *["step"] * 5, "finished"]
    again = stylectl.run(tmp_path / "out.png")
    assert (again.image == result.image).all()


@pytest.mark.filterwarnings("ignore::stylectl.StylectlDeprecationWarning")
@pytest.mark.usefixtures("module")
def test_the_kit_passes_it() -> None:
    registry = load_plugins().registry
    check_loss_term(registry.terms.get("golden-darkness"), options={"level": 0.5})
    check_loss_term(registry.terms.get("golden-means"), ignores_positions=True)
    check_backbone(registry.backbones.get("golden"))
