"""`stylectl bench`: how fast a backend is, beside what this machine can do."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..core.plan import Plan

#: Side of the square matrices whose product gives the machine's rate; large enough to be at it.
_MATRIX = 2048


@dataclass(frozen=True)
class Measurement:
    """A backend's figures at one size. Rates are in GFLOP/s (10^9 floating-point operations per
    second), a multiplication and an addition being two; memory is in MB (10^6 bytes)."""

    backend: str
    device: str
    precision: str
    size: tuple[int, int]
    threads: int
    seconds: float
    seconds_spread: tuple[float, float]
    gflop: float
    gflop_per_second: float
    matmul_gflop_per_second: float
    ratio: float
    memory_before_mb: float
    peak_memory_mb: float


def command(
    size: Annotated[int, typer.Option(help="Long side of the picture in pixels.")] = 512,
    backend: Annotated[str | None, typer.Option(help="The backend to measure.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32, bf16 or fp16.")] = None,
    preset: Annotated[str | None, typer.Option(help="Whose layers and losses are run.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Counted evaluations.")] = 9,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Time a value-and-gradient of the sample pair, beside this machine's matrix products.

    Both are timed in turn, so that a change of the machine's speed meets both.
    """
    from ..core.options import build_job
    from ..core.plan import make_plan
    from ..plugins.manager import load_plugins

    options = {"backend": backend, "device": device, "precision": precision, "size": size}
    job = build_job({**options, "scales": 1, "upscale": True}, preset=preset)
    measured = _measure(make_plan(job, load_plugins().registry), repeats)
    if as_json:
        typer.echo(json.dumps(asdict(measured)))
        return
    width, height = measured.size
    low, high = measured.seconds_spread
    typer.echo(
        f"{measured.backend} on {measured.device}, {measured.precision}, {width}x{height} px, "
        f"{measured.threads} threads\n"
        f"value and gradient   {measured.seconds:.3f} s (median; {low:.3f} to {high:.3f})\n"
        f"the network's layers {measured.gflop:.1f} GFLOP forward and backward\n"
        f"rate                 {measured.gflop_per_second:.0f} GFLOP/s\n"
        f"matrix products      {measured.matmul_gflop_per_second:.0f} GFLOP/s (float32)\n"
        f"ratio                {measured.ratio:.2f}\n"
        f"peak memory          {measured.peak_memory_mb:.0f} MB "
        f"({measured.memory_before_mb:.0f} MB of them before the first evaluation)"
    )


def _measure(plan: Plan, repeats: int) -> Measurement:
    import torch

    from ..core.inputs import at_scale, bind_objective, read_inputs, scales_for

    inputs = read_inputs(plan)
    (scale,) = scales_for(plan, inputs)
    with plan.backend.create(plan.backbone, plan.layers, plan.backend_options) as backend:
        device = backend.device
        sight = at_scale(plan, inputs, scale, device)
        gflops = 2 * _forward_gflops(plan, sight.content)
        evaluate = bind_objective(plan, backend, sight).evaluate
        matrix = torch.rand(_MATRIX, _MATRIX, device=device)
        before, steps, products = _memory_mb(device), [], []
        evaluate(sight.content)
        for _ in range(repeats):
            steps.append(_seconds(lambda: evaluate(sight.content), device))
            products.append(_seconds(lambda: matrix @ matrix, device))
    seconds = statistics.median(steps)
    matmul = 2 * _MATRIX**3 / 1e9 / statistics.median(products)
    return Measurement(
        backend=plan.backend.name,
        device=str(device),
        precision=plan.backend_options.precision,
        size=(scale.width, scale.height),
        threads=torch.get_num_threads(),
        seconds=round(seconds, 4),
        seconds_spread=(round(min(steps), 4), round(max(steps), 4)),
        gflop=round(gflops, 1),
        gflop_per_second=round(gflops / seconds, 1),
        matmul_gflop_per_second=round(matmul, 1),
        ratio=round(gflops / seconds / matmul, 3),
        memory_before_mb=round(before, 1),
        peak_memory_mb=round(_peak_memory_mb(device), 1),
    )


def _forward_gflops(plan: Plan, image: Tensor) -> float:
    """Counted from the layers' shapes. The gradient with respect to the image takes as many again:
    each convolution's is a convolution with the same products."""
    from torch import no_grad
    from torch.utils.flop_counter import FlopCounterMode

    trunk = plan.backbone.trunk(plan.layers)
    with no_grad(), FlopCounterMode(display=False) as counter:
        trunk(image.cpu())
    return float(counter.get_total_flops()) / 1e9


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    import torch

    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - started


def _memory_mb(device: torch.device) -> float:
    import psutil
    import torch

    if device.type == "cuda":
        return float(torch.cuda.memory_allocated(device) / 1e6)
    return float(psutil.Process().memory_info().rss / 1e6)


def _peak_memory_mb(device: torch.device) -> float:
    """The process's own high-water mark, which the evaluations set; on CUDA, the device's."""
    import psutil
    import torch

    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device) / 1e6)
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset / 1e6)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
