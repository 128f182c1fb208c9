from __future__ import annotations

import pytest
import torch
from stylectl import IMAGE_LAYER, LossTermArguments, NoOptions, References, UsageError
from stylectl import run as run_job
from stylectl.core.interfaces.terms import Loss
from stylectl.core.interfaces.video.former import FormerResult
from stylectl.plugins.losses.pixels.temporal import TemporalLoss
from torch import Tensor


def drawn(seed: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, channels, 4, 5, generator=generator, dtype=torch.float64)


def bound(*former: FormerResult) -> Loss:
    term = TemporalLoss(LossTermArguments(layers={}, options=NoOptions()))
    return term.bind(References({}, (), former=former))


def test_it_is_equation_7_of_the_paper() -> None:
    first, second = FormerResult(drawn(1), drawn(2, 1)), FormerResult(drawn(3), drawn(4, 1))
    result = drawn(5)
    expected = sum(
        former.reliability[0, 0, y, x] * (result[0, c, y, x] - former.image[0, c, y, x]) ** 2
        for former in (first, second)
        for c in range(3)
        for y in range(4)
        for x in range(5)
    )
    loss = bound(first, second)({IMAGE_LAYER: result})
    torch.testing.assert_close(loss, torch.as_tensor(expected) / 60)


def test_its_gradient_by_finite_differences() -> None:
    loss = bound(FormerResult(drawn(1), drawn(2, 1)))
    result = drawn(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda image: loss({IMAGE_LAYER: image}), (result,))


def test_an_image_has_no_former_frames() -> None:
    with pytest.raises(UsageError, match="make a video with `stylectl video`"):
        run_job(term={"name": "temporal", "weight": 10.0}, size=64, iterations=1)
