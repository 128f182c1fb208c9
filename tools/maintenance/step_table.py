"""Maintainer script: the times of an evaluation and of an iteration, by size and precision.

    python -m stylectl.tools.maintenance.step_table PHOTO PAINTING --device cuda --size 512
    --precision bf16

prints a row of docs/benchmarks.md for each size, precision and `--cuda-graph`, each of which may be
given several times: the default losses' value and gradient, an iteration of the default optimizer
(once its history is full), and the peak memory so far.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.machine.malloc import keep_freed_memory
from ..bench.measuring import at_one_scale, peak_memory_mb, timed
from ..console.exit import run_and_exit

if TYPE_CHECKING:
    import torch

#: Iterations that are not timed, in which the history fills up and a CUDA graph is recorded.
_WARM_UP = 12


def main(
    photo: Annotated[str, typer.Argument(help="The content image, or sample:photo.")],
    painting: Annotated[str, typer.Argument(help="The style image, or sample:painting.")],
    size: Annotated[list[int], typer.Option(help="Long side in pixels.")],
    precision: Annotated[list[str], typer.Option(help="As for stylectl run.")],
    cuda_graph: Annotated[list[str] | None, typer.Option(help="As for stylectl run.")] = None,
    device: Annotated[str, typer.Option(help="As for stylectl run.")] = "auto",
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 15,
) -> None:
    """Print the table."""
    print("| long side | precision | graph | value and gradient | an iteration | a second | held |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for side, number_format, graph in product(size, precision, cuda_graph or ["auto"]):
        runtime = {"device": device, "precision": number_format, "cuda_graph": graph}
        images = {"content": photo, "styles": [painting], "size": side}
        evaluation, iteration, peak_mb = _measured({**images, **runtime}, repeats)
        print(
            f"| {side} px | {number_format} | {graph} | {1e3 * evaluation:.2f} ms "
            f"| {1e3 * iteration:.2f} ms | {1 / iteration:.1f} | {peak_mb:.0f} MB |",
            flush=True,
        )


def _measured(options: Mapping[str, Any], repeats: int) -> tuple[float, float, float]:
    """Return the seconds of an evaluation and of an iteration, and the peak MB (10^6 bytes)."""
    from ...core.interfaces.optimizer import Minimization
    from ...core.run.session import Session

    with Session() as session:
        opened = at_one_scale(session, options)
        evaluate, content = opened.objective.evaluate, opened.content
        optimizer, device = opened.run.plan.optimizer, opened.run.backend.device
        iterates = optimizer.iterate(Minimization(content, evaluate, _WARM_UP + repeats))
        for _ in range(_WARM_UP):
            next(iterates)
        iteration = _median(lambda: next(iterates), device, repeats)
        evaluation = _median(lambda: evaluate(content), device, repeats)
        return evaluation, iteration, peak_memory_mb(device)


def _median(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    return statistics.median(timed(call, device)[1] for _ in range(repeats))


if __name__ == "__main__":
    keep_freed_memory()
    run_and_exit(lambda: typer.run(main))
