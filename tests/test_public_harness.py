"""Every public function refuses by name, computes rightly, and compiles once."""

import collections
import importlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import harness
import jidcl
from budget import compiled as compiled_so_far
from jidcl import losses, metrics
from jidcl.compiled import compiled
from jidcl.latents import Sphere, VonMisesFisher
from public_calls import CALLS, LAYERS, PACKAGES, RECORDS, RUNS

# Cases that only trace, or that NumPy answers: of these one in so many.
EVERY = 11
NAMES = {call.rpartition(".")[2].partition("[")[0] for call in CALLS}
# What JAX compiles anew where it stands outside of a program.
LOOPS = {"scan", "while", "cond", "platform_index"}


def test_every_public_function_has_a_row():
    missing = {
        f"{package}.{name}"
        for package, module in PACKAGES.items()
        for name in module.__all__
        if name not in NAMES | RECORDS | LAYERS | RUNS
    }
    assert not missing
    offered = {name for module in PACKAGES.values() for name in module.__all__}
    assert offered >= NAMES
    assert offered >= RECORDS | LAYERS | RUNS


def test_every_row_names_parameters_of_its_function():
    for name, row in CALLS.items():
        own = inspect.unwrap(row.function)
        if own.__module__.startswith("public_calls"):  # a wrapper takes what is tried
            continue
        assert set(row.arguments) <= set(inspect.signature(own).parameters), name


def only_traced(case):
    """Whether a case costs no compilation."""
    row = CALLS[case.name]
    computed = {*harness.NOT_FINITE, *harness.EXTREME, *harness.SAME, "second call"}
    slow = "balanced_logistic" in case.name or "[numpy]" in case.name
    if row.host:
        return case.mutation != "second call" and not slow
    held = row.arguments.get(case.argument)
    numeric = held is not None and held.kind in ("number", "whole")
    if numeric:
        return case.mutation in ("array", "list", "none", "text", "complex", "bytes")
    return case.mutation not in computed


def complaints(cases):
    """What is not fine, a line each."""
    answers = {case: harness.answer(case, CALLS) for case in cases}
    return [
        f"{case}: {outcome}: {said}"
        for case, (outcome, said) in answers.items()
        if outcome not in harness.FINE
    ]


@pytest.mark.many_programs(reason="every public function, traced or on the host")
def test_a_sample_of_wrong_arguments_is_refused_by_name():
    tried = [case for case in harness.cases(CALLS) if only_traced(case)][::EVERY]
    assert len(tried) > 600
    assert "\n".join(complaints(tried)) == ""


@pytest.mark.long
@pytest.mark.many_programs(reason="every public function, eagerly")
@pytest.mark.parametrize("name", CALLS)
def test_no_argument_gives_a_wrong_value_in_silence(name):
    assert complaints(harness.cases({name: CALLS[name]})) == []


# Once compiled -----------------------------------------------------------------------


def outside_of_programs(jaxpr):
    """Primitives of a program that no `jax.jit` inside it holds."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        if equation.primitive.name in ("jit", "pjit"):
            continue
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(part, "jaxpr", part)
                if hasattr(inner, "eqns"):
                    yield from outside_of_programs(inner)


@pytest.mark.parametrize("name", [n for n, row in CALLS.items() if not row.host])
def test_no_loop_stands_outside_of_a_program(name, monkeypatch):
    # What is traced here stands for what an eager call computes.
    module = importlib.import_module("jidcl.compiled")
    monkeypatch.setattr(module, "_in_a_program", lambda leaves: False)
    row = CALLS[name]
    arguments = harness.valid(row)

    @harness.quiet
    def arrays():
        answer = row.function(**arguments)
        return [leaf for leaf in jax.tree.leaves(answer) if not callable(leaf)]

    counted = collections.Counter(outside_of_programs(jax.make_jaxpr(arrays)().jaxpr))
    assert not LOOPS & set(counted), counted


Y = np.float32(np.random.default_rng(0).normal(size=(24, 3)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.r2(Y, Y**3),
        lambda: metrics.mcc(Y, Y**3),
        lambda: jidcl.sample(
            jax.random.key(0), VonMisesFisher(5.0), Sphere(4), jnp.eye(4)
        ),
        lambda: losses.infonce(Y, Y + 1, tile=8),
        lambda: jax.grad(lambda y: losses.infonce(y, y + 1, tile=8)[0])(Y),
    ],
    ids=["r2", "mcc", "sample", "infonce", "gradient"],
)
@pytest.mark.many_programs(reason="eager operations around the one program")
def test_the_second_call_compiles_nothing(call):
    first = jax.tree.leaves(call())
    before = compiled_so_far()
    for _ in range(3):
        again = jax.tree.leaves(call())
    assert compiled_so_far() == before
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_compiled_is_the_function_under_every_transformation():
    def plain(x, y, *, power=2.0, same=False):
        assert (x is y) == same

        def add(total, row):
            return total + row**power, None

        return jax.lax.scan(add, jnp.zeros(x.shape[1]), x * y)[0]

    once, x = compiled(plain), jnp.asarray(Y)
    want = np.sum((Y * (Y + 1)) ** 2, axis=0)
    np.testing.assert_allclose(once(x, x + 1), want, rtol=1e-5)
    np.testing.assert_allclose(
        once(x, x, power=1.0, same=True), np.sum(Y * Y, axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(jax.jit(once)(x, x + 1), want, rtol=1e-5)
    mapped = jax.vmap(once)(x[None], x[None] + 1)
    np.testing.assert_allclose(mapped[0], want, rtol=1e-5)
    slope = jax.grad(lambda x: jnp.sum(once(x, x + 1)))(x)
    exact = 2 * (Y * (Y + 1)) * (2 * Y + 1)
    np.testing.assert_allclose(slope, exact, rtol=1e-4, atol=1e-4)


def test_compiled_leaves_traced_programs_as_they_are():
    def plain(x):
        return jax.lax.map(lambda row: row * 2, x)

    held = [str(jax.make_jaxpr(f)(Y)) for f in (plain, compiled(plain))]
    assert held[0] == held[1]


def test_compiled_calls_what_cannot_be_a_constant():
    once = compiled(lambda x, setting, xp=jnp: xp.sum(x) + len(setting))
    assert once(Y, {1, 2}) == once(Y, frozenset((1, 2)))
    on_host = once(Y.astype(np.float64), "ab", xp=np)
    assert isinstance(on_host, np.float64)
    kind = compiled(lambda x, s: x + ["int", "float", "bool"].index(type(s).__name__))
    assert [float(kind(jnp.zeros(()), s)) for s in (1, 1.0, True)] == [0, 1, 2]


# Flags of JAX ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, row in CALLS.items() if not row.host])
def test_every_function_traces_with_64_bit_types_and_strict_promotion(name):
    with jax.enable_x64(True):
        row = CALLS[name]
        # Parameters of Linen are float32 whatever the example is.
        for wide in (False, True)[: 1 if name == "encoders.from_linen" else 2]:
            arguments = harness.valid(row)
            harness.traced(row, harness.widened(arguments) if wide else arguments)


@pytest.mark.many_programs(reason="rejection in every form")
def test_rejection_samplers_run_under_debug_nans():
    names = ("sample", "sample_with_acceptance", "sample_conditional", "sample_ou_pair")
    with jax.debug_nans(True):
        for name in names:
            row = CALLS[f"latents.{name}"]
            assert harness.finite(harness.computed(row, harness.valid(row)))


@pytest.mark.long
@pytest.mark.many_programs(reason="every public function, eagerly")
@pytest.mark.parametrize("name", CALLS)
def test_every_function_runs_under_debug_nans(name):
    row = CALLS[name]
    with jax.debug_nans(True):
        assert harness.finite(harness.computed(row, harness.valid(row)))


# Broadcast, and numbers out of range, one line each -----------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: losses.accuracy(jnp.ones((8, 4)), jnp.zeros(1, int)),
            r"labels must have shape \[8\], got \[1\]",
        ),
        (
            lambda: metrics.determination(Y, Y[:1]),
            r"z_hat must have the shape of z \[24, 3\], got \[1, 3\]",
        ),
        (
            lambda: metrics.isometry_error(Y[:, 0], Y[:1, 0]),
            r"similarity_y must have the shape of similarity_z \[24\], got \[1\]",
        ),
        (
            lambda: losses.rowwise(losses.Similarity(), Y, Y[:1]),
            r"b must have the shape of a \[24, 3\], got \[1, 3\]",
        ),
        (
            lambda: metrics.linear_decode_pearson(Y, Y[:1, 0], Y, Y[:, 0]),
            r"t must have shape \[24\], got \[1\]",
        ),
        (
            lambda: losses.aninfonce_ensemble(
                Y[None], Y[None], jnp.ones((1, 3)), jnp.full(2, 0.5)
            ),
            r"weights must have shape \[1\], got \[2\]",
        ),
        (
            lambda: metrics.lambda_recovery(
                jnp.ones(3), jnp.ones(3), jnp.arange(3) + 1000
            ),
            r"columns must be in \[0, 3\), got 1000 to 1002",
        ),
        (lambda: losses.from_lam(-jnp.ones(2)), "lam must be > 0, got"),
        (
            lambda: jidcl.theory.box_energy(0.5, 0.0, 1.0, 0.1, -1.0),
            "beta must be >= 1, got -1.0",
        ),
        (
            lambda: losses.infonce(Y, Y, form="star"),
            r"form must be one of \['ring', 'gathered'\], got 'star'",
        ),
        (
            lambda: jidcl.make_mlp(3, widths=()),
            "number of widths must be >= 1, got 0",
        ),
    ],
)
def test_refused_with_these_words(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_a_dimension_is_whole():
    with pytest.raises(TypeError, match="n must be an integer, got 2.5"):
        jidcl.theory.vmf_correction(2.5, 1.0)


def test_a_traced_temperature_out_of_range_makes_the_loss_nan():
    loss = jax.jit(lambda tau: losses.infonce(Y, Y, tau=tau)[0])
    assert np.isnan(loss(-0.5))
    np.testing.assert_allclose(loss(0.5), losses.infonce(Y, Y, tau=0.5)[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ma.masked_array(Y, Y > 0), "z must not be masked: fill or drop what is"),
        (Y.astype(np.longdouble), "z must have at most 64 bits, got"),
        (Y.tolist(), "z must be an array, got list"),
        (Y.astype(object), "z must hold numbers, got object"),
    ],
)
@pytest.mark.parametrize("xp", [jnp, np])
def test_arrays_that_jax_lacks_are_refused_by_name(array, message, xp):
    with pytest.raises(TypeError, match=f"^{message}"):
        metrics.r2(array, Y, xp=xp)


def test_arrays_of_other_packages_are_refused_by_name():
    class Series:  # as of pandas: a dtype and a shape, and no array
        dtype, shape, ndim = np.dtype(float), (24, 3), 2

    with pytest.raises(TypeError, match="^z must be an array, got Series"):
        metrics.r2(Series(), Y)


@pytest.mark.parametrize("change", harness.SAME)
def test_arrays_of_numpy_in_any_form_give_the_same_score(change):
    got = metrics.mcc(harness.SAME[change](Y), Y, xp=np)
    np.testing.assert_allclose(got.mean, 1, rtol=1e-6)
