"""Maintainer script: the times of a step's convolutions, directly and as they are run.

    python -m stylectl.tools.maintenance.layer_table [--size 512] [--repeats 9]

prints the table of docs/benchmarks.md for VGG-19 and the sample pair: each convolution, forward and
backward, as torch's own and as `convolution = "auto"` runs it, in turn; and the share of a value
and gradient that is spent outside of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.machine.malloc import keep_freed_memory
from ..console.exit import run_and_exit

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ...core.interfaces.trunk import ChainTrunk

_MS = 1e3


@dataclass(frozen=True)
class Layer:
    """Convolution with its input's size, and its milliseconds (forward, backward)."""

    channels: tuple[int, int]
    size: tuple[int, int]
    direct: tuple[float, float]
    fast: tuple[float, float]

    @property
    def gflop(self) -> float:
        """GFLOP of one direction, computed directly; kernels are 3x3."""
        return 18e-9 * self.channels[0] * self.channels[1] * self.size[0] * self.size[1]


def main(
    size: Annotated[int, typer.Option(help="Long side in pixels.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 9,
) -> None:
    """Print the table."""
    import torch

    from ...core.interfaces.trunk import ChainTrunk
    from ...core.run.session import Session
    from ..bench.measuring import at_one_scale

    with Session() as session:
        opened = at_one_scale(session, {"size": size, "device": "cpu"})
        trunk = opened.run.plan.backbone.trunk(opened.run.plan.layers)
        assert isinstance(trunk, ChainTrunk)
        with torch.no_grad():
            layers = list(_measured(trunk, opened.content, repeats))
        (evaluation,) = _medians([lambda: opened.objective.evaluate(opened.content)], repeats)
    print("\n".join(_lines(layers, evaluation)))


def _lines(layers: Sequence[Layer], evaluation: float) -> Iterator[str]:
    yield "| channels | size | GFLOP | direct, forward / back | as run, forward / back |"
    yield "| --- | --- | --- | --- | --- |"
    for layer in layers:
        (inputs, outputs), (height, width) = layer.channels, layer.size
        yield (
            f"| {inputs} to {outputs} | {width}x{height} | {layer.gflop:.1f} "
            f"| {layer.direct[0]:.1f} / {layer.direct[1]:.1f} ms "
            f"| {layer.fast[0]:.1f} / {layer.fast[1]:.1f} ms |"
        )
    direct = sum(sum(layer.direct) for layer in layers)
    fast = sum(sum(layer.fast) for layer in layers)
    gflop = 2 * sum(layer.gflop for layer in layers)
    yield f"| all | | {gflop:.0f} | {direct:.0f} ms | {fast:.0f} ms |"
    yield ""
    yield (
        f"a value and gradient takes {evaluation:.0f} ms, "
        f"{1 - fast / evaluation:.0%} outside of these"
    )


def _measured(trunk: ChainTrunk, x: torch.Tensor, repeats: int) -> Iterator[Layer]:
    import torch
    from torch import nn

    from ...backends.pytorch.fast_convolution import FastConvolution, suitable

    x = trunk.normalize(x).contiguous(memory_format=torch.channels_last)
    for _, step in trunk.upto(trunk.layers):
        layer_input, x = x, step(x)
        if not isinstance(step, nn.Conv2d):
            continue
        step.weight.data = step.weight.data.contiguous(memory_format=torch.channels_last)
        variants = [step, FastConvolution(step) if suitable(step) else step]
        calls: list[Callable[[], object]] = []
        for variant in variants:
            calls += [_forward(variant, layer_input), _backward(variant, x)]
        times = _medians(calls, repeats)
        yield Layer(
            channels=(step.in_channels, step.out_channels),
            size=(layer_input.shape[2], layer_input.shape[3]),
            direct=(times[0], times[1]),
            fast=(times[2], times[3]),
        )


def _forward(step: nn.Conv2d, x: torch.Tensor) -> Callable[[], object]:
    return lambda: step(x)


def _backward(step: nn.Conv2d, output: torch.Tensor) -> Callable[[], object]:
    import torch

    from ...backends.pytorch.chain_vjp import convolution_vjp

    gradient, size = torch.randn_like(output), output.shape[2:]
    return lambda: convolution_vjp(step, (1, 1), size, gradient)


def _medians(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Return the median milliseconds of calls, made in turn; the first round does not count."""
    import torch

    from ..bench.measuring import timed

    rounds = [[timed(call, torch.device("cpu"))[1] for call in calls] for _ in range(repeats + 1)]
    return [_MS * statistics.median(times) for times in zip(*rounds[1:], strict=True)]


if __name__ == "__main__":
    keep_freed_memory()
    run_and_exit(lambda: typer.run(main))
