import re
import subprocess
from collections.abc import Callable
from pathlib import Path

Program = Callable[..., subprocess.CompletedProcess[str]]


def test_each_convolution_is_timed_both_ways_and_back(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    done = maintenance("layer_table")("--size", "64", "--repeats", "1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\d+) to (\d+) \|.*\|$", done.stdout, re.MULTILINE)
    # Those of VGG-19 up to relu5_1.
    blocks = [("3", "64"), ("64", "64"), ("64", "128"), ("128", "128"), ("128", "256")]
    blocks += [("256", "256")] * 3 + [("256", "512")] + [("512", "512")] * 4
    assert rows == blocks
    assert "nan" not in done.stdout
    assert re.search(r"a value and gradient takes \d+ ms", done.stdout)


def test_a_size_that_the_network_cannot_see_is_one_line(
    maintenance: Callable[[str], Program], tmp_path: Path
) -> None:
    done = maintenance("layer_table")("--size", "8", folder=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("stylectl: ")
    assert "Traceback" not in done.stderr
