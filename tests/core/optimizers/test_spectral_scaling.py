from itertools import islice

import pytest
import torch
from stylectl.core.interfaces.optimizer import Evaluation, Minimization
from stylectl.core.optimizers.lbfgs import LBFGS
from stylectl.core.optimizers.spectral_scaling import SpectralScaling
from torch import Tensor


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def learned(shape: tuple[int, ...], steps: int = 3) -> SpectralScaling:
    """From steps whose curvature is now and then negative."""
    spectrum = SpectralScaling(torch.zeros(shape, dtype=torch.float64))
    for seed in range(steps):
        spectrum.learn(random(*shape, seed=seed), random(*shape, seed=seed + 100))
    return spectrum


@pytest.mark.parametrize(
    "shape", [(1, 3, 16, 20), (2, 3, 17, 13), (1, 1, 1, 7), (1, 3, 2, 2), (1, 3, 1, 1)]
)
def test_it_is_symmetric_and_positive_definite(shape: tuple[int, ...]) -> None:
    spectrum = learned(shape)
    a, b = random(*shape, seed=7), random(*shape, seed=8)
    of_a, of_b = spectrum.scaled(a, 0.5), spectrum.scaled(b, 0.5)
    assert of_a.shape == a.shape
    assert of_a.dtype == a.dtype
    assert (a * of_b).sum().item() == pytest.approx((of_a * b).sum().item(), rel=1e-9)
    assert (a * of_a).sum().item() > 0
    # No gain is more than a hundred times that of the whole picture, or less than a hundredth.
    assert 0.005 - 1e-9 <= (a * of_a).sum().item() / (a * a).sum().item() <= 50 + 1e-9


def test_of_a_curvature_that_is_one_number_it_is_the_inverse() -> None:
    shape = (1, 3, 15, 22)
    spectrum = SpectralScaling(torch.zeros(shape, dtype=torch.float64))
    for seed in range(4):
        step = random(*shape, seed=seed)
        spectrum.learn(step, 8 * step)
    vector = random(*shape, seed=9)
    # The gains are interpolated in float32.
    torch.testing.assert_close(spectrum.scaled(vector, 1 / 8), vector / 8, rtol=1e-5, atol=1e-6)


def steps_needed(optimizer: LBFGS) -> int:
    """To bring a quadratic whose curvature falls with the frequency to a millionth."""
    size = (24, 32)
    rows, columns = torch.fft.fftfreq(size[0]).unsqueeze(1), torch.fft.rfftfreq(size[1])
    frequency = (rows.square() + columns.square()).sqrt().clamp_min(1 / 32).double()
    curvature = frequency**-1.5
    target = random(1, 3, *size, seed=5)

    def evaluate(image: Tensor) -> Evaluation:
        off = image - target
        bent = torch.fft.irfft2(torch.fft.rfft2(off) * curvature, s=size)
        value = 0.5 * (off * bent).sum().item()
        return Evaluation(value, {"it": value}, bent)

    iterates = optimizer.iterate(Minimization(torch.zeros_like(target), evaluate, 100))
    first = next(iterates).evaluation.value
    for step, iterate in enumerate(islice(iterates, 500), start=1):
        if iterate.evaluation.value <= 1e-6 * first:
            return step
    raise AssertionError("not reached")


def test_where_the_curvature_follows_the_frequency_it_takes_fewer_steps() -> None:
    spectral, scalar = (
        steps_needed(LBFGS.model_validate({"scaling": scaling}))
        for scaling in ("spectral", "scalar")
    )
    assert spectral < 0.7 * scalar, (spectral, scalar)


def test_it_takes_account_of_its_memory() -> None:
    assert LBFGS(scaling="spectral").images_held(3) > LBFGS(scaling="scalar").images_held(3)
