"""Values of options that are wrong, extreme or hostile, as flags and by `--set`."""

from __future__ import annotations

import shlex
from random import Random

from hypothesis import strategies as st
from stylectl.core.job.options.table import OPTIONS

from ..judge import Attempt, judged
from ..place import Place
from .jobs import TEXTS, drawn
from .samples import SMALL, with_images

#: Numbers that are wrong, extreme or written in an odd way.
NUMBERS = (
    *(
        "0",
        "-1",
        "1",
        "0.5",
        "1e-45",
        "1e30",
        "-1e30",
        "1e400",
        "nan",
        "inf",
        "9" * 400,
        "1_0",
        "٣",
    ),
    *("0.0001", "1e-320", "3,7", "1,", ",", "1,2,3,4,5,6,7,8", "0x64", "64x", "x64", "100000000x1"),
)
#: Values that mean something to one option or another.
WORDS = (
    *("style", "luminance", "histogram", "covariance", "average", "max", "reflect", "circular"),
    *("replicate", "replicate-first", "zeros", "tf32", "bf16", "fp16", "cuda", "cuda:7", "mps"),
    *("tensorrt", "cpu", "adam", "lbfgs", "noise", "content", "keep", "none", "job", "4GB", "1kB"),
    *("torch", "onnx", "relu1_1", "relu9_9", "relu1_1=nan", "relu1_1=-1", "image", "direct"),
    *(
        "mrf",
        "moments=1e20",
        "strotss",
        "tv=1e30",
        "style=0",
        "laplacian:pool=0",
        "wasserstein=1:x=2",
    ),
    *("sliced-wasserstein=1e-30", "histogram=5:bins=0", "mrf:patch_size=99", "vgg19:x", "vgg19"),
)
#: Options of choices, for `--set`.
DOTTED = (
    *("optimizer.history", "optimizer.line_search", "optimizer.scaling", "optimizer.averaging"),
    *("optimizer.step_size", "init.noise", "style.normalization", "tv.power", "tv.reduction"),
    *(
        "backbone.pooling",
        "backend.precision",
        "content.weight",
        "x.y",
        "optimizer.",
        ".x",
        "a.b.c",
    ),
)
#: Options whose good values make a run longer than an attempt may be.
_LENGTHY = {"size", "iterations", "device", "weights", "upscale"}


def attempt(random: Random, place: Place) -> Attempt:
    """Give up to three options odd values."""
    with_images(place)
    arguments: list[str] = []
    for _ in range(random.randint(1, 3)):
        value = random.choice([_number, _number, _word, _word, _text])(random)
        name = random.choice(sorted(OPTIONS.keys() - {"content", "styles"}))
        option = OPTIONS[name]
        if name in _LENGTHY and not value.startswith(("-", "n", "9", "1e")):
            continue
        if random.random() < 0.3:
            key = random.choice([*DOTTED, *sorted(OPTIONS.keys() - _LENGTHY)])
            arguments += ["--set", f"{key}={value}"]
        elif option.is_switch:
            arguments.append(f"--{name.replace('_', '-')}")
        else:
            arguments += [f"--{name.replace('_', '-')}", *[value] * option.count]
    given = {argument for argument in arguments if argument.startswith("--")}
    small = [
        flag
        for pair in zip(SMALL[::2], SMALL[1::2], strict=True)
        if pair[0] not in given
        for flag in pair
    ]
    before = place.files()
    outcome = place.run("run", "photo.png", "painting.png", *small, *arguments, "-o", "out.png")
    what = shlex.join(argument[:80] for argument in arguments)
    return judged(what, place, before, outcome, ["out.png"])


def _number(random: Random) -> str:
    return random.choice(NUMBERS)


def _word(random: Random) -> str:
    return random.choice(WORDS)


def _text(random: Random) -> str:
    text: str = random.choice([random.choice(TEXTS), drawn(random, st.text(max_size=30))])
    return text
