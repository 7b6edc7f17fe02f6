"""`judge`: from parts of one's own to a verdict; another loss is another run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jidcl
from jidcl.claims import QuickClaim
from jidcl.run.digest import digest_of
from jidcl.run.own import problem_of
from jidcl.systems.registry import load_legend, load_system
from jidcl.systems.shared.settings import Optimisation
from jidcl.train import gradient
from jidcl.types import Program

QUICK = dict(
    optimiser="adam", learning_rate=2e-3, warmup=0, batch=256, steps=600, progress=False
)


def infonce(y, y_pos):
    return jidcl.infonce(y, y_pos, tau=0.1)[0]


def problem(**change):
    laws = jidcl.Sphere(3), jidcl.Uniform(), jidcl.VonMisesFisher(10.0)
    f = jidcl.make_mlp(3, widths=(30, 60, 30), output="sphere", init="looks_linear")
    held = jidcl.PairProblem(laws, f, infonce, output="sphere")
    return dataclasses.replace(held, **change)


@pytest.mark.many_programs(reason="a run from its parts to a report")
def test_parts_are_judged(tmp_path):
    found = jidcl.judge(problem(), name="sphere", seeds=2, root=tmp_path, **QUICK)
    assert found.word in ("identified", "identified early")
    assert found.verdicts[0].score > 97
    assert {"shuffled", "identity"} <= set(found.verdicts[0].nulls)
    losses = found.record.losses
    assert losses["reference"][0] < losses["linear_loss"][0] < losses["chance"][0]
    assert "nulls" in found.summary()
    assert found.report(tmp_path / "report").read_text().startswith("#")
    # The same call returns what is finished, in no time.
    seen = []
    again = jidcl.judge(
        problem(),
        name="sphere",
        seeds=2,
        root=tmp_path,
        **{**QUICK, "progress": seen.append},
    )
    assert [event.stage for event in seen] == ["done"]
    assert again.record == found.record
    claim = QuickClaim(
        id="c", text="t", source="s", preset="sphere", metric="r2", threshold=99.9999,
        expect="not identified",
    )  # fmt: skip
    held = jidcl.judge(
        problem(), name="sphere", seeds=2, root=tmp_path, expect=claim, **QUICK
    )
    assert held.verdicts[0].claim == "c"


def program(**change):
    config = Optimisation(optimiser="adam", warmup=0, batch=32, steps=4)
    import optax

    return gradient(problem_of(problem(**change), config), optax.adam(1e-3))


def test_a_program_is_known_by_what_it_computes():
    own = digest_of(program())
    assert own == digest_of(program())
    assert own != digest_of(program(loss=lambda y, z: jidcl.infonce(y, z, tau=0.2)[0]))
    laws = jidcl.Sphere(3), jidcl.Uniform(), jidcl.VonMisesFisher(9.0)
    assert own != digest_of(program(laws=laws))
    shift = jnp.arange(3.0)
    mixings = [
        (lambda key: {}, lambda g, z, by=by: z + by[None]) for by in (shift, 2 * shift)
    ]
    assert digest_of(program(mixing=mixings[0])) != digest_of(
        program(mixing=mixings[1])
    )


def stepping(by):
    """A program of one addition, in the way that is asked for."""
    return Program(
        freeze=lambda key: {},
        start=lambda frozen, key: jnp.zeros(3),
        step=lambda run, frozen, key, t: (by(run), {}),
        evaluate=lambda run, frozen, key: {"sum": run.sum()},
    )


WAYS = {
    "jit": lambda c: lambda x: jax.jit(lambda x: x + c)(x),
    "nested": lambda c: lambda x: jax.jit(jax.checkpoint(lambda x: jnp.sin(x + c)))(x),
    "scan": lambda c: lambda x: jax.lax.scan(lambda s, _: (s + c, 0), x, None, 3)[0],
    "cond": lambda c: lambda x: jax.lax.cond(x[0] > 0, lambda x: x + c, jnp.sin, x),
}


@pytest.mark.parametrize("way", WAYS)
def test_constants_within_functions_count(way):
    one, same, other = (
        digest_of(stepping(WAYS[way](np.array(c, np.float32))))
        for c in ([1, 2, 3], [1, 2, 3], [1, 2, 4])
    )
    assert one == same != other


def test_what_calls_back_into_python_is_refused():
    def by(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((3,), np.float32), x)

    with pytest.raises(ValueError, match="must not call back into Python"):
        digest_of(stepping(by))


def test_a_system_of_a_process_is_not_loaded_by_name():
    with pytest.raises(ValueError, match="was an object of the process"):
        load_system("held:mine")
    assert load_legend("held:mine") == {}


def test_samplers_and_mixings_are_functions():
    def draw(key, batch):
        z, noise = jax.random.normal(key, (2, batch, 2))
        return z, z + 0.1 * noise

    held = problem(laws=draw, mixing=(lambda key: {}, lambda g, z: z**3))
    pair = held.draw(jax.random.key(0), 5)
    assert pair.z.shape == (5, 2)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (dict(laws=(1, 2)), TypeError, "laws must be .space, marginal, conditional"),
        (dict(encoder=3), TypeError, "encoder must be a Encoder"),
        (dict(loss=3), TypeError, "loss must be a function"),
        (dict(output="ring"), ValueError, "output must be one of"),
    ],
)
def test_parts_are_refused_by_name(change, kind, message):
    with pytest.raises(kind, match=message):
        problem(**change)


def test_settings_are_refused_by_name(tmp_path):
    with pytest.raises(TypeError, match="problem must be a PairProblem or Problem or"):
        jidcl.judge(3, root=tmp_path)
    with pytest.raises(ValueError, match="floor must be one of"):
        jidcl.judge(problem(), floor="cellar", root=tmp_path)
    with pytest.raises(ValueError, match="steps must be >= 1"):
        jidcl.judge(problem(), root=tmp_path, **{**QUICK, "steps": 0})
    with pytest.raises(ValueError, match="loss of mine cannot be traced|cannot be"):
        jidcl.judge(problem(loss=lambda y, z: y @ z), root=tmp_path, **QUICK)
    assert not list(tmp_path.iterdir())
