"""`stylectl export`: a backbone, or the objective of a job, as an ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ...core.files import check_output
from ...core.job.options.table import OPTIONS
from ..console import shared_flags
from ..console.messages import print_problems
from ..console.options import with_job_options
from ..console.printing import print_json, print_line

if TYPE_CHECKING:
    from ...core.interfaces.backbone import Backbone
    from ...core.job.model import Job
    from ...plugins.manager import Plugins
    from ..export.variant import Variant

_OBJECTIVE, _FILE = "The objective", "The file"

#: Options of a job that are those of a backbone's file as well.
_OF_BACKBONE = {"weights", "preprocessing", "pooling", "padding"}
#: Options that have a flag of their own here, and those without effect on an objective.
_WITHOUT_FLAG = {
    *("size", "backbone"),
    *("backend", "device", "gradient", "convolution", "cuda_graph", "precision"),
    *("metadata", "color_profile"),
}


@with_job_options(*(name for name in OPTIONS if name not in _WITHOUT_FLAG))
def command(
    options: dict[str, Any],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=shared_flags.path_of,
            metavar="FILE",
            help="The .onnx file to write.",
        ),
    ],
    backbone: Annotated[
        str | None, typer.Option(metavar="NAME[:MODEL]", help="The backbone (vgg19).")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Layers that the model outputs, such as relu1_1,relu4_2. Default: those of the "
            "default losses."
        ),
    ] = None,
    objective: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="PHOTO PAINTING",
            help="Write the objective of these images instead of a backbone: from the pixels to "
            "the loss, its parts and its gradient.",
            rich_help_panel=_OBJECTIVE,
        ),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(
            parser=shared_flags.path_of,
            metavar="FILE",
            help="A job file, whose objective is written; --objective replaces its images.",
            rich_help_panel=_OBJECTIVE,
        ),
    ] = None,
    preset: shared_flags.Preset = None,
    settings: shared_flags.Set = None,
    scale: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The scale of the job, from 1, the coarsest. Default: the finest.",
            rich_help_panel=_OBJECTIVE,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH|dynamic",
            help="The images' size in pixels. Default: dynamic for a backbone, the job's size for "
            "an objective, which may also be one number, the long side.",
            rich_help_panel=_FILE,
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="ONNX's version of the operators. Default: the lowest that has them all.",
            rich_help_panel=_FILE,
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="float32|float16|int8",
            help="Precision of the weights and, for float16, of the activations. Default: float32.",
            rich_help_panel=_FILE,
        ),
    ] = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Short for --dtype float16.", rich_help_panel=_FILE)
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Short for --dtype int8.", rich_help_panel=_FILE)
    ] = False,
    no_plugin: shared_flags.PlainNoPlugin = None,
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """Write a backbone, or a job's objective with its gradient, as one ONNX file.

    The file is compared with torch before it is written.
    """
    _check_path(output)
    is_objective = bool(objective or job or "texture" in options)
    if is_objective and layers:
        raise UsageError("--layers has no effect: an objective has the layers of its loss terms")
    if not is_objective:
        others = {"set": settings, "scale": scale, "preset": preset}
        stated = [name for name, value in others.items() if value is not None]
        for name in (*stated, *sorted(options.keys() - _OF_BACKBONE)):
            raise UsageError(f"`{name}` is of an objective; add --objective, --texture or --job")
    from ...plugins.manager import load_plugins
    from ..export.variant import Variant, read_precision, read_size

    precision = read_precision(dtype, fp16, int8)
    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    print_problems(plugins.problems)
    if is_objective:
        flags = options if backbone is None else {**options, "backbone": backbone}
        dynamic = size == "dynamic"
        fixed = read_size(size) if size and "x" in size else None
        flags |= {"size": size} if size and not dynamic else {}
        flags |= {} if preset is None else {"preset": preset}
        chosen = _job(objective, job, settings or [], flags, plugins)
        variant = Variant(fixed, dynamic, opset, precision)
        record, summary = _write_objective(output, job, chosen, variant, scale, plugins)
    else:
        fixed = None if size is None else read_size(size)
        variant = Variant(size=fixed, opset=opset, precision=precision)
        record, summary = _write_network(
            output, backbone or "vgg19", options, layers, variant, plugins
        )
    if as_json:
        print_json(record)
    else:
        print_line(summary)


def _write_network(
    output: Path,
    backbone: str,
    options: dict[str, Any],
    layers: str | None,
    variant: Variant,
    plugins: Plugins,
) -> tuple[dict[str, Any], str]:
    """Write a backbone; return the record and the line that are shown."""
    from ...core.files import check_is_no_input
    from ...core.job.choices import Choice
    from ...core.job.tables import choice_table, texts_in
    from ...core.planning.backbones import Backbones

    choice = Choice.model_validate({**choice_table(backbone), **options})
    check_is_no_input([output], map(Path, texts_in(choice.options)))
    network, _ = Backbones(plugins.registry).get(choice)
    chosen = _chosen_layers(network, layers)

    from ...backends.onnx_export.export import save_model
    from ..export.network import export_network

    exported = export_network(network, chosen, variant)
    save_model(exported.model, output)
    worst = max(exported.distances.values())
    summary = (
        f"{output}: {len(chosen)} layers of {backbone}, {output.stat().st_size / 1e6:.1f} MB; "
        f"relative distance from torch at most {worst:.1e}"
    )
    return {"output": str(output), "layers": exported.distances}, summary


def _write_objective(
    output: Path,
    job_file: Path | None,
    job: Job,
    variant: Variant,
    scale: int | None,
    plugins: Plugins,
) -> tuple[dict[str, Any], str]:
    """Write an objective and its start; return the record and the line that are shown."""
    from ...core.files import check_is_no_input
    from ...core.planning.planner import make_plan

    start_path = output.with_suffix(".start.f32")
    if not variant.dynamic:
        check_output(start_path)
    plan = make_plan(job, plugins.registry)
    inputs = [Path(path) for path in (*plan.job.input_paths, *plan.files)]
    check_is_no_input([output, start_path], [*inputs, *([job_file] if job_file else [])])

    from ...backends.onnx_export.export import save_model
    from ..export.objective import export_objective
    from ..export.start import save_start

    exported = export_objective(plan, variant, scale, start_path.name)
    print_problems(exported.notices)
    record: dict[str, Any] = {"output": str(output)}
    files = [output]
    if exported.start is not None:
        save_start(exported.start, start_path)
        files.append(start_path)
        record["start"] = str(start_path)
    save_model(exported.model, output)
    value = max(distances.value for distances in exported.distances.values())
    gradients = [d for of_size in exported.distances.values() for d in of_size.gradients]
    height, width = next(iter(exported.distances))
    record |= {
        "size": "dynamic" if variant.dynamic else [width, height],
        "loss": value,
        "gradients": gradients,
    }
    return record, (
        f"{', '.join(map(str, files))}: the objective for "
        f"{'any size' if variant.dynamic else f'{width}x{height} px'}, "
        f"{output.stat().st_size / 1e6:.1f} MB; relative distance from torch: loss {value:.1e}, "
        f"gradient {min(gradients):.1e} to {max(gradients):.1e}"
    )


def _job(
    objective: tuple[str, str] | None,
    file: Path | None,
    settings: list[str],
    flags: dict[str, Any],
    plugins: Plugins,
) -> Job:
    """Return the job whose objective is exported. Raises UsageError."""
    from ...core.job.options.text import size as sides_of
    from ...core.outputs.record import read_job_file
    from ...core.planning.job_files import make_job
    from ..queue.settings import fixed, read_settings

    registry = plugins.registry
    size = sides_of("size", flags.pop("size")) if "size" in flags else None
    if objective:
        flags |= {"content": objective[0], "styles": [objective[1]]}
    if size is not None:
        flags |= {"size": size}
    values = fixed(read_settings(settings, registry.option_models), flags)
    preset, source = values.pop("preset", None), read_job_file(file) if file else None
    if isinstance(size, tuple):  # with a content image, a job states the long side alone
        del values["size"]
        if make_job(values, registry, source, preset).content is not None:
            size = max(size)
        values["size"] = size
    return make_job(values, registry, source, preset)


def _check_path(path: Path) -> None:
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"{path}: the output's suffix should be .onnx")
    check_output(path)
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first")


def _chosen_layers(network: Backbone, layers: str | None) -> list[str]:
    """Return the layers' canonical names, in order of depth, without repetition."""
    if layers is None:
        names = {*network.default_content_layers, *network.default_style_layers}
    else:
        names = {network.canonical(name.strip()) for name in layers.split(",")}
    return [info.name for info in network.layers if info.name in names]
