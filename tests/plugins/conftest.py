from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stylectl.core.interfaces.result import Result, Snapshot, StepRecord
from stylectl.core.interfaces.source_image import SourceImage
from stylectl.core.job.building import build_job
from stylectl.core.outputs.targets import plan_outputs
from stylectl.core.outputs.writing import write_outputs
from stylectl.core.planning.registry import Registry
from stylectl.core.sizes.pyramid import Scale
from stylectl.plugins.manager import load_plugins

Install = Callable[..., str]

WIDTH, HEIGHT = 41, 30

#: Writes a result to a file of that name, with the writer's options, and gives the file's path.
Write = Callable[..., Path]


def picture(path: str, color: tuple[int, int, int]) -> SourceImage:
    return SourceImage(path, "0" * 64, Image.new("RGB", (64, 48), color), None)


@pytest.fixture
def result() -> Result:
    """A small picture of smooth colors and some noise, after two scales."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    image = np.stack([across, down, 0.5 + 0 * across], axis=2)
    image += np.random.default_rng(0).normal(0, 0.02, image.shape)
    steps = [
        StepRecord(scale, step, {"content": 0.5 + scale + step, "style": 1000.0 / (1 + step)}, t)
        for t, (scale, step) in enumerate((scale, step) for scale in (0, 1) for step in range(6))
    ]
    return Result(
        image=image.clip(0, 1).astype(np.float32),
        alpha=None,
        content=picture("photo.jpg", (200, 30, 30)),
        styles=(
            (picture("night.jpg", (20, 20, 220)), 0.75),
            (picture("day.jpg", (240, 240, 60)), 0.25),
        ),
        job=build_job({"content": "photo.jpg", "styles": ["night.jpg", "day.jpg"], "size": WIDTH}),
        steps=tuple(steps),
        inputs={"photo.jpg": "a1" * 32, "night.jpg": "b2" * 32, "day.jpg": "c3" * 32},
        versions={"stylectl": "0.1.0", "torch": "2.13.0"},
        backend="torch",
        device="cpu",
        details={},
        seconds=75.0,
        scales=(Scale(21, 29, 5), Scale(HEIGHT, WIDTH, 5)),
    )


@pytest.fixture
def clear_result(result: Result) -> Result:
    """Transparent at the left, half so at the right."""
    alpha = np.full((HEIGHT, WIDTH), 0.75, np.float32)
    alpha[:, : WIDTH // 2] = 0
    return replace(result, alpha=alpha)


@pytest.fixture
def snapshots(result: Result) -> list[Snapshot]:
    """Ten gray pictures that become lighter, the first half of them smaller."""
    return [
        Snapshot(step // 5, step % 5, float(step), np.full(size, 20 * step, np.uint8))
        for step, size in enumerate([(21, 29, 3)] * 5 + [(HEIGHT, WIDTH, 3)] * 5)
    ]


@pytest.fixture
def registry() -> Registry:
    """The built-in plugins alone."""
    return load_plugins().registry


@pytest.fixture
def write(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Through the core, as a run does it."""
    monkeypatch.chdir(tmp_path)

    def written(
        result: Result,
        name: str,
        options: Mapping[str, Any] = {},
        snapshots: Sequence[Snapshot] = (),
    ) -> Path:
        path = Path(name)
        chosen = {registry.writer_for(path).name: options} if options else {}
        planned = plan_outputs([path], result.job, result.image.shape[:2], registry, chosen)
        write_outputs(result, planned, snapshots)
        return path

    return written


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one plugin on the path, as pip would. Returns the module's name.

    These plugins alone are allowed, not those that the user has installed.
    """
    modules: list[str] = []
    allowed: list[str] = []

    def make(
        source: str,
        name: str,
        distribution: str = "",
        version: str = "1.2",
        requires: Sequence[str] = (),
    ) -> str:
        distribution = distribution or f"stylectl-{name}"
        module = f"plugin_{distribution.replace('-', '_')}"
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {each}\n" for each in requires)
        )
        (info / "entry_points.txt").write_text(f"[stylectl]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        modules.append(module)
        allowed.append(f"{distribution}/{name}")
        monkeypatch.setenv("STYLECTL_PLUGINS", ",".join(allowed))
        return module

    yield make
    for module in modules:
        sys.modules.pop(module, None)
