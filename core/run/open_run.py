"""A job that is ready to run: its images, sizes and tiles, on an open backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Generator, Tensor

from ..images.inputs import Inputs
from ..images.resampling import resized
from ..interfaces.backend import FeatureBackend
from ..memory.limits import explaining_out_of_memory
from ..memory.tiling import network_cost, tiles_in_words
from ..objective.evaluation import Evaluation
from ..objective.objective import Objective
from ..objective.tiled_objective import TiledObjective
from ..optimizers.initializers import StartingPoint
from ..optimizers.parametrization import parametrization_for
from ..optimizers.recovery import steps_with_recovery
from ..planning.plan import Plan
from ..sizes.tiles import Tiler
from .preparation import Prepared
from .scale_inputs import ScaleInputs, inputs_at


@dataclass(frozen=True)
class Step:
    """A step's outcome: the optimizer's `image`, the `shown` one (which differs where colors are
    kept), both (1, 3, H, W), and the `evaluation`."""

    image: Tensor
    shown: Tensor
    evaluation: Evaluation


@dataclass(frozen=True)
class OpenRun:
    """A prepared job on an open backend; `tilers` say how the images are cut at each scale."""

    prepared: Prepared
    backend: FeatureBackend
    tilers: tuple[Tiler, ...]
    _objective: Callable[[Plan, Inputs, ScaleInputs], Objective | TiledObjective]

    @property
    def plan(self) -> Plan:
        """The job's plan."""
        return self.prepared.plan

    @cached_property
    def details(self) -> Mapping[str, str]:
        """How it is computed, beside the device; `tiles`, if the result is computed in some."""
        tiles = tiles_in_words(self.tilers[-1], self.prepared.scales[-1].scale)
        return {**self.backend.details, **({"tiles": tiles} if tiles else {})}

    def inputs_at(self, index: int) -> ScaleInputs:
        """The images at a scale, as tensors."""
        sizes, tiler = self.prepared.scales[index], self.tilers[index]
        return inputs_at(sizes, self.prepared.recolored, self.backend.device, tiler)

    def objective(self, inputs: ScaleInputs) -> Objective | TiledObjective:
        """The function to minimise for the images at a scale."""
        return self._objective(self.plan, self.prepared.inputs, inputs)

    def steps(
        self, index: int, before: Tensor | None, notify: Callable[[str], None]
    ) -> Iterator[Step]:
        """The steps of a scale, its starting point first. `before` is the optimizer's image at the
        end of the scale before, None for the first one.

        Raises MemoryLimitError where memory was not enough, NumericalError and PluginError.
        """
        plan, scale = self.plan, self.prepared.scales[index].scale
        is_texture, limit = plan.job.content is None, plan.job.max_memory
        needed = network_cost(plan).estimate(plan.optimizer.images_held(plan.job.iterations), 0)
        device = self.backend.device
        with explaining_out_of_memory(needed, scale.size, is_texture, limit, device):
            inputs = self.inputs_at(index)
            if before is None:
                start = self.first_image(inputs)
            else:
                start = self._carried_over(before, inputs.content)
            objective = self.objective(inputs)
            pixels = parametrization_for(self.prepared.inputs, plan.job.color, scale, device)
            iterates = steps_with_recovery(
                plan.optimizer,
                pixels.encode(start),
                lambda image: pixels.restrict(objective.evaluate(image)),
                scale.steps,
                notify,
            )
            del start
            for iterate in iterates:
                yield Step(iterate.image, pixels.decode(iterate.image), iterate.evaluation)

    def first_image(self, inputs: ScaleInputs) -> Tensor:
        """The image to start from, at the first scale."""
        generator = Generator().manual_seed(self.plan.job.seed)
        styles = [(style.image, style.share) for style in inputs.styles]
        start = StartingPoint(inputs.content, styles, generator, self.prepared.inputs.start)
        return self.plan.initializer.image(start)

    def _carried_over(self, image: Tensor, content: Tensor) -> Tensor:
        """The image at the size of `content`. If the run began as the content, the image gets the
        detail of the content that its own scale could not hold: fine structures would not come
        back otherwise."""
        wraps, size = self.plan.job.seamless, content.shape[2:]
        carried = resized(image, size, wraps)
        if self.plan.initializer.shows_content:
            coarse = resized(content, image.shape[2:], wraps)
            carried += content - resized(coarse, size, wraps)
        return carried
