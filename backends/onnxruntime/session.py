"""An ONNX Runtime session whose values share their memory with torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.utils.dlpack
from torch import Tensor

from ...core.errors import BackendError
from ..offline import import_onnxruntime
from .messages import first_line, is_out_of_memory

if TYPE_CHECKING:
    from onnxruntime import OrtValue  # noqa: TID251 - for its types alone

    from .providers.packages import Hardware

onnxruntime = import_onnxruntime()

#: Name and options of a provider.
Provider = tuple[str, dict[str, str]]

#: Least severity that is logged; errors are raised as exceptions in any case.
_FATAL_ONLY = 4


class Session:
    """A model, ready to run on one device."""

    def __init__(
        self,
        model: Path,
        providers: Sequence[Provider],
        device: torch.device,
        hardware: Hardware | None = None,
    ) -> None:
        """Load the model. Raises BackendError if it or the first provider cannot be loaded.

        `hardware` is that of a first provider from a package.
        """
        _prepare_process()
        self._device = device
        options = session_options()
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        self._session: Any = load(model, options, providers, hardware)
        loaded = self._session.get_providers()
        if providers[0][0] not in loaded:
            raise BackendError(f"ONNX Runtime did not load {providers[0][0]}, only {loaded}")
        self.inputs = tuple(value.name for value in self._session.get_inputs())
        self.outputs = tuple(value.name for value in self._session.get_outputs())

    def run(self, inputs: Mapping[str, OrtValue], outputs: Collection[str]) -> dict[str, OrtValue]:
        """Compute the values of `outputs`, and nothing else, on the session's device.

        Raises MemoryError when there is not enough memory, and BackendError for any other failure.
        """
        if self._session is None:
            raise BackendError("the backend was closed; open another one")
        binding = self._session.io_binding()
        for name in self.inputs:
            binding.bind_ortvalue_input(name, inputs[name])
        for name in outputs:
            binding.bind_output(name, self._device.type, self._device.index or 0)
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL_ONLY
        options.only_execute_path_to_fetches = True
        if self._device.type == "cuda":
            # ONNX Runtime's own stream does not wait for what torch has queued on its stream.
            torch.cuda.current_stream(self._device).synchronize()
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception as error:  # its exceptions have no common base
            message = first_line(error)
            if is_out_of_memory(message):
                raise MemoryError(f"ONNX Runtime: {message}") from None
            raise BackendError(f"ONNX Runtime: {message}") from None
        binding.synchronize_outputs()
        return dict(zip(outputs, binding.get_outputs(), strict=True))

    def operators(self) -> dict[str, Counter[str]]:
        """Return the number of nodes of each operator that each provider runs, by its name."""
        counts: dict[str, Counter[str]] = {}
        for part in self._session.get_provider_graph_assignment_info():
            operators = Counter(node.op_type for node in part.get_nodes())
            counts.setdefault(part.ep_name, Counter()).update(operators)
        return counts

    def close(self) -> None:
        """Free the model's memory."""
        self._session = None


def load(
    model: Path, options: Any, providers: Sequence[Provider], hardware: Hardware | None = None
) -> Any:
    """Return ONNX Runtime's own session, on the `hardware` of a first provider from a package.

    Raises BackendError when the model cannot be loaded.
    """
    listed: list[Provider] | None = list(providers)
    if hardware is not None:  # what this provider does not support runs on the CPU
        options.add_provider_for_devices([hardware.handle], providers[0][1])
        listed = None
    try:
        return onnxruntime.InferenceSession(
            str(model),
            options,
            providers=listed,
            enable_fallback=0,  # else it would print an error, and run the model on the CPU
        )
    except Exception as error:  # its exceptions have no common base
        message = first_line(error)
        raise BackendError(f"ONNX Runtime cannot load the model: {message}") from None


def session_options() -> Any:
    """Return new options with the settings of all sessions."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that spin while they wait would slow down torch, which computes the losses.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Work is handed out in smaller and smaller blocks, so that no thread waits long for the last.
    options.add_session_config_entry("session.dynamic_block_base", "4")
    options.add_session_config_entry("session.use_env_allocators", "1")
    # One block for all of a run's values would be kept beside those that outlive the run.
    options.enable_mem_pattern = False
    return options


@cache
def _prepare_process() -> None:
    """Create one memory arena for the process's sessions, which never run at the same time.

    Otherwise each session would keep as much as it needed at its peak: with the forward and the
    backward model's, a third more in all. Log messages from outside of sessions are silenced: they
    are about algorithms that cuDNN cannot use, before one that it can.
    """
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    kind, location = (
        onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        onnxruntime.OrtMemType.DEFAULT,
    )
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, location)
    onnxruntime.create_and_register_allocator(memory, None)


def to_onnx(tensor: Tensor) -> OrtValue:
    """Return the tensor as a value that shares its memory; a copy if it is not contiguous."""
    return onnxruntime.OrtValue.from_dlpack(tensor.detach().contiguous())


def to_torch(value: OrtValue) -> Tensor:
    """Return the value as a tensor that shares its memory, which lives as long as either."""
    tensor: Tensor = torch.utils.dlpack.from_dlpack(value)
    return tensor
