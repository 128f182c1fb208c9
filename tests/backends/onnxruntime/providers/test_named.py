"""Devices of providers by name, where none or a broken one is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stylectl.backends.onnxruntime.providers.finding import find_place
from stylectl.backends.onnxruntime.providers.known import KNOWN
from stylectl.backends.onnxruntime.providers.named import is_named
from stylectl.backends.onnxruntime.providers.packages import installed_modules, load_package
from stylectl.core.errors import BackendError, UsageError

LACKING = [
    known.name
    for known in KNOWN.values()
    if known.module and known.module not in installed_modules()
]


@pytest.fixture
def with_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Install a package: a module of this name, with this source."""

    def install(module: str, source: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    return install


@pytest.mark.parametrize(
    "device", ["openvino", "openvino:CPU", "openvino:1", "webgpu:GPU", "trt-rtx:0", "coreml"]
)
def test_a_known_provider_may_have_a_kind_or_an_index(device: str) -> None:
    assert is_named(device)


@pytest.mark.parametrize("device", ["ep:Some", "ep:SomeExecutionProvider:NPU", "ep:Some.AUTO:0"])
def test_a_provider_may_be_given_by_its_name(device: str) -> None:
    assert is_named(device)


@pytest.mark.parametrize(
    "device", ["openvino:", "openvino:cpu", "openvino:TPU", "webgpu:-1", "ep", "ep:", "ep:A:B"]
)
def test_another_form_is_an_error_that_lists_the_choices(device: str) -> None:
    with pytest.raises(UsageError, match=r"unknown device .* openvino:GPU,.* ep:NAME"):
        find_place(device, "float32")


@pytest.mark.parametrize("device", LACKING)
def test_the_error_for_a_provider_that_is_not_installed_has_the_command(device: str) -> None:
    with pytest.raises(BackendError, match=r"is not installed \(pip install onnxruntime-ep-"):
        find_place(device, "float32")


@pytest.mark.parametrize(
    ("device", "name"), [("ep:CUDA", "cuda"), ("ep:cpu", "cpu"), ("ep:Tensorrt", "tensorrt")]
)
def test_providers_that_have_another_device_name_say_so(device: str, name: str) -> None:
    with pytest.raises(UsageError, match=f"is called {name}$"):
        find_place(device, "float32")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("print('hello')", "has no attribute 'get_library_path'"),
        (
            "get_library_path = lambda: '/no/such/library.so'\nget_ep_name = lambda: 'Some'",
            "library.so",
        ),
    ],
)
def test_a_broken_package_is_named_with_the_reason(
    with_package: Callable[[str, str], None],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    source: str,
    reason: str,
) -> None:
    # A module is loaded once in a process, so each has a name of its own.
    module = f"onnxruntime_ep_broken{request.node.callspec.indices['source']}"
    with_package(module, source)
    assert module in installed_modules()
    assert reason in load_package(module).unusable
    with pytest.raises(BackendError, match=f"no provider Some here.* {module} cannot be used"):
        find_place("ep:Some", "float32")
    assert capsys.readouterr().out == ""
