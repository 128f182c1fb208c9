"""The backend: stylectl's suite, and a run."""

from collections.abc import Sequence

import stylectl
from stylectl import Backbone, BackendOptions, FeatureBackend
from stylectl.testing import BackendSuite

import stylectl_plugin_demo as plugin

(BACKEND,) = plugin.stylectl_backends()


class TestAutograd(BackendSuite):
    def create(
        self, backbone: Backbone, layers: Sequence[str], options: BackendOptions
    ) -> FeatureBackend:
        return BACKEND.create(backbone, layers, options)


def test_a_run_uses_the_backend() -> None:
    result = stylectl.run(size=48, iterations=2, backend="demo-autograd")
    assert result.backend == "demo-autograd"
    assert sum(result.final_losses.values()) < sum(result.initial_losses.values())
