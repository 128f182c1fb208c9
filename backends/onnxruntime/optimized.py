"""Models optimised by ONNX Runtime for a provider, kept on disk for a faster start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ..disk_cache import code_hash, kept_folder, key_of
from ..offline import import_onnxruntime
from .session import Provider, load, session_options

onnxruntime = import_onnxruntime()

_MODEL = "model.onnx"


@contextmanager
def optimized(model: Path, key: str, providers: Sequence[Provider], folder: Path) -> Iterator[Path]:
    """Yield the file of the optimised model, which exists inside the `with`.

    Its operators are fused and laid out for this processor and the first of the providers. `key`
    identifies the model; optimised models are kept in `folder`. Not for TensorRT, whose engines
    cannot be saved in a model. Raises BackendError for a model that ONNX Runtime cannot load.
    """

    def make(new: Path) -> None:
        options = session_options()
        options.optimized_model_filepath = str(new / _MODEL)
        load(model, options, providers)

    optimized_key = key_of(
        key,
        model.name,
        onnxruntime.__version__,
        providers,
        torch.backends.cpu.get_cpu_capability(),  # layouts depend on the width of its vectors
        code_hash(Path(__file__), Path(__file__).with_name("session.py")),
    )
    with kept_folder(folder, optimized_key, make) as cached:
        yield cached / _MODEL
