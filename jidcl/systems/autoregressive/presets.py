"""Settings of autoregressive models and presets. Imports no JAX.

- `quick/mle`, `adversarial`, `oracle`: an LSTM of width 32, minutes on two CPU cores;
- `full/lstm-mle`, `full/transformer-oracle`, ...: the published data (up to 256
  symbols), models of published size without dropout, our steps;
- `full/mixed-0.25`, ...: a share of oracle's completions, the rest adversarial;
- `published/transformer`, ...: their optimiser, schedule and steps as well.

Source: Reizinger, Ujváry, Mészáros, Kerekes, Brendel, Huszár 2024; LSTM and linear
model: Mészáros et al. 2024, *Rule Extrapolation in Language Modeling*.
"""

import dataclasses
from dataclasses import replace
from typing import Any

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_count,
    check_unit_interval,
)
from jidcl.systems.shared.settings import Optimisation

VARIANTS = ("mle", "adversarial", "oracle", "mixed")
MODELS = ("lstm", "transformer", "linear")
POSITIONS = ("none", "sinusoidal")
LONGEST_PROMPT = 12  # all prompts of a length are completed


@dataclasses.dataclass(frozen=True)
class Autoregressive(Optimisation):
    """Every setting of a run; any field can be overridden.

    Attributes:
        variant: mle; or beside it completions of all prompts that start no sentence:
            oracle (#a = #b), adversarial (missed by one), or mixed.
        rho: mixed: share of these prompts with the oracle's completion.
        max_length: most symbols of a^n b^n; n is uniform from 1 to half of it, and
            every step sees each sentence once.
        prompt_length: symbols of a prompt.
        new_tokens: most tokens of a completion.
        temperature: of drawn completions; 0: the most likely token is taken.
        model: lstm, transformer or linear.
        embedding: width of the embedding (lstm, linear).
        width: of the state (lstm) or of a token (transformer).
        layers: of an lstm or a transformer.
        heads: of a transformer.
        feed_forward: width of a transformer's ReLU layers.
        norm_eps: beside the variances of a transformer's normalisations.
        positions: of a transformer: none (the causal mask lets it count) or
            sinusoidal.
        dropout: of an lstm's output or of a transformer.
        init_scale: what all weights are multiplied by at the start, but for scales of
            normalisations.
        clip: largest norm of a gradient; 0: any.
        pad_in_loss: what follows the end counts in the likelihood.
        skip_first: leave the first token of a completion out of its loss, as the
            published code does.
        sharpness_steps: power iterations for the largest eigenvalue of the Hessian of
            the likelihood's loss; 0: it is not measured.
    """

    optimiser: str = "adamw"
    learning_rate: float = 5e-3
    schedule: str = "constant"
    warmup: int = 0
    steps: int = 800
    chunk: int = 200
    variant: str = "mle"
    rho: float = 0.5
    max_length: int = 32
    prompt_length: int = 8
    new_tokens: int = 64
    temperature: float = 0.0
    model: str = "lstm"
    embedding: int = 16
    width: int = 32
    layers: int = 1
    heads: int = 4
    feed_forward: int = 128
    norm_eps: float = 2e-4
    positions: str = "none"
    dropout: float = 0.0
    init_scale: float = 1.0
    clip: float = 1.0
    pad_in_loss: bool = True
    skip_first: bool = False
    sharpness_steps: int = 0

    def check(self) -> None:
        """As `Settings.check`."""
        super().check()
        check_choice("variant", self.variant, VARIANTS)
        check_choice("model", self.model, MODELS)
        check_choice("positions", self.positions, POSITIONS)
        for name in ("rho", "dropout"):
            check_unit_interval(name, getattr(self, name))
        for name in ("new_tokens", "embedding", "width", "layers", "heads"):
            check_count(name, getattr(self, name))
        check_count("feed_forward", self.feed_forward)
        check_count("prompt_length", self.prompt_length, 1, LONGEST_PROMPT)
        check_count("max_length", self.max_length, 2)
        check_count("sharpness_steps", self.sharpness_steps, 0)
        for name in ("norm_eps", "init_scale"):
            check_above(name, getattr(self, name), 0)
        for name in ("clip", "temperature"):
            check_at_least(name, getattr(self, name), 0)
        if self.max_length < 2 * self.prompt_length:
            raise ValueError(
                f"max_length must be >= {2 * self.prompt_length}, twice prompt_length: "
                f"no sentence starts with some prompts of that kind, got "
                f"{self.max_length}"
            )
        if self.model == "transformer" and self.width % self.heads:
            raise ValueError(
                f"heads must divide width = {self.width}, got {self.heads}"
            )

    def inert(self) -> dict[str, str]:
        """As `Settings.inert`."""
        held, why = super().inert(), "every step sees every sentence"
        held.update(batch=why, late_share=why, late_batch=why)
        if self.variant != "mixed":
            held["rho"] = f"with variant {self.variant!r}"
        if self.variant == "mle":
            held["skip_first"] = "with variant 'mle'"
        own = f"with model {self.model!r}"
        if self.model != "transformer":
            names = ("heads", "feed_forward", "norm_eps", "positions")
            held.update(dict.fromkeys(names, own))
        if self.model == "transformer":
            held["embedding"] = own
        if self.model == "linear":
            held.update(dict.fromkeys(("width", "layers", "dropout"), own))
        return held

    def phases(self) -> list[tuple[Any, int]]:
        """How it is trained: (settings, update up to which they hold)."""
        return [(self, self.steps)]

    @property
    def count(self) -> int:
        """Of sentences."""
        return self.max_length // 2

    @property
    def positions_predicted(self) -> int:
        """Of a sentence."""
        return self.max_length + 1

    def summary(self) -> str:
        """One line: how it is trained, the model, the data."""
        share = f" {self.rho:g}" if self.variant == "mixed" else ""
        size = f" {self.layers} x {self.width}" if self.model != "linear" else ""
        data = f"a^n b^n up to {self.max_length} symbols"
        prompts = f"prompts of {self.prompt_length}"
        return f"{self.variant}{share}: {self.model}{size}; {data}; {prompts}"


_BASE = Autoregressive()
_RECORDED = Autoregressive(
    max_length=256,
    new_tokens=300,
    model="transformer",
    width=10,
    layers=5,
    heads=5,
    feed_forward=1024,
    norm_eps=6e-3,
    schedule="inverse_sqrt",
    warmup=1000,
    learning_rate=2e-3,
    weight_decay=0.01,
    steps=20_000,
)
_TRANSFORMERS = {
    "transformer": _RECORDED,
    "transformer-small": replace(_RECORDED, width=8, layers=3, heads=4),
}
_MODELS = {
    **_TRANSFORMERS,
    "lstm": _RECORDED.changed(model="lstm", width=64, layers=5),
    "linear": _RECORDED.changed(model="linear", embedding=10, width=32, layers=1),
}
VARIED = ("mle", "adversarial", "oracle")
RHOS = (0.0, 0.25, 0.5, 0.75, 1.0)
# 60 prompts outside in place of 251: a quarter of the time.
_QUICK = replace(_BASE, prompt_length=6)
QUICK = {variant: replace(_QUICK, variant=variant) for variant in VARIED}


def presets() -> dict[str, Autoregressive]:
    """All presets by name."""
    named = {f"quick/{name}": config for name, config in QUICK.items()}
    named["quick/transformer"] = _QUICK.changed(
        model="transformer", width=8, layers=2, learning_rate=1e-2
    )
    for rho in RHOS:
        named[f"full/mixed-{rho:g}"] = replace(_BASE, variant="mixed", rho=rho)
    for name, config in _MODELS.items():
        for variant in VARIED:
            named[f"full/{name}-{variant}"] = replace(config, variant=variant)
    for name, config in _MODELS.items():
        dropout = {"lstm": 0.4, "transformer": 0.1}.get(config.model, 0.0)
        own = replace(config, dropout=dropout, clip=0.0, steps=50_000)
        for variant in VARIED:
            named[f"published/{name}-{variant}"] = replace(own, variant=variant)
    return named


# Meanings of scores that no other system has.
LEGEND = {
    "ood_r1": "share of prompts that start no sentence, completed with #a = #b",
    "ood_r1_finished": "the same over completions that end",
    "ood_r2": "share of these whose a all stand before b, prompt included",
    "ood_r2_completion": "the same of what follows the prompt",
    "ood_grammatical": "share of these that are sentences",
    "ood_finished": "share of these that end",
    "ood_finished_count": "number of these that end",
    "id_r1": "share of prompts that start a sentence, completed with #a = #b",
    "id_grammatical": "share of these that are sentences",
    "id_finished": "share of these that end",
    "sos_grammatical": "share of sequences from the start that are sentences",
    "token_accuracy": "share of tokens that the most likely one gets right",
    "excess": "nats by which a sentence costs more than it has to",
    "completion_loss": "loss of the completions that are trained beside sentences",
    "weight_norm": "norm of all parameters",
    "sharpness": "largest eigenvalue of the Hessian of the likelihood's loss",
}
