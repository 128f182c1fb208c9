"""The contract of a backend, as a pytest suite that its author subclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import SkipTest

import torch
from torch import Tensor

from ...backends.accuracy.distances import relative_l2
from ...core.deprecation import warn_deprecated
from ...core.errors import BackendError
from ...core.interfaces.backend import LazyCotangents
from ...core.interfaces.specs import BackendSpec
from ...core.objective.cuda_graph import GraphedFunction
from .backend_case import (
    SCATTERED,
    SIZES,
    BackendTolerance,
    Case,
    cases_of,
    former_spec,
    refuses,
    texture,
)
from .backend_refusals import BackendRefusals
from .checks import require

if TYPE_CHECKING:
    import pytest


class BackendSuite(BackendRefusals):
    """Tests that a backend computes the network, and keeps the contract of FeatureBackend::

        class TestMine(BackendSuite):
            spec = SPEC
            options = {"speed": 2}
            devices = ("cpu", "cuda")
            batches = False

    The attributes state what the backend supports. It must raise BackendError for what it does not
    support. The networks are tiny, so that the suite takes seconds.
    """

    #: The contribution under test.
    spec: BackendSpec[Any]
    #: Values of the spec's own options, beside the device and the precision.
    options: ClassVar[Mapping[str, Any]] = {}

    #: Values of `options.device`; the author must omit devices that the machine lacks.
    devices: Sequence[str] = ("cpu",)
    #: Values of `options.precision`.
    precisions: Sequence[str] = ("float32",)
    #: Whether one backend takes images of several sizes; else a backend is created for each size.
    dynamic_shapes: bool = True
    #: Whether the backend takes several images at once.
    batches: bool = True
    #: Whether the same image gives the same bits.
    deterministic: bool = True
    #: For a backend that has a reason to be less accurate than its precision.
    tolerance: BackendTolerance | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "create" in vars(cls):
            warn_deprecated(
                "create(backbone, layers, options) of a BackendSuite",
                "set `spec`, a BackendSpec, and `options`",
            )

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize each test by network, device and precision."""
        if "case" not in metafunc.fixturenames:  # a test of the author's own
            return
        former_create = getattr(self, "create", None)
        cases = cases_of(
            former_spec(former_create) if former_create else self.spec,
            self.options,
            self.devices,
            self.precisions,
            self.tolerance,
        )
        metafunc.parametrize("case", cases.values(), ids=cases.keys())

    def test_features_are_those_of_float64(self, case: Case) -> None:
        """Check features at several sizes, of two alternating images, and outside of [0, 1]."""
        images = [texture(*size) for size in SIZES]
        images += [texture(11, 14, seed) for seed in (0, 1, 0)]
        images.append(2 * texture(11, 14) - 0.5)
        for group in [images] if self.dynamic_shapes else [[image] for image in images]:
            with case.backend() as backend:
                for image in group:
                    size = tuple(image.shape[2:])
                    case.check_close(backend.features(image), image, f"at {size}")

    def test_gradients_are_those_of_float64(self, case: Case) -> None:
        """Check the pullback of all layers together, and of each alone."""
        for group in [SIZES] if self.dynamic_shapes else [[size] for size in SIZES]:
            with case.backend() as backend:
                for image in (texture(*size) for size in group):
                    case.check_gradient(backend, image, case.layers)
                    for layer in case.layers:
                        case.check_gradient(backend, image, [layer])

    def test_vjp_and_features_agree(self, case: Case) -> None:
        """Check the features of `vjp`, and those of each layer alone."""
        image = texture(11, 14)
        with case.backend() as backend:
            case.check_close(backend.vjp(image)[0], image, "vjp")
            for layer in case.layers:
                alone = backend.features(image, [layer])
                require(set(alone) == {layer}, f"asked for {layer}, it returns {sorted(alone)}")
                case.check_close(alone, image, f"features of {layer} alone")

    def test_a_pullback_is_linear(self, case: Case) -> None:
        """Check that the pullback of a sum is the sum of the pullbacks."""
        image = texture(11, 14)
        with case.backend() as backend:
            first, second = (case.cotangents(backend, image, case.layers, seed) for seed in (1, 2))
            mixed = {name: 2 * first[name] - 3 * second[name] for name in first}
            gradients = [backend.vjp(image)[1](sample) for sample in (first, second, mixed)]
        off = relative_l2(gradients[2], 2 * gradients[0] - 3 * gradients[1])
        # All three have the same image and so the same kinks: the difference is rounding alone.
        require(off <= 2 * case.tolerance.features, f"the pullback is not linear: {off:.2g}")

    def test_layers_that_are_left_out_count_as_zero(self, case: Case) -> None:
        """Check a pullback without some layers' cotangents, and without any."""
        image, last = texture(11, 14), case.layers[-1]
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            zeros = {name: torch.zeros_like(value) for name, value in cotangents.items()}
            deepest = {last: cotangents[last]}
            gradient = backend.vjp(image)[1](deepest)
            expected = backend.vjp(image)[1](zeros | deepest)
            off = relative_l2(gradient, expected)
            message = f"without some layers, the gradient is off by {off:.2g}"
            require(off <= 2 * case.tolerance.features, message)
            empty = backend.vjp(image)[1]({})
        message = f"without cotangents, the gradient has the shape {tuple(empty.shape)}"
        require(empty.shape == image.shape, message)
        require(not empty.any(), "without cotangents, the gradient is not zero")

    def test_cotangents_may_be_computed_when_they_are_used(self, case: Case) -> None:
        """Check a mapping of cotangents that are computed on access, as the objective makes it."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            first, *others = case.layers
            pending = {name: partial(cotangents.__getitem__, name) for name in others}
            lazy = LazyCotangents({first: cotangents[first]}, pending)
            gradient = backend.vjp(image)[1](lazy)
            off = relative_l2(gradient, backend.vjp(image)[1](cotangents))
        require(
            off <= 2 * case.tolerance.features,
            f"for LazyCotangents, the gradient is off by {off:.2g}",
        )

    def test_tensors_need_not_be_contiguous(self, case: Case) -> None:
        """Check images and cotangents whose values have another order, or gaps, in memory."""
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
                    message = f"for an image that is {what}, {name} is off by {off:.2g}"
                    require(off <= 2 * case.tolerance.features, message)

    def test_a_claim_of_being_recordable_is_true(self, case: Case) -> None:
        """Check that a `recordable` backend can be recorded as a CUDA graph, and replayed."""
        with case.backend() as backend:
            if not backend.recordable:
                raise SkipTest("it does not claim to be recordable")
            device = backend.device
            require(device.type == "cuda", f"it is recordable on {device}, without CUDA graphs")
            images = [texture(11, 14, seed).to(device) for seed in (0, 1)]
            cotangents = case.cotangents(backend, images[0], case.layers)

            def evaluate(image: Tensor) -> tuple[Tensor, ...]:
                features, pullback = backend.vjp(image)
                return (*features.values(), pullback(cotangents))

            graphed = GraphedFunction(evaluate)
            for _ in range(2):
                graphed(images[0])
            require(graphed.is_recorded, "it is recordable, but waits for the device")
            for replayed, expected in zip(graphed(images[1]), evaluate(images[1]), strict=True):
                off = relative_l2(replayed, expected)
                require(off <= case.tolerance.gradient, f"replayed, it is off by {off:.2g}")

    def test_the_same_image_gives_the_same(self, case: Case) -> None:
        """Check repeated calls: equal bits, or within the tolerance unless `deterministic`."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            repeated = []
            for _ in range(3):
                features, pullback = backend.vjp(image)
                repeated.append([*features.values(), pullback(cotangents)])
        for tensors in repeated[1:]:
            for value, first in zip(tensors, repeated[0], strict=True):
                same = torch.equal(value, first)
                if not self.deterministic:
                    same = relative_l2(value, first) <= case.tolerance.gradient
                require(same, "called again, it returns something else")

    def test_nothing_that_is_given_is_changed(self, case: Case) -> None:
        """Check that images, cotangents and returned features keep their values."""
        image = texture(11, 14)
        with case.backend() as backend:
            cotangents = case.cotangents(backend, image, case.layers)
            alone = backend.features(image)
            features, pullback = backend.vjp(image)
            kept = [image, *cotangents.values(), *alone.values(), *features.values()]
            # Made anew, since the calls above may have changed the image and the cotangents.
            before = [texture(11, 14), *case.cotangents(backend, image, case.layers).values()]
            before += [value.clone() for value in kept[len(before) :]]
            pullback(cotangents)
        for value, old in zip(kept, before, strict=True):
            require(
                torch.equal(value.cpu(), old.cpu()), "it changes its arguments, or its features"
            )
        require(not image.requires_grad, "it makes the image require a gradient")

    def test_what_it_gave_outlives_the_next_call(self, case: Case) -> None:
        """Check that returned tensors are not reused, with two pullbacks open."""
        images = [texture(11, 14, seed) for seed in (0, 1)]
        with case.backend() as backend:
            cotangents = [case.cotangents(backend, image, case.layers) for image in images]
            evaluations = [backend.vjp(image) for image in images]
            gradients = [
                pullback(sample)
                for (_, pullback), sample in zip(evaluations, cotangents, strict=True)
            ]
            for (features, _), image in zip(evaluations, images, strict=True):
                case.check_close(features, image, "after the next image")
        for gradient, image, sample in zip(gradients, images, cotangents, strict=True):
            off = relative_l2(gradient, case.exact.vjp(image)[1](sample))
            message = f"with two pullbacks open a gradient is off by {off:.2g}"
            require(off <= case.tolerance.gradient, message)

    def test_what_comes_back_is_what_is_promised(self, case: Case) -> None:
        """Check names, types, shapes, devices, and that no output requires a gradient."""
        image = texture(9, 17)
        exact = case.exact.features(image)
        with case.backend() as backend:
            require(tuple(backend.layers) == case.layers, f"its layers are {backend.layers}")
            features, pullback = backend.vjp(image)
            gradient = pullback(case.cotangents(backend, image, case.layers))
            outputs = [
                (f"vjp's {name}", value, exact[name].shape) for name, value in features.items()
            ]
            alone = backend.features(image)
            outputs += [(name, value, exact[name].shape) for name, value in alone.items()]
            require(set(features) == set(alone) == set(case.layers), "it returns other layers")
            for name, value, shape in [*outputs, ("the gradient", gradient, image.shape)]:
                require(value.shape == shape, f"{name} has the shape {tuple(value.shape)}")
                require(value.dtype == torch.float32, f"{name} is of {value.dtype}")
                require(value.device.type == backend.device.type, f"{name} is on {value.device}")
                require(not value.requires_grad, f"{name} requires a gradient")

    def test_a_batch_is_its_images(self, case: Case) -> None:
        """Check a batch of two images; unless `batches`, it must raise BackendError."""
        image = torch.cat([texture(11, 14, seed) for seed in (0, 1)])
        with case.backend() as backend:
            if not self.batches:
                refuses(BackendError, "a batch", backend.features, image)
                refuses(BackendError, "a batch, for vjp", backend.vjp, image)
                return
            case.check_close(backend.features(image), image, "of a batch")
            case.check_gradient(backend, image, case.layers)

    def test_being_told_of_sizes_changes_nothing(self, case: Case) -> None:
        """Check the features after `prepare`, at its sizes and others, and after a second call."""
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
