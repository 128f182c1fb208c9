"""Reader of untrusted ONNX files: nothing outside their folder, no foreign operators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ....core.errors import UsageError, WeightsError
from ....core.files import real_path, status_of
from ....core.shown import one_line
from .branches import without_known_branches
from .names import with_free_names
from .subgraphs import subgraphs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

#: Most bytes that protobuf can hold, in a file and in a model with its weights.
MOST_BYTES = 2_000_000_000


def check_file(path: Path, source: str) -> int:
    """Return the size of an ONNX file in bytes; `source` is its name in messages.

    Raises UsageError for a missing file, and WeightsError for one that is too large.
    """
    status = status_of(path)
    if status is None or not path.is_file():
        raise UsageError(f"{source}: no such ONNX file")
    if status.st_size > MOST_BYTES:
        raise WeightsError(f"{source}: larger than {MOST_BYTES / 1e9:g} GB")
    return status.st_size


def read_onnx(path: Path, source: str) -> ModelProto:
    """Read a model without the weights that are in other files.

    Its values have names of its own, and its known branches are inlined.

    Raises UsageError for a missing file, and WeightsError for one that is too large or damaged, or
    that needs other operators than the standard's or files outside its folder.
    """
    import onnx

    check_file(path, source)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's errors have no common base
        raise WeightsError(f"{source}: damaged or not an ONNX file ({_line(error)})") from None
    if not model.graph.node:
        raise WeightsError(f"{source}: damaged or not an ONNX file (it holds no network)")
    _check_operators(model, source)
    _check_external_data(model, path, source)
    incomplete = _state_ranks(model)
    try:
        onnx.checker.check_model(model if incomplete else str(path))
    except Exception as error:  # ValidationError, or an error of the C++ code
        raise WeightsError(f"{source}: not a valid ONNX model ({_line(error)})") from None
    try:
        model = without_known_branches(model)
    except MemoryError:
        raise
    except Exception as error:  # the C++ code's errors have no common base
        raise WeightsError(f"{source}: its shapes cannot be inferred ({_line(error)})") from None
    return with_free_names(model)


def _state_ranks(model: ModelProto) -> bool:
    """State the input's number of dimensions where a file does not, and return whether that is so.

    onnx requires it, the runtimes do not. Outputs become scalars: they are not used.
    """
    incomplete = False
    for values, rank in ((model.graph.input, 4), (model.graph.output, 0)):
        for value in values:
            tensor = value.type.tensor_type
            if value.type.HasField("tensor_type") and not tensor.HasField("shape"):
                incomplete = True
                tensor.shape.CopyFrom(type(tensor.shape)(dim=[{}] * rank))
    return incomplete


def files_beside(model: ModelProto) -> set[str]:
    """Return the names of the files beside the model's that have weights of it."""
    import onnx

    return {
        entry.value
        for tensor in _tensors(model.graph)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }


def stored_bytes(tensor: TensorProto, folder: Path) -> int:
    """Return the number of bytes of a tensor, in the model or in a file in its folder."""
    import onnx

    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return int(tensor.ByteSize())
    settings = {entry.key: entry.value for entry in tensor.external_data}
    if "length" in settings:
        return _count(settings["length"])
    status = status_of(folder / settings.get("location", ""))
    return 0 if status is None else status.st_size - _count(settings.get("offset"))


def _check_operators(model: ModelProto, source: str) -> None:
    if model.functions:
        raise WeightsError(
            f"{source}: refused: it defines the operator {model.functions[0].name} itself"
        )
    for node in _nodes(model.graph):
        if node.domain not in ("", "ai.onnx"):
            raise WeightsError(
                f"{source}: refused: the operator {node.op_type} of the domain {node.domain!r} "
                "is not ONNX's own"
            )


def _check_external_data(model: ModelProto, path: Path, source: str) -> None:
    """Check that weights in other files are in the model's folder and as long as it states."""
    import onnx

    folder = real_path(path.parent)
    for tensor in _tensors(model.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        settings = {entry.key: entry.value for entry in tensor.external_data}
        location = settings.get("location", "")
        file = folder / location
        status = status_of(file)
        if (
            not location
            or Path(location).is_absolute()
            or "\\" in location
            or ".." in Path(location).parts
            or not real_path(file).is_relative_to(folder)
        ):
            raise WeightsError(
                f"{source}: refused: the weights of {tensor.name!r} are outside the file's folder "
                f"({location!r})"
            )
        if status is None or not file.is_file():
            raise WeightsError(f"{source}: the file {location!r} with its weights is missing")
        offset, length = _count(settings.get("offset")), _count(settings.get("length"))
        if offset + length > status.st_size:
            raise WeightsError(f"{source}: the file {location!r} with its weights is too short")


def _count(text: str | None) -> int:
    """Convert a size that a file states; text that is no number gives 2^63, which is too large."""
    is_count = text and text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if text and is_count else 2**63 if text else 0


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield the nodes of a graph and of its subgraphs."""
    for node in graph.node:
        yield node
        for subgraph in subgraphs(node):
            yield from _nodes(subgraph)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Yield the weights and constants of a graph and of its subgraphs."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
        for subgraph in subgraphs(node):
            yield from _tensors(subgraph)


def _line(error: Exception) -> str:
    return one_line(str(error), 120) or type(error).__name__
