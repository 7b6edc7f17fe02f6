"""Wiring of the IMA-VAE: priors and sources, floors, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jidcl.claims import load_claims
from jidcl.losses import LatentPrior
from jidcl.metrics import jacobians
from jidcl.systems.ima_vae import problem as system
from jidcl.systems.ima_vae import process
from jidcl.systems.ima_vae.presets import MIXINGS, ImaVae, presets
from jidcl.train import summarised

SMALL = ImaVae(batch=16, eval_batch=512, eval_batches=2, steps=4, chunk=2)
SPRITES = dataclasses.replace(
    SMALL, n=4, mixing="triangles", source="beta", prior="beta", size=16, narrow=8
)
LAWS = {
    "uniform": stats.uniform(),
    "gaussian": stats.norm(),
    "laplace": stats.laplace(),
}


@pytest.mark.many_programs(reason="eager operations")
@pytest.mark.parametrize("prior", LAWS)
@pytest.mark.parametrize("source", ["uniform", "gaussian"])
def test_true_codes_stand_for_their_sources_and_have_the_prior_as_law(prior, source):
    config = ImaVae(mixing="mlp", source=source, prior=prior)
    z = process.draw_sources(config, {}, jax.random.key(0), 500)
    latents = LatentPrior(prior).latents(process.true_code(config, z))
    np.testing.assert_allclose(process.to_sources(config, latents), z, atol=2e-4)
    share = LAWS[prior].cdf(np.asarray(latents))
    np.testing.assert_allclose(process.prior_cdf(config, latents), share, atol=1e-5)
    # 1000 numbers; a false alarm in one of 10,000 of fresh keys.
    assert stats.kstest(share.ravel(), "uniform").pvalue > 1e-4


@pytest.mark.many_programs(reason="a program for each mixing")
@pytest.mark.parametrize("mixing", MIXINGS)
def test_every_mixing_is_finite_and_one_of_a_kind(mixing):
    source = "uniform" if mixing in ("moebius", "distorted", "angled") else "gaussian"
    sprites = mixing == "triangles"
    config = SPRITES if sprites else ImaVae(mixing=mixing, source=source)
    g = jax.jit(lambda key: process.freeze(config, key))(jax.random.key(0))
    z = process.draw_sources(config, g, jax.random.key(1), 64)
    x = jax.jit(lambda g, z: process.observe(config, g, z))(g, z)
    assert x.shape == (64, 3 * 16**2 if config.pictures else 2)
    assert np.isfinite(x).all()
    assert np.linalg.matrix_rank(np.cov(np.asarray(x).T)) >= config.n


def evaluated(config):
    """The evaluation of networks that nobody trained."""
    problem = system.make_problem(config)

    @jax.jit
    def run(key):
        frozen = problem.freeze(jax.random.fold_in(key, 0))
        params, state = problem.init(jax.random.fold_in(key, 1))
        own = problem.evaluate(params, state, frozen, jax.random.fold_in(key, 2))
        return summarised(own)

    with jax.debug_key_reuse(False):
        return run(jax.random.key(3))


def test_the_true_decoder_at_its_best_loses_the_contrast():
    # Theorem 1: its -ELBO is the entropy plus C_IMA, but for terms of 1 / gamma2.
    config = dataclasses.replace(
        SMALL, mixing="triangular", source="gaussian", prior="gaussian", gamma2=1e4
    )
    found = evaluated(config)
    losses, scores = found.losses, found.scores
    beyond = float(losses["reference"] - losses["limit"])
    contrast = float(scores["c_ima_mixing"])
    assert contrast > 0.05
    # Rows of the reference are fewer than those of the entropy: their spread.
    assert abs(beyond - contrast) < 0.15
    assert float(losses["loss"]) > float(losses["reference"])
    assert float(scores["mcc"]) <= 1
    assert set(found.nulls["mcc"]) == {"shuffled", "identity"}


def test_factors_of_pictures_have_the_laws_of_their_data_set():
    def drawn(key):
        g = process.freeze(SPRITES, jax.random.key(1))
        z = process.draw_sources(SPRITES, g, key, 2000)
        s = process.true_code(SPRITES, z)
        return g["shapes"], z, LatentPrior("beta", *g["shapes"]).latents(s)

    shapes, z, back = jax.device_get(jax.jit(drawn)(jax.random.key(2)))
    assert shapes.shape == (2, 4)
    assert shapes.min() >= 2
    assert shapes.max() <= 15
    assert np.ptp(shapes) > 1
    for column, alpha, beta in zip(z.T, *shapes, strict=True):
        # A false alarm in one of 2,500 of fresh keys.
        assert stats.kstest(column, stats.beta(alpha, beta).cdf).pvalue > 1e-4
    np.testing.assert_allclose(back, z, atol=1e-5)


@pytest.mark.parametrize("warp", ["affine", "projective"])
def test_a_warped_triangle_lies_where_the_map_takes_it(warp):
    config = dataclasses.replace(SPRITES, size=64, warp=warp)
    plain = dataclasses.replace(config, warp="none")
    z = jnp.array([[0.3, 0.7, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])  # small and red

    @jax.jit
    def drawn(key):
        g = process.freeze(config, key)
        return g["matrix"], *(process.observe(c, g, z) for c in (config, plain))

    matrix, *pictures = jax.device_get(drawn(jax.random.key(0)))
    forward = np.vstack([matrix, [0, 0, 1]]) if warp == "affine" else matrix
    shown = [p.reshape(-1, 64, 64, 3)[..., 0] for p in pictures]
    down, across = np.indices((64, 64))
    for warped, before in zip(*shown, strict=True):
        centre = [(before * axis).sum() / before.sum() for axis in (across, down)]
        x, y, w = forward @ [*centre, 1]
        # The map bends little over a triangle.
        got = [(warped * axis).sum() / warped.sum() for axis in (across, down)]
        np.testing.assert_allclose(got, [x / w, y / w], atol=0.4)
        near = np.array([[*(np.array(centre) + step), 1] for step in 0.01 * np.eye(2)])
        near = near @ forward.T
        slope = near[:, :2] / near[:, 2:] - [[x / w, y / w]]
        grown = abs(np.linalg.det(slope)) / 1e-4
        assert warped.sum() / before.sum() == pytest.approx(grown, rel=0.1)


def test_warps_break_the_orthogonality_that_a_triangle_has():
    def largest(warp):
        """Of the mean cosines between columns of the Jacobian."""
        config = dataclasses.replace(SPRITES, warp=warp, size=32)
        g = process.freeze(config, jax.random.key(0))
        z = process.draw_sources(config, g, jax.random.key(1), 256)
        j = jacobians(lambda z: process.observe(config, g, z), z)
        # Where a picture lies outside of its frame, columns are 0.
        unit = j / jnp.maximum(jnp.linalg.norm(j, axis=1, keepdims=True), 1e-6)
        cosines = jnp.mean(jnp.swapaxes(unit, 1, 2) @ unit, axis=0)
        return jnp.max(jnp.abs(jnp.triu(cosines, 1)))

    names = "none", "projective", "colours"
    plain, *others = jax.jit(lambda: [largest(name) for name in names])()
    assert plain < 0.06
    assert min(others) > 0.1


def test_pictures_are_scored_beside_the_true_decoder():
    found = evaluated(dataclasses.replace(SPRITES, gamma2=1e3, eval_batch=64))
    losses = found.losses
    # Nobody trained; the true decoder explains what a constant does not.
    assert float(losses["reference"]) < float(losses["chance"])
    assert float(losses["chance"]) < float(losses["loss"])
    assert "limit" not in losses
    assert set(found.nulls["mcc"]) == {"shuffled", "identity"}
    for name, value in found.scores.items():
        assert np.isfinite(value).all(), name


def test_shapes_of_a_beta_prior_are_learned():
    program = system.make_program(SPRITES)

    @jax.jit
    def run(key):
        g = program.freeze(jax.random.fold_in(key, 0))
        held = program.start(g, jax.random.fold_in(key, 1))
        first = process.prior_of(SPRITES, held.params)
        held, told = program.step(held, g, jax.random.fold_in(key, 2), jnp.int32(0))
        last = process.prior_of(SPRITES, held.params)
        return first.alpha, last.alpha, last.beta, told["loss"]

    with jax.debug_key_reuse(False):
        first, alpha, beta, loss = run(jax.random.key(0))
    np.testing.assert_allclose(first, 3.0)
    assert np.isfinite(loss)
    assert np.abs(alpha - first).min() > 0
    assert np.abs(beta - first).min() > 0


def test_precision_is_annealed_by_the_step_and_learned_in_the_log():
    annealed = dataclasses.replace(SMALL, anneal_share=0.5, anneal_from=10.0)
    learned = dataclasses.replace(SMALL, variance="learned", gamma2=50.0)
    closed = dataclasses.replace(SMALL, variance="closed_form", gamma2=1e3)
    seen = {}
    for name, config in (("a", annealed), ("l", learned), ("c", closed)):
        program = system.make_program(config)

        @jax.jit
        def run(key, program=program):
            g = program.freeze(jax.random.fold_in(key, 0))
            held = program.start(g, jax.random.fold_in(key, 1))
            first = program.step(held, g, jax.random.fold_in(key, 2), jnp.int32(0))
            again = program.step(first[0], g, jax.random.fold_in(key, 2), jnp.int32(1))
            return first[1]["gamma2"], again[1]["gamma2"]

        with jax.debug_key_reuse(False):
            seen[name] = [float(v) for v in run(jax.random.key(0))]
    np.testing.assert_allclose(seen["a"], [10.0, 100.0], rtol=1e-4)
    assert seen["l"][0] == pytest.approx(50.0, rel=1e-4)
    assert seen["l"][1] != seen["l"][0]
    assert seen["c"][0] not in (1e3, seen["c"][1])


def test_of_several_networks_the_one_of_the_greatest_bound_is_scored():
    config = dataclasses.replace(SMALL, restarts=3, eval_batch=128)
    program = system.make_program(config)
    alone = system.make_program(dataclasses.replace(config, restarts=1))
    nets = process.build_networks(config)

    @jax.jit
    def run(key):
        g = program.freeze(jax.random.fold_in(key, 0))
        held = program.start(g, jax.random.fold_in(key, 1))
        held, told = program.step(held, g, jax.random.fold_in(key, 2), jnp.int32(0))
        own = jax.random.fold_in(key, 3)
        x = process.observe(config, g, process.draw_sources(config, g, key, 4096))
        noise = jax.random.normal(jax.random.fold_in(key, 4), x.shape)

        def each(run):
            probed = alone.probe(run, g, jax.random.split(own)[1]).arrays
            params, state = run.params, run.state
            args = config, nets, params, state, g, x, noise
            return jnp.mean(process.negative_elbo(*args)[0]), probed

        return told["loss"], program.probe(held, g, own).arrays, jax.vmap(each)(held)

    with jax.debug_key_reuse(False):
        loss, kept, (losses, probed) = run(jax.random.key(5))
    assert np.isfinite(loss)
    best = int(np.argmin(losses))
    assert np.ptp(losses) > 0.1
    for a, b in zip(kept, probed, strict=True):
        np.testing.assert_allclose(a, b[best], rtol=1e-5)


def test_every_claim_has_its_run():
    rows = presets()
    for claim in load_claims("ima_vae").all:
        for budget in claim.budgets:
            for name in claim.needs(budget):
                assert name.replace("smoke/", "quick/") in rows


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"gamma2": 1e8},
            "gamma2 must be <= 1e\\+06, got 1e\\+08: half of it times the",
        ),
        ({"gamma2": 0.0}, "gamma2 must be > 0"),
        ({"mixing": "moebious"}, "did you mean 'moebius'"),
        ({"source": "gaussian"}, "source must be 'uniform' for mixing 'moebius': a so"),
        ({"mixing": "angled", "n": 3}, "n must be 2 and cosine below 1 for mixing"),
        ({"mixing": "angled", "cosine": 1.0}, "n must be 2 and cosine below 1"),
        ({"kl": "analytic"}, "prior must be 'gaussian' for kl 'analytic'"),
        ({"cosine": 0.5}, "cosine cannot act here, with mixing 'moebius'"),
        ({"mixing_layers": 2}, "mixing_layers cannot act here"),
        ({"anneal_from": 1.0}, "anneal_from cannot act here, with anneal_share 0"),
        (
            {"variance": "learned", "anneal_share": 0.1},
            "anneal_share cannot act here, with variance 'learned'",
        ),
        ({"variance": "closed_form", "gamma2": 10.0}, "gamma2 cannot act here"),
        ({"prior": "beta"}, "source and prior must be 'beta' for mixing 'triangles', "),
        ({"prior": "cauchy"}, "prior must be one of"),
        (
            {"mixing": "triangles", "source": "beta", "prior": "beta"},
            "n must be 4 for mixing 'triangles', got 2",
        ),
        ({"size": 24}, "size must be one of"),
        ({"size": 64}, "size cannot act here, with mixing 'moebius'"),
        ({"warp": "affine"}, "warp cannot act here, with mixing 'moebius'"),
        ({"n": 1}, "n must be >= 2"),
        ({"restarts": 0}, "restarts must be >= 1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ImaVae(**settings)
