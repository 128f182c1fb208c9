"""The models of a backbone: the network, and its gradient if it has one; kept on disk."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import onnx
import torch

from ..core.backbone import Backbone, Trunk
from ..core.errors import BackendError
from ..core.files import user_cache
from .onnx_export import export_trunk, weights_hash
from .onnx_gradient import NoGradientError, differentiate

_FILES = ("forward.onnx", "backward.onnx", "reason.txt")


@dataclass(frozen=True)
class Models:
    """Files of ONNX models. `forward` gives the layers and what `backward` needs besides;
    `backward` is None for a network without a gradient in ONNX, and `reason` says why."""

    forward: Path
    backward: Path | None
    reason: str


def cache_folder() -> Path:
    """Where models and engines are kept. Everything in it can be made again."""
    return user_cache() / "onnx"


@contextmanager
def open_models(
    backbone: Backbone, layers: Sequence[str], *, half: bool, on_cpu: bool
) -> Iterator[Models]:
    """The models of the backbone's trunk for `layers`, from the cache, or made and put there.

    The files are there inside the `with`. Where the cache cannot be written to, they are temporary.
    Raises WeightsError when the weights cannot be used, BackendError for a trunk without an ONNX
    form.
    """
    source = _source(backbone, layers, half)
    folder = cache_folder() / "models"
    place = folder / _fingerprint(source, on_cpu)
    if _whole(place):
        del source
        yield _models(place)
        return
    with tempfile.TemporaryDirectory(dir=_writable(folder), prefix=".new-") as private:
        made = Path(private) / "models"
        _make(source.model(), on_cpu, made)
        del source
        yield _models(_kept(made, place))


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


def _make(model: onnx.ModelProto, on_cpu: bool, folder: Path) -> None:
    backward, reason = b"", ""
    try:
        pair = differentiate(model, on_cpu=on_cpu)
        model, backward = pair.forward, pair.backward.SerializeToString()
    except NoGradientError as error:
        reason = str(error)
    folder.mkdir()
    parts = (model.SerializeToString(), backward, reason.encode())
    for name, part in zip(_FILES, parts, strict=True):
        (folder / name).write_bytes(part)
    (folder / "sha256").write_text(_checksum(folder))


def _writable(folder: Path) -> Path | None:
    """The folder, made if need be, or None (the system's own for temporary files)."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _kept(made: Path, place: Path) -> Path:
    """Moves new models into the cache, whole or not at all: others may be reading or writing the
    same. Gives the place where they are then."""
    try:
        if place.exists():
            place.rename(made.parent / "damaged")
        made.rename(place)
    except OSError:
        return made
    return place


def _models(folder: Path) -> Models:
    forward, backward, reason = (folder / name for name in _FILES)
    return Models(forward, backward if backward.stat().st_size else None, reason.read_text())


def _trunk_marks(trunk: Trunk, backbone: Backbone, layers: Sequence[str]) -> tuple[str, ...]:
    """What the trunk is, and what it computes: it may hold anything that its weights and its
    description do not show, but what it makes of an image shows it."""
    side = backbone.deepest(layers).smallest_side
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 2 * side + 5, 3 * side + 7, generator=generator)
    with torch.no_grad():
        activations = trunk(image, layers)
    digest = hashlib.sha256()
    for layer in layers:
        digest.update(activations[layer].float().contiguous().numpy().data)
    return (weights_hash(trunk), str(trunk), *layers, version("torch"), digest.hexdigest())


def _fingerprint(source: _Source, on_cpu: bool) -> str:
    """A hash of what models are made from, and of what makes them."""
    digest = hashlib.sha256()
    for word in (*source.marks, on_cpu, version("onnx")):
        digest.update(f"{word};".encode())
    folder = Path(__file__).parent
    for module in sorted((*folder.glob("onnx_gradient/*.py"), folder / "onnx_export.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _whole(place: Path) -> bool:
    try:
        return (place / "sha256").read_text() == _checksum(place)
    except OSError:
        return False


def _checksum(folder: Path) -> str:
    sums = []
    for name in _FILES:
        with (folder / name).open("rb") as file:
            sums.append(hashlib.file_digest(file, "sha256").hexdigest())
    return "\n".join(sums)
