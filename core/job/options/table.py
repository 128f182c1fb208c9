"""Table of the options, in which each is declared once.

It is the source of the flags of ``run``, ``sweep`` and ``batch``, ``--set``, the columns of
manifests, the keyword arguments of the Python API, the names in error messages and the tables in
docs/commands.md. A new option is one entry and its use.
"""

from __future__ import annotations

from typing import Any

from . import text
from .option import Option, Panel
from .places import (
    AddedTerms,
    ChoiceKey,
    ChoiceName,
    EachCrop,
    EachStyle,
    JobKey,
    Place,
    RegionMaps,
    Start,
    StyleImages,
    TermKey,
    Texture,
)


def _option(name: str, panel: Panel, help: str, place: Place | None = None, **more: Any) -> Option:  # noqa: A002
    return Option(name, place or JobKey(name), panel, help, **more)


_JOB: Panel = "The job"
_LOSS: Panel = "The losses"
_WORK: Panel = "The optimization"

_LAYERS: dict[str, Any] = {"read": text.layers, "parts": True, "metavar": "LAYERS"}
_NUMBERS: dict[str, Any] = {"read": text.numbers, "parts": True, "metavar": "X,Y"}
_FILES: dict[str, Any] = {"read": text.words, "parts": True, "are_paths": True}

#: The order is that of their application to a job, and of the help text.
_OPTIONS = (
    _option(
        "content", _JOB, "The content image.", read=text.word, is_argument=True, are_paths=True
    ),
    _option("styles", _JOB, "One or more style images.", StyleImages(), **_FILES, is_argument=True),
    _option(
        "texture",
        _JOB,
        "Make a texture of this style image, without a content image; may be given several times.",
        Texture(),
        **_FILES,
        metavar="PAINTING",
        repeats=True,
        see="controls.md#textures",
    ),
    _option(
        "size",
        _JOB,
        "Long side of the result in pixels; a texture's width and height, as 640x480.",
        read=text.size,
        metavar="N|WxH",
    ),
    _option(
        "seamless",
        _JOB,
        "Let the result continue at its opposite edges, so that copies tile.",
        is_switch=True,
        see="controls.md#seamless-pictures",
    ),
    _option("upscale", _JOB, "Allow a result larger than the content image.", is_switch=True),
    _option("max_pixels", _JOB, "Largest input image that is decoded, in pixels.", metavar="N"),
    _option(
        "color_profile",
        _JOB,
        "Color profile of the result's files: srgb, or keep for the content image's.",
        see="images.md#color",
    ),
    _option(
        "metadata",
        _JOB,
        "What the result's files carry beside pixels: full, job or none.",
        see="images.md#what-a-result-carries",
    ),
    _option(
        "strength",
        _JOB,
        "From 0, nearly the photograph, to 1, all painting.",
        metavar="X",
        see="controls.md#strength",
    ),
    _option(
        "motifs",
        _JOB,
        "From 0, the painting's strokes and colors alone, to 1, its objects as well.",
        metavar="X",
        see="controls.md#motifs",
    ),
    _option(
        "preview",
        _JOB,
        "A small, quick result that predicts the job's.",
        is_switch=True,
        see="controls.md#preview",
    ),
    _option("seed", _JOB, "Seed of everything random.", metavar="N"),
    _option(
        "content_weight",
        _LOSS,
        "Weight of the content loss.",
        TermKey("content", "weight"),
        metavar="X",
    ),
    _option(
        "style_weight", _LOSS, "Weight of the style loss.", TermKey("style", "weight"), metavar="X"
    ),
    _option(
        "style_weights",
        _LOSS,
        "Weights of several style images, such as 3,7.",
        EachStyle("weight", needs_several=True),
        **_NUMBERS,
    ),
    _option(
        "style_size",
        _LOSS,
        "Size at which style images are seen, such as 0.5 (smaller motifs), or 0.5,2 for two.",
        EachStyle("size", one_for_all=True),
        **_NUMBERS,
        see="controls.md",
    ),
    _option(
        "style_mask",
        _LOSS,
        "Where in the result a style image is wanted, in white; once for each style image.",
        EachStyle("mask"),
        **_FILES,
        metavar="FILE|none",
        repeats=True,
    ),
    _option(
        "style_crop",
        _LOSS,
        "Edges of a style image to leave out: auto (a scan's margin), none, or four widths in "
        "pixels; once, or once for each style image.",
        EachCrop("crop", one_for_all=True),
        read=text.crops,
        parts=True,
        metavar="auto|none|LEFT,TOP,RIGHT,BOTTOM",
        repeats=True,
        read_one=text.crop,
        see="controls.md#margins-of-scans",
    ),
    _option(
        "content_mask",
        _LOSS,
        "Where the result is held to the content image, in white.",
        read=text.word,
        metavar="FILE",
        are_paths=True,
    ),
    _option(
        "regions",
        _LOSS,
        "Images in plain colors: where the content's map has a color, the style's statistics are "
        "taken from where its own map has it.",
        RegionMaps(),
        **_FILES,
        metavar="PHOTO_MAP PAINTING_MAP",
        count=2,
    ),
    _option(
        "color",
        _LOSS,
        "Whose colors: style, or the content's by luminance, histogram or covariance; chroma: the "
        "style's colors in the places of the content's.",
    ),
    _option(
        "tv_weight", _LOSS, "Weight of the total variation.", TermKey("tv", "weight"), metavar="X"
    ),
    _option(
        "content_layers",
        _LOSS,
        "Layers of the content loss, such as relu4_2 or relu3_2=0.3,relu4_2=0.7.",
        TermKey("content", "layers"),
        **_LAYERS,
    ),
    _option(
        "style_layers",
        _LOSS,
        "Layers of the style loss, with weights if wanted.",
        TermKey("style", "layers"),
        **_LAYERS,
    ),
    _option(
        "normalize_gradients",
        _LOSS,
        "Give each loss's gradient at each of its layers the same length, times its weight.",
        is_switch=True,
        see="controls.md#normalized-gradients",
    ),
    _option(
        "term",
        _LOSS,
        "Add or change a loss term, as in style=20:layers=relu1_1; may be given several times.",
        AddedTerms(),
        read=text.loss_terms,
        parts=True,
        metavar="NAME[=WEIGHT][:KEY=VALUE]...",
        repeats=True,
        read_one=text.loss_term,
        lists="terms",
        see="terms.md",
    ),
    _option("iterations", _WORK, "Optimizer steps, over all scales together.", metavar="N"),
    _option(
        "least_change",
        _WORK,
        "End a scale when its loss has changed by no more than this part of it in ten steps; 0: "
        "never.",
        metavar="X",
        see="optimizers.md#early-end",
    ),
    _option(
        "scales",
        _WORK,
        "Sizes of the coarse-to-fine pyramid, at most; auto: as many as the size needs; octaves: "
        "from 64 px on, each twice as large.",
        metavar="N|auto|octaves",
    ),
    _option(
        "final_pass",
        _WORK,
        "Make one more pass at the size of the result.",
        is_switch=True,
        see="terms.md#nnst",
    ),
    _option(
        "optimizer",
        _WORK,
        "What moves the pixels.",
        ChoiceName("optimizer"),
        read=text.word,
        lists="optimizers",
        see="benchmarks.md#time-to-quality",
    ),
    _option(
        "parametrization",
        _WORK,
        "What the optimizer changes: pixels, or parameters that the image is computed from.",
        ChoiceName("parametrization"),
        read=text.word,
        lists="parametrizations",
        see="parametrizations.md",
    ),
    _option(
        "init",
        _WORK,
        "The start, unless it is an image file.",
        Start("init"),
        read=text.word,
        metavar="NAME|FILE",
        lists="inits",
    ),
    _option(
        "backend",
        _WORK,
        "Runtime of the network.",
        ChoiceName("backend", common=("device", "precision")),
        read=text.word,
        lists="backends",
        see="backends.md",
    ),
    _option(
        "backbone",
        _WORK,
        "The network.",
        ChoiceName("backbone"),
        read=text.word,
        metavar="NAME[:MODEL]",
        lists="backbones",
        see="backbones.md",
    ),
    _option(
        "device",
        _WORK,
        "auto, cpu, cuda, cuda:N, mps or tensorrt; openvino, webgpu, trt-rtx, coreml or ep:NAME.",
        ChoiceKey("backend", "device"),
        see="backends.md#execution-providers",
    ),
    _option(
        "gradient",
        _WORK,
        "Of the backend onnx: auto, native (in ONNX Runtime) or torch.",
        ChoiceKey("backend", "gradient"),
    ),
    _option(
        "convolution",
        _WORK,
        "Of the backends torch and onnx: auto, or direct for no shortcuts.",
        ChoiceKey("backend", "convolution"),
    ),
    _option(
        "cuda_graph",
        _WORK,
        "Of the backend torch, on CUDA: auto, or off to launch each kernel by itself.",
        ChoiceKey("backend", "cuda_graph"),
        see="backends.md#torch",
    ),
    _option(
        "precision",
        _WORK,
        "auto, float32, or tf32, bf16 or fp16 where the device has it.",
        ChoiceKey("backend", "precision"),
    ),
    _option("pooling", _WORK, "max or average.", ChoiceKey("backbone", "pooling")),
    _option(
        "padding",
        _WORK,
        "What the network sees beyond the edges: zeros, replicate-first, replicate, reflect or "
        "circular.",
        ChoiceKey("backbone", "padding"),
        see="controls.md#padding",
    ),
    _option(
        "weights",
        _WORK,
        "The network's: embedded (vgg19), torchvision (a download), or a file.",
        ChoiceKey("backbone", "weights"),
        metavar="NAME|FILE",
        see="backbones.md",
    ),
    _option(
        "preprocessing",
        _WORK,
        "caffe or torchvision: what an unknown weights file expects.",
        ChoiceKey("backbone", "preprocessing"),
    ),
    _option(
        "max_memory",
        _WORK,
        "What the program may hold, such as 4GB: larger results are tiled. Unset: what is free.",
        read=text.word,
        metavar="SIZE",
        see="tiling.md",
    ),
)

#: Option by its name.
OPTIONS = {option.name: option for option in _OPTIONS}
