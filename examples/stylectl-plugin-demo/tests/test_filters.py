"""The backbone: stylectl's checks, and a run."""

import stylectl
from stylectl.testing import check_backbone

import stylectl_plugin_demo as plugin

(BACKBONE,) = plugin.stylectl_backbones()


def test_the_backbone_keeps_its_contract() -> None:
    check_backbone(BACKBONE)


def test_a_run_uses_the_backbone() -> None:
    result = stylectl.run(size=48, iterations=4, backbone="demo-filters")
    assert sum(result.final_losses.values()) < sum(result.initial_losses.values())
