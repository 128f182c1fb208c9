"""The models of a backbone: the network, and its gradient if it has one; kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import onnx
import torch

from ...core.errors import BackendError
from ...core.files import user_cache
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.trunk import Trunk
from ..disk_cache import kept_folder, key_of
from ..onnx_export.export import export_trunk, weights_hash
from ..onnx_gradient import NoGradientError, differentiate
from .winograd_rewrite import with_winograd

_FORWARD, _BACKWARD, _REASON = "forward.onnx", "backward.onnx", "reason.txt"


@dataclass(frozen=True)
class Models:
    """Files of ONNX models. `forward` gives the layers and what `backward` needs besides;
    `backward` is None for a network without a gradient in ONNX, and `reason` says why. `key` tells
    them from all other models; `fresh` says that they were made just now."""

    forward: Path
    backward: Path | None
    reason: str
    key: str
    fresh: bool


def cache_folder() -> Path:
    """Where models and engines are kept. Everything in it can be made again."""
    return user_cache() / "onnx"


@contextmanager
def open_models(
    backbone: Backbone,
    layers: Sequence[str],
    *,
    half: bool,
    on_cpu: bool,
    convolution: Literal["auto", "direct"],
) -> Iterator[Models]:
    """The models of the backbone's trunk for `layers`, from the cache, or made and put there.

    `auto` has an effect on the CPU alone: there are both ways of some convolutions then.
    The files are there inside the `with`. Where the cache cannot be written to, they are temporary.
    Raises WeightsError when the weights cannot be used, BackendError for a trunk without an ONNX
    form.
    """
    source = _source(backbone, layers, half)
    target = _Target(on_cpu, winograd=on_cpu and convolution == "auto")
    key = key_of(*source.marks, target, version("onnx"), _makers())
    fresh = not (cache_folder() / "models" / key).exists()
    with kept_folder(cache_folder() / "models", key, partial(_make, source, target)) as folder:
        del source  # it holds the weights
        backward = folder / _BACKWARD
        yield Models(
            forward=folder / _FORWARD,
            backward=backward if backward.stat().st_size else None,
            reason=(folder / _REASON).read_text(),
            key=key,
            fresh=fresh,
        )


@dataclass(frozen=True)
class _Source:
    """What models are made from: `marks` tell one from every other."""

    marks: tuple[str, ...]
    model: Callable[[], onnx.ModelProto]


def _source(backbone: Backbone, layers: Sequence[str], half: bool) -> _Source:
    given = backbone.onnx_model(layers)
    if given is not None:
        if half:
            raise BackendError(f"{backbone.name}: runs in float32 alone, as the file has it")
        return _Source(
            (hashlib.sha256(given).hexdigest(), *layers),
            partial(onnx.ModelProto.FromString, given),
        )
    trunk = backbone.trunk(layers).to(torch.float16 if half else torch.float32)
    return _Source(
        _trunk_marks(trunk, backbone, layers), partial(export_trunk, trunk, backbone, layers)
    )


@dataclass(frozen=True)
class _Target:
    """What models are made for: ONNX Runtime's CPU provider, or any; with `winograd`, in float32,
    with both ways of some convolutions."""

    on_cpu: bool
    winograd: bool

    def finished(self, model: onnx.ModelProto) -> bytes:
        """The model as it is written."""
        return bytes((with_winograd(model) if self.winograd else model).SerializeToString())


def _make(source: _Source, target: _Target, folder: Path) -> None:
    model, backward, reason = source.model(), b"", ""
    try:
        pair = differentiate(model, on_cpu=target.on_cpu)
        model, backward = pair.forward, target.finished(pair.backward)
    except NoGradientError as error:
        reason = str(error)
    (folder / _FORWARD).write_bytes(target.finished(model))
    (folder / _BACKWARD).write_bytes(backward)
    (folder / _REASON).write_text(reason)


def _trunk_marks(trunk: Trunk, backbone: Backbone, layers: Sequence[str]) -> tuple[str, ...]:
    """What the trunk is, and what it computes: it may hold anything that its weights and its
    description do not show, but what it makes of an image shows it."""
    side = backbone.deepest(layers).smallest_side
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, side + 3, side + 5, generator=generator)
    with torch.no_grad():
        activations = trunk(image, layers)
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(activations[layer].float().contiguous().numpy().data)
    return (weights_hash(trunk), str(trunk), *layers, version("torch"), digest.hexdigest())


def _makers() -> str:
    """A hash of the code that makes models, so that a changed rule never meets a stale one."""
    digest, backends = hashlib.sha256(), Path(__file__).parent.parent
    modules = [backends / "onnxruntime" / "winograd_rewrite.py", backends / "pytorch/winograd.py"]
    for folder in ("onnx_export", "onnx_gradient"):
        modules += sorted((backends / folder).glob("*.py"))
    for module in modules:
        digest.update(module.read_bytes())
    return digest.hexdigest()
