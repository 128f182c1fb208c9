"""An ONNX Runtime session whose values are shared with torch, not copied."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime
import torch.utils.dlpack
from onnxruntime import OrtValue
from torch import Tensor

from ...core.errors import BackendError

#: A provider's name, with its options.
Provider = tuple[str, dict[str, str]]

#: What fails is raised as well.
_FATAL_ONLY = 4
_OUT_OF_MEMORY = re.compile("allocate memory|bad_alloc|out of memory|smaller than requested")


class Session:
    """A model, ready to run on one device."""

    def __init__(self, model: Path, providers: Sequence[Provider], device: torch.device) -> None:
        """Raises BackendError when ONNX Runtime cannot load the model or the first provider."""
        _prepare_process()
        self._device = device
        self._session: Any = load(model, session_options(), providers)
        self._session.disable_fallback()
        loaded = self._session.get_providers()
        if providers[0][0] not in loaded:
            raise BackendError(f"ONNX Runtime did not load {providers[0][0]}, only {loaded}")
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self.outputs = tuple(each.name for each in self._session.get_outputs())

    def run(self, inputs: Mapping[str, OrtValue], outputs: Collection[str]) -> dict[str, OrtValue]:
        """The values of `outputs`, on the session's device; nothing else is computed.

        Raises MemoryError when there is not enough memory, and BackendError for any other failure.
        """
        if self._session is None:
            raise BackendError("the backend is closed")
        binding = self._session.io_binding()
        for name in self.inputs:
            binding.bind_ortvalue_input(name, inputs[name])
        for name in outputs:
            binding.bind_output(name, self._device.type, self._device.index or 0)
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL_ONLY
        options.only_execute_path_to_fetches = True
        if self._device.type == "cuda":
            # ONNX Runtime has a stream of its own, which knows nothing of what torch has queued.
            torch.cuda.current_stream(self._device).synchronize()
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception as error:  # its exceptions have no common base
            message = _first_line(error)
            if _OUT_OF_MEMORY.search(message):
                raise MemoryError(f"ONNX Runtime: {message}") from None
            raise BackendError(f"ONNX Runtime: {message}") from None
        binding.synchronize_outputs()
        return dict(zip(outputs, binding.get_outputs(), strict=True))

    def close(self) -> None:
        """Free the model's memory."""
        self._session = None


def load(model: Path, options: Any, providers: Sequence[Provider]) -> Any:
    """ONNX Runtime's own session. Raises BackendError when it cannot load the model."""
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=list(providers))
    except Exception as error:  # its exceptions have no common base
        message = _first_line(error)
        raise BackendError(f"ONNX Runtime cannot load the model: {message}") from None


def session_options() -> Any:
    """How every session is set up."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait for work would take the processor from torch, which computes the losses.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Work is handed out in smaller and smaller blocks, so that no thread waits long for the last.
    options.add_session_config_entry("session.dynamic_block_base", "4")
    options.add_session_config_entry("session.use_env_allocators", "1")
    # One block for all of a run's values would be kept beside those that outlive the run.
    options.enable_mem_pattern = False
    return options


@cache
def _prepare_process() -> None:
    """Make one pool of memory for the process's sessions, which never run at the same time.

    Each session would otherwise keep as much as it needed at its peak: with the forward and the
    backward model's, a third more in all. What is logged outside of sessions are ways that cuDNN
    cannot take, before one that it can.
    """
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    kind, where = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, where)
    onnxruntime.create_and_register_allocator(memory, None)


def to_onnx(tensor: Tensor) -> OrtValue:
    """The tensor's own memory, laid out as ONNX has it; a copy only if the tensor is not."""
    return OrtValue.from_dlpack(tensor.detach().contiguous())


def to_torch(value: OrtValue) -> Tensor:
    """The value's own memory, which lives as long as the tensor or the value does."""
    tensor: Tensor = torch.utils.dlpack.from_dlpack(value)
    return tensor


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
