"""How the images of a job were read is said once, to listeners and on the terminal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import stylectl
from PIL import Image
from stylectl import Notice
from stylectl.core.images.inputs import read_inputs
from stylectl.core.job.building import build_job


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    colors = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    frames = [Image.fromarray(colors), Image.fromarray(255 - colors)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    ones = np.zeros((64, 64), np.uint8)
    ones[:, :32] = 1
    Image.fromarray(ones).save("ones.png")


def test_notices_of_reading_reach_a_listener_once() -> None:
    notices: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)

    stylectl.run(
        content="moving.gif",
        styles=["moving.gif"],  # the same file twice
        content_mask="ones.png",
        size=64,
        iterations=1,
        device="cpu",
        on_event=listen,
    )
    for said in (
        "moving.gif: has several frames",
        "ones.png: read as a mask of the values 0 and 1",
    ):
        assert sum(said in notice for notice in notices) == 1


def test_an_image_that_is_read_plainly_has_no_notice() -> None:
    assert read_inputs(build_job({})).notices == ()


def test_a_content_whose_profile_cannot_be_kept_is_said() -> None:
    Image.new("RGB", (64, 64), (9, 99, 199)).save("a.png", icc_profile=b"no profile")
    job = build_job({"content": "a.png", "color_profile": "keep"})
    assert any("a.png: the result is sRGB" in notice for notice in read_inputs(job).notices)
