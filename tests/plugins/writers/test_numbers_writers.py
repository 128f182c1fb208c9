from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from stylectl.core.errors import NumericalError
from stylectl.core.interfaces.result import Result, StepRecord

Write = Callable[..., Path]


def test_an_array_is_the_result(result: Result, write: Write) -> None:
    found = np.load(write(result, "out.npy"), allow_pickle=False)
    assert found.dtype == np.float32
    assert np.array_equal(found, result.image)


def test_an_array_has_the_transparency(clear_result: Result, write: Write) -> None:
    found = np.load(write(clear_result, "out.npy"), allow_pickle=False)
    assert np.array_equal(found[..., :3], clear_result.image)
    assert clear_result.alpha is not None
    assert np.array_equal(found[..., 3], clear_result.alpha)


def test_a_suffix_in_capitals_stays_as_it_is(result: Result, write: Write) -> None:
    assert np.load(write(result, "OUT.NPY")).shape == result.image.shape


def test_the_numbers_of_the_run(result: Result, write: Write) -> None:
    found = json.loads(write(result, "out.json").read_text())
    assert set(found) == {
        *("format", "job", "size", "iterations", "initial_loss", "final_loss", "seconds"),
        *("seconds_per_iteration", "backend", "device", "details", "interrupted", "stopped_by"),
        *("versions", "inputs", "scales", "steps"),
    }
    assert found["scales"] == [{"size": [29, 21], "steps": 5}, {"size": [41, 30], "steps": 5}]
    assert len(found["steps"]) == 12
    assert found["steps"][7] == {
        "scale": 1,
        "step": 1,
        "seconds": 7.0,
        "loss": 502.5,
        "losses": {"content": 2.5, "style": 500.0},
    }
    assert found["stopped_by"] is None
    assert found["job"]["content"] == "photo.jpg"


def test_paths_are_relative_to_the_files_folder(result: Result, write: Write) -> None:
    Path("sub").mkdir()
    found = json.loads(write(result, "sub/out.json").read_text())
    assert found["job"]["content"] == "../photo.jpg"


def test_why_it_ended_early(result: Result, write: Write) -> None:
    for error, words in (
        (KeyboardInterrupt(), "Ctrl-C"),
        (NumericalError("the loss is gone"), "NumericalError: the loss is gone"),
    ):
        stopped = replace(result, stopped_by=error)
        found = json.loads(write(stopped, "out.json").read_text())
        assert found["stopped_by"] == words
        assert found["interrupted"] is True


def test_what_is_no_number_in_json_is_null(result: Result, write: Write) -> None:
    odd = StepRecord(0, 0, {"style": math.inf, "content": math.nan}, 0.0)
    text = write(replace(result, steps=(odd,)), "out.json").read_text()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(text, parse_constant=refuse)
    assert found["steps"][0]["losses"] == {"style": None, "content": None}
    assert found["final_loss"] == {"style": None, "content": None}
