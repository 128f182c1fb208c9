"""The choice of tiles: a result is cut only if it does not fit the memory, and into few tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..attribution import attributed_to
from ..interfaces.backbone import LayerInfo
from ..interfaces.backend import FeatureBackend, Precision
from ..interfaces.optimizer import Optimizer
from ..interfaces.statistics import StatisticsTerm
from ..interfaces.terms import IMAGE_LAYER
from ..objective.tiled_features import deviation
from ..optimizers.adam import Adam
from ..planning.plan import Plan
from ..planning.scale_sizes import ScaleSizes
from ..sizes.pyramid import Scale
from ..sizes.tiles import Tiler, tiler_for
from .estimate import MemoryEstimate, NetworkCost
from .limits import Budget, memory_budget, too_large, too_large_in_tiles

#: Largest difference between the features of tiles and of the whole image, in units of the largest
#: activation: float32 convolutions may sum in another order; half precision has 8 to 11 bits.
_TOLERANCES: dict[Precision, float] = {"float32": 1e-4, "tf32": 0.02, "fp16": 0.02, "bf16": 0.1}


def network_cost(plan: Plan) -> NetworkCost:
    """Return what the plan's network and loss terms hold for each pixel."""
    content_layers = [
        layer
        for planned in plan.terms
        if "content" in planned.term.reads
        for layer in planned.term.layers
        if layer != IMAGE_LAYER
    ]
    return NetworkCost.of(plan.backbone.layers, plan.deepest, content_layers)


def tilers_for(
    plan: Plan, scales: Sequence[ScaleSizes], backend: FeatureBackend
) -> tuple[Tiler, ...]:
    """Return the tiler of the result at each scale.

    Raises MemoryLimitError when the result fits neither as a whole nor in tiles. That is decided
    beforehand, since Linux grants more memory than there is and kills a process that uses it.
    """
    choice = _Choice(
        budget=memory_budget(plan.job.max_memory, backend.device),
        cost=network_cost(plan),
        optimizer=plan.optimizer,
        layers=plan.layer_infos,
        is_texture=plan.job.content is None,
        uncut_reason=_uncut_reason(plan),
    )
    tilers = [choice.tiler(sizes.scale, sizes.style_pixels) for sizes in scales]
    cut_tilers = [tiler for tiler in tilers if tiler.most is not None]
    if not cut_tilers:
        return tuple(tilers)
    with attributed_to(plan.network):
        halo = _halo(cut_tilers[-1], backend, plan.backend_options.precision)
    if halo is None:
        last = scales[-1].scale
        reason = f"the features of the backbone {plan.backbone.name} differ in tiles"
        needed = choice.estimate(last.steps, 0)
        raise too_large(needed, last.size, choice.is_texture, choice.budget, reason)
    return tuple(replace(tiler, halo=halo) if tiler.most is not None else tiler for tiler in tilers)


def tiles_in_words(tiler: Tiler, scale: Scale) -> str:
    """Number and size of the tiles, in words; empty if the result is not cut."""
    tiles = tiler.tiles(*scale.size)
    height, width = (max(sides) for sides in zip(*(tile.crop_size for tile in tiles), strict=True))
    return f"{len(tiles)} of up to {width}x{height} px" if len(tiles) > 1 else ""


@dataclass(frozen=True)
class _Choice:
    """The choice of tiles, with all that it depends on beside the scale.

    `uncut_reason` says which part of the job cannot be computed in tiles; it is empty if all can.
    """

    budget: Budget
    cost: NetworkCost
    optimizer: Optimizer
    layers: tuple[LayerInfo, ...]
    is_texture: bool
    uncut_reason: str

    def estimate(
        self, steps: int, style_pixels: int, optimizer: Optimizer | None = None
    ) -> MemoryEstimate:
        held = (optimizer or self.optimizer).images_held(steps)
        return self.cost.estimate(held, style_pixels)

    def tiler(self, scale: Scale, style_pixels: int) -> Tiler:
        """Return the tiler for a scale.

        Raises MemoryLimitError when the result fits neither as a whole nor in tiles.
        """
        needed, available = self.estimate(scale.steps, style_pixels), self.budget.available
        if needed.uncut(scale.pixels) <= available:
            return Tiler.uncut()
        if self.uncut_reason:
            raise too_large(needed, scale.size, self.is_texture, self.budget, self.uncut_reason)
        tiler = tiler_for(
            {info.name: info.stride for info in self.layers},
            max(info.receptive_field or 0 for info in self.layers),
            max(info.smallest_side for info in self.layers),
            needed.most_crop_pixels(scale.pixels, available),
        )
        crops = [tile.crop_size for tile in tiler.tiles(*scale.size)]
        crop_pixels = max(height * width for height, width in crops)
        if needed.cut(scale.pixels, crop_pixels) > available:
            with_adam = self.estimate(scale.steps, style_pixels, Adam())
            raise too_large_in_tiles(
                needed, with_adam, scale.size, self.is_texture, crop_pixels, self.budget
            )
        return tiler


def _uncut_reason(plan: Plan) -> str:
    """Return what cannot be computed in tiles, and what to do about it; empty if all can."""
    for planned in plan.terms:
        # The loss of a term with a `bind` of its own has no statistics to add up over the tiles.
        is_tiled = isinstance(planned.term, StatisticsTerm) and (
            type(planned.term).bind is StatisticsTerm.bind
        )
        if not is_tiled and planned.term.layers != (IMAGE_LAYER,):
            return f"the loss term {planned.name} cannot be computed in tiles: leave it out"
    if plan.job.normalize_gradients:
        return "normalized gradients cannot be computed in tiles: leave out `normalize_gradients`"
    if plan.job.seamless:
        return "a seamless result cannot be computed in tiles: leave out `seamless`"
    if plan.backbone.wraps:
        return "circular padding cannot be computed in tiles: choose another `padding`"
    for info in plan.layer_infos:
        if info.receptive_field is None:
            return (
                f"the layer {info.name} cannot be computed in tiles, since its receptive field is "
                "the whole image: leave it out"
            )
    return ""


def _halo(tiler: Tiler, backend: FeatureBackend, precision: Precision) -> int | None:
    """Return the pixels that a tile needs around its own, or None if no halo is enough.

    Half the receptive field is enough where windows are centered on the pixels that they stand for;
    otherwise the whole receptive field is tried.
    """
    for halo in (tiler.halo, 2 * tiler.halo):
        if deviation(backend, replace(tiler, halo=halo)) <= _TOLERANCES[precision]:
            return halo
    return None
