"""AnInfoNCE: contrastive learning when latents vary to different degrees.

Wiring of Rusak et al. 2024. Where its equations live: the conditional in
`jidcl.latents.anisotropic`, the mixing g in `jidcl.mixing.dense` (a decoder trained on
MNIST: `jidcl.train.generator`), the encoder in `jidcl.encoders`, the loss in
`jidcl.losses.anisotropic`, the scores in `jidcl.metrics`.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jidcl.data import mnist_digest
from jidcl.encoders import make_mlp
from jidcl.latents import (
    Anisotropic as AnisotropicDensity,
)
from jidcl.latents import (
    Normal,
    Sphere,
    Uniform,
    VonMisesFisher,
    sample,
    sample_marginal,
)
from jidcl.losses import aninfonce_ensemble, from_lam, mse, to_lam
from jidcl.metrics import (
    block_r2,
    equal_blocks,
    lambda_recovery,
    mcc,
    r2,
    read_back,
    rotation_null,
    shuffled,
)
from jidcl.numerics import unit
from jidcl.optim import make_optimiser
from jidcl.systems.anisotropic.presets import Anisotropic
from jidcl.systems.shared.wiring import (
    gap_metrics,
    init_mixing,
    mean_over_batches,
    observe,
    over_batches,
    over_rows,
    run_optimiser,
)
from jidcl.types import Batch, Metrics, Pair, Problem

# Settings that may differ along a batch of runs: numbers that enter no shape.
TRACED = ("marginal_param", "kappa")


def make_problem(config: Anisotropic, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the rows of the training loss over its `data` axis.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`. Batches
        hold `batch` pairs of each pair distribution, of one after the other in turn.
    """
    m = config.outputs

    def mlp(unit, d, hidden):
        own: Any = dict(slope=config.slope, init=config.init, output="sphere")
        return make_mlp(unit, d=d, m=m, widths=hidden, **own)

    encoder = mlp(config.n, config.observed, config.widths)
    # Hidden widths of the head are in units of its input, the encoder's output.
    head = mlp(m, m, config.head) if config.head else None

    def freeze(key):
        return {"g": init_mixing(config, key, config.n)}

    def init(key):
        f_key, head_key, lam_key = jax.random.split(key, 3)
        params, states = {}, {}
        params["f"], states["f"] = encoder.init(f_key)
        if head is not None:
            params["head"], states["head"] = head.init(head_key)
        if config.lam_model in ("diagonal", "scalar"):
            width = m if config.lam_model == "diagonal" else 1
            noise = 0.1 * jax.random.normal(lam_key, (len(config.lams), width))
            params["raw_lam"] = noise + from_lam(jnp.asarray(config.lam_start))
        return params, states

    def draw(frozen, key):
        pair = draw_pairs(config, key, config.batch)
        return Batch(
            observe(config, frozen, pair.z), observe(config, frozen, pair.z_pos), *pair
        )

    def outputs(params, x, train=False):
        """(y, what the loss sees)."""
        y, _ = encoder.apply(params["f"], {}, x, train=train)
        if head is None:
            return y, y
        return y, head.apply(params["head"], {}, y, train=train)[0]

    def loss(params, state, batch, key):
        if config.objective == "supervised":
            y, _ = outputs(params, batch.x, train=True)
            return mse(y, batch.z), (state, {})
        y, y_pos = (outputs(params, x, train=True)[1] for x in (batch.x, batch.x_pos))
        lam = model_lam(config, params)
        return _objective(config, y, y_pos, lam, mesh=mesh), (state, {})

    def probe(params, state, frozen, key):
        z = draw_pairs(config, key, min(config.eval_batch, 4096)).z
        y, _ = outputs(params, observe(config, frozen, z))
        lam, score = model_lam(config, params), _mcc(z, y)
        learned = _lambda_scores(config, lam, score.columns)
        return learned | {"r2": r2(z, y).mean, "mcc": score.mean}

    def evaluate(params, state, frozen, key):
        def f(x):
            return outputs(params, x)

        return evaluate_encoder(config, f, model_lam(config, params), frozen, key)

    def sharded(mesh):
        return make_problem(config, mesh)

    spread = None if config.objective == "supervised" else sharded
    return Problem(freeze, init, draw, loss, probe, evaluate, spread, config.precision)


def make_run_optimiser(config: Anisotropic) -> optax.GradientTransformation:
    """The configured optimiser, and Adam with a rate of its own for Lambda."""
    lam = make_optimiser(
        "adam",
        config.lam_rate,
        steps=config.steps,
        schedule=config.schedule,
        warmup=config.warmup,
    )

    def labels(params):
        return {name: "lam" if name == "raw_lam" else "net" for name in params}

    return optax.partition({"net": run_optimiser(config), "lam": lam}, labels)


def frozen_identity(config: Anisotropic) -> dict[str, object]:
    """The settings that the frozen draws depend on (for caches)."""
    names = ("n", "mixing", "mixing_layers", "mixing_draws")
    identity: dict[str, object] = {name: getattr(config, name) for name in names}
    if config.mixing == "mnist":
        identity["data"] = mnist_digest()
    return identity


def floor_kind(config: Anisotropic) -> str:
    """`"oracle"`: the Monte Carlo loss of the true latents; supervised: `"none"`.

    With the true Lambda where the model's is learned as a diagonal, with the best
    number where it is one number, and with the fixed one where it is fixed.
    """
    return "none" if config.objective == "supervised" else "oracle"


def draw_pairs(config: Anisotropic, key: jax.Array, batch: int) -> Pair:
    """Latents of `batch` pairs of each of K pair distributions, `[batch K, n]`.

    Row i is of distribution i mod K: a share of the rows has its share of each.
    """
    space = Sphere(config.n)

    def one(key, lam):
        z_key, pos_key = jax.random.split(key)
        if config.marginal == "lam":
            normal = jax.random.normal(z_key, (batch, config.n))
            z = unit(normal / jnp.sqrt(lam)[None])
        else:
            scale = config.marginal_param
            density = Normal(scale) if config.marginal == "normal" else Uniform()
            z = sample_marginal(z_key, density, space, shape=(batch,))
        return z, sample(pos_key, conditional(config, lam), space, z)

    drawn = [
        one(jax.random.fold_in(key, k), jnp.asarray(lam))
        for k, lam in enumerate(config.lams)
    ]
    rows = (jnp.stack(parts, axis=1) for parts in zip(*drawn, strict=True))
    return Pair(*(x.reshape(-1, config.n) for x in rows))


def conditional(config: Anisotropic, lam: jax.Array):
    """p(z_pos | z) of one pair distribution."""
    match config.pair:
        case "vmf":
            return VonMisesFisher(config.kappa)
        case "projected":
            return AnisotropicDensity(lam, math.inf)
        case "laplace":
            return AnisotropicDensity(lam, config.shell, "laplace")
    return AnisotropicDensity(lam, config.shell)


def model_lam(config: Anisotropic, params: Any) -> jax.Array:
    """Lambda of the loss, `[K, m]`."""
    shape = len(config.lams), config.outputs
    match config.lam_model:
        case "fixed":
            return jnp.full(shape, config.lam_start)
        case "truth":
            return jnp.asarray(config.lams)
    return jnp.broadcast_to(to_lam(params["raw_lam"]), shape)


def _objective(
    config: Anisotropic, y, y_pos, lam, *, mesh: Mesh | None = None
) -> jax.Array:
    count = len(config.lams)

    def loss(y, y_pos, lam, *, axis):
        y, y_pos = (
            x.reshape(-1, count, x.shape[-1]).swapaxes(0, 1) for x in (y, y_pos)
        )
        return aninfonce_ensemble(
            y,
            y_pos,
            lam,
            jnp.full((count,), 1 / count),
            cross=config.cross,
            beta=config.beta,
            tau_plus=config.tau_plus,
            axis=axis,
        )[0]

    return over_rows(loss, mesh, (y, y_pos), (lam,))


def evaluate_encoder(config: Anisotropic, f, lam, frozen, key) -> Metrics:
    """Scores, loss and floor over `eval_batches` fresh batches, and the nulls.

    Args:
        config: settings.
        f: `x -> (y, what the loss sees)`.
        lam: Lambda of the loss, `[K, m]`.
        frozen: the mixing.
        key: a typed key.

    Returns:
        Scores of y by name, see `jidcl.types.Problem`.
    """
    fit_key, batch_key, null_key, sample_key = jax.random.split(key, 4)
    blocks = equal_blocks(*config.lams)
    true_lam = _oracle_lam(config, lam, fit_key)

    def score(key):
        pair_key, shuffle_key = jax.random.split(key)
        pair = draw_pairs(config, pair_key, config.eval_batch)
        x, x_pos = (observe(config, frozen, z) for z in pair)
        y, seen = f(x)
        found, mixed = _mcc(pair.z, y), shuffled(shuffle_key, y)
        scores = {
            "r2": r2(pair.z, y).mean,
            "mcc": found.mean,
            "mcc_spearman": _mcc(pair.z, y, spearman=True).mean,
            "r2_shuffled": r2(pair.z, mixed).mean,
            "mcc_shuffled": _mcc(pair.z, mixed).mean,
            "r2_identity": r2(pair.z, x, split=config.observed > config.n).mean,
            "mcc_identity": mcc(pair.z, x).mean,
            "r2_per_dim": r2(pair.z, y).per_dim,
            "mcc_per_dim": found.per_dim,
        }
        if config.objective == "supervised":
            scores |= {"loss": mse(y, pair.z)}
        else:
            # 0 * y keeps it a computed value: XLA would fold a constant for seconds.
            same = 0 * seen + config.outputs**-0.5
            scores |= {
                "loss": _objective(config, seen, f(x_pos)[1], lam),
                "oracle_loss": _objective(config, pair.z, pair.z_pos, true_lam),
                "chance": _objective(config, same, same, lam),
            }
        if config.outputs >= config.n and config.objective != "supervised":
            by_block = block_r2(pair.z, y, lam[0], equal_blocks(config.lams[0]))
            scores["block_r2"] = jnp.mean(by_block)
        if config.head:
            scores |= {"head_r2": r2(pair.z, seen).mean}
            scores |= {"head_mcc": _mcc(pair.z, seen).mean}
        return scores | _lambda_scores(config, lam, found.columns)

    batches = over_batches(score, batch_key, config.eval_batches)
    metrics = mean_over_batches(batches)
    if config.objective != "supervised":
        metrics |= gap_metrics(*(batches[k] for k in ("loss", "oracle_loss", "chance")))
    if config.mixing == "mnist":
        metrics["decoder_loss"] = frozen["g"]["loss"]
    z = draw_pairs(config, sample_key, 1000).z[:1000]
    y, _ = f(observe(config, frozen, z))
    rotations = rotation_null(null_key, z, blocks=blocks)
    metrics["mcc_rotation_low"] = jnp.quantile(rotations, 0.005)
    metrics["mcc_rotation_high"] = jnp.quantile(rotations, 0.995)
    samples = {"z": z, "y": y, "z_hat": read_back(z, y), "matrix": _mcc(z, y).matrix}
    return metrics | {f"sample/{name}": value for name, value in samples.items()}


def _oracle_lam(config: Anisotropic, lam, key) -> jax.Array:
    """The model's best Lambda for the true latents, `[K, n]`."""
    truth = jnp.asarray(config.lams)
    ones = jnp.ones_like(truth)
    match config.lam_model:
        case "diagonal" | "truth":
            return truth
        case "fixed":
            return ones * config.lam_start
    pair = draw_pairs(config, key, config.eval_batch)
    grid = jnp.geomspace(min(map(min, config.lams)), max(map(max, config.lams)), 25)

    def loss(value):
        return _objective(config, pair.z, pair.z_pos, ones * value)

    return ones * grid[jnp.argmin(jax.lax.map(loss, grid))]


def _lambda_scores(config: Anisotropic, lam, columns) -> Metrics:
    """Recovery of Lambda, averaged over the pair distributions; none if not used."""
    if config.objective == "supervised":
        return {}
    missing = max(config.n - config.outputs, 0)
    lam = jnp.pad(lam, ((0, 0), (0, missing)))
    truth = jnp.asarray(config.lams)
    got = jax.vmap(lambda a, b: lambda_recovery(a, b, columns))(truth, lam)
    return {
        "lam_error": jnp.mean(got.error),
        "lam_error_sorted": jnp.mean(got.sorted_error),
        "lam_pearson": jnp.mean(got.pearson),
        "lam_aligned": got.aligned[0],
    }


def _mcc(z, y, *, spearman: bool = False):
    """MCC; outputs that are fewer than the latents are filled up by constants."""
    missing = max(z.shape[1] - y.shape[1], 0)
    return mcc(z, jnp.pad(y, ((0, 0), (0, missing))), spearman=spearman)
