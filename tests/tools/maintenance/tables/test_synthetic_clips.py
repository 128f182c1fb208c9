from __future__ import annotations

import numpy as np
import pytest
import torch
from stylectl.core.video.reliability import reliable
from stylectl.core.video.warping_error import warping_error
from stylectl.tools.maintenance.tables.synthetic_clips import SyntheticClip, synthetic_clips
from torch import Tensor
from torch.nn import functional

SIZE, FRAMES = (48, 64), 6


def photograph(seed: int) -> Tensor:
    noise = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(noise, (96, 128), mode="bicubic").clamp(0, 1)


def clips() -> dict[str, SyntheticClip]:
    made = synthetic_clips((photograph(1), photograph(2)), SIZE, FRAMES)
    return {clip.name: clip for clip in made}


def image(clip: SyntheticClip, number: int) -> Tensor:
    return torch.from_numpy(clip.frame(number) / np.float32(255)).permute(2, 0, 1)[None]


def flow(clip: SyntheticClip, first: int, second: int) -> Tensor:
    return torch.from_numpy(clip.flow(first, second)).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", clips())
@pytest.mark.parametrize("distance", [1, 3])
def test_frames_follow_from_each_other_by_the_exact_flow(name: str, distance: int) -> None:
    clip = clips()[name]
    for number in range(distance, FRAMES):
        former = number - distance
        there, back = flow(clip, number, former), flow(clip, former, number)
        reliability = reliable(there, back)
        if name == "cut" and former < FRAMES // 2 <= number:
            assert not reliability.any()
            continue
        assert reliability.mean() > 0.4
        error = warping_error(
            image(clip, number), image(clip, number - distance), there, reliability
        )
        # Interpolation, and at the border of the disc a pixel of the other image.
        assert error is not None
        assert error < 3e-4


def test_nothing_moves_in_a_pause() -> None:
    clip = clips()["pause"]
    assert not clip.flow(3, 2).any()
    np.testing.assert_array_equal(clip.frame(2), clip.frame(3))
