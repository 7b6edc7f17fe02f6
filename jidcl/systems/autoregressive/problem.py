"""Autoregressive models: equal likelihood, different behaviour.

The problem of Reizinger et al. 2024, and its entry in the registry of systems.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jidcl.encoders.recurrent import make_causal_linear, make_lstm
from jidcl.encoders.sequence import SequenceModel
from jidcl.encoders.transformer import make_transformer
from jidcl.latents import grammar, prompts
from jidcl.losses.sequence import next_token_nll
from jidcl.systems.autoregressive import conformance, presets
from jidcl.systems.autoregressive.evaluate import evaluate, probe
from jidcl.systems.autoregressive.presets import Autoregressive
from jidcl.systems.contract import System
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Array, Problem, Program

# Multiplied by `init_scale` at the start, by the last name of their path.
SCALED = ("kernel", "recurrent", "embedding", "bias", "bias_1", "bias_2")


class Tokens(NamedTuple):
    """What a step sees.

    Attributes:
        sentences: `[sentences, max_length + 2]`.
        completed: prompts that start no sentence, with a completion; None where they
            are not trained.
    """

    sentences: Array
    completed: Array | None


def make_model(config: Autoregressive) -> SequenceModel:
    """The model of a configuration.

    Args:
        config: a preset or any override of one.

    Returns:
        A `SequenceModel`.
    """
    decoded = 1 + config.prompt_length + config.new_tokens
    length = max(config.positions_predicted, decoded)
    if config.model == "lstm":
        return make_lstm(
            grammar.TOKENS,
            embedding=config.embedding,
            width=config.width,
            layers=config.layers,
            dropout=config.dropout,
        )
    if config.model == "linear":
        own = dict(embedding=config.embedding, length=length)
        return make_causal_linear(grammar.TOKENS, **own)
    return make_transformer(
        grammar.TOKENS,
        d=config.width,
        heads=config.heads,
        feed_forward=config.feed_forward,
        layers=config.layers,
        dropout=config.dropout,
        eps=config.norm_eps,
        positions=config.positions,
        length=length,
        pad=grammar.PAD,
    )


def completions(config: Autoregressive, rank: Array | None = None) -> Array | None:
    """The completions that are trained beside sentences, fixed for a run.

    Args:
        config: the settings.
        rank: of each prompt outside, of a mixture: the first ones get the oracle's
            completion, `[prompts]`.

    Returns:
        Tokens `[prompts, width]`, or None.
    """
    if config.variant == "mle":
        return None
    prompt = prompts.prompts(config.prompt_length).outside
    equal: Any = config.variant == "oracle"
    if rank is not None:
        share = jnp.asarray(config.rho * len(prompt))
        equal = rank < jnp.round(share).astype(rank.dtype)
    return prompts.completed(prompt, equal, 2 * config.prompt_length + 3)


def make_problem(config: Autoregressive) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    model = make_model(config)
    pad = None if config.pad_in_loss else grammar.PAD

    def freeze(key):
        if config.variant != "mixed":
            return {}
        outside = len(prompts.prompts(config.prompt_length).outside)
        return {"rank": jax.random.permutation(key, outside)}

    def init(key):
        params, state = model.init(key)

        def scaled(path, leaf):
            own = str(path[-1].key) in SCALED
            return leaf * config.init_scale if own else leaf

        return jax.tree_util.tree_map_with_path(scaled, params), state

    def tokens_of(frozen):
        held = completions(config, frozen.get("rank"))
        return Tokens(grammar.sentences("aNbN", config.max_length), held)

    def losses(params, state, tokens, train=False):
        before, after = tokens.sentences[:, :-1], tokens.sentences[:, 1:]
        logits, state = model.apply(params, state, before, train=train)
        parts = {"sentences": next_token_nll(logits, after, pad=pad)}
        if tokens.completed is not None:
            before, after = tokens.completed[:, :-1], tokens.completed[:, 1:]
            logits, state = model.apply(params, state, before, train=train)
            start = config.prompt_length + config.skip_first
            parts["completions"] = next_token_nll(logits, after, start=start)
        return parts, state

    def loss(params, state, batch, key):
        parts, state = losses(params, state, batch, train=True)
        return jnp.sum(jnp.stack([*parts.values()])), (state, {})

    own = dict(config=config, model=model, tokens_of=tokens_of)
    return Problem(
        freeze=freeze,
        init=init,
        draw=lambda frozen, key: tokens_of(frozen),
        loss=loss,
        probe=partial(probe, **own),
        evaluate=partial(evaluate, losses=losses, **own),
        precision=config.precision,
    )


def make_program(config: Autoregressive) -> Program:
    """The program of a configuration, its gradients clipped where that is asked.

    Args:
        config: a preset or any override of one.

    Returns:
        A `Program`.
    """
    optimiser = run_optimiser(config)
    if config.clip:
        optimiser = optax.chain(optax.clip_by_global_norm(config.clip), optimiser)
    return gradient(make_problem(config), optimiser)


def floor_kind(config: Autoregressive) -> str:
    """A limit: no model has less than log N nats a sentence, padding in or out.

    Args:
        config: the settings.

    Returns:
        `"limit"`.
    """
    return "limit"


SYSTEM = System(
    name="autoregressive",
    title="autoregressive models beyond their likelihood",
    paper="Reizinger et al. 2024",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=("variant", "prompt_length"),
    traced_fields=("rho", "init_scale"),
    floor_kind=floor_kind,
    vectors="ar_nonidentifiability",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
