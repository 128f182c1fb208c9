"""What version 0.1 wrote is still read, and its jobs still give the same results.

`fixtures/v0_1` was written by version 0.1.0 with torch 2.13.0 on one thread. Each of `results` is a
PNG whose record has its job; the other files are what its commands printed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from PIL import Image
from stylectl.core.images.files import file_sha256, input_files
from stylectl.core.interfaces.result import RECORD_FORMAT
from stylectl.core.outputs.record import read_job_file, read_record, state_of
from stylectl.core.planning.job_files import make_job
from stylectl.core.planning.plan import Plan
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins
from stylectl.tools.queue.manifest import manifest_tasks
from stylectl.tools.queue.tasks import TaskMaker

FIXTURES = Path(__file__).parent / "fixtures" / "v0_1"
RESULTS = sorted(path.stem for path in (FIXTURES / "results").glob("*.png"))

#: Of 255. On the machine that wrote them the results are the same to the bit. With the kernels of
#: other processors (ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41) sums are rounded in
#: another order, and the steps of a run enlarge that: measured at most 1.0, and 0.08 on average.
FURTHEST, MEAN = 3, 0.3


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


@pytest.fixture
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plan_of(path: Path, registry: Registry) -> Plan:
    return make_plan(make_job({}, registry, read_job_file(path)), registry)


def test_there_are_results() -> None:
    assert len(RESULTS) >= 16


#: The content of the first has transparent pixels, whose colors counted in version 0.1. The second
#: has the term `strotss`, which was a simplification of its paper.
CHANGED = ("histogram-clear", "strotss")


@pytest.mark.parametrize("name", [name for name in RESULTS if name not in CHANGED])
def test_a_job_gives_the_same_result(one_thread: Any, name: str) -> None:
    path = FIXTURES / "results" / f"{name}.png"
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"), dtype=float)
    difference = abs(stylectl.run(path, device="cpu").image * 255 - expected)
    assert difference.max() <= FURTHEST + 0.5  # the file's own rounding
    # Rounding to whole numbers alone is off by 0.25 on average.
    assert difference.mean() <= MEAN + 0.25


@pytest.mark.parametrize("name", RESULTS)
def test_a_finished_result_is_still_finished(registry: Registry, name: str) -> None:
    path = FIXTURES / "results" / f"{name}.png"
    plan = plan_of(path, registry)
    hashes = {file: file_sha256(file) for file in input_files(plan.job)}
    assert state_of(path, plan, hashes) == "finished"


@pytest.mark.parametrize("name", ["run.png", "run.json", "batch/b.png"])
def test_a_record_is_brought_to_the_current_format(name: str) -> None:
    record = read_record(FIXTURES / name)
    assert record["format"] == RECORD_FORMAT
    assert record["versions"]["stylectl"] == "0.1.0"


def test_show_prints_what_it_printed() -> None:
    record = read_record(FIXTURES / "run.png")
    old = json.loads((FIXTURES / "shown.json").read_text())
    assert {key: value for key, value in record.items() if key != "format"} == old


@pytest.mark.parametrize("name", ["printed.toml", "shown.toml"])
def test_a_job_file_makes_the_plan_that_it_is(registry: Registry, name: str) -> None:
    file = read_job_file(FIXTURES / name).here(registry.option_models)
    table = json.loads(json.dumps(plan_of(FIXTURES / name, registry).job.as_table()))
    new = ("color_profile", "metadata", "motifs", "parametrization", "final_pass", "least_change")
    since = {name: table.pop(name) for name in new}
    before = json.loads(json.dumps(file))
    for term in table["terms"]:
        if term["name"] == "strotss":  # which got an option
            assert term.pop("style_samples") == 2048
    for choice in ("init", "optimizer"):  # which got options
        assert before[choice].items() <= table[choice].items()
        before[choice] = table[choice]
    assert table == before
    assert since == {
        "color_profile": "srgb",
        "metadata": "full",
        "motifs": 1.0,
        "parametrization": {"name": "pixels"},
        "final_pass": False,
        "least_change": 1e-6,
    }


@pytest.mark.parametrize(("name", "count"), [("manifest.csv", 2), ("manifest.toml", 1)])
def test_a_manifest_is_read(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FIXTURES, "v0_1")
    tasks = manifest_tasks(Path("v0_1", name), Path("out"), {"size": 48}, TaskMaker(registry))
    assert len(tasks) == count
    for task in tasks:
        for path in task.job.input_paths:
            assert path.startswith("sample:") or Path(path).is_file()


def test_a_batchs_finished_result_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(FIXTURES / "batch" / "b.png", "b.png")
    picture = {"content": "sample:photo", "styles": ["sample:painting"], "output": "b.png"}
    # How this machine computes it makes no difference.
    machine: dict[str, Any] = {"max_memory": "900GB", "convolution": "direct", "max_pixels": 10**7}
    small: dict[str, Any] = {"preset": "balanced-0.1", "size": 48, "iterations": 1}
    report = stylectl.batch([picture], **small, **machine)
    assert report.found == (Path("b.png"),)
    assert stylectl.batch([picture], **small, seed=3).painted == (Path("b.png"),)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("run-stdout.json", ["run", "--size", "32", "--iterations", "1", "-o", "o.png"]),
        ("batch.json", ["batch", "--manifest", "one.toml", "-o", "out"]),
        ("bench.json", ["bench", "--size", "32", "--repeats", "1"]),
        ("list.json", ["list"]),
    ],
)
def test_json_has_the_keys_that_it_had(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    command: list[str],
) -> None:
    from stylectl.tools.cli import app

    monkeypatch.chdir(tmp_path)
    Path("one.toml").write_text(
        '[[pictures]]\ncontent = "sample:photo"\nstyles = ["sample:painting"]\n'
        "size = 32\niterations = 1\n"
    )
    app([*command, "--json"], prog_name="stylectl", standalone_mode=False)
    now = json.loads(capsys.readouterr().out)
    old = json.loads((FIXTURES / name).read_text())
    assert old.keys() <= now.keys()
    for key, rows in old.items():
        if key in ("terms", "writers", "backends", "backbones"):
            by_name = {row["name"]: row for row in now[key]}
            assert {row["name"] for row in rows} <= {*by_name}
            for row, new in ((row, by_name[row["name"]]) for row in rows):
                values = ("name", "default", "required", "values")
                # The precision's default is auto since 0.2.
                options = [option for option in row["options"] if option["name"] != "precision"]
                names = {option["name"] for option in options}
                others = [option for option in new["options"] if option["name"] in names]
                assert [[o[v] for v in values] for o in options] == [
                    [o[v] for v in values] for o in others
                ]
