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


# Scalars, counts, keys, arrays -------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "value", "message", "error"),
    [
        (checks.check_real, "1", "tau must be a real number, got '1'", TypeError),
        (checks.check_real, 1j, "tau must be a real number, got 1j", TypeError),
        (checks.check_real, None, "tau must be a real number, got None", TypeError),
        (
            checks.check_real,
            np.ones(2, complex),
            "tau must be a real number, got complex128 of shape [2]",
            TypeError,
        ),
        (
            checks.check_scalar,
            np.ones(2),
            "tau must be a scalar, got shape [2]",
            ValueError,
        ),
        (checks.check_scalar, np.nan, "tau must be a number, got nan", ValueError),
        (checks.check_count, 2.5, "tau must be an integer, got 2.5", TypeError),
        (checks.check_count, True, "tau must be an integer, got True", TypeError),
        (checks.check_count, 0, "tau must be >= 1, got 0", ValueError),
        (
            checks.check_numbers,
            "ab",
            "tau must be a sequence of numbers, got 'ab'",
            TypeError,
        ),
        (checks.check_numbers, (), "number of tau must be >= 1, got 0", ValueError),
        (
            checks.check_numbers,
            [1.0, None],
            "every one of tau must be a real number, got None",
            TypeError,
        ),
        (
            checks.check_lengths,
            3,
            "tau must be a tuple of integers, got 3",
            TypeError,
        ),
        (
            checks.check_lengths,
            (2, -1),
            "every length of tau must be >= 0, got -1",
            ValueError,
        ),
        (checks.check_callable, 3, "tau must be a function, got 3", TypeError),
        (
            checks.check_array,
            [1.0],
            "tau must be an array, got list",
            TypeError,
        ),
        (
            checks.check_array,
            np.ma.masked_array([1.0]),
            "tau must not be masked: fill or drop what is",
            TypeError,
        ),
        (
            checks.check_array,
            np.array(["a"]),
            "tau must hold numbers, got <U1",
            TypeError,
        ),
        (
            checks.check_array,
            np.ones(2, ">f8"),
            "tau must have the byte order of this machine, got >f8: "
            "take x.astype(x.dtype.newbyteorder('='))",
            TypeError,
        ),
        (
            checks.check_key,
            0,
            "tau must be one typed key, as of jax.random.key, got 0",
            TypeError,
        ),
    ],
)
def test_others_refuse(check, value, message, error):
    with refused(message, error):
        check("tau", value)


def test_others_accept():
    checks.check_scalar("tau", jnp.float32(0.5))
    checks.check_single("tau", float("nan"))
    checks.check_count("tau", np.int64(2), 2)
    checks.check_count("tau", jnp.asarray(2), 2)
    checks.check_numbers("tau", np.ones(2))
    checks.check_lengths("tau", (2, 0))
    checks.check_callable("tau", abs)
    checks.check_key("tau", jax.random.key(0))
    checks.check_key("tau", np.zeros(2, np.uint32))
    for array in (np.ones(2), jnp.ones(2, jnp.bfloat16), np.float16(1)):
        checks.check_array("tau", array)
    with refused(
        "tau must be one typed key, as of jax.random.key, got key<fry> of shape [2]",
        TypeError,
    ):
        checks.check_key("tau", jax.random.split(jax.random.key(0)))


def test_integers_within_their_range():
    checks.check_integers("label", np.arange(3), (3,))
    checks.check_within("label", np.arange(3), 3)
    checks.check_within("label", np.zeros(0, int), 3)
    with refused("label must be integers, got float64", TypeError):
        checks.check_integers("label", np.ones(3))
    with refused("label must have shape [2], got [3]"):
        checks.check_integers("label", np.arange(3), (2,))
    with refused("label must be in [0, 2) of two, got 0 to 2"):
        checks.check_within("label", np.arange(3), 2, " of two")
    jax.jit(lambda x: checks.check_within("x", x, 1) or x)(3)  # traced: skipped


def test_partitions_and_rows():
    checks.check_partition("blocks", [[1], (0, 2)], 3)
    for blocks in ([[0, 1]], [[0, 1, 1]], 3, [[0.5], [1], [2]]):
        with refused(f"blocks must hold each of 0 .. 2 once, got {blocks!r}"):
            checks.check_partition("blocks", blocks, 3)
    checks.check_same_rows("a", np.ones((2, 1)), "b", np.ones((2, 3)))
    with refused("a and b must have the same number of rows, got 1 and 2"):
        checks.check_same_rows("a", np.ones((1, 1)), "b", np.ones((2, 3)))
    with refused("a must have shape [..., 3], got [2, 1]"):
        checks.check_rows("a", np.ones((2, 1)), width=3)


def test_type_takes_a_union():
    checks.check_type("x", 1, int | str)
    with refused("x must be a int or str, got 1.0", TypeError):
        checks.check_type("x", 1.0, int | str)
