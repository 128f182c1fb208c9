from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one plugin on the path, as pip would. Returns the module's name."""
    monkeypatch.delenv("STYLECTL_PLUGINS", raising=False)
    modules: list[str] = []

    def make(source: str, name: str, distribution: str = "", version: str = "1.2") -> str:
        distribution = distribution or f"stylectl-{name}"
        module = f"plugin_{distribution.replace('-', '_')}"
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[stylectl]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        modules.append(module)
        return module

    yield make
    for module in modules:
        sys.modules.pop(module, None)
