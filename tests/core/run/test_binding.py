from __future__ import annotations

from dataclasses import replace

import pytest
from stylectl.core.interfaces.statistics import StatisticsTerm
from stylectl.core.job.building import build_job
from stylectl.core.planning.planner import make_plan
from stylectl.core.run.binding import Binder, _Styles
from stylectl.core.run.preparation import prepare
from stylectl.core.run.session import Session
from stylectl.core.sizes.tiles import tiler_for
from stylectl.plugins.manager import load_plugins


@pytest.mark.parametrize("most", [None, 6000])
def test_styles_are_as_many_as_they_say(most: int | None) -> None:
    """Whole, and in tiles, where each tile of a style image counts as one."""
    options = {"size": 128, "scales": 1, "device": "cpu", "style_layers": ["relu1_1", "relu2_1"]}
    plan = make_plan(build_job(options), load_plugins().registry)
    infos = plan.layer_infos
    tiler = tiler_for({info.name: info.stride for info in infos}, 14, 2, most)
    with Session() as session:
        run = session.open(prepare(plan))
        inputs = replace(run.inputs_at(0), tiler=tiler)
        binder = Binder.of(plan, run.backend, inputs)
        (term,) = [planned.term for planned in plan.terms if planned.name == "style"]
        assert isinstance(term, StatisticsTerm)
        styles = _Styles(binder, term.layers)
        every = list(styles)
        assert len(styles) == len(every)
        assert (len(every) > 1) == (most is not None)
        assert styles[-1].features.keys() == every[-1].features.keys()
