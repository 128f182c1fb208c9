"""Speed of backends: a value and gradient of a job, beside this machine's matrix products."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...core.interfaces.backend import precision_of
from ...core.planning.job_files import make_job
from ...core.planning.planner import make_plan
from ...core.planning.registry import Registry
from ...core.run.preparation import Prepared, prepare
from ...core.run.session import Session
from .measuring import memory_mb, peak_memory_mb, timed

#: Side of the square matrices whose product gives the machine's rate; large enough to reach it.
_MATRIX = 2048


@dataclass(frozen=True)
class Measurement:
    """Figures of a backend at one size (width, height).

    Rates are in GFLOP/s (10^9 floating-point operations per second), a multiplication and an
    addition being two; memory is in MB (10^6 bytes). After the images are read, the first
    evaluation begins after `seconds_to_start` and ends after `seconds_to_first`.
    """

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


def measure(
    jobs: Sequence[Mapping[str, Any]], preset: str | None, repeats: int, registry: Registry
) -> list[Measurement]:
    """Measure jobs, given by their options, that differ only in their backends.

    They are timed in turn, so that a change of the machine's speed affects all of them. Raises
    StylectlError and its subclasses.
    """
    prepared_jobs = [
        prepare(make_plan(make_job(options, registry, preset=preset), registry)) for options in jobs
    ]
    gflops = 2 * _forward_gflops(prepared_jobs[0])
    with ExitStack() as stack:
        timers = [stack.enter_context(_Timer(prepared)) for prepared in prepared_jobs]
        for _ in range(repeats):
            for timer in timers:
                timer.time_a_step()
        return [timer.measurement(gflops) for timer in timers]


class _Timer:
    """Session with an objective, and the measured times."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared, self._session = prepared, Session()
        started = time.perf_counter()
        self._run = self._session.open(prepared)
        self._device = self._run.backend.device
        inputs = self._run.inputs_at(0)
        self._content = inputs.content
        self._objective = self._run.objective(inputs)
        self._matrix = torch.rand(_MATRIX, _MATRIX, device=self._device)
        self._memory_before = memory_mb(self._device)
        self._start = time.perf_counter() - started
        self._step()
        self._first = time.perf_counter() - started
        self._steps: list[float] = []
        self._products: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def time_a_step(self) -> None:
        """Time one evaluation, and one matrix product beside it."""
        self._steps.append(timed(self._step, self._device)[1])
        self._products.append(timed(lambda: self._matrix @ self._matrix, self._device)[1])

    def measurement(self, gflops: float) -> Measurement:
        """Return the figures, for `gflops` GFLOP of a value and gradient."""
        plan, (height, width) = self._prepared.plan, self._prepared.size
        seconds = statistics.median(self._steps)
        matmul = 2 * _MATRIX**3 / 1e9 / statistics.median(self._products)
        return Measurement(
            backend=plan.backend.name,
            device=str(self._device),
            details=dict(self._run.details),
            precision=precision_of(self._run.backend, plan.backend_options),
            size=(width, height),
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
            peak_memory_mb=round(peak_memory_mb(self._device), 1),
        )

    def _step(self) -> None:
        self._objective.evaluate(self._content)


def _forward_gflops(prepared: Prepared) -> float:
    """Return the GFLOP of a forward pass, counted from the layers' shapes.

    The gradient with respect to the image takes as many again: each convolution's is a convolution
    with the same products.
    """
    trunk = prepared.plan.backbone.trunk(prepared.plan.layers)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        trunk(torch.zeros(1, 3, *prepared.size))
    return float(counter.get_total_flops()) / 1e9
