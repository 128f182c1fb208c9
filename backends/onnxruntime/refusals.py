"""Refusals of a provider: single operators or a whole model, which the CPU runs in its place.

A provider says which operators of a model it takes when the model is loaded. Some then fail to
compile it for the sizes of an image, or to run it; so each model is tried once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...core.errors import BackendError
from ..accuracy.network_check import sizes_for
from ..onnx_export.export import IMAGE
from .loading import Loader
from .models import Models
from .providers.place import CPU
from .session import Session, to_onnx
from .vjp import NativeVjp

#: Most names of operators in a message.
_MOST_NAMES = 8


@dataclass(frozen=True)
class Tried:
    """The models of a network, ready to run, and what of them the CPU runs, in words, or ""."""

    forward: Session
    backward: Session | None
    refusals: str


@dataclass(frozen=True)
class Trial:
    """A trial of a network's models on a provider that may refuse them.

    The network takes images of `smallest_side`; a `restricted` one may not take all larger ones.
    """

    loader: Loader
    models: Models
    layers: Sequence[str]
    half: bool
    smallest_side: int

    def load(self, *, native: bool) -> Tried:
        """Load the models, on the CPU where the provider refuses one, and `native` the gradient's.

        Raises BackendError if the CPU does as well.
        """
        images = [
            torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
            for size in sizes_for(self.smallest_side, restricted=self.models.from_file)
        ]

        def run_forward(session: Session, image: Tensor) -> None:
            session.run({IMAGE: to_onnx(image)}, session.outputs)

        forward, words = self._tried(self.models.forward, "the network", run_forward, images)
        if not native or self.models.backward is None:
            return Tried(forward, None, words)

        def run_backward(session: Session, image: Tensor) -> None:
            features, pullback = NativeVjp(forward, session, self.layers, self.half)(image)
            pullback(features)

        backward, more = self._tried(self.models.backward, "the gradient", run_backward, images)
        return Tried(forward, backward, "; ".join(filter(None, (words, more))))

    def _tried(
        self, model: Path, what: str, run: Callable[[Session, Tensor], None], images: list[Tensor]
    ) -> tuple[Session, str]:
        """Return the model on the provider if it runs there, else on the CPU, with the reason."""
        try:
            session = self.loader.session(model, {})
        except BackendError as error:
            return self.loader.on_cpu(model), f"{what}, because of: {error}"
        reason = self._failure(session, run, images)
        if not reason:
            return session, _in_words(session, what)
        on_cpu = self.loader.on_cpu(model)
        if self.models.from_file and self._failure(on_cpu, run, images):
            on_cpu.close()  # the network takes none of these sizes: nothing is known
            return session, _in_words(session, what)
        session.close()
        return on_cpu, f"{what}, because of: {reason}"

    def _failure(
        self, session: Session, run: Callable[[Session, Tensor], None], images: list[Tensor]
    ) -> str:
        """Return the message of the failure, or "".

        Of a network from a file, which may not take all sizes, one of the images is enough.
        """
        failures = []
        for image in images:
            try:
                run(session, image)
            except BackendError as error:
                failures.append(str(error))
        enough = len(images) - 1 if self.models.from_file else 0
        return failures[0] if len(failures) > enough else ""


def _in_words(session: Session, what: str) -> str:
    """Return which nodes of a model the CPU runs, or "" if there is none."""
    operators = session.operators()
    on_cpu = operators.get(CPU[0])
    if not on_cpu:
        return ""
    count = sum(nodes.total() for nodes in operators.values())
    names = sorted(on_cpu)
    listed = ", ".join(names[:_MOST_NAMES]) + (", ..." if names[_MOST_NAMES:] else "")
    return f"{on_cpu.total()} of {count} nodes of {what} ({listed})"
