"""`judge`: a problem of your own in one call, from its parts to a verdict.

The parts become a `Problem`, the problem a `System`, and then everything is as for the
systems of the package: the run resumes, and its record is judged by the same rules.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import check_callable, check_choice, check_type
from jidcl.claims import FLOORS, QuickClaim
from jidcl.encoders import OUTPUTS, Encoder
from jidcl.metrics import mcc, r2, read_back, rotation_null, shuffled
from jidcl.metrics.columns import fit_affine
from jidcl.mixing import init_invertible_mlp, mix
from jidcl.numerics import generators
from jidcl.pairs import sample_pair
from jidcl.report.judge import judge as judge_claim
from jidcl.report.judge import judge_free
from jidcl.report.records import Record
from jidcl.report.verdict import Verdict
from jidcl.run.check import check_system
from jidcl.run.digest import digest_of
from jidcl.run.runner import RunEvent, run
from jidcl.systems.contract import System
from jidcl.systems.shared.cross_fitted import cross_fitted, cross_fitted_means
from jidcl.systems.shared.settings import Optimisation
from jidcl.systems.shared.wiring import over_batches, run_optimiser
from jidcl.theory import apply_oracle, fit_oracle
from jidcl.train.gradient import gradient
from jidcl.train.sharding import check_seeds
from jidcl.types import Array, Batch, Evaluation, Losses, OnHost, Pair, Problem, Program

EVAL_BATCHES, FIT_BATCHES = 8, 2
Draw = Callable[[Array, int], Pair]


@dataclasses.dataclass(frozen=True)
class PairProblem:
    """A problem of pairs: latents, mixing, encoder, loss.

    Attributes:
        laws: `(space, marginal, conditional)`, or a sampler `(key, batch) -> Pair`.
        encoder: y = f(x), m outputs for n latents, m >= n.
        loss: `(y, y_pos) -> scalar`, nats, of a batch of outputs.
        output: the encoder's output space, of `jidcl.encoders.OUTPUTS`: where true
            latents are placed for the reference.
        mixing: `(init, apply)`: `key -> g` and `(g, z) -> x`; a random invertible
            network of the latents when None.
        box: ends of the latents' box, where the output is a box.

    Raises:
        ValueError: on an unknown output space.
        TypeError: on a part of another type.

    Example:
        >>> import jidcl
        >>> laws = jidcl.Sphere(3), jidcl.Uniform(), jidcl.VonMisesFisher(10.0)
        >>> f = jidcl.make_mlp(3, output="sphere")
        >>> loss = lambda y, y_pos: jidcl.infonce(y, y_pos, tau=0.1)[0]
        >>> PairProblem(laws, f, loss, output="sphere").output
        'sphere'
    """

    laws: tuple[Any, Any, Any] | Draw
    encoder: Encoder
    loss: Callable[[Array, Array], Array]
    output: str = "none"
    mixing: tuple[Callable[[Array], Any], Callable[[Any, Array], Array]] | None = None
    box: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self):
        check_type("encoder", self.encoder, Encoder)
        check_callable("loss", self.loss)
        check_choice("output", self.output, OUTPUTS)
        if not callable(self.laws) and len(self.laws) != 3:
            raise TypeError(
                "laws must be (space, marginal, conditional) or a sampler (key, batch) "
                f"-> Pair, got {self.laws!r}"
            )

    def draw(self, key: Array, batch: int) -> Pair:
        """Pairs of latents.

        Args:
            key: a typed key.
            batch: how many.

        Returns:
            `[batch, n]` each.
        """
        if callable(self.laws):
            return Pair(*self.laws(key, batch))
        return sample_pair(key, *self.laws, batch=batch)


@dataclasses.dataclass(frozen=True)
class Judged:
    """What `judge` returns.

    Attributes:
        verdicts: what the record says, one for each score that is judged.
        record: of the run.
        folder: where it lies.
    """

    verdicts: tuple[Verdict, ...]
    record: Record
    folder: Path

    @property
    def word(self) -> str:
        """The word of the first verdict; "-" where nothing was trained."""
        return self.verdicts[0].word

    def summary(self) -> str:
        """A line for each verdict: word, score, nulls, gap and bar.

        Returns:
            Text.
        """
        lines = []
        for one in self.verdicts:
            text = f"{one.metric} {one.score:.2f} % +- {one.std:.2f}: {one.word}"
            if one.gap is not None and one.bar is not None:
                text += f"; gap {one.gap:.4f} nats (bar {one.bar:.4f})"
            held = [f"{name} {value:.1f}" for name, value in one.nulls.items()]
            lines.append(text + (f"; nulls: {', '.join(held)}" if held else ""))
        return "\n".join([*lines, f"record: {self.folder}"])

    def __str__(self) -> str:
        return self.summary()

    def report(self, folder: str | Path) -> Path:
        """Write `report.md`, `verdicts.csv` and, with matplotlib, figures.

        Args:
            folder: where to.

        Returns:
            The path of `report.md`.
        """
        from jidcl.report.document import write_report

        return write_report(
            Path(folder),
            self.verdicts,
            {self.folder: self.record},
            title=self.record.preset,
            source="a problem of your own",
        )


def judge(
    problem: PairProblem | Problem | Program,
    *,
    name: str = "mine",
    floor: str = "reference",
    expect: QuickClaim | None = None,
    seeds: int | Sequence[int] = 3,
    root: str | Path = "runs",
    progress: bool | Callable[[RunEvent], None] = True,
    **optimisation: Any,
) -> Judged:
    """Train, compare with theory and judge a problem of your own.

    Args:
        problem: its parts; a `Problem`, whose `evaluate` returns an `Evaluation`; or a
            `Program`, which brings its own optimiser.
        name: of the run; the same call goes on where it was stopped, or returns what is
            finished. A run is filed by what it computes: another loss is another run.
        floor: what `Losses.reference` is: `"reference"`, `"limit"` or `"none"`.
        expect: a claim to hold the run to; R2 and MCC against 95 percent when None.
        seeds: how many, or which.
        root: folder of all runs.
        progress: print what happens; or a function of each `RunEvent`.
        **optimisation: of `jidcl.systems.shared.settings.Optimisation`: `steps`,
            `batch`, `optimiser`, `learning_rate`, ...

    Returns:
        `Judged`: `word`, `verdicts`, `summary()`, `report(folder)`.

    Raises:
        ValueError: on settings out of range, or functions that do not return what they
            should, by name.
        TypeError: on a problem of another type.
        jidcl.train.NonFiniteLoss: where the loss diverges.
    """
    check_type("problem", problem, PairProblem | Problem | Program)
    check_choice("floor", floor, FLOORS)
    config = Optimisation(**optimisation)
    made = _program(problem, config)
    system = System(
        name=name,
        title="a problem of your own",
        paper="none",
        presets=lambda: {f"quick/{name}": config},
        make_program=lambda config: _program(problem, config),
        frozen_fields=(),
        floor_kind=lambda config: floor,
    )
    check_system(system, config)
    system = dataclasses.replace(system, source_digest=digest_of(made))
    told = progress if callable(progress) else (_shown if progress else _silent)
    event = None
    for event in run(
        config,
        system=system,
        preset=f"quick/{name}",
        seeds=check_seeds(seeds),
        root=Path(root),
    ):
        told(event)
    assert event is not None
    assert event.record is not None
    if expect is None:
        verdicts = judge_free(event.record)
    else:
        verdicts = [judge_claim(event.record, expect)]
    return Judged(tuple(verdicts), event.record, event.folder)


def _program(problem: Any, config: Optimisation) -> Program:
    if isinstance(problem, Program):
        return problem
    if isinstance(problem, PairProblem):
        problem = problem_of(problem, config)
    return gradient(problem, run_optimiser(config))


def problem_of(parts: PairProblem, config: Optimisation) -> Problem:
    """The `Problem` of its parts, with reference, chance, linear loss and nulls.

    Args:
        parts: latents, mixing, encoder, loss.
        config: its batch is that of training and evaluation.

    Returns:
        The problem; its `evaluate` returns an `OnHost` of an `Evaluation`.
    """
    n = jax.eval_shape(lambda: parts.draw(jax.random.key(0), config.batch)).z.shape[-1]
    init, observe = parts.mixing or (
        lambda key: init_invertible_mlp(key, n, draws=500),
        mix,
    )

    def encode(params, state, x, train=False):
        return parts.encoder.apply(params, state, x, train=train)

    def draw(g, key):
        z, z_pos = parts.draw(key, config.batch)
        return Batch(observe(g, z), observe(g, z_pos), z, z_pos)

    def loss(params, state, batch, key):
        y, state = encode(params, state, batch.x, train=True)
        y_pos, state = encode(params, state, batch.x_pos, train=True)
        return parts.loss(y, y_pos), (state, {})

    def probe(params, state, g, key):
        z = parts.draw(key, config.batch).z
        y = encode(params, state, observe(g, z))[0]

        def finish(arrays, xp):
            plain = {"r2": r2(*arrays, xp=xp).mean, "mcc": mcc(*arrays, xp=xp).mean}
            return plain | cross_fitted_means(*arrays, xp=xp)

        return OnHost((z, y), finish)

    def evaluate(params, state, g, key):
        fit_key, draw_key, null_key = jax.random.split(key, 3)
        fits = over_batches(
            lambda key: parts.draw(key, config.batch), fit_key, FIT_BATCHES
        )
        low, high = parts.box
        oracle = fit_oracle(parts.output, parts.loss, fits, low=low, high=high)

        def placed(z):
            return apply_oracle(oracle, parts.output, z)

        def score(key):
            batch = draw(g, key)
            y, y_pos = (encode(params, state, x)[0] for x in batch[:2])
            read = fit_affine(batch.x, batch.z)
            losses = {
                "loss": parts.loss(y, y_pos),
                "reference": parts.loss(placed(batch.z), placed(batch.z_pos)),
                "chance": parts.loss(*[jnp.full_like(y, n**-0.5)] * 2),
                "linear": parts.loss(*(placed(read(x)) for x in batch[:2])),
            }
            return {"z": batch.z, "y": y, "x": batch.x}, losses

        rows, losses = over_batches(score, draw_key, EVAL_BATCHES)
        arrays = {"key": jax.random.key_data(null_key), **rows, **losses}
        return OnHost(arrays, _finished)

    return Problem(init, parts.encoder.init, draw, loss, probe, evaluate)


def _finished(arrays: dict[str, Any], xp: ModuleType) -> Evaluation:
    """Scores and nulls of all rows; the losses of all batches."""
    z, y, x = (arrays[k].reshape(-1, arrays[k].shape[-1]) for k in ("z", "y", "x"))
    mixed_key, turned_key = generators(arrays["key"], 2, xp)
    mixed = shuffled(mixed_key, y, xp=xp)
    linear, single = r2(z, y, xp=xp), mcc(z, y, xp=xp)
    turned = rotation_null(turned_key, z[:1000], xp=xp)
    nulls = {
        "r2": {"shuffled": r2(z, mixed, xp=xp).mean, "identity": r2(z, x, xp=xp).mean},
        "mcc": {
            "shuffled": mcc(z, mixed, xp=xp).mean,
            "identity": mcc(z, x, xp=xp).mean,
            "rotation_low": xp.quantile(turned, 0.005),
            "rotation_high": xp.quantile(turned, 0.995),
        },
    }
    scores = {
        "r2": linear.mean,
        "mcc": single.mean,
        "r2_per_dim": linear.per_dim,
        "mcc_per_dim": single.per_dim,
    }
    few, by_chance = cross_fitted(z, y, {"shuffled": mixed, "identity": x}, xp=xp)
    shown = z[:1000], y[:1000]
    return Evaluation(
        scores=scores | few,
        losses=Losses(
            arrays["loss"],
            arrays["reference"],
            arrays["chance"],
            extra={"linear_loss": arrays["linear"]},
        ),
        nulls=nulls | by_chance,
        samples={
            "z": shown[0],
            "y": shown[1],
            "z_hat": read_back(*shown, xp=xp),
            "matrix": single.matrix,
        },
    )


def _shown(event: RunEvent) -> None:
    """One line of what happens."""
    held = ", ".join(f"{name} {value:.4g}" for name, value in event.scores.items())
    print(  # noqa: T201
        f"{event.stage} {event.step}/{event.steps} {held}".rstrip(), file=sys.stderr
    )


def _silent(event: RunEvent) -> None:
    return None
