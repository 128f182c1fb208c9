"""The weights of torchvision's models: its published ones, or a file of the user's."""

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

#: DenseNet's published files are older than its modules' names: norm.1 is norm1 now.
_OLD_DENSENET_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


@dataclass(frozen=True)
class TorchvisionWeights:
    """Tensors by name, and what is taken from an RGB image in [0, 1] and then divided by."""

    source: str
    tensors: Mapping[str, Tensor]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


def check_weights(members: type[Enum], word: str, model: str) -> None:
    """Raises UsageError for a word that is neither torchvision's, for this model, nor a file's."""
    if word == "torchvision":
        if not len(members):
            raise UsageError(
                f"torchvision publishes no weights for {model}; name a .safetensors or .pth file"
            )
    elif word not in members.__members__ and not word.endswith(SUFFIXES):
        words = ["torchvision", *(member.name for member in members)]
        raise UsageError(
            f"unknown weights {word!r} of {model}: it may be a file in .safetensors or .pth, or "
            f"a word; {did_you_mean(word, words)}"
        )


def read_weights(members: type[Enum], word: str) -> TorchvisionWeights:
    """Of the `members` of a model's enumeration, or of a file.

    Raises UsageError for a missing file and WeightsError for one that cannot be used.
    """
    if word == "torchvision" or word in members.__members__:
        member: Any = members["DEFAULT" if word == "torchvision" else word]
        path = downloaded(member.value.url, "`weights=FILE.pth` takes one that you have")
        return TorchvisionWeights(str(path), read_tensors(path), *_normalization(member))
    path = existing_file(word, "torchvision")
    tensors, digest = read_tensors(path), sha256(path)
    published = [each for each in members if digest.startswith(_hash(each))]
    normalization = _normalization(published[0]) if published else (IMAGENET_MEAN, IMAGENET_SCALE)
    return TorchvisionWeights(word, tensors, *normalization)


def assign(module: nn.Module, weights: TorchvisionWeights, network: str) -> None:
    """Gives a module on the meta device its tensors, in float32; what it has no use for, such as
    another classifier's, is ignored.

    Raises WeightsError that names the first tensor that is missing or cannot be used.
    """
    state = {_OLD_DENSENET_NAME.sub(r"\1\2", str(k)): v for k, v in weights.tensors.items()}
    found = {}
    for name, wanted in module.state_dict().items():
        if name.endswith("num_batches_tracked"):  # of training alone; older files have none
            found[name] = torch.zeros_like(wanted, device="cpu")
        else:
            found[name] = checked_tensor(
                state, name, wanted.shape, weights.source, network, wanted.dtype
            )
    try:
        module.load_state_dict(found, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{weights.source}: not {network}: {error}") from None


def _normalization(member: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    transforms = member.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def _hash(member: Any) -> str:
    return published_hash(Path(member.value.url).name)
