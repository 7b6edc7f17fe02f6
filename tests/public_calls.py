"""One valid call of every public function, with what each argument may be.

`CALLS` has a row for each name that a package offers in `__all__` and that can be
called with arguments which could be wrong; `RECORDS` names those that only hold what
they are given. A new public name fails a test until it has a row.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import flax.linen
import jax
import numpy as np
from flax import nnx

import jidcl
from jidcl import encoders, latents, losses, metrics, mixing, objectives, optim, theory
from jidcl.types import Pair

PACKAGES = {
    "jidcl": jidcl,
    "jidcl.encoders": encoders,
    "jidcl.latents": latents,
    "jidcl.losses": losses,
    "jidcl.metrics": metrics,
    "jidcl.mixing": mixing,
    "jidcl.objectives": objectives,
    "jidcl.optim": optim,
    "jidcl.theory": theory,
}
# They hold what they are given, or are not called: containers, protocols, constants.
RECORDS = {
    "Batch", "BatchNorm", "BlockLaw", "Density", "Encoder", "Evaluation", "Floor",
    "Instances", "KernelRidge", "LambdaRecovery", "LinearID", "Losses", "OBJECTIVES",
    "OU_PAIRS", "OUTPUTS", "Objective", "OracleMap", "PLANE_MAPS", "PNormDensity",
    "PUBLISHED_WIDTHS", "Pair", "PlaneMap", "Problem", "Program", "Rank", "Running",
    "Space", "System", "Uniform", "Views", "__version__",
    "BestPosterior", "ImaLikelihood", "LinearVAE", "PPCA",
    "CRITERIA", "DESIGNS", "Diversity", "Environments", "LTI", "MEANS",
    "PairMap", "PairMoments", "Series", "TwoEnvironments",
    "DecisionLaw", "KernelTest", "LEGACY", "LinearPair", "PairDraws", "STRUCTURES",
    "PValue", "VARIES",
}  # fmt: skip
# Layers of Flax: `make_mlp`, `make_cnn` and `make_resnet` are called in their place.
LAYERS = {"CNN", "MLP", "OutputSpace", "ResNet"}
# Whole runs; tests/train has them.
RUNS = {"fit", "gradient"}


@dataclasses.dataclass(frozen=True)
class Argument:
    """A valid value, and what else would be.

    Attributes:
        kind: of the mutations that are tried: see `harness.MUTATIONS`.
        value: a valid one.
        low: least number.
        high: largest number.
        open: whether `low` itself is refused.
        free: what may change alone: axes by number, "rank", "nan" or "infinite" (both
            may be answered with finite numbers), "any" number.
    """

    kind: str
    value: Any
    low: float = -math.inf
    high: float = math.inf
    open: bool = False
    free: tuple = ()


@dataclasses.dataclass(frozen=True)
class Call:
    """A function and its arguments by name.

    Attributes:
        function: what is called.
        arguments: by name.
        says: other words by which a refusal may name an argument.
        host: computes with NumPy, so it is called with numbers and never traced.
        random: draws, so float64 has other numbers.
    """

    function: Callable
    arguments: dict[str, Argument]
    says: dict[str, str] = dataclasses.field(default_factory=dict)
    host: bool = False
    random: bool = False


# Arguments ---------------------------------------------------------------------------


def floats(*shape, seed=0, of=None, free=()):
    """An array of normal numbers, or `of` these."""
    drawn = np.random.default_rng([seed, *shape]).normal(size=shape)
    return Argument("floats", np.float32(drawn if of is None else of(drawn)), free=free)


def given(values, free=()):
    """An array of these numbers."""
    return Argument("floats", np.float32(values), free=free)


def rows(*shape, seed=0, free=()):
    """An array of unit vectors."""
    return floats(*shape, seed=seed, of=_unit, free=free)


def _unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def positive(*shape, free=()):
    """An array of numbers > 0."""
    found = floats(*shape, of=lambda x: np.exp(0.3 * x), free=free)
    return dataclasses.replace(found, low=0, open=True)


def integers(values, free=()):
    """An array of labels, from 0."""
    return Argument("integers", np.int32(values), free=free)


def number(value, low=-math.inf, high=math.inf, *, above=None, free=()):
    """A number in [low, high], or above `above`."""
    low = low if above is None else above
    return Argument("number", value, low, high, above is not None, free)


def whole(value, least=1, high=math.inf):
    """A whole number in [least, high]."""
    return Argument("whole", value, least, high)


def text(value, free=()):
    """A name of several."""
    return Argument("text", value, free=free)


def thing(value, free=()):
    """A setting, a law, a function or a tree: nothing else will do."""
    return Argument("thing", value, free=free)


def sequence(value, free=()):
    """A list or tuple of numbers or names."""
    return Argument("sequence", value, free=free)


KEY = Argument("key", 0)
VIEW, OTHER = floats(8, 3), floats(8, 3, seed=1)
VIEWS = floats(2, 8, 3)
BATCHED = ("rank", 0)  # any leading shape
NUMBERS = ("integers", "floats", "bool")  # dtypes
TAU, UNIT_INTERVAL = number(0.5, above=0), number(0.5, 0, 1)
INDEPENDENT = losses.NegativePolicy("independent")


def law():
    """A block law, drawn by NumPy: importing this file compiles nothing."""
    eye = np.eye(2, dtype=np.float32)
    return latents.BlockLaw(eye, eye, eye, 0.5 * eye, np.zeros(2, np.float32))


def mixing_of(layers=2, n=3):
    """Parameters of a dense mixing."""
    drawn = np.random.default_rng(5).normal(size=(layers, n, n))
    kernels = np.float32(np.linalg.qr(drawn)[0])
    return {"kernels": kernels, "cond": np.ones(layers, np.float32)}


def coupling():
    """Parameters of coupling layers."""
    return {"kernels": np.float32(np.stack([np.eye(2), np.eye(2)[::-1]]))}


def kernel_ridge():
    """A fitted regression of four rows, written down."""
    y = np.float32([[-1.0], [-0.3], [0.4], [0.9]])
    one, flat = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)
    of_block = np.float32([0.1])
    scores = np.zeros((1, 1, 1), np.float32)
    parts = y, flat, one, flat, one, 0.5 * y, of_block, of_block, scores
    return metrics.KernelRidge(*map(jax.numpy.asarray, parts), (1,))


def pair_draws():
    """What pairs are made of, written down."""
    p = np.float32([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    noise = np.ones((2, 3, 2), np.float32)
    a = np.float32([[1, 0], [2, 3]])
    return latents.PairDraws(p, noise, np.int32(0), a, np.ones(3, np.float32), 2.0)


def linear_pair():
    """The law of a pair whose cause alone varies, written down."""
    of = [[2, 1, 2, 1], [1, 2, 1, 2], [2, 1, 3, 1], [1, 2, 1, 3]]
    return theory.LinearPair(np.float32(of), 0.0, 0.25, 0.816, 1.0)


def lti(n=2, m=2):
    """A stable system of n states and outputs, written down."""
    a = np.float32(0.5 * np.eye(n) + 0.1 * np.ones((n, n)))
    b = np.float32(np.eye(n, m) + 0.2)
    return latents.LTI(a, b, np.float32(np.eye(n) - 0.1))


def environments():
    """Three of two controls."""
    variance = np.float32([[1.0, 1.0], [1.0, 3.0], [0.5, 0.2]])
    return latents.Environments(np.zeros((3, 2), np.float32), variance)


def call(function, says=None, *, host=False, random=False, **arguments):
    """A row of `CALLS`."""
    return Call(function, arguments, says or {}, host, random)


# Wrappers of what does not return numbers --------------------------------------------


def fitted(fit, name):
    """What a fitted function makes of the argument of that name."""

    def function(**arguments):
        return fit(**arguments)(arguments[name])

    return function


def started(make, *shape):
    """Outputs of an encoder that has just been drawn."""

    def function(**arguments):
        encoder = make(**arguments)
        params, state = encoder.init(jax.random.key(0))
        dtype = jax.tree.leaves(params)[0].dtype
        return encoder.apply(params, state, np.ones(shape, dtype))[0]

    return function


def made(make):
    """Shapes of an encoder's parameters, which are numbers to compare."""

    def function(**arguments):
        shapes = jax.eval_shape(make(**arguments).init, jax.random.key(0))
        return [np.int32(leaf.shape) for leaf in jax.tree.leaves(shapes)]

    return function


def of_example(module, example):
    encoder = encoders.from_linen(module, example)
    params, state = encoder.init(jax.random.key(0))
    return encoder.apply(params, state, example)[0]


def equal_blocks(first, second):
    return metrics.equal_blocks(first, second)


def of_objective(name, settings):
    objective = objectives.make_objective(name, settings)
    x = jax.random.normal(jax.random.key(0), (4, 2))
    views = objectives.Views(x, x + 1, x - 1)
    head, held = objective.init(jax.random.key(1), {}, 2)
    trained = {"f": {}, "head": head}
    return objective.loss(trained, held, lambda _, x: x, views, jax.random.key(2))[0]


def rate_of(**arguments):
    return optim.make_schedule(**arguments)(3)


def updated(**arguments):
    optimiser = optim.make_optimiser(**arguments)
    params = jax.numpy.ones((2, 2))
    with jax.numpy_dtype_promotion("standard"):  # Optax needs it
        return optimiser.update(params, optimiser.init(params), params)[0]


def entropy_of(z, y):
    """A score, as `bootstrap_interval` takes one."""
    return jax.numpy.mean((z - y[:, : z.shape[1]]) ** 2)


def squared_log(scale):
    return (jax.numpy.log(scale) - 1) ** 2


def oracle_loss(y, y_pos):
    return jax.numpy.mean((y - y_pos) ** 2)


def box(name, *more):
    numbers = {
        "low": number(0.0, high=1.0), "high": number(1.0, above=0.0),
        "lam": number(0.1, above=0), "beta": number(1.5, 1),
    }  # fmt: skip
    first = {"n": whole(2)} if name not in ("box_mean_energy",) else {}
    if name in ("box_energy", "box_log_mass"):
        first = {"z": given([0.2, 0.7], free=(0, "rank", "width", "number", *NUMBERS))}
    return call(getattr(theory, name), host=True, **first, **numbers, **dict(more))


SPACED = {"density": thing(latents.Normal(0.3)), "space": thing(latents.Box(3))}
VARIANCE = dataclasses.replace(positive(3, 2), free=(0, 1))
INSIDE = floats(5, 3, of=lambda x: 1 / (1 + np.exp(-x)), free=BATCHED)
VMF = {"n": whole(3, 2), "kappa": number(2.0, 0)}


def on_host(function):
    """The same with `xp=numpy`."""

    def wrapped(**arguments):
        return function(**arguments, xp=np)

    return wrapped


LOSSES = {
    "LatentPrior": call(
        losses.LatentPrior,
        kind=text("beta"),
        alpha=number(3.0, above=0),
        beta=number(11.0, above=0),
        host=True,
    ),
    "annealed_precision": call(
        losses.annealed_precision,
        t=number(10.0),
        steps=whole(100),
        start=number(1.0, above=0),
        end=number(100.0, above=0),
        share=UNIT_INTERVAL,
    ),
    "decoder_variance": call(losses.decoder_variance, x=VIEW, x_rec=OTHER),
    "gaussian_elbo": call(
        losses.gaussian_elbo,
        x=VIEW,
        x_rec=OTHER,
        kl=floats(8, seed=2),
        gamma2=number(10.0, above=0),
        weight=number(1.0, 0),
    ),
    "gaussian_nll": call(
        losses.gaussian_nll, x=VIEW, x_rec=OTHER, gamma2=number(10.0, above=0)
    ),
    "sampled_kl": call(
        losses.sampled_kl,
        mean=VIEW,
        log_var=OTHER,
        noise=floats(8, 3, seed=2),
        prior=thing(losses.LatentPrior("uniform")),
        guard=number(0.01, 0),
    ),
    "NegativePolicy": call(
        losses.NegativePolicy,
        negatives=text("in_batch"),
        compare=text("anchor"),
        alpha=UNIT_INTERVAL,
        host=True,
    ),
    "Similarity": call(
        losses.Similarity,
        {"kind": "similarity"},
        kind=text("lp"),
        p=number(1.5, 1),
        precision=text("float32"),
        host=True,
    ),
    "VICRegWeights": call(
        losses.VICRegWeights,
        invariance=number(1.0, 0),
        variance=number(1.0, 0),
        covariance=number(1.0, 0),
        epsilon=number(1e-4, 0),
        views=text("mean"),
        host=True,
    ),
    "accuracy": call(
        losses.accuracy,
        logits=floats(8, 4, free=(1, "infinite")),
        labels=integers([0, 1] * 4),
    ),
    "align_maxent": call(
        losses.align_maxent,
        y=VIEW,
        y_pos=OTHER,
        variance=number(0.5, above=0),
        weight=number(2.0, above=0),
    ),
    "align_uniform": call(
        losses.align_uniform,
        y=VIEW,
        y_pos=OTHER,
        y_neg=floats(6, 3, free=(0,)),
        p=number(1.5, 1),
        alpha=UNIT_INTERVAL,
    ),
    "alignment": call(
        losses.alignment, y=VIEW, y_pos=OTHER, p=number(3.0, 1), reduction=text("sum")
    ),
    "aninfonce": call(
        losses.aninfonce,
        y=VIEW,
        y_pos=OTHER,
        lam=positive(3),
        cross=text("symmetric"),
        beta=number(0.5, 0),
        tau_plus=number(0.1, 0, 0.999),
        reduction=text("mean"),
        form=text("ring"),
    ),
    "aninfonce_ensemble": call(
        losses.aninfonce_ensemble,
        y=VIEWS,
        y_pos=floats(2, 8, 3, seed=1),
        lam=positive(2, 3),
        weights=dataclasses.replace(given([0.25, 0.75]), low=0),
        beta=number(0.0, 0),
        tau_plus=number(0.0, 0, 0.999),
    ),
    "barlow": call(
        losses.barlow,
        z=VIEW,
        z_pos=OTHER,
        lam=number(0.1, 0),
        scale=number(2.0),
        epsilon=number(1e-3, 0),
    ),
    "bernoulli_nll": call(
        losses.bernoulli_nll,
        logits=VIEW,
        x=floats(8, 3, of=lambda x: np.float32(x > 0)),
    ),
    "bits_above_chance": call(
        losses.bits_above_chance,
        loss=floats(8, free=("rank", 0, "width", "number", "integers", "bool")),
        entries=whole(16),
    ),
    "byol": call(
        losses.byol, p=VIEW, p_pos=OTHER, target=VIEW, target_pos=floats(8, 3, seed=3)
    ),
    "class_logits": call(
        losses.class_logits,
        features=floats(8, 3, free=(0,)),
        w=floats(4, 3),
        beta=number(2.0),
        bias=floats(4, free=("none",)),
    ),
    "draw_directions": call(
        losses.draw_directions, key=KEY, m=whole(3), count=whole(4), random=True
    ),
    "ema_schedule": call(
        losses.ema_schedule,
        step=integers([0, 5], free=("rank", 0, "width", "range", "number", *NUMBERS)),
        start=number(0.9, 0, 1),
        end=number(1.0, 0, 1),
        steps=whole(10),
    ),
    "ema_update": call(
        losses.ema_update,
        {"average": "params"},
        average=floats(2, 3),
        params=floats(2, 3, seed=1),
        momentum=UNIT_INTERVAL,
    ),
    "from_lam": call(
        losses.from_lam, lam=positive(3, free=("rank", 0, "width", "number"))
    ),
    "gauss_infonce": call(
        losses.gauss_infonce, y=VIEW, y_pos=OTHER, sigma=number(0.7, above=0)
    ),
    "gaussian_kl": call(losses.gaussian_kl, mean=VIEW, log_var=OTHER),
    "infonce": call(
        losses.infonce,
        y=VIEW,
        y_pos=OTHER,
        y_neg=floats(6, 3, free=(0, "infinite")),
        similarity=thing(losses.Similarity("lp", 2.0)),
        tau=TAU,
        lam=positive(3, free=("none",)),
        policy=thing(INDEPENDENT),
        reduction=text("mean"),
        form=text("ring"),
    ),
    "init_queue": call(
        losses.init_queue, key=KEY, rows=whole(4), m=whole(3), random=True
    ),
    "instance_cross_entropy": call(
        losses.instance_cross_entropy,
        features=VIEW,
        w=floats(4, 3, free=(0,)),
        labels=integers([0, 1, 2, 3] * 2),
        beta=number(2.0),
        smoothing=UNIT_INTERVAL,
        reduction=text("mean"),
        tile=thing(2, free=("none", "number", "text")),
    ),
    "kernel_entropy": call(
        losses.kernel_entropy, y=floats(8, 3, free=(0, 1)), variance=TAU
    ),
    "laplace_cross_entropy": call(
        losses.laplace_cross_entropy,
        mean=VIEW,
        log_var=floats(8, 3, seed=1, free=("infinite",)),
        rate=number(6.0, above=0),
    ),
    "lejepa": call(
        losses.lejepa,
        views=floats(2, 8, 3, free=(0,)),
        directions=floats(3, 5, free=(1,)),
        lam=UNIT_INTERVAL,
        form=text("pooled"),
    ),
    "moco": call(
        losses.moco, query=VIEW, key=OTHER, queue=floats(6, 3, free=(0,)), tau=TAU
    ),
    "mse": call(losses.mse, y=VIEW, z=OTHER),
    "ntxent": call(losses.ntxent, z=VIEW, z_pos=OTHER, tau=TAU),
    "pairwise": call(
        losses.pairwise,
        similarity=thing(losses.Similarity("cosine")),
        a=floats(8, 3, free=(0,)),
        b=floats(4, 3, free=(0,)),
    ),
    "push": call(losses.push, queue=floats(8, 3), rows=floats(4, 3, free=(0,))),
    "r2_loss": call(losses.r2_loss, y=VIEW, z=OTHER, reduction=text("mean")),
    "rowwise": call(
        losses.rowwise, similarity=thing(losses.Similarity("lp", 3.0)), a=VIEW, b=OTHER
    ),
    "sigreg": call(
        losses.sigreg,
        y=floats(8, 3, free=(0,)),
        directions=floats(3, 5, free=(1,)),
        knots=whole(5, 2),
        t_max=number(2.0, above=0),
    ),
    "simsiam": call(
        losses.simsiam, p=VIEW, p_pos=OTHER, z=VIEW, z_pos=floats(8, 3, seed=3)
    ),
    "sinkhorn_codes": call(
        losses.sinkhorn_codes,
        scores=floats(8, 4, free=(0, 1, "infinite")),
        epsilon=TAU,
        iterations=whole(2),
    ),
    "standardised": call(
        losses.standardised, z=floats(8, 3, free=(0, 1)), epsilon=number(1e-3, 0)
    ),
    "swav": call(
        losses.swav,
        z=VIEW,
        z_pos=OTHER,
        prototypes=floats(4, 3, free=(0,)),
        tau=TAU,
        epsilon=TAU,
        iterations=whole(2),
    ),
    "to_lam": call(
        losses.to_lam, raw=floats(3, free=("rank", 0, "width", "number", "infinite"))
    ),
    "uniformity": call(
        losses.uniformity,
        y=floats(8, 3, free=(0, "infinite")),
        y_neg=floats(6, 3, free=(0,)),
        p=number(1.5, 1),
        reduction=text("mean"),
    ),
    "SlowVAEWeights": call(
        losses.SlowVAEWeights,
        prior=number(1.0, 0),
        slow=number(10.0, 0),
        rate=number(6.0, above=0),
        host=True,
    ),
    "slowvae": call(
        losses.slowvae,
        mean=floats(4, 2, 3),
        log_var=floats(4, 2, 3, seed=1),
        logits=floats(4, 2, 5),
        x=floats(4, 2, 5, seed=1, of=lambda x: np.float32(x > 0)),
        weights=thing(losses.SlowVAEWeights(), free=("none",)),
    ),
    "vicreg": call(
        losses.vicreg,
        z=VIEW,
        z_pos=OTHER,
        weights=thing(losses.VICRegWeights(), free=("none",)),
    ),
    "view_alignment": call(
        losses.view_alignment, views=floats(2, 8, 3, free=(0, 1, "width"))
    ),
    "whitened_alignment": call(
        losses.whitened_alignment,
        views=floats(2, 8, 3, free=(0, "width")),
        lam=UNIT_INTERVAL,
    ),
    "whitening": call(losses.whitening, y=floats(8, 3, free=(0, 1))),
}

# Any number of columns; then those that have to fit to others.
Z, Y = floats(40, 2, free=(1,)), floats(40, 3, seed=2, free=(1,))
LATENTS_OF, OUTPUTS_OF = floats(40, 2), floats(40, 3, seed=2)
SAME = floats(40, 2, seed=4)
METRICS = {
    "amari_distance": call(
        metrics.amari_distance,
        w=floats(4, 3, 3, free=("rank",)),
        a=floats(4, 3, 3, seed=1, free=("rank",)),
    ),
    "c_ima_of_mean_jacobian": call(
        metrics.c_ima_of_mean_jacobian, j=floats(4, 5, 3, free=(0, 1, 2))
    ),
    "column_norm_variance": call(
        metrics.column_norm_variance, j=floats(4, 5, 3, free=(0, 1, "rank", "wider"))
    ),
    "conformal_contrast": call(
        metrics.conformal_contrast, j=floats(4, 3, 3, free=(0, 1, 2, "rank"))
    ),
    "global_c_ima": call(metrics.global_c_ima, j=floats(4, 5, 3, free=(0, 1, 2))),
    "jacobians": call(
        metrics.jacobians,
        f=thing(jax.numpy.tanh),
        z=floats(4, 3, free=(0, 1, "infinite")),
    ),
    "local_c_ima": call(metrics.local_c_ima, j=floats(4, 5, 3, free=(0, 1, 2, "rank"))),
    "assign": call(metrics.assign, score=floats(2, 3, free=(0, 1))),
    "balanced_logistic": call(
        metrics.balanced_logistic,
        y=floats(40, 3, seed=2, free=(1,)),
        t=Argument("labels", np.float32([0, 1] * 20), free=("bool",)),
        train=whole(20, 2),
        strength=TAU,
        rounds=whole(40),
        host=True,
    ),
    "block_r2": call(
        metrics.block_r2,
        z=LATENTS_OF,
        y=floats(40, 2, seed=3),
        lam_hat=positive(2),
        blocks=sequence([[0], [1]]),
    ),
    "bootstrap_interval": call(
        metrics.bootstrap_interval,
        key=KEY,
        score=thing(entropy_of),
        z=Z,
        y=Y,
        level=number(0.9, above=0, high=1 - 1e-9),
        resamples=whole(4, 2),
        random=True,
    ),
    "correlation_matrix": call(metrics.correlation_matrix, z=Z, y=Y),
    "decode_factors": call(
        metrics.decode_factors,
        y=OUTPUTS_OF,
        t=LATENTS_OF,
        y_score=floats(20, 3, seed=7),
        t_score=floats(20, 2, seed=8),
        ridge=number(0.1, 0),
    ),
    "determination": call(metrics.determination, z=LATENTS_OF, z_hat=SAME),
    "effective_rank": call(metrics.effective_rank, y=floats(40, 3, free=(0, 1))),
    "equal_blocks": call(
        equal_blocks,
        {"first": "lams", "second": "lams"},
        first=sequence((2.0, 1.0), free=("halves",)),
        second=sequence((3.0, 1.0), free=("halves",)),
        host=True,
    ),
    "feature_variance": call(metrics.feature_variance, y=floats(40, 3, free=(0, 1))),
    "fit_affine": call(fitted(metrics.fit_affine, "y"), y=Y, z=Z),
    "fit_classes": call(
        fitted(metrics.fit_classes, "y"),
        y=Y,
        label=integers([0, 1, 2, 1] * 10),
        classes=whole(3, 2),
        strength=TAU,
        rounds=whole(3),
    ),
    "fit_kernel_ridge": call(
        metrics.fit_kernel_ridge,
        z=Z,
        y=Y,
        alphas=sequence((1.0, 0.1), free=("halves", "longer")),
        gammas=sequence((0.1, 1.0), free=("halves", "longer")),
        folds=whole(2, 2),
    ),
    "fit_linear": call(fitted(metrics.fit_linear, "y"), z=Z, y=Y),
    "isometry_error": call(
        metrics.isometry_error, similarity_z=floats(8), similarity_y=floats(8, seed=1)
    ),
    "lambda_recovery": call(
        metrics.lambda_recovery,
        {"lam_hat": "learned lam"},
        lam=positive(2),
        lam_hat=positive(3, free=(0,)),
        columns=integers([2, 0]),
    ),
    "legacy_levels": call(
        metrics.legacy_levels,
        values=given([0, 0.5, 1.0], free=(0, "width", "integers", "bool")),
        host=True,
    ),
    "linear_decode_pearson": call(
        metrics.linear_decode_pearson,
        y=OUTPUTS_OF,
        t=floats(40),
        y_score=floats(20, 3, seed=7),
        t_score=floats(20, seed=8),
    ),
    "chatterjee_xi": call(
        metrics.chatterjee_xi, x=floats(12, 1), y=floats(12, 1, seed=1), host=True
    ),
    "fisher_z": call(
        metrics.fisher_z,
        x=floats(12, 1),
        y=floats(12, 1, seed=1),
        z=floats(12, 2, seed=2, free=(1, "none")),
        host=True,
    ),
    "g_test": call(
        metrics.g_test,
        {"levels": "levels"},
        x=integers([0, 1, 1, 0] * 3),
        y=integers([0, 1, 0, 1] * 3),
        levels=whole(2, 2),
        host=True,
    ),
    "hsic": call(
        metrics.hsic,
        x=floats(12, 1, free=(1,)),
        y=floats(12, 2, seed=1, free=(1,)),
        host=True,
    ),
    "kci_conditional": call(
        metrics.kci_conditional,
        x=floats(12, 1, free=(1,)),
        y=floats(12, 2, seed=1, free=(1,)),
        z=floats(12, 2, seed=2, free=(1,)),
        form=text("exact"),
        host=True,
    ),
    "kci_unconditional": call(
        metrics.kci_unconditional,
        x=floats(12, 1, free=(1,)),
        y=floats(12, 2, seed=1, free=(1,)),
        host=True,
    ),
    "normalised_shd": call(
        metrics.normalised_shd,
        found=thing(np.eye(3)),
        truth=thing(np.ones((3, 3))),
        host=True,
    ),
    "linear_id": call(
        metrics.linear_id,
        z=LATENTS_OF,
        h=SAME,
        h_pos=floats(40, 2, seed=9),
        rho=number(0.5, 1e-9, 1 - 1e-9),
    ),
    "linear_map": call(metrics.linear_map, y=Y, z=Z),
    "linear_pearson": call(metrics.linear_pearson, z=Z, y=Y),
    "linear_share": call(
        metrics.linear_share,
        effect=floats(2, 3),
        cause=given(np.eye(3)),
        noise=given(np.eye(2)),
    ),
    "mcc": call(metrics.mcc, z=Z, y=Y),
    "ordinal_levels": call(
        metrics.ordinal_levels,
        values=given([0.2, 0.5, 0.2], free=(0, "width", "infinite", *NUMBERS)),
        host=True,
    ),
    "plane_grid": call(
        metrics.plane_grid, points=whole(3, 2), span=number(1.0, above=0)
    ),
    "predict": call(
        metrics.predict, fit=thing(kernel_ridge()), y=floats(5, 1, free=(0,))
    ),
    "procrustes_error": call(metrics.procrustes_error, z=LATENTS_OF, y=SAME),
    "procrustes_mse": call(metrics.procrustes_mse, z=LATENTS_OF, h=SAME),
    "r2": call(metrics.r2, z=Z, y=Y),
    "read_back": call(metrics.read_back, z=Z, y=Y),
    "rotation_null": call(
        metrics.rotation_null,
        key=KEY,
        z=floats(40, 2, free=(0,)),
        draws=whole(3),
        blocks=sequence([[0], [1]], free=("none",)),
        random=True,
    ),
    "row_collapse": call(
        metrics.row_collapse, w=floats(6, 3, free=(0, 1)), clusters=whole(2)
    ),
    "scale_error": call(metrics.scale_error, y=Y, z=Z, scale=number(2.0, above=0)),
    "shuffled": call(
        metrics.shuffled,
        key=KEY,
        y=floats(8, 3, free=("rank", 0, 1, "complex", *NUMBERS)),
        random=True,
    ),
    "spread": call(metrics.spread, y=floats(40, 3, free=(0, 1))),
    "t_test": call(
        metrics.t_test,
        values=floats(6, free=(0, "width")),
        mean=number(0.5),
        alpha=number(0.05, 1e-9, 1 - 1e-9),
        tests=whole(2),
    ),
    "tied_kappa": call(
        metrics.tied_kappa,
        z=LATENTS_OF,
        h=OUTPUTS_OF,
        v=floats(6, 2, seed=11),
        w=floats(6, 3, seed=12),
        beta=number(1.0),
    ),
    "total_r2": call(metrics.total_r2, a=Y, b=Z),
}
# The forms on the host, in float64.
METRICS |= {
    f"{name}[numpy]": dataclasses.replace(
        METRICS[name], function=on_host(METRICS[name].function), host=True
    )
    for name in (
        "assign", "block_r2", "correlation_matrix", "fit_affine", "lambda_recovery",
        "mcc", "procrustes_error", "r2", "read_back",
    )
    if name != "fit_affine"
}  # fmt: skip

LATENTS = {
    "Anisotropic": call(
        latents.Anisotropic,
        lam=number(2.0, above=0, free=("array", "none")),
        shell=number(0.1, above=0),
        noise=text("normal"),
        host=True,
    ),
    "Ball": call(latents.Ball, n=whole(2), radius=number(1.0, above=0), host=True),
    "Box": call(
        latents.Box,
        n=whole(2),
        low=number(0.0, high=1.0 - 1e-9),
        high=number(1.0, above=0.0),
        host=True,
    ),
    "GeneralisedNormal": call(
        latents.GeneralisedNormal,
        scale=number(0.5, above=0, free=("array", "none")),
        p=number(1.5, above=0),
        host=True,
    ),
    "Laplace": call(
        latents.Laplace, scale=number(0.5, above=0, free=("array", "none")), host=True
    ),
    "Normal": call(
        latents.Normal, scale=number(0.5, above=0, free=("array", "none")), host=True
    ),
    "Product": call(
        latents.Product,
        factors=sequence((latents.Box(1), latents.Sphere(2)), free=("longer",)),
        host=True,
    ),
    "ProductDensity": call(
        latents.ProductDensity,
        factors=sequence(
            (latents.Normal(1.0), latents.Laplace(1.0)),
            free=("none", "object", "longer", "empty"),
        ),
        host=True,
    ),
    "Real": call(latents.Real, n=whole(2), host=True),
    "Simplex": call(latents.Simplex, n=whole(2), host=True),
    "Sphere": call(latents.Sphere, {"n": "n of a sphere"}, n=whole(3, 2), host=True),
    "TruncatedLaplace": call(
        latents.TruncatedLaplace,
        scale=number(0.5, above=0, free=("array", "none")),
        limit=number(1.0, above=0),
        host=True,
    ),
    "VonMisesFisher": call(
        latents.VonMisesFisher, kappa=number(2.0, 0, free=("array", "none")), host=True
    ),
    "affine_generator": call(
        latents.affine_generator,
        v=floats(4, 3, free=(0, 1)),
        rtol=dataclasses.replace(number(1e-5, 0, 1), free=("none",)),
    ),
    "block_latents": call(
        latents.block_latents,
        law=thing(law()),
        content=floats(4, 2),
        style=floats(4, 2),
    ),
    "changed_pair": call(
        latents.changed_pair,
        law=thing(law()),
        z=floats(4, 4),
        delta=floats(4, 2),
        changed=Argument("labels", np.float32([[0, 1]] * 4), free=("bool",)),
    ),
    "class_of_index": call(
        latents.class_of_index,
        index=integers([0, 4, 5], free=("rank", 0, "width", "range", "number")),
        clusters=whole(3),
    ),
    "covariance": call(latents.covariance, factor=floats(3, 3)),
    "diverse": call(
        latents.diverse,
        v=floats(8, 3, free=(0, 1)),
        rtol=dataclasses.replace(number(1e-5, 0, 1), free=("none",)),
    ),
    "index_counts": call(
        latents.index_counts, instances=whole(8, 3), clusters=whole(3)
    ),
    "init_blocks": call(
        latents.init_blocks,
        key=KEY,
        n_c=whole(3),
        n_s=whole(2),
        least_eigenvalue=number(0.0, 0),
        random=True,
    ),
    "log_prob": call(
        latents.log_prob,
        **SPACED,
        z=dataclasses.replace(INSIDE, free=(*BATCHED, "infinite")),
        mean=dataclasses.replace(INSIDE, free=(*BATCHED, "none")),
    ),
    "make_density": call(
        latents.make_density,
        {"param": "scale|p", "name": "density"},
        name=text("gennorm"),
        param=number(0.5, above=0, free=("array", "none")),
        p=number(2.5, above=0),
        host=True,
    ),
    "ou_step": call(
        latents.ou_step,
        key=KEY,
        density=thing(latents.Normal(1.0)),
        z=floats(4, 2, free=BATCHED + ("width",)),
        rho=UNIT_INTERVAL,
        random=True,
    ),
    "sample": call(latents.sample, key=KEY, **SPACED, mean=INSIDE, random=True),
    "sample_block_pair": call(
        latents.sample_block_pair,
        key=KEY,
        law=thing(law()),
        batch=whole(4, 2),
        change=number(0.5, 0, 1, free=("array",)),
        random=True,
    ),
    "sample_blocks": call(
        latents.sample_blocks, key=KEY, law=thing(law()), batch=whole(4), random=True
    ),
    "binary_graphs": call(latents.binary_graphs, variables=whole(3, 2, 5), host=True),
    "binary_variables": call(
        latents.binary_variables,
        factors=thing(np.ones((2, 3), int)),
        graph=thing(np.triu(np.ones((2, 2)), 1)),
        host=True,
    ),
    "observe_pairs": call(
        latents.observe_pairs,
        {"draws": "draws"},
        draws=thing(pair_draws()),
        vary=text("both"),
    ),
    "recorded_binary": call(
        latents.recorded_binary,
        {"counts": "environments"},  # one of the counts
        environments=thing(20),
        counts=thing((20,)),
        repetitions=thing(2, free=("number",)),
        host=True,
    ),
    "recorded_pairs": call(
        latents.recorded_pairs,
        {"counts": "environments"},  # one of the counts
        environments=thing(20),
        counts=thing((20,)),
        repetitions=thing(2, free=("number",)),
        host=True,
    ),
    "sample_binary": call(
        latents.sample_binary,
        key=KEY,
        environments=whole(4, 2),
        variables=whole(3, 2, 5),
        samples=whole(2),
        random=True,
    ),
    "sample_causal": call(latents.sample_causal, key=KEY, batch=whole(4), random=True),
    "sample_cluster_vectors": call(
        latents.sample_cluster_vectors,
        {"n": "n of a sphere"},
        key=KEY,
        clusters=whole(4),
        n=whole(3, 2),
        density=thing(latents.Uniform()),
        random=True,
    ),
    "sample_conditional": call(
        latents.sample_conditional,
        {"v": "mean|n"},
        key=KEY,
        v=rows(4, 3, free=BATCHED),
        conditional=thing(latents.VonMisesFisher(3.0)),
        random=True,
    ),
    "sample_instances": call(
        latents.sample_instances,
        {"v": "mean|n"},
        key=KEY,
        v=rows(4, 3, free=(0,)),
        conditional=thing(latents.VonMisesFisher(3.0)),
        instances=whole(8, 4),
        batch=whole(5),
        random=True,
    ),
    "sample_marginal": call(
        latents.sample_marginal,
        key=KEY,
        density=thing(latents.Uniform()),
        space=thing(latents.Box(3)),
        shape=sequence((2, 3), free=("empty", "longer")),
        random=True,
    ),
    "kalman_log_likelihood": call(
        latents.kalman_log_likelihood,
        {"system": "system"},
        system=thing(lti()),
        outputs=floats(5, 2, free=(0, "nan")),
        mean=given([0.3, -0.2]),
        variance=dataclasses.replace(given([0.5, 1.0]), low=0),
        noise=number(0.2, above=0),
        start=floats(2, free=("none",)),
    ),
    "physical_system": call(
        latents.physical_system,
        name=text("loaded_motor"),
        dt=number(0.01, above=0),
    ),
    "rescaled": call(
        latents.rescaled,
        a=floats(3, 3),
        radius=number(0.9, above=0),
    ),
    "sample_environments": call(
        latents.sample_environments,
        key=KEY,
        environments=whole(3),
        inputs=whole(2),
        design=text("uniform"),
        means=text("normal"),
        random=True,
    ),
    "sample_series": call(
        latents.sample_series,
        key=KEY,
        system=thing(lti()),
        environments=thing(environments()),
        length=whole(6, 2),
        noise=number(0.1, 0),
        random=True,
    ),
    "sample_system": call(
        latents.sample_system,
        key=KEY,
        states=whole(3, 2),
        inputs=dataclasses.replace(whole(2, 1, 3), free=("none",)),
        outputs=dataclasses.replace(whole(2, 1, 3), free=("none",)),
        radius=number(0.9, above=0),
        random=True,
    ),
    "simulate": call(
        latents.simulate,
        system=thing(lti()),
        controls=floats(5, 2, free=(0,)),
        start=floats(2, seed=1, free=("none",)),
    ),
    "spectral_radius": call(latents.spectral_radius, a=floats(3, 3)),
    "zero_order_hold": call(
        latents.zero_order_hold,
        a=floats(2, 2),
        b=floats(2, 1, free=(1,)),
        dt=number(0.01, above=0),
    ),
    "sample_pairs": call(
        latents.sample_pairs,
        key=KEY,
        environments=whole(4, 2),
        samples=whole(2),
        structure=text("x_to_y", free=("none",)),
        quadratic=text("half"),
        spread=number(1.0, above=0),
        random=True,
    ),
    "table_of": call(
        latents.table_of, values=thing(np.ones((2, 2, 3), int)), host=True
    ),
    "sample_ou_pair": call(
        latents.sample_ou_pair,
        key=KEY,
        density=thing(latents.Laplace(0.7)),
        rho=UNIT_INTERVAL,
        shape=sequence((4, 2), free=("empty", "longer")),
        pair=text("direct"),
        random=True,
    ),
    "sample_with_acceptance": call(
        latents.sample_with_acceptance,
        key=KEY,
        density=thing(latents.GeneralisedNormal(0.3, 3.0)),
        space=thing(latents.Box(3)),
        mean=INSIDE,
        random=True,
    ),
    "spectrum": call(latents.spectrum, factor=floats(3, 3)),
    "transform": call(
        latents.transform,
        {"z": "mean", "groups": "group"},
        key=KEY,
        z=floats(4, 11, of=np.tanh, free=(0,)),
        groups=sequence(["rotations"], free=("longer",)),
        scale=TAU,
        random=True,
    ),
    "unit_variance": call(latents.unit_variance, alpha=number(1.5, above=0), host=True),
    "unit_variance_scale": call(
        latents.unit_variance_scale, alpha=number(1.5, above=0), host=True
    ),
    "whitening": call(latents.whitening, factor=floats(3, 3)),
}


def moebius_of(n=3):
    """Parameters of a Moebius map, written down."""
    drawn = np.random.default_rng(6).normal(size=(n, n))
    return {
        "q": np.float32(np.linalg.qr(drawn)[0]),
        "pole": np.float32([0.9, -1.1, 0.7][:n]),
        "shift": np.zeros(n, np.float32),
        "scale": np.float32(1),
        "linear": np.eye(n, dtype=np.float32) + np.float32(0.1),
    }


def autoregressive(n=3):
    """Parameters of one autoregressive layer and another."""
    drawn = np.random.default_rng(7).normal(size=(2, 2, n, n))
    return {"scales": np.float32(drawn[0]), "shifts": np.float32(drawn[1])}


MIXING = {
    "angled": call(mixing.angled, cosine=number(0.6, 0, 1 - 1e-7)),
    "autoregress": call(
        mixing.autoregress,
        params=thing(autoregressive()),
        z=floats(5, 3, free=BATCHED),
    ),
    "unautoregress": call(
        mixing.unautoregress,
        params=thing(autoregressive()),
        x=floats(5, 3, free=BATCHED),
    ),
    "init_autoregressive": call(
        mixing.init_autoregressive, key=KEY, n=whole(3), layers=whole(2), random=True
    ),
    "init_moebius": call(mixing.init_moebius, key=KEY, n=whole(3), random=True),
    "moebius": call(
        mixing.moebius, params=thing(moebius_of()), z=floats(5, 3, free=BATCHED)
    ),
    "moebius_jacobian": call(
        mixing.moebius_jacobian,
        params=thing(moebius_of()),
        z=floats(5, 3, free=BATCHED),
    ),
    "unmoebius": call(
        mixing.unmoebius, params=thing(moebius_of()), x=floats(5, 3, free=(0,))
    ),
    "unit_determinant": call(mixing.unit_determinant, a=floats(3, 3)),
    "couple": call(
        mixing.couple, params=thing(coupling()), z=floats(5, 4, free=BATCHED)
    ),
    "init_coupling": call(
        mixing.init_coupling,
        key=KEY,
        n=whole(4, 2),
        layers=whole(2),
        scale=number(2.0),
        random=True,
    ),
    "init_invertible_mlp": call(
        mixing.init_invertible_mlp,
        key=KEY,
        n=whole(3),
        layers=whole(2),
        draws=whole(5),
        random=True,
    ),
    "init_linear": call(
        mixing.init_linear, key=KEY, n=whole(3), draws=whole(5), random=True
    ),
    "init_orthogonal": call(
        mixing.init_orthogonal, key=KEY, n=whole(3), layers=whole(2), random=True
    ),
    "mix": call(
        mixing.mix,
        params=thing(mixing_of()),
        z=floats(5, 3, free=BATCHED),
        slope=number(0.2, 1e-9, 1),
        activation=text("leaky_relu"),
    ),
    "normalise_columns": call(
        mixing.normalise_columns, a=floats(3, 3, free=("rank up",))
    ),
    "uncouple": call(
        mixing.uncouple, params=thing(coupling()), x=floats(5, 4, free=BATCHED)
    ),
    "unmix": call(
        mixing.unmix,
        params=thing(mixing_of()),
        x=floats(5, 3, free=(0,)),
        slope=number(0.2, 1e-9, 1),
        activation=text("leaky_relu"),
    ),
}


def doubled(z):
    """A decoder."""
    return 2 * z


POSTERIOR = {
    "decode": thing(doubled),
    "x": floats(3),
    "mean": floats(3, seed=1),
    "log_var": floats(3, seed=2),
    "gamma2": number(2.0, above=0),
    "prior": thing(losses.LatentPrior()),
    "nodes": whole(3),
}
THEORY = {
    "best_posterior": call(theory.best_posterior, **POSTERIOR, steps=whole(20)),
    "expected_elbo": call(theory.expected_elbo, **POSTERIOR),
    "ima_likelihood": call(
        theory.ima_likelihood, log_prior=floats(4), j=floats(4, 3, 3, free=("wider",))
    ),
    "linear_gap": call(
        theory.linear_gap,
        w=floats(4, 3, free=(0, 1)),
        gamma2=number(10.0, above=0),
        host=True,
    ),
    "linear_vae": call(
        theory.linear_vae,
        w=floats(4, 3, free=(1,)),
        b=floats(4),
        x=floats(4, seed=1),
        gamma2=number(10.0, above=0),
        host=True,
    ),
    "ppca": call(
        theory.ppca,
        s=given(np.diag([4.0, 2.0, 1.0]) + 0.1),
        k=whole(2, 1, 3),
        gamma2=number(2.0, above=0, free=("none",)),
        host=True,
    ),
    "small_noise_variance": call(
        theory.small_noise_variance,
        j=floats(4, 5, 3, free=(1, "rank", "infinite")),
        gamma2=number(2.0, above=0),
        curvature=positive(4, 3, free=("infinite",)),
    ),
    "affine_solution": call(
        theory.affine_solution,
        v=rows(4, 3, free=(0,)),
        kappa=number(2.0, 0),
        m=given(2 * np.eye(3)),
        shift=floats(3),
    ),
    "apply_oracle": call(
        theory.apply_oracle,
        oracle=thing(theory.OracleMap(np.float32(2.0), np.zeros(3, np.float32))),
        output=text("none"),
        z=floats(5, 3, free=BATCHED),
    ),
    "bayes_floor": call(
        theory.bayes_floor,
        {"v": "mean|n"},
        key=KEY,
        v=rows(4, 3, free=(0,)),
        kappa=number(2.0, 0),
        samples=whole(8, 2),
        random=True,
    ),
    "best_gauss_coefficient": call(
        theory.best_gauss_coefficient,
        marginal_std=number(1.0, above=0),
        cond_std=number(0.5, above=0),
        host=True,
    ),
    "best_scale": call(
        theory.best_scale,
        value=thing(squared_log),
        span=sequence((0.1, 10.0)),
        points=whole(3, 2),
        rounds=whole(2),
    ),
    "box_energy": box("box_energy"),
    "box_limit": box("box_limit"),
    "box_log_mass": box("box_log_mass"),
    "box_mean_energy": box("box_mean_energy"),
    "box_mismatched_limit": box(
        "box_mismatched_limit",
        ("coeff", number(5.0, above=0)),
        ("p", number(1.0, 1)),
    ),
    "box_moment": box("box_moment"),
    "box_self_weight": box("box_self_weight"),
    "class_log_posterior": call(
        theory.class_log_posterior,
        z=rows(5, 3, free=BATCHED),
        v=rows(4, 3, seed=1, free=(0,)),
        kappa=number(2.0, 0),
    ),
    "finite_negatives": call(
        theory.finite_negatives,
        limit=number(-1.0),
        correction=number(2.0),
        count=whole(100, 2),
        composition=text("with_self"),
        self_weight=number(1.0),
        host=True,
    ),
    "fit_oracle": call(
        theory.fit_oracle,
        output=text("learnable_sphere"),
        loss=thing(oracle_loss),
        pairs=thing(Pair(np.float32(np.eye(3))[None], np.float32(np.eye(3))[None] * 2)),
        low=number(0.0, high=1 - 1e-9),
        high=number(1.0, above=0.0),
        span=sequence((0.1, 10.0)),
        points=whole(3, 2),
        rounds=whole(2),
    ),
    "gauss_limit": call(
        theory.gauss_limit,
        n=whole(2),
        marginal_std=number(1.0, above=0),
        cond_std=number(0.5, above=0),
        coeff=number(2.0, above=0),
        host=True,
    ),
    "gennorm_moments": call(
        theory.gennorm_moments, lam=number(0.5, above=0), beta=number(1.5, 1), host=True
    ),
    "index_log_posterior": call(
        theory.index_log_posterior,
        z=rows(5, 3),
        v=rows(4, 3, seed=1, free=(0,)),
        kappa=number(2.0, 0),
        index=integers([0, 1, 2, 3, 7]),
        instances=whole(8, 8),
        noise=number(0.1, 0, 1),
    ),
    "ou_alignment_limit": call(
        theory.ou_alignment_limit,
        rho=number(0.5, 0, 1, free=("array", "none")),
        pair=text("direct"),
    ),
    "projected_normal_log_ratio": call(
        theory.projected_normal_log_ratio,
        n=whole(3, 2),
        sigma=number(0.5, above=0),
        cosine=number(0.5, -1, 1),
        host=True,
    ),
    "projected_normal_mean_cosine": call(
        theory.projected_normal_mean_cosine,
        n=whole(3, 2),
        sigma=number(0.5, above=0),
        host=True,
    ),
    "projected_normal_tv": call(
        theory.projected_normal_tv, n=whole(3, 2), sigma=number(0.5, above=0), host=True
    ),
    "vmf_correction": call(
        theory.vmf_correction,
        **VMF,
        model_kappa=number(3.0, 0, free=("none",)),
        host=True,
    ),
    "vmf_entropy": call(theory.vmf_entropy, **VMF, host=True),
    "decision_law": call(
        theory.decision_law,
        pair=thing(linear_pair()),
        environments=number(100.0, above=4),
        alpha=number(0.05, 0, 1),
        host=True,
    ),
    "environments_for_accuracy": call(
        theory.environments_for_accuracy,
        pair=thing(linear_pair()),
        accuracy=number(0.8, 0, 1),
        alpha=number(0.05, 0, 1),
        host=True,
    ),
    "design_interventions": call(
        theory.design_interventions,
        {"budget": "least|inputs", "inputs": "budget|before"},
        key=KEY,
        inputs=whole(2),
        environments=whole(2),
        budget=number(1.0, 0.2),
        least=number(0.1, above=0, high=0.5),
        before=dataclasses.replace(positive(1, 2), free=(0, "none")),
        criterion=text("margin"),
        starts=whole(2),
        random=True,
    ),
    "diversity": call(theory.diversity, variance=VARIANCE),
    "diversity_margin": call(
        theory.diversity_margin,
        variance=VARIANCE,
        weights=dataclasses.replace(positive(3), free=("none",)),
    ),
    "expected_mcc_loss": call(
        theory.expected_mcc_loss,
        variance=VARIANCE,
        pairs=number(100.0, above=0),
        outputs=whole(2),
        weights=dataclasses.replace(positive(3), free=("none",)),
    ),
    "free_directions": call(
        theory.free_directions,
        w=floats(2, 2),
        variance=VARIANCE,
        least_sine=number(0.001, 0, 1),
        host=True,
    ),
    "hmm_evidence": call(
        theory.hmm_evidence,
        sequences=integers([[0, 1], [1, 1]], free=(0, 1, "infinite")),
        alpha=number(1.0, above=0),
        beta=number(0.5, above=0),
        hidden=whole(2, 2),
        symbols=whole(2, 2),
    ),
    "markov_parameters": call(
        theory.markov_parameters, system=thing(lti()), count=whole(3)
    ),
    "min_pair_sine": call(theory.min_pair_sine, variance=VARIANCE),
    "pair_evidence": call(
        theory.pair_evidence,
        x=floats(4),
        y=floats(4, seed=1),
        theta=number(1.5, 0),
        psi=number(0.8, 0),
        noise=number(0.5, above=0),
    ),
    "pair_information": call(
        theory.pair_information,
        variance=VARIANCE,
        weights=dataclasses.replace(positive(3), free=("none",)),
    ),
    "pair_map": call(theory.pair_map, system=thing(lti())),
    "pair_moments": call(
        theory.pair_moments,
        system=thing(lti()),
        variance=dataclasses.replace(VARIANCE, free=(0,)),
    ),
    "precision_rank": call(theory.precision_rank, variance=VARIANCE),
    "stationary_covariance": call(
        theory.stationary_covariance,
        a=given([[0.5, 0.1], [0.0, -0.3]]),
        q=floats(2, 2, of=lambda x: x @ x.T),
    ),
    "trajectory_evidence": call(
        theory.trajectory_evidence,
        x=floats(2, 4, 2, free=(0, 2)),
        theta=number(1.5, 0),
        dynamics=number(0.8, 0),
        noise=number(0.5, above=0),
    ),
    "two_environments": call(
        theory.two_environments,
        first=given([[1.0, 0.2], [0.2, 2.0]]),
        second=given([[3.0, 0.1], [0.1, 1.0]]),
    ),
    "environments_needed": call(
        theory.environments_needed,
        {"power": "power", "correlation": "correlation"},
        correlation=number(0.3, -1, 1),
        power=number(0.9, 0.05, 1),
        host=True,
    ),
    "fisher_power": call(
        theory.fisher_power,
        correlation=number(0.3, -1, 1),
        environments=number(100.0, above=4),
        host=True,
    ),
    "linear_pair": call(
        theory.linear_pair,
        a=number(1.0),
        theta=number(0.5, 0),
        e=number(1.0, above=0),
        psi=number(0.2, 0),
        h=number(1.0, above=0),
    ),
    "vmf_limit": call(
        theory.vmf_limit, **VMF, model_kappa=number(3.0, 0, free=("none",)), host=True
    ),
    "vmf_log_normaliser": call(theory.vmf_log_normaliser, **VMF, host=True),
    "vmf_mean_cosine": call(theory.vmf_mean_cosine, **VMF, host=True),
    "vmf_moment": call(theory.vmf_moment, **VMF, host=True),
    "vmf_self_weight": call(theory.vmf_self_weight, **VMF, host=True),
}

ENCODERS = {
    "from_linen": call(
        of_example,
        module=thing(flax.linen.Dense(2)),
        example=thing(np.ones((2, 3), np.float32)),
    ),
    "from_nnx": call(
        started(encoders.from_nnx, 2, 3),
        make=thing(lambda rngs: nnx.Linear(3, 2, rngs=rngs)),
    ),
    "make_cnn": call(
        made(encoders.make_cnn),
        size=whole(8),
        channels=whole(1),
        m=dataclasses.replace(whole(2), free=("none",)),
    ),
    "make_resnet": call(
        made(encoders.make_resnet),
        depth=whole(18, 18),
        m=dataclasses.replace(whole(2), free=("none",)),
    ),
    "make_inverse_coupling": call(
        started(encoders.make_inverse_coupling, 5, 4),
        n=whole(4, 4),
        layers=whole(2),
        scale=number(1.0, above=0),
    ),
    "make_mlp": call(
        started(encoders.make_mlp, 5, 3),
        n=whole(3, 3),
        d=dataclasses.replace(whole(3, 3), free=("none",)),
        m=dataclasses.replace(whole(2), free=("none",)),
        widths=sequence((2, 3), free=("longer",)),
        slope=number(0.1),
        activation=text("leaky_relu"),
        init=text("he_normal"),
        output=text("learnable_sphere"),
        output_size=number(1.0, above=0),
    ),
    "rescale": call(
        encoders.rescale,
        x=floats(5, 3, free=(*BATCHED, "width")),
        r=number(2.0, above=0),
    ),
    "softclip": call(
        encoders.softclip,
        x=floats(5, 3, free=(*BATCHED, "width", "infinite")),
        bound=number(2.0, above=0, free=("array", "none")),
    ),
}
OBJECTIVES = {
    "ObjectiveSettings": call(
        objectives.ObjectiveSettings,
        steps=whole(3),
        batch=whole(4, 2),
        tau=number(0.5, above=0, free=("none",)),
        lam=number(0.5, above=0, free=("none",)),
        momentum=UNIT_INTERVAL,
        end_momentum=UNIT_INTERVAL,
        queue=whole(2),
        hidden=whole(4),
        prototypes=whole(4, 2),
        epsilon=TAU,
        directions=whole(4),
        variance=TAU,
        host=True,
    ),
    "make_objective": call(
        of_objective,
        {"name": "objective"},
        name=text("vicreg"),
        settings=thing(objectives.ObjectiveSettings(steps=1, batch=4)),
    ),
}
OPTIM = {
    "make_schedule": call(
        rate_of,
        {"name": "schedule"},
        name=text("cosine"),
        learning_rate=number(0.1, above=0),
        steps=whole(10),
        warmup=whole(2, 0),
    ),
    "make_optimiser": call(
        updated,
        {"name": "optimiser"},
        name=text("adamw"),
        learning_rate=number(0.1, above=0),
        steps=whole(10),
        schedule=text("cosine"),
        warmup=whole(2, 0),
        weight_decay=number(0.1, 0),
    ),
}
TOP = {
    "sample_pair": call(
        jidcl.sample_pair,
        key=KEY,
        space=thing(latents.Sphere(3)),
        marginal=thing(latents.Uniform()),
        conditional=thing(latents.VonMisesFisher(3.0)),
        batch=whole(4, 2),
        random=True,
    ),
    # What is written in tiles.
    "infonce[tile]": call(
        losses.infonce,
        y=VIEW,
        y_pos=OTHER,
        tau=TAU,
        tile=thing(4, free=("none", "number", "text")),
    ),
    "r2[split]": call(metrics.r2, z=Z, y=Y, split=thing(True, free=("any",))),
}
CALLS = {
    f"{package}.{name}": row
    for package, rows_of in {
        "losses": LOSSES,
        "metrics": METRICS,
        "latents": LATENTS,
        "mixing": MIXING,
        "theory": THEORY,
        "encoders": ENCODERS,
        "objectives": OBJECTIVES,
        "optim": OPTIM,
        "jidcl": TOP,
    }.items()
    for name, row in rows_of.items()
}
