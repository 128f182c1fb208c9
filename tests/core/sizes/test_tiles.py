"""How images are cut: the geometry alone, and what a network sees of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.interfaces.backbone import Backbone, LayerInfo
from stylectl.core.interfaces.backend import BackendOptions, FeatureBackend, Features
from stylectl.core.interfaces.trunk import ChainTrunk
from stylectl.core.objective.tiled_features import TiledFeatures, deviation
from stylectl.core.sizes.tiles import Span, Tiler, tiler_for
from stylectl.plugins.backbones.geometry import Node, Window, geometries
from stylectl.testing import KinkedBackbone, TinyBackbone
from torch import Tensor, nn

SIDES, FEW = st.integers(1, 400), st.integers(1, 60)
NUMBERS = st.integers(0, 400)
QUICKLY = settings(deadline=None, max_examples=60)


@st.composite
def tilers(draw: st.DrawFn) -> Tiler:
    """For networks of some poolings, with any limit."""
    strides = {f"layer{depth}": 2**depth for depth in range(draw(st.integers(1, 5)))}
    return tiler_for(
        strides,
        receptive_field=draw(st.integers(1, 80)),
        smallest_side=max(strides.values()),
        most=draw(st.integers(1, 200**2)),
    )


def positions(side: int, stride: int, up: bool) -> int:
    """Of a layer, whose poolings leave the rest out, or take it in."""
    return -(-side // stride) if up else side // stride


def counts(tiler: Tiler, side: int) -> range:
    """Into how many tiles the tiler may divide a side."""
    return range(1, max(1, side // tiler.unit // -(-tiler.least // tiler.unit)) + 1)


def spans_of(tiler: Tiler, side: int, number: int) -> list[Span]:
    """One of the divisions."""
    return tiler.spans(side, counts(tiler, side)[number % len(counts(tiler, side))])


@QUICKLY
@given(tiler=tilers(), side=SIDES, number=NUMBERS, up=st.booleans())
def test_each_position_of_each_layer_is_one_tiles_own(
    tiler: Tiler, side: int, number: int, up: bool
) -> None:
    for stride in tiler.strides.values():
        owners = torch.zeros(positions(side, stride, up))
        for span in spans_of(tiler, side, number):
            owners[span.in_whole(stride)] += 1
        assert (owners == 1).all()


@QUICKLY
@given(tiler=tilers(), side=SIDES, number=NUMBERS, up=st.booleans())
def test_the_crop_has_the_same_positions_at_the_same_place(
    tiler: Tiler, side: int, number: int, up: bool
) -> None:
    """A map's positions are numbered through the picture; a crop's begin at its first pixel."""
    for span in spans_of(tiler, side, number):
        for stride in tiler.strides.values():
            whole = torch.arange(positions(side, stride, up))
            begin = span.first // stride
            crop = begin + torch.arange(positions(span.stop - span.first, stride, up))
            assert torch.equal(crop[span.in_crop(stride)], whole[span.in_whole(stride)])


@QUICKLY
@given(tiler=tilers(), height=SIDES, width=SIDES)
def test_the_crop_goes_on_for_the_halo_or_to_the_border(
    tiler: Tiler, height: int, width: int
) -> None:
    for tile in tiler.tiles(height, width):
        for span, side in ((tile.rows, height), (tile.columns, width)):
            assert span.first == max(0, span.start - tiler.halo)
            assert span.stop == min(side, span.end + tiler.halo)
            assert span.first % tiler.unit == 0
            assert span.last == (span.end == side)
            assert span.end - span.start >= min(side, tiler.least)


@given(
    field=st.integers(1, 200),
    stride=st.sampled_from([1, 2, 8, 16]),
    smallest=st.integers(1, 64),
)
def test_the_halo_is_the_receptive_fields_radius(field: int, stride: int, smallest: int) -> None:
    tiler = tiler_for({"deep": stride}, field, smallest, None)
    assert field / 2 - 1 < tiler.halo < field / 2 + stride
    assert tiler.halo % stride == 0


@QUICKLY
@given(tiler=tilers(), height=FEW, width=FEW)
def test_there_are_as_few_tiles_as_the_limit_allows(tiler: Tiler, height: int, width: int) -> None:
    assert tiler.most is not None

    def largest(rows: Sequence[Span], columns: Sequence[Span]) -> int:
        tall, wide = (max(each.stop - each.first for each in spans) for spans in (rows, columns))
        return tall * wide

    fitting = [
        rows * columns
        for rows in counts(tiler, height)
        for columns in counts(tiler, width)
        if largest(tiler.spans(height, rows), tiler.spans(width, columns)) <= tiler.most
    ]
    tiles = tiler.tiles(height, width)
    crops = [tile.crop_size[0] * tile.crop_size[1] for tile in tiles]
    if fitting:
        assert max(crops) <= tiler.most
        assert len(tiles) == min(fitting)
    else:
        assert len(tiles) == counts(tiler, height)[-1] * counts(tiler, width)[-1]


@QUICKLY
@given(tiler=tilers(), height=SIDES, width=SIDES)
def test_the_sizes_of_crops_are_those_of_the_tiles(tiler: Tiler, height: int, width: int) -> None:
    tiles = tiler.tiles(height, width)
    frequencies = Counter(tile.crop_size for tile in tiles)
    sizes = tiler.crop_sizes(height, width)
    assert sorted(sizes) == sorted(frequencies)
    assert frequencies[sizes[-1]] == max(frequencies.values())
    rows, columns = tiler.counts(height, width)
    assert rows * columns == len(tiles)


@given(height=SIDES, width=SIDES)
def test_without_a_limit_there_is_one_tile(height: int, width: int) -> None:
    (tile,) = Tiler.uncut().tiles(height, width)
    assert tile.crop_size == (height, width)


# What a network sees

KINKED, TINY = KinkedBackbone(), TinyBackbone()


def tiler_of(backbone: Backbone, most: int | None) -> Tiler:
    infos = backbone.layers
    fields = [info.receptive_field or 0 for info in infos]
    strides = {info.name: info.stride for info in infos}
    return tiler_for(strides, max(fields), max(info.smallest_side for info in infos), most)


def opened(backbone: Backbone) -> FeatureBackend:
    layers = [info.name for info in backbone.layers]
    return TorchBackend(backbone, layers, BackendOptions(device="cpu"))


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("backbone", [KINKED, TINY], ids=["kinked", "tiny"])
@pytest.mark.parametrize("size", [(48, 64), (47, 61), (33, 95), (20, 71)])
@pytest.mark.parametrize("most", [1, 900, 1300])
def test_the_tiles_features_are_the_wholes(
    backbone: Backbone, size: tuple[int, int], most: int
) -> None:
    tiler, backend = tiler_of(backbone, most), opened(backbone)
    assert len(tiler.tiles(*size)) > 1
    seen = TiledFeatures(backend, tiler)
    whole = backend.features(noise(*size))
    tiled = seen.whole(noise(*size), backend.layers)
    assert seen.sizes(noise(*size), backend.layers) == {
        layer: tuple(maps.shape[2:]) for layer, maps in whole.items()
    }
    for layer, maps in whole.items():
        # The same sums of 54 products, perhaps in another order: some units of rounding.
        assert (tiled[layer] - maps).abs().max() < 1e-6 * maps.abs().max()


def test_an_image_that_is_not_cut_is_seen_to_the_bit() -> None:
    backend = opened(KINKED)
    seen = TiledFeatures(backend, Tiler.uncut()).whole(noise(31, 40), backend.layers)
    for layer, maps in backend.features(noise(31, 40)).items():
        assert torch.equal(seen[layer], maps)


class Chain(Backbone):
    """Convolutions and poolings without padding, as `seed` draws them."""

    name = "chain"
    aliases: dict[str, str] = {}  # noqa: RUF012
    default_content_layers: dict[str, float] = {}  # noqa: RUF012
    default_style_layers: dict[str, float] = {}  # noqa: RUF012

    def __init__(self, seed: int) -> None:
        generator = random.Random(seed)
        self._steps: list[nn.Module] = []
        nodes: dict[str, Node] = {}
        before = "image"
        for number in range(generator.randint(1, 5)):
            kernel, stride = generator.choice([1, 2, 3, 3, 5, 7]), generator.choice([1, 1, 2, 3])
            ceil = generator.random() < 0.3
            channels = 4 if number else 3
            self._steps.append(
                nn.MaxPool2d(kernel, stride, ceil_mode=ceil)
                if number and generator.random() < 0.4
                else nn.Conv2d(channels, 4, kernel, stride)
            )
            window = Window(kernel, stride, ceil=ceil and "Pool" in str(self._steps[-1]))
            nodes[f"step{number}"] = Node((before,), (window, window))
            before = f"step{number}"
        self.layers = tuple(
            LayerInfo(name, 4, geometry.stride, geometry.receptive_field, geometry.smallest_side)
            for name, geometry in geometries(nodes, "image").items()
        )

    def trunk(self, layers: Collection[str]) -> ChainTrunk:
        named = [(f"step{number}", step) for number, step in enumerate(self._steps)]
        return ChainTrunk(named, (0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("seed", range(40))
def test_twice_the_halo_is_enough_without_padding(seed: int) -> None:
    """Where half the receptive field is too little, which is noticed and raises nothing."""
    torch.manual_seed(seed)
    backbone = Chain(seed)
    tiler, backend = tiler_of(backbone, 900), opened(backbone)
    if deviation(backend, tiler) > 1e-4:
        tiler = replace(tiler, halo=2 * tiler.halo)
        assert deviation(backend, tiler) < 1e-4


def test_a_network_that_gives_nan_is_noticed() -> None:
    class Broken(TorchBackend):
        def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
            return {name: maps * torch.nan for name, maps in super().features(image).items()}

    layers = [info.name for info in KINKED.layers]
    backend = Broken(KINKED, layers, BackendOptions(device="cpu"))
    assert not deviation(backend, tiler_of(KINKED, 900)) <= 1e-4


def test_a_halo_that_is_too_small_is_noticed() -> None:
    backend, good = opened(KINKED), tiler_of(KINKED, 900)
    # One stride less than the 6 pixels that there are; the layer sees 4 to each side.
    small = Tiler(good.strides, good.halo - 4, good.least, 900)
    assert deviation(backend, good) < 1e-6
    assert deviation(backend, small) > 1e-2
