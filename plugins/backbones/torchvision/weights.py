"""Weights of torchvision's models: published by torchvision, or a file of the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ....core.errors import UsageError, WeightsError, did_you_mean
from ..preprocessing import IMAGENET_MEAN, IMAGENET_SCALE
from ..weight_files import (
    SUFFIXES,
    checked_tensor,
    downloaded,
    existing_file,
    published_hash,
    read_tensors,
    sha256,
)

#: Tensors in DenseNet's published files have the modules' former names: norm.1 is norm1 now.
_OLD_DENSENET_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


@dataclass(frozen=True)
class TorchvisionWeights:
    """Tensors by name, with the normalisation of images.

    `mean` is subtracted from an RGB image in [0, 1], which is then divided by `scale`.
    """

    source: str
    tensors: Mapping[str, Tensor]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


def check_weights(members: type[Enum], word: str, model: str) -> None:
    """Raise UsageError for a `word` that names neither torchvision's weights nor a file."""
    if word == "torchvision":
        if not len(members):
            raise UsageError(
                f"torchvision publishes no weights for {model}; name a .safetensors or .pth file"
            )
    elif word not in members.__members__ and not word.endswith(SUFFIXES):
        words = ["torchvision", *(member.name for member in members)]
        raise UsageError(
            f"unknown weights {word!r} of {model}: name a .safetensors or .pth file, or one of "
            f"torchvision's weights; {did_you_mean(word, words)}"
        )


def published_file(members: type[Enum], word: str) -> dict[str, str]:
    """Return the address of a published file of weights, with the digits of its SHA-256."""
    member = _member(members, word)
    return {str(member.value.url): _hash(member)}


def read_weights(members: type[Enum], word: str) -> TorchvisionWeights:
    """Read one of the `members` of a model's enumeration of weights, or a file.

    Raises UsageError for a missing file and WeightsError for one that cannot be used.
    """
    if word == "torchvision" or word in members.__members__:
        member = _member(members, word)
        path = downloaded(member.value.url, "use a file with `weights=FILE.pth`")
        return TorchvisionWeights(str(path), read_tensors(path), *_normalization(member))
    path = existing_file(word, "torchvision")
    tensors, digest = read_tensors(path), sha256(path)
    published = [member for member in members if digest.startswith(_hash(member))]
    normalization = _normalization(published[0]) if published else (IMAGENET_MEAN, IMAGENET_SCALE)
    return TorchvisionWeights(word, tensors, *normalization)


def assign(module: nn.Module, weights: TorchvisionWeights, network: str) -> None:
    """Assign weights, in float32, to a module on the meta device.

    Tensors that the module lacks, such as another classifier's, are ignored. Raises WeightsError,
    with the name of the first tensor that is missing or cannot be used.
    """
    state = {_OLD_DENSENET_NAME.sub(r"\1\2", str(k)): v for k, v in weights.tensors.items()}
    tensors = {}
    for name, expected in module.state_dict().items():
        if name.endswith("num_batches_tracked"):  # only for training; missing in older files
            tensors[name] = torch.zeros_like(expected, device="cpu")
        else:
            tensors[name] = checked_tensor(
                state, name, expected.shape, weights.source, network, expected.dtype
            )
    try:
        module.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{weights.source}: not {network}: {error}") from None


def _member(members: type[Enum], word: str) -> Any:
    return members["DEFAULT" if word == "torchvision" else word]


def _normalization(member: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    transforms = member.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def _hash(member: Any) -> str:
    return published_hash(Path(member.value.url).name)
