from __future__ import annotations

import torch
from stylectl.core.video.reliability import comes_from_edge, reliable
from torch import Tensor

HEIGHT, WIDTH = 20, 30


def constant(x: float, y: float = 0.0) -> Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH).contiguous()


def test_a_pan_is_reliable_but_for_what_enters() -> None:
    mask = reliable(constant(4), constant(-4))
    assert mask[..., :-4].all()
    assert not mask[..., -4:].any()  # it was beyond the right edge before


def test_flows_that_contradict_each_other_are_not_reliable() -> None:
    assert not reliable(constant(4), constant(4)).any()


def test_what_an_object_uncovers_is_not_reliable() -> None:
    """A square moves to the right by 4 px over a still background."""
    flow, reverse = constant(0), constant(0)
    flow[:, 0, 5:15, 12:22] = -4  # the square in the present frame came from the left
    reverse[:, 0, 5:15, 8:18] = 4
    mask = reliable(flow, reverse)[0, 0]
    assert mask[7:13, 14:20].all()  # the square itself
    assert not mask[7:13, 9:11].any()  # uncovered: in the former frame the square was there
    assert mask[:3].all()  # the background
    assert not mask[7:13, 12].any()  # the boundary of the motion


def test_a_still_camera_takes_over_the_edge() -> None:
    assert not comes_from_edge(constant(0), 4).any()


def test_a_pan_does_not_carry_the_rim_into_the_frame() -> None:
    """What enters at the right was the right rim of the former frame."""
    mask = comes_from_edge(constant(3), 4)[0, 0]
    former = torch.arange(WIDTH) + 3.0
    rim = (WIDTH - 1 - former).clamp_max(HEIGHT) < 4
    assert torch.equal(mask[HEIGHT // 2], rim & (former > torch.arange(WIDTH)))
