"""Reference vectors of autoregressive models: which function each kind replays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.encoders.sequence import SequenceModel
from jidcl.encoders.transformer import make_transformer, sinusoidal
from jidcl.latents import grammar, prompts
from jidcl.losses.sequence import first_b_law, next_token_nll, sequence_floor
from jidcl.optim import make_schedule
from jidcl.systems.autoregressive.scoring import completion_scores
from jidcl.systems.contract import Erratum, on_host
from jidcl.theory.autoregressive import (
    complete,
    kl_of_law,
    mixture,
    zero_kl_pair,
)
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

Outputs = dict[str, Any]


def _integers(x: Any) -> np.ndarray:
    return np.asarray(x).astype(np.int32)


def _generate(params: Any, inputs: Any) -> Outputs:
    held = inputs["grammar"], inputs["max_length"], inputs["select"]
    rows = np.asarray(grammar.sentences(*held)).tolist()
    return {"sequences": [[t for t in row if t != grammar.PAD] for row in rows]}


def _pad(params: Any, inputs: Any) -> Outputs:
    found = grammar.sentences(inputs["grammar"], inputs["max_length"])
    return {"array": found, "shape": found.shape}


def _rules(params: Any, inputs: Any) -> Outputs:
    rows = [_integers(row) for row in inputs["sequences"]]
    width = max(map(len, rows))
    padded = [np.pad(r, (0, width - len(r)), constant_values=4) for r in rows]
    tokens = np.stack(padded)
    found: Outputs = dict(grammar.rules(tokens))
    for name in grammar.GRAMMARS:
        found[f"grammar_{name}"] = grammar.is_sentence(tokens, name)
        found[f"prompt_{name}"] = grammar.can_start(tokens, name)
    return found


def _prompt_counts(params: Any, inputs: Any) -> Outputs:
    counts = []
    for length in _integers(inputs["lengths"]).tolist():
        held = prompts.prompts(length, inputs["grammar"])
        found = {name: int(v.sum()) for name, v in grammar.rules(held.outside).items()}
        outside = len(held.outside)
        counts.append(
            {
                "length": length,
                "total": 2**length,
                "in_distribution": len(held.inside),
                "ood": outside,
                "ood_balanced": found["same_number"],
                "ood_as_before_bs": found["as_before_bs"],
                "immediate_eos_r1": found["same_number"] / outside,
                "immediate_eos_r2": found["as_before_bs"] / outside,
            }
        )
    return {"counts": counts}


def _prompt_split(params: Any, inputs: Any) -> Outputs:
    held = prompts.prompts(inputs["length"], inputs["grammar"])
    return {"in_distribution": held.inside, "ood": held.outside}


def _auxiliary(params: Any, inputs: Any) -> Outputs:
    length = inputs["length"]
    outside = prompts.prompts(length).outside
    return {
        "adversarial": prompts.completed(outside, False, 2 * length + 3),
        "oracle": prompts.completed(outside, True, 2 * length + 2),
    }


def _floor(params: Any, inputs: Any) -> Outputs:
    rows = []
    for length in _integers(inputs["max_lengths"]).tolist():
        count = grammar.count_sentences("aNbN", length)
        found = sequence_floor(count, length + 1)
        rows.append(
            {
                "max_length": length,
                "n": count,
                "positions": length + 1,
                "nats_per_sequence": found.per_sequence,
                "loss_floor": found.per_position,
                "historical_entropy": found.per_sequence / count,
                "best_accuracy": found.accuracy,
                "first_order_accuracy": found.accuracy_without_b,
            }
        )
    return {"rows": rows}


def _bayes(params: Any, inputs: Any) -> Outputs:
    count = inputs["n"]
    entropy = sequence_floor(count, 2 * count + 1).per_sequence
    return {"p_b_after_k_as": first_b_law(count), "entropy_per_sequence": entropy}


def _cross_entropy(params: Any, inputs: Any) -> Outputs:
    held = inputs["logits"], jnp.asarray(inputs["targets"]).astype(jnp.int32)
    return {
        "mean_all": next_token_nll(*held),
        "mean_nonpad": next_token_nll(*held, pad=grammar.PAD),
        "sum_per_sequence": next_token_nll(*held, reduction="sum"),
        "mean_from_start": next_token_nll(*held, start=inputs["start"]),
    }


@on_host
def _schedule(params: Any, inputs: Any) -> Outputs:
    rate = make_schedule(
        "inverse_sqrt", inputs["base_lr"], steps=50_000, warmup=inputs["warmup"]
    )
    return {"lr": [rate(step) for step in _integers(inputs["steps"]).tolist()]}


def _positions(params: Any, inputs: Any) -> Outputs:
    return {"pe": sinusoidal(inputs["length"], inputs["dim"])}


def given_transformer(inputs: Any) -> tuple[SequenceModel, Any]:
    """The model of a case, and its parameters from matrices that act as W x."""
    dtype = inputs["embedding"].dtype
    tokens, d = inputs["embedding"].shape
    layers = inputs["layers"]
    model = make_transformer(
        tokens,
        d=d,
        heads=inputs["num_heads"],
        feed_forward=layers[0]["W1"].shape[0],
        layers=len(layers),
        eps=inputs["layer_norm_eps"],
        pad=inputs["pad_token"],
    )

    def affine(weights, bias):
        return {"kernel": jnp.asarray(weights, dtype).T, "bias": bias}

    def norm(held, number):
        return {"scale": held[f"ln{number}_scale"], "shift": held[f"ln{number}_bias"]}

    blocks = {
        str(i): {
            "qkv": affine(held["Wqkv"], held["bqkv"]),
            "out": affine(held["Wo_attn"], held["bo_attn"]),
            "up": affine(held["W1"], held["b1"]),
            "down": affine(held["W2"], held["b2"]),
            "norm_1": norm(held, 1),
            "norm_2": norm(held, 2),
        }
        for i, held in enumerate(layers)
    }
    head = affine(inputs["W_out"], inputs["b_out"])
    return model, {"embedding": inputs["embedding"], "blocks": blocks, "head": head}


def _transformer(params: Any, inputs: Any) -> Outputs:
    model, held = given_transformer(inputs)
    logits, _ = model.apply(held, {}, jnp.asarray(inputs["tokens"]).astype(jnp.int32))
    return {"logits": logits, "log_probs": jax.nn.log_softmax(logits, axis=-1)}


def _metrics(params: Any, inputs: Any) -> Outputs:
    tokens, length = _integers(inputs["sequences"]), inputs["prompt_length"]
    found = completion_scores(tokens, length)
    names = ("r1", "r2", "r2_completion", "grammatical", "finished")
    count = found["finished_count"]
    return {
        "all": {**{n: found[n] for n in names}, "n": len(tokens)},
        "finished_only": {
            **{n: found[f"{n}_finished"] for n in names[:-1]},
            "finished": jnp.minimum(count, 1),
            "n": count,
        },
    }


@on_host
def _zero_kl(params: Any, inputs: Any) -> Outputs:
    count, pair = inputs["n"], zero_kl_pair(inputs["n"])
    prompt = [grammar.SOS, *_integers(inputs["prompt"]).tolist()]
    first, second = (complete(law, prompt, 2 * count) for law in pair)
    if first == second:
        raise ValueError(f"completions must differ, got {first} twice")
    held = grammar.sentences("aNbN", 2 * count)
    begins = np.all(np.asarray(held)[:, : len(prompt)] == prompt, axis=1)
    worst = max(abs(kl_of_law(law, count)) for law in pair)
    return {"kl": worst, "prompt_probability": np.mean(begins)}


@on_host
def _mixture(params: Any, inputs: Any) -> Outputs:
    count, eps = inputs["n"], inputs["eps"]
    # Outcomes: the sentences, then two completions of a prompt that no sentence has.
    p = np.append(np.full(count, 1 / count), [0.0, 0.0])
    r = np.append(np.zeros(count), [0.25, 0.75])
    found = mixture(p, r, eps)
    same = [mixture(p, r, e).q[count:] for e in (eps, 1e-6)]
    same = all(np.allclose(q / q.sum(), r[count:]) for q in same)
    return {
        "kl": found.kl,
        "bound": found.bound,
        "off_support_conditional_equals_r": same,
    }


@on_host
def _mixture_general(params: Any, inputs: Any) -> Outputs:
    found = mixture(inputs["p"], inputs["r"], inputs["eps"])
    return {"kl": found.kl, "bound": found.bound}


@on_host
def _icl(params: Any, inputs: Any) -> Outputs:
    names = ("prior", "initial", "transition", "emission")
    concepts = Concepts(*(np.asarray(inputs[name], np.float64) for name in names))
    rows, total = [], 1.0
    for k in range(4):
        found = swapped_in_context(concepts, inputs["T"], k)
        row = {"min_delimiters": k, "kl": found.kl, "prob_event": found.reached}
        rows.append(row)
        total = found.total
    prompts = []
    for shots in (0, 1):
        for pair in ([0, 0], [0, 1]):
            prompt = [*(pair + [2]) * shots, 0]
            law = next_symbol(concepts, prompt)
            own = {"shots": shots, "pair": pair, "prompt": prompt, "p_next": law}
            prompts.append(own)
    return {"rows": rows, "prompts": prompts, "total_probability": total}


@on_host
def _posterior(params: Any, inputs: Any) -> Outputs:
    found = concept_posterior(inputs["theta"], inputs["prior"], inputs["observations"])
    return {
        "posterior": found.posterior,
        "predictive_one": found.predictive,
        "log_evidence": found.log_evidence,
    }


def _rescale_weights(params: Any, inputs: Any) -> Outputs:
    net = ReluNet(*(inputs[name] for name in ("W1", "b1", "W2", "b2")))
    x, y = inputs["X"], inputs["Y"]

    def loss(net):
        return jnp.mean(0.5 * jnp.sum((relu_output(net, x) - y) ** 2, axis=1))

    rows = []
    for alpha in (0.1, 1.0, 10.0):
        held = rescaled_net(net, alpha)
        value, grads = jax.value_and_grad(loss)(held)
        moved = jax.tree.map(lambda w, g: w - inputs["lr"] * g, held, grads)
        rows.append(
            {
                "alpha": alpha,
                "output": relu_output(held, x),
                "loss": value,
                "grad_W1": grads.w1,
                "grad_W2": grads.w2,
                "loss_after_one_sgd_step": loss(moved),
                "ntk": rescaled_kernel(net, x, alpha),
            }
        )
    return {"rows": rows}


def _rescale_activation(params: Any, inputs: Any) -> Outputs:
    x = inputs["x"]

    def scaled(alpha):
        return lambda v: jax.nn.relu(alpha * v) / alpha

    found = [jax.vmap(jax.value_and_grad(scaled(a)))(x) for a in inputs["alphas"]]
    # Equal for every factor: the one that is farthest from the others stands for all.
    each = [jnp.stack(part) for part in zip(*found, strict=True)]
    value, slope = (
        part[jnp.argmax(jnp.max(jnp.abs(part - part[:1]), axis=1))] for part in each
    )
    return {"relu": value, "derivative": slope}


CONFORMANCE = {
    "generate": on_host(_generate),
    "pad": _pad,
    "rules": on_host(_rules),
    "prompt_counts": on_host(_prompt_counts),
    "prompt_split": _prompt_split,
    "aux_prompts": _auxiliary,
    "floor": on_host(_floor),
    "bayes": _bayes,
    "ce": _cross_entropy,
    "schedule": _schedule,
    "pe": _positions,
    "transformer": _transformer,
    "metrics": on_host(_metrics),
    "zero_kl": _zero_kl,
    "mixture": _mixture,
    "mixture_general": _mixture_general,
    "icl_hmm": _icl,
    "posterior": _posterior,
    "rescale_weights": _rescale_weights,
    "rescale_activation": _rescale_activation,
}

ERRATA: list[Erratum] = []
