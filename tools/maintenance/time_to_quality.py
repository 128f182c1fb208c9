"""For maintainers: how soon a run is as good as many iterations of plain L-BFGS, by one objective.

    python -m stylectl.tools.maintenance.time_to_quality CONTENT STYLE --size 512 [--set
    KEY=VALUE]... [--json]

`quality_runs.py` has the objective. The reference is L-BFGS at one scale, from the content image,
in a process of its own; then the program's own schedule, or what `--set` makes of it, is run until
its end. The time that counts is the one until the objective at the last scale is first as low as
the reference's last value; the coarser scales are in it. A reference that was measured on the same
machine, written by `--json` or by `--reference-only --json`, is taken again by `--reference FILE`.
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
from ...core.malloc import keep_freed_memory
from ..console.exit import run_and_exit

if TYPE_CHECKING:
    from .quality_runs import MeasuredRun, Point

_ITERATIONS = 500


def main(
    content: Annotated[str, typer.Argument(help="An image, or sample:photo.")],
    style: Annotated[str, typer.Argument(help="An image, or sample:painting.")],
    size: Annotated[int, typer.Option(help="Long side in pixels.")] = 512,
    iterations: Annotated[
        int | None, typer.Option(min=1, help=f"Of the reference ({_ITERATIONS}).")
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
        Path | None, typer.Option(help="What an earlier call with --json wrote.")
    ] = None,
    reference_only: Annotated[bool, typer.Option(help="Measure the reference alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Measure how soon our run is as good as the reference."""
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
        found = measured(reference_job(images, iterations or _ITERATIONS))
        record = {"reference": found.model_dump()}
        typer.echo(json.dumps(record) if as_json else _of_reference(found))
        return
    if reference and iterations:
        raise UsageError("--iterations has no effect: the reference has been measured")
    job = own_job(images, fixed(read_settings(settings or [])))
    # What is wrong shows before the runs take their time.
    prepared = prepare(make_plan(job, load_plugins().registry))
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
    """A run beside the reference. The ratios are the reference's seconds divided by ours."""

    reference: MeasuredRun
    ours: MeasuredRun

    def record(self) -> dict[str, Any]:
        """Everything, ready for JSON, with null for what was not reached."""
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
        """The same without the curves."""
        target = self.reference.at_last_scale[-1].value
        reached = self._at(target)
        lines = [_of_reference(self.reference), f"our run     {self._schedule()}"]
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
        """When each was first so low, and the ratios, if both were."""
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
    """The reference, in a process of its own: both runs find nothing warm."""
    from .quality_runs import MeasuredRun

    program = [sys.executable, "-P", "-m", "stylectl.tools.maintenance.time_to_quality"]
    sizes = ["--size", str(size), "--iterations", str(iterations)]
    command = [*program, *sizes, "--reference-only", "--json", "--", content, style]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)  # it has said what is wrong
    return MeasuredRun.model_validate(json.loads(done.stdout)["reference"])


def _check_comparable(path: Path, **pairs: tuple[object, object]) -> None:
    """Raises UsageError for a reference that was measured under other conditions than are here."""
    for what, (there, here) in pairs.items():
        if there != here:
            raise UsageError(f"--reference {path}: it was measured with other {what}")


def _of_reference(run: MeasuredRun) -> str:
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


def _ratio(found: dict[str, Any]) -> str:
    if found["ratio"] is None:
        return "ratio       none: at once"
    return f"ratio       {found['ratio']:.2f} ({found['ratio_from_images']:.2f} from the images)"


if __name__ == "__main__":
    keep_freed_memory()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_and_exit(lambda: app(prog_name="time_to_quality", standalone_mode=False))
