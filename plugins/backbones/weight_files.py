"""Weights files: downloaded with a published hash, read without executing anything.

They are read by safetensors, or by torch's reader for tensors alone.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

from ...core.errors import UsageError, WeightsError
from ...core.files import user_cache
from ...core.shown import error_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SUFFIXES = (".safetensors", ".pth", ".pt")


def existing_file(source: str, words: str) -> Path:
    """Path of the weights file that a job names.

    Raises UsageError for a missing file, and for names without the suffix of one; `words` are the
    names that the job may use instead of a file.
    """
    path = Path(source)
    if path.suffix not in SUFFIXES:
        raise UsageError(
            f"unknown weights {source!r}; choose {words}, or a .safetensors or .pth file"
        )
    if not path.is_file():
        raise UsageError(f"{source}: no such weights file")
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file's named tensors, on the CPU, in about as much memory as the file is long.

    Raises WeightsError for a file that is damaged or holds anything else.
    """
    import torch
    from safetensors.torch import load_file

    _check_archive(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; unreadable files raise
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{path}: refused: not a file of plain tensors (any other pickle may execute code)"
        ) from None
    except Exception as error:  # the readers raise many types on damaged files
        raise WeightsError(f"{path}: damaged or not a weights file ({error_line(error)})") from None
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds a {type(state).__name__}, not named tensors")
    return state


def _check_archive(path: Path) -> None:
    """Check that an archive, as torch writes it, is no longer when it is read than on the disk.

    A compressed file, or one whose members share their bytes, could take any amount of memory.
    Raises WeightsError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return  # a file of another kind, or for the reader to refuse
    length = sum(member.file_size for member in members)
    if length > path.stat().st_size:
        raise WeightsError(
            f"{path}: refused: it unpacks to {length} bytes, more than it has; torch writes its "
            "files without compression"
        )


def checked_tensor(
    state: Mapping[str, Tensor],
    name: str,
    shape: tuple[int, ...],
    source: str,
    network: str,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return the tensor as `dtype` (None: float32).

    Raises WeightsError when it is missing, is no plain array (but sparse, nested, quantized, or
    without values), has another shape, is floating-point although `dtype` is not, or the reverse,
    has fewer than 16 bits, or is not finite.
    """
    import torch

    dtype = dtype or torch.float32
    tensor = state.get(name)
    if not isinstance(tensor, torch.Tensor):
        raise WeightsError(f"{source}: not {network}: {name} is missing")
    if (
        tensor.layout != torch.strided
        or tensor.is_nested
        or tensor.is_quantized
        or tensor.device.type != "cpu"
    ):
        raise WeightsError(
            f"{source}: {name} is not a plain array of numbers (it is sparse, nested, quantized or "
            "without values)"
        )
    if tensor.shape != shape:
        raise WeightsError(
            f"{source}: not {network}: {name} is {tuple(tensor.shape)}, should be {tuple(shape)}"
        )
    if tensor.is_floating_point() != dtype.is_floating_point:
        raise WeightsError(f"{source}: not {network}: {name} is {tensor.dtype}, should be {dtype}")
    if tensor.is_floating_point() and tensor.element_size() < 2:
        raise WeightsError(f"{source}: {name} is {tensor.dtype}; save it as float32 or float16")
    if not torch.isfinite(tensor).all():
        raise WeightsError(f"{source}: {name} holds NaN or infinity")
    return tensor.detach().to(dtype)


def published_hash(name: str) -> str:
    """First digits of the SHA-256, which torch's model zoo puts at the end of a file's name."""
    return Path(name).stem.rpartition("-")[2]


def downloaded(url: str, instead: str) -> Path:
    """Path of a file in the user's cache, which is downloaded if it is missing.

    Its hash is checked in both cases. `instead` is advice for users without a network, for the
    message. Raises WeightsError.
    """
    path = user_cache() / "weights" / url.rpartition("/")[2]
    published = published_hash(path.name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        download(url, path, published, instead)
    elif not sha256(path).startswith(published):
        raise WeightsError(f"{path}: the cached file is damaged (wrong SHA-256); delete it")
    return path


def download(url: str, path: Path, hash_prefix: str, instead: str) -> None:
    """Download to a temporary file, check the beginning of its SHA-256, and move it to `path`.

    Shows a progress bar on stderr. Raises WeightsError when it fails; then no file is left.
    """
    import torch

    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix, progress=True)
    except (URLError, OSError) as error:
        raise WeightsError(f"{url}: the download failed ({error}); {instead}") from None
    except RuntimeError:
        raise WeightsError(f"{url}: the download has a wrong SHA-256; nothing was kept") from None


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
