"""`BackendSuite` finds what is wrong with a backend, and believes what it is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any
from unittest import SkipTest

import pytest
import torch
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.errors import BackendError
from stylectl.core.interfaces.backbone import Backbone
from stylectl.core.interfaces.backend import BackendOptions, FeatureBackend, Features, Pullback
from stylectl.core.interfaces.contract import check_image
from stylectl.core.interfaces.specs import BackendSpec
from stylectl.core.interfaces.trunk import ChainTrunk
from stylectl.plugins.testing.backend_case import SIZES, TOLERANCES, Case, texture
from stylectl.testing import BackendSuite, BackendTolerance, KinkedBackbone, TinyBackbone
from torch import Tensor, nn

Make = Callable[[Backbone, Sequence[str], BackendOptions], FeatureBackend]


class Suite(BackendSuite):
    def __init__(self, make: Make) -> None:
        self.spec = BackendSpec(
            name="made",
            summary="",
            create=lambda arguments: make(arguments.backbone, arguments.layers, arguments.options),
            options=BackendOptions,
        )


Suite.__test__ = False  # type: ignore[attr-defined]


def failures(suite: Suite, backbone: Backbone | None = None) -> dict[str, str]:
    """The suite's tests that fail, with what they say."""
    options = BackendOptions(device="cpu")
    tolerance = suite.tolerance or TOLERANCES["float32"]
    case = Case(suite.spec, backbone or KinkedBackbone(), options, tolerance)
    found = {}
    for name in (name for name in dir(suite) if name.startswith("test_")):
        try:
            getattr(suite, name)(case)
        except SkipTest:
            continue
        except Exception as error:  # a crash fails a test, too
            found[name.removeprefix("test_")] = str(error)
    return found


def ten_bits(value: Tensor) -> Tensor:
    """Rounded to the mantissa of TF32."""
    bits = value.contiguous().view(torch.int32)
    return ((bits + (1 << 12)) & ~((1 << 13) - 1)).view(torch.float32)


class Wrong(TorchBackend):
    """The torch backend, with a place to be wrong at."""

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        return self.spoilt(super().features(image, layers))

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        features, pullback = super().vjp(image)
        return self.spoilt(features), lambda cotangents: self.gradient(pullback, cotangents)

    def spoilt(self, features: Features) -> Features:
        return features

    def gradient(self, pullback: Pullback, cotangents: Features) -> Tensor:
        return pullback(cotangents)


class FlippedSign(Wrong):
    def gradient(self, pullback: Pullback, cotangents: Features) -> Tensor:
        return -pullback(cotangents)


class OneLayerOff(Wrong):
    """Two layers of one shape are taken for one another."""

    def spoilt(self, features: Features) -> Features:
        off = {"relu1_1": "relu1_2"}
        return {name: features.get(off.get(name, name), features[name]) for name in features}


class GradientOneLayerOff(Wrong):
    def gradient(self, pullback: Pullback, cotangents: Features) -> Tensor:
        other = {"relu1_1": "relu1_2", "relu1_2": "relu1_1"}
        known = self.layers == ("relu1_1", "relu1_2", "relu2_1")
        return pullback(
            {other.get(name, name) if known else name: each for name, each in cotangents.items()}
        )


class LikeTf32(Wrong):
    def spoilt(self, features: Features) -> Features:
        return {name: ten_bits(value) for name, value in features.items()}


class GradientLikeTf32(Wrong):
    def gradient(self, pullback: Pullback, cotangents: Features) -> Tensor:
        return pullback({name: ten_bits(value) for name, value in cotangents.items()})


class ChangesImage(Wrong):
    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        check_image(image)
        found = super().vjp(image)
        image.mul_(0.5)
        return found


class ChangesCotangents(Wrong):
    def gradient(self, pullback: Pullback, cotangents: Features) -> Tensor:
        gradient = pullback(cotangents)
        for value in cotangents.values():
            value.zero_()
        return gradient


class ChangesFeatures(Wrong):
    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        features, pullback = super().vjp(image)

        def changing(cotangents: Features) -> Tensor:
            gradient = pullback(cotangents)
            for value in features.values():
                value.zero_()
            return gradient

        return features, changing


class Stale(Wrong):
    """Features are remembered by the image's shape."""

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        found = super().features(image)
        known = vars(self).setdefault("known", {}).setdefault(image.shape, found)
        return {name: known[name] for name in super().features(image, layers)}


class OneBuffer(Wrong):
    """Every call writes to the same memory."""

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        features, pullback = super().vjp(image)
        buffers = vars(self).setdefault("buffers", {})
        for name, value in features.items():
            key = (name, value.shape)
            buffers[key] = buffers[key].copy_(value) if key in buffers else value.clone()
        return {name: buffers[name, value.shape] for name, value in features.items()}, pullback


class Clips(Wrong):
    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        return super().features(image.clamp(0, 1) if image.is_floating_point() else image, layers)


class NeedsEveryCotangent(Wrong):
    def gradient(self, pullback: Pullback, cotangents: Features) -> Tensor:
        return pullback({name: cotangents[name] for name in self.layers})


class EveryLayer(Wrong):
    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        super().features(image, layers)
        return super().features(image)


class InFloat64(Wrong):
    def spoilt(self, features: Features) -> Features:
        return {name: value.double() for name, value in features.items()}


class NotLinear(Wrong):
    def gradient(self, pullback: Pullback, cotangents: Features) -> Tensor:
        return pullback({name: value.clamp(-1, 1) for name, value in cotangents.items()})


class Random(Wrong):
    def spoilt(self, features: Features) -> Features:
        return {name: value * (1 + 1e-7 * torch.rand(())) for name, value in features.items()}


class FirstImageAlone(Wrong):
    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        found = super().features(image, layers)
        return {name: value[:1].expand_as(value) for name, value in found.items()}


class PlainDictionariesAlone(Wrong):
    """Ignores cotangents in any other mapping."""

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        features, pullback = super().vjp(image)
        return features, lambda cotangents: pullback(
            cotangents if isinstance(cotangents, dict) else {}
        )


class AsTheyLie(Wrong):
    """Takes an image's values in the order in which they lie in memory."""

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        return super().vjp(in_memory(image))


class CotangentsAsTheyLie(Wrong):
    """Takes cotangents' values in the order in which they lie in memory."""

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        features, pullback = super().vjp(image)
        return features, lambda cotangents: pullback(
            {name: in_memory(value) for name, value in cotangents.items()}
        )


def in_memory(value: Tensor) -> Tensor:
    strides = torch.empty(value.shape).stride()
    return torch.as_strided(value, value.shape, strides, value.storage_offset())


class NeverClosed(Wrong):
    def close(self) -> None: ...


class Unchecked(FeatureBackend):
    """Right, but what it is handed is for torch to complain of."""

    def __init__(self, backbone: Backbone, layers: Sequence[str], options: BackendOptions) -> None:
        self.layers, self.device = tuple(layers), torch.device("cpu")
        self.trunk = backbone.trunk(layers)

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        made: dict[str, Tensor] = self.trunk(image, layers)
        return made

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        leaf = image.detach().requires_grad_()
        made: dict[str, Tensor] = self.trunk(leaf)

        def pullback(cotangents: Features) -> Tensor:
            if not cotangents:
                return torch.zeros_like(image)
            outputs = [made[name] for name in cotangents]
            return torch.autograd.grad(outputs, leaf, list(cotangents.values()))[0]

        return {name: value.detach() for name, value in made.items()}, pullback


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (FlippedSign, "gradients_are_those_of_float64"),
        (OneLayerOff, "features_are_those_of_float64"),
        (OneLayerOff, "vjp_and_features_agree"),
        (GradientOneLayerOff, "gradients_are_those_of_float64"),
        (LikeTf32, "features_are_those_of_float64"),
        (LikeTf32, "vjp_and_features_agree"),
        (GradientLikeTf32, "gradients_are_those_of_float64"),
        (ChangesImage, "nothing_that_is_given_is_changed"),
        (ChangesCotangents, "nothing_that_is_given_is_changed"),
        (ChangesFeatures, "nothing_that_is_given_is_changed"),
        (Stale, "features_are_those_of_float64"),
        (OneBuffer, "what_it_gave_outlives_the_next_call"),
        (Clips, "features_are_those_of_float64"),
        (NeedsEveryCotangent, "layers_that_are_left_out_count_as_zero"),
        (EveryLayer, "vjp_and_features_agree"),
        (InFloat64, "what_comes_back_is_what_is_promised"),
        (NotLinear, "a_pullback_is_linear"),
        (Random, "the_same_image_gives_the_same"),
        (FirstImageAlone, "a_batch_is_its_images"),
        (NeverClosed, "a_closed_backend_refuses"),
        (PlainDictionariesAlone, "cotangents_may_be_computed_when_they_are_used"),
        (AsTheyLie, "tensors_need_not_be_contiguous"),
        (CotangentsAsTheyLie, "tensors_need_not_be_contiguous"),
        (Unchecked, "images_that_are_none_are_refused"),
        (Unchecked, "unknown_layers_and_wrong_cotangents_are_refused"),
        (Unchecked, "a_second_pullback_is_the_same_or_refused"),
        (Unchecked, "a_closed_backend_refuses"),
    ],
)
def test_a_wrong_backend_is_found_out(make: Make, test: str) -> None:
    assert test in failures(Suite(make))


def test_a_right_backend_is_not(smooth_backbone: Backbone) -> None:
    assert failures(Suite(TorchBackend)) == {}
    assert failures(Suite(Wrong), TinyBackbone()) == {}


def test_what_is_found_is_said() -> None:
    found = failures(Suite(FlippedSign))
    assert "off by 2" in found["gradients_are_those_of_float64"]
    found = failures(Suite(Unchecked))
    assert (
        "three dimensions: it must raise BackendError" in found["images_that_are_none_are_refused"]
    )
    assert "not ValueError" in found["unknown_layers_and_wrong_cotangents_are_refused"]


class OneShape(Wrong):
    """For one size of one image, as an engine that was built for it."""

    def laid_out(self, image: Tensor) -> None:
        check_image(image)
        built_for = vars(self).setdefault("built_for", image.shape)
        if image.shape != built_for or len(image) > 1:
            raise BackendError("the engine was built for another shape")

    def features(self, image: Tensor, layers: Collection[str] | None = None) -> Features:
        self.laid_out(image)
        return super().features(image, layers)

    def vjp(self, image: Tensor) -> tuple[Features, Pullback]:
        self.laid_out(image)
        return super().vjp(image)


class Limited(Suite):
    dynamic_shapes = False
    batches = False


class Recordable(Wrong):
    recordable = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.recordable = True


def test_a_claim_of_being_recordable_on_a_processor_is_found_out() -> None:
    found = failures(Suite(Recordable))
    assert "without CUDA graphs" in found["a_claim_of_being_recordable_is_true"]


def test_a_suite_of_version_0_1_still_works_with_a_warning(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        from stylectl.backends.pytorch.backend import TorchBackend
        from stylectl.testing import BackendSuite

        class TestMine(BackendSuite):
            made = []

            def create(self, backbone, layers, options):
                return TorchBackend(backbone, layers, options)

        class TestMineToo(TestMine):
            pass
        """
    )
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "linear")
    outcome.assert_outcomes(passed=4, warnings=1)


def test_what_a_backend_says_that_it_cannot_do_is_not_asked_of_it() -> None:
    assert failures(Limited(OneShape)) == {}
    assert {"features_are_those_of_float64", "a_batch_is_its_images"} <= set(
        failures(Suite(OneShape))
    )


def test_what_it_cannot_do_it_must_refuse() -> None:
    found = failures(Limited(TorchBackend))
    assert set(found) == {"a_batch_is_its_images"}
    assert "raises nothing" in found["a_batch_is_its_images"]


class Loose(Suite):
    tolerance = BackendTolerance(features=1e-3, gradient=1e-3)
    deterministic = False


def test_tolerance_and_determinism_can_be_stated() -> None:
    assert failures(Loose(LikeTf32)) == {}
    assert failures(Loose(Random)) == {}
    assert "features_are_those_of_float64" in failures(Loose(OneLayerOff))


def test_no_kink_is_near_enough_to_be_switched_by_rounding() -> None:
    # float32 is off by some 1e-7 of the activations' size.
    trunk = KinkedBackbone().trunk(["relu2_1"]).double()
    assert isinstance(trunk, ChainTrunk)
    nearest = []
    for size, seed in [*((size, 0) for size in SIZES), ((11, 14), 1)]:
        x: Any = trunk.normalize(texture(*size, seed=seed).double())
        for step in trunk.steps:
            if isinstance(step, nn.ReLU):
                nearest.append((x.abs().min() / x.std()).item())
            if isinstance(step, nn.MaxPool2d):
                windows = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
                first, second = windows.topk(2).values.unbind(-1)
                nearest.append(((first - second)[first > 0].min() / x.std()).item())
            x = step(x)
    assert min(nearest) > 5e-6, sorted(nearest)[:3]
