"""How completions are scored: by the rules, over all of them and over finished ones."""

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_count, check_integers
from jidcl.latents.grammar import is_sentence, rules
from jidcl.types import Metrics


def completion_scores(tokens: jax.Array | np.ndarray, prompt_length: int) -> Metrics:
    """Shares of completed prompts that follow the rules of aNbN.

    Args:
        tokens: SOS, prompt and completion, integers `[prompts, length]`.
        prompt_length: symbols of a prompt, SOS not counted, >= 0.

    Returns:
        Scalars: `r1` (#a = #b), `r2` (every a before every b), `r2_completion` (of what
        follows the prompt), `grammatical` and `finished`, over all rows; the first four
        again as `{name}_finished` over finished rows, 0 where there are none; and
        `finished_count`.

    Raises:
        ValueError: on prompts longer than the rows, or without rows.

    Source: Reizinger et al. 2024, section 4; both denominators are told, as the
        published tables take finished rows alone.
    """
    check_integers("tokens", tokens)
    if tokens.ndim != 2 or not len(tokens):
        raise ValueError(
            f"tokens must have shape [prompts >= 1, length], got {list(tokens.shape)}"
        )
    check_count("prompt_length", prompt_length, 0, tokens.shape[1] - 1)
    whole, after = rules(tokens), rules(tokens[:, 1 + prompt_length :])
    held = {
        "r1": whole["same_number"],
        "r2": whole["as_before_bs"],
        "r2_completion": after["as_before_bs"],
        "grammatical": is_sentence(tokens, "aNbN"),
    }
    ends = whole["finished"]
    count = jnp.sum(ends, dtype=jnp.int32)
    kind = jnp.result_type(float)
    some = jnp.maximum(count, 1).astype(kind)
    scores = {name: jnp.mean(value, dtype=kind) for name, value in held.items()}
    for name, value in held.items():
        scores[f"{name}_finished"] = jnp.sum(value & ends, dtype=kind) / some
    scores["finished"] = jnp.mean(ends, dtype=kind)
    return {**scores, "finished_count": count}
