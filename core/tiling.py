"""Whether pictures are cut into tiles: only where they do not fit the memory, and into few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .backbone import LayerInfo
from .backend import FeatureBackend
from .blame import blaming
from .errors import MemoryLimitError
from .inputs import Inputs
from .memory import Demand, available_memory, demand, too_large, too_large_in_tiles
from .optimizers import Adam
from .plan import Plan
from .schedule import Scale
from .sight import sizes_seen
from .terms import IMAGE_LAYER, SumTerm
from .tiled_features import deviation
from .tiles import Tiler, tiler_for

#: How far tiles may be from the whole, in units of the largest activation: float32 convolutions may
#: sum in another order; half precision has 8 to 11 bits.
_CLOSE = {"float32": 1e-4, "tf32": 0.02, "fp16": 0.02, "bf16": 0.1}


def tilers_for(
    plan: Plan, inputs: Inputs, scales: Sequence[Scale], backend: FeatureBackend
) -> list[Tiler]:
    """How the picture is cut at each scale.

    Raises MemoryLimitError when it fits neither as a whole nor in tiles: Linux promises more memory
    than there is, and kills a process that takes it at its word.
    """
    available = available_memory(plan, backend.device)
    tilers = []
    for scale in scales:
        *styles, _ = sizes_seen(plan, inputs, [scale])
        style_pixels = sum(height * width for height, width in styles)
        tilers.append(_tiler(plan, scale, style_pixels, available))
    cut = [tiler for tiler in tilers if tiler.most is not None]
    if not cut:
        return tilers
    with blaming(plan.network):
        halo = _halo(plan, cut[-1], backend)
    if halo is None:
        needed = demand(plan, scales[-1].steps, 0)
        reason = f"the backbone {plan.backbone.name} does not see the same in tiles"
        raise too_large(plan, scales[-1].size, needed, available, reason)
    return [replace(each, halo=halo) if each.most is not None else each for each in tilers]


def tiles_in_words(tilers: Sequence[Tiler], scales: Sequence[Scale]) -> str:
    """Of the last scale; nothing if the picture is not cut there."""
    tiles = tilers[-1].tiles(*scales[-1].size)
    height, width = (max(sides) for sides in zip(*(tile.crop_size for tile in tiles), strict=True))
    return f"{len(tiles)} of up to {width}x{height} px" if len(tiles) > 1 else ""


def _tiler(plan: Plan, scale: Scale, style_pixels: int, available: int) -> Tiler:
    needed = demand(plan, scale.steps, style_pixels)
    if needed.uncut(scale.pixels) <= available:
        return Tiler.uncut()
    if reason := _why_whole(plan):
        raise too_large(plan, scale.size, needed, available, reason)
    tiler = _of_layers(plan, needed.most_crop_pixels(scale.pixels, available))
    crop_pixels = max(
        height * width for height, width in (tile.crop_size for tile in tiler.tiles(*scale.size))
    )
    if needed.cut(scale.pixels, crop_pixels) > available:
        raise _too_large_in_tiles(plan, scale, needed, style_pixels, crop_pixels, available)
    return tiler


def _too_large_in_tiles(
    plan: Plan,
    scale: Scale,
    needed: Demand,
    style_pixels: int,
    crop_pixels: int,
    available: int,
) -> MemoryLimitError:
    thriftier = demand(plan, scale.steps, style_pixels, Adam())
    return too_large_in_tiles(plan, scale.size, needed, thriftier, crop_pixels, available)


def _infos(plan: Plan) -> list[LayerInfo]:
    return [info for info in plan.backbone.layers if info.name in plan.layers]


def _of_layers(plan: Plan, most: int) -> Tiler:
    infos = _infos(plan)
    return tiler_for(
        {info.name: info.stride for info in infos},
        max(info.receptive_field or 0 for info in infos),
        max(info.smallest_side for info in infos),
        most,
    )


def _why_whole(plan: Plan) -> str:
    """What cannot be done in tiles, and what to do about it; nothing, if all can."""
    for each in plan.terms:
        # One that binds itself in another way gives no sums.
        gives_sums = isinstance(each.term, SumTerm) and type(each.term).bind is SumTerm.bind
        if not gives_sums and each.term.layers != (IMAGE_LAYER,):
            return f"the loss term {each.name} cannot be computed in tiles: leave it out"
    if plan.job.normalize_gradients:
        return "normalized gradients cannot be computed in tiles: leave out --normalize-gradients"
    if plan.job.seamless:
        return "a seamless picture cannot be computed in tiles: leave out --seamless"
    if plan.backbone.wraps:
        return "circular padding cannot be computed in tiles: choose another --padding"
    for info in _infos(plan):
        if info.receptive_field is None:
            return (
                f"the layer {info.name} sees the whole picture, so that it cannot be computed in "
                "tiles: leave it out"
            )
    return ""


def _halo(plan: Plan, tiler: Tiler, backend: FeatureBackend) -> int | None:
    """How much a tile must see around its own pixels. Half the receptive field, where windows lie
    about the pixels that they stand for; or the whole of it; None: not even that is enough."""
    close = _CLOSE[plan.backend_options.precision]
    for halo in (tiler.halo, 2 * tiler.halo):
        if deviation(backend, replace(tiler, halo=halo)) <= close:
            return halo
    return None
