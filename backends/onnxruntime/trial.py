"""The trial of a network that comes as an ONNX file: loaded and run once, in a limited process.

ONNX Runtime computes constants when it loads a model. A few bytes can describe a constant of
terabytes, or a loop without an end.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ...core.errors import WeightsError
from ...core.machine.limited_process import Limits, ProcessError, call, serve
from .messages import first_line, is_out_of_memory

#: Memory for Python, ONNX Runtime and the activations of a small image, and for the copies of the
#: weights: read, optimised, laid out for the processor.
_BYTES, _COPIES = 4_000_000_000, 8
#: Processor time of a trial, beside a second for each so many bytes. VGG-19 (160 MB) takes 3 s.
_SECONDS, _BYTES_PER_SECOND = 30, 20_000_000
#: Prefix of the backward model's inputs that are cotangents; see onnx_gradient.cotangent_name.
_COTANGENT = "d_"


def try_models(forward: Path, backward: Path | None, side: int, source: str) -> None:
    """Load the models and run them for an image of `side` x `side` px, in a limited process.

    `source` names the network in messages. Raises WeightsError if that takes too much memory or
    time, or crashes. Other errors are not raised: the network may require another size.
    """
    files = [forward, *([backward] if backward else [])]
    size = sum(file.stat().st_size for file in files)
    request = {"files": [str(file) for file in files], "side": side}
    limits = Limits(_BYTES + _COPIES * size, _SECONDS + size // _BYTES_PER_SECOND)
    try:
        call(__name__.partition(".")[2], request, limits)
    except ProcessError as error:
        raise WeightsError(f"{source}: refused: running the network {error}") from None


def _work(request: Any) -> None:
    try:
        _run(request["files"], request["side"])
    except Exception as error:  # ONNX Runtime's have no common base
        if is_out_of_memory(first_line(error)):
            raise MemoryError from None


def _run(files: list[str], side: int) -> None:
    """Run the forward model, and the backward model on what the forward one gives."""
    import numpy as np

    from ..offline import import_onnxruntime

    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    values: dict[str, Any] = {}
    for file in files:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        for value in session.get_inputs():
            if value.name.startswith(_COTANGENT):
                values[value.name] = np.zeros_like(values[value.name.removeprefix(_COTANGENT)])
            elif value.name not in values:
                shape = (1, 3, side, side)
                values[value.name] = np.linspace(0, 1, math.prod(shape), dtype=np.float32).reshape(
                    shape
                )
        inputs = {value.name: values[value.name] for value in session.get_inputs()}
        names = [value.name for value in session.get_outputs()]
        values.update(zip(names, session.run(names, inputs), strict=True))


if __name__ == "__main__":
    serve(_work)
