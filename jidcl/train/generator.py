"""A generator learned from images, as a mixing g: the decoder of a small VAE.

The variational autoencoder is a `Problem` and is trained by the one step, so a trained
decoder is a pure function of a key and the images, as any drawn mixing is.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jidcl.checks import check_above, check_at_least, check_choice
from jidcl.encoders import MLP, Encoder, from_nnx
from jidcl.losses.variational import bernoulli_nll, gaussian_kl
from jidcl.train.gradient import gradient
from jidcl.train.state import start_state
from jidcl.train.step import make_step
from jidcl.types import Array, Problem


def make_vae(images: Array, *, n: int, hidden: tuple[int, ...], batch: int) -> Problem:
    """The VAE of n latents with Bernoulli pixels; the loss is -ELBO in nats an image.

    -log p(x | z) + KL(q(z | x) || N(0, I)), z drawn once for each image.

    Args:
        images: `[count, pixels]`, whole levels 0 to 255.
        n: latents.
        hidden: widths of the decoder's hidden layers, and backwards of the encoder's.
        batch: images of a step, drawn with replacement.

    Returns:
        A problem whose parameters are `encoder` and `decoder`.

    Source: Kingma and Welling 2014.
    """
    pixels = images.shape[1]
    encoder = _net(pixels, 2 * n, hidden[::-1])
    decoder = _net(n, pixels, hidden)

    def init(key):
        e_key, d_key = jax.random.split(key)
        return {
            "encoder": encoder.init(e_key)[0],
            "decoder": decoder.init(d_key)[0],
        }, {}

    def draw(frozen, key):
        rows = jax.random.randint(key, (batch,), 0, images.shape[0])
        return images[rows].astype(jnp.float32) / 255

    def loss(params, state, x, key):
        posterior, _ = encoder.apply(params["encoder"], {}, x)
        mean, log_var = jnp.split(posterior, 2, axis=-1)
        z = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
        logits, _ = decoder.apply(params["decoder"], {}, z)
        kl = jnp.mean(gaussian_kl(mean, log_var))
        return jnp.mean(bernoulli_nll(logits, x)) + kl, (state, {"kl": kl})

    def score(params, state, frozen, key):
        draw_key, key = jax.random.split(key)
        value, (_, metrics) = loss(params, state, draw(frozen, draw_key), key)
        return {"loss": value, **metrics}

    return Problem(lambda key: {}, init, draw, loss, score, score)


def train_decoder(
    key: Array,
    images: np.ndarray,
    *,
    n: int,
    hidden: tuple[int, ...],
    steps: int,
    batch: int = 128,
    rate: float = 1e-3,
) -> dict[str, Any]:
    """The decoder of a VAE trained on images; traceable, so a batch of seeds is a vmap.

    Args:
        key: a typed key.
        images: `[count, height, width]`, uint8.
        n: latents.
        hidden: widths of its hidden layers.
        steps: updates (Adam).
        batch: images of a step.
        rate: learning rate.

    Returns:
        `decoder`, weights for `decode`; `loss`, the mean -ELBO of the last tenth of
        the steps, nats an image.

    Raises:
        ValueError: on images of another shape or dtype, or sizes < 1.
    """
    check_choice("dtype of images", str(images.dtype), ("uint8",))
    if images.ndim != 3 or not len(images):
        raise ValueError(
            "images must have shape [count, height, width], count >= 1, got "
            f"{list(images.shape)}"
        )
    check_above("rate", rate, 0)
    for name, value in (("n", n), ("steps", steps), ("batch", batch)):
        check_at_least(name, value, 1)
    flat = jnp.asarray(images.reshape(len(images), -1))
    problem = make_vae(flat, n=n, hidden=hidden, batch=batch)
    program = gradient(problem, optax.adam(rate))
    step = make_step(program)
    seed = jax.random.randint(key, (), 0, 2**31 - 1)
    run = start_state(program, seed, {})
    run, metrics = jax.lax.scan(lambda run, _: step(run), run, length=steps)
    last = metrics["loss"][-max(1, steps // 10) :]
    return {"decoder": run.params["decoder"], "loss": jnp.mean(last)}


def decode(params: Any, z: Array) -> Array:
    """Mean images `[batch, pixels]` in (0, 1) of latents `[batch, n]`."""
    layers = params["layers"]
    shapes = [layers[str(i)]["kernel"].shape for i in range(len(layers))]
    hidden = tuple(shape[1] for shape in shapes[:-1])
    net = _net(shapes[0][0], shapes[-1][1], hidden)
    return jax.nn.sigmoid(net.apply(params, {}, z)[0])


def _net(d: int, m: int, hidden: tuple[int, ...]) -> Encoder:
    return from_nnx(lambda rngs: MLP(d, m, hidden=hidden, activation="gelu", rngs=rngs))
