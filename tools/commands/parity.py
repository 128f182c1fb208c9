"""`stylectl parity`: the distance of a backend from a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import BackendError, UsageError
from ...core.shown import one_line
from ..console import shared_flags
from ..console.messages import print_problems
from ..console.options import with_job_options
from ..console.printing import print_json

if TYPE_CHECKING:
    from ...core.interfaces.backend import FeatureBackend
    from ...core.planning.plan import Plan
    from ...core.planning.registry import Registry
    from ..parity.report import Figure, Report

#: Job of the result that is compared. L-BFGS is unsuitable: it amplifies a single switched
#: rectifier to percents within ten steps, for torch in float32 against torch in float64.
_JOB = {"scales": 1, "iterations": 20, "optimizer": "adam"}
_LONG_SIDE = 48

#: References that are no backends, and their descriptions.
_DIFFERENCES = "differences"
_REFERENCES = {"torch": "torch in float64", _DIFFERENCES: "finite differences of its features"}


@with_job_options(
    "backend", "backbone", "weights", "preprocessing", "pooling", "device", "precision"
)
def command(
    options: dict[str, Any],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="torch (in float64), differences (finite ones, of the backend's own features), or "
            "another backend with its default options. By default torch; for an ONNX file "
            "differences.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Another option of the backend; may be given several times."
        ),
    ] = None,
    no_plugin: shared_flags.PlainNoPlugin = None,
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """Measure the distance of a backend's features, gradients and results from a reference.

    Exits with 1 if one of them is beyond its tolerance.
    """
    from ...plugins.manager import load_plugins
    from ..parity.comparison import compare
    from ..parity.differences import compare_with_differences
    from ..parity.tolerances import TOLERANCES

    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    print_problems(plugins.problems)
    registry = plugins.registry
    plan = _plan(options, _backend_options(option or [], options), registry)
    precision = plan.backend_options.precision
    if reference is None:
        is_file = plan.backbone.onnx_model(plan.layers) is not None
        reference = _DIFFERENCES if is_file else "torch"
    if reference == _DIFFERENCES and precision != "float32":
        raise UsageError(
            f"--reference differences: rounding to {precision} hides them; use --precision float32"
        )
    with plan.open_backend() as tested:
        device, details = str(tested.device), dict(tested.details)
        if reference == _DIFFERENCES:
            report = compare_with_differences(plan, tested, TOLERANCES[precision])
        else:
            with _open_reference(reference, plan, registry) as expected:
                report = compare(plan, tested, expected, TOLERANCES[precision])
    setting = {
        "backend": plan.backend.name,
        "options": plan.job.backend.options,
        "device": device,
        "details": details,
        "precision": precision,
        "backbone": options.get("backbone", plan.job.backbone.name),
        "backbone_options": plan.job.backbone.options,
        "reference": _REFERENCES.get(reference, reference),
    }
    if as_json:
        print_json(_record(setting, report))
    else:
        _print(setting, report)
    if not report.ok:
        raise typer.Exit(1)


def _backend_options(texts: list[str], job_options: Mapping[str, Any]) -> dict[str, Any]:
    from ...core.job.options.text import key_values

    backend_options = key_values("option", texts)
    for key in backend_options:
        if key == "name":
            raise UsageError("--option name: choose the backend with --backend")
        if key in job_options:
            raise UsageError(f"--option {key} and --{key} are the same option; give one of them")
    return dict(backend_options)


def _plan(
    job_options: Mapping[str, Any], backend_options: dict[str, Any], registry: Registry
) -> Plan:
    """Return the plan of a small job with the default terms, large enough for their layers."""
    from ...core.job.building import build_job
    from ...core.job.model import Job
    from ...core.planning.backbones import Backbones
    from ...core.planning.planner import make_plan

    name = job_options.get("backend", Job.model_fields["backend"].default.name)
    backend = {"name": name, "precision": "float32", **backend_options}
    file = {"backend": backend, "init": "content"}
    backbones = Backbones(registry)

    def plan_of(size: int) -> Plan:
        options = {**_JOB, **job_options, "size": size}
        return make_plan(build_job(options, file), registry, backbones)

    plan = plan_of(_LONG_SIDE)
    # Twice: the short sides of the sample pair are more than half of their long sides.
    needed = 2 * plan.deepest.smallest_side
    return plan if needed <= _LONG_SIDE else plan_of(needed)


def _open_reference(name: str, plan: Plan, registry: Registry) -> FeatureBackend:
    from ...backends.accuracy.exact import ExactBackend
    from ...core.attribution import attributed_to
    from ...core.interfaces.specs import BackendArguments

    if name == "torch":
        try:
            return ExactBackend(plan.backbone, plan.layers)
        except BackendError as error:
            raise BackendError(
                f"--reference torch: {error}; its reference is `--reference differences`"
            ) from None
    spec = registry.backends.get(name)
    with attributed_to(registry.backends.label(name)):
        return spec.create(
            BackendArguments(backbone=plan.backbone, layers=plan.layers, options=spec.options())
        )


def _record(setting: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the report ready for JSON, with null for infinity and NaN, which JSON lacks."""
    figures = []
    for figure in report.figures:
        value = figure.value if math.isfinite(figure.value) else None
        figures.append({**asdict(figure), "value": value, "ok": figure.ok})
    return {**setting, "ok": report.ok, "figures": figures}


def _print(setting: dict[str, Any], report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    columns = ("quantity", "subject", "worst image", "value", "tolerance", "")
    table = Table(*columns, box=None, pad_edge=False)
    for figure in report.worst():
        table.add_row(*map(escape, _cells(figure)))
    console = Console(emoji=False)
    head = "{backend} on {device} in {precision}, {backbone}, against {reference}"
    details = [f"{key}: {value}" for key, value in setting["details"].items()]
    lines = [escape(one_line(line)) for line in (head.format(**setting), *details)]
    console.print(*lines, "", table, "", sep="\n", highlight=False)
    beyond = sum(not figure.ok for figure in report.worst())
    console.print(f"{beyond} beyond tolerance" if beyond else "all within tolerance")


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.quantity,
        one_line(figure.subject),
        figure.picture,
        f"{figure.value:.2g}",
        f"{figure.limit:.2g}",
        "ok" if figure.ok else "exceeded",
    )
