"""Paths in a job's plain values: which are found, and where they are relative to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from stylectl import JobPath
from stylectl.core.job.paths import (
    JobFile,
    is_elsewhere,
    map_paths,
    option_paths,
    path_options,
    relocated,
)
from stylectl.core.validation import Text


class Options(BaseModel):
    palette: Annotated[str, JobPath]
    weights: Annotated[str, JobPath(suffixes=(".pth", ".onnx"))] = Field(default="embedded")
    masks: Annotated[list[str], JobPath] = Field(default=[])
    table: Annotated[str, JobPath] | None = None
    frames: tuple[Annotated[str, JobPath()], ...] = ()
    label: str = "x"


MODELS = {("terms", "mine"): Options, ("backbone", "net"): Options}


def upper(table: dict[str, Any], **names: str) -> dict[str, Any]:
    return map_paths(table, str.upper, MODELS, names)


def test_a_mark_is_found_wherever_it_stands_in_the_type() -> None:
    assert set(path_options(Options)) == {"palette", "weights", "masks", "table", "frames"}


def test_the_options_of_every_choice_are_mapped_by_its_model() -> None:
    options = {
        "palette": "a.gpl",
        "weights": "embedded",
        "masks": ["a.png", "sample:photo"],
        "table": None,
        "frames": ["b.png"],
        "label": "label.png",
    }
    mapped = {
        "palette": "A.GPL",
        "weights": "embedded",
        "masks": ["A.PNG", "sample:photo"],
        "table": None,
        "frames": ["B.PNG"],
        "label": "label.png",
    }
    table = {"backbone": {"name": "net", **options}, "terms": [{"name": "mine", **options}, "mine"]}
    assert upper(table) == {
        "backbone": {"name": "net", **mapped},
        "terms": [{"name": "mine", **mapped}, "mine"],
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [("n.pth", "N.PTH"), ("n.PTH", "N.PTH"), ("n.onnx", "N.ONNX"), ("IMAGENET1K_V1", None)],
)
def test_a_word_is_told_from_a_file_by_the_suffixes(value: str, expected: str | None) -> None:
    choice = {"name": "net", "weights": value}
    assert upper({"backbone": choice})["backbone"]["weights"] == (expected or value)


def test_a_choice_that_a_file_does_not_name_has_the_name_of_the_preset() -> None:
    table = {"backbone": {"palette": "a.gpl"}}
    assert upper(table) == table
    assert upper(table, backbone="net") == {"backbone": {"palette": "A.GPL"}}
    assert upper(table, backbone="another") == table


def test_the_options_of_unknown_choices_stay() -> None:
    table = {"backbone": {"name": "none", "palette": "a.gpl"}, "terms": [{"name": ["mine"]}]}
    assert upper(table) == table


def test_typed_text_is_read_as_a_list_of_paths() -> None:
    table = {"terms": [{"name": "mine", "masks": Text("a.png,b.png"), "palette": Text("a,b.gpl")}]}
    (term,) = upper(table)["terms"]
    assert (term["masks"], term["palette"]) == (["A.PNG", "B.PNG"], "A,B.GPL")


def test_the_short_form_of_a_choice_has_a_path() -> None:
    class Model(BaseModel):
        model: Annotated[str, JobPath]

    models = {("backbone", "onnx"): Model}
    mapped = map_paths({"backbone": "onnx:net.onnx", "init": "noise"}, str.upper, models)
    assert mapped == {"backbone": {"name": "onnx", "model": "NET.ONNX"}, "init": "noise"}


def test_the_paths_of_a_jobs_options_are_listed_once() -> None:
    from stylectl.core.job.building import build_job

    term = {"name": "mine", "palette": "a.gpl", "masks": ["b.png", "a.gpl", "sample:photo"]}
    assert option_paths(build_job({"term": term}), MODELS) == ["a.gpl", "b.png"]


@pytest.mark.parametrize(
    ("path", "windows", "expected"),
    [
        (r"\\host\share\a.jpg", False, True),
        ("//host/share/a.jpg", False, True),
        (r"\/host\share", True, True),
        (r"\\.\COM1", True, True),
        (r"\\?\C:\a.jpg", True, True),
        ("/dev/stdin", False, True),
        ("../../dev/zero", False, True),
        ("/proc/self/environ", False, True),
        ("/dev/shm/a.jpg", False, False),
        ("CON", True, True),
        ("nul.png", True, True),
        ("folder/aux .txt", True, True),
        (r"folder\COM1:", True, True),
        ("nul.png", False, False),
        ("console.png", True, False),
        ("C:/pictures/a.jpg", True, False),
        ("a.jpg", False, False),
        ("../a.jpg", False, False),
        ("/home/me/a.jpg", False, False),
        ("developer/a.jpg", False, False),
    ],
)
def test_paths_of_other_machines_and_devices_are_known(
    path: str, windows: bool, expected: bool
) -> None:
    assert is_elsewhere(path, Path("/home/me"), windows) == expected


def test_a_folder_on_another_machine_is_no_matter() -> None:
    assert not is_elsewhere("a.jpg", Path("//host/share"), windows=True)


def test_a_path_of_another_machine_is_not_relocated() -> None:
    for path in (r"\\host\share\a.jpg", "//host/a.jpg"):
        assert relocated(path, Path("/a"), Path("/b")) == path


def test_a_job_file_lists_its_paths_elsewhere_as_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = {
        "content": "//host/a.jpg",
        "styles": ["b.jpg"],
        "terms": [{"name": "mine", "palette": "/dev/tty"}],
    }
    file = JobFile(table, tmp_path / "jobs")
    assert file.elsewhere(MODELS) == {"//host/a.jpg", "/dev/tty"}
    assert file.here(MODELS)["styles"] == ["jobs/b.jpg"]
