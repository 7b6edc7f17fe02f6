"""Scores of completions, losses in nats a sentence, and nulls."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jidcl.encoders.sequence import SequenceModel, decode
from jidcl.latents import grammar, prompts
from jidcl.losses.sequence import next_token_nll, sequence_floor
from jidcl.metrics import shuffled
from jidcl.systems.autoregressive.presets import Autoregressive
from jidcl.systems.autoregressive.scoring import completion_scores
from jidcl.types import Array, Evaluation, Losses, Metrics

# What is told of each set of prompts, by the name of the set.
TOLD = {
    "ood": (
        *("r1", "r1_finished", "r2", "r2_completion", "grammatical"),
        *("finished", "finished_count"),
    ),
    "id": ("r1", "grammatical", "finished"),
    "sos": ("grammatical",),
}


def completed_sets(
    params: Any,
    state: Any,
    config: Autoregressive,
    model: SequenceModel,
    key: Array,
) -> dict[str, Array]:
    """Completions of every prompt, by set, in one batch.

    Args:
        params: of the model.
        state: of the model.
        config: the settings.
        model: the model.
        key: a typed key, for a temperature > 0.

    Returns:
        Tokens `[prompts, length]` of `ood`, `id` and `sos`, the last without a prompt:
        one row, or as many as there are sentences where tokens are drawn.
    """
    held = prompts.prompts(config.prompt_length)
    drawn = bool(config.temperature)
    free = config.count if drawn else 1
    bare = jnp.full((free, 1 + config.prompt_length), grammar.PAD, jnp.int32)
    bare = bare.at[:, 0].set(grammar.SOS)
    prompt = jnp.concatenate([held.outside, held.inside, bare])
    lengths = jnp.full((len(prompt),), prompt.shape[1], jnp.int32).at[-free:].set(1)
    tokens = decode(
        model,
        params,
        state,
        prompt,
        new=config.new_tokens,
        lengths=lengths,
        keys=jax.random.split(key, len(prompt)) if drawn else None,
        temperature=config.temperature or 1.0,
    )
    outside = len(held.outside)
    inside = tokens[outside:-free]
    return {"ood": tokens[:outside], "id": inside, "sos": tokens[-free:]}


def _behaviour(sets: dict[str, Array], config: Autoregressive) -> Metrics:
    scores: Metrics = {}
    for name, tokens in sets.items():
        length = 0 if name == "sos" else config.prompt_length
        found = completion_scores(tokens, length)
        scores |= {f"{name}_{score}": found[score] for score in TOLD[name]}
    return scores


def probe(
    params: Any,
    state: Any,
    frozen: Any,
    key: Array,
    *,
    config: Autoregressive,
    model: SequenceModel,
    tokens_of: Callable,
) -> Metrics:
    """Excess nats and behaviour outside, for the curve of a run."""
    tokens = tokens_of(frozen)
    logits, _ = model.apply(params, state, tokens.sentences[:, :-1])
    nats = _nats(config, logits, tokens.sentences[:, 1:])
    floor = sequence_floor(config.count, config.positions_predicted)
    found = completion_scores(
        completed_sets(params, state, config, model, key)["ood"], config.prompt_length
    )
    return {
        "excess": jnp.mean(nats) - floor.per_sequence,
        "ood_r1": found["r1"],
        "ood_finished": found["finished"],
    }


def evaluate(
    params: Any,
    state: Any,
    frozen: Any,
    key: Array,
    *,
    config: Autoregressive,
    model: SequenceModel,
    tokens_of: Callable,
    losses: Callable,
) -> Evaluation:
    """Behaviour on every prompt, the exact likelihood, and nulls.

    Losses are nats a sentence; each is over the whole support, so it has no error. The
    nulls of R1 outside: the prompts as they are (every completion empty), and
    completions of other prompts.

    Args:
        params: of the model.
        state: of the model.
        frozen: the run's frozen draws.
        key: a typed key.
        config: settings of the run.
        model: the model.
        tokens_of: `frozen -> Tokens`.
        losses: `(params, state, tokens) -> (losses by part, state)`.

    Returns:
        An `Evaluation`.
    """
    tokens = tokens_of(frozen)
    after = tokens.sentences[:, 1:]
    logits, _ = model.apply(params, state, tokens.sentences[:, :-1])
    nats = _nats(config, logits, after)
    floor = sequence_floor(config.count, config.positions_predicted)
    chance = _nats(config, _constant(config, after), after)
    draw_key, null_key, sharp_key = jax.random.split(key, 3)
    sets = completed_sets(params, state, config, model, draw_key)
    scores = _behaviour(sets, config)
    scores["token_accuracy"] = jnp.mean(jnp.argmax(logits, -1) == after)
    scores["excess"] = jnp.mean(nats) - floor.per_sequence
    scores["weight_norm"] = optax.tree.norm(params)
    parts, _ = losses(params, state, tokens)
    extra = {}
    if "completions" in parts:
        extra["completion_loss"] = parts["completions"]
    if config.sharpness_steps:
        scores["sharpness"] = sharpness(
            lambda at: losses(at, state, tokens)[0]["sentences"],
            params,
            sharp_key,
            config.sharpness_steps,
        )
    own = 1 + config.prompt_length
    mixed = shuffled(null_key, sets["ood"][:, own:])
    mixed = jnp.concatenate([sets["ood"][:, :own], mixed], axis=1)
    nulls = {
        "identity": completion_scores(sets["ood"][:, :own], config.prompt_length - 1),
        "shuffled": completion_scores(mixed, config.prompt_length),
    }
    one = jnp.full((1,), floor.per_sequence, nats.dtype)
    return Evaluation(
        scores=scores,
        losses=Losses(
            jnp.mean(nats)[None],
            one,
            jnp.mean(chance)[None],
            limit=one[0],
            extra=extra,
        ),
        nulls={"ood_r1": {name: held["r1"] for name, held in nulls.items()}},
        samples={"ood": sets["ood"], "id": sets["id"]},
    )


def _nats(config: Autoregressive, logits: Array, after: Array) -> Array:
    """Of each sentence, `[sentences]`; without padding where the loss leaves it out."""
    pad = None if config.pad_in_loss else grammar.PAD
    return next_token_nll(logits, after, pad=pad, reduction="sum")


def _constant(config: Autoregressive, after: Array) -> Array:
    """Logits of the best law of a token that looks at nothing."""
    ones = jax.nn.one_hot(after, grammar.TOKENS)
    if not config.pad_in_loss:
        ones = ones * (after != grammar.PAD)[..., None]
    logs = jnp.log(jnp.maximum(jnp.sum(ones, axis=(0, 1)), 1e-6))
    return jnp.broadcast_to(logs, ones.shape)


def sharpness(loss: Callable, params: Any, key: Array, steps: int) -> Array:
    """The largest eigenvalue of the Hessian of a loss, by power iteration.

    Args:
        loss: `params -> scalar`.
        params: where.
        key: a typed key: where the iteration starts.
        steps: iterations.

    Returns:
        A scalar: the Rayleigh quotient of the last direction, largest in size.
    """
    flat, back = ravel_pytree(params)
    slope = jax.grad(lambda x: loss(back(x)))

    def step(v, _):
        moved = jax.jvp(slope, (flat,), (v,))[1]
        value = jnp.sum(v * moved)
        return moved / jnp.maximum(jnp.linalg.norm(moved), 1e-30), value

    v = jax.random.normal(key, flat.shape, flat.dtype)
    _, values = jax.lax.scan(step, v / jnp.linalg.norm(v), length=steps)
    return values[-1]
