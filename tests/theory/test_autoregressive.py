"""Closed forms of autoregressive models: KL by enumeration, rescaled networks."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.latents import grammar, prompts
from jidcl.theory.autoregressive import complete, kl_of_law, mixture, zero_kl_pair
from jidcl.theory.in_context import (
    Concepts,
    concept_posterior,
    next_symbol,
    swapped_in_context,
)
from jidcl.theory.rescaling import (
    ReluNet,
    relu_output,
    rescaled_kernel,
    rescaled_net,
)

STAY = (0.9, 0.1)
CONCEPTS = Concepts(
    np.array([0.6, 0.4]),
    np.full((2, 3), [0.5, 0.5, 0.0]),
    np.array(
        [
            [[0.85 * s, 0.85 * (1 - s), 0.15], [0.85 * (1 - s), 0.85 * s, 0.15]]
            + [[0.5, 0.5, 0.0]]
            for s in STAY
        ]
    ),
    np.full((2, 3, 3), [[0.95, 0.05, 0], [0.05, 0.95, 0], [0, 0, 1.0]]),
)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_two_models_at_zero_kl_complete_in_opposite_ways(count):
    pair = zero_kl_pair(count)
    assert [kl_of_law(law, count) for law in pair] == pytest.approx([0, 0], abs=1e-12)
    shares = []
    for law in pair:
        outside = np.asarray(prompts.prompts(6).outside).tolist()
        done = [complete(law, prompt, 9) for prompt in outside]
        assert all(row[-1] == grammar.EOS for row in done)
        shares.append(np.mean([row.count(0) == row.count(1) for row in done]))
    assert shares == pytest.approx([1, 19 / 60])


def test_both_are_laws_everywhere_and_sum_to_one_over_sequences():
    for law in zero_kl_pair(2):
        for length in range(5):
            for rest in itertools.product(range(5), repeat=length):
                value = law([grammar.SOS, *rest])
                assert value.sum() == 1
                assert (value >= 0).all()


def test_a_model_that_excludes_a_sentence_has_infinite_kl():
    law = zero_kl_pair(2)[0]
    assert kl_of_law(law, 3) == np.inf
    assert kl_of_law(zero_kl_pair(4)[0], 2) > 0.1


def test_a_mixture_is_near_p_and_is_r_where_p_is_not():
    p, r = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.9, 0.1])
    for eps in (0.3, 1e-9):
        found = mixture(p, r, eps)
        assert found.kl == pytest.approx(-math.log1p(-eps))
        np.testing.assert_allclose(found.q[2:] / found.q[2:].sum(), r[2:])
    overlapping = mixture(p, np.full(4, 0.25), 0.3)
    assert 0 < overlapping.kl < overlapping.bound


def sequences_law(length):
    """p of every sequence, by a sum over all paths of concepts and states."""
    found = {}
    for word in itertools.product(range(3), repeat=length):
        total = 0.0
        for c, path in itertools.product(
            (0, 1), itertools.product(range(3), repeat=length)
        ):
            p = CONCEPTS.prior[c] * CONCEPTS.initial[c, path[0]]
            for t in range(length):
                p *= CONCEPTS.emission[c, path[t], word[t]]
                if t + 1 < length:
                    p *= CONCEPTS.transition[c, path[t], path[t + 1]]
            total += p
        found[word] = total
    return found


def test_in_context_laws_are_those_of_all_paths():
    law = sequences_law(4)
    assert sum(law.values()) == pytest.approx(1)
    prompt = (0, 1, 2)
    begun = {word[3]: p for word, p in law.items() if word[:3] == prompt}
    want = np.array([begun[o] for o in range(3)])
    np.testing.assert_allclose(next_symbol(CONCEPTS, prompt), want / want.sum())


@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_swap_in_context_costs_the_kl_of_all_sequences(k):
    length, law = 4, sequences_law(4)
    kl, reached = 0.0, 0.0
    for word, p in law.items():
        if p == 0:
            continue
        q, inside = 1.0, False
        for t in range(length):
            step = next_symbol(CONCEPTS, word[:t])
            if word[:t].count(2) >= k:
                inside, step = True, step[[1, 0, 2]]
            q *= step[word[t]]
        kl += p * math.log(p / q)
        reached += p * inside
    found = swapped_in_context(CONCEPTS, length, k)
    assert found.kl == pytest.approx(kl, abs=1e-12)
    assert found.reached == pytest.approx(reached)
    assert found.total == pytest.approx(1)


def test_the_swap_costs_less_the_more_examples_it_waits_for():
    kl = [swapped_in_context(CONCEPTS, 8, k).kl for k in range(5)]
    assert all(a > b for a, b in itertools.pairwise(kl[:4]))
    assert kl[4] < 1e-5


def test_the_posterior_is_that_of_bayes_rule():
    theta, prior, seen = [0.9, 0.5, 0.1], np.array([0.2, 0.5, 0.3]), [1, 1, 0, 1]
    joint = prior * [np.prod([t if x else 1 - t for x in seen]) for t in theta]
    found = concept_posterior(theta, prior, seen)
    np.testing.assert_allclose(found.posterior, joint / joint.sum())
    assert found.log_evidence == pytest.approx(math.log(joint.sum()))


def test_long_contexts_do_not_underflow():
    seen = np.tile([1, 1, 1, 0], 1000)
    found = concept_posterior([0.75, 0.5], [0.5, 0.5], seen)
    assert found.predictive == pytest.approx(0.75)
    want = 3000 * math.log(0.75) + 1000 * math.log(0.25) - math.log(2)
    assert found.log_evidence == pytest.approx(want)
    coin = Concepts([1.0], [[1.0]], [[[1.0]]], [[[0.25, 0.75]]])
    np.testing.assert_allclose(next_symbol(coin, [0] * 2000), [0.25, 0.75])


def test_rounded_laws_are_scaled_so_that_the_bound_holds():
    found = mixture(np.array([1.0005, 0.0]), np.array([0.0, 1.0]), 0.5)
    assert found.kl <= found.bound * (1 + 1e-12)


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_rescaled_networks_agree_and_their_kernel_is_that_of_their_gradients(alpha):
    rng = np.random.default_rng(0)
    shapes = ((4, 3), (4,), (1, 4), (1,))
    net = ReluNet(*(np.float32(rng.normal(size=shape)) for shape in shapes))
    x = np.float32(rng.normal(size=(6, 3)))

    @jax.jit
    def both(net):
        held = rescaled_net(net, alpha)
        slopes = jax.jacobian(relu_output)(held, x)
        rows = [leaf.reshape(6, -1) for leaf in jax.tree.leaves(slopes)]
        rows = jnp.concatenate(rows, axis=1)
        outputs = relu_output(held, x), relu_output(net, x)
        return outputs, rows @ rows.T, rescaled_kernel(net, x, alpha)

    (moved, plain), want, got = both(net)
    np.testing.assert_allclose(moved, plain, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got, want, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zero_kl_pair(0), "count must be >= 1, got 0"),
        (lambda: zero_kl_pair(2)[0]([0, 1]), "prefix must start with SOS = 2"),
        (lambda: mixture([0.5, 0.6], [1, 0], 0.1), "p must sum to 1"),
        (lambda: mixture([0.5, 0.5], [1], 0.1), r"r must have shape \[2\]"),
        (lambda: mixture([1.0], [1.0], 1.0), "eps must be < 1, got 1.0"),
        (lambda: concept_posterior([1.0], [1.0], [1]), r"theta must be in \(0, 1\)"),
        (lambda: mixture([np.nan, 1], [1, 0], 0.1), "p must hold probabilities"),
        (lambda: concept_posterior([0.5], [1.0], [[1, 0]]), "observations must be"),
        (lambda: concept_posterior([0.5], [1.0], [2]), "observations must be 0 or 1"),
        (lambda: next_symbol(CONCEPTS, [-1]), "every symbol of prompt must be >= 0"),
        (
            lambda: next_symbol(CONCEPTS._replace(initial=[[0.5, 0.5, 0]]), [0]),
            r"initial must have shape \[2, 3\]",
        ),
        (
            lambda: next_symbol(CONCEPTS._replace(prior=[0.6, 0.6]), [0]),
            "every law of prior must sum to 1",
        ),
        (
            lambda: swapped_in_context(Concepts([1], [[1]], [[[1]]], [[[1, 0]]]), 2, 1),
            "symbols of emission must be >= 3",
        ),
        (
            lambda: swapped_in_context(
                Concepts([1], [[1]], [[[1]]], [[np.full(100, 0.01)]]), 12, 1
            ),
            "length",
        ),
        (lambda: next_symbol(CONCEPTS, [2, 2]), "prompt must have a probability > 0"),
        (lambda: swapped_in_context(CONCEPTS, 13, 1), "length must be <= 12, got 13"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
