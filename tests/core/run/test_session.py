"""Losses that a session keeps for later jobs, and style images that it reads one after another."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import pytest
from stylectl.core.job.building import build_job
from stylectl.core.machine.host_memory import FreeMemory
from stylectl.core.memory import limits
from stylectl.core.planning.planner import make_plan
from stylectl.core.run import session as sessions
from stylectl.core.run.preparation import Prepared, prepare
from stylectl.core.run.runner import run
from stylectl.core.run.scale_inputs import StyleAtScale
from stylectl.core.run.session import Session
from stylectl.core.run.tensor_bytes import tensor_bytes
from stylectl.plugins.manager import load_plugins
from torch import Tensor


@pytest.fixture(autouse=True)
def _no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")


def prepared(**options: Any) -> Prepared:
    small = {
        "size": 64,
        "scales": 2,
        "iterations": 2,
        "device": "cpu",
        "content_layers": ["relu2_1"],
        "style_layers": ["relu1_1", "relu2_1"],
        **options,
    }
    return prepare(make_plan(build_job(small), load_plugins().registry))


def cached_bytes(free: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of the losses that are kept after a job that recurs, where so much memory is free."""
    monkeypatch.setattr(limits, "free_memory", lambda device: FreeMemory(free))
    job = prepared()
    with Session() as session:
        session.expect(job.inputs.hashes.values(), lambda _: True)
        run(job, session=session)
        sizes = [tensor_bytes(cached.loss) for cached in session._cached.values()]
        assert sizes == [cached.size for cached in session._cached.values()]
        return sum(sizes)


def test_kept_losses_take_no_more_than_a_part_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = cached_bytes(10**10, monkeypatch)
    # The content's features at relu2_1: 128 channels of at least 32 x 20 positions.
    assert everything > 4 * 128 * 32 * 20
    part = int(0.7 * everything)
    assert 0 < cached_bytes(int(part / sessions._CACHED_PART), monkeypatch) <= part
    # Nearly nothing is free for the result itself, so that it is computed in tiles.
    assert cached_bytes(4_000_000, monkeypatch) <= 500_000


def test_one_style_image_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    alive = 0
    resampled = StyleAtScale.image

    def image(self: StyleAtScale) -> Tensor:
        nonlocal alive
        made = resampled(self).clone()
        alive += 1
        held.append(alive)

        def freed() -> None:
            nonlocal alive
            alive -= 1

        weakref.finalize(made, freed)
        return made

    monkeypatch.setattr(StyleAtScale, "image", image)
    job = prepared(styles=["sample:painting"] * 3)
    with Session() as session:
        opened = session.open(job)
        opened.objective(opened.inputs_at(0))
    assert held == [1, 1, 1]


def test_a_style_at_another_size_has_another_fingerprint() -> None:
    job = prepared()
    with Session() as session:
        opened = session.open(job)
        styles = [opened.inputs_at(index).styles[0] for index in (0, 1, 1)]
    first, second, same = (style.fingerprint for style in styles)
    assert first != second
    assert second == same
    assert replace(styles[1], share=0.5).fingerprint != second
