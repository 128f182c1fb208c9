from __future__ import annotations

import torch
from stylectl.core.video.colors import recolored
from stylectl.core.video.taking_over import Neighbor, taken_over
from torch import Tensor

STILL = torch.zeros(1, 2, 12, 12)


def neighbor(value: float, reliability: Tensor) -> Neighbor:
    return Neighbor(torch.full((1, 3, 12, 12), value), STILL, reliability)


def columns(start: int, end: int) -> Tensor:
    mask = torch.zeros(1, 1, 12, 12)
    mask[..., start:end] = 1
    return mask


def test_each_pixel_is_held_to_the_nearest_frame_that_has_it() -> None:
    near, far = neighbor(0.2, columns(0, 5)), neighbor(0.8, columns(3, 9))
    former = taken_over([near, far], seed=0, frame=3)
    first, second = former.targets
    assert torch.equal(first.reliability, columns(0, 5))
    assert torch.equal(second.reliability, columns(5, 9))
    assert torch.equal(former.start.reliability, columns(0, 9))
    torch.testing.assert_close(former.start.image[..., :5], torch.full((1, 3, 12, 5), 0.2))
    torch.testing.assert_close(former.start.image[..., 5:9], torch.full((1, 3, 12, 4), 0.8))


def test_a_later_pass_mixes_the_neighbor_with_the_pass_before() -> None:
    before = torch.full((1, 3, 12, 12), 0.6)
    former = taken_over([neighbor(0.2, columns(0, 6))], seed=0, frame=1, before=before)
    torch.testing.assert_close(former.start.image[..., :6], torch.full((1, 3, 12, 6), 0.4))
    torch.testing.assert_close(former.start.image[..., 6:], before[..., 6:])
    assert former.start.reliability.all()


def test_frames_have_seeds_of_their_own() -> None:
    seeds = {taken_over([neighbor(0.0, columns(0, 1))], 7, frame).seed for frame in range(5)}
    assert len(seeds) == 5


def test_colors_are_mapped_as_where_both_are_known() -> None:
    image = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(2))
    mix = torch.tensor([[0.5, 0.2, 0.0], [0.1, 0.6, 0.1], [0.0, 0.2, 0.4]])
    result = torch.einsum("ij,njhw->nihw", mix, image) + 0.1
    known = torch.zeros(1, 1, 40, 40)
    known[..., :20] = 1
    mapped = recolored(image, result, known)
    # 0.02: the map that changes nothing has the weight of one pixel of 800.
    torch.testing.assert_close(mapped, result, atol=0.02, rtol=0)


def test_colors_stay_where_nothing_is_known() -> None:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    nothing = torch.zeros(1, 1, 8, 8)
    torch.testing.assert_close(recolored(image, torch.ones_like(image), nothing), image)
