from __future__ import annotations

import numpy as np
import pytest
import torch
from stylectl.core.interfaces.specs import FlowArguments
from stylectl.core.interfaces.video.flow import FlowFrame
from stylectl.plugins.flows.dis import DIS, DISOptions
from torch.nn import functional


def texture(height: int, width: int) -> np.ndarray:
    noise = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(1))
    smooth = functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)
    return (smooth[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def frames(shift: int) -> tuple[FlowFrame, FlowFrame]:
    """The texture, and the same one moved to the right."""
    image = texture(64, 112)
    return FlowFrame(0, image[:, 8:104]), FlowFrame(1, image[:, 8 - shift : 104 - shift])


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium", "fine"])
def test_it_finds_a_shift(preset: str) -> None:
    dis = DIS(FlowArguments(options=DISOptions.model_validate({"preset": preset})))
    first, second = frames(3)
    flow = dis.flow(first, second)
    assert flow.shape == (64, 96, 2)
    assert flow.dtype == np.float32
    inside = flow[10:-10, 10:-10]
    # 0.2 px: what inverse search by patches reaches on this texture, with a margin.
    assert np.abs(np.median(inside, (0, 1)) - (3, 0)).max() < 0.2


def test_equal_frames_have_no_flow_at_all() -> None:
    dis = DIS(FlowArguments(options=DISOptions()))
    first, _ = frames(0)
    assert (dis.flow(first, FlowFrame(1, first.image)) == 0).all()


def test_motions_of_noise_count_as_none() -> None:
    dis = DIS(FlowArguments(options=DISOptions(still=0.05)))
    first, _ = frames(0)
    noise = np.random.default_rng(1).integers(-1, 2, first.image.shape)
    noisy = (first.image.astype(int) + noise).clip(0, 255).astype(np.uint8)
    flow = dis.flow(first, FlowFrame(1, noisy))
    lengths = np.hypot(flow[..., 0], flow[..., 1])
    assert ((lengths == 0) | (lengths >= 0.05)).all()
    assert (lengths == 0).mean() > 0.5


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (15, 16), (17, 33)])
def test_frames_of_any_size_have_a_flow(size: tuple[int, int]) -> None:
    dis = DIS(FlowArguments(options=DISOptions()))
    image = np.ascontiguousarray(texture(64, 64)[: size[0], : size[1]])
    flow = dis.flow(FlowFrame(0, image), FlowFrame(1, image))
    assert flow.shape == (*size, 2)
    assert np.isfinite(flow).all()
