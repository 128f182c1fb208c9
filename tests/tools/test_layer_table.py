import re
import subprocess
import sys


def test_each_convolution_is_timed_both_ways_and_back() -> None:
    command = [sys.executable, "-m", "stylectl.tools.layer_table", "--size", "64", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\d+) to (\d+) \|.*\|$", done.stdout, re.MULTILINE)
    # Those of VGG-19 up to relu5_1.
    blocks = [("3", "64"), ("64", "64"), ("64", "128"), ("128", "128"), ("128", "256")]
    blocks += [("256", "256")] * 3 + [("256", "512")] + [("512", "512")] * 4
    assert rows == blocks
    assert "nan" not in done.stdout
    assert re.search(r"a value and gradient takes \d+ ms", done.stdout)
