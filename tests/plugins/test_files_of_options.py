"""Files that a plugin's options name: relocated, hashed, and seen by a batch."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stylectl
from stylectl import UsageError
from stylectl.core.images import files
from stylectl.core.job.paths import SAMPLES
from stylectl.core.outputs.record import read_record
from stylectl.tools.cli import app

SMALL: dict[str, Any] = {"size": 32, "iterations": 1, "scales": 1, "device": "cpu"}

#: A loss term and an initialiser that read a file; the plugin has no distribution's name in a job.
SOURCE = """
from typing import Annotated

import torch
from pathlib import Path
from pydantic import BaseModel, ConfigDict
from stylectl import (
    IMAGE_LAYER, Initializer, InitializerSpec, JobPath, LossTerm, LossTermSpec, hookimpl
)


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    level: Annotated[str, JobPath]
    label: str = "level.txt"


class Level(LossTerm):
    layers = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, layers, options):
        self.level = options.level

    def bind(self, references):
        level = float(Path(self.level).read_text())
        return lambda features: (features[IMAGE_LAYER] - level).square().mean()


class FromLevel(Initializer):
    random = False
    level: Annotated[str, JobPath]

    def image(self, start):
        return torch.full_like(start.content, float(Path(self.level).read_text()))


@hookimpl
def stylectl_loss_terms():
    yield LossTermSpec(
        name="level", summary="near a level", create=Level, layers_from="image", options=Options
    )


@hookimpl
def stylectl_initializers():
    yield InitializerSpec(name="from-level", summary="a level", options=FromLevel)
"""


@pytest.fixture(autouse=True)
def folder(install: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(SOURCE, "level", "stylectl-plugin-level")
    (tmp_path / "work" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    Path("in/level.txt").write_text("0.25")
    for name in ("photo", "painting"):
        shutil.copy(SAMPLES[f"sample:{name}"], f"in/{name}.jpg")
    return tmp_path / "work"


def term(path: str) -> dict[str, Any]:
    return {"name": "level", "weight": 100.0, "level": path}


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def levels(record: dict[str, Any]) -> list[str]:
    return [found["level"] for found in record["job"]["terms"] if "level" in found]


def test_the_record_has_the_file_with_its_hash() -> None:
    Path("out").mkdir()
    result = stylectl.run(**SMALL, term=term("in/level.txt"), output="out/a.png")
    assert result.inputs["in/level.txt"] == sha256("in/level.txt")
    record = read_record(Path("out/a.png"))
    assert levels(record) == ["../in/level.txt"]
    assert record["inputs"]["../in/level.txt"] == sha256("in/level.txt")
    (level,) = [found for found in record["job"]["terms"] if found["name"] == "level"]
    assert level["label"] == "level.txt"


def test_a_record_makes_the_result_again_from_any_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out").mkdir()
    init = {"name": "from-level", "level": "in/level.txt"}
    first = stylectl.run(**SMALL, init=init, term=term("in/level.txt"), output="out/a.png")
    monkeypatch.chdir("in")
    again = stylectl.run("../out/a.png")
    assert (again.image == first.image).all()
    assert again.job.init.options["level"] == "level.txt"


def test_a_job_file_names_it_from_its_own_folder() -> None:
    Path("in/job.toml").write_text(
        'terms = ["content", {name = "level", level = "level.txt"}]\n'
        'init = {name = "from-level", level = "level.txt"}\n'
    )
    result = stylectl.run("in/job.toml", **SMALL)
    assert [result.job.terms[1].options["level"], result.job.init.options["level"]] == [
        "in/level.txt"
    ] * 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "m.csv",
            "content,style,output,level.weight,level.level\n"
            "photo.jpg,painting.jpg,a.png,2,level.txt\n",
        ),
        (
            "m.csv",
            "content,style,output,term\nphoto.jpg,painting.jpg,a.png,level=2:level=level.txt\n",
        ),
        (
            "m.toml",
            '[[pictures]]\ncontent = "photo.jpg"\nstyles = ["painting.jpg"]\noutput = "a.png"\n'
            'terms = ["content", {name = "level", level = "level.txt"}]\n',
        ),
    ],
)
def test_a_manifest_names_it_from_its_own_folder(name: str, text: str) -> None:
    Path("in", name).write_text(text)
    command = ["batch", "--manifest", f"in/{name}", "-o", "out", "--size", "32"]
    flags = ["--iterations", "1", "--scales", "1", "--device", "cpu"]
    app([*command, *flags], prog_name="stylectl", standalone_mode=False)
    assert levels(read_record(Path("out/a.png"))) == ["../in/level.txt"]


def test_a_setting_names_it_from_the_current_folder_with_a_plus_in_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("in/a+b.txt").write_text("0.5")
    settings = ["--set", "level.weight=2", "--set", "level.level=in/a+b.txt"]
    app(["run", *settings, "--print-job"], prog_name="stylectl", standalone_mode=False)
    assert 'level = "in/a+b.txt"' in capsys.readouterr().out


def test_a_batch_makes_a_result_again_when_the_file_changed() -> None:
    picture = {"term": term("in/level.txt"), "output": "a.png"}
    assert len(stylectl.batch([picture], **SMALL).painted) == 1
    assert len(stylectl.batch([picture], **SMALL).found) == 1
    Path("in/level.txt").write_text("0.75")
    assert len(stylectl.batch([picture], **SMALL).painted) == 1
    assert len(stylectl.batch([picture], **SMALL).found) == 1


def test_a_batch_hashes_each_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(path: str) -> str:
        hashed.append(path)
        return files.file_sha256(path)

    monkeypatch.setattr("stylectl.tools.queue.worker.file_sha256", counted)
    monkeypatch.setattr("stylectl.core.run.preparation.file_sha256", counted)
    monkeypatch.setattr("stylectl.core.run.session.file_sha256", counted)
    pictures = [{"output": f"{seed}.png", "seed": seed} for seed in (1, 2, 3)]
    report = stylectl.batch(pictures, **SMALL, term=term("in/level.txt"))
    assert len(report.painted) == 3
    assert sorted(hashed) == ["in/level.txt", "sample:painting", "sample:photo"]


def test_a_missing_file_is_found_before_the_work() -> None:
    with pytest.raises(UsageError, match=r"in/none\.txt: no such file"):
        stylectl.run(**SMALL, term=term("in/none.txt"), output="a.png")
    with pytest.raises(UsageError, match=r"in/none\.txt: no such file"):
        stylectl.batch([{"term": term("in/none.txt"), "output": "a.png"}], **SMALL)


def test_it_is_not_overwritten() -> None:
    Path("level.png").write_text("0.25")
    with pytest.raises(UsageError, match="overwrite an input"):
        stylectl.run(**SMALL, term=term("level.png"), output="level.png")
    with pytest.raises(UsageError, match="overwrite an input"):
        stylectl.batch([{"term": term("level.png"), "output": "level.png"}], **SMALL)
    assert Path("level.png").read_text() == "0.25"
