"""The backend: stylectl's suite, and a run."""

import stylectl
from stylectl.testing import BackendSuite

import stylectl_plugin_demo as plugin

(BACKEND,) = plugin.backends()


class TestAutograd(BackendSuite):
    spec = BACKEND


def test_a_run_uses_the_backend() -> None:
    result = stylectl.run(size=48, iterations=2, backend="demo-autograd")
    assert result.backend == "demo-autograd"
    assert sum(result.final_losses.values()) < sum(result.initial_losses.values())
