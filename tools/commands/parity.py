"""`stylectl parity`: the distance of a backend from a reference."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import BackendError, UsageError
from ..console.options import with_job_options

if TYPE_CHECKING:
    from ...core.interfaces.backend import FeatureBackend
    from ...core.planning.plan import Plan
    from ...core.planning.registry import Registry
    from ..parity.report import Figure, Report

#: The job of the result that is made. L-BFGS would not do: it enlarges a single switched rectifier
#: to percents within ten steps, of torch in float32 against torch in float64.
_JOB = {"scales": 1, "iterations": 20, "optimizer": "adam"}
_LONG_SIDE = 48


@with_job_options(
    "backend", "backbone", "weights", "preprocessing", "pooling", "device", "precision"
)
def command(
    options: dict[str, Any],
    reference: Annotated[
        str, typer.Option(help="torch (in float64), or another backend as it runs by default.")
    ] = "torch",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A further option of the backend, repeatable."),
    ] = None,
    no_plugin: Annotated[list[str] | None, typer.Option(help="Leave a plugin out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Measure the distance of a backend's features, gradients and results from a reference.

    Exits with 1 if one of them is beyond its tolerance.
    """
    from ...plugins.manager import load_plugins
    from ..parity.comparison import compare
    from ..parity.tolerances import TOLERANCES

    registry = load_plugins(no_plugin or []).registry
    plan = _plan(options, _further(option or [], options), registry)
    used = plan.backend_options.precision
    with _open_reference(reference, plan, registry) as other, plan.open_backend() as tested:
        where, details = str(tested.device), dict(tested.details)
        report = compare(plan, tested, other, TOLERANCES[used])
    setting = {
        "backend": plan.backend.name,
        "options": plan.job.backend.options,
        "device": where,
        "details": details,
        "precision": used,
        "backbone": options.get("backbone", plan.job.backbone.name),
        "backbone_options": plan.job.backbone.options,
        "reference": "torch in float64" if reference == "torch" else reference,
    }
    if as_json:
        typer.echo(json.dumps(_record(setting, report)))
    else:
        _print(setting, report)
    if not report.ok:
        raise typer.Exit(1)


def _further(texts: list[str], chosen: Mapping[str, Any]) -> dict[str, Any]:
    from ...core.job.text import key_values

    further = key_values("option", texts)
    for key in further:
        if key == "name":
            raise UsageError("--option name: choose the backend with --backend")
        if key in chosen:
            raise UsageError(f"--option {key} and --{key} say the same; leave one of them out")
    return dict(further)


def _plan(chosen: Mapping[str, Any], further: dict[str, Any], registry: Registry) -> Plan:
    """A small job with the default terms, at a size that has room for their deepest layer."""
    from ...core.job.building import build_job
    from ...core.job.model import Job
    from ...core.planning.backbones import Backbones
    from ...core.planning.planner import make_plan

    name = chosen.get("backend", Job.model_fields["backend"].default.name)
    file = {"backend": {"name": name, **further}, "init": "content"}
    backbones = Backbones(registry)

    def plan_of(size: int) -> Plan:
        return make_plan(build_job({**_JOB, **chosen, "size": size}, file), registry, backbones)

    plan = plan_of(_LONG_SIDE)
    # Twice: the sample pair's short sides are more than half of their long ones.
    needed = 2 * plan.deepest.smallest_side
    return plan if needed <= _LONG_SIDE else plan_of(needed)


def _open_reference(name: str, plan: Plan, registry: Registry) -> FeatureBackend:
    from ...backends.accuracy.exact import ExactBackend
    from ...core.attribution import attributed_to

    if name == "torch":
        try:
            return ExactBackend(plan.backbone, plan.layers)
        except BackendError as error:
            raise BackendError(f"--reference torch: {error}") from None
    spec = registry.backends.get(name)
    with attributed_to(registry.backends.label(name)):
        return spec.create(plan.backbone, plan.layers, spec.options())


def _record(setting: dict[str, Any], report: Report) -> dict[str, Any]:
    """JSON has no infinity and no NaN: they are null."""
    figures = []
    for figure in report.figures:
        value = figure.value if math.isfinite(figure.value) else None
        figures.append({**asdict(figure), "value": value, "ok": figure.ok})
    return {**setting, "ok": report.ok, "figures": figures}


def _print(setting: dict[str, Any], report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    columns = ("what", "of", "worst on", "value", "tolerance", "")
    table = Table(*columns, box=None, pad_edge=False)
    for figure in report.worst():
        table.add_row(*map(escape, _cells(figure)))
    console = Console()
    head = "{backend} on {device} in {precision}, {backbone}, against {reference}"
    details = [f"{key}: {value}" for key, value in setting["details"].items()]
    lines = [escape(line) for line in (head.format(**setting), *details)]
    console.print(*lines, "", table, "", sep="\n", highlight=False)
    beyond = sum(not figure.ok for figure in report.worst())
    console.print(f"{beyond} beyond tolerance" if beyond else "all within tolerance")


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.quantity,
        figure.subject,
        figure.picture,
        f"{figure.value:.2g}",
        f"{figure.limit:.2g}",
        "ok" if figure.ok else "exceeded",
    )
