from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import pytest
from stylectl.backends.pytorch.backend import TorchBackend
from stylectl.core.interfaces.backend import Features
from stylectl.core.interfaces.statistics import StatisticsTerm
from stylectl.core.job.building import build_job
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.binding import Binder, _Styles
from stylectl.core.run.preparation import prepare
from stylectl.core.run.session import Session
from stylectl.core.sizes.tiles import Tilers, tiler_for
from stylectl.plugins.manager import load_plugins
from torch import Tensor


@pytest.mark.parametrize("most", [None, 6000])
def test_styles_are_as_many_as_they_say(most: int | None) -> None:
    """Whole, and in tiles, where each tile of a style image counts as one."""
    options = {"size": 128, "scales": 1, "device": "cpu", "style_layers": ["relu1_1", "relu2_1"]}
    plan = make_plan(build_job(options), load_plugins().registry)
    infos = plan.layer_infos
    tiler = tiler_for({info.name: info.stride for info in infos}, 14, 2, most)
    with Session() as session:
        run = session.open(prepare(plan))
        inputs = replace(run.inputs_at(0), tilers=Tilers(tiler, tiler))
        binder = Binder.of(plan, run.backend, inputs)
        (term,) = [planned.term for planned in plan.terms if planned.name == "style"]
        assert isinstance(term, StatisticsTerm)
        styles = _Styles(binder, term.layers)
        every = list(styles)
        assert len(styles) == len(every)
        assert (len(every) > 1) == (most is not None)
        assert styles[-1].features.keys() == every[-1].features.keys()


def test_the_features_of_one_tile_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """When those of the next one are computed, the ones before are freed."""
    monkeypatch.setenv("STYLECTL_PLUGINS", "")
    options = {"size": 128, "scales": 1, "device": "cpu", "style_layers": ["relu1_1", "relu2_1"]}
    plan = make_plan(build_job(options), load_plugins().registry)
    infos = plan.layer_infos
    tiler = tiler_for({info.name: info.stride for info in infos}, 14, 2, 6000)
    (planned,) = [planned for planned in plan.terms if planned.name == "style"]
    features, held = TorchBackend.features, []
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()

    def counted(self: TorchBackend, *arguments: Any) -> Features:
        held.append(len(alive))
        made = features(self, *arguments)
        for maps in made.values():
            alive.add(maps)
        return made

    monkeypatch.setattr(TorchBackend, "features", counted)
    with Session() as session:
        run = session.open(prepare(plan))
        inputs = replace(run.inputs_at(0), tilers=Tilers(tiler, tiler))
        Binder.of(plan, run.backend, inputs).bind(planned)
    assert len(held) > 3
    assert set(held) == {0}
