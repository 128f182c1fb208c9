import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow  # two networks are exported, one of them in float64 too
def test_a_distance_beyond_rounding_is_measured_in_float64(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    models = ("mnasnet1_0", "alexnet", "vit_b_16")
    done = maintenance("gradient_table")(*models, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    number = r"\d\.\de[+-]\d\d"
    row = rf"^\| `(\S+)` \| native \| ({number}) \|(?: ({number}))? \|$"
    rows = re.findall(row, done.stdout, re.MULTILINE)
    assert [name for name, *_ in rows] == ["torchvision:mnasnet1_0", "alexnet"]
    for _, distance, in_float64 in rows:
        # A sum of float32 is rounded by 6e-8, and some tens of them follow each other; the pixels'
        # gradient is rounded once to float32.
        assert float(distance) < 1e-5 or float(in_float64) < 1e-7
    assert "does not support images of any size" in done.stdout
