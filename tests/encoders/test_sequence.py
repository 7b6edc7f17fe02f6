"""Models of the next token: causal, cached and batched decoding, published sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.encoders.recurrent import make_causal_linear, make_lstm
from jidcl.encoders.sequence import decode
from jidcl.encoders.transformer import (
    make_transformer,
    rescaled_feed_forward,
    sinusoidal,
)
from jidcl.latents.grammar import EOS, PAD, SOS

MODELS = {
    "lstm": make_lstm(5, embedding=3, width=4, layers=2),
    "transformer": make_transformer(5, d=4, heads=2, feed_forward=6),
    "sinusoidal": make_transformer(
        5, d=4, heads=2, feed_forward=6, positions="sinusoidal", length=16
    ),
    "linear": make_causal_linear(5, embedding=3, length=16),
}
every_model = pytest.mark.parametrize("name", MODELS)
RNG = np.random.default_rng(0)
TOKENS = np.int32(np.insert(RNG.integers(0, 4, size=(6, 9)), 0, SOS, axis=1))
PROMPT = TOKENS[:, :5]


def started(name):
    return jax.jit(MODELS[name].init)(jax.random.key(0))


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (make_transformer(5, d=10, heads=5, feed_forward=1024, layers=5), 110_075),
        (make_transformer(5, d=8, heads=4, feed_forward=1024, layers=3), 53_293),
        (make_lstm(5, embedding=16, width=64, layers=5), 154_517),
        (make_lstm(5, embedding=10, width=64, layers=5), 152_951),
    ],
    ids=["transformer", "small", "lstm", "narrow"],
)
def test_published_sizes_have_the_published_number_of_parameters(model, count):
    with jax.debug_key_reuse(False):
        params, _ = jax.eval_shape(lambda: model.init(jax.random.key(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@every_model
def test_no_logit_depends_on_a_later_token(name):
    params, state = started(name)

    def summed(x):  # logits at 4, as a function of one-hot rows by differences
        return MODELS[name].apply(params, state, x)[0]

    run = jax.jit(summed)
    changed = TOKENS.copy()
    changed[:, 5:] = (changed[:, 5:] + 1) % 4
    np.testing.assert_array_equal(run(TOKENS)[:, :5], run(changed)[:, :5])
    assert np.abs(run(TOKENS)[:, 5:] - run(changed)[:, 5:]).max() > 1e-4


@every_model
def test_the_cache_gives_the_logits_of_the_whole_sequence(name):
    params, state = started(name)
    model, tokens = MODELS[name], TOKENS.copy()
    tokens[2, 6:] = PAD  # nothing attends to it

    @jax.jit
    def stepped(tokens):
        cache = model.begin(params, state, *tokens.shape)

        def step(cache, at):
            logits, cache = model.advance(params, state, cache, *at)
            return cache, logits

        times = jnp.arange(tokens.shape[1])
        return jnp.swapaxes(jax.lax.scan(step, cache, (tokens.T, times))[1], 0, 1)

    whole = jax.jit(lambda x: model.apply(params, state, x)[0])(tokens)
    np.testing.assert_allclose(stepped(tokens), whole, rtol=1e-4, atol=1e-5)


@every_model
@pytest.mark.parametrize("drawn", [False, True], ids=["greedy", "drawn"])
def test_a_batch_decodes_as_its_rows_do_one_by_one(name, drawn):
    params, state = started(name)
    keys = jax.random.split(jax.random.key(1), len(PROMPT)) if drawn else None
    lengths = np.int32([5, 1, 3, 5, 2, 4])

    @jax.jit
    def run(prompt, lengths, keys):
        own = dict(new=10, lengths=lengths, keys=keys)
        return decode(MODELS[name], params, state, prompt, **own)

    with jax.debug_key_reuse(False):
        batch = np.asarray(run(PROMPT, lengths, keys))
        for i, row in enumerate(batch):
            own = slice(i, i + 1)
            alone = run(PROMPT[own], lengths[own], keys if keys is None else keys[own])
            np.testing.assert_array_equal(alone[0], row)
            np.testing.assert_array_equal(row[: lengths[i]], PROMPT[i, : lengths[i]])
            new = row[lengths[i] :].tolist()
            if EOS in new:
                assert set(new[new.index(EOS) + 1 :]) <= {PAD}
    assert batch.shape == (6, 15)


@every_model
def test_greedy_tokens_are_the_most_likely_ones_of_the_whole_sequence(name):
    params, state = started(name)

    @jax.jit
    def run(prompt):
        tokens = decode(MODELS[name], params, state, prompt, new=8, raw=True)
        return tokens, MODELS[name].apply(params, state, tokens)[0]

    tokens, logits = run(PROMPT)
    np.testing.assert_array_equal(jnp.argmax(logits[:, 4:-1], -1), tokens[:, 5:])


def test_draws_follow_the_models_law():
    params, state = started("lstm")
    count = 4000
    keys = jax.random.split(jax.random.key(2), count)
    prompt = np.full((count, 1), SOS, np.int32)

    @jax.jit
    def run(prompt, keys):
        own = dict(new=1, keys=keys, temperature=0.5)
        drawn = decode(MODELS["lstm"], params, state, prompt, **own)
        return drawn[:, 1], MODELS["lstm"].apply(params, state, prompt[:1])[0][0, 0]

    tokens, logits = run(prompt, keys)
    want = jax.nn.softmax(2 * logits)
    seen = np.bincount(tokens, minlength=5) / count
    np.testing.assert_allclose(seen, want, atol=4 * 0.5 / count**0.5)


def test_dropout_acts_in_training_alone_and_its_keys_move_on():
    for model in (make_lstm(5, dropout=0.4), make_transformer(5, dropout=0.1)):
        params, state = jax.jit(model.init)(jax.random.key(0))
        train = jax.jit(lambda s, m=model, p=params: m.apply(p, s, TOKENS, train=True))
        plain = jax.jit(lambda s, m=model, p=params: m.apply(p, s, TOKENS)[0])
        first, state_1 = train(state)
        second, _ = train(state_1)
        assert np.abs(first - second).max() > 1e-3
        np.testing.assert_array_equal(plain(state), plain(state_1))


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_rescaled_feed_forward_layers_are_the_same_function(alpha):
    params, state = started("transformer")

    @jax.jit
    def run(params):
        return MODELS["transformer"].apply(params, state, TOKENS)[0]

    moved = rescaled_feed_forward(params, alpha)
    np.testing.assert_allclose(run(moved), run(params), atol=1e-5)
    assert np.abs(moved["blocks"]["0"]["up"]["kernel"]).max() != pytest.approx(
        np.abs(params["blocks"]["0"]["up"]["kernel"]).max()
    )


def test_sinusoidal_positions_of_an_odd_width():
    found = sinusoidal(4, 3)
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found[:, 1], np.cos(np.arange(4)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_lstm(0), "tokens must be >= 1, got 0"),
        (lambda: make_transformer(0), "tokens must be >= 1, got 0"),
        (lambda: make_causal_linear(0), "tokens must be >= 1, got 0"),
        (lambda: make_transformer(5, d=5, heads=2), "heads must divide d = 5, got 2"),
        (lambda: make_transformer(5, positions="learned"), "positions must be one of"),
        (lambda: make_lstm(5, dropout=1.5), r"dropout must be in \[0, 1\]"),
    ],
)
def test_bad_models_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ["sinusoidal", "linear"])
def test_sequences_beyond_the_range_of_positions_are_refused(name):
    params, state = started(name)
    with pytest.raises(ValueError, match="length must be <= 16, the range of the pos"):
        decode(MODELS[name], params, state, PROMPT, new=13)
    with pytest.raises(ValueError, match="length must be <= 16, the range of the pos"):
        MODELS[name].apply(params, state, np.zeros((1, 17), np.int32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(new=0), "new must be >= 1, got 0"),
        (dict(temperature=0.0), "temperature must be > 0, got 0.0"),
        (dict(lengths=np.int32([9] * 6)), r"lengths must be in \[0, 6\), got 9"),
        (dict(prompt=PROMPT + 3), r"prompt must be in \[0, 5\)"),
        (dict(prompt=PROMPT[0]), r"prompt must have shape \[batch, width\]"),
    ],
)
def test_bad_decoding_is_refused_by_name(change, message):
    params, state = started("lstm")
    own = {"prompt": PROMPT, "new": 3, **change}
    with pytest.raises(ValueError, match=message):
        decode(MODELS["lstm"], params, state, **own)
