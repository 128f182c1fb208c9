import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]
PAIR = ("sample:photo", "sample:painting")


def test_each_size_and_precision_has_a_row(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    options = ("--size", "40", "--size", "64", "--precision", "float32", "--repeats", "1")
    done = maintenance("step_table")(*PAIR, *options, "--cuda-graph", "off", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(
        r"^\| (\d+) px \| float32 \| off \| ([\d.]+) ms \| ([\d.]+) ms \| ([\d.]+) \| (\d+) MB \|$",
        done.stdout,
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == ["40", "64"]
    for _, evaluation, iteration, rate, held in rows:
        assert float(evaluation) > 0
        # both are rounded
        assert float(rate) * float(iteration) / 1e3 == pytest.approx(1, rel=0.05)
        assert float(held) > 100


def test_a_precision_that_is_not_to_be_had_is_one_line(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    options = ("--size", "40", "--precision", "tf32", "--device", "cpu")
    done = maintenance("step_table")(*PAIR, *options, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "stylectl: the device cpu has no tf32; use --precision float32\n"
