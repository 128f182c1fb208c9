"""`stylectl.testing` passes what is right, our own terms among it, and finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stylectl import (
    IMAGE_LAYER,
    Backbone,
    BackboneArguments,
    BackboneSpec,
    FeatureTile,
    LayerInfo,
    LayerStatistics,
    Loss,
    LossTerm,
    LossTermArguments,
    LossTermSpec,
    NoOptions,
    PluginError,
    References,
    Region,
    StatisticsTerm,
    Trunk,
    Writer,
    WriteRequest,
    WriterSpec,
)
from stylectl.core.planning.registry import Registry
from stylectl.plugins.manager import load_plugins
from stylectl.testing import (
    KinkedBackbone,
    TinyBackbone,
    check_backbone,
    check_loss_term,
    check_writer,
    painting,
    photo,
    result,
)
from torch import Tensor


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_plugins().registry


# Terms


class Brightness(LossTerm):
    """The mean square of the pixels, and what a subclass makes of it."""

    layers: tuple[str, ...] = (IMAGE_LAYER,)
    reads = frozenset()

    def __init__(self, arguments: LossTermArguments[NoOptions]) -> None:
        self.calls = 0

    def bind(self, references: References) -> Loss:
        return self.loss

    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        return features[IMAGE_LAYER].square().mean()


class NotAScalar(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        return features[IMAGE_LAYER].square()


class NoGradient(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        return super().loss(features).detach()


class WrongGradient(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        image = features[IMAGE_LAYER]
        return (image * image.detach()).mean()


class NotANumber(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        return super().loss(features) * float("nan")


class DivisionByBlack(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        image = features[IMAGE_LAYER]
        return image.square().sum() / image.sum()


class SlopeAtBlack(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        return features[IMAGE_LAYER].square().sum().sqrt()


class Forgetful(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        self.calls += 1
        return super().loss(features) * (1 if self.calls < 3 else 2)


class DoubleAlways(Brightness):
    def loss(self, features: Mapping[str, Tensor]) -> Tensor:
        return super().loss(features).double()


class UnknownLayer(Brightness):
    layers = ("relu9_9",)


@dataclass(frozen=True)
class Mean(LayerStatistics):
    mean: Tensor


class WrongSums(Brightness, StatisticsTerm[Mean, None]):
    """A mean is no sum: the means of two tiles do not add up."""

    def statistics(self, tile: FeatureTile) -> dict[str, Mean]:
        return {IMAGE_LAYER: Mean(tile.features[IMAGE_LAYER].square().mean())}

    def loss_of_statistics(self, statistics: Mapping[str, Mean], targets: object) -> Tensor:
        return statistics[IMAGE_LAYER].mean


@dataclass(frozen=True)
class Difference(LayerStatistics):
    apart: Tensor
    count: Tensor


class Likeness(StatisticsTerm[Difference, None]):
    """The mean squared difference of the pixels from the content's."""

    layers = (IMAGE_LAYER,)
    reads = frozenset({"content"})

    def __init__(self, arguments: object) -> None:
        pass

    def statistics(self, tile: FeatureTile) -> dict[str, Difference]:
        content = tile.content[IMAGE_LAYER]
        apart = (tile.features[IMAGE_LAYER] - content).square()
        count = content.new_tensor(float(apart.numel()))
        return {IMAGE_LAYER: Difference(self.weighted(apart, tile.region), count)}

    def weighted(self, apart: Tensor, region: Region) -> Tensor:
        return (apart * region[IMAGE_LAYER]).sum() if region else apart.sum()

    def loss_of_statistics(self, statistics: Mapping[str, Difference], targets: object) -> Tensor:
        return statistics[IMAGE_LAYER].apart / statistics[IMAGE_LAYER].count


class DeafToRegions(Likeness):
    def weighted(self, apart: Tensor, region: Region) -> Tensor:
        return apart.sum()


class WeightsTwice(Likeness):
    def weighted(self, apart: Tensor, region: Region) -> Tensor:
        return 2 * super().weighted(apart, region) if region else apart.sum()


class EmptyRegion(Likeness):
    def weighted(self, apart: Tensor, region: Region) -> Tensor:
        weights = region[IMAGE_LAYER] if region else torch.ones_like(apart[:, :1])
        return (apart * weights).sum() / weights.sum() * weights.sum()


def brightness(create: Callable[..., LossTerm]) -> LossTermSpec[NoOptions]:
    return LossTermSpec(
        name="broken", summary="", create=create, options=NoOptions, layers_from="image"
    )


def test_a_small_right_term_passes() -> None:
    check_loss_term(brightness(Brightness), ignores_positions=True)


def test_a_small_term_that_heeds_regions_passes() -> None:
    check_loss_term(brightness(Likeness))


@pytest.mark.parametrize(
    ("term", "complaint"),
    [
        (NotAScalar, "not a scalar"),
        (NoGradient, "no gradient"),
        (WrongGradient, "finite differences"),
        (NotANumber, "gives nan"),
        (DivisionByBlack, "all zero"),
        (SlopeAtBlack, "all zero"),
        (Forgetful, "called again"),
        (DoubleAlways, "float64"),
        (UnknownLayer, "relu9_9"),
        (WrongSums, "two tiles"),
        (DeafToRegions, "outside of the region"),
        (WeightsTwice, "region of ones"),
        (EmptyRegion, "gives nan"),
        (lambda arguments: print, "must be a LossTerm"),
    ],
)
def test_a_broken_term_is_found_out(term: Callable[..., LossTerm], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_loss_term(brightness(term))


def test_a_term_that_changes_its_features_is_found_out() -> None:
    class Changes(Brightness):
        def loss(self, features: Mapping[str, Tensor]) -> Tensor:
            with torch.no_grad():
                features[IMAGE_LAYER].data.add_(0)
                if not features[IMAGE_LAYER].requires_grad:
                    features[IMAGE_LAYER][..., 0] = features[IMAGE_LAYER][..., 1]
            return super().loss(features)

    with pytest.raises(AssertionError, match=r"changes the features|called twice"):
        check_loss_term(brightness(Changes))


@pytest.mark.parametrize("positions", [True, False])
def test_a_promise_that_is_not_kept_is_found_out(registry: Registry, positions: bool) -> None:
    # The paper's sum of squares grows with the square of the features, and compares by position.
    with pytest.raises(AssertionError, match="it gives"):
        check_loss_term(
            registry.terms.get("content"),
            options={"normalization": "paper"},
            ignores_positions=positions,
            ignores_scale=not positions,
        )


# Backbones


def tiny(create: Callable[[Any], Any]) -> BackboneSpec[NoOptions]:
    return BackboneSpec(name="tiny", summary="", create=create, options=NoOptions)


@pytest.mark.parametrize("network", [TinyBackbone, KinkedBackbone])
def test_a_tiny_network_passes(network: type[Backbone]) -> None:
    check_backbone(tiny(lambda arguments: network()))


def with_layers(**changes: Any) -> Callable[[Any], TinyBackbone]:
    def create(arguments: BackboneArguments[NoOptions]) -> TinyBackbone:
        backbone = TinyBackbone()
        first, second = TinyBackbone.layers
        backbone.layers = (first, replace(second, **changes))
        return backbone

    return create


class TooMany(TinyBackbone):
    def trunk(self, layers: Any) -> Trunk:
        return super().trunk([info.name for info in self.layers])


class Trainable(TinyBackbone):
    def trunk(self, layers: Any) -> Trunk:
        return super().trunk(layers).requires_grad_()


class Twins(TinyBackbone):
    layers = (*TinyBackbone.layers, TinyBackbone.layers[0])


class NoSuchDefault(TinyBackbone):
    default_style_layers = {"relu1": 1.0}  # noqa: RUF012


class NoSuchAlias(TinyBackbone):
    aliases = {"conv1": "relu1"}  # noqa: RUF012


class Mixing(TinyBackbone):
    def trunk(self, layers: Any) -> Trunk:
        class Normed(type(super().trunk(layers))):  # type: ignore[misc]
            def forward(self, image: Tensor, layers: Any = None) -> dict[str, Tensor]:
                made: dict[str, Tensor] = super().forward(image, layers)
                return {name: value - value.mean() for name, value in made.items()}

        trunk = super().trunk(layers)
        trunk.__class__ = Normed
        return trunk


@pytest.mark.parametrize(
    ("create", "complaint"),
    [
        (with_layers(channels=6), "5 channels, not 6"),
        (with_layers(stride=8), "positions"),
        (with_layers(receptive_field=5), "receptive field"),
        (with_layers(smallest_side=1), "smallest side"),
        (lambda arguments: Twins(), "one name"),
        (lambda arguments: TooMany(), "asked for|made for"),
        (lambda arguments: Trainable(), "not frozen"),
        (lambda arguments: NoSuchDefault(), "default layers"),
        (lambda arguments: NoSuchAlias(), "alias"),
        (lambda arguments: Mixing(), "batch"),
        (lambda arguments: None, "must be a Backbone"),
    ],
)
def test_a_broken_backbone_is_found_out(create: Callable[[Any], Any], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_backbone(tiny(create))


# Writers


class BareWriter(Writer):
    def __init__(self, options: Any) -> None: ...

    def write(self, request: WriteRequest) -> None:
        pixels = (request.result.image * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(request.path, "PPM")


class Swallowing(BareWriter):
    def write(self, request: WriteRequest) -> None:
        with suppress(OSError):
            super().write(request)


class Empty(BareWriter):
    def write(self, request: WriteRequest) -> None:
        request.path.touch()


class Elsewhere(BareWriter):
    def write(self, request: WriteRequest) -> None:
        super().write(replace(request, path=request.path.with_suffix(".other")))


class Littering(BareWriter):
    def write(self, request: WriteRequest) -> None:
        super().write(request)
        (request.path.parent.parent / "litter").touch()


class Changing(BareWriter):
    def write(self, request: WriteRequest) -> None:
        image = request.result.image
        image *= 0.5
        super().write(request)


class Dark(BareWriter):
    def write(self, request: WriteRequest) -> None:
        dark = replace(request.result, image=request.result.image / 2)
        super().write(replace(request, result=dark))


def bare(create: Callable[[Any], Any], suffix: str = ".ppm") -> WriterSpec[NoOptions]:
    return WriterSpec(name="bare", summary="", suffixes=(suffix,), create=create, options=NoOptions)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.float64) / 255


def test_a_small_right_writer_passes(tmp_path: Path) -> None:
    check_writer(bare(BareWriter), tmp_path, read=read)
    assert not list(tmp_path.iterdir())


#: Options under which little is written.
SMALL: dict[str, dict[str, Any]] = {
    "gif": {"seconds": 1},
    "mp4": {"seconds": 1, "hold": 0.1},
    "png": {"bits": 16},
}


BUILT_IN_WRITERS = ["png", "jpeg", "webp", "tif", "npy", "json", "gif", "mp4", "html"]


@pytest.mark.parametrize("name", BUILT_IN_WRITERS)
def test_a_built_in_writer_passes(registry: Registry, tmp_path: Path, name: str) -> None:
    check_writer(registry.writers.get(name), tmp_path, options=SMALL.get(name, {}))


def test_every_built_in_writer_is_checked(registry: Registry) -> None:
    assert {spec.name for spec in registry.writers} == {*BUILT_IN_WRITERS}


@pytest.mark.parametrize(
    ("create", "complaint"),
    [
        (Swallowing, "raises nothing"),
        (Empty, "empty file"),
        (Elsewhere, "wrote no file"),
        (Littering, "litter"),
        (Changing, "read-only"),
        (Dark, "off by"),
        (lambda arguments: None, "must be a Writer"),
    ],
)
def test_a_broken_writer_is_found_out(
    tmp_path: Path, create: Callable[[Any], Any], complaint: str
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_writer(bare(create), tmp_path, read=read)


def test_a_suffix_in_capitals_is_found_out() -> None:
    with pytest.raises(PluginError, match="lower case"):
        bare(BareWriter, ".PPM")


# Pictures


def test_the_pictures_are_the_same_at_any_size() -> None:
    for picture in (photo, painting):
        small, large = picture(16, 24), picture(48, 72)
        assert small.min() >= 0
        assert small.max() <= 1
        # The pixels' centers coincide in every third.
        torch.testing.assert_close(large[:, :, 1::3, 1::3], small)


def test_the_result_is_whole() -> None:
    made = result(alpha=True)
    assert made.alpha is not None
    assert made.summary()["iterations"] == 6
    assert result(interrupted=True).interrupted


def test_layer_info_is_what_it_says() -> None:
    assert LayerInfo("a", 1, 4, 5).smallest_side == 4
