"""The models of a backbone: the network, and its gradient if it has one; kept on disk."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import platformdirs
import torch

from ..core.backbone import Backbone, Trunk
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
    return platformdirs.user_cache_path("stylectl") / "onnx"


@contextmanager
def open_models(
    backbone: Backbone, layers: Sequence[str], *, half: bool, on_cpu: bool
) -> Iterator[Models]:
    """The models of the backbone's trunk for `layers`, from the cache, or made and put there.

    The files are there inside the `with`. Where the cache cannot be written to, they are temporary.
    Raises WeightsError when the weights cannot be used, BackendError for a trunk without an ONNX
    form.
    """
    trunk = backbone.trunk(layers).to(torch.float16 if half else torch.float32)
    folder = cache_folder() / "models"
    place = folder / _fingerprint(trunk, backbone, layers, on_cpu)
    if _whole(place):
        del trunk
        yield _models(place)
        return
    with tempfile.TemporaryDirectory(dir=_writable(folder), prefix=".new-") as private:
        made = Path(private) / "models"
        _make(trunk, backbone, layers, on_cpu, made)
        del trunk
        yield _models(_kept(made, place))


def _make(
    trunk: Trunk, backbone: Backbone, layers: Sequence[str], on_cpu: bool, folder: Path
) -> None:
    model, backward, reason = export_trunk(trunk, backbone, layers), b"", ""
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


def _fingerprint(trunk: Trunk, backbone: Backbone, layers: Sequence[str], on_cpu: bool) -> str:
    """A hash of what the trunk is, of what it computes, and of what makes models of it.

    A trunk may hold anything that its weights and its description do not show. What it makes of
    an image shows it.
    """
    side = backbone.deepest(layers).smallest_side
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 2 * side + 5, 3 * side + 7, generator=generator)
    with torch.no_grad():
        activations = trunk(image, layers)
    digest = hashlib.sha256()
    words = (weights_hash(trunk), trunk, *layers, on_cpu, version("torch"), version("onnx"))
    for word in words:
        digest.update(f"{word};".encode())
    for layer in layers:
        digest.update(activations[layer].float().contiguous().numpy().data)
    folder = Path(__file__).parent
    for source in sorted((*folder.glob("onnx_gradient/*.py"), folder / "onnx_export.py")):
        digest.update(source.read_bytes())
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
