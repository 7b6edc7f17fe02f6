"""Boundary checks: what they let through, and the exact words they refuse with."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import checks


def refused(message, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_is_traced():
    seen = []
    jax.jit(lambda x: seen.append(checks.is_traced(x)) or x)(1.0)
    assert seen == [True]
    assert not checks.is_traced(jnp.ones(2))
    assert not checks.is_traced(1.0)


def test_is_number():
    seen = []
    jax.jit(lambda x: seen.append(checks.is_number("tau", x)) or x)(1.0)
    assert seen == [False]
    assert not checks.is_number("tau", object())
    for value in (1, 0.5, np.float32(1), np.ones(2), jnp.ones(2)):
        assert checks.is_number("tau", value)
    with refused("tau must be a number or an array, got '1'", TypeError):
        checks.is_number("tau", "1")


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (checks.check_above, 0, "tau must be > 0, got 0"),
        (checks.check_above, -0.1, "tau must be > 0, got -0.1"),
        (checks.check_above, float("nan"), "tau must be > 0, got nan"),
        (checks.check_above, np.array([1.0, -2.0]), "tau must be > 0, got [ 1. -2.]"),
        (checks.check_at_least, -1, "tau must be >= 0, got -1"),
        (checks.check_at_least, float("nan"), "tau must be >= 0, got nan"),
    ],
)
def test_ranges_refuse(check, value, message):
    with refused(message):
        check("tau", value, 0)


def test_ranges_accept_their_edge():
    checks.check_above("tau", 1e-30, 0)
    checks.check_at_least("tau", 0, 0)
    with refused("tau must be > 0.5, got 0.5"):
        checks.check_above("tau", 0.5, 0.5)


@pytest.mark.parametrize("check", [checks.check_above, checks.check_at_least])
def test_ranges_skip_traced_values(check):
    def f(x):
        check("x", x, 10.0)
        return x

    assert jax.jit(f)(1.0) == 1.0
    with pytest.raises(ValueError, match="^x must be >=? ?10, got 1.0"):
        f(1.0)


def test_ranges_see_a_concrete_array_inside_jit():
    cold = jnp.asarray(-1.0)

    def program(x):
        checks.check_above("tau", cold, 0)
        return x

    with pytest.raises(ValueError, match="tau must be > 0"):
        jax.jit(program)(1.0)


@pytest.mark.parametrize(("low", "high"), [(1, 0), (1, 1), (float("nan"), 1)])
def test_ordered_refuses(low, high):
    with refused(f"a must be < b, got a={low!r} and b={high!r}"):
        checks.check_ordered("a", low, "b", high)


def test_choice_names_the_nearest():
    allowed = ("laplace", "normal")
    checks.check_choice("density", "normal", iter(allowed))
    with refused(
        "density must be one of ['laplace', 'normal'], got 'laplce' "
        "(did you mean 'laplace'?)"
    ):
        checks.check_choice("density", "laplce", allowed)
    with refused("density must be one of ['laplace', 'normal'], got 3"):
        checks.check_choice("density", 3, allowed)
    many = [f"quick/{k}" for k in range(100)]
    with refused(
        "preset must be one of 100 names, such as 'quick/7', 'quick/97', 'quick/87', "
        "'quick/79', 'quick/78', got 'quik/7' (did you mean 'quick/7'?)"
    ):
        checks.check_choice("preset", "quik/7", many)
    with refused(
        "preset must be one of 100 names, such as 'quick/0', 'quick/1', 'quick/2', "
        "'quick/3', 'quick/4', got '?'"
    ):
        checks.check_choice("preset", "?", many)


def test_float_refuses_other_dtypes():
    for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
        checks.check_float("z", jnp.ones(2, dtype))
    checks.check_float("z", np.ones(2))
    with refused("z must have a floating-point dtype, got int32", TypeError):
        checks.check_float("z", jnp.ones(2, jnp.int32))
    with refused("z must have a floating-point dtype, got complex64", TypeError):
        checks.check_float("z", jnp.ones(2, jnp.complex64))
    with refused("z must be an array, got list", TypeError):
        checks.check_float("z", [1.0])


@pytest.mark.parametrize(
    ("shape", "n", "message"),
    [
        ((), None, "z must have shape [..., features], got []"),
        ((3, 0), None, "z must have shape [..., features], got [3, 0]"),
        ((4, 2), 3, "z must have shape [..., 3], got [4, 2]"),
    ],
)
def test_features_refuses(shape, n, message):
    with refused(message):
        checks.check_features("z", jnp.ones(shape), n)


def test_features_accepts():
    checks.check_features("z", jnp.ones((2, 4, 3)), 3)
    checks.check_features("z", jnp.ones((7,)))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (2, 0), (1, 3)])
def test_rows_refuses(shape):
    with refused(f"z must have shape [batch >= 2, features >= 1], got {list(shape)}"):
        checks.check_rows("z", jnp.ones(shape), 2)


def test_rows_accepts():
    checks.check_rows("z", jnp.ones((2, 1)), 2)
    checks.check_rows("z", jnp.ones((1, 1)))


def test_same_shape():
    checks.check_same_shape("a", jnp.ones((2, 3)), "b", jnp.zeros((2, 3)))
    with refused("a must have the shape of b [3, 2], got [2, 3]"):
        checks.check_same_shape("a", jnp.ones((2, 3)), "b", jnp.ones((3, 2)))


def test_finite_counts_what_is_not():
    checks.check_finite("z", jnp.ones(3))
    with refused("z must be finite, got 2 NaN or infinite values"):
        checks.check_finite("z", jnp.array([1.0, jnp.nan, -jnp.inf]))
    jax.jit(lambda x: checks.check_finite("x", x) or x)(jnp.nan)  # traced: skipped
