"""A job that is ready to run: its images, sizes and tiles, on an open backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor

from ..checkpoints.checkpoint import Checkpoint, restore_random_states
from ..images.inputs import Inputs
from ..images.resampling import resized
from ..interfaces.backend import FeatureBackend
from ..interfaces.optimizer import Evaluation, Minimization, OptimizerState, StartingPoint
from ..memory.limits import explaining_out_of_memory
from ..memory.plan_estimate import scale_estimate
from ..memory.tiling import tiles_in_words
from ..objective.objective import Objective
from ..objective.tiled_features import TiledFeatures
from ..objective.tiled_objective import TiledObjective
from ..optimizers.checked import checked_image
from ..optimizers.colors import colors_for
from ..optimizers.recovery import steps_with_recovery
from ..optimizers.variables import Variables
from ..planning.plan import Plan
from ..sizes.tiles import Tilers
from ..video.colors import recolored
from .preparation import Prepared
from .renewal import RenewedObjective
from .scale_inputs import ScaleInputs, StyleImages, former_at, inputs_at


@dataclass(frozen=True)
class Step:
    """Outcome of an optimizer step.

    - `image`: the optimizer's image, or its parameters.
    - `shown`: the image that is shown, (1, 3, H, W); it differs from `image` where colors are kept.
    - `evaluation`: the objective at the point that was evaluated in this step.
    - `state`: the optimizer's state, as `Iterate.state`.
    - `results`: those that changing losses observed; see RenewedObjective.
    """

    image: Tensor
    shown: Tensor
    evaluation: Evaluation
    state: Callable[[], OptimizerState] | None
    results: Mapping[str, Tensor]


@dataclass(frozen=True)
class OpenRun:
    """A prepared job on an open backend; `tilers` cut the images, one for each scale."""

    prepared: Prepared
    backend: FeatureBackend
    tilers: tuple[Tilers, ...]
    _objective: Callable[[Plan, Inputs, ScaleInputs], Objective | TiledObjective]

    @property
    def plan(self) -> Plan:
        """Plan of the job."""
        return self.prepared.plan

    @cached_property
    def details(self) -> Mapping[str, str]:
        """Details of the computation beside the device.

        They are those of the backend, its `precision` if it has chosen one, and `tiles` if the
        result is computed in tiles.
        """
        tiles = tiles_in_words(self.tilers[-1].result, self.prepared.scales[-1].scale)
        precision = self.backend.chosen_precision
        added = {"precision": precision, "tiles": tiles}
        return {**self.backend.details, **{key: value for key, value in added.items() if value}}

    def inputs_at(self, index: int) -> ScaleInputs:
        """Return the images at the scale `index`, as tensors."""
        sizes, tilers = self.prepared.scales[index], self.tilers[index]
        number = range(len(self.prepared.scales))[index]
        prepared = self.prepared
        former = prepared.former
        inputs = inputs_at(sizes, prepared.recolored, self.backend.device, tilers, number, former)
        if former is None:
            return inputs
        # Former results are images that are shown; the terms see those of the optimizer.
        colors = self._variables(index).colors
        encoded = (replace(target, image=colors.encode(target.image)) for target in inputs.former)
        return replace(inputs, former=tuple(encoded))

    def objective(self, inputs: ScaleInputs) -> Objective | TiledObjective:
        """Return the function to minimise for the images at a scale."""
        return self._objective(self.plan, self.prepared.inputs, inputs)

    def steps(
        self,
        index: int,
        before: Tensor | None,
        notify: Callable[[str], None],
        resumed: Checkpoint | None = None,
    ) -> Iterator[Step]:
        """Iterate over the steps of the scale `index`, its starting point first.

        `before` is the optimizer's image, or its parameters, at the end of the previous scale, None
        for the first scale. With a `resumed` checkpoint in this scale, the steps are those after
        it. Raises MemoryLimitError if an allocation fails, NumericalError and PluginError.
        """
        plan, sizes = self.plan, self.prepared.scales[index]
        is_texture, limit = plan.job.content is None, plan.job.max_memory
        factor = self.backend.memory_factor
        needed = scale_estimate(plan, self.prepared.recolored, sizes, factor)
        scale, device = sizes.scale, self.backend.device
        with explaining_out_of_memory(needed, scale.size, is_texture, limit, device):
            inputs = self.inputs_at(index)
            variables = self._variables(index)
            if resumed is not None:
                start, state, first = resumed.image, resumed.optimizer, resumed.step + 1
            else:
                image = self._first_or_carried_over(index, before, inputs)
                start, state, first = variables.encode(image), None, 0
                del image
            reader = TiledFeatures(self.backend, inputs.tilers.result)
            objective = RenewedObjective(self.objective(inputs), plan, index, reader)
            if resumed is not None:
                objective.resume(resumed.step, resumed.results)
                # After the terms were bound, which may draw random numbers.
                restore_random_states(resumed.random, device)
            objective.renew(first, variables.image(start))
            problem = Minimization(
                start, variables.objective(objective.evaluate), scale.steps, state=state
            )
            iterates = steps_with_recovery(plan.optimizer, problem, notify)
            del problem, resumed, start, state, before  # frees their images
            for step, iterate in enumerate(iterates, start=first):
                image = variables.image(iterate.image)
                shown = variables.colors.decode(image)
                yield Step(
                    iterate.image, shown, iterate.evaluation, iterate.state, objective.results
                )
                if step < scale.steps:
                    objective.renew(step + 1, image)

    def shown(self, index: int, image: Tensor) -> Tensor:
        """Return the image to show for the optimizer's image (or parameters) at a scale."""
        return self._variables(index).shown(image)

    def fits(self, index: int, image: Tensor) -> bool:
        """Return whether the optimizer's image, of a checkpoint, is one of the scale `index`."""
        return self._variables(index).fit(image)

    def _variables(self, index: int) -> Variables:
        plan, prepared, device = self.plan, self.prepared, self.backend.device
        scale = prepared.scales[index].scale
        colors = colors_for(prepared.inputs, prepared.palettes, plan.job, scale, device)
        return Variables(plan.parametrization, colors, scale.size, plan.parametrization_label)

    def _first_or_carried_over(
        self, index: int, before: Tensor | None, inputs: ScaleInputs
    ) -> Tensor:
        """Return the image to start a scale from; `before` are the former scale's parameters."""
        if before is None:
            return self.first_image(inputs)
        return self._carried_over(self._variables(index - 1).image(before), inputs.content)

    def first_image(self, inputs: ScaleInputs) -> Tensor:
        """Return the image to start from, at the first scale."""
        former = self.prepared.former
        seed = self.plan.job.seed if former is None else former.seed
        generator = Generator().manual_seed(seed)
        styles = StyleImages(inputs.styles)
        opacities = [
            source.image.alpha_tensor(*style.size)
            for source, style in zip(self.prepared.inputs.styles, inputs.styles, strict=True)
        ]
        start = StartingPoint(
            inputs.content, styles, generator, self.prepared.inputs.start, opacities
        )
        image = checked_image(self.plan.initializer, start, self.plan.initializer_label)
        if former is None:
            return image
        size = (image.shape[2], image.shape[3])
        taken_over = former_at(former.start, size, image.device)
        if self.plan.initializer.shows_content:
            image = recolored(image, taken_over.image, taken_over.reliability)
        return torch.lerp(image, taken_over.image, taken_over.reliability)

    def _carried_over(self, image: Tensor, content: Tensor) -> Tensor:
        """Return the previous scale's image at the size of `content`.

        If the run started from the content image, the detail of the content that the previous scale
        could not hold is added: fine structures would not come back otherwise.
        """
        wraps, size = self.plan.job.seamless, content.shape[2:]
        start = resized(image, size, wraps)
        if self.plan.initializer.carries_detail:
            coarse = resized(content, image.shape[2:], wraps)
            start += content - resized(coarse, size, wraps)
        return start
