"""Files of weights that are damaged, hostile or not what their names say."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save

from ..judge import CANARY, Attempt, judged
from ..place import Place
from .mutations import damaged
from .samples import SMALL, with_images

_EMBEDDED = Path(__file__).parents[3] / "plugins/backbones/vgg19_oxford.safetensors"


class Hostile:
    """Value whose unpickling makes a file."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._canary,)


def attempt(random: Random, place: Place) -> Attempt:
    """Give a wrong file of weights for VGG-19."""
    with_images(place)
    kind = random.choice(["safetensors", "header", "pickle", "zip"])
    match kind:
        case "safetensors":
            what, data = _safetensors(random)
        case "header":
            what, data = "a wrong header", _header(random)
        case "pickle":
            what, data = "a pickle", pickled(random, place)
        case _:
            what, data = "a zip file with a pickle", _zip(random, place)
    if random.random() < 0.3:
        damage, data = damaged(random, data)
        what = f"{what}, {damage}"
    suffix = random.choice([".safetensors", ".safetensors", ".pth", ".pth", ".pt", ".bin", ""])
    (place.work / f"w{suffix}").write_bytes(data)
    before = place.files()
    more = random.choice([(), ("--preprocessing", "caffe")])
    command = ("run", "photo.png", "painting.png", "--weights", f"./w{suffix}", *more, *SMALL)
    outcome = place.run(*command, "-o", "out.png")
    return judged(f"{what}, as w{suffix}", place, before, outcome, ["out.png"])


def pickled(random: Random, place: Place) -> bytes:
    """Return a pickle, as of pickle or torch.save, that makes a file when it is loaded."""
    hostile = Hostile(place.work / CANARY)
    table = {"features.0.weight": hostile, "state_dict": [hostile]}
    if random.random() < 0.5:
        return pickle.dumps(table, random.choice([0, 2, 4]))
    buffer = io.BytesIO()
    torch.save(table, buffer, _use_new_zipfile_serialization=random.random() < 0.7)
    return buffer.getvalue()


def _zip(random: Random, place: Place) -> bytes:
    """An archive as of torch.save, or of numpy.savez, with odd names and sizes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Hostile(place.work / CANARY), 2))
        archive.writestr("archive/version", "3\n")
        archive.writestr(f"../../{CANARY}", "x")
        if random.random() < 0.3:
            archive.writestr("archive/data/0", bytes(80_000_000))
    return buffer.getvalue()


def _safetensors(random: Random) -> tuple[str, bytes]:
    """The first two convolutions of VGG-19, changed."""
    tensors = {
        name: tensor for name, tensor in load_file(_EMBEDDED).items() if tensor.numel() < 40_000
    }
    name = random.choice(list(tensors))
    change = random.choice(
        ["missing", "renamed", "dtype", "shape", "nan", "huge", "nested", "empty"]
    )
    match change:
        case "missing":
            del tensors[name]
        case "renamed":
            tensors["\x1b[31m" + name] = tensors.pop(name)
        case "dtype":
            kind = random.choice(
                [torch.float64, torch.int8, torch.bool, torch.float8_e4m3fn, torch.bfloat16]
            )
            tensors = {key: tensor.to(kind) for key, tensor in tensors.items()}
        case "shape":
            tensors[name] = tensors[name].flatten()
        case "nan":
            tensors[name] = torch.full_like(tensors[name].float(), torch.nan)
        case "huge":
            tensors[name] = torch.full_like(tensors[name].float(), 3e38)
        case "nested":
            tensors = {f"model.{key}": tensor for key, tensor in tensors.items()}
        case _:
            tensors = {}
    return f"tensors: {change}", save(tensors)


def _header(random: Random) -> bytes:
    entry: dict[str, Any] = {"dtype": "F32", "shape": [64, 3, 3, 3], "data_offsets": [0, 6912]}
    key = random.choice(list(entry))
    entry[key] = random.choice([None, [], [-1, 5], [2**63, 2], "F64", [0, 2**50], {}, [6912, 0]])
    header = json.dumps({"features.0.weight": entry, "__metadata__": {"a": "b" * 9}}).encode()
    length = random.choice([len(header)] * 4 + [0, 2**63 - 1, 100_000_000, len(header) - 3])
    return struct.pack("<Q", length) + header + bytes(6912)
