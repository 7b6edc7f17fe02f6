"""Models of tokens with a running state: an LSTM, and a linear map of the past."""

import jax
import jax.numpy as jnp
from flax import nnx

from jidcl.checks import check_count, check_scalar, check_unit_interval
from jidcl.encoders.sequence import (
    Affine,
    SequenceModel,
    along,
    check_length,
    one_hot,
    sequence_model,
    uniform,
)


class Cell(nnx.Module):
    """One layer of an LSTM; gates in the order input, forget, candidate, output.

    Args:
        fan_in: width of its input.
        width: of its state.
        rngs: NNX random streams.
    """

    def __init__(self, fan_in: int, width: int, *, rngs: nnx.Rngs):
        bound = width**-0.5
        self.kernel = uniform(rngs, (fan_in, 4 * width), bound)
        self.recurrent = uniform(rngs, (width, 4 * width), bound)
        # Two, as published: their sum alone enters.
        self.bias_1 = uniform(rngs, (4 * width,), bound)
        self.bias_2 = uniform(rngs, (4 * width,), bound)

    def inward(self, x: jax.Array) -> jax.Array:
        """What the input adds to the gates, `[..., 4 width]`."""
        bias = self.bias_1[...] + self.bias_2[...]
        return x @ self.kernel[...] + along(bias, x)


def advanced(
    recurrent: jax.Array, held: tuple[jax.Array, jax.Array], inward: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The state (h, c) of a layer after one token, `[batch, width]` each."""
    h, c = held
    i, f, g, o = jnp.split(inward + h @ recurrent, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


class LSTM(nnx.Module):
    """Tokens to logits of the next one; see `make_lstm`."""

    def __init__(
        self,
        tokens: int,
        *,
        embedding: int,
        width: int,
        layers: int,
        dropout: float,
        rngs: nnx.Rngs,
    ):
        self.width = width
        draw = jax.random.normal(rngs.params(), (tokens, embedding))
        self.embedding = nnx.Param(draw)
        sizes = [embedding, *[width] * (layers - 1)]
        self.cells = nnx.List([Cell(size, width, rngs=rngs) for size in sizes])
        self.drop = nnx.Dropout(dropout, rngs=rngs) if dropout else None
        self.head = Affine(width, tokens, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """`[batch, length] -> [batch, length, tokens]`."""
        rows = self.embedding[...]
        x = gates = one_hot(tokens, rows) @ self.cells[0].inward(rows)
        for place, cell in enumerate(self.cells):
            gates = gates if place == 0 else cell.inward(x)
            recurrent = cell.recurrent[...]
            empty = jnp.zeros((tokens.shape[0], self.width), rows.dtype)

            def step(held, inward, recurrent=recurrent):
                held = advanced(recurrent, held, inward)
                return held, held[0]

            _, x = jax.lax.scan(step, (empty, empty), jnp.swapaxes(gates, 0, 1))
            x = jnp.swapaxes(x, 0, 1)
        return self.head(x if self.drop is None else self.drop(x))

    def begin(self, batch: int, length: int):
        """The state of every layer before the first token."""
        empty = jnp.zeros((batch, self.width), self.embedding[...].dtype)
        return [(empty, empty)] * len(self.cells)

    def advance(self, cache, token: jax.Array, t: jax.Array):
        """One token of each row."""
        rows = self.embedding[...]
        x, kept = one_hot(token, rows) @ rows, []
        for cell, held in zip(self.cells, cache, strict=True):
            kept.append(advanced(cell.recurrent[...], held, cell.inward(x)))
            x = kept[-1][0]
        return self.head(x), kept


class CausalLinear(nnx.Module):
    """Tokens to logits of the next one; see `make_causal_linear`."""

    def __init__(self, tokens: int, *, embedding: int, length: int, rngs: nnx.Rngs):
        self.length = length
        draw = jax.random.normal(rngs.params(), (tokens, embedding))
        self.embedding = nnx.Param(draw)
        bound = (embedding * length) ** -0.5
        shape = (length, embedding, length, tokens)
        self.kernel = uniform(rngs, shape, bound)
        self.bias = uniform(rngs, (length, tokens), bound)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """`[batch, length] -> [batch, length, tokens]`."""
        length = tokens.shape[-1]
        check_length(length, self.length)
        rows, kernel = self.embedding[...], self.kernel[:length, :, :length]
        past = jnp.triu(jnp.ones((length, length), rows.dtype))  # s <= t
        kernel = kernel * past[:, None, :, None]
        x = one_hot(tokens, rows) @ rows
        return jnp.einsum("bse,setv->btv", x, kernel) + self.bias[:length][None]

    def begin(self, batch: int, length: int):
        """The tokens so far, embedded: none."""
        check_length(length, self.length)
        rows = self.embedding[...]
        return jnp.zeros((batch, length, rows.shape[1]), rows.dtype)

    def advance(self, cache, token: jax.Array, t: jax.Array):
        """One token of each row, at place t."""
        rows = self.embedding[...]
        cache = cache.at[:, t].set(one_hot(token, rows) @ rows)
        kernel = jnp.take(self.kernel[: cache.shape[1]], t, axis=2)
        bias = jnp.take(self.bias[...], t, axis=0)
        return jnp.einsum("bse,sev->bv", cache, kernel) + bias[None], cache


def make_lstm(
    tokens: int,
    *,
    embedding: int = 16,
    width: int = 32,
    layers: int = 1,
    dropout: float = 0.0,
) -> SequenceModel:
    """An LSTM with a linear read-out.

    Args:
        tokens: size of the vocabulary, >= 1.
        embedding: width of the embedding.
        width: of the state of each layer.
        layers: how many.
        dropout: share of the last layer's output dropped in training, in [0, 1].

    Returns:
        The model; 154,517 parameters with 5 layers of width 64.

    Raises:
        ValueError: on numbers out of range.

    Source: Hochreiter and Schmidhuber 1997; sizes of Meszaros et al. 2024.
    """
    for name, value in (("tokens", tokens), ("embedding", embedding)):
        check_count(name, value)
    check_count("width", width)
    check_count("layers", layers)
    check_scalar("dropout", dropout)
    check_unit_interval("dropout", dropout)
    share = float(dropout)  # an array would count as a parameter
    own = dict(embedding=embedding, width=width, layers=layers)
    return sequence_model(lambda rngs: LSTM(tokens, dropout=share, rngs=rngs, **own))


def make_causal_linear(
    tokens: int, *, embedding: int = 32, length: int = 257
) -> SequenceModel:
    """Logits at t that are linear in the embedded tokens up to t.

    logits_t = bias_t + sum over s <= t of E[x_s] K[s, t].

    Args:
        tokens: size of the vocabulary, >= 1.
        embedding: width of the embedding.
        length: longest sequence.

    Returns:
        The model; the kernel alone has length^2 embedding tokens numbers.

    Raises:
        ValueError: on numbers out of range; on use, on longer sequences.

    Source: Meszaros et al. 2024, whose published mask keeps s >= t: it sees the future.
    """
    for name, value in (("tokens", tokens), ("embedding", embedding)):
        check_count(name, value)
    check_count("length", length)
    own = dict(embedding=embedding, length=length)
    return sequence_model(lambda rngs: CausalLinear(tokens, rngs=rngs, **own))
