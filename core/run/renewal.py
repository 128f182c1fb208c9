"""Renewal of the losses that change within a scale."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from ..attribution import attributed_to
from ..errors import PluginError
from ..interfaces.optimizer import Evaluation
from ..interfaces.terms import IMAGE_LAYER, ChangingLoss, Renewal
from ..objective.objective import Objective
from ..objective.tiled_features import FeatureReader
from ..objective.tiled_objective import TiledObjective
from ..planning.plan import Plan
from ..planning.terms import PlannedTerm


class RenewedObjective:
    """The objective of one scale, with its changing losses renewed when they are due.

    Each renewal is a function of the step, the job's seed and the result at that step. The last
    result that a term observed is kept until its next renewal, so that a resumed run can renew the
    term's loss by it.
    """

    def __init__(
        self, objective: Objective | TiledObjective, plan: Plan, scale: int, reader: FeatureReader
    ) -> None:
        """Renew the losses of an `objective`; `reader` computes the features of the result."""
        self._objective, self._plan = objective, plan
        self._scale, self._reader = scale, reader
        self._losses = list(objective.losses)
        pairs = enumerate(zip(plan.terms, objective.losses, strict=True))
        self._changing = [
            _Changing(number, planned, weighted.loss)
            for number, (planned, weighted) in pairs
            if isinstance(weighted.loss, ChangingLoss)
        ]
        self._results: dict[str, Tensor] = {}

    @property
    def results(self) -> Mapping[str, Tensor]:
        """The results (1, 3, H, W) that terms observed at their last renewal, by the terms."""
        return dict(self._results)

    def evaluate(self, image: Tensor) -> Evaluation:
        """Return the value and the gradient of the present losses; see Objective.evaluate."""
        return self._objective.evaluate(image)

    def renew(self, step: int, result: Tensor) -> None:
        """Renew the losses that are due before a `step`, whose last result is (1, 3, H, W).

        Raises PluginError for a loss that breaks its contract.
        """
        self._renew(
            {
                changing: (step, result)
                for changing in self._changing
                if changing.last_renewal(step) == step
            }
        )

    def resume(self, step: int, results: Mapping[str, Tensor]) -> None:
        """Renew all losses as they were at a `step`; `results` are those of another process."""
        self._renew(
            {
                changing: (changing.last_renewal(step), results.get(changing.planned.name))
                for changing in self._changing
            }
        )

    def _renew(self, renewals: Mapping[_Changing, tuple[int, Tensor | None]]) -> None:
        for changing, (step, result) in renewals.items():
            self._renew_one(changing, step, result)
        if renewals:
            self._objective = self._objective.with_losses(self._losses)

    def _renew_one(self, changing: _Changing, step: int, result: Tensor | None) -> None:
        planned = changing.planned
        renewal = Renewal(step, _seed(self._plan.job.seed, self._scale, step))
        if "result" in planned.term.reads and result is not None:
            self._results[planned.name] = result
            with attributed_to(planned.label):
                image = changing.loss.observed(result)
            if not isinstance(image, Tensor) or image.shape != result.shape:
                raise PluginError(f"{planned.label} must observe an image like the result")
            layers = [layer for layer in planned.term.layers if layer != IMAGE_LAYER]
            with attributed_to(self._plan.network):
                features = dict(self._reader.whole(image, layers)) if layers else {}
            renewal = replace(renewal, observed={**features, IMAGE_LAYER: image})
        with attributed_to(planned.label):
            loss = changing.loss.renewed(renewal)
        if not callable(loss):
            raise PluginError(f"{planned.label} must be renewed to a function, not {loss!r}")
        self._losses[changing.number] = replace(self._losses[changing.number], loss=loss)


@dataclass(frozen=True, eq=False)
class _Changing:
    """A changing loss of a term, with its number in the objective."""

    number: int
    planned: PlannedTerm
    loss: ChangingLoss

    def last_renewal(self, step: int) -> int:
        """Return the last step, up to `step`, before which the loss is renewed."""
        every = self.loss.every
        return 0 if every is None else step // every * every


def _seed(seed: int, scale: int, step: int) -> int:
    """Return a seed of 63 bits for a step of a scale."""
    digest = hashlib.sha256(f"{seed} {scale} {step}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
