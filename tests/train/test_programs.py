"""Programs made ahead of time, their costs, and compilers without an option."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.train import programs
from jidcl.train.programs import Ledger, make


@jax.jit
def double(x):
    return jax.lax.map(lambda row: 2 * row, x)


def test_a_program_is_called_as_its_function_and_leaves_its_cost():
    ledger, x = Ledger(), jnp.arange(6.0).reshape(2, 3)
    made = make("double", double, x, ledger=ledger, options=programs.ONCE)
    for _ in range(2):
        np.testing.assert_array_equal(made(x), 2 * x)
    (row,) = ledger.rows()
    assert row["name"] == "double"
    assert row["calls"] == 2
    assert all(row[part] >= 0 for part in ("trace", "lower", "compile", "run"))
    assert made.seconds == pytest.approx(sum(made.cost[1:4]))


def test_operations_inside_loops_count_once():
    def of(function, *args):
        return make("f", jax.jit(function), *args).cost.operations

    x = jnp.ones(4)
    once, twice = of(jnp.sin, x), of(lambda x: jnp.sin(jnp.sin(x)), x)
    assert twice == once + 1
    short = of(lambda x: jax.lax.map(jnp.sin, x), jnp.ones(4))
    long = of(lambda x: jax.lax.map(jnp.sin, x), jnp.ones(400))
    assert short == long > once


def test_an_unknown_compiler_option_is_said_and_left_out():
    x = jnp.ones((2, 3))
    with pytest.warns(UserWarning, match="without .'xla_no_such_option'"):
        made = make("double", double, x, options={"xla_no_such_option": 1})
    np.testing.assert_array_equal(made(x), 2 * x)


def test_what_does_not_fit_is_refused_before_it_runs():
    huge = jax.jit(lambda: jnp.ones((2**20, 2**20)))
    made = make("huge", huge)
    with pytest.raises(MemoryError, match="program 'huge' takes 4,096.0 GiB, .* free"):
        made()
