"""`stylectl run`: paint a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.errors import UsageError
from .parsing import layers, loss_term, numbers, writers
from .parsing import size as image_size

_JOB, _LOSS, _WORK, _OUT = "The job", "The losses", "The optimization", "Output"


def command(
    photo: Annotated[
        str | None, typer.Argument(help="The content image. Left out: the sample pair is used.")
    ] = None,
    paintings: Annotated[
        list[str] | None, typer.Argument(metavar="PAINTING...", help="One or more style images.")
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, by its suffix (stylectl list writers); may be given several "
            "times. Default: a new .png in this folder.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    writer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:KEY=VALUE[:KEY=VALUE]...",
            help="Settings of a writer, such as png:bits=16; may be given several times.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Starting values: balanced (default), draft or paper.", rich_help_panel=_JOB
        ),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(
            help="A job file: TOML, or a PNG that stylectl wrote. Flags override it.",
            rich_help_panel=_JOB,
        ),
    ] = None,
    texture: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PAINTING",
            help="Paint a texture of this painting, without a content image; may be given several "
            "times.",
            rich_help_panel=_JOB,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="N|WxH",
            help="Long side of the result in pixels; a texture's width and height, as 640x480.",
            rich_help_panel=_JOB,
        ),
    ] = None,
    seamless: Annotated[
        bool | None,
        typer.Option(
            "--seamless",
            help="Let the picture go on at its opposite edges, so that copies tile.",
            rich_help_panel=_JOB,
        ),
    ] = None,
    upscale: Annotated[
        bool | None,
        typer.Option(
            "--upscale", help="Allow a result larger than the photo.", rich_help_panel=_JOB
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(help="Largest input image that is decoded.", rich_help_panel=_JOB),
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="What the program may hold, such as 4GB: larger pictures are computed in tiles. "
            "Default: what is free.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(
            help="From 0, nearly the photograph, to 1, all painting (0.5).", rich_help_panel=_JOB
        ),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help="A small, quick picture that predicts the job's.",
            rich_help_panel=_JOB,
        ),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random.", rich_help_panel=_JOB)
    ] = None,
    content_weight: Annotated[
        float | None, typer.Option(help="Weight of the content loss.", rich_help_panel=_LOSS)
    ] = None,
    style_weight: Annotated[
        float | None, typer.Option(help="Weight of the style loss.", rich_help_panel=_LOSS)
    ] = None,
    style_weights: Annotated[
        str | None,
        typer.Option(help="Shares of several paintings, such as 3,7.", rich_help_panel=_LOSS),
    ] = None,
    style_scale: Annotated[
        str | None,
        typer.Option(
            help="Size at which the paintings are seen, such as 0.5 (smaller motifs), or 0.5,2 for "
            "two of them.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    style_mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|none",
            help="Where in the picture a painting is wanted, in white; once for each painting.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    content_mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where the picture is held to the photo, in white.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    regions: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="PHOTO_MAP PAINTING_MAP",
            help="Images in plain colors: where the photo's map has a color, the painting's "
            "statistics are taken from where its own map has it.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    style_map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PAINTING_MAP",
            help="With --regions: the map of each further painting.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    color: Annotated[
        str | None,
        typer.Option(
            help="Whose colors: style, or the photo's by luminance, histogram or covariance.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    tv_weight: Annotated[
        float | None, typer.Option(help="Weight of the total variation.", rich_help_panel=_LOSS)
    ] = None,
    content_layers: Annotated[
        str | None,
        typer.Option(
            help="Layers, such as relu4_2 or relu3_2=0.3,relu4_2=0.7.", rich_help_panel=_LOSS
        ),
    ] = None,
    style_layers: Annotated[
        str | None, typer.Option(help="Layers, with weights if wanted.", rich_help_panel=_LOSS)
    ] = None,
    term: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=WEIGHT][:KEY=VALUE]...",
            help="Add a loss term, or change one: style=20:layers=relu1_1,relu2_1. May be given "
            "several times; stylectl list terms shows all.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(help="Optimizer steps, over all scales together.", rich_help_panel=_WORK),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Sizes of the coarse-to-fine schedule, at most; auto: as many as the size needs.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="lbfgs or adam.", rich_help_panel=_WORK)
    ] = None,
    normalize_gradients: Annotated[
        bool | None,
        typer.Option(
            "--normalize-gradients",
            help="Give each loss the same pull at each of its layers, times its weight.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            help="Where to start: content, content+noise, noise, style (its color statistics), "
            "or an image file.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="Runtime of the network: torch or onnx.", rich_help_panel=_WORK),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:MODEL]",
            help="The network: vgg19 and others; stylectl list backbones shows all.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda, cuda:N, mps or tensorrt.", rich_help_panel=_WORK),
    ] = None,
    gradient: Annotated[
        str | None,
        typer.Option(
            help="Of the backend onnx: auto, native (in ONNX Runtime) or torch.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, or bf16 or fp16 where the device has it.", rich_help_panel=_WORK
        ),
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(help="max or average.", rich_help_panel=_WORK)
    ] = None,
    padding: Annotated[
        str | None,
        typer.Option(
            help="Beyond the edges, the network sees: zeros, replicate-first, replicate, reflect "
            "or circular.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="The network's: embedded (vgg19), torchvision (a download), or a file.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            help="caffe or torchvision: what an unknown weights file expects.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    no_plugin: Annotated[
        list[str] | None,
        typer.Option(help="Leave a plugin out; may be given several times.", rich_help_panel=_WORK),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="End with one line of JSON on stdout.", rich_help_panel=_OUT),
    ] = False,
    print_job: Annotated[
        bool,
        typer.Option(
            "--print-job",
            help="Print the whole job as TOML and paint nothing.",
            rich_help_panel=_OUT,
        ),
    ] = False,
) -> int:
    """Paint PHOTO in the style of one or more PAINTINGs."""
    if photo and not paintings:
        raise UsageError("a photo needs at least one painting: stylectl run PHOTO PAINTING")
    if print_job and (output or writer or as_json):
        raise UsageError("--print-job paints nothing: --output, --writer, --json have no effect")
    if style_map and not regions:
        raise UsageError("--style-map has no effect without --regions")
    options = {
        "content": photo,
        "styles": paintings or None,
        "texture": texture or None,
        "size": image_size("--size", size),
        "seamless": seamless or None,
        "upscale": upscale or None,
        "max_pixels": max_pixels,
        "max_memory": max_memory,
        "strength": strength,
        "preview": preview or None,
        "seed": seed,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "style_weights": numbers("--style-weights", style_weights),
        "style_scale": numbers("--style-scale", style_scale),
        "style_mask": style_mask or None,
        "content_mask": content_mask,
        "regions": [*regions, *(style_map or [])] if regions else None,
        "color": color,
        "tv_weight": tv_weight,
        "content_layers": layers("--content-layers", content_layers),
        "style_layers": layers("--style-layers", style_layers),
        "term": [loss_term(text) for text in term] if term else None,
        "iterations": iterations,
        "scales": scales,
        "optimizer": optimizer,
        "normalize_gradients": normalize_gradients or None,
        "init": init,
        "backend": backend,
        "backbone": backbone,
        "device": device,
        "gradient": gradient,
        "precision": precision,
        "pooling": pooling,
        "padding": padding,
        "weights": weights,
        "preprocessing": preprocessing,
    }
    settings = writers(writer or [])
    return _run(options, preset, job, output or [], settings, no_plugin or [], as_json, print_job)


def _run(
    options: dict[str, Any],
    preset: str | None,
    job_file: Path | None,
    outputs: list[Path],
    writer_options: dict[str, dict[str, Any]],
    switched_off: list[str],
    as_json: bool,
    print_job: bool,
) -> int:
    from ..core.jobfile import job_toml, read_job_file
    from ..core.options import build_job
    from ..core.outputs import free_name
    from ..core.plan import make_plan
    from ..plugins.manager import load_plugins
    from .api import run_job
    from .progress import progress

    job = build_job(options, read_job_file(job_file) if job_file else None, preset)
    plugins = load_plugins(switched_off)
    if print_job:
        typer.echo(job_toml(make_plan(job, plugins.registry).job), nl=False)
        return 0
    outputs = outputs or [free_name(job.content, job.styles[0].image)]
    with progress() as show:
        result = run_job(job, outputs, writer_options, plugins, show)
    if as_json:
        typer.echo(json.dumps({"outputs": [str(path) for path in outputs], **result.summary()}))
    else:
        for path in outputs:
            typer.echo(f"wrote {path}")
    return 130 if result.interrupted else 0
