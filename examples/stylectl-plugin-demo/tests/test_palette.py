"""The loss term: stylectl's checks, a value by hand, and a run."""

from pathlib import Path

import pytest
import stylectl
import torch
from stylectl import IMAGE_LAYER, LossTermArguments, References, Style
from stylectl.testing import Check, loss_term_checks, parametrize_with_checks

import stylectl_plugin_demo as plugin
from stylectl_plugin_demo.palette import PaletteLoss, PaletteOptions

(TERM,) = plugin.loss_terms()


@parametrize_with_checks(
    loss_term_checks(TERM, options={"colors": 3}, ignores_positions=True),
)
def test_the_term_keeps_its_contract(check: Check, tmp_path: Path) -> None:
    check.run(tmp_path)


def test_a_picture_in_the_paintings_color_loses_nothing() -> None:
    painting = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(1, 3, 5, 5)
    references = References(content={}, styles=(Style({IMAGE_LAYER: painting}, 1.0),))
    loss = PaletteLoss(LossTermArguments(layers={}, options=PaletteOptions())).bind(references)
    # The colors are rounded to 8 bits, which represent these exactly.
    assert loss({IMAGE_LAYER: painting}).item() == pytest.approx(0, abs=1e-6)
    # With one color, the soft minimum is the squared distance itself.
    darker = loss({IMAGE_LAYER: painting - 0.1}).item()
    assert darker == pytest.approx(3 * 0.1**2, rel=1e-4)


def test_a_run_lowers_the_loss() -> None:
    result = stylectl.run(size=48, iterations=4, term=[TERM.name])
    assert result.final_losses[TERM.name] < result.initial_losses[TERM.name]
