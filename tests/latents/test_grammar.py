"""Small languages: sentences, samplers, counts, rules, prompts, completions."""

import itertools
import math

import jax
import numpy as np
import pytest
from scipy import stats

from jidcl.latents import grammar, prompts
from jidcl.latents.grammar import EOS, PAD, SOS, A, B

ALARM = 1e-4  # chance of a false alarm of each statistical test below


def padded(rows, width):
    return np.array([[*row, *[PAD] * (width - len(row))] for row in rows], np.int32)


def bodies(tokens):
    """Each row's symbols as text; SOS, EOS and PAD must be where they belong."""
    found = []
    for row in np.asarray(tokens).tolist():
        end = row.index(EOS)
        assert row[0] == SOS
        assert set(row[end + 1 :]) <= {PAD}
        assert set(row[1:end]) <= {A, B}
        found.append("".join("ab"[t] for t in row[1:end]))
    return found


def language(name, length):
    """Every body of a grammar, by its definition."""
    if name == "abN":
        return {
            "".join(word)
            for n in range(1, length // 2 + 1)
            for word in itertools.product("ab", repeat=2 * n)
            if word.count("a") == n
        }
    if name == "aNbM":
        return {"a" * k + "b" * (length - 2 - k) for k in range(1, length - 2)}
    part = "ab" if name == "aNbN" else "aba"
    most = length // len(part)
    return {"".join(c * n for c in part) for n in range(1, most + 1)}


@pytest.mark.parametrize("name", ["aNbN", "aNbNaN", "aNbM"])
def test_sentences_are_the_language_each_once(name):
    found = bodies(grammar.sentences(name, 9))
    assert set(found) == language(name, 9)
    assert len(found) == len(set(found)) == grammar.count_sentences(name, 9)


def test_sizes_beyond_memory_are_refused():
    with pytest.raises(ValueError, match="max_length must be smaller to fit"):
        grammar.sizes("aNbN", 10**13)


def test_even_and_odd_sizes_make_up_all():
    both = [bodies(grammar.sentences("aNbN", 12, kind)) for kind in ("even", "odd")]
    assert set(both[0]) | set(both[1]) == language("aNbN", 12)
    assert {len(body) // 2 % 2 for body in both[0]} == {0}
    assert {len(body) // 2 % 2 for body in both[1]} == {1}


def test_sentences_in_any_order_are_counted():
    assert grammar.count_sentences("abN", 8) == len(language("abN", 8))


@pytest.mark.parametrize("name", grammar.GRAMMARS)
def test_samples_have_uniform_sizes_and_every_order(name):
    count = 4000
    tokens = grammar.sample_sentences(jax.random.key(5), name, 6, count)
    assert tokens.shape == (count, 8)
    found = bodies(tokens)
    assert set(found) == language(name, 6)
    assert np.asarray(grammar.is_sentence(tokens, name)).all()
    words = sorted(language(name, 6))
    share = [
        1 / len(words) if name != "abN" else 1 / 3 / math.comb(len(w), len(w) // 2)
        for w in words
    ]
    if len(words) > 1:
        seen = [found.count(word) for word in words]
        assert stats.chisquare(seen, count * np.array(share)).pvalue > ALARM


def plain_rules(row):
    """The rules from their words, one sequence at a time."""
    row = [t for t in row if t != PAD]
    body = [t for t in row if t in (A, B)]
    a, b = body.count(A), body.count(B)
    first = row.index(B) if b else None
    last = len(row) - 1 - row[::-1].index(B) if b else None
    end = row.index(EOS) if EOS in row else None
    return {
        "same_number": a == b,
        "as_before_bs": body == [A] * a + [B] * b,
        "twice_as_many_as": a == 2 * b,
        "at_least_as_many_as": a >= b,
        "as_before_first_b_at_least_bs": row[:first].count(A) >= b if b else True,
        "bs_together": set(row[first : last + 1]) == {B} if b else False,
        "bs_in_middle": first == len(row) - 1 - last if b else False,
        "finished": end is not None and not set(row[end:]) & {A, B},
    }


def test_rules_are_their_words_on_random_tokens():
    rng = np.random.default_rng(0)
    tokens = rng.choice(5, size=(3000, 7), p=[0.35, 0.35, 0.1, 0.1, 0.1])
    found = jax.device_get(grammar.rules(tokens.astype(np.int32)))
    for i, row in enumerate(tokens.tolist()):
        for rule, want in plain_rules(row).items():
            # Between two b's PAD counts as what stands between them, as any token.
            if rule in ("bs_together", "bs_in_middle") and PAD in row:
                continue
            assert found[rule][i] == want, (row, rule)


def test_padding_changes_no_answer():
    rng = np.random.default_rng(1)
    tokens = rng.choice(4, size=(500, 6)).astype(np.int32)
    wide = np.pad(tokens, ((0, 0), (0, 3)), constant_values=PAD)
    for rule, value in grammar.rules(tokens).items():
        np.testing.assert_array_equal(value, grammar.rules(wide)[rule], rule)


@pytest.mark.parametrize("name", ["aNbN", "aNbM"])
def test_prompts_inside_are_those_that_some_sentence_starts_with(name):
    # Of long enough sentences, of each length.
    words = set().union(*(language(name, length) for length in range(4, 20)))
    held = prompts.prompts(4, name)
    inside = {"".join("ab"[t] for t in row[1:]) for row in held.inside.tolist()}
    assert inside == {word[:4] for word in words if len(word) >= 4} - (
        {"bbbb"} if name == "aNbN" else set()
    ) | ({"bbbb"} if name == "aNbM" else set())
    both = np.concatenate([held.inside, held.outside])
    assert len(np.unique(both, axis=0)) == len(both) == 16


@pytest.mark.parametrize("length", [3, 6])
def test_completions_reach_the_counts_or_miss_them_by_one(length):
    outside = np.asarray(prompts.prompts(length).outside)
    width = 2 * length + 3
    for equal in (True, False):
        tokens = np.asarray(prompts.completed(outside, equal, width))
        np.testing.assert_array_equal(tokens[:, : 1 + length], outside)
        found = grammar.rules(tokens)
        assert np.asarray(found["finished"]).all()
        off = np.sum(tokens == A, 1) - np.sum(tokens == B, 1)
        over = np.sum(outside == A, 1) - np.sum(outside == B, 1)
        np.testing.assert_array_equal(
            off, 0 * off if equal else np.where(over >= 0, -1, 1)
        )
    assert (tokens[:, -1] == EOS).any()  # the longest one just fits
    half = np.arange(len(outside)) % 2 == 0
    mixed = prompts.completed(outside, half, width)
    same = np.asarray(grammar.rules(mixed)["same_number"])
    np.testing.assert_array_equal(same, half)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grammar.sentences("anbn", 8), "grammar must be one of .*got 'anbn'"),
        (lambda: grammar.sentences("abN", 8), "grammar must be one of .*got 'abN'"),
        (lambda: grammar.sentences("aNbN", 1), "max_length of aNbN must be >= 2"),
        (lambda: grammar.sentences("aNbN", 8, "some"), "select must be one of"),
        (lambda: prompts.prompts(0), "length must be >= 1, got 0"),
        (lambda: prompts.prompts(21), "length must be <= 20, got 21"),
        (lambda: grammar.rules(np.array([7])), r"tokens must be in \[0, 5\)"),
        (lambda: grammar.rules(np.int32(1)), "tokens must have shape"),
        (
            lambda: prompts.completed(np.array([[2, 1, 1]]), False, 6),
            "width must be >= 7, got 6",
        ),
        (
            lambda: grammar.sample_sentences(jax.random.key(0), "aNbN", 4, 0),
            "count must be >= 1, got 0",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
