"""A job that is ready to run: its images, sizes and tiles, on an open backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Generator, Tensor

from ..images.inputs import Inputs
from ..images.resampling import resized
from ..interfaces.backend import FeatureBackend
from ..interfaces.optimizer import Evaluation, StartingPoint
from ..memory.limits import explaining_out_of_memory
from ..memory.tiling import network_cost, tiles_in_words
from ..objective.objective import Objective
from ..objective.tiled_objective import TiledObjective
from ..optimizers.checked import checked_image
from ..optimizers.parametrization import parametrization_for
from ..optimizers.recovery import steps_with_recovery
from ..planning.plan import Plan
from ..sizes.tiles import Tiler
from .preparation import Prepared
from .scale_inputs import ScaleInputs, inputs_at


@dataclass(frozen=True)
class Step:
    """Outcome of an optimizer step.

    - `image`: the optimizer's image, (1, 3, H, W).
    - `shown`: the image that is shown, (1, 3, H, W); it differs from `image` where colors are kept.
    - `evaluation`: the objective at the point that was evaluated in this step.
    """

    image: Tensor
    shown: Tensor
    evaluation: Evaluation


@dataclass(frozen=True)
class OpenRun:
    """A prepared job on an open backend; `tilers` cut the images, one for each scale."""

    prepared: Prepared
    backend: FeatureBackend
    tilers: tuple[Tiler, ...]
    _objective: Callable[[Plan, Inputs, ScaleInputs], Objective | TiledObjective]

    @property
    def plan(self) -> Plan:
        """Plan of the job."""
        return self.prepared.plan

    @cached_property
    def details(self) -> Mapping[str, str]:
        """Details of the computation beside the device.

        They are those of the backend, and `tiles` if the result is computed in tiles.
        """
        tiles = tiles_in_words(self.tilers[-1], self.prepared.scales[-1].scale)
        return {**self.backend.details, **({"tiles": tiles} if tiles else {})}

    def inputs_at(self, index: int) -> ScaleInputs:
        """Return the images at the scale `index`, as tensors."""
        sizes, tiler = self.prepared.scales[index], self.tilers[index]
        return inputs_at(sizes, self.prepared.recolored, self.backend.device, tiler)

    def objective(self, inputs: ScaleInputs) -> Objective | TiledObjective:
        """Return the function to minimise for the images at a scale."""
        return self._objective(self.plan, self.prepared.inputs, inputs)

    def steps(
        self, index: int, before: Tensor | None, notify: Callable[[str], None]
    ) -> Iterator[Step]:
        """Iterate over the steps of the scale `index`, its starting point first.

        `before` is the optimizer's image at the end of the previous scale, None for the first
        scale. Raises MemoryLimitError if an allocation fails, NumericalError and PluginError.
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
        """Return the image to start from, at the first scale."""
        generator = Generator().manual_seed(self.plan.job.seed)
        styles = [(style.image, style.share) for style in inputs.styles]
        opacities = [
            source.image.alpha_tensor(*style.image.shape[2:])
            for source, style in zip(self.prepared.inputs.styles, inputs.styles, strict=True)
        ]
        start = StartingPoint(
            inputs.content, styles, generator, self.prepared.inputs.start, opacities
        )
        return checked_image(self.plan.initializer, start, self.plan.initializer_label)

    def _carried_over(self, image: Tensor, content: Tensor) -> Tensor:
        """Return the previous scale's image at the size of `content`.

        If the run started from the content image, the detail of the content that the previous scale
        could not hold is added: fine structures would not come back otherwise.
        """
        wraps, size = self.plan.job.seamless, content.shape[2:]
        start = resized(image, size, wraps)
        if self.plan.initializer.shows_content:
            coarse = resized(content, image.shape[2:], wraps)
            start += content - resized(coarse, size, wraps)
        return start
