"""What all tests share: the isolation from the user's machine, and the checks of the markers."""

from __future__ import annotations

import gc
import itertools
import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import FeatureBackend, Features, Pullback
from stylectl.testing import TinyBackbone
from torch import Tensor

#: Variables that name a user's folder: on POSIX, on Windows, and for platformdirs on Windows, which
#: asks the system instead of LOCALAPPDATA.
HOMES = ("HOME", "USERPROFILE", "WIN_PD_OVERRIDE_LOCAL_APPDATA")

#: Fixtures whose tests start processes.
PROGRAMS = {"environment", "program", "maintenance"}

_tests = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's plugins, settings, cache and folders away from the tests.

    The cache is one for the whole session, since an export of a network takes seconds. The workers
    of pytest-xdist inherit all of it. `user` gives each test what must not be shared.
    """
    if hasattr(config, "workerinput"):
        return
    folder = tempfile.TemporaryDirectory(prefix="stylectl-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    environment = pytest.MonkeyPatch()
    config.add_cleanup(environment.undo)
    for name in [name for name in os.environ if name.startswith("STYLECTL_")]:
        environment.delenv(name)
    environment.setenv("STYLECTL_PLUGINS", "")
    environment.setenv(
        "ORT_DISABLE_TELEMETRY", "1"
    )  # for tests that import ONNX Runtime themselves
    environment.setenv("PYTHONUSERBASE", site.getuserbase())  # by default it is in HOME
    for name in HOMES:
        environment.setenv(name, folder.name)
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        environment.setenv(f"XDG_{kind}_HOME", str(Path(folder.name) / kind.lower()))


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if PROGRAMS & set(getattr(item, "fixturenames", ())):
            item.add_marker("subprocess")


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Leave what is imported out of garbage collections, of which each run makes some.

    They would take half a second each, for the 300,000 objects of torch and onnx.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has run nothing yet: state and configuration of the test's own."""
    for kind in ("CONFIG", "DATA", "STATE"):
        own = f"{kind.lower()}-{os.getpid()}-{next(_tests)}"
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(Path(os.environ["HOME"]) / own))


@pytest.fixture(autouse=True)
def _marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that starts Python or stylectl and lacks the marker."""
    if request.node.get_closest_marker("subprocess"):
        return
    start = subprocess.Popen.__init__

    def checked(process: subprocess.Popen[Any], command: Any, *args: Any, **options: Any) -> None:
        if not isinstance(command, str) and str(command[0]) == sys.executable:
            pytest.fail("this test starts a process: mark it with @pytest.mark.subprocess")
        start(process, command, *args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", checked)


class PlainBackend(FeatureBackend):
    def __init__(self, backbone: Backbone) -> None:
        self.layers = tuple(info.name for info in backbone.layers)
        self.device = torch.device("cpu")
        self.trunk = backbone.trunk(self.layers)

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        with torch.no_grad():
            made: dict[str, Tensor] = self.trunk(image, layers)
            return made

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        leaf = image.detach().requires_grad_()
        features: dict[str, Tensor] = self.trunk(leaf)

        def pullback(cotangents: Features) -> Tensor:
            if not cotangents:
                return torch.zeros_like(image)
            outputs = [features[name] for name in cotangents]
            (gradient,) = torch.autograd.grad(outputs, leaf, list(cotangents.values()))
            return gradient

        return {name: value.detach() for name, value in features.items()}, pullback


@pytest.fixture
def smooth_backbone() -> Backbone:
    """A tiny network in float64, without kinks."""
    return TinyBackbone(torch.float64)


@pytest.fixture
def smooth_backend(smooth_backbone: Backbone) -> FeatureBackend:
    """torch.autograd on the tiny network, in float64 throughout."""
    return PlainBackend(smooth_backbone)


@pytest.fixture
def generator() -> torch.Generator:
    """Random numbers that are the same in each run."""
    return torch.Generator().manual_seed(1)


@pytest.fixture(scope="session", autouse=True)
def _float32_on_every_processor() -> Iterator[None]:
    """`precision=auto` is float32 on the CPU, so that tests measure the same on every machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stylectl.backends.devices._multiplies_bf16", lambda: False)
        yield
