"""Paths and names: outputs that cannot be written, or must not be; inputs with odd names."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from ..judge import Attempt, Fault, judged
from ..place import CLOSED, FULL, Outcome, Place
from .samples import SMALL, with_images

#: Names of files that writers take.
_SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".gif", ".npy", ".json", ".html", ".mp4", ".xyz", "")


def attempt_path(random: Random, place: Place) -> Attempt:
    """Write to an odd path, on a full disk, with streams that are full or closed."""
    with_images(place)
    good = f"good{random.choice(_SUFFIXES[:8])}"
    odd = random.choice(PLACES)(random, place.work)
    outputs = random.choice([[odd], [odd], [odd, good], [good, odd], [good]])
    command = random.choice(COMMANDS)(random, outputs)
    if random.random() < 0.5:
        (place.work / good).write_bytes(b"old")
    size = random.choice([None, None, None, 100, 1000, 2500, 5000])
    streams = {
        "stdout": random.choice(["", "", "", "", FULL, CLOSED]),
        "stderr": random.choice(["", "", "", "", FULL, CLOSED]),
    }
    encoding = random.choice(["utf-8", "utf-8", "ascii", "latin-1"])
    before = place.files()
    outcome = place.run(*command, file_size=size, encoding=encoding, **streams)  # type: ignore[arg-type]
    readable = _written(before, outcome, place, {good, os.path.normpath(odd), odd})
    more = ["*-cells/*", f"{good}-cells/*", "sub/*", "folder/*", "*/*.png", "*-000[12].*"]
    how = f"{shlex.join(command)[:300]}, {streams}, {encoding}, files of {size or 'any'} bytes"
    result = judged(how, place, before, outcome, readable, more)
    if streams["stderr"] != "":
        # Without stderr, an error has no message.
        kept = tuple(fault for fault in result.faults if "without a message" not in fault.text)
        result = replace(result, faults=kept)
    if size is None and outcome.code == 0 and command[0] == "run":
        lost = [name for name in outputs if not (place.work / name).exists()]
        faults = [Fault("wrong", f"exit code 0 without {name!r}") for name in lost]
        result = replace(result, faults=(*result.faults, *faults))
    return result


def _written(before: dict[str, str], outcome: Outcome, place: Place, names: set[str]) -> set[str]:
    """Return those of the outputs that are new or changed, which must be whole then."""
    after = place.files()
    return {name for name in names if name in after and after[name] != before.get(name)}


def _long(random: Random, work: Path) -> str:
    return random.choice(["x", "写", "é"]) * random.choice([100, 250, 256, 5000]) + ".png"


def _odd_name(random: Random, work: Path) -> str:
    return random.choice(
        [
            *("", ".", "..", "/", "./", "a/", ".png", "out.png/", "\0.png", "a\0b.png", "-o", "~"),
            *(
                "\udcff\udcfe.png",
                "\x1b[2J.png",
                "a\nb.png",
                "\u202egnp.png",
                "png:",
                "png:out.jpg",
            ),
            *("nowhere:out.png", "C:out.png", "sub/../new.png", "photo.png/out.png", "./png:x.png"),
            *(
                "/dev/full",
                "/dev/null",
                "/dev/stdout",
                "/proc/out.png",
                "/proc/self/fd/1",
                "/sys/x.png",
            ),
            *(
                "nowhere/out.png",
                "x" * 300 + "/out.png",
                "PHOTO.PNG",
                "photo.png",
                "./painting.png",
            ),
        ]
    )


def _link(random: Random, work: Path) -> str:
    target = random.choice(
        ["link.png", "missing.png", "photo.png", "/", "sub", "/dev/null", "good.png"]
    )
    (work / "link.png").symlink_to(target)
    return "link.png"


def _hard_link(random: Random, work: Path) -> str:
    (work / "hard.png").hardlink_to(work / "photo.png")
    return "hard.png"


def _special(random: Random, work: Path) -> str:
    if random.random() < 0.5:
        os.mkfifo(work / "pipe.png")
        return "pipe.png"
    (work / "folder.png").mkdir()
    return "folder.png"


def _new(random: Random, work: Path) -> str:
    return f"new{random.choice(_SUFFIXES)}"


PLACES: tuple[Callable[[Random, Path], str], ...] = (
    *(_long, _odd_name, _odd_name, _odd_name, _link, _hard_link, _special, _new, _new),
)


def _run(random: Random, outputs: list[str]) -> list[str]:
    flags = [part for output in outputs for part in ("-o", output)]
    more = random.choice([[], [], ["--save-every", "1"], ["--checkpoint-every", "0"], ["--json"]])
    return ["run", "photo.png", "painting.png", *SMALL, *flags, *more]


def _sweep(random: Random, outputs: list[str]) -> list[str]:
    return ["sweep", "photo.png", "painting.png", *SMALL, "--set", "seed=1,2", "-o", outputs[0]]


def _batch(random: Random, outputs: list[str]) -> list[str]:
    return [
        "batch",
        "--contents",
        "photo.png",
        "--styles",
        "painting.png",
        *SMALL,
        "-o",
        outputs[0],
    ]


def _export(random: Random, outputs: list[str]) -> list[str]:
    return ["export", "--layers", "relu1_1", "-o", outputs[0]]


def _other(random: Random, outputs: list[str]) -> list[str]:
    return random.choice(
        [
            ["list"],
            ["list", "--json"],
            ["cache"],
            ["--help"],
            ["show", "photo.png"],
            ["show", outputs[0]],
        ]
    )


COMMANDS: tuple[Callable[[Random, list[str]], list[str]], ...] = (
    *(_run, _run, _run, _run, _run, _sweep, _batch, _export, _other),
)


#: Names that files can have, and that a program may take for something else.
_NAMES = (
    *(
        "-o",
        "--help",
        "~",
        "a b.png",
        "*.png",
        "[x].png",
        "{0}.png",
        "%s.png",
        "$(touch canary).png",
    ),
    *(
        "\x1b[2J.png",
        "a\nb.png",
        "\u202egnp.exe",
        "\udcff\udcfe.png",
        "png:x.png",
        "sample:photo",
        "C:a.png",
    ),
    *(
        "'\"`.png",
        ".png",
        "..png",
        "写" * 60 + ".png",
        "x" * 251 + ".png",
        "é" * 120,
        "CON.png",
        " ",
        "\t.png",
    ),
    *(
        "vgg19",
        "none",
        "auto",
        "style=1",
        "1",
        "a,b.png",
        "a=b.png",
        "#.png",
        ";.png",
        "|.png",
        "\\.png",
    ),
)


def attempt_name(random: Random, place: Place) -> Attempt:
    """Give inputs with odd names, and let the program name the result itself."""
    with_images(place)
    names = random.sample(_NAMES, 2)
    for name, file in zip(names, ("photo.png", "painting.png"), strict=True):
        (place.work / file).rename(place.work / name)
    folder = place.work / random.choice([name for name in _NAMES if name not in names])
    folder.mkdir()
    before = place.files()
    both = random.choice([names, [f"./{name}" for name in names], ["--", *names]])
    flags = list(SMALL)
    match random.choice(["run", "run", "output", "batch", "style folder", "sweep", "show"]):
        case "run":
            command = ["run", *flags, *both]
        case "output":
            command = ["run", *flags, "-o", f"./{folder.name}/x.png", *both]
        case "batch":
            images = ["--contents", f"./{names[0]}", "--styles", f"./{names[1]}"]
            command = ["batch", *images, *flags, "-o", f"./{folder.name}"]
        case "style folder":
            command = ["run", *flags, f"./{names[0]}", "."]
        case "sweep":
            command = ["sweep", *flags, "--set", "seed=1,2", "-o", "sheet.png", *both]
        case _:
            command = ["show", *both[:-1]]
    outcome = place.run(*command)
    return judged(shlex.join(command), place, before, outcome, optional=["*.png", "*/*.png"])
