"""For maintainers: what the convolutions of a step take, directly and as they are run.

    python -m stylectl.tools.maintenance.layer_table [--size 512] [--repeats 9]

prints the table of docs/benchmarks.md for VGG-19 and the sample pair: each convolution, forward and
back, by torch's own and by what `convolution = "auto"` makes of it, in turn; and what of a whole
value and gradient is spent outside of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.malloc import keep_freed_memory
from ..console.exit import run_and_exit

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ...core.interfaces.trunk import ChainTrunk

_MS = 1e3


@dataclass(frozen=True)
class Layer:
    """A convolution with its input's size, and milliseconds: forward and back, direct and fast."""

    channels: tuple[int, int]
    size: tuple[int, int]
    direct: tuple[float, float]
    fast: tuple[float, float]

    @property
    def gflop(self) -> float:
        """Of one direction, directly; kernels are 3x3."""
        return 18e-9 * self.channels[0] * self.channels[1] * self.size[0] * self.size[1]


def main(
    size: Annotated[int, typer.Option(help="Long side in pixels.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Counted runs of each.")] = 9,
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
        (whole,) = _medians([lambda: opened.objective.evaluate(opened.content)], repeats)
    print("\n".join(_lines(layers, whole)))


def _lines(layers: Sequence[Layer], whole: float) -> Iterator[str]:
    yield "| channels | size | GFLOP | direct, forward / back | as run, forward / back |"
    yield "| --- | --- | --- | --- | --- |"
    for each in layers:
        (inputs, outputs), (height, width) = each.channels, each.size
        yield (
            f"| {inputs} to {outputs} | {width}x{height} | {each.gflop:.1f} "
            f"| {each.direct[0]:.1f} / {each.direct[1]:.1f} ms "
            f"| {each.fast[0]:.1f} / {each.fast[1]:.1f} ms |"
        )
    direct, fast = sum(sum(each.direct) for each in layers), sum(sum(each.fast) for each in layers)
    gflop = 2 * sum(each.gflop for each in layers)
    yield f"| all | | {gflop:.0f} | {direct:.0f} ms | {fast:.0f} ms |"
    yield ""
    yield f"a value and gradient takes {whole:.0f} ms, {1 - fast / whole:.0%} outside of these"


def _measured(trunk: ChainTrunk, x: torch.Tensor, repeats: int) -> Iterator[Layer]:
    import torch
    from torch import nn

    from ...backends.pytorch.fast_convolution import FastConvolution, suitable

    x = trunk.normalize(x).contiguous(memory_format=torch.channels_last)
    for _, step in trunk.upto(trunk.layers):
        given, x = x, step(x)
        if not isinstance(step, nn.Conv2d):
            continue
        step.weight.data = step.weight.data.contiguous(memory_format=torch.channels_last)
        ways = [step, FastConvolution(step) if suitable(step) else step]
        calls: list[Callable[[], object]] = []
        for way in ways:
            calls += [_forward(way, given), _back(way, x)]
        times = _medians(calls, repeats)
        yield Layer(
            channels=(step.in_channels, step.out_channels),
            size=(given.shape[2], given.shape[3]),
            direct=(times[0], times[1]),
            fast=(times[2], times[3]),
        )


def _forward(step: nn.Conv2d, x: torch.Tensor) -> Callable[[], object]:
    return lambda: step(x)


def _back(step: nn.Conv2d, like: torch.Tensor) -> Callable[[], object]:
    import torch

    from ...backends.pytorch.chain_vjp import convolution_vjp

    gradient, size = torch.randn_like(like), like.shape[2:]
    return lambda: convolution_vjp(step, (1, 1), size, gradient)


def _medians(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Milliseconds of each, called in turn; the first round does not count."""
    import torch

    from ..bench.measuring import timed

    rounds = [[timed(call, torch.device("cpu"))[1] for call in calls] for _ in range(repeats + 1)]
    return [_MS * statistics.median(times) for times in zip(*rounds[1:], strict=True)]


if __name__ == "__main__":
    keep_freed_memory()
    run_and_exit(lambda: typer.run(main))
