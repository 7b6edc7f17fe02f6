"""Cross-entropy: when do instance or class labels invert the generating process?

Wiring of Reizinger et al. 2024. Where its equations live: cluster vectors, labels and
conditionals in `jidcl.latents.clusters`, the mixing g in `jidcl.mixing.dense`, the
encoder in `jidcl.encoders`, the loss in `jidcl.losses.classification`, the posterior
and its loss in `jidcl.theory.classification`, the scores in `jidcl.metrics`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jidcl.checks import is_traced
from jidcl.encoders import Encoder
from jidcl.latents import (
    Instances,
    TruncatedLaplace,
    class_of_index,
    make_density,
    sample_cluster_vectors,
    sample_instances,
)
from jidcl.losses import instance_cross_entropy
from jidcl.metrics import (
    mcc,
    r2,
    read_back,
    row_collapse,
    scale_error,
    shuffled,
    tied_kappa,
)
from jidcl.metrics.recovery import fit_affine
from jidcl.numerics import unit
from jidcl.optim.project import on_sphere, rows_from_sphere
from jidcl.systems.diet.presets import Diet
from jidcl.systems.shared.wiring import (
    gap_metrics,
    init_encoder,
    init_mixing,
    mean_over_batches,
    observe,
    over_batches,
    run_optimiser,
)
from jidcl.theory import best_scale, index_log_posterior
from jidcl.types import Metrics, Problem

# Settings that may differ along a batch of runs: numbers that enter no shape.
TRACED = ("kappa", "scale", "label_noise", "beta")


class Labelled(NamedTuple):
    """Observations `[batch, n]` and the numbers of their rows of W, `[batch]`."""

    x: jax.Array
    target: jax.Array


def make_problem(config: Diet, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the batch of the training loss over its `data` axis and the rows of
            W over its `model` axis.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    encoder = build_encoder(config)

    def freeze(key):
        g_key, v_key = jax.random.split(key)
        density = make_density(config.cluster_density, 1.0)
        v = sample_cluster_vectors(v_key, config.clusters, config.n, density)
        return {"g": init_mixing(config, g_key, config.n), "v": v}

    def init(key):
        e_key, w_key, b_key = (jax.random.fold_in(key, i) for i in range(3))
        params, state = encoder.init(e_key)
        # Almost zero rows learn their directions from features that are still linear in
        # x; random ones would first bend those, and some runs never straighten.
        published = config.init == "fan_in_uniform"
        bound = (1.0 if published else 1e-3) * config.n**-0.5
        shape = (config.num_rows, config.n)
        draw = partial(jax.random.uniform, minval=-bound, maxval=bound)
        head = {"encoder": params, "w": draw(w_key, shape)}
        if config.bias:
            head["bias"] = draw(b_key, shape[:1])
        if config.learn_beta:
            head["log_beta"] = jnp.log(jnp.asarray(config.beta, jnp.float32))
        return head, state

    def draw(frozen, key):
        z_key, noise_key = jax.random.split(key)
        drawn = draw_instances(config, frozen["v"], z_key, config.batch)
        target = _noisy(config, noise_key, _target(config, drawn))
        return Labelled(observe(config, frozen, drawn.z), target)

    def loss(params, state, batch, key):
        y, state = encoder.apply(params["encoder"], state, batch.x, train=True)
        w = params["w"]
        if config.rows == "projected":
            params = {**params, "w": on_sphere(w)}
        return objective(config, params, y, batch.target, mesh=mesh), (state, {})

    def probe(params, state, frozen, key):
        drawn = draw_instances(config, frozen["v"], key, min(config.eval_batch, 4096))
        y, _ = encoder.apply(params["encoder"], state, observe(config, frozen, drawn.z))
        return {"r2": r2(drawn.z, y, split=True).mean}

    def evaluate(params, state, frozen, key):
        def f(x):
            return encoder.apply(params["encoder"], state, x)[0]

        return _evaluate(config, f, params, frozen, key)

    def sharded(mesh):
        return make_problem(config, mesh)

    return Problem(freeze, init, draw, loss, probe, evaluate, sharded, config.precision)


def build_encoder(config: Diet) -> Encoder:
    """The MLP of a configuration."""
    return init_encoder(
        config,
        config.n,
        output=config.output,
        batch_norm=config.batch_norm,
    )


def make_run_optimiser(config: Diet) -> optax.GradientTransformation:
    """The optimiser of a configuration, with the projection of W where it is asked."""
    optimiser = run_optimiser(config)
    if config.rows != "projected":
        return optimiser
    return optax.chain(optimiser, rows_from_sphere("w"))


def frozen_identity(config: Diet) -> dict[str, object]:
    """The settings that the frozen draws depend on (for caches)."""
    names = ("n", "clusters", "cluster_density")
    names += ("mixing", "mixing_layers", "mixing_draws")
    return {name: getattr(config, name) for name in names}


def floor_kind(config: Diet) -> str:
    """`"limit"` where the model can express the posterior of a vMF, else `"oracle"`.

    The limit is the loss of the posterior itself, H(C | z) or H(C | z) + log(N / C).
    The oracle is the loss of logits k <v_c, z>, with the best k that the model can
    reach: a reference, since for other conditionals nonlinear features may do better.
    """
    if config.conditional != "vmf" or config.smoothing:
        return "oracle"
    if is_traced(config.label_noise) or config.label_noise:
        return "oracle"
    return "oracle" if _reachable_scale(config) is not None else "limit"


def draw_instances(config: Diet, v: jax.Array, key: jax.Array, batch: int) -> Instances:
    """Labels and latents of the configured process."""
    if config.conditional == "truncated_laplace":
        conditional = TruncatedLaplace(config.scale, config.limit, config.project)
    else:
        vmf = config.conditional == "vmf"
        param = config.kappa if vmf else config.scale
        conditional = make_density(config.conditional, param, config.gennorm_p)
    return sample_instances(key, v, conditional, instances=config.num_rows, batch=batch)


def objective(config: Diet, params, y, target, *, mesh: Mesh | None = None):
    """Cross-entropy of features y with the rows of W that `target` numbers, nats."""
    loss = partial(
        instance_cross_entropy,
        normalize_rows=config.rows == "unit",
        smoothing=config.smoothing,
    )
    beta = jnp.asarray(_beta(config, params), y.dtype)
    if mesh is None:
        return loss(y, params["w"], target, beta=beta, bias=params.get("bias"))
    bias = params.get("bias", jnp.zeros_like(params["w"][:, 0]))

    def local(y, w, target, beta, bias):
        value = loss(y, w, target, beta=beta, bias=bias, axis="model")
        return jax.lax.pmean(value, "data")

    # A vmap over seeds outside adds `seed` to some operands' varying axes only.
    return jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(P("data"), P("model"), P("data"), P(), P("model")),
        out_specs=P(),
        check_vma=False,
    )(y, params["w"], target, beta, bias)


def _beta(config: Diet, params):
    return jnp.exp(params["log_beta"]) if config.learn_beta else config.beta


def _target(config: Diet, drawn: Instances) -> jax.Array:
    return drawn.index if config.labels == "instance" else drawn.label


def _noisy(config: Diet, key, target):
    if not is_traced(config.label_noise) and config.label_noise == 0:
        return target
    k_which, k_value = jax.random.split(key)
    which = jax.random.uniform(k_which, target.shape) < config.label_noise
    other = jax.random.randint(k_value, target.shape, 0, config.num_rows)
    return jnp.where(which, other, target)


def _reachable_scale(config: Diet):
    """The one k that the model can reach, where both sides have unit norm."""
    both = config.output == "sphere" and config.rows != "free"
    return config.beta if both and not config.learn_beta else None


def _reference(config: Diet, v, key):
    """`drawn -> loss` of the true latents under the best map; see `floor_kind`."""

    def loss(k, drawn):
        log_p = index_log_posterior(
            drawn.z,
            v,
            k,
            _target(config, drawn),
            instances=config.num_rows,
            noise=config.label_noise,
        )
        return -jnp.mean(log_p)

    if _reachable_scale(config) is not None:
        return partial(loss, _reachable_scale(config))
    if config.conditional == "vmf":
        return partial(loss, config.kappa)
    drawn = draw_instances(config, v, key, config.eval_batch)
    return partial(loss, best_scale(partial(loss, drawn=drawn), span=(0.1, 100.0)))


def _evaluate(config: Diet, f, params, frozen, key) -> Metrics:
    """Scores, loss and floor over `eval_batches` fresh batches, and the nulls."""
    v = frozen["v"]
    fit_key, batch_key, null_key = jax.random.split(key, 3)
    reference = _reference(config, v, fit_key)
    class_rows = v[class_of_index(jnp.arange(config.num_rows), config.clusters)]
    w, beta = _effective_rows(config, params), _beta(config, params)

    def score(key):
        z_key, noise_key, shuffle_key = jax.random.split(key, 3)
        drawn = draw_instances(config, v, z_key, config.eval_batch)
        z, x = drawn.z, observe(config, frozen, drawn.z)
        y = f(x)
        target = _noisy(config, noise_key, _target(config, drawn))
        drawn = drawn._replace(**_as_target(config, target))
        linear_z = fit_affine(x, z)(x)
        tied = tied_kappa(z, y, class_rows, w, beta=beta)
        mixed = shuffled(shuffle_key, y)
        # One compiled score for the encoder, its null and x itself.
        affine = _each(lambda y: r2(z, y, split=True).per_dim, y, mixed, x)
        scores = {
            "r2": jnp.mean(affine[0]),
            "r2_per_dim": affine[0],
            "r2_shuffled": jnp.mean(affine[1]),
            "r2_identity": jnp.mean(affine[2]),
            "kappa_error": jnp.abs(tied.kappa / config.kappa - 1),
            "tied_deviation": tied.deviation,
            "loss": objective(config, params, y, target),
            "reference": reference(drawn),
            "linear_loss": reference(drawn._replace(z=linear_z)),
            "sample/z": z[:1000],
            "sample/y": y[:1000],
        }
        if not _scale_is_fixed(config):
            return scores
        linear = _each(lambda y: r2(z, y, split=True, intercept=False).mean, y, x)
        scale = scale_error(y, z, config.kappa)
        return scores | {
            "r2_linear": linear[0],
            "r2_linear_identity": linear[1],
            "scale_error": scale.mean,
            "scale_error_relative": scale.relative,
        }

    batches = over_batches(score, batch_key, config.eval_batches)
    z, y = (batches.pop(f"sample/{name}")[0] for name in "zy")
    loss, floor = batches["loss"], batches.pop("reference")
    metrics = mean_over_batches(batches)
    chance = jnp.full_like(floor, jnp.log(config.num_rows))
    metrics |= gap_metrics(loss, floor, chance)
    metrics |= _rows(config, params, v, null_key)
    samples = {"z": z, "y": y, "z_hat": read_back(z, y), "matrix": mcc(z, y).matrix}
    return metrics | {f"sample/{name}": value for name, value in samples.items()}


def _each(score, *arrays):
    """The score of every array, one after another."""
    return jax.lax.map(score, jnp.stack(arrays))


def _as_target(config: Diet, target):
    return {"index": target} if config.labels == "instance" else {"label": target}


def _effective_rows(config: Diet, params) -> jax.Array:
    return unit(params["w"]) if config.rows == "unit" else params["w"]


def _rows(config: Diet, params, v, key) -> Metrics:
    """Scores of the rows of W against their cluster vectors, where there are enough."""
    rows, w = config.num_rows, _effective_rows(config, params)
    if rows < 4 * (config.n + 1):
        return {}
    target = v[class_of_index(jnp.arange(rows), config.clusters)]
    affine = _each(lambda w: r2(target, w, split=True).mean, w, shuffled(key, w))
    scores = {
        "r2_rows": affine[0],
        "r2_rows_shuffled": affine[1],
        "row_collapse": row_collapse(w, config.clusters).ratio,
    }
    if not _scale_is_fixed(config):
        return scores
    return scores | {
        "r2_rows_linear": r2(target, w, split=True, intercept=False).mean,
        "rows_scale_error": scale_error(w, target, 1.0).mean,
    }


def _scale_is_fixed(config: Diet) -> bool:
    """Case C3: h = kappa O z, so maps have no intercept and known singular values."""
    return config.rows != "free" and config.output == "none"
