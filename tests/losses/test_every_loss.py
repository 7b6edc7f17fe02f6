"""One list of checks for every function of `jidcl.losses`; a new one joins by a row.

Of every row: traced once, equal to the eager function, float64 in and out, the
gradient that of finite differences; float32 in and out, mapped equal to one by one;
the batch spread over eight devices; bfloat16 in, the dtype out that the row states.
What a value should be stands in the tests of its own file.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import losses
from jidcl.train.sharding import make_mesh

# Functions of other things than arrays of numbers with a gradient.
OTHERS = {
    "accuracy": "counts",
    "annealed_precision": "of a count of steps",
    "draw_directions": "draws",
    "ema_schedule": "of a count of steps",
    "init_queue": "draws",
}
# Where the forms for rows that are spread by hand, inside `shard_map`, are compared
# with the plain ones, on eight devices.
SPREAD = "tests/losses/test_spread.py"
BY_HAND = {
    "align_maxent": SPREAD,
    "aninfonce": "tests/systems/test_data_parallel.py",
    "aninfonce_ensemble": "tests/systems/test_data_parallel.py",
    "infonce": "tests/losses/test_distributed.py",
    "instance_cross_entropy": "tests/losses/test_classification.py",
    "barlow": SPREAD,
    "byol": SPREAD,
    "gauss_infonce": SPREAD,
    "kernel_entropy": SPREAD,
    "lejepa": SPREAD,
    "moco": SPREAD,
    "ntxent": SPREAD,
    "sigreg": SPREAD,
    "simsiam": SPREAD,
    "sinkhorn_codes": SPREAD,
    "standardised": SPREAD,
    "swav": SPREAD,
    "vicreg": SPREAD,
    "view_alignment": SPREAD,
    "whitened_alignment": SPREAD,
    "whitening": SPREAD,
}
BATCH, M = 8, 3


@dataclasses.dataclass(frozen=True)
class Row:
    """How to call a loss.

    Attributes:
        shapes: of its arrays, drawn from the normal law; integers are drawn below 4.
        call: the loss of these arrays; the loss itself when None.
        spread: axis of each array that is the batch, None where there is none.
        positive: numbers of the arrays that must be > 0; they are exponentiated.
        stopped: numbers of the arrays that the loss states to have no gradient.
        smooth: whether finite differences see the gradient that is wanted; otherwise
            the reason stands in `test_targets_inside_a_loss_are_constants`.
        narrow: dtype of the loss for arrays in bfloat16.
    """

    shapes: tuple
    call: Callable | None = None
    spread: tuple = (0, 0, 0, 0)
    positive: tuple = ()
    stopped: tuple = ()
    smooth: bool = True
    narrow: str = "float32"


VIEW, VIEWS = (BATCH, M), (2, BATCH, M)
PAIR, WHOLE = (VIEW, VIEW), (0, 0, None, None)
INDEPENDENT = losses.NegativePolicy("independent")
LP = losses.Similarity("lp", 2.0)
ROWS = {
    "align_maxent": Row(PAIR),
    "align_uniform": Row((*PAIR, VIEW)),
    "alignment": Row(PAIR),
    "aninfonce": Row((*PAIR, (M,)), spread=WHOLE, positive=(2,)),
    "aninfonce_ensemble": Row(
        (VIEWS, VIEWS, (2, M), (2,)),
        functools.partial(losses.aninfonce_ensemble, beta=0.5, tau_plus=0.1),
        spread=(1, 1, None, None),
        positive=(2, 3),
    ),
    "barlow": Row(PAIR),
    "bernoulli_nll": Row(PAIR, narrow="bfloat16"),
    "bits_above_chance": Row(
        ((BATCH,),), lambda loss: losses.bits_above_chance(loss, 16), narrow="bfloat16"
    ),
    "byol": Row(PAIR * 2, stopped=(2, 3)),
    "class_logits": Row((VIEW, (4, M)), spread=(0, None)),
    "ema_update": Row(
        PAIR,
        lambda average, y: losses.ema_update(average, y, 0.9),
        stopped=(1,),
        narrow="bfloat16",
    ),
    "from_lam": Row(((M,),), spread=(None,), positive=(0,), narrow="bfloat16"),
    "gauss_infonce": Row(PAIR),
    "decoder_variance": Row(PAIR, narrow="bfloat16"),
    "gaussian_elbo": Row(
        (*PAIR, (BATCH,), ()),
        lambda x, x_rec, kl, gamma2: losses.gaussian_elbo(x, x_rec, kl, gamma2=gamma2),
        spread=(0, 0, 0, None),
        positive=(3,),
        narrow="bfloat16",
    ),
    "gaussian_kl": Row(PAIR, narrow="bfloat16"),
    "gaussian_nll": Row(
        PAIR,
        lambda x, x_rec: losses.gaussian_nll(x, x_rec, gamma2=3.0),
        narrow="bfloat16",
    ),
    "sampled_kl": Row(
        (*PAIR, VIEW),
        lambda *arrays: losses.sampled_kl(
            *arrays, prior=losses.LatentPrior("beta", 2.0, 3.0)
        ),
        narrow="bfloat16",
    ),
    "infonce": Row(
        (*PAIR, VIEW, ()),
        lambda y, y_pos, y_neg, tau: losses.infonce(
            y, y_pos, y_neg, similarity=LP, tau=tau, policy=INDEPENDENT
        ),
        spread=(0, 0, 0, None),
        positive=(3,),
    ),
    "instance_cross_entropy": Row((VIEW, (4, M), int), spread=(0, None, 0)),
    "kernel_entropy": Row((VIEW,)),
    "laplace_cross_entropy": Row(
        PAIR, functools.partial(losses.laplace_cross_entropy, rate=6.0)
    ),
    "lejepa": Row(
        (VIEWS, (M, 5)),
        lambda views, a: losses.lejepa(views, a, lam=0.3),
        spread=(1, None),
    ),
    "moco": Row((*PAIR, (6, M)), spread=WHOLE, stopped=(1, 2)),
    "mse": Row(PAIR, narrow="bfloat16"),
    "ntxent": Row(PAIR),
    "pairwise": Row(
        (VIEW, (4, M)), functools.partial(losses.pairwise, LP), spread=(0, None)
    ),
    "push": Row(
        ((2 * BATCH, M), VIEW), spread=(None, 0), stopped=(0, 1), narrow="bfloat16"
    ),
    "r2_loss": Row(PAIR, narrow="bfloat16"),
    "rowwise": Row(PAIR, functools.partial(losses.rowwise, LP)),
    "sigreg": Row((VIEW, (M, 5)), spread=(0, None)),
    "simsiam": Row(PAIR * 2, stopped=(2, 3)),
    "sinkhorn_codes": Row((VIEW,), stopped=(0,), narrow="bfloat16"),
    "slowvae": Row(((BATCH, 2, M),) * 2 + ((BATCH, 2, 5),) * 2),
    "standardised": Row((VIEW,), narrow="bfloat16"),
    "swav": Row((*PAIR, (4, M)), spread=WHOLE, smooth=False),
    "to_lam": Row(((M,),), spread=(None,), narrow="bfloat16"),
    "uniformity": Row(PAIR),
    "vicreg": Row(PAIR),
    "view_alignment": Row((VIEWS,), spread=(1,)),
    "whitened_alignment": Row((VIEWS,), spread=(1,)),
    "whitening": Row((VIEW,)),
}
every_loss = pytest.mark.parametrize("name", ROWS)


def test_every_loss_has_a_row():
    public = {
        name
        for name in losses.__all__
        if not inspect.isclass(getattr(losses, name)) and name not in OTHERS
    }
    assert public == set(ROWS)


def test_every_form_that_is_spread_by_hand_is_checked():
    functions = {name: getattr(losses, name) for name in ROWS}
    by_hand = {
        n for n, f in functions.items() if "axis" in inspect.signature(f).parameters
    }
    assert by_hand == set(BY_HAND)


def examples(name):
    """Two examples of the arrays of a row, `[2, ...]` each, float64."""
    row, rng = ROWS[name], np.random.default_rng(0)
    arrays = []
    for i, shape in enumerate(row.shapes):
        if shape is int:
            arrays.append(rng.integers(0, 4, (2, BATCH)))
            continue
        drawn = rng.normal(size=(2, *shape))
        arrays.append(np.exp(0.3 * drawn) if i in row.positive else drawn)
    return arrays


def program(name):
    """The loss and its gradients, traced once; an array is summed with weights."""
    chex.clear_trace_counter()
    row = ROWS[name]
    call = row.call or getattr(losses, name)

    def scalar(*arrays):
        result = call(*arrays)
        value, metrics = result if isinstance(result, tuple) else (result, {})
        weights = jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(
            value.shape
        )
        return jnp.sum(value * weights), metrics

    once = chex.assert_max_traces(scalar, n=1)
    return jax.value_and_grad(once, argnums=moving(name), has_aux=True)


def moving(name):
    """Numbers of the arrays that are not integers."""
    return tuple(i for i, s in enumerate(ROWS[name].shapes) if s is not int)


@functools.cache
def exact(name):
    """`program` in float64, and what it returns for each example, in NumPy."""
    with jax.enable_x64(True):
        run = jax.jit(program(name))
        both = [
            jax.device_get(run(*each)) for each in zip(*examples(name), strict=True)
        ]
    return run, both


def single(arrays):
    return [a.astype(np.float32 if a.dtype.kind == "f" else np.int32) for a in arrays]


def close(got, want, **tolerance):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(
            a, b, atol=tolerance["rtol"] * max(np.abs(b).max(), 0.1), **tolerance
        ),
        got,
        want,
    )


@pytest.mark.share(2)
@every_loss
def test_float64_gradients_are_those_of_finite_differences(name):
    row, arrays = ROWS[name], [each[0] for each in examples(name)]
    run, ((((value, metrics), grads)), _) = exact(name)
    assert {leaf.dtype for leaf in jax.tree.leaves((value, metrics, grads))} == {
        np.dtype("float64")
    }
    rng = np.random.default_rng(1)
    steps = [
        rng.normal(size=np.shape(a)) * (i in moving(name)) for i, a in enumerate(arrays)
    ]
    for i in row.stopped:
        steps[i] = 0 * steps[i]
    still = [i for i, g in zip(moving(name), grads, strict=True) if not np.any(g)]
    assert still == list(row.stopped)
    if not row.smooth:
        return
    slope = sum(np.sum(grads[k] * steps[i]) for k, i in enumerate(moving(name)))
    ends = []
    with jax.enable_x64(True):
        for h in (1e-5, -1e-5):
            moved = [
                a + h * s if i in moving(name) else a
                for i, (a, s) in enumerate(zip(arrays, steps, strict=True))
            ]
            ends.append(float(run(*moved)[0][0]))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.share(2)
@pytest.mark.many_programs(reason="every operation of a loss on its own")
@every_loss
def test_eager_equals_jitted(name):
    row, arrays = ROWS[name], [each[0] for each in examples(name)]
    with jax.enable_x64(True):
        got = (row.call or getattr(losses, name))(*map(jnp.asarray, arrays))
        value = jax.device_get(got[0] if isinstance(got, tuple) else got)
    weights = np.cos(np.arange(np.size(value))).reshape(np.shape(value))
    (want, _), _ = exact(name)[1][0]
    np.testing.assert_allclose(np.sum(value * weights), want, rtol=1e-12)


@pytest.mark.share(2)
@every_loss
def test_float32_mapped_over_examples_equals_one_by_one(name):
    arrays = single(examples(name))
    got = jax.device_get(jax.jit(jax.vmap(program(name)))(*arrays))
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype("float32")}
    want = jax.tree.map(lambda *leaves: np.stack(leaves), *exact(name)[1])
    close(got, want, rtol=2e-4)


@pytest.mark.share(3)
@every_loss
def test_a_batch_on_eight_devices_gives_the_whole_loss_and_gradient(name):
    mesh, arrays = make_mesh(data=8), single([each[0] for each in examples(name)])
    spread = [
        jax.device_put(
            a,
            jax.NamedSharding(
                mesh,
                jax.P(*[None] * (axis or 0), "data") if axis is not None else jax.P(),
            ),
        )
        for a, axis in zip(arrays, ROWS[name].spread, strict=False)
    ]
    got = jax.device_get(jax.jit(program(name))(*spread))
    close(got, exact(name)[1][0], rtol=2e-4)


@every_loss
def test_bfloat16_in_gives_the_dtype_that_is_stated(name):
    arrays = [
        jax.ShapeDtypeStruct(
            a.shape[1:], jnp.bfloat16 if a.dtype.kind == "f" else jnp.int32
        )
        for a in examples(name)
    ]
    (value, _), grads = jax.eval_shape(program(name), *arrays)
    assert value.dtype == ROWS[name].narrow
    assert {grad.dtype for grad in grads} == {jnp.dtype("bfloat16")}


def test_targets_inside_a_loss_are_constants():
    # SwAV's codes have no gradient: the slope is that of a cross-entropy against
    # codes that are given, which finite differences of the loss itself do not see.
    z, z_pos, prototypes = (each[0] for each in examples("swav"))
    cosine = losses.Similarity("cosine")
    with jax.enable_x64(True):
        codes = [
            losses.sinkhorn_codes(
                losses.pairwise(cosine, *map(jnp.asarray, (v, prototypes)))
            )
            for v in (z, z_pos)
        ]

        def given(z, z_pos, prototypes):
            logs = [
                jax.nn.log_softmax(losses.pairwise(cosine, v, prototypes) / 0.1, axis=1)
                for v in (z_pos, z)
            ]
            both = [
                jnp.mean(jnp.sum(c * log, 1))
                for c, log in zip(codes, logs, strict=True)
            ]
            return -(both[0] + both[1]) / 2

        want = jax.jit(jax.grad(given, argnums=(0, 1, 2)))(z, z_pos, prototypes)
    close(exact("swav")[1][0][1], jax.device_get(want), rtol=1e-10)
