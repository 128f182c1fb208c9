"""The choice of tiles: a result is cut only if it does not fit the memory, and into few tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..attribution import attributed_to
from ..images.inputs import Inputs
from ..interfaces.backend import FeatureBackend, Precision, precision_of
from ..interfaces.optimizer import Optimizer
from ..interfaces.statistics import StatisticsTerm
from ..interfaces.terms import LossTerm
from ..objective.tiled_features import deviation
from ..optimizers.adam import Adam
from ..planning.plan import Plan
from ..planning.scale_sizes import ScaleSizes
from ..sizes.fitting import Size
from ..sizes.pyramid import Scale
from ..sizes.tiles import Tiler, Tilers, tiler_for
from .estimate import MemoryEstimate
from .limits import Budget, style_too_large, too_large, too_large_in_tiles
from .plan_estimate import evaluates_styles, network_layers, scale_estimate

#: Largest difference between the features of tiles and of the whole image, in units of the largest
#: activation: float32 convolutions may sum in another order; half precision has 8 to 11 bits.
_TOLERANCES: dict[Precision, float] = {"float32": 1e-4, "tf32": 0.02, "fp16": 0.02, "bf16": 0.1}

#: By how much a run that is resumed may exceed the memory, as it is now: what is free, and what the
#: program itself takes, are never quite the same again.
_SLACK = 1.1


def tilers_for(
    plan: Plan,
    inputs: Inputs,
    scales: Sequence[ScaleSizes],
    backend: FeatureBackend,
    budget: Budget,
    former: Sequence[Tilers] = (),
) -> tuple[Tilers, ...]:
    """Return the tilers of each scale.

    They are the `former` tilers, of a run that is resumed, if these fit the memory as it is now.
    Raises MemoryLimitError when the result, or a style image, fits neither as a whole nor in tiles.
    That is decided beforehand, since Linux grants more memory than there is and kills a process
    that uses it.
    """
    choice = _Choice(plan, inputs, budget, backend.memory_factor, _Reasons.of(plan))
    if len(former) == len(scales) and all(map(choice.fits, former, scales)):
        return tuple(former)
    tilers = choice.all_tilers(scales)
    if not any(tiler.most for pair in tilers for tiler in (pair.result, pair.styles)):
        return tilers
    # Half the receptive field is enough where windows are centered on the pixels that they stand
    # for; otherwise, as in a network without padding, the whole receptive field may be needed.
    tolerance = _TOLERANCES[precision_of(backend, plan.backend_options)]
    for halos in (1, 2):
        choice = replace(choice, halos=halos)
        with attributed_to(plan.network):
            exact = deviation(backend, choice.tiler(None)) <= tolerance
        if exact:
            return choice.all_tilers(scales)
    reason = f"the features of the backbone {plan.backbone.name} differ in tiles"
    choice = replace(choice, reasons=_Reasons(reason, reason))
    return choice.all_tilers(scales)


def tiles_in_words(tiler: Tiler, scale: Scale) -> str:
    """Number and size of the tiles, in words; empty if the result is not cut."""
    rows, columns = tiler.counts(*scale.size)
    height, width = (max(sides) for sides in zip(*tiler.crop_sizes(*scale.size), strict=True))
    return f"{rows * columns} of up to {width}x{height} px" if rows * columns > 1 else ""


@dataclass(frozen=True)
class _Reasons:
    """Parts of a job that cannot be computed in tiles, in words; empty if all can."""

    result: str
    styles: str

    @classmethod
    def of(cls, plan: Plan) -> _Reasons:
        result, styles = _uncut_terms(plan)
        network = _uncut_network(plan)
        return cls(result or network, styles or network)


@dataclass(frozen=True)
class _Choice:
    """The choice of tiles for a plan, whose halos are `halos` times half the receptive field."""

    plan: Plan
    inputs: Inputs
    budget: Budget
    memory_factor: float
    reasons: _Reasons
    halos: int = 1

    def fits(self, tilers: Tilers, sizes: ScaleSizes) -> bool:
        """Return whether result and style images fit the memory with these tilers, about."""
        pixels, needed = sizes.scale.pixels, self._estimate(sizes)
        available = _SLACK * self.budget.available
        if tilers.result.most is None:
            result_bytes = needed.uncut(pixels)
        elif self.reasons.result:
            return False
        else:
            result_bytes = needed.cut(pixels, _largest_crop(tilers.result, sizes.scale.size))
        if result_bytes > available:
            return False
        if not sizes.styles or not evaluates_styles(self.plan):
            return True
        style_pixels, size = max(zip(sizes.style_pixels, sizes.styles, strict=True))
        crop_pixels = _largest_crop(tilers.styles, size)
        return needed.binding(pixels, style_pixels, crop_pixels) <= available

    def all_tilers(self, scales: Sequence[ScaleSizes]) -> tuple[Tilers, ...]:
        """Return the tilers of each scale.

        Raises MemoryLimitError when the result, or a style image, fits neither as a whole nor in
        tiles, for the finest scale if that is one of those.
        """
        from_finest = [
            Tilers(self._result_tiler(sizes), self._style_tiler(sizes))
            for sizes in reversed(scales)
        ]
        return tuple(reversed(from_finest))

    def tiler(self, most: int | None) -> Tiler:
        """Return the tiler whose crops have at most `most` pixels."""
        infos = self.plan.layer_infos
        return tiler_for(
            {info.name: info.stride for info in infos},
            max(info.receptive_field or 0 for info in infos),
            max(info.smallest_side for info in infos),
            most,
            self.halos,
        )

    def _estimate(self, sizes: ScaleSizes, optimizer: Optimizer | None = None) -> MemoryEstimate:
        return scale_estimate(self.plan, self.inputs, sizes, self.memory_factor, optimizer)

    def _result_tiler(self, sizes: ScaleSizes) -> Tiler:
        scale, available = sizes.scale, self.budget.available
        needed = self._estimate(sizes)
        if needed.uncut(scale.pixels) <= available:
            return Tiler.uncut()
        is_texture = self.plan.job.content is None
        if self.reasons.result:
            raise too_large(needed, scale.size, is_texture, self.budget, self.reasons.result)
        tiler = self.tiler(needed.most_crop_pixels(scale.pixels, available))
        crop_pixels = _largest_crop(tiler, scale.size)
        if needed.cut(scale.pixels, crop_pixels) > available:
            with_adam = self._estimate(sizes, Adam())
            raise too_large_in_tiles(
                needed, with_adam, scale.size, is_texture, crop_pixels, self.budget
            )
        return tiler

    def _style_tiler(self, sizes: ScaleSizes) -> Tiler:
        if not sizes.styles or not evaluates_styles(self.plan):
            return Tiler.uncut()
        pixels, available = sizes.scale.pixels, self.budget.available
        needed = self._estimate(sizes)
        style_pixels, size, style = max(
            zip(sizes.style_pixels, sizes.styles, self.inputs.styles, strict=True),
            key=lambda triple: triple[0],
        )
        needed_bytes = needed.binding(pixels, style_pixels, style_pixels)
        if needed_bytes <= available:
            return Tiler.uncut()
        if self.reasons.styles:
            reason = f"and {self.reasons.styles}"
            raise style_too_large(needed_bytes, size, style.relative_size, self.budget, reason)
        tiler = self.tiler(needed.most_style_crop_pixels(pixels, style_pixels, available))
        needed_bytes = needed.binding(pixels, style_pixels, _largest_crop(tiler, size))
        if needed_bytes > available:
            reason = "even in the smallest tiles"
            raise style_too_large(needed_bytes, size, style.relative_size, self.budget, reason)
        return tiler


def _largest_crop(tiler: Tiler, size: Size) -> int:
    return max(height * width for height, width in tiler.crop_sizes(*size))


def _is_tiled(term: LossTerm) -> bool:
    """Return whether the term's statistics add up over tiles.

    The loss of a term with a `bind` of its own has no statistics to add up.
    """
    return isinstance(term, StatisticsTerm) and type(term).bind is StatisticsTerm.bind


def _uncut_terms(plan: Plan) -> tuple[str, str]:
    """Return why the terms' result and style images cannot be cut, and what to do; or empty."""
    result = styles = ""
    for planned in plan.terms:
        if not _is_tiled(planned.term) and network_layers(planned.term):
            reason = f"the loss term {planned.name} cannot be computed in tiles: leave it out"
            result = result or reason
            if "styles" in planned.term.reads:
                styles = styles or reason
    if plan.job.normalize_gradients:
        result = result or (
            "normalized gradients cannot be computed in tiles: leave out `normalize_gradients`"
        )
    return result, styles


def _uncut_network(plan: Plan) -> str:
    """Return why the network's images cannot be cut, and what to do about it; empty if they can."""
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
