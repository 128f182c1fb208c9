"""Estimates against the memory that runs take, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from stylectl.core.memory import limits

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the peak is measured by Linux's /proc"
)

#: Runs a job at one scale; prints the estimate and the peak while the terms are bound, and the same
#: for the step, in bytes beside what the program holds when the tiles are chosen.
PROGRAM = """
import json, sys
import psutil
from stylectl.core.job.building import build_job
from stylectl.core.malloc import keep_freed_memory
from stylectl.core.memory.plan_estimate import scale_estimate
from stylectl.core.planning.planner import make_plan
from stylectl.core.run import session as sessions
from stylectl.core.run.preparation import prepare
from stylectl.plugins.manager import load_plugins

def peak():
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak begins anew
    return 1024 * int(line.split()[1])

def largest_crop(tiler, size):
    return max(height * width for height, width in tiler.crop_sizes(*size))

held, peaks = [], []
budget = sessions.memory_budget

def memory_budget(*arguments):
    available = budget(*arguments)
    held.append(psutil.Process().memory_info().rss)
    return available

def objective(*arguments):
    made = bound(*arguments)
    peaks.append(peak())
    return made

keep_freed_memory()
sessions.memory_budget = memory_budget
options, terms = json.loads(sys.argv[1])
plan = make_plan(build_job(options, terms), load_plugins().registry)
prepared = prepare(plan)
(sizes,) = prepared.scales
with sessions.Session() as session:
    run = session.open(prepared)
    bound = run._objective
    object.__setattr__(run, "_objective", objective)
    peak()
    for step in run.steps(0, None, print):
        pass
    peaks.append(peak())
needed = scale_estimate(plan, prepared.recolored, sizes, run.backend.memory_factor)
pixels, (tilers,) = sizes.scale.pixels, run.tilers
crop = largest_crop(tilers.result, sizes.scale.size)
step = needed.uncut(pixels) if tilers.result.most is None else needed.cut(pixels, crop)
style_pixels, style_size = max(zip(sizes.style_pixels, sizes.styles))
binding = needed.binding(pixels, style_pixels, largest_crop(tilers.styles, style_size))
print(json.dumps([binding, step, *(peak - held[0] for peak in peaks)]))
"""


def measured(options: dict[str, Any], terms: dict[str, Any]) -> tuple[float, float]:
    """The larger estimate, of binding or a step, and the larger peak."""
    job = {
        "size": 384,
        "scales": 1,
        "iterations": 1,
        "upscale": True,
        "device": "cpu",
        "content_layers": ["relu2_1"],
        "style_layers": ["relu1_1", "relu2_1"],
        **options,
    }
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([job, terms])], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    binding, step, *peaks = json.loads(process.stdout.splitlines()[-1])
    return max(binding, step), max(peaks)


HISTOGRAM = {"terms": [{"name": "histogram", "layers": {"relu1_1": 1, "relu2_1": 1}}]}
NO_LAYERS = {"content_layers": None, "style_layers": None}


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({}, {}),
        ({"size": 160, "style_scale": 5, "max_memory": "0.7GB"}, {}),
        ({"max_memory": "0.6GB"}, {}),
        ({**NO_LAYERS, "size": 256}, HISTOGRAM),
    ],
    ids=["plain", "large style in tiles", "tiles", "histogram"],
)
def test_a_run_takes_no_more_than_the_estimate(
    options: dict[str, Any], terms: dict[str, Any]
) -> None:
    estimate, peak = measured(options, terms)
    assert peak <= estimate + limits._SET_ASIDE
    # An estimate that is much too large would cut what need not be cut.
    assert estimate <= 2 * peak
