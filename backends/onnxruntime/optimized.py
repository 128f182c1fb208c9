"""Models as ONNX Runtime has optimised them for a provider; kept on disk, to start sooner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnxruntime
import torch

from ..disk_cache import kept_folder, key_of
from .session import Provider, load, session_options

_MODEL = "model.onnx"


@contextmanager
def optimized(model: Path, key: str, providers: Sequence[Provider], folder: Path) -> Iterator[Path]:
    """The model, with its operators fused and laid out for this processor and the first of the
    providers; the file is there inside the `with`.

    `key` tells the model from all others; what was made of it earlier is kept in `folder`. Not for
    TensorRT, whose engines cannot be saved in a model. Raises BackendError for a model that ONNX
    Runtime cannot load.
    """

    def make(made: Path) -> None:
        options = session_options()
        options.optimized_model_filepath = str(made / _MODEL)
        load(model, options, providers)

    every = key_of(
        key,
        model.name,
        onnxruntime.__version__,
        providers,
        torch.backends.cpu.get_cpu_capability(),  # layouts are made for the width of its vectors
    )
    with kept_folder(folder, every, make) as kept:
        yield kept / _MODEL
