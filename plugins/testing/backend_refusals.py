"""The errors of a backend's contract, as tests that the backend suite contains."""

from __future__ import annotations

import torch

from ...backends.accuracy.distances import relative_l2
from ...core.errors import BackendError, UsageError
from .backend_case import Case, refuses, texture
from .checks import require


class BackendRefusals:
    """Tests that a backend raises the errors of FeatureBackend's contract."""

    def test_images_that_are_none_are_refused(self, case: Case) -> None:
        """Check the errors for images of other shapes and types."""
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
            for what, value in wrong.items():
                refuses(BackendError, what, backend.features, value)
                refuses(BackendError, f"{what}, for vjp", backend.vjp, value)

    def test_unknown_layers_and_wrong_cotangents_are_refused(self, case: Case) -> None:
        """Check the errors, also for a layer of the network that the backend does not have."""
        image, (first, *_) = texture(11, 14), case.layers
        with case.backend([first]) as backend:
            cotangent = case.cotangents(backend, image, [first])[first]
            for layer in ("no such layer", case.layers[-1]):
                refuses(UsageError, layer, backend.features, image, [layer])
                refuses(UsageError, layer, backend.vjp(image)[1], {layer: cotangent})
            wrong = {
                "a cotangent of another size": cotangent[:, :, 1:],
                "a cotangent without the batch": cotangent[0],
                "a cotangent in float64": cotangent.double(),
            }
            for what, value in wrong.items():
                refuses(BackendError, what, backend.vjp(image)[1], {first: value})

    def test_a_second_pullback_is_the_same_or_refused(self, case: Case) -> None:
        """Check a second call, which may raise BackendError, since the first frees memory."""
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
        require(
            off <= 2 * case.tolerance.features, f"called twice, the pullback is off by {off:.2g}"
        )

    def test_a_closed_backend_refuses(self, case: Case) -> None:
        """Check the errors after `close`, and a second call of it."""
        image = texture(11, 14)
        backend = case.backend()
        backend.features(image)
        backend.close()
        refuses(BackendError, "features after close", backend.features, image)
        refuses(BackendError, "vjp after close", backend.vjp, image)
        backend.close()
