"""The data-generating process and the objective of cross-entropy, and its floor.

Wiring of Reizinger et al. 2024. Where its equations live: cluster vectors, labels and
conditionals in `jidcl.latents.clusters`, the mixing g in `jidcl.mixing.dense`, the
encoder in `jidcl.encoders`, the loss in `jidcl.losses.classification`, the posterior
and its loss in `jidcl.theory.classification`, the scores in `jidcl.metrics`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jidcl.checks import is_traced
from jidcl.latents import Instances, TruncatedLaplace, make_density, sample_instances
from jidcl.losses import instance_cross_entropy
from jidcl.numerics import unit
from jidcl.systems.diet.presets import Diet
from jidcl.theory import best_scale, index_log_posterior
from jidcl.types import Array


def draw_instances(config: Diet, v: Array, key: jax.Array, batch: int) -> Instances:
    """Labels and latents of the configured process.

    Args:
        config: settings of the run.
        v: cluster vectors, `[clusters, n]`.
        key: a typed key.
        batch: draws, >= 1.

    Returns:
        `Instances` of `[batch, n]` latents.
    """
    if config.conditional == "truncated_laplace":
        conditional = TruncatedLaplace(config.scale, config.limit, config.project)
    else:
        vmf = config.conditional == "vmf"
        param = config.kappa if vmf else config.scale
        conditional = make_density(config.conditional, param, config.gennorm_p)
    return sample_instances(key, v, conditional, instances=config.num_rows, batch=batch)


def target_of(config: Diet, drawn: Instances) -> Array:
    """The labels that are trained on, `[batch]`: of instances, or of classes."""
    return drawn.index if config.labels == "instance" else drawn.label


def noisy(config: Diet, key: jax.Array, target: Array) -> Array:
    """Labels `[batch]` of which a share `label_noise` is replaced by uniform ones."""
    if not is_traced(config.label_noise) and config.label_noise == 0:
        return target
    k_which, k_value = jax.random.split(key)
    which = jax.random.uniform(k_which, target.shape) < config.label_noise
    other = jax.random.randint(k_value, target.shape, 0, config.num_rows)
    return jnp.where(which, other, target)


def objective(
    config: Diet, params: Any, y: Array, target: Array, *, mesh: Mesh | None = None
) -> Array:
    """Cross-entropy of features with the rows of W that labels number.

    Args:
        config: settings of the run.
        params: the head: `w` and, where the settings ask for them, `bias`, `log_beta`.
        y: features, `[batch, n]`.
        target: labels, `[batch]`, whole numbers below `config.num_rows`.
        mesh: spreads the batch over its `data` axis, the rows over `model`.

    Returns:
        A scalar, nats.
    """
    loss = partial(
        instance_cross_entropy,
        normalize_rows=config.rows == "unit",
        smoothing=config.smoothing,
    )
    beta = jnp.asarray(beta_of(config, params), y.dtype)
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


def beta_of(config: Diet, params: Any) -> Array | float:
    """The inverse temperature of the model."""
    return jnp.exp(params["log_beta"]) if config.learn_beta else config.beta


def effective_rows(config: Diet, params: Any) -> Array:
    """The rows of W as the model uses them, `[rows, n]`."""
    return unit(params["w"]) if config.rows == "unit" else params["w"]


def scale_is_fixed(config: Diet) -> bool:
    """Case C3: h = kappa O z, so maps have no intercept and known singular values."""
    return config.rows != "free" and config.output == "none"


def floor_kind(config: Diet) -> str:
    """`"limit"` where the model can express the posterior of a vMF, else `"reference"`.

    The limit is the loss of the posterior itself, H(C | z) or H(C | z) + log(N / C).
    The oracle is the loss of logits k <v_c, z>, with the best k that the model can
    reach: a reference, since for other conditionals nonlinear features may do better.
    """
    if config.conditional != "vmf" or config.smoothing:
        return "reference"
    if is_traced(config.label_noise) or config.label_noise:
        return "reference"
    return "reference" if _reachable_scale(config) is not None else "limit"


def reference(config: Diet, v: Array, key: jax.Array) -> Callable[[Instances], Array]:
    """`drawn -> loss` of the true latents under the best map; see `floor_kind`."""

    def loss(k, drawn):
        log_p = index_log_posterior(
            drawn.z,
            v,
            k,
            target_of(config, drawn),
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


def _reachable_scale(config: Diet):
    """The one k that the model can reach, where both sides have unit norm."""
    both = config.output == "sphere" and config.rows != "free"
    return config.beta if both and not config.learn_beta else None
