"""Maintainer script: the time until a run is as good as many iterations of plain L-BFGS.

    python -m stylectl.tools.maintenance.time_to_quality CONTENT STYLE --size 512 [--set
    KEY=VALUE]... [--json]

Both minimise the objective of `quality_runs.py`. The reference is L-BFGS at one scale, from the
content image, in a process of its own; then stylectl's own schedule, changed by `--set`, is run
until its end. The measured time ends when the objective at the last scale is first as low as the
reference's last value; it includes the coarser scales. A reference that was measured on the same
machine, and written by `--json` or by `--reference-only --json`, is used again by `--reference
FILE`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ...core.machine.malloc import keep_freed_memory
from ..console.exit import run_and_exit

if TYPE_CHECKING:
    from .quality_runs import MeasuredRun, Point

_ITERATIONS = 500


def main(
    content: Annotated[str, typer.Argument(help="An image, or sample:photo.")],
    style: Annotated[str, typer.Argument(help="An image, or sample:painting.")],
    size: Annotated[int, typer.Option(help="Long side in pixels.")] = 512,
    iterations: Annotated[
        int | None, typer.Option(min=1, help=f"Iterations of the reference ({_ITERATIONS}).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of stylectl run for our run, such as scales=1, iterations=200 or "
            "optimizer.history=20; may be given several times.",
        ),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Output of an earlier call with --json.")
    ] = None,
    reference_only: Annotated[bool, typer.Option(help="Measure the reference alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Measure the time until our run is as good as the reference."""
    import torch

    from ...core.planning.planner import make_plan
    from ...core.run.preparation import prepare
    from ...plugins.manager import load_plugins
    from ..queue.settings import fixed, read_settings
    from .quality_runs import measured, own_job, read_reference, reference_job

    images = {"content": content, "styles": [style], "size": size}
    if reference_only:
        if settings or reference:
            raise UsageError("--reference-only: --set and --reference have no effect")
        base = measured(reference_job(images, iterations or _ITERATIONS))
        record = {"reference": base.model_dump()}
        typer.echo(json.dumps(record) if as_json else _reference_text(base))
        return
    if reference and iterations:
        raise UsageError("--iterations has no effect: the reference has been measured")
    registry = load_plugins().registry
    job = own_job(images, fixed(read_settings(settings or [], registry.option_models)))
    # Mistakes in the job or the images are found before the long runs.
    prepared = prepare(make_plan(job, registry))
    height, width = prepared.size
    if reference:
        base = read_reference(reference)
        _check_comparable(
            reference,
            images=(base.inputs, tuple(prepared.inputs.hashes.values())),
            size=(base.size, (width, height)),
            threads=(base.threads, torch.get_num_threads()),
        )
    else:
        base = _measured_apart(content, style, size, iterations or _ITERATIONS)
    comparison = Comparison(base, measured(job))
    typer.echo(json.dumps(comparison.record()) if as_json else comparison.in_words())


@dataclass(frozen=True)
class Comparison:
    """Run beside the reference. The ratios are the reference's seconds divided by ours."""

    reference: MeasuredRun
    ours: MeasuredRun

    def record(self) -> dict[str, Any]:
        """Return everything, ready for JSON, with null for values that were not reached."""
        target = self.reference.at_last_scale[-1].value
        best = self.ours.best
        return {
            "target": target,
            "at_target": self._at(target),
            "at_our_best": self._at(best.value),
            "ours": self.ours.model_dump(),
            "reference": self.reference.model_dump(),
        }

    def in_words(self) -> str:
        """Return the comparison as text, without the curves."""
        target = self.reference.at_last_scale[-1].value
        reached = self._at(target)
        lines = [_reference_text(self.reference), f"our run     {self._schedule()}"]
        if reached["ours"]:
            lines += [f"            is as low after {_times(reached['ours'])}", _ratio(reached)]
            return "\n".join(lines)
        best = self._at(self.ours.best.value)
        lines += [f"            is never as low: {best['value']:.6g} after {_times(best['ours'])}"]
        if best["reference"]:
            lines += [
                f"            the reference is after {_times(best['reference'])}",
                _ratio(best),
            ]
        return "\n".join(lines)

    def _at(self, value: float) -> dict[str, Any]:
        """Return the moments at which each run was first as low as `value`, with their ratios."""
        ours = _moment(self.ours, self.ours.reaching(value))
        reference = _moment(self.reference, self.reference.reaching(value))
        ratios = {
            name: round(reference[key] / ours[key], 3) if ours and reference and ours[key] else None
            for name, key in (("ratio", "seconds"), ("ratio_from_images", "seconds_from_images"))
        }
        return {"value": value, "ours": ours, "reference": reference, **ratios}

    def _schedule(self) -> str:
        scales = ", ".join(f"{steps} at {max(sides)}" for *sides, steps in self.ours.scales)
        return f"iterations {scales} px, {self.ours.backend}"


def _moment(run: MeasuredRun, point: Point | None) -> dict[str, float] | None:
    if point is None:
        return None
    from_images = round(point.seconds + run.seconds_to_run, 4)
    return {"step": point.step, "seconds": point.seconds, "seconds_from_images": from_images}


def _measured_apart(content: str, style: str, size: int, iterations: int) -> MeasuredRun:
    """Measure the reference in a process of its own, so that neither run has warm caches."""
    from .quality_runs import MeasuredRun

    program = [sys.executable, "-P", "-m", "stylectl.tools.maintenance.time_to_quality"]
    sizes = ["--size", str(size), "--iterations", str(iterations)]
    command = [*program, *sizes, "--reference-only", "--json", "--", content, style]
    completed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if completed.returncode:
        raise typer.Exit(completed.returncode)  # it has printed the error
    return MeasuredRun.model_validate(json.loads(completed.stdout)["reference"])


def _check_comparable(path: Path, **pairs: tuple[object, object]) -> None:
    """Raise UsageError for a reference that was measured under other conditions."""
    for condition, (reference_value, value) in pairs.items():
        if reference_value != value:
            raise UsageError(f"--reference {path}: it was measured with other {condition}")


def _reference_text(run: MeasuredRun) -> str:
    width, height = run.size
    last = run.at_last_scale[-1]
    moment = _moment(run, run.reaching(last.value))
    return (
        f"{width}x{height} px, {run.threads} threads, on {run.device}\n"
        f"reference   {last.step} iterations of L-BFGS at one scale\n"
        f"            reaches {last.value:.6g} after {_times(moment)}"
    )


def _times(moment: dict[str, float] | None) -> str:
    assert moment is not None
    return f"{moment['seconds']:.1f} s ({moment['seconds_from_images']:.1f} s from the images)"


def _ratio(moments: dict[str, Any]) -> str:
    if moments["ratio"] is None:
        return "ratio       none: at once"
    return (
        f"ratio       {moments['ratio']:.2f} ({moments['ratio_from_images']:.2f} from the images)"
    )


if __name__ == "__main__":
    keep_freed_memory()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_and_exit(lambda: app(prog_name="time_to_quality", standalone_mode=False))
