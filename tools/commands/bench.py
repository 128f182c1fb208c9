"""`stylectl bench`: the speed of a backend, compared with the machine's or another program's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ..console import shared_flags
from ..console.messages import print_problems
from ..console.options import flag_of, with_job_options
from ..console.printing import print_json, print_line

if TYPE_CHECKING:
    from ...core.planning.registry import Registry
    from ..bench.backends import Measurement

#: Default numbers of timed evaluations, and of iterations with --peer.
_REPEATS, _ITERATIONS = 9, 20


@with_job_options("device", "precision", "gradient", "convolution", "cuda_graph")
def command(
    options: dict[str, Any],
    photo: Annotated[
        str | None, typer.Argument(metavar="PHOTO", help="The content image (default: the sample).")
    ] = None,
    painting: Annotated[
        str | None, typer.Argument(metavar="PAINTING", help="The style image.")
    ] = None,
    size: Annotated[int, typer.Option(help="Long side of the result in pixels.")] = 512,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[@DEVICE]",
            help="The backend to measure; several are measured in turn.",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Preset whose layers and losses are evaluated.")
    ] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Timed evaluations (9).")] = None,
    peer: Annotated[
        str | None, typer.Option(help="Another program to compare with: pastiche.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="With --peer: iterations of each program (20).")
    ] = None,
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """Time a value and gradient of the objective, beside this machine's matrix products.

    All are timed in turn, so that a change of the machine's speed affects all of them. Several
    backends share one process: to see the memory of one of them, measure it alone.

    With --peer, whole iterations are timed instead, and those of another program for the same
    result by that program's objective, each program in a process of its own.
    """
    if photo and not painting:
        raise UsageError("a content image needs a style image: stylectl bench PHOTO PAINTING")
    images = {"content": photo, "styles": [painting]} if painting else {}
    from ...plugins.manager import load_plugins

    folders = plugins_dir or []
    plugins = load_plugins(folders=folders)
    print_problems(plugins.problems)
    registry = plugins.registry
    contenders = backend or ["torch"]
    runtimes = _runtimes(contenders, options, registry)
    if peer:
        for flag, value in (("--preset", preset), ("--repeats", repeats)):
            if value is not None:
                raise UsageError(
                    f"{flag} has no effect with --peer: all run iterations of the peer's objective"
                )
        from ..bench.contest import hold_contest
        from ..bench.contest_figures import in_words, record_of
        from ..bench.peers import peer_named

        count = iterations or _ITERATIONS
        outcome = hold_contest(peer_named(peer), runtimes, images, size, count, folders)
        if as_json:
            print_json(record_of(outcome))
        else:
            print_line(in_words(outcome))
        return
    if iterations is not None:
        raise UsageError("--iterations has no effect without --peer; see --repeats")
    from ..bench.backends import measure

    # In float32, unless another precision is asked for, so that machines compare.
    common = {"size": size, "scales": 1, "upscale": True, "precision": "float32", **images}
    jobs = [{**common, **runtime} for runtime in runtimes]
    measurements = measure(jobs, preset, repeats or _REPEATS, registry)
    if as_json:
        tables = [asdict(measurement) for measurement in measurements]
        print_json(tables[0] if len(tables) == 1 else {"backends": tables})
        return
    for measurement in measurements:
        print_line(_in_words(measurement))
    for contender, measurement in zip(contenders[1:], measurements[1:], strict=True):
        ratio = measurement.seconds / measurements[0].seconds
        print_line(f"{contender} takes {ratio:.2f} times as long as {contenders[0]}")


def _runtimes(
    contenders: Sequence[str], options: Mapping[str, Any], registry: Registry
) -> list[dict[str, Any]]:
    """Return the options of each backend, without those that it does not have.

    A contender is a backend's name, and may state a device of its own. Raises UsageError for an
    option that none of the backends has.
    """
    from ...core.interfaces.backend import BackendOptions

    named = [contender.partition("@")[::2] for contender in contenders]
    models = [registry.backends.get(name).options.model_fields for name, _ in named]
    for option in options.keys() - BackendOptions.model_fields.keys():
        if not any(option in model for model in models):
            names = ", ".join(name for name, _ in named)
            raise UsageError(f"{flag_of(option)} has no effect on {names}")
    return [
        {"backend": name}
        | {option: options[option] for option in options if option in model}
        | ({"device": device} if device else {})
        for (name, device), model in zip(named, models, strict=True)
    ]


def _in_words(measured: Measurement) -> str:
    width, height = measured.size
    low, high = measured.seconds_spread
    details = "".join(f", {name} {value}" for name, value in measured.details.items())
    return (
        f"{measured.backend} on {measured.device}, {measured.precision}, {width}x{height} px, "
        f"{measured.threads} threads{details}\n"
        f"value and gradient   {measured.seconds:.3f} s (median; {low:.3f} to {high:.3f})\n"
        f"first evaluation     starts {measured.seconds_to_start:.1f} s after the images are read, "
        f"and is done after {measured.seconds_to_first:.1f} s\n"
        f"the network's layers {measured.gflop:.1f} GFLOP forward and backward\n"
        f"rate                 {measured.gflop_per_second:.0f} GFLOP/s\n"
        f"matrix products      {measured.matmul_gflop_per_second:.0f} GFLOP/s (float32)\n"
        f"ratio                {measured.ratio:.2f}\n"
        f"peak memory          {measured.peak_memory_mb:.0f} MB "
        f"({measured.memory_before_mb:.0f} MB of them before the first evaluation)\n"
    )
