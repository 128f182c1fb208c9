"""The models of a backbone, kept on disk: the network, and its gradient if it has one."""

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

from ...core.attribution import is_out_of_memory
from ...core.errors import BackendError, WeightsError
from ...core.files import user_cache
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.trunk import Trunk
from ...core.shown import error_line
from ..disk_cache import code_hash, is_kept, kept_folder, key_of
from ..onnx_export.export import export_trunk, weights_hash
from ..onnx_gradient import NoGradientError, differentiate
from .trial import try_models
from .winograd_rewrite import with_winograd

_FORWARD, _BACKWARD, _REASON = "forward.onnx", "backward.onnx", "reason.txt"


@dataclass(frozen=True)
class Models:
    """Files of a backbone's ONNX models.

    `forward` computes the layers, and the values that `backward` requires besides. `backward` is
    None for a network without a gradient in ONNX, and `reason` states why. `key` identifies the
    models; `fresh` is true if they were made just now, `from_file` for a network that is an ONNX
    file, which PyTorch cannot run.
    """

    forward: Path
    backward: Path | None
    reason: str
    key: str
    fresh: bool
    from_file: bool


def cache_folder() -> Path:
    """Return the folder of models and engines, all of which can be made again."""
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
    """Yield the models of the backbone's trunk for `layers`, from the cache, or made and kept.

    With `on_cpu` and the convolution `auto`, models have both ways of some convolutions, Winograd's
    algorithm and the plain operator. The files exist inside the `with`; where the cache cannot be
    written to, they are temporary. Raises WeightsError when the weights cannot be used,
    BackendError for a trunk without an ONNX form.
    """
    source = _source(backbone, layers, half)
    target = _Target(on_cpu, winograd=on_cpu and convolution == "auto")
    key = key_of(*source.identity, target, version("onnx"), _source_hash())
    parent = cache_folder() / "models"
    fresh, from_file = not is_kept(parent, key), bool(source.untrusted)
    with kept_folder(parent, key, partial(_make, source, target)) as folder:
        del source  # it holds the weights
        backward = folder / _BACKWARD
        yield Models(
            forward=folder / _FORWARD,
            backward=backward if backward.stat().st_size else None,
            reason=(folder / _REASON).read_text("utf-8"),
            key=key,
            fresh=fresh,
            from_file=from_file,
        )


@dataclass(frozen=True)
class _Source:
    """The origin of models, identified by `identity`.

    `untrusted` is the name of a network that comes as an ONNX file; `smallest_side` is that of the
    images that it takes, in pixels.
    """

    identity: tuple[str, ...]
    model: Callable[[], onnx.ModelProto]
    untrusted: str = ""
    smallest_side: int = 0


def _source(backbone: Backbone, layers: Sequence[str], half: bool) -> _Source:
    serialized = backbone.onnx_model(layers)
    if serialized is not None:
        if half:
            raise BackendError(
                f"the backbone {backbone.name} is an ONNX file, which runs in float32 alone; "
                "use `precision=float32`"
            )
        return _Source(
            (hashlib.sha256(serialized).hexdigest(), *layers),
            partial(onnx.ModelProto.FromString, serialized),
            backbone.name,
            backbone.deepest(layers).smallest_side,
        )
    trunk = backbone.trunk(layers).to(torch.float16 if half else torch.float32)
    return _Source(
        _trunk_identity(trunk, backbone, layers), partial(export_trunk, trunk, backbone, layers)
    )


@dataclass(frozen=True)
class _Target:
    """The provider that models are made for: ONNX Runtime's CPU provider, or any.

    With `winograd`, models in float32 have both ways of some convolutions.
    """

    on_cpu: bool
    winograd: bool

    def serialized(self, model: onnx.ModelProto) -> bytes:
        """Return the bytes of the model's file, rewritten for this target."""
        return bytes((with_winograd(model) if self.winograd else model).SerializeToString())


def _make(source: _Source, target: _Target, folder: Path) -> None:
    model, backward, reason = source.model(), b"", ""
    try:
        pair = differentiate(model, on_cpu=target.on_cpu)
        model, backward = pair.forward, target.serialized(pair.backward)
    except NoGradientError as error:
        reason = str(error)
    except Exception as error:  # of a file with settings that do not fit each other
        if not source.untrusted or is_out_of_memory(error):
            raise
        raise WeightsError(f"{source.untrusted}: refused: {error_line(error)}") from None
    (folder / _FORWARD).write_bytes(target.serialized(model))
    (folder / _BACKWARD).write_bytes(backward)
    (folder / _REASON).write_text(reason, "utf-8")
    if source.untrusted:
        models = folder / _FORWARD, (folder / _BACKWARD) if backward else None
        try_models(*models, source.smallest_side, source.untrusted)


def _trunk_identity(trunk: Trunk, backbone: Backbone, layers: Sequence[str]) -> tuple[str, ...]:
    """Return values that identify the trunk, among them a hash of its activations of an image.

    The activations show what the weights and the modules' names do not, such as constants.
    """
    side = backbone.deepest(layers).smallest_side
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, side + 3, side + 5, generator=generator)
    with torch.no_grad():
        activations = trunk(image, layers)
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(activations[layer].float().contiguous().numpy().data)
    return (weights_hash(trunk), str(trunk), *layers, version("torch"), digest.hexdigest())


def _source_hash() -> str:
    """Return a hash of the code that makes models: a changed rule invalidates them."""
    here = Path(__file__)
    backends = here.parent.parent
    modules = [
        here,
        *(here.with_name(name) for name in ("winograd_rewrite.py", "trial.py")),
        backends / "pytorch" / "winograd.py",
        backends / "onnx_shapes.py",
    ]
    for folder in ("onnx_export", "onnx_gradient"):
        modules += sorted((backends / folder).rglob("*.py"))
    return code_hash(*modules)
