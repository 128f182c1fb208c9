from __future__ import annotations

import pytest
import torch
from stylectl.core.video.warping import warped
from stylectl.core.video.warping_error import warping_error
from torch import Tensor


def image(height: int = 7, width: int = 9) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def constant_flow(x: float, y: float, height: int = 7, width: int = 9) -> Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


def test_without_motion_the_image_is_the_same_bit_for_bit() -> None:
    assert torch.equal(warped(image(), constant_flow(0, 0)), image())


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_whole_pixels_are_moved(interpolation: str) -> None:
    former = image()
    moved = warped(former, constant_flow(2, 1), interpolation)  # type: ignore[arg-type]
    # The pixel at (x, y) was at (x + 2, y + 1). 1e-5: float32 of the grid's coordinates.
    torch.testing.assert_close(moved[..., :-1, :-2], former[..., 1:, 2:], atol=1e-5, rtol=0)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    former = image()
    moved = warped(former, constant_flow(0.5, 0), "bilinear")
    between = (former[..., :-1] + former[..., 1:]) / 2
    torch.testing.assert_close(moved[..., :-1], between, atol=1e-5, rtol=0)


def test_beyond_the_edge_the_outermost_pixels_are_repeated() -> None:
    former = image()
    moved = warped(former, constant_flow(20, 0), "bilinear")
    torch.testing.assert_close(moved, former[..., -1:].expand_as(moved), atol=1e-5, rtol=0)


def test_the_error_is_the_mean_over_reliable_pixels() -> None:
    former = image()
    frame = former + 0.1
    reliability = torch.zeros(1, 1, 7, 9)
    reliability[..., :3] = 1
    frame[..., 3:] += 5  # does not count
    error = warping_error(frame, former, constant_flow(0, 0), reliability)
    assert error == pytest.approx(0.01, rel=1e-5)


def test_there_is_no_error_without_reliable_pixels() -> None:
    flow, nothing = constant_flow(0, 0), torch.zeros(1, 1, 7, 9)
    assert warping_error(image(), image(), flow, nothing) is None
