"""Checks of the plugin's contributions with stylectl's test kits, and a run with all of them."""

from pathlib import Path

import numpy as np
import pytest
import stylectl
import stylectl_plugin_demo as plugin
import torch
from stylectl import (
    IMAGE_LAYER,
    LossTermArguments,
    References,
    Style,
    WriterArguments,
    WriteRequest,
)
from stylectl.testing import check_backbone, check_loss_term, check_writer, result
from stylectl_plugin_demo.palette import PaletteLoss, PaletteOptions
from stylectl_plugin_demo.swatches import SwatchesOptions

(TERM,) = plugin.loss_terms()
(BACKBONE,) = plugin.backbones()
(WRITER,) = plugin.writers()


@pytest.mark.parametrize("colors", [1, 8])
def test_the_term_keeps_its_contract(colors: int) -> None:
    check_loss_term(TERM, options={"colors": colors}, ignores_positions=True)


def test_a_picture_in_the_paintings_color_loses_nothing() -> None:
    painting = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(1, 3, 5, 5)
    references = References(content={}, styles=(Style({IMAGE_LAYER: painting}, 1.0),))
    loss = PaletteLoss(LossTermArguments(layers={}, options=PaletteOptions())).bind(references)
    # The colors are rounded to 8 bits, which represent these exactly.
    assert loss({IMAGE_LAYER: painting}).item() == pytest.approx(0, abs=1e-6)
    # With one color, the soft minimum is the squared distance itself.
    darker = loss({IMAGE_LAYER: painting - 0.1}).item()
    assert darker == pytest.approx(3 * 0.1**2, rel=1e-4)


def test_the_backbone_keeps_its_contract() -> None:
    check_backbone(BACKBONE)


def test_the_writer_keeps_its_contract(tmp_path: Path) -> None:
    check_writer(WRITER, tmp_path, options={"colors": 4})


def test_the_swatches_are_the_pictures_colors(tmp_path: Path) -> None:
    finished = result()
    writer = WRITER.create(WriterArguments(options=SwatchesOptions(colors=4)))
    request = WriteRequest(result=finished, snapshots=(), path=tmp_path / "out.gpl", record={})
    writer.write(request)
    colors = np.loadtxt(tmp_path / "out.gpl", skiprows=3) / 255
    assert colors.shape == (4, 3)
    nearest = np.abs(finished.image[..., None, :] - colors).max(3).min(2)
    assert np.median(nearest) < 0.15


def test_a_run_uses_all_of_it(tmp_path: Path) -> None:
    painted = stylectl.run(
        size=48,
        iterations=4,
        backbone="demo-filters",
        term=["demo-palette"],
        output=[tmp_path / "out.png", tmp_path / "out.gpl"],
    )
    assert painted.final_losses["demo-palette"] < painted.initial_losses["demo-palette"]
    assert (tmp_path / "out.gpl").read_text().startswith("GIMP Palette")
