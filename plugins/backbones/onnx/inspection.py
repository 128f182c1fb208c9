"""The inspection of an untrusted ONNX file: in a process with limits, once for each file.

ONNX's own code checks models, converts them and infers their shapes. A file can be written so that
this never ends, or takes any amount of memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ....core.errors import WeightsError
from ....core.files import status_of, user_cache, whole_file
from ....core.interfaces.backbone import LayerInfo
from ....core.machine.limited_process import Limits, ProcessError, call, extend_memory, serve
from .graph import OnnxMaps, feature_maps
from .model import image_model
from .reading import check_file, files_beside, read_onnx

#: Metadata key of the expected input; stylectl writes "none": the preprocessing is in the graph.
PREPROCESSING_KEY = "stylectl.preprocessing"

#: Processor time of an inspection, beside a second for each so many bytes. VGG-19 (80 MB) takes
#: 2 s.
_SECONDS, _BYTES_PER_SECOND = 20, 20_000_000
#: Memory of an inspection: for Python and ONNX, and for the copies of a model.
_BYTES, _COPIES = 2_000_000_000, 8


@dataclass(frozen=True)
class Inspection:
    """Result of an inspection.

    `preprocessing` is what the file states about its input, if it does. `beside` are the files of
    weights beside it, with their sizes in bytes.
    """

    maps: OnnxMaps
    preprocessing: str | None
    beside: tuple[tuple[str, int], ...]

    @classmethod
    def of_json(cls, values: Any) -> Inspection:
        """Return the inspection from the JSON form of its fields."""
        maps = values["maps"]
        layers, stages = (
            tuple(LayerInfo(**info) for info in maps[key]) for key in ("layers", "stages")
        )
        beside = tuple((str(name), int(size)) for name, size in values["beside"])
        return cls(OnnxMaps(maps["image"], layers, stages), values["preprocessing"], beside)


def inspect(path: Path, source: str) -> Inspection:
    """Inspect an ONNX file, or return the result that was kept when it was inspected before.

    `source` is its name in messages. Raises UsageError for a missing file, and WeightsError for one
    that cannot be used, that takes too long, or too much memory.
    """
    size = check_file(path, source)
    kept = user_cache() / "onnx" / "inspected" / f"{_key(path)}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        inspection = Inspection.of_json(json.loads(kept.read_text()))
        if all(_size(path.parent / name) == size for name, size in inspection.beside):
            return inspection
    limits = Limits(_BYTES + _COPIES * size, _SECONDS + size // _BYTES_PER_SECOND)
    try:
        values = call(__name__.partition(".")[2], {"path": str(path), "source": source}, limits)
    except ProcessError as error:
        raise WeightsError(f"{source}: refused: its inspection {error}") from None
    with contextlib.suppress(OSError):  # without a cache, the file is inspected each time
        kept.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(kept) as file:
            file.write_text(json.dumps(values))
    return Inspection.of_json(values)


def _work(request: Any) -> Any:
    """Inspect a file in this process; return the JSON form of an Inspection."""
    path, source = Path(request["path"]), str(request["source"])
    model = read_onnx(path, source)
    maps = feature_maps(model, source)
    beside = {name: _size(path.parent / name) or 0 for name in files_beside(model)}
    extend_memory(_COPIES * sum(beside.values()))
    # The extraction of any layers does no more than that of all. An error is raised when it is
    # done: it may concern layers that no job uses.
    names = [info.name for info in maps.layers]
    with contextlib.suppress(WeightsError):
        image_model(model, path, source, maps.image, names, "none")
    stated = {entry.key: entry.value for entry in model.metadata_props}.get(PREPROCESSING_KEY)
    return asdict(Inspection(maps, stated, tuple(beside.items())))


def _key(path: Path) -> str:
    """Hash of the file, and of the code that inspects it."""
    digest = hashlib.sha256(f"onnx {version('onnx')};".encode())
    for part in (*_modules(), path):
        with part.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _modules() -> Iterator[Path]:
    folder = Path(__file__).parent
    yield from sorted(folder.glob("*.py"))
    yield folder.parent / "geometry.py"


def _size(path: Path) -> int | None:
    status = status_of(path)
    return None if status is None else status.st_size


if __name__ == "__main__":
    serve(_work)
