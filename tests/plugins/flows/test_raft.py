from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stylectl import UsageError, WeightsError
from stylectl.core.interfaces.specs import FlowArguments
from stylectl.core.interfaces.video.flow import FlowFrame
from stylectl.plugins.backbones.torchvision.loading import import_torchvision
from stylectl.plugins.flows.raft import RAFT, RAFTOptions

raft_small = import_torchvision("torchvision.models.optical_flow").raft_small


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights drawn at random: the flow is meaningless, and all else is as it is."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("raft") / "raft_small.pth"
    torch.save(raft_small(weights=None).state_dict(), path)
    return path


def raft(weights: Path, model: str = "raft_small") -> RAFT:
    options = {"weights": str(weights), "model": model, "updates": 2}
    return RAFT(FlowArguments(options=RAFTOptions.model_validate(options)))


def frame(number: int, height: int, width: int) -> FlowFrame:
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3))
    return FlowFrame(number, pixels.astype(np.uint8))


def test_it_is_torchvisions_network(weights: Path) -> None:
    first, second = frame(1, 128, 136), frame(2, 128, 136)
    network = raft_small(weights=None)
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()

    def scaled(shown: FlowFrame) -> torch.Tensor:
        return torch.from_numpy(shown.image).permute(2, 0, 1)[None].float() / 127.5 - 1

    with torch.no_grad():
        expected = network(scaled(first), scaled(second), num_flow_updates=2)[-1]
    flow = raft(weights).flow(first, second)
    # The same operations on the same numbers.
    np.testing.assert_allclose(flow, expected[0].permute(1, 2, 0).numpy(), atol=1e-4)


def test_any_size_is_continued_to_one_that_it_accepts(weights: Path) -> None:
    flow = raft(weights).flow(frame(1, 50, 131), frame(2, 50, 131))
    assert flow.shape == (50, 131, 2)
    assert flow.dtype == np.float32
    assert np.isfinite(flow).all()


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(WeightsError, match="not the weights of torchvision's raft_large"):
        raft(weights, "raft_large")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.pth: no such weights file"):
        raft(tmp_path / "none.pth")
