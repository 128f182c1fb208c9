"""Losses that change within a scale are renewed when they are due, also in a resumed run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import stylectl
import torch
from pydantic import BaseModel, ConfigDict
from stylectl import (
    IMAGE_LAYER,
    ChangingLoss,
    Features,
    Loss,
    LossTerm,
    LossTermArguments,
    LossTermSpec,
    PluginError,
    References,
    Renewal,
    StepDone,
    UsageError,
    hooks,
)
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.preparation import prepare
from stylectl.core.run.runner import run
from stylectl.plugins.manager import load_plugins
from torch import Tensor

#: (step, seed, mean of the observed image or None) of each renewal, in a test.
renewals: list[tuple[int, int, float | None]] = []


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int | None = 2
    stated: bool = True
    reads_result: bool = True


class Following(LossTerm):
    """Holds the result to what it was, and to random numbers."""

    def __init__(self, arguments: LossTermArguments[Options]) -> None:
        self._options = arguments.options
        self.layers = (IMAGE_LAYER, "relu1_1")
        self.reads = frozenset({"result"} if self._options.reads_result else ())
        self.renewed_within_scale = self._options.stated

    def bind(self, references: References) -> Loss:
        return FollowingLoss(self._options)


class FollowingLoss(ChangingLoss):
    def __init__(self, options: Options) -> None:
        self._options = options

    @property
    def every(self) -> int | None:
        return self._options.every

    def renewed(self, renewal: Renewal) -> Loss:
        generator = torch.Generator().manual_seed(renewal.seed)
        target = torch.rand(1, 3, 1, 1, generator=generator)
        observed = renewal.observed.get(IMAGE_LAYER)
        renewals.append(
            (renewal.step, renewal.seed, None if observed is None else observed.mean().item())
        )
        if observed is not None:
            assert {*renewal.observed} == {IMAGE_LAYER, "relu1_1"}
            target = 0.5 * (target + observed)

        def loss(features: Features) -> Tensor:
            return (features[IMAGE_LAYER] - target).square().mean()

        return loss


@hooks.loss_terms
def loss_terms() -> Iterator[LossTermSpec[Options]]:
    yield LossTermSpec(
        name="following",
        summary="",
        create=Following,
        options=Options,
        layers_from="image",
        random=True,
    )


def painted(listener: Any = None, **options: Any) -> stylectl.Result:
    renewals.clear()
    registry = load_plugins(extra=[sys.modules[__name__]]).registry
    values: dict[str, Any] = {
        "size": 48,
        "scales": 1,
        "iterations": 5,
        "optimizer": {"name": "adam", "averaging": 0.0},
        "init": "content+noise",
        "style_layers": ["relu1_1"],
        "content_layers": ["relu1_1"],
    }
    values |= {"optimizer": options.pop("optimizer")} if "optimizer" in options else {}
    values["term"] = [{"name": "following", "weight": 10.0, **options}]
    plan = make_plan(stylectl.Job.from_preset(**values), registry)
    return run(prepare(plan), listener or (lambda event: None))


def test_a_loss_is_renewed_before_every_second_step_by_the_result_before_it() -> None:
    means: list[float] = []

    def listener(event: Any) -> None:
        if isinstance(event, StepDone):
            means.append(event.image.mean().item())

    painted(listener)
    assert [step for step, _, _ in renewals] == [0, 2, 4]
    assert len({seed for _, seed, _ in renewals}) == 3
    # Before step 0, the starting image; before step 2, the result of step 1.
    assert [mean for _, _, mean in renewals] == [means[0], means[1], means[3]]


def test_a_loss_without_a_number_of_steps_is_renewed_once() -> None:
    painted(every=None, stated=False)
    assert [step for step, _, _ in renewals] == [0]


def test_a_loss_that_reads_no_result_observes_none() -> None:
    painted(every=1, reads_result=False)
    assert [(step, mean) for step, _, mean in renewals] == [(step, None) for step in range(6)]


def test_the_same_job_is_renewed_alike() -> None:
    first, before = painted(), [*renewals]
    again = painted()
    assert np.array_equal(first.image, again.image)
    assert renewals == before


def test_an_optimizer_that_compares_steps_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"lbfgs: .* the loss term following is another .*`optimizer=adam`"
    ):
        painted(optimizer={"name": "lbfgs"})


def test_lbfgs_takes_a_loss_that_is_renewed_once_for_each_scale() -> None:
    result = painted(every=None, stated=False, optimizer={"name": "lbfgs"})
    assert result.steps[-1].loss < result.steps[0].loss


def test_a_term_that_does_not_state_that_its_loss_changes_is_refused() -> None:
    with pytest.raises(PluginError, match="renewed_within_scale = True"):
        painted(stated=False)


@pytest.mark.parametrize("every", [0, -1])
def test_a_number_of_steps_is_at_least_one(every: int) -> None:
    with pytest.raises(PluginError, match="`every` must be a number of steps"):
        painted(every=every)


def test_called_directly_a_loss_is_renewed_by_the_features() -> None:
    maps = {IMAGE_LAYER: torch.rand(1, 3, 4, 4), "relu1_1": torch.rand(1, 2, 4, 4)}
    seed_0 = torch.rand(1, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    expected = (0.5 * (maps[IMAGE_LAYER] - seed_0)).square().mean()
    assert torch.allclose(FollowingLoss(Options())(maps), expected)
