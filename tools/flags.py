"""The flags of `stylectl run`: each one's type, with its help and where the help lists it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_JOB, _LOSS, _WORK, _OUT = "The job", "The losses", "The optimization", "Output"

Photo = Annotated[
    str | None, typer.Argument(help="The content image. Left out: the sample pair is used.")
]

Paintings = Annotated[
    list[str] | None, typer.Argument(metavar="PAINTING...", help="One or more style images.")
]

Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write, by its suffix (stylectl list writers); may be given several "
        "times. Default: a new .png in this folder.",
        rich_help_panel=_OUT,
    ),
]

Writer = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME:KEY=VALUE[:KEY=VALUE]...",
        help="Settings of a writer, such as png:bits=16; may be given several times.",
        rich_help_panel=_OUT,
    ),
]

Preset = Annotated[
    str | None,
    typer.Option(help="Starting values: balanced (default), draft or paper.", rich_help_panel=_JOB),
]

Job = Annotated[
    Path | None,
    typer.Option(
        help="A job file: TOML, or a PNG that stylectl wrote. Flags override it.",
        rich_help_panel=_JOB,
    ),
]

Texture = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PAINTING",
        help="Paint a texture of this painting, without a content image; may be given several "
        "times.",
        rich_help_panel=_JOB,
    ),
]

Size = Annotated[
    str | None,
    typer.Option(
        metavar="N|WxH",
        help="Long side of the result in pixels; a texture's width and height, as 640x480.",
        rich_help_panel=_JOB,
    ),
]

Seamless = Annotated[
    bool | None,
    typer.Option(
        "--seamless",
        help="Let the picture go on at its opposite edges, so that copies tile.",
        rich_help_panel=_JOB,
    ),
]

Upscale = Annotated[
    bool | None,
    typer.Option("--upscale", help="Allow a result larger than the photo.", rich_help_panel=_JOB),
]

MaxPixels = Annotated[
    int | None,
    typer.Option(help="Largest input image that is decoded.", rich_help_panel=_JOB),
]

MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="What the program may hold, such as 4GB: larger pictures are computed in tiles. "
        "Default: what is free.",
        rich_help_panel=_WORK,
    ),
]

Strength = Annotated[
    float | None,
    typer.Option(
        help="From 0, nearly the photograph, to 1, all painting (0.5).", rich_help_panel=_JOB
    ),
]

Preview = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="A small, quick picture that predicts the job's.",
        rich_help_panel=_JOB,
    ),
]

Seed = Annotated[int | None, typer.Option(help="Seed of everything random.", rich_help_panel=_JOB)]

ContentWeight = Annotated[
    float | None, typer.Option(help="Weight of the content loss.", rich_help_panel=_LOSS)
]

StyleWeight = Annotated[
    float | None, typer.Option(help="Weight of the style loss.", rich_help_panel=_LOSS)
]

StyleWeights = Annotated[
    str | None,
    typer.Option(help="Shares of several paintings, such as 3,7.", rich_help_panel=_LOSS),
]

StyleScale = Annotated[
    str | None,
    typer.Option(
        help="Size at which the paintings are seen, such as 0.5 (smaller motifs), or 0.5,2 for "
        "two of them.",
        rich_help_panel=_LOSS,
    ),
]

StyleMask = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE|none",
        help="Where in the picture a painting is wanted, in white; once for each painting.",
        rich_help_panel=_LOSS,
    ),
]

ContentMask = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Where the picture is held to the photo, in white.",
        rich_help_panel=_LOSS,
    ),
]

Regions = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="PHOTO_MAP PAINTING_MAP",
        help="Images in plain colors: where the photo's map has a color, the painting's "
        "statistics are taken from where its own map has it.",
        rich_help_panel=_LOSS,
    ),
]

StyleMap = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PAINTING_MAP",
        help="With --regions: the map of each further painting.",
        rich_help_panel=_LOSS,
    ),
]

Color = Annotated[
    str | None,
    typer.Option(
        help="Whose colors: style, or the photo's by luminance, histogram or covariance.",
        rich_help_panel=_LOSS,
    ),
]

TvWeight = Annotated[
    float | None, typer.Option(help="Weight of the total variation.", rich_help_panel=_LOSS)
]

ContentLayers = Annotated[
    str | None,
    typer.Option(help="Layers, such as relu4_2 or relu3_2=0.3,relu4_2=0.7.", rich_help_panel=_LOSS),
]

StyleLayers = Annotated[
    str | None, typer.Option(help="Layers, with weights if wanted.", rich_help_panel=_LOSS)
]

Term = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=WEIGHT][:KEY=VALUE]...",
        help="Add a loss term, or change one: style=20:layers=relu1_1,relu2_1. May be given "
        "several times; stylectl list terms shows all.",
        rich_help_panel=_LOSS,
    ),
]

Iterations = Annotated[
    int | None,
    typer.Option(help="Optimizer steps, over all scales together.", rich_help_panel=_WORK),
]

Scales = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Sizes of the coarse-to-fine schedule, at most; auto: as many as the size needs.",
        rich_help_panel=_WORK,
    ),
]

Optimizer = Annotated[str | None, typer.Option(help="lbfgs or adam.", rich_help_panel=_WORK)]

NormalizeGradients = Annotated[
    bool | None,
    typer.Option(
        "--normalize-gradients",
        help="Give each loss the same pull at each of its layers, times its weight.",
        rich_help_panel=_LOSS,
    ),
]

Init = Annotated[
    str | None,
    typer.Option(
        help="Where to start: content, content+noise, noise, style (its color statistics), "
        "or an image file.",
        rich_help_panel=_WORK,
    ),
]

Backend = Annotated[
    str | None,
    typer.Option(help="Runtime of the network: torch or onnx.", rich_help_panel=_WORK),
]

Backbone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:MODEL]",
        help="The network: vgg19 and others; stylectl list backbones shows all.",
        rich_help_panel=_WORK,
    ),
]

Device = Annotated[
    str | None,
    typer.Option(help="auto, cpu, cuda, cuda:N, mps or tensorrt.", rich_help_panel=_WORK),
]

Gradient = Annotated[
    str | None,
    typer.Option(
        help="Of the backend onnx: auto, native (in ONNX Runtime) or torch.",
        rich_help_panel=_WORK,
    ),
]

Convolution = Annotated[
    str | None,
    typer.Option(
        help="Of the backends torch and onnx: auto, or direct for no shortcuts.",
        rich_help_panel=_WORK,
    ),
]

CudaGraph = Annotated[
    str | None,
    typer.Option(
        help="Of the backend torch, on CUDA: auto, or off to launch each kernel for itself.",
        rich_help_panel=_WORK,
    ),
]

Precision = Annotated[
    str | None,
    typer.Option(
        help="float32, or tf32, bf16 or fp16 where the device has it.", rich_help_panel=_WORK
    ),
]

Pooling = Annotated[str | None, typer.Option(help="max or average.", rich_help_panel=_WORK)]

Padding = Annotated[
    str | None,
    typer.Option(
        help="Beyond the edges, the network sees: zeros, replicate-first, replicate, reflect "
        "or circular.",
        rich_help_panel=_WORK,
    ),
]

Weights = Annotated[
    str | None,
    typer.Option(
        help="The network's: embedded (vgg19), torchvision (a download), or a file.",
        rich_help_panel=_WORK,
    ),
]

Preprocessing = Annotated[
    str | None,
    typer.Option(
        help="caffe or torchvision: what an unknown weights file expects.",
        rich_help_panel=_WORK,
    ),
]

NoPlugin = Annotated[
    list[str] | None,
    typer.Option(help="Leave a plugin out; may be given several times.", rich_help_panel=_WORK),
]

AsJson = Annotated[
    bool,
    typer.Option("--json", help="End with one line of JSON on stdout.", rich_help_panel=_OUT),
]

PrintJob = Annotated[
    bool,
    typer.Option(
        "--print-job",
        help="Print the whole job as TOML and paint nothing.",
        rich_help_panel=_OUT,
    ),
]
