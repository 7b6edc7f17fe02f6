"""A small causal Transformer of tokens: post-norm layers, ReLU, cached decoding."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jidcl.checks import (
    check_above,
    check_choice,
    check_count,
    check_scalar,
    check_unit_interval,
)
from jidcl.encoders.sequence import (
    Affine,
    SequenceModel,
    along,
    check_length,
    one_hot,
    sequence_model,
)
from jidcl.types import Params

POSITIONS = ("none", "sinusoidal")
FAR = -1e30  # a score whose share is 0 in every precision


def sinusoidal(length: int, d: int) -> np.ndarray:
    """sin(t w_i) on even and cos(t w_i) on odd dimensions, w_i = 10000^(-2i / d).

    Args:
        length: positions t, >= 1.
        d: dimensions, >= 1.

    Returns:
        float64 `[length, d]`.

    Raises:
        ValueError: on numbers out of range.
    """
    check_count("length", length)
    check_count("d", d)
    frequency = 10_000.0 ** (-np.arange(0, d, 2) / d)
    angle = np.arange(length)[:, None] * frequency
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return waves.reshape(length, -1)[:, :d]


class LayerNorm(nnx.Module):
    """(x - mean) / sqrt(var + eps) over features, then scale and shift.

    Args:
        d: width.
        eps: beside the variance.
    """

    def __init__(self, d: int, eps: float):
        self.scale = nnx.Param(jnp.ones((d,)))
        self.shift = nnx.Param(jnp.zeros((d,)))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., d] -> [..., d]`."""
        x = x - jnp.mean(x, axis=-1, keepdims=True)
        power = jnp.mean(x * x, axis=-1, keepdims=True)
        x = x * jax.lax.rsqrt(power + self.eps)
        return x * along(self.scale[...], x) + along(self.shift[...], x)


class Block(nnx.Module):
    """Attention and a ReLU layer, each added to its input and normalised.

    Args:
        d: width.
        heads: of attention; a divisor of d.
        feed_forward: width of the ReLU layer.
        eps: of the normalisations.
        dropout: share dropped of both parts and of the ReLU layer, in training.
        rngs: NNX random streams.
    """

    def __init__(
        self,
        d: int,
        *,
        heads: int,
        feed_forward: int,
        eps: float,
        dropout: float,
        rngs: nnx.Rngs,
    ):
        self.heads = heads
        # Published: uniform with a^2 = 6 / (fan_in + fan_out); biases start at 0.
        self.qkv = Affine(d, 3 * d, math.sqrt(6 / (4 * d)), rngs=rngs)
        self.out = Affine(d, d, d**-0.5, rngs=rngs)
        self.up = Affine(d, feed_forward, rngs=rngs)
        self.down = Affine(feed_forward, d, rngs=rngs)
        self.norm_1, self.norm_2 = LayerNorm(d, eps), LayerNorm(d, eps)
        self.drops = nnx.List(
            [nnx.Dropout(dropout, rngs=rngs) for _ in range(3)] if dropout else []
        )

    def __call__(self, x: jax.Array, seen: jax.Array) -> jax.Array:
        """`[batch, length, d]`, and which keys each position sees."""
        q, k, v = self.split(x)
        return self.rest(x, self.attend(q, k, v, seen))

    def split(self, x: jax.Array) -> list[jax.Array]:
        """Queries, keys and values, `[..., d]` each."""
        return jnp.split(self.qkv(x), 3, axis=-1)

    def attend(
        self, q: jax.Array, k: jax.Array, v: jax.Array, seen: jax.Array
    ) -> jax.Array:
        """Values averaged over what is seen, `[batch, queries, d]`."""
        q, k, v = (part.reshape(*part.shape[:-1], self.heads, -1) for part in (q, k, v))
        scores = jnp.einsum("bqhc,bkhc->bhqk", q, k) * q.shape[-1] ** -0.5
        share = jax.nn.softmax(jnp.where(seen[:, None], scores, FAR), axis=-1)
        mixed = jnp.einsum("bhqk,bkhc->bqhc", share, v)
        return self.out(mixed.reshape(*mixed.shape[:-2], -1))

    def rest(self, x: jax.Array, attended: jax.Array) -> jax.Array:
        """What follows attention, `[..., d]`."""
        x = self.norm_1(x + self.drop(0, attended))
        hidden = self.drop(1, jax.nn.relu(self.up(x)))
        return self.norm_2(x + self.drop(2, self.down(hidden)))

    def drop(self, place: int, x: jax.Array) -> jax.Array:
        """x, of which a share is dropped in training."""
        return self.drops[place](x) if len(self.drops) else x


class Transformer(nnx.Module):
    """Tokens to logits of the next one; see `make_transformer`."""

    def __init__(
        self,
        tokens: int,
        *,
        d: int,
        layers: int,
        positions: str,
        length: int,
        pad: int,
        rngs: nnx.Rngs,
        **block,
    ):
        self.d, self.positions, self.length, self.pad = d, positions, length, pad
        draw = jax.random.normal(rngs.params(), (tokens, d))
        self.embedding = nnx.Param(draw)
        self.blocks = nnx.List([Block(d, rngs=rngs, **block) for _ in range(layers)])
        self.head = Affine(d, tokens, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """`[batch, length] -> [batch, length, tokens]`."""
        length = tokens.shape[-1]
        x = self.embed(tokens) + self.table(length)[None]
        earlier = jnp.tril(jnp.ones((length, length), bool))
        seen = earlier[None] & (tokens != self.pad)[:, None]
        for block in self.blocks:
            x = block(x, seen)
        return self.head(x)

    def embed(self, tokens: jax.Array) -> jax.Array:
        """`[...] -> [..., d]`, times sqrt(d)."""
        rows = self.embedding[...]
        return one_hot(tokens, rows) @ (rows * math.sqrt(self.d))

    def table(self, length: int) -> jax.Array:
        """What is added for the place of a token, `[length, d]`."""
        dtype = self.embedding[...].dtype
        if self.positions == "none":
            return jnp.zeros((length, self.d), dtype)
        check_length(length, self.length)
        return jnp.asarray(sinusoidal(length, self.d), dtype)

    def begin(self, batch: int, length: int):
        """Keys and values of each layer, the tokens seen, and the places."""
        place = self.table(length)
        empty = jnp.zeros((batch, length, self.d), place.dtype)
        return [(empty, empty)] * len(self.blocks), jnp.zeros((batch, length), bool)

    def advance(self, cache, token: jax.Array, t: jax.Array):
        """One token of each row, at place t."""
        layers, seen = cache
        place = self.table(seen.shape[1])[t]
        x = (self.embed(token) + place[None])[:, None]
        seen = seen.at[:, t].set(token != self.pad)
        kept = []
        for block, (keys, values) in zip(self.blocks, layers, strict=True):
            q, k, v = block.split(x)
            keys, values = keys.at[:, t].set(k[:, 0]), values.at[:, t].set(v[:, 0])
            kept.append((keys, values))
            x = block.rest(x, block.attend(q, keys, values, seen[:, None]))
        return self.head(x)[:, 0], (kept, seen)


def make_transformer(
    tokens: int,
    *,
    d: int = 8,
    heads: int = 4,
    feed_forward: int = 128,
    layers: int = 2,
    dropout: float = 0.0,
    eps: float = 2e-4,
    positions: str = "none",
    length: int = 512,
    pad: int = 4,
) -> SequenceModel:
    """A causal Transformer: post-norm layers, ReLU, no norm at the end.

    Args:
        tokens: size of the vocabulary, >= 1.
        d: width.
        heads: of attention; a divisor of d.
        feed_forward: width of the ReLU layers.
        layers: how many.
        dropout: in training, in [0, 1].
        eps: of the normalisations, > 0.
        positions: `"none"`: the causal mask alone lets the model count;
            `"sinusoidal"`: added to the embedding.
        length: longest sequence with sinusoidal positions.
        pad: token that nothing attends to.

    Returns:
        The model; 110,075 parameters with d = 10, 5 heads, 1024 wide, 5 layers.

    Raises:
        ValueError: on numbers out of range; on use, on longer sequences.

    Source: Reizinger et al. 2024, appendix and published code, which adds the position
        code of the batch's rows in place of that of the tokens.
    """
    named = dict(tokens=tokens, d=d, heads=heads, layers=layers, length=length)
    for name, value in (*named.items(), ("feed_forward", feed_forward)):
        check_count(name, value)
    if d % heads:
        raise ValueError(f"heads must divide d = {d}, got {heads}")
    check_scalar("dropout", dropout)
    check_unit_interval("dropout", dropout)
    check_scalar("eps", eps)
    check_above("eps", eps, 0)
    check_choice("positions", positions, POSITIONS)
    check_count("pad", pad, 0)
    eps, dropout = float(eps), float(dropout)  # arrays would count as parameters
    block: dict[str, Any] = dict(
        heads=heads, feed_forward=feed_forward, eps=eps, dropout=dropout
    )
    own = dict(d=d, layers=layers, length=length, pad=pad)
    return sequence_model(
        lambda rngs: Transformer(tokens, positions=positions, rngs=rngs, **own, **block)
    )


def rescaled_feed_forward(params: Params, alpha: float) -> Params:
    """Parameters of the same function: ReLU layers times alpha, what reads them over.

    Args:
        params: of `make_transformer`.
        alpha: > 0.

    Returns:
        A tree of the same structure. Gradients of the parts differ by alpha or 1 /
        alpha, so SGD goes another way.

    Raises:
        ValueError: on alpha <= 0.

    Source: Reizinger et al. 2024, section 4; their code rescales the activation, which
        changes no gradient.
    """
    check_scalar("alpha", alpha)
    check_above("alpha", alpha, 0)

    def block(held):
        up = jax.tree.map(lambda leaf: alpha * leaf, held["up"])
        down = {**held["down"], "kernel": held["down"]["kernel"] / alpha}
        return {**held, "up": up, "down": down}

    blocks = {name: block(held) for name, held in params["blocks"].items()}
    return {**params, "blocks": blocks}
