"""The early end of a scale whose loss does not change any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import stylectl
from stylectl import Event, ScaleSettled, StepRecord
from stylectl.core.run.settling import STEPS, settled


def records(losses: list[float], scale: int = 0) -> list[StepRecord]:
    return [StepRecord(scale, step, {"style": loss}, step) for step, loss in enumerate(losses)]


def test_a_loss_settles_when_ten_steps_have_not_changed_it() -> None:
    falling = [10.0 - step for step in range(5)]
    still = [5.0 + 1e-6 * (step % 2) for step in range(STEPS + 1)]
    assert settled(records(falling + still), 1e-6)
    assert not settled(records(falling + still[1:]), 1e-6)
    assert not settled(records(falling + still), 1e-8)
    assert not settled(records(falling + still), 0)


def test_steps_of_the_scale_before_do_not_count() -> None:
    still = [5.0] * (STEPS + 1)
    assert not settled([*records(still, 0), *records(still[1:], 1)], 1e-6)
    assert settled([*records(still, 0), *records(still, 1)], 1e-6)


def test_a_loss_of_zero_settles() -> None:
    assert settled(records([0.0] * (STEPS + 1)), 1e-6)


def test_each_scale_of_a_run_ends_early_and_that_is_said_and_recorded(tmp_path: Path) -> None:
    events: list[Event] = []
    options: dict[str, Any] = {
        "size": 48,
        "scales": 2,
        "iterations": 40,
        "precision": "float32",
        "device": "cpu",
    }
    result = stylectl.run(
        **options, least_change=0.5, output=tmp_path / "a.json", on_event=events.append
    )
    assert set(result.settled) == {0, 1}
    assert result.iterations == sum(result.settled.values()) < 40
    ends = [event for event in events if isinstance(event, ScaleSettled)]
    assert {event.index: event.step for event in ends} == result.settled
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["settled_after"] == list(result.settled.values())
    assert not result.interrupted
    whole = stylectl.run(**options, least_change=0)
    assert whole.iterations == 40
    assert whole.settled == {}
    count = result.settled[0] + 1
    assert [step.losses for step in result.steps[:count]] == [
        step.losses for step in whole.steps[:count]
    ]


def test_a_resumed_run_ends_at_the_same_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {
        "size": 48,
        "scales": 2,
        "iterations": 40,
        "least_change": 0.5,
        "device": "cpu",
    }
    whole = stylectl.run(**options)
    first = whole.settled[0]
    for steps in (first - 1, first, first + 1):

        def stop(event: Event, after: int = steps) -> None:
            if isinstance(event, stylectl.StepDone):
                done = event.step + event.scale * first
                if done == after and (event.scale == 0 or event.step):
                    raise KeyboardInterrupt

        keeping: dict[str, Any] = {"checkpoint": "kept", "checkpoint_every": 0}
        with pytest.raises(KeyboardInterrupt):
            stylectl.run(**options, **keeping, on_event=stop)
        again = stylectl.run(**options, **keeping)
        assert again.settled == whole.settled
        assert (again.image == whole.image).all()
