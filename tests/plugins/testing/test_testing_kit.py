"""`stylectl.testing` passes what is right, our own terms among it, and finds what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from stylectl import (
    IMAGE_LAYER,
    Backbone,
    BackboneSpec,
    LayerInfo,
    Loss,
    LossTerm,
    LossTermSpec,
    PluginError,
    References,
    Region,
    Result,
    Snapshot,
    SumTerm,
    Trunk,
    Writer,
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

    def __init__(self, layers: Mapping[str, float], options: Any) -> None:
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


class WrongSums(Brightness, SumTerm):
    """A mean is no sum: the means of two tiles do not add up."""

    def sums(
        self, features: Mapping[str, Tensor], content: Mapping[str, Tensor], region: Region
    ) -> dict[str, Tensor]:
        return {"mean": features[IMAGE_LAYER].square().mean()}

    def loss_of_sums(self, sums: Mapping[str, Tensor], styles: object) -> Tensor:
        return sums["mean"]


class Likeness(SumTerm):
    """The mean squared difference of the pixels from the content's."""

    layers = (IMAGE_LAYER,)
    reads = frozenset({"content"})

    def __init__(self, layers: object, options: object) -> None:
        pass

    def sums(
        self, features: Mapping[str, Tensor], content: Mapping[str, Tensor], region: Region
    ) -> dict[str, Tensor]:
        apart = (features[IMAGE_LAYER] - content[IMAGE_LAYER]).square()
        count = content[IMAGE_LAYER].new_tensor(float(apart.numel()))
        return {"apart": self.weighted(apart, region), "count": count}

    def weighted(self, apart: Tensor, region: Region) -> Tensor:
        return (apart * region[IMAGE_LAYER]).sum() if region else apart.sum()

    def loss_of_sums(self, sums: Mapping[str, Tensor], styles: object) -> Tensor:
        return sums["apart"] / sums["count"]


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


def brightness(create: Callable[..., LossTerm]) -> LossTermSpec:
    return LossTermSpec(name="broken", summary="", create=create, layers_from="image")


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
        (Forgetful, "called twice"),
        (DoubleAlways, "float64"),
        (UnknownLayer, "relu9_9"),
        (WrongSums, "two tiles"),
        (DeafToRegions, "outside of the region"),
        (WeightsTwice, "region of ones"),
        (EmptyRegion, "gives nan"),
        (lambda layers, options: print, "must be a LossTerm"),
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


def tiny(create: Callable[[Any], Any]) -> BackboneSpec:
    return BackboneSpec(name="tiny", summary="", create=create)


@pytest.mark.parametrize("network", [TinyBackbone, KinkedBackbone])
def test_a_tiny_network_passes(network: type[Backbone]) -> None:
    check_backbone(tiny(lambda options: network()))


def with_layers(**changes: Any) -> Callable[[Any], TinyBackbone]:
    def create(options: Any) -> TinyBackbone:
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
        (lambda options: Twins(), "one name"),
        (lambda options: TooMany(), "asked for|made for"),
        (lambda options: Trainable(), "not frozen"),
        (lambda options: NoSuchDefault(), "default layers"),
        (lambda options: NoSuchAlias(), "alias"),
        (lambda options: Mixing(), "batch"),
        (lambda options: None, "must be a Backbone"),
    ],
)
def test_a_broken_backbone_is_found_out(create: Callable[[Any], Any], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_backbone(tiny(create))


# Writers


class BareWriter(Writer):
    def __init__(self, options: Any) -> None: ...

    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        Image.fromarray((result.image * 255).round().astype(np.uint8)).save(path, "PPM")


class Swallowing(BareWriter):
    def write(self, *arguments: Any) -> None:
        with suppress(OSError):
            super().write(*arguments)


class Empty(BareWriter):
    def write(self, *arguments: Any) -> None:
        arguments[2].touch()


class Elsewhere(BareWriter):
    def write(self, *arguments: Any) -> None:
        super().write(arguments[0], arguments[1], arguments[2].with_suffix(".other"), arguments[3])


class Littering(BareWriter):
    def write(self, *arguments: Any) -> None:
        super().write(*arguments)
        (arguments[2].parent.parent / "litter").touch()


class Changing(BareWriter):
    def write(self, *arguments: Any) -> None:
        arguments[0].image *= 0.5
        super().write(*arguments)


class Dark(BareWriter):
    def write(
        self, result: Result, snapshots: Iterable[Snapshot], path: Path, record: dict[str, Any]
    ) -> None:
        super().write(replace(result, image=result.image / 2), snapshots, path, record)


def bare(create: Callable[[Any], Any], suffix: str = ".ppm") -> WriterSpec:
    return WriterSpec(name="bare", summary="", suffixes=(suffix,), create=create)


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
        (Empty, "is empty"),
        (Elsewhere, "wrote no file"),
        (Littering, "litter"),
        (Changing, "read-only"),
        (Dark, "off by"),
        (lambda options: None, "must be a Writer"),
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
