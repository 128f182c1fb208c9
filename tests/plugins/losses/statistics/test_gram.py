from functools import partial

import pytest
import torch
from stylectl.plugins.losses.statistics.gram import mixed_channels, outer_products
from torch import Tensor

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 5, 7, 9), (2, 64, 40, 33), (1, 3, 1, 1)])
def test_they_are_the_sums_over_positions_and_over_channels(
    shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format
) -> None:
    maps = random(*shape).to(dtype).contiguous(memory_format=layout)
    matrices = random(shape[0], 4, shape[1], seed=1).to(dtype)
    exact = maps.double()
    # Sums of up to 1320 products of numbers about 1, each rounded by 6e-8 in float32.
    close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-3)
    gram = torch.einsum("ncij,ndij->ncd", exact, exact)
    close(outer_products(maps), gram.to(dtype))
    mixed = torch.einsum("ndc,ncij->ndij", matrices.double(), exact)
    close(mixed_channels(matrices, maps), mixed.to(dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_image_keeps_its_layout(layout: torch.memory_format) -> None:
    """Sums of a layer's cotangents would else be copied to another layout first."""
    maps = random(1, 8, 6, 5).contiguous(memory_format=layout)
    assert mixed_channels(random(1, 8, 8), maps).is_contiguous(memory_format=layout)
