"""`stylectl run`: paint a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from ..core.errors import UsageError
from . import flags
from .parsing import layers, loss_term, numbers, writers
from .parsing import size as image_size


def command(
    photo: flags.Photo = None,
    paintings: flags.Paintings = None,
    output: flags.Output = None,
    writer: flags.Writer = None,
    preset: flags.Preset = None,
    job: flags.Job = None,
    texture: flags.Texture = None,
    size: flags.Size = None,
    seamless: flags.Seamless = None,
    upscale: flags.Upscale = None,
    max_pixels: flags.MaxPixels = None,
    max_memory: flags.MaxMemory = None,
    strength: flags.Strength = None,
    preview: flags.Preview = False,
    seed: flags.Seed = None,
    content_weight: flags.ContentWeight = None,
    style_weight: flags.StyleWeight = None,
    style_weights: flags.StyleWeights = None,
    style_scale: flags.StyleScale = None,
    style_mask: flags.StyleMask = None,
    content_mask: flags.ContentMask = None,
    regions: flags.Regions = None,
    style_map: flags.StyleMap = None,
    color: flags.Color = None,
    tv_weight: flags.TvWeight = None,
    content_layers: flags.ContentLayers = None,
    style_layers: flags.StyleLayers = None,
    term: flags.Term = None,
    iterations: flags.Iterations = None,
    scales: flags.Scales = None,
    optimizer: flags.Optimizer = None,
    normalize_gradients: flags.NormalizeGradients = None,
    init: flags.Init = None,
    backend: flags.Backend = None,
    backbone: flags.Backbone = None,
    device: flags.Device = None,
    gradient: flags.Gradient = None,
    convolution: flags.Convolution = None,
    cuda_graph: flags.CudaGraph = None,
    precision: flags.Precision = None,
    pooling: flags.Pooling = None,
    padding: flags.Padding = None,
    weights: flags.Weights = None,
    preprocessing: flags.Preprocessing = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    print_job: flags.PrintJob = False,
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
        "convolution": convolution,
        "cuda_graph": cuda_graph,
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
