"""The writer: stylectl's checks, the colors in its file, and a run."""

from pathlib import Path

import numpy as np
import stylectl
from stylectl import WriterArguments, WriteRequest
from stylectl.testing import Check, parametrize_with_checks, result, writer_checks

import stylectl_plugin_demo as plugin

(WRITER,) = plugin.writers()


@parametrize_with_checks(writer_checks(WRITER, options={"colors": 4}))
def test_the_writer_keeps_its_contract(check: Check, tmp_path: Path) -> None:
    check.run(tmp_path)


def test_the_swatches_are_the_pictures_colors(tmp_path: Path) -> None:
    finished = result()
    writer = WRITER.create(WriterArguments(options=WRITER.options(colors=4)))
    path = tmp_path / "out.gpl"
    writer.write(WriteRequest(result=finished, snapshots=(), path=path, record={}))
    colors = np.loadtxt(tmp_path / "out.gpl", skiprows=3) / 255
    assert colors.shape == (4, 3)
    nearest = np.abs(finished.image[..., None, :] - colors).max(3).min(2)
    assert np.median(nearest) < 0.15


def test_a_run_writes_the_swatches(tmp_path: Path) -> None:
    stylectl.run(size=48, iterations=1, output=tmp_path / "out.gpl")
    assert (tmp_path / "out.gpl").read_text().startswith("GIMP Palette")
