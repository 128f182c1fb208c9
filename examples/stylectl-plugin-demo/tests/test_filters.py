"""The backbone: stylectl's checks, and a run."""

from pathlib import Path

import stylectl
from stylectl.testing import Check, backbone_checks, parametrize_with_checks

import stylectl_plugin_demo as plugin

(BACKBONE,) = plugin.backbones()


@parametrize_with_checks(backbone_checks(BACKBONE))
def test_the_backbone_keeps_its_contract(check: Check, tmp_path: Path) -> None:
    check.run(tmp_path)


def test_a_run_uses_the_backbone() -> None:
    result = stylectl.run(size=48, iterations=4, backbone="demo-filters")
    assert sum(result.final_losses.values()) < sum(result.initial_losses.values())
