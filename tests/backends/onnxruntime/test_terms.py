"""Every built-in loss term, and every preset, has the same value and gradient on both backends."""

from __future__ import annotations

import pytest
import torch
from stylectl.core.interfaces.optimizer import Evaluation
from stylectl.core.interfaces.video.former import FormerResult, FormerResults
from stylectl.core.job.building import build_job
from stylectl.core.job.presets import PRESETS
from stylectl.core.planning.planner import make_plan
from stylectl.core.planning.registry import Registry
from stylectl.core.run.preparation import prepare
from stylectl.core.run.session import Session
from stylectl.plugins.manager import load_plugins


def former() -> FormerResults:
    """A gray frame, all of whose pixels the next one is held to."""
    gray = FormerResult(torch.full((1, 3, 64, 64), 0.5), torch.ones(1, 1, 64, 64))
    return FormerResults(gray, (gray,), seed=0)


def evaluated(backend: str, preset: str, terms: list[str]) -> Evaluation:
    registry: Registry = load_plugins().registry
    options = {"backend": backend, "device": "cpu", "size": 64, "scales": 1}
    job = build_job({**options, "term": terms}, preset=preset)
    plan = make_plan(job, registry)
    with Session() as session:
        run = session.open(prepare(plan, former=former()))
        inputs = run.inputs_at(0)
        generator = torch.Generator().manual_seed(0)
        noise = 0.1 * torch.randn(inputs.content.shape, generator=generator)
        return run.objective(inputs).evaluate(inputs.content + noise)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_and_every_term_agree(preset: str) -> None:
    every = [spec.name for spec in load_plugins().registry.terms]
    if PRESETS[preset]["optimizer"]["name"] == "lbfgs":
        every.remove("nnst")  # which changes within a scale
    if preset == "draft":  # balanced with fewer steps
        assert PRESETS["draft"]["terms"] == PRESETS["balanced"]["terms"]
        return
    torch_side, onnx_side = (evaluated(each, preset, every) for each in ("torch", "onnx"))
    assert torch_side.losses.keys() == {*every}
    for name, loss in torch_side.losses.items():
        # Features agree to 5e-6 (tools/parity/tolerances.py); losses are sums of their squares,
        # and differences of such sums. A nearest patch may change, which is worth little.
        assert onnx_side.losses[name] == pytest.approx(loss, rel=1e-3), name
    distance = (onnx_side.gradient - torch_side.gradient).norm() / torch_side.gradient.norm()
    assert distance < 2e-2  # a few switched rectifiers, as in the parity kit
