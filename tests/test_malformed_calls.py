"""Calls of public functions with several arguments wrong at once: refused, no fault."""

import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import harness
from public_calls import CALLS
from survived import note

COUNT = 2000
SLOW = ("balanced_logistic", "[numpy]")  # minutes on the host
FINE = {"answered", "refused, ValueError", "refused, TypeError"}
NAMES = [name for name in CALLS if not any(part in name for part in SLOW)]


def changed(row, chance):
    """Arguments of which up to three are wrong, and the mutations of these."""
    arguments, ways = harness.valid(row), {}
    most = min(3, len(row.arguments))
    for name in chance.sample(sorted(row.arguments), chance.randint(1, most)):
        held = row.arguments[name]
        known = set(harness.MUTATIONS[held.kind])
        if held.kind in ("number", "whole"):
            known.discard("jax")  # it cannot be looked at while it is traced
        ways[name] = chance.choice(sorted(known))
        arguments[name] = harness.MUTATIONS[held.kind][ways[name]](held.value)
    return arguments, ways


def ended(row, arguments):
    """An answer, or the type of the error by which this library refuses."""
    try:
        (harness.computed if row.host else harness.traced)(row, arguments)
    except (ValueError, TypeError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1].filename
        if "/jidcl/" not in place.replace("\\", "/"):
            raise
        return f"refused, {type(error).__name__}"
    return "answered"


@pytest.mark.long
@pytest.mark.many_programs(reason="every public function, traced or on the host")
def test_calls_with_several_wrong_arguments_are_refused_or_answered():
    seen = set()

    @settings(
        max_examples=COUNT,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def check(chance):
        name = chance.choice(NAMES)
        arguments, ways = changed(CALLS[name], chance)
        try:
            how = ended(CALLS[name], arguments)
        except Exception as error:
            error.add_note(f"{name}: {ways}")
            raise
        note("malformed calls", how)
        seen.add(how)
        assert how in FINE, (name, ways)

    check()
    assert seen == FINE
