"""`stylectl export`: a backbone as an ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import UsageError
from ...core.files import check_output
from ..console import shared_flags
from ..console.messages import print_problems
from ..console.options import with_job_options
from ..console.printing import print_json, print_line

if TYPE_CHECKING:
    from ...core.interfaces.backbone import Backbone


@with_job_options("weights", "preprocessing", "pooling", "padding")
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
    backbone: Annotated[str, typer.Option(metavar="NAME[:MODEL]", help="The backbone.")] = "vgg19",
    layers: Annotated[
        str | None,
        typer.Option(
            help="Layers that the model outputs, such as relu1_1,relu4_2. Default: those of the "
            "default losses."
        ),
    ] = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Weights and activations in half precision.")
    ] = False,
    no_plugin: Annotated[list[str] | None, typer.Option(help="Do not load this plugin.")] = None,
    plugins_dir: shared_flags.PlainPluginsDir = None,
    as_json: shared_flags.PlainAsJson = False,
) -> None:
    """Write a backbone as one ONNX file, for images of any size, with the preprocessing inside.

    The file is compared with torch at three sizes before it is written.
    """
    _check_path(output)
    from ...core.files import check_is_no_input
    from ...core.job.choices import Choice
    from ...core.job.tables import choice_table, texts_in
    from ...core.planning.backbones import Backbones
    from ...plugins.manager import load_plugins

    choice = Choice.model_validate({**choice_table(backbone), **options})
    check_is_no_input([output], map(Path, texts_in(choice.options)))
    plugins = load_plugins(no_plugin or [], folders=plugins_dir or [])
    print_problems(plugins.problems)
    registry = plugins.registry
    network, _ = Backbones(registry).get(choice)
    chosen = _chosen_layers(network, layers)

    from ...backends.onnx_export.check import check_model
    from ...backends.onnx_export.export import export_trunk, save_model

    trunk = network.trunk(chosen)
    if fp16:
        trunk = trunk.half()
    model = export_trunk(trunk, network, chosen)
    distances = check_model(model, trunk, network.deepest(chosen))
    save_model(model, output)
    if as_json:
        print_json({"output": str(output), "layers": distances})
        return
    worst = max(distances.values())
    print_line(
        f"{output}: {len(chosen)} layers of {backbone}, {output.stat().st_size / 1e6:.1f} MB; "
        f"relative distance from torch at most {worst:.1e}"
    )


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
