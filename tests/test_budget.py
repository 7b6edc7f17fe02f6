"""The budget of programs does fail a test."""

from types import SimpleNamespace

import jax
import pytest

import budget

FAILED = pytest.fail.Exception


def item(*marks):
    """A stand-in for a test with these marks."""
    held = {mark.name: mark.mark for mark in marks}
    return SimpleNamespace(get_closest_marker=held.get)


def compile_many(count):
    for _ in range(count):
        jax.monitoring.record_event_duration_secs(
            "/jax/core/compile/backend_compile_duration", 0.1
        )


def test_every_program_counts_once():
    before = budget.compiled()
    functions = [jax.jit(lambda x, k=k: x * k + 0.321) for k in range(3)]
    for f in functions * 2:
        f(1.0)
    assert budget.compiled() - before == 3


def hooks(request):
    """The hooks around a test and around its fixtures, as pytest finds them."""
    calls = request.node.ihook
    held = (calls.pytest_runtest_setup, calls.pytest_runtest_call)
    return [
        implementation.function
        for call in held
        for implementation in call.get_hookimpls()
        if implementation.plugin_name.endswith("tests/conftest.py")
    ]


@pytest.mark.many_programs(reason="the events that it counts are its own")
def test_one_program_too_many_fails_a_test_and_its_fixtures(request):
    limits = budget.FIXTURES, budget.PROGRAMS
    for hook, limit in zip(hooks(request), limits, strict=True):
        for count in (limit, limit + 1):
            around = hook(item())
            next(around)
            compile_many(count)
            over = count > limit
            with pytest.raises(FAILED if over else StopIteration) as ended:
                around.send(None)
            assert (f"compiled {limit + 1} programs" in str(ended.value)) == over


@pytest.mark.many_programs(reason="the events that it counts are its own")
def test_a_mark_with_a_reason_lifts_the_budget():
    with budget.of_test(item(pytest.mark.many_programs(reason="long"))):
        compile_many(budget.PROGRAMS + 1)
    for mark in (pytest.mark.many_programs, pytest.mark.many_programs(reason="")):
        with pytest.raises(FAILED, match="needs a reason"):
            budget.of_test(item(mark)).__enter__()


def test_a_test_that_fails_says_why_and_not_how_much_it_compiled():
    def fail():
        with budget.programs(0):
            jax.jit(lambda x: x - 0.123)(1.0)
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        fail()
