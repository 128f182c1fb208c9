"""The file of a checkpoint: safetensors, with a header of plain values in its metadata."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from ..errors import CheckpointError
from ..files import whole_file
from ..shown import error_line
from ..sizes.tiles import Tilers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .checkpoint import Checkpoint

_KEY = "stylectl checkpoint"


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(_Plain):
    """Requests beside the job: outputs, writers, plugins.

    - `folder`: the current folder, to which the paths in the job are relative.
    - `outputs`: absolute paths.
    - `default_name`: whether the output's name was chosen by stylectl.
    - `writers`: options of writers, by the writers' names.
    - `chosen_writers`: names of writers that outputs were given, by the outputs.
    - `save_every`, `no_plugin`: as given to the command.
    - `plugins_dir`: absolute paths of folders with plugins of one file.
    """

    folder: str
    outputs: tuple[str, ...] = ()
    default_name: bool = False
    writers: dict[str, dict[str, Any]] = {}
    save_every: str | None = None
    no_plugin: tuple[str, ...] = ()
    plugins_dir: tuple[str, ...] = ()
    chosen_writers: dict[str, str] = {}


class StoredSnapshot(_Plain):
    """A snapshot, in a file beside the checkpoint; otherwise as `Snapshot`."""

    scale: int
    step: int
    seconds: float
    file: str


class Header(_Plain):
    """Header of a checkpoint.

    - `written`: seconds since 1970.
    - `job`: the job's plain values.
    - `conditions`: all that determines the bits of the result; see conditions.py.
    - `tilers`: those of each scale.
    - `steps`, `all_steps`: optimizer steps so far, and of the whole run.
    - `wanted_snapshots`, `snapshots`: the number that the outputs requested, and those so far.
    - `values`: the values of the `Checkpoint`.
    - `on_host`: the tensors that were not on the backend's device.
    """

    format: Literal[1] = 1
    written: float
    request: Request
    job: dict[str, Any]
    conditions: dict[str, dict[str, Any]]
    tilers: tuple[Tilers, ...]
    steps: int
    all_steps: int
    wanted_snapshots: int
    snapshots: tuple[StoredSnapshot, ...]
    values: dict[str, Any]
    on_host: tuple[str, ...]


def write_checkpoint(path: Path, header: Header, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint, whole or not at all. Raises OSError."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    separate: dict[str, Tensor] = {}
    addresses: set[int] = set()
    for name, tensor in tensors.items():
        # safetensors refuses two names of one tensor.
        separate[name] = tensor.clone() if tensor.data_ptr() in addresses else tensor.contiguous()
        addresses.add(tensor.data_ptr())
    text = json.dumps(header.model_dump())
    with whole_file(path) as file:
        try:
            save_file(separate, file, metadata={_KEY: text})
        except SafetensorError as error:  # such as a full disk
            raise OSError(str(error)) from None
        except (KeyError, TypeError, ValueError, RuntimeError) as error:  # such as a sparse tensor
            raise OSError(error_line(error)) from None


def read_header(path: Path) -> Header:
    """Read the header of a checkpoint. Raises CheckpointError for any other file."""
    return _header(_opened(path, "numpy"), path)


def read_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Read a checkpoint; its tensors are on the devices on which they were.

    Those of the optimizer are read when it uses them. Raises CheckpointError for any other file.
    """
    from .checkpoint import Checkpoint

    file = _opened(path, "pt")
    header = _header(file, path)
    try:
        return Checkpoint.of(_StoredTensors(file, device, header.on_host), header.values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: damaged ({error_line(error)})") from None


class _StoredTensors(Mapping[str, "Tensor"]):
    """Tensors of a file, each of which is read when it is used."""

    def __init__(self, file: Any, device: torch.device, on_host: Collection[str]) -> None:
        self._file, self._device, self._on_host = file, device, on_host
        self._names = tuple(file.keys())

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        # A copy: the last bits of a sum may depend on where in memory an array begins.
        tensor: Tensor = self._file.get_tensor(name).clone()
        return tensor if name in self._on_host else tensor.to(self._device)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _opened(path: Path, framework: str) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a checkpoint ({error_line(error)})") from None


def _header(file: Any, path: Path) -> Header:
    try:
        return Header.model_validate(json.loads((file.metadata() or {})[_KEY]))
    except (KeyError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: not a checkpoint that this version reads") from None
