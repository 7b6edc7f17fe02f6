"""Wiring that every system shares: mixing and optimiser of its settings, the gap."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jidcl.data import load_mnist
from jidcl.encoders import Encoder, make_mlp
from jidcl.mixing import init_invertible_mlp, init_linear, init_orthogonal, mix
from jidcl.optim import make_optimiser
from jidcl.systems.shared.pictures import draw_pictures, look_up, make_image_encoder
from jidcl.systems.shared.settings import Pictures, Training
from jidcl.train.generator import decode, train_decoder
from jidcl.types import Array, Metrics


def run_optimiser(config: Training) -> optax.GradientTransformation:
    """The optimiser of a configuration."""
    return make_optimiser(
        config.optimiser,
        config.learning_rate,
        steps=config.steps,
        schedule=config.schedule,
        warmup=config.warmup,
        muon_steps=config.muon_steps,
        weight_decay=config.weight_decay,
    )


def init_encoder(config: Training, d: int, **own: Any) -> Encoder:
    """The encoder of d latents: of pictures, or an MLP of the configured widths.

    `own` names the output space (`output`, `output_size`), and more for `make_mlp`.
    """
    if isinstance(config, Pictures):
        return make_image_encoder(config, d, **own)
    return make_mlp(
        d, widths=config.widths, slope=config.slope, init=config.init, **own
    )


def init_mixing(config: Training, key: Array, n: int) -> Any:
    """Weights of the configured mixing of n latents; frozen during a run."""
    if isinstance(config, Pictures):
        return {}
    draws = config.mixing_draws
    match config.mixing:
        case "invertible_mlp":
            return init_invertible_mlp(key, n, layers=config.mixing_layers, draws=draws)
        case "linear":
            return init_linear(key, n, draws=draws)
        case "orthogonal":
            return init_orthogonal(key, n)
        case "mnist":
            hidden = (25 * n,) * (config.mixing_layers - 1)
            images = load_mnist().train_images
            return train_decoder(key, images, n=n, hidden=hidden, steps=draws)
    return {"kernels": jnp.eye(n)[None], "cond": jnp.ones((1,))}


def observe(config: Training, frozen: Any, z: Array) -> Array:
    """x = g(z) with the frozen mixing, or pictures, drawn or looked up.

    Of pictures on disk the frozen draws name the set, see
    `jidcl.systems.shared.pictures.on_part`. A decoder sees latents of the length of its
    prior's, sqrt(n) for those of a sphere.
    """
    if isinstance(config, Pictures):
        held = frozen.get("set")
        return draw_pictures(config, z) if held is None else look_up(config, held, z)
    g = frozen["g"]
    if "decoder" in g:
        return decode(g["decoder"], z * z.shape[-1] ** 0.5)
    return mix(g, z)


def observe_pair(
    config: Training, frozen: Any, z: Array, z_pos: Array
) -> tuple[Array, Array]:
    """Observations of both latents by one program: a scene's takes long to compile."""
    both = jax.vmap(partial(observe, config, frozen))(jnp.stack([z, z_pos]))
    return both[0], both[1]


def over_rows(loss: Callable, mesh: Mesh | None, rows: tuple, whole: tuple = ()):
    """`loss(*rows, *whole, axis=...)`, the rows spread over the mesh's `data` axis.

    Args:
        loss: with `axis` None of whole arrays, with `"data"` of a device's rows.
        mesh: None: no axis.
        rows: arrays `[batch, ...]`.
        whole: arrays that every device has.

    Returns:
        What `loss` returns: the same on every device.
    """
    if mesh is None:
        return loss(*rows, *whole, axis=None)
    # A vmap over seeds outside adds `seed` to some operands' varying axes only.
    return jax.shard_map(
        partial(loss, axis="data"),
        mesh=mesh,
        in_specs=(P("data"),) * len(rows) + (P(),) * len(whole),
        out_specs=P(),
        check_vma=False,
    )(*rows, *whole)


def over_batches(score: Callable[[Array], Any], key: Array, batches: int):
    """Scores of `batches` independent draws, one after another: `[batches, ...]`."""
    return jax.lax.map(score, jax.random.split(key, batches))


def mean_over_batches(scores: Metrics) -> Metrics:
    """Each score averaged over its leading axis."""
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), scores)


def gap_metrics(loss: Array, reference: Array, chance: Array) -> Metrics:
    """The evaluation loss beside its floor, from losses on the same draws.

    Args:
        loss: the encoder's loss, `[batches]`.
        reference: the loss of the true latents, `[batches]`.
        chance: the loss of a constant encoder, `[batches]`.

    Returns:
        Means `loss`, `floor`, `chance` and `gap`, and `gap_se`, the standard error of
        the paired differences; nats.
    """
    gaps = loss - reference
    return {
        "loss": jnp.mean(loss),
        "floor": jnp.mean(reference),
        "chance": jnp.mean(chance),
        "gap": jnp.mean(gaps),
        "gap_se": jnp.sqrt(jnp.var(gaps) / max(gaps.shape[0] - 1, 1)),
    }
