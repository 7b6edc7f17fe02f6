"""Every system keeps the contract: the same list of checks over all of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest

from jidcl.mixing.scenes import SCENES
from jidcl.numerics import numbers_in
from jidcl.report.legend import meaning
from jidcl.report.words import NULLS
from jidcl.systems.contract import System
from jidcl.systems.registry import SYSTEMS, load_claims, load_legend, load_system
from jidcl.systems.shared.settings import Settings
from jidcl.train.evaluation import summarised
from jidcl.train.state import with_shared
from jidcl.types import OnHost, Program

SMALL = dict(mixing_draws=2, mixing_layers=2, batch=16, eval_batch=256, eval_batches=2)
SMALL |= dict(fit_rows=64, score_rows=32, widths=(2,), size=16, encoder="cnn")
KEY = jax.eval_shape(lambda: jax.random.key(0))


def small(config):
    """The same with small numbers, where they are settings of it and act."""
    for name, value in SMALL.items():
        try:
            config = dataclasses.replace(config, **{name: value})
        except (TypeError, ValueError):
            continue
    return config


# Beside the first quick presets: whose scores, or whose reference, are other ones.
MORE = {
    "content_style": ("quick/frozen-style",),
    "diet": ("quick/diet-rows",),
    "dislib": ("quick/sprites-instances",),
    "kitti_masks": ("quick/slowvae",),
}
# Which nulls a score that is claimed lacks, and why.
_WEIGHTS = "rows of W are no function of x, and start near 0"
_PIXELS = "the best of many pixels correlates by chance"
_INSIDE = "of prompts that training saw: what is claimed is that others differ"
WITHOUT = {
    ("autoregressive", "id_r1"): (set(NULLS), _INSIDE),
    ("diet", "r2_rows"): ({"identity", "untrained"}, _WEIGHTS),
    ("diet", "r2_rows_linear"): ({"identity", "untrained"}, _WEIGHTS),
    ("causal3d", "class"): (set(NULLS), "an accuracy: 1 of 7 by chance"),
    ("dislib", "accuracy"): (set(NULLS), "of the head, not of a read-out of y"),
    ("lejepa", "bound_held"): (set(NULLS), "a theorem: of any encoder"),
    ("scenes", "mcc"): ({"identity"}, _PIXELS),
}
# Runs with a reference that show no bar's errors, and why.
NOT_ADMITTED = {
    ("autoregressive", "quick/mle"): "the loss is exact, and there are no latents",
    ("dislib", "quick/sprites"): "a class follows from one factor: no error is small",
    ("ima_vae", "quick/moebius-1e3"): "a decoder may turn with the latents",
}


@functools.cache
def quick(system):
    """(name, small settings) of the first quick preset."""
    presets = load_system(system).presets()
    name = next(name for name in presets if name.startswith("quick/"))
    return name, small(presets[name])


@functools.cache
def evaluation(system, config):
    """Shapes of what the evaluation of a configuration returns."""
    program = load_system(system).make_program(config)

    def ended(key):
        frozen = with_shared(program.freeze(key), program.shared)
        run = program.start(frozen, key)
        return summarised(program.evaluate(run, frozen, key))

    # One key for all: only shapes are asked for.
    with jax.debug_key_reuse(False), numbers_in(program.precision):
        return jax.eval_shape(ended, KEY)


def judged():
    """(system, preset, small settings) of all that trains."""
    found = []
    for name in SYSTEMS:
        for preset in (quick(name)[0], *MORE.get(name, ())):
            config = small(load_system(name).presets()[preset])
            if config.phases():
                row = pytest.param(name, preset, config, id=f"{name}-{preset}")
                found.append(row)
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_is_typed_and_its_presets_build(name):
    system = load_system(name)
    assert isinstance(system, System)
    assert system.name == name
    presets = system.presets()
    fields = set()
    for preset, config in presets.items():
        assert isinstance(config, Settings)
        assert preset.count("/") == 1
        assert config.summary()
        assert system.floor_kind(config) in ("limit", "reference", "none")
        fields |= {field.name for field in dataclasses.fields(config)}
    assert {*system.frozen_fields, *system.traced_fields} <= fields
    program = system.make_program(quick(name)[1])
    assert isinstance(program, Program)
    assert (program.step is not None) == bool(quick(name)[1].phases())


@pytest.mark.parametrize("name", SYSTEMS)
def test_claims_name_presets_and_scores_that_exist(name):
    system, claims = load_system(name), load_claims(name)
    presets = system.presets()
    for claim in claims.all:
        for budget in claim.budgets:
            for run in claim.needs(budget):
                assert run.replace("smoke/", "quick/") in presets, claim.id
    # The scores, of each kind of run that quick claims name and that differs.
    for claim in claims.quick:
        if f"quick/{claim.preset}" != quick(name)[0]:
            continue
        found = evaluation(name, quick(name)[1])
        assert claim.metric in {**found.scores, **found.losses}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_score_has_a_meaning(name):
    found = evaluation(name, quick(name)[1])
    factors = {factor for make in SCENES.values() for factor in make().factors}
    factors |= {"position", "rotation"}  # several of them
    for score in (*found.scores, *found.losses, *found.nulls):
        text = meaning(score, load_legend(name))
        named = text.split("the factor ")[-1].split(",")[0]
        base = score.removesuffix("_per_dim")
        assert "the factor " not in text or named in factors or base != score, score
    assert all(isinstance(nulls, dict) for nulls in found.nulls.values())


@pytest.mark.parametrize(("name", "preset", "config"), judged())
def test_scores_that_are_claimed_have_their_nulls(name, preset, config):
    program, claims = load_system(name).make_program(config), load_claims(name)
    found = evaluation(name, config)

    def before(key):
        frozen = with_shared(program.freeze(key), program.shared)
        seen = program.probe(program.start(frozen, key), frozen, key)
        return seen.finish(seen.arrays, jnp) if isinstance(seen, OnHost) else seen

    with jax.debug_key_reuse(False), numbers_in(program.precision):
        untrained = jax.eval_shape(before, KEY)
    claimed = {
        claim.metric
        for claim in (*claims.quick, *claims.published)
        if claim.unit == "percent" and claim.bound == "least"
    }
    for metric in sorted(claimed & found.scores.keys()):
        held = {*found.nulls.get(metric, {})}
        held |= {"untrained"} if metric in untrained else set()
        lacks, _ = WITHOUT.get((name, metric), (set(), ""))
        assert set(NULLS) - held == lacks, metric


@pytest.mark.parametrize(("name", "preset", "config"), judged())
def test_what_a_bar_admits_is_measured_where_there_is_a_reference(name, preset, config):
    compared = load_system(name).floor_kind(config) != "none"
    shown = compared and (name, preset) not in NOT_ADMITTED
    perturbed = evaluation(name, config).perturbed
    assert bool(perturbed) == shown
    for rows in perturbed.values():
        assert {"strength", "gap", "r2"} <= rows.keys()
        assert len({row.shape for row in rows.values()}) == 1


@pytest.mark.parametrize("name", SYSTEMS)
def test_there_is_a_gap_where_there_is_a_floor(name):
    config = quick(name)[1]
    kind = load_system(name).floor_kind(config)
    losses = evaluation(name, config).losses
    compared = {"gap", "gap_se", "reference", "chance"}
    assert (compared <= losses.keys()) == (kind != "none")


@pytest.mark.parametrize("name", SYSTEMS)
def test_traced_fields_enter_no_shape_and_no_choice(name):
    system, config = load_system(name), quick(name)[1]
    held = {field.name for field in dataclasses.fields(config)}
    for field in held & set(system.traced_fields):
        if field in config.inert():
            continue

        def step(value, key, field=field):
            point = dataclasses.replace(config, **{field: value})
            program = system.make_program(point)
            frozen = program.freeze(key)
            run = program.start(frozen, key)
            return program.step(run, frozen, key, jnp.int32(0))[1]["loss"]

        with jax.debug_key_reuse(False):
            value = jax.ShapeDtypeStruct((), jnp.float32)
            assert jax.eval_shape(step, value, KEY).shape == ()


# Systems of one's own ---------------------------------------------------------------


def test_a_malformed_system_is_refused_by_name():
    whole = load_system("contrastive_ica")
    parts = {f.name: getattr(whole, f.name) for f in dataclasses.fields(whole)}
    for name, value, message in (
        ("make_program", None, "make_program of a System must be a function"),
        ("frozen_fields", "n", "frozen_fields of a System must be a tuple of names"),
        ("title", 1, "title of a System must be a string"),
    ):
        with pytest.raises(TypeError, match=message):
            System(**{**parts, name: value})
    with pytest.raises(TypeError, match="missing 1 required .* 'presets'"):
        System(**{k: v for k, v in parts.items() if k != "presets"})
    wrong = System(**{**parts, "floor_kind": lambda config: "referense"})
    with pytest.raises(ValueError, match="did you mean 'reference'"):
        wrong.floor(quick("contrastive_ica")[1])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:SYSTEM", "cannot be loaded: No module named 'no_such_module'"),
        ("json:SYSTEM", "cannot be loaded: .*'json' has no attribute 'SYSTEM'"),
        ("json:loads", "must be a jidcl.systems.contract.System, got a function"),
        ("contrastive", r"system \(or .*did you mean 'contrastive_ica'"),
    ],
)
def test_a_system_that_cannot_be_loaded_says_why(name, message):
    with pytest.raises(ValueError, match=message):
        load_system(name)
