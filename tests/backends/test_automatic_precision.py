"""The precision `auto`: the decision for a device, and what a run says of it."""

from __future__ import annotations

import pytest
import stylectl
import torch
from stylectl import BackendOptions, Notice
from stylectl.backends import devices
from stylectl.backends.devices import automatic_precision
from stylectl.backends.onnxruntime.providers.finding import automatic_precision_of


@pytest.mark.parametrize(("capability", "expected"), [((8, 0), "tf32"), ((7, 5), "float32")])
def test_on_cuda_it_is_tf32_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert automatic_precision(torch.device("cuda")) == expected


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "float32")])
def test_on_the_cpu_it_is_bf16_where_the_processor_multiplies_such_numbers(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    monkeypatch.setattr(devices, "_multiplies_bf16", lambda: native)
    assert automatic_precision(torch.device("cpu")) == expected


def test_elsewhere_it_is_float32() -> None:
    assert automatic_precision(torch.device("mps")) == "float32"


@pytest.mark.parametrize("device", ["cpu", "openvino", "tensorrt"])
def test_in_onnx_runtime_it_is_float32_beside_cuda(device: str) -> None:
    assert automatic_precision_of(device) == "float32"


@pytest.mark.parametrize("native", [True, False])
def test_a_run_states_the_precision_and_says_once_what_it_changes(
    monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    if native and "bf16" not in devices.precisions_of(torch.device("cpu")):
        pytest.skip("this processor has no bf16")
    monkeypatch.setattr(devices, "_multiplies_bf16", lambda: native)
    notices: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)

    result = stylectl.run(size=48, iterations=1, device="cpu", on_event=listen)
    assert result.details["precision"] == ("bf16" if native else "float32")
    assert sum("bf16" in message for message in notices) == native
    assert result.job.backend.options["precision"] == "auto"


def test_a_backend_that_chooses_none_refuses_auto() -> None:
    with pytest.raises(ValueError, match="chooses no precision; use float32"):
        BackendOptions(precision="auto")
