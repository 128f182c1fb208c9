"""What the benches measure, and with what: a job's evaluation, seconds of a call, and the memory of
this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

    from ..core.backend import FeatureBackend
    from ..core.objective import Objective
    from ..core.plan import Plan
    from ..core.tiled import TiledObjective

T = TypeVar("T")


@dataclass(frozen=True)
class OneScale:
    """A job's network and losses, ready to be evaluated at its only scale."""

    plan: Plan
    backend: FeatureBackend
    content: torch.Tensor
    objective: Objective | TiledObjective


def at_one_scale(
    options: Mapping[str, Any], terms: Mapping[str, Any] = MappingProxyType({})
) -> OneScale:
    """Of the options of `stylectl run`, and what else a job's table is to have. The picture gets
    the size that is asked for. Raises StylectlError and its kin."""
    from ..core.binding import bind_objective
    from ..core.inputs import read_inputs
    from ..core.options import build_job
    from ..core.plan import make_plan
    from ..core.sight import at_scale, scales_for
    from ..plugins.manager import load_plugins

    job = build_job({**options, "scales": 1, "upscale": True}, terms)
    plan = make_plan(job, load_plugins().registry)
    inputs = read_inputs(plan)
    (scale,) = scales_for(plan, inputs)
    backend = plan.open_backend()
    sight = at_scale(plan, inputs, scale, backend.device)
    return OneScale(plan, backend, sight.content, bind_objective(plan, backend, sight))


def timed(call: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """What a call gives, and the seconds that it took, with what it left the device to do."""
    import torch

    started = time.perf_counter()
    result = call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return result, time.perf_counter() - started


def memory_mb(device: torch.device) -> float:
    """What the process holds now, in MB (10^6 bytes); on CUDA, of the device."""
    import psutil
    import torch

    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device) / 1e6)
    return float(psutil.Process().memory_info().rss / 1e6)


def peak_memory_mb(device: torch.device) -> float:
    """The process's own high-water mark, in MB; on CUDA, the device's."""
    import torch

    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device) / 1e6)
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset / 1e6)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
