"""The contract of a backend, as a pytest suite that its author subclasses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch

from ...backends.accuracy.distances import relative_l2
from ...core.errors import BackendError, UsageError
from ...core.interfaces.backbone import Backbone
from ...core.interfaces.backend import BackendOptions, FeatureBackend
from ...core.interfaces.cotangents import LazyCotangents
from .backend_case import (
    SCATTERED,
    SIZES,
    TOLERANCES,
    BackendTolerance,
    Case,
    refuses,
    texture,
)
from .network import KinkedBackbone, TinyBackbone
from .require import require

if TYPE_CHECKING:
    import pytest


class BackendSuite(ABC):
    """Tests that a backend computes what the network is and keeps the contract of FeatureBackend.

        class TestMine(BackendSuite):
            devices = ("cpu", "cuda")
            batches = False

            def create(self, backbone, layers, options):
                return MyBackend(backbone, layers, options)

    The attributes state what the backend can do. What it cannot do it must refuse with a
    BackendError. The networks are tiny, so that the suite takes seconds.
    """

    #: What `options.device` is to be; those that the machine lacks are for the author to leave out.
    devices: Sequence[str] = ("cpu",)
    #: What `options.precision` is to be.
    precisions: Sequence[str] = ("float32",)
    #: Whether one backend takes images of several sizes; else each size gets one of its own.
    dynamic_shapes: bool = True
    #: Whether it takes several images at once.
    batches: bool = True
    #: Whether the same image gives the same bits.
    deterministic: bool = True
    #: For a backend that is less accurate than its precision, and has a reason to be.
    tolerance: BackendTolerance | None = None

    @abstractmethod
    def create(
        self, backbone: Backbone, layers: Sequence[str], options: BackendOptions
    ) -> FeatureBackend:
        """The backend under test, as its BackendSpec's `create` makes it."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test, for each network, device and precision."""
        if "case" not in metafunc.fixturenames:  # a test of the author's own
            return
        networks: dict[str, Backbone] = {"smooth": TinyBackbone(), "kinked": KinkedBackbone()}
        cases = {
            f"{name}-{device}-{precision}": Case(
                self.create,
                backbone,
                BackendOptions.model_validate({"device": device, "precision": precision}),
                self.tolerance or TOLERANCES[precision],
            )
            for name, backbone in networks.items()
            for device in self.devices
            for precision in self.precisions
        }
        metafunc.parametrize("case", cases.values(), ids=cases.keys())

    def test_features_are_those_of_float64(self, case: Case) -> None:
        """Of several sizes, of two images of one size in turn, and outside of [0, 1]."""
        images = [texture(*size) for size in SIZES]
        images += [texture(11, 14, seed) for seed in (0, 1, 0)]
        images.append(2 * texture(11, 14) - 0.5)
        for group in [images] if self.dynamic_shapes else [[image] for image in images]:
            with case.backend() as backend:
                for image in group:
                    size = tuple(image.shape[2:])
                    case.check_close(backend.features(image), image, f"at {size}")

    def test_gradients_are_those_of_float64(self, case: Case) -> None:
        """Of all layers together, and of each alone."""
        for group in [SIZES] if self.dynamic_shapes else [[size] for size in SIZES]:
            with case.backend() as backend:
                for image in (texture(*size) for size in group):
                    case.check_gradient(backend, image, case.layers)
                    for layer in case.layers:
                        case.check_gradient(backend, image, [layer])

    def test_vjp_and_features_agree(self, case: Case) -> None:
        """The features beside the pullback are as accurate, whichever layers are asked for."""
        image = texture(11, 14)
        with case.backend() as backend:
            case.check_close(backend.vjp(image)[0], image, "vjp")
            for layer in case.layers:
                some = backend.features(image, [layer])
                require(set(some) == {layer}, f"asked for {layer} it gives {sorted(some)}")
                case.check_close(some, image, f"features of {layer} alone")

    def test_a_pullback_is_linear(self, case: Case) -> None:
        """That of a sum is the sum."""
        image = texture(11, 14)
        with case.backend() as backend:
            first, second = (case.cotangents(backend, image, case.layers, seed) for seed in (1, 2))
            mixed = {name: 2 * first[name] - 3 * second[name] for name in first}
            one, two, both = (backend.vjp(image)[1](each) for each in (first, second, mixed))
        off = relative_l2(both, 2 * one - 3 * two)
        # The same kinks are on in all three: what is left is rounding, as in the features.
        require(off <= 2 * case.tolerance.features, f"the pullback is not linear: {off:.2g}")

    def test_layers_that_are_left_out_count_as_zero(self, case: Case) -> None:
        """Also if none is left."""
        image, last = texture(11, 14), case.layers[-1]
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            zeros = {name: torch.zeros_like(value) for name, value in cotangents.items()}
            given = {last: cotangents[last]}
            left_out, zero = (backend.vjp(image)[1](each) for each in (given, zeros | given))
            off = relative_l2(left_out, zero)
            require(off <= 2 * case.tolerance.features, f"it is off by {off:.2g}")
            nothing = backend.vjp(image)[1]({})
        require(nothing.shape == image.shape, f"of no cotangents it gives {tuple(nothing.shape)}")
        require(not nothing.any(), "of no cotangents it gives a gradient")

    def test_cotangents_may_be_computed_when_they_are_used(self, case: Case) -> None:
        """As the objective gives them: a mapping whose values are computed on access."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            first, *others = case.layers
            pending = {name: partial(cotangents.__getitem__, name) for name in others}
            lazy = LazyCotangents({first: cotangents[first]}, pending)
            gradient = backend.vjp(image)[1](lazy)
            off = relative_l2(gradient, backend.vjp(image)[1](cotangents))
        require(off <= 2 * case.tolerance.features, f"of LazyCotangents it is off by {off:.2g}")

    def test_tensors_need_not_be_contiguous(self, case: Case) -> None:
        """An image and cotangents whose values lie in another order, or apart, in memory."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            features, pullback = backend.vjp(image)
            gradient = pullback(cotangents)
            for what, scattered in SCATTERED.items():
                again, pullback = backend.vjp(scattered(image))
                off = relative_l2(
                    pullback({name: scattered(value) for name, value in cotangents.items()}),
                    gradient,
                )
                message = f"with tensors that are {what}, the gradient is off by {off:.2g}"
                require(off <= case.tolerance.gradient, message)
                for name, value in again.items():
                    off = relative_l2(value, features[name])
                    message = f"of an image that is {what}, {name} is off by {off:.2g}"
                    require(off <= 2 * case.tolerance.features, message)

    def test_the_same_image_gives_the_same(self, case: Case) -> None:
        """To the bit, or within the tolerance where `deterministic` is False."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            found = []
            for _ in range(3):
                features, pullback = backend.vjp(image)
                found.append([*features.values(), pullback(cotangents)])
        for again in found[1:]:
            for value, first in zip(again, found[0], strict=True):
                same = torch.equal(value, first)
                if not self.deterministic:
                    same = relative_l2(value, first) <= case.tolerance.gradient
                require(same, "asked again it gives something else")

    def test_nothing_that_is_given_is_changed(self, case: Case) -> None:
        """Neither the image, nor the cotangents, nor the features that the backend gave."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            alone = backend.features(image)
            features, pullback = backend.vjp(image)
            kept = [image, *cotangents.values(), *alone.values(), *features.values()]
            # A copy of what it should have been given: the calls above may have changed it.
            before = [texture(11, 14), *case.cotangents(backend, image, case.layers).values()]
            before += [value.clone() for value in kept[len(before) :]]
            pullback(cotangents)
        for value, old in zip(kept, before, strict=True):
            require(torch.equal(value.cpu(), old.cpu()), "it changes what it was given, or gave")
        require(not image.requires_grad, "it makes the image require a gradient")

    def test_what_it_gave_outlives_the_next_call(self, case: Case) -> None:
        """Nothing is kept between calls, and two pullbacks may be open."""
        images = [texture(11, 14, seed) for seed in (0, 1)]
        with case.backend() as backend:
            cotangents = [case.cotangents(backend, image, case.layers) for image in images]
            open_ones = [backend.vjp(image) for image in images]
            gradients = [
                pullback(each) for (_, pullback), each in zip(open_ones, cotangents, strict=True)
            ]
            for (features, _), image in zip(open_ones, images, strict=True):
                case.check_close(features, image, "after the next image")
        for gradient, image, each in zip(gradients, images, cotangents, strict=True):
            off = relative_l2(gradient, case.exact.vjp(image)[1](each))
            message = f"with two pullbacks open a gradient is off by {off:.2g}"
            require(off <= case.tolerance.gradient, message)

    def test_what_comes_back_is_what_is_promised(self, case: Case) -> None:
        """Names, types, shapes, devices; nothing that requires a gradient."""
        image = texture(9, 17)
        exact = case.exact.features(image)
        with case.backend() as backend:
            require(tuple(backend.layers) == case.layers, f"its layers are {backend.layers}")
            features, pullback = backend.vjp(image)
            gradient = pullback(case.cotangents(backend, image, case.layers))
            every = [
                (f"vjp's {name}", value, exact[name].shape) for name, value in features.items()
            ]
            alone = backend.features(image)
            every += [(name, value, exact[name].shape) for name, value in alone.items()]
            require(set(features) == set(alone) == set(case.layers), "it gives other layers")
            for name, value, shape in [*every, ("the gradient", gradient, image.shape)]:
                require(value.shape == shape, f"{name} has the shape {tuple(value.shape)}")
                require(value.dtype == torch.float32, f"{name} is of {value.dtype}")
                require(value.device.type == backend.device.type, f"{name} is on {value.device}")
                require(not value.requires_grad, f"{name} requires a gradient")

    def test_a_batch_is_its_images(self, case: Case) -> None:
        """Or is refused, where `batches` is False."""
        image = torch.cat([texture(11, 14, seed) for seed in (0, 1)])
        with case.backend() as backend:
            if not self.batches:
                refuses(BackendError, "a batch", backend.features, image)
                refuses(BackendError, "a batch, for vjp", backend.vjp, image)
                return
            case.check_close(backend.features(image), image, "of a batch")
            case.check_gradient(backend, image, case.layers)

    def test_images_that_are_none_are_refused(self, case: Case) -> None:
        """Other shapes, other types."""
        image = texture(11, 14)
        wrong = {
            "three dimensions": image[0],
            "one channel": image[:, :1],
            "four channels": torch.cat([image, image[:, :1]], 1),
            "no rows": image[:, :, :0],
            "no image": image[:0],
            "float64": image.double(),
            "bytes": image.mul(255).byte(),
        }
        with case.backend() as backend:
            for what, each in wrong.items():
                refuses(BackendError, what, backend.features, each)
                refuses(BackendError, f"{what}, for vjp", backend.vjp, each)

    def test_unknown_layers_and_wrong_cotangents_are_refused(self, case: Case) -> None:
        """Also a layer of the network that the backend was not made for."""
        image, (first, *_) = texture(11, 14), case.layers
        with case.backend([first]) as backend:
            cotangent = case.cotangents(backend, image, [first])[first]
            for layer in ("no such layer", case.layers[-1]):
                refuses(UsageError, layer, backend.features, image, [layer])
                given = {layer: cotangent}
                refuses(UsageError, layer, backend.vjp(image)[1], given)
            wrong = {
                "a cotangent of another size": cotangent[:, :, 1:],
                "a cotangent without the batch": cotangent[0],
                "a cotangent in float64": cotangent.double(),
            }
            for what, each in wrong.items():
                given = {first: each}
                refuses(BackendError, what, backend.vjp(image)[1], given)

    def test_a_second_pullback_is_the_same_or_refused(self, case: Case) -> None:
        """It may have freed what it needs."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            _, pullback = backend.vjp(image)
            first = pullback(cotangents).clone()
            try:
                second = pullback(cotangents)
            except BackendError:
                return
        off = relative_l2(second, first)
        require(off <= 2 * case.tolerance.features, f"called twice it is off by {off:.2g}")

    def test_being_told_of_sizes_changes_nothing(self, case: Case) -> None:
        """Neither for images of these sizes nor for others, and it may be told again."""
        image = texture(11, 14)
        with case.backend() as backend:
            before = {name: value.clone() for name, value in backend.features(image).items()}
            for sizes in ([(9, 10), (11, 14)], [(16, 12)]):
                backend.prepare(sizes)
                for name, value in backend.features(image).items():
                    off = relative_l2(value, before[name])
                    require(
                        off <= 2 * case.tolerance.features,
                        f"after prepare({sizes}), {name} is off by {off:.2g}",
                    )

    def test_a_closed_backend_refuses(self, case: Case) -> None:
        """And may be closed twice."""
        image = texture(11, 14)
        backend = case.backend()
        backend.features(image)
        backend.close()
        refuses(BackendError, "features after close", backend.features, image)
        refuses(BackendError, "vjp after close", backend.vjp, image)
        backend.close()
