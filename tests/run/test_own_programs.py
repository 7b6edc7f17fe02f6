"""What runs, sweeps and estimates make of programs of any form."""

import dataclasses

import jax.numpy as jnp
import pytest

from jidcl.run import costs, runner
from jidcl.run import sweep as sweeping
from jidcl.systems.shared.settings import Settings
from reference import descent
from reference.descent import CONFIG, changed


def finish(root, config=CONFIG, seeds=(0, 1), **options):
    own = dict(system=descent.NAME, preset="quick/descent", seeds=seeds, root=root)
    *_, last = runner.run(config, **own, **options)
    assert last.record is not None
    return last


@dataclasses.dataclass(frozen=True)
class Untold(Settings):
    """Settings that do not say how a run is trained."""

    rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class Batchless(Untold):
    """Settings whose one phase has no batch."""

    chunk: int = 2

    def phases(self):
        return [(self, 4)]


@pytest.mark.parametrize(
    ("config", "lacks"),
    [(Untold(), "no phases and no chunk"), (Batchless(), "no batch")],
)
def test_settings_that_do_not_say_how_a_step_is_trained_are_refused(
    tmp_path, config, lacks
):
    message = rf"Optimisation\), {type(config).__name__} has {lacks}$"
    with pytest.raises(ValueError, match=message):
        finish(tmp_path, config)
    with pytest.raises(ValueError, match=message):
        costs.estimate(config, system=descent.NAME, seeds=[0])
    own = dict(system=descent.NAME, seeds=[0], root=tmp_path)
    with pytest.raises(ValueError, match=message):
        list(sweeping.sweep(config, {"rate": [0.5]}, **own))
    assert not list(tmp_path.iterdir())


def test_what_has_no_step_needs_no_phases(tmp_path, monkeypatch):
    changed(monkeypatch, step=None)
    assert finish(tmp_path, Untold()).record.scores["w"] == pytest.approx([1 / 3] * 2)


def test_an_estimate_counts_the_numbers_of_a_run_of_any_form(monkeypatch):
    own = dict(system=descent.NAME, seeds=[0, 1], steps=1)
    assert costs.estimate(CONFIG, **own).parameters == 1
    start = lambda frozen, key: {"w": jnp.ones(()), "key": key, "n": jnp.int32(3)}  # noqa: E731
    step = lambda run, *_: ({**run, "w": run["w"] / 2}, {"loss": run["w"]})  # noqa: E731
    changed(monkeypatch, start=start, step=step)
    assert costs.estimate(CONFIG, **own).parameters == 1
