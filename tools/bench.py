"""`stylectl bench`: how fast a backend is, beside what this machine can do."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Self

import typer

from ..core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..core.inputs import Inputs
    from ..core.plan import Plan
    from ..core.schedule import Scale

#: Side of the square matrices whose product gives the machine's rate; large enough to be at it.
_MATRIX = 2048


@dataclass(frozen=True)
class Measurement:
    """A backend's figures at one size. Rates are in GFLOP/s (10^9 floating-point operations per
    second), a multiplication and an addition being two; memory is in MB (10^6 bytes).
    From the images being read it takes `seconds_to_start` until the first evaluation begins, and
    `seconds_to_first` until it is done."""

    backend: str
    device: str
    details: Mapping[str, str]
    precision: str
    size: tuple[int, int]
    threads: int
    seconds: float
    seconds_spread: tuple[float, float]
    seconds_to_start: float
    seconds_to_first: float
    gflop: float
    gflop_per_second: float
    matmul_gflop_per_second: float
    ratio: float
    memory_before_mb: float
    peak_memory_mb: float


def command(
    size: Annotated[int, typer.Option(help="Long side of the picture in pixels.")] = 512,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="The backend to measure (torch); several are measured in turn."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:N, mps or tensorrt.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="float32, bf16 or fp16.")] = None,
    gradient: Annotated[
        str | None, typer.Option(help="Of the backend onnx: auto, native or torch.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Whose layers and losses are run.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Counted evaluations.")] = 9,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Time a value-and-gradient of the sample pair, beside this machine's matrix products.

    All are timed in turn, so that a change of the machine's speed meets all. Several backends share
    the process: what memory one of them takes is seen when it is measured alone.
    """
    from ..core.options import build_job
    from ..core.plan import make_plan
    from ..plugins.manager import load_plugins

    registry = load_plugins().registry
    names = backend or ["torch"]
    given = {"device": device, "precision": precision, "size": size}
    choosing = [
        name for name in names if "gradient" in registry.backends.get(name).options.model_fields
    ]
    if gradient and not choosing:
        raise UsageError(f"--gradient has no effect on {', '.join(names)}")
    plans = []
    for name in names:
        options = {**given, "backend": name, "gradient": gradient if name in choosing else None}
        job = build_job({**options, "scales": 1, "upscale": True}, preset=preset)
        plans.append(make_plan(job, registry))
    measured = _measure(plans, repeats)
    if as_json:
        tables = [asdict(each) for each in measured]
        typer.echo(json.dumps(tables[0] if len(tables) == 1 else {"backends": tables}))
        return
    for each in measured:
        typer.echo(_in_words(each))
    for each in measured[1:]:
        share = each.seconds / measured[0].seconds
        typer.echo(f"{each.backend} takes {share:.2f} times as long as {measured[0].backend}")


def _in_words(measured: Measurement) -> str:
    width, height = measured.size
    low, high = measured.seconds_spread
    details = "".join(f", {name} {value}" for name, value in measured.details.items())
    return (
        f"{measured.backend} on {measured.device}, {measured.precision}, {width}x{height} px, "
        f"{measured.threads} threads{details}\n"
        f"value and gradient   {measured.seconds:.3f} s (median; {low:.3f} to {high:.3f})\n"
        f"the first one        starts {measured.seconds_to_start:.1f} s after the images are read, "
        f"and is done after {measured.seconds_to_first:.1f} s\n"
        f"the network's layers {measured.gflop:.1f} GFLOP forward and backward\n"
        f"rate                 {measured.gflop_per_second:.0f} GFLOP/s\n"
        f"matrix products      {measured.matmul_gflop_per_second:.0f} GFLOP/s (float32)\n"
        f"ratio                {measured.ratio:.2f}\n"
        f"peak memory          {measured.peak_memory_mb:.0f} MB "
        f"({measured.memory_before_mb:.0f} MB of them before the first evaluation)\n"
    )


def _measure(plans: list[Plan], repeats: int) -> list[Measurement]:
    import torch

    from ..core.inputs import read_inputs
    from ..core.sight import at_scale, scales_for

    inputs = read_inputs(plans[0])
    (scale,) = scales_for(plans[0], inputs)
    content = at_scale(plans[0], inputs, scale, torch.device("cpu")).content
    gflops = 2 * _forward_gflops(plans[0], content)
    with ExitStack() as stack:
        runners = [stack.enter_context(_Runner(plan, inputs, scale)) for plan in plans]
        for _ in range(repeats):
            for runner in runners:
                runner.time_a_step()
        return [runner.measurement(gflops) for runner in runners]


class _Runner:
    """A backend with an objective, and the times that were taken."""

    def __init__(self, plan: Plan, inputs: Inputs, scale: Scale) -> None:
        import torch

        from ..core.binding import bind_objective
        from ..core.sight import at_scale

        self._plan, self._scale = plan, scale
        started = time.perf_counter()
        self._backend = plan.open_backend()
        self._device = self._backend.device
        sight = at_scale(plan, inputs, scale, self._device)
        self._content = sight.content
        self._objective = bind_objective(plan, self._backend, sight)
        self._matrix = torch.rand(_MATRIX, _MATRIX, device=self._device)
        self._memory_before = _memory_mb(self._device)
        self._start = time.perf_counter() - started
        self._step()
        self._first = time.perf_counter() - started
        self._steps: list[float] = []
        self._products: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._backend.close()

    def time_a_step(self) -> None:
        """One evaluation, and one matrix product beside it."""
        self._steps.append(_seconds(self._step, self._device))
        self._products.append(_seconds(lambda: self._matrix @ self._matrix, self._device))

    def measurement(self, gflops: float) -> Measurement:
        """Of a network of so many GFLOP."""
        import torch

        seconds = statistics.median(self._steps)
        matmul = 2 * _MATRIX**3 / 1e9 / statistics.median(self._products)
        return Measurement(
            backend=self._plan.backend.name,
            device=str(self._device),
            details=dict(self._backend.details),
            precision=self._plan.backend_options.precision,
            size=(self._scale.width, self._scale.height),
            threads=torch.get_num_threads(),
            seconds=round(seconds, 4),
            seconds_spread=(round(min(self._steps), 4), round(max(self._steps), 4)),
            seconds_to_start=round(self._start, 3),
            seconds_to_first=round(self._first, 3),
            gflop=round(gflops, 1),
            gflop_per_second=round(gflops / seconds, 1),
            matmul_gflop_per_second=round(matmul, 1),
            ratio=round(gflops / seconds / matmul, 3),
            memory_before_mb=round(self._memory_before, 1),
            peak_memory_mb=round(_peak_memory_mb(self._device), 1),
        )

    def _step(self) -> None:
        self._objective.evaluate(self._content)


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
