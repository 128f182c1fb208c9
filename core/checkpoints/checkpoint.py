"""A checkpoint: all that the remaining steps of a run depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from ..interfaces.optimizer import OptimizerState
from ..interfaces.result import StepRecord

_DOUBLE = torch.float64
#: Prefixes of tensors' names.
_OPTIMIZER, _RANDOM, _RESULTS = "optimizer.", "random.", "results."


@dataclass(frozen=True)
class Checkpoint:
    """A run after a step.

    - `scale`, `step`: the step, as in `StepDone`.
    - `seconds`: since the run started, without the time between its processes.
    - `records`: those of all steps so far.
    - `image`: the optimizer's image, (1, 3, H, W), or its parameters.
    - `optimizer`: the optimizer's state.
    - `random`: torch's random states, by kind of device.
    - `results`: those (1, 3, H, W) that terms with changing losses observed, by the terms' names.
    """

    scale: int
    step: int
    seconds: float
    records: tuple[StepRecord, ...]
    image: Tensor
    optimizer: OptimizerState
    random: Mapping[str, Tensor]
    results: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name."""
        terms = [*self.records[0].losses]
        losses = [[record.losses[term] for term in terms] for record in self.records]
        return {
            "image": self.image,
            "steps": torch.tensor([(record.scale, record.step) for record in self.records]),
            "seconds": torch.tensor([record.seconds for record in self.records], dtype=_DOUBLE),
            "losses": torch.tensor(losses, dtype=_DOUBLE),
            **{_RANDOM + name: tensor for name, tensor in self.random.items()},
            **{_RESULTS + name: tensor for name, tensor in self.results.items()},
            **{_OPTIMIZER + name: tensor for name, tensor in self.optimizer.tensors.items()},
        }

    def values(self) -> dict[str, Any]:
        """Return all that is no tensor, as plain values."""
        return {
            "scale": self.scale,
            "step": self.step,
            "seconds": self.seconds,
            "terms": [*self.records[0].losses],
            "optimizer": dict(self.optimizer.values),
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> Self:
        """Return the checkpoint of `tensors` and `values`, as they were returned before.

        The optimizer's tensors are read when it asks for them. Raises KeyError, TypeError or
        ValueError for what no checkpoint has.
        """
        records = tuple(
            StepRecord(scale, step, dict(zip(values["terms"], losses, strict=True)), seconds)
            for (scale, step), losses, seconds in zip(
                tensors["steps"].tolist(),
                tensors["losses"].tolist(),
                tensors["seconds"].tolist(),
                strict=True,
            )
        )
        return cls(
            scale=values["scale"],
            step=values["step"],
            seconds=values["seconds"],
            records=records,
            image=tensors["image"],
            optimizer=OptimizerState(_Part(tensors, _OPTIMIZER), values["optimizer"]),
            random=dict(_Part(tensors, _RANDOM)),
            results=dict(_Part(tensors, _RESULTS)),
        )


class _Part(Mapping[str, Tensor]):
    """The tensors whose names have a prefix, without it."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str) -> None:
        self._tensors, self._prefix = tensors, prefix
        self._names = [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def random_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators, on which the losses of a plugin may depend."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Restore the states of torch's generators."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
