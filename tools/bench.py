"""`stylectl bench`: how fast a backend is, beside what this machine or another program can do."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from ..core.errors import UsageError
from .measuring import memory_mb, peak_memory_mb, timed

if TYPE_CHECKING:
    from torch import Tensor

    from ..core.inputs import Inputs
    from ..core.plan import Plan
    from ..core.schedule import Scale

#: Side of the square matrices whose product gives the machine's rate; large enough to be at it.
_MATRIX = 2048
#: Unless it is said: evaluations, and iterations beside a peer.
_REPEATS, _ITERATIONS = 9, 20


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
    photo: Annotated[
        str | None, typer.Argument(metavar="PHOTO", help="The content image (the sample's).")
    ] = None,
    painting: Annotated[str | None, typer.Argument(metavar="PAINTING", help="The style.")] = None,
    size: Annotated[int, typer.Option(help="Long side of the picture in pixels.")] = 512,
    backend: Annotated[
        list[str] | None,
        typer.Option(help="The backend to measure (torch); several are measured in turn."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:N, mps or tensorrt.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="float32, tf32, bf16 or fp16.")] = None,
    gradient: Annotated[
        str | None, typer.Option(help="Of the backend onnx: auto, native or torch.")
    ] = None,
    convolution: Annotated[str | None, typer.Option(help="auto or direct, as for run.")] = None,
    cuda_graph: Annotated[
        str | None, typer.Option(help="Of the backend torch, on CUDA: auto or off.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Whose layers and losses are run.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Counted evaluations (9).")] = None,
    peer: Annotated[
        str | None, typer.Option(help="Another program to be measured beside: pastiche.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="With --peer: of each program (20).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Time a value-and-gradient of the sample pair, beside this machine's matrix products.

    All are timed in turn, so that a change of the machine's speed meets all. Several backends share
    the process: what memory one of them takes is seen when it is measured alone.

    With --peer whole iterations are timed beside another program's, of the same picture by that
    program's objective, each in a process of its own.
    """
    if photo and not painting:
        raise UsageError("a photo needs a painting: stylectl bench PHOTO PAINTING")
    images = {"content": photo, "styles": [painting]} if painting else {}
    names = backend or ["torch"]
    common = {"device": device, "precision": precision}
    choices = {"gradient": gradient, "convolution": convolution, "cuda_graph": cuda_graph}
    runtimes = _runtimes(names, common, choices)
    if peer:
        for flag, given in (("--preset", preset), ("--repeats", repeats)):
            if given is not None:
                raise UsageError(
                    f"{flag} has no effect with --peer: all compute what the peer does"
                )
        _beside(peer, runtimes, images, size, iterations or _ITERATIONS, as_json)
        return
    if iterations is not None:
        raise UsageError("--iterations has no effect without --peer; see --repeats")
    more = {"size": size, "scales": 1, "upscale": True, **images}
    measured = _measure([{**each, **more} for each in runtimes], preset, repeats or _REPEATS)
    if as_json:
        tables = [asdict(each) for each in measured]
        typer.echo(json.dumps(tables[0] if len(tables) == 1 else {"backends": tables}))
        return
    for each in measured:
        typer.echo(_in_words(each))
    for each in measured[1:]:
        share = each.seconds / measured[0].seconds
        typer.echo(f"{each.backend} takes {share:.2f} times as long as {measured[0].backend}")


def _runtimes(
    names: Sequence[str], common: Mapping[str, Any], choices: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """The options of each backend; `choices` are for those that have them."""
    from ..plugins.manager import load_plugins

    backends = load_plugins().registry.backends
    options = [backends.get(name).options.model_fields for name in names]
    for choice, given in choices.items():
        if given and not any(choice in each for each in options):
            flag = choice.replace("_", "-")
            raise UsageError(f"--{flag} has no effect on {', '.join(names)}")
    return [
        {"backend": name, **common}
        | {choice: given for choice, given in choices.items() if choice in each}
        for name, each in zip(names, options, strict=True)
    ]


def _beside(
    name: str,
    runtimes: Sequence[Mapping[str, Any]],
    images: Mapping[str, Any],
    size: int,
    iterations: int,
    as_json: bool,
) -> None:
    from .contest import hold_contest
    from .contest_figures import in_words, record_of
    from .peers import peer_named

    outcome = hold_contest(peer_named(name), runtimes, images, size, iterations)
    typer.echo(json.dumps(record_of(outcome)) if as_json else in_words(outcome))


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


def _measure(
    jobs: Sequence[Mapping[str, Any]], preset: str | None, repeats: int
) -> list[Measurement]:
    import torch

    from ..core.inputs import read_inputs
    from ..core.options import build_job
    from ..core.plan import make_plan
    from ..core.sight import at_scale, scales_for
    from ..plugins.manager import load_plugins

    registry = load_plugins().registry
    plans = [make_plan(build_job(options, preset=preset), registry) for options in jobs]
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
        self._memory_before = memory_mb(self._device)
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
        self._steps.append(timed(self._step, self._device)[1])
        self._products.append(timed(lambda: self._matrix @ self._matrix, self._device)[1])

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
            peak_memory_mb=round(peak_memory_mb(self._device), 1),
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
