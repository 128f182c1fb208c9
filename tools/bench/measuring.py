"""Measurements: a job at one scale, the seconds of a call, the memory of this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

    from ...core.objective.objective import Objective
    from ...core.objective.tiled_objective import TiledObjective
    from ...core.run.open_run import OpenRun
    from ...core.run.session import Session

T = TypeVar("T")


@dataclass(frozen=True)
class OneScale:
    """Open run of a single scale, with its objective and the content image (1, 3, H, W)."""

    run: OpenRun
    objective: Objective | TiledObjective
    content: torch.Tensor


def at_one_scale(
    session: Session,
    options: Mapping[str, Any],
    terms: Mapping[str, Any] = MappingProxyType({}),
    preset: str | None = None,
) -> OneScale:
    """Open a job at a single scale in a session.

    `options` are those of `stylectl run`, and `terms` further keys of the job's table. The result
    has the size that the options name. Raises StylectlError and its subclasses.
    """
    from ...core.job.building import build_job
    from ...core.planning.planner import make_plan
    from ...core.run.preparation import prepare
    from ...plugins.manager import load_plugins

    registry = load_plugins().registry
    options = {**options, "scales": 1, "upscale": True}
    job = build_job(options, terms, preset, registry.presets.get)
    run = session.open(prepare(make_plan(job, registry)))
    inputs = run.inputs_at(0)
    return OneScale(run, run.objective(inputs), inputs.content)


def timed(call: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """Return the value of a call and its seconds, including the work queued on the device."""
    import torch

    started = time.perf_counter()
    result = call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return result, time.perf_counter() - started


def memory_mb(device: torch.device) -> float:
    """Return the current memory of the process in MB (10^6 bytes); on CUDA, of the device."""
    import psutil
    import torch

    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device) / 1e6)
    return float(psutil.Process().memory_info().rss / 1e6)


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory of the process in MB (10^6 bytes); on CUDA, of the device."""
    import torch

    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device) / 1e6)
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset / 1e6)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
