"""Models of the next token: all positions at once, or token by token with a cache."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jidcl.checks import (
    check_above,
    check_count,
    check_integers,
    check_scalar,
    check_shape,
    check_type,
    check_within,
)
from jidcl.encoders.core import from_nnx, nnx_method
from jidcl.latents.grammar import EOS, PAD
from jidcl.types import Array, Params


class SequenceModel(NamedTuple):
    """A model of the next token as pure functions, an `Encoder` and its cached form.

    Attributes:
        init: `key -> (params, state)`.
        apply: `(params, state, tokens, train=False) -> (logits, state)`; tokens
            `[batch, length]`, logits `[batch, length, tokens]`.
        begin: `(params, state, batch, length) -> cache` for that many tokens.
        advance: `(params, state, cache, token, t) -> (logits, cache)`: token t of every
            row, `[batch]`, to the logits of the next one, `[batch, tokens]`.
    """

    init: Callable[[Array], tuple[Params, Any]]
    apply: Callable[..., tuple[Array, Any]]
    begin: Callable[..., Any]
    advance: Callable[..., tuple[Array, Any]]


def sequence_model(make: Callable[[nnx.Rngs], nnx.Module]) -> SequenceModel:
    """The model of a module that also has the methods `begin` and `advance`.

    Args:
        make: `rngs -> module`.

    Returns:
        A `SequenceModel`.
    """
    return SequenceModel(
        *from_nnx(make), nnx_method(make, "begin"), nnx_method(make, "advance")
    )


class Affine(nnx.Module):
    """x W + b, both drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Args:
        fan_in: width of x.
        fan_out: width of the result.
        bound: of the uniform law of W, in place of that one; b is 0 then.
        rngs: NNX random streams.
    """

    def __init__(
        self, fan_in: int, fan_out: int, bound: float = 0.0, *, rngs: nnx.Rngs
    ):
        own = bound or fan_in**-0.5
        self.kernel = uniform(rngs, (fan_in, fan_out), own)
        self.bias = uniform(rngs, (fan_out,), 0.0 if bound else own)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., fan_in] -> [..., fan_out]`."""
        return x @ self.kernel[...] + along(self.bias[...], x)


def along(row: jax.Array, x: jax.Array) -> jax.Array:
    """A row `[features]` with as many axes as x."""
    return row.reshape((1,) * (x.ndim - 1) + row.shape)


def uniform(rngs: nnx.Rngs, shape: tuple[int, ...], bound: float) -> nnx.Param:
    """A parameter drawn from U(-bound, bound)."""
    return nnx.Param(jax.random.uniform(rngs.params(), shape, float, -bound, bound))


def check_length(length: int, most: int) -> None:
    """ValueError unless a model has so many positions."""
    if length > most:
        raise ValueError(
            f"length must be <= {most}, the range of the positions, got {length}"
        )


def one_hot(tokens: jax.Array, like: jax.Array) -> jax.Array:
    """Rows of the identity: a product with them is faster than to gather, and back."""
    return jax.nn.one_hot(tokens, like.shape[0], dtype=like.dtype)


def decode(
    model: SequenceModel,
    params: Params,
    state: Any,
    prompt: jax.Array,
    *,
    new: int,
    lengths: jax.Array | None = None,
    keys: jax.Array | None = None,
    temperature: jax.Array | float = 1.0,
    end: int = EOS,
    pad: int = PAD,
    raw: bool = False,
) -> jax.Array:
    """Prompts with completions, token by token, every row of a batch at once.

    Args:
        model: as of `make_lstm`, `make_transformer` or `make_causal_linear`.
        params: its parameters.
        state: its state.
        prompt: tokens, `[batch, width]`.
        new: most tokens of a completion, >= 1.
        lengths: tokens of each prompt, the rest of its row is not read, `[batch]`; all
            have the whole width when None.
        keys: a typed key for each row, to draw tokens from the model's law; the most
            likely token is taken when None.
        temperature: > 0: of the draws; logits are divided by it.
        end: token that ends a completion.
        pad: what stands after it.
        raw: let the model go on after the end, as the published code does.

    Returns:
        Tokens, int32 `[batch, width + new]`. A row depends on its own prompt and key
        alone; one that is shorter than `width` has more new tokens.

    Raises:
        ValueError: on shapes that do not fit, or numbers out of range.
        TypeError: on tokens that are not integers.

    Source: Reizinger et al. 2024, section 4; the cache is this library's.
    """
    check_type("model", model, SequenceModel)
    check_integers("prompt", prompt)
    if prompt.ndim != 2 or 0 in prompt.shape:
        raise ValueError(
            f"prompt must have shape [batch, width], got {list(prompt.shape)}"
        )
    check_count("new", new)
    check_scalar("temperature", temperature)
    check_above("temperature", temperature, 0)
    batch, width = prompt.shape
    prompt = jnp.asarray(prompt, jnp.int32)
    if lengths is None:
        lengths = jnp.full((batch,), width, jnp.int32)
    check_integers("lengths", lengths, (batch,))
    check_within("lengths", lengths, width + 1)
    if keys is not None:
        check_shape("keys", jax.random.key_data(keys)[..., 0], (batch,))
    steps = width + new - 1
    cache = model.begin(params, state, batch, steps)
    told = jax.eval_shape(
        model.advance, params, state, cache, prompt[:, 0], jnp.int32(0)
    )
    check_within("prompt", prompt, told[0].shape[1])
    given = jnp.pad(prompt, ((0, 0), (0, new)), constant_values=pad)

    def pick(logits, t):
        if keys is None:
            return jnp.argmax(logits, axis=-1)
        own = jax.vmap(lambda key: jax.random.fold_in(key, t))(keys)
        return jax.vmap(jax.random.categorical)(own, logits / temperature)

    def step(carried, at):
        cache, token, done = carried
        t, known = at
        logits, cache = model.advance(params, state, cache, token, t)
        free = t + 1 >= lengths
        chosen = jnp.where(done, pad, pick(logits, t).astype(jnp.int32))
        token = jnp.where(free, chosen, known)
        done = done if raw else done | (free & (token == end))
        return (cache, token, done), token

    start = (cache, prompt[:, 0], jnp.zeros((batch,), bool))
    times = jnp.arange(steps, dtype=jnp.int32)
    _, tokens = jax.lax.scan(step, start, (times, given.T[1:]))
    return jnp.concatenate([prompt[:, :1], tokens.T], axis=1)
