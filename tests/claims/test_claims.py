import copy
import dataclasses
import json
from importlib import resources

import pytest

from jidcl.claims import (
    CurveClaim,
    OrderingClaim,
    QuickClaim,
    claims_from,
    load_claims,
    packaged,
)
from jidcl.systems.registry import SYSTEMS, load_presets

QUICK = dict(id="q", source="", text="", preset="x", metric="r2")
ORDER = dict(id="o", source="", text="", kind="above", metrics=("r2",), margin=1.0)


def test_packaged_claims_are_complete_and_name_presets_that_exist():
    assert set(packaged()) == set(SYSTEMS)
    for system in SYSTEMS:
        claims, names = load_claims(system), load_presets(system)
        assert claims.system == system
        for claim in claims.all:
            for budget in claim.budgets:
                for name in claim.needs(budget):
                    kind, _, preset = name.partition("/")
                    if kind == "theorem1":
                        continue
                    kind = {"smoke": "quick", "identity": "full"}.get(kind, kind)
                    assert f"{kind}/{preset}" in names
        for claim in claims.published:
            assert 0 <= claim.mean <= 500  # percent; errors may exceed 100
    claims = load_claims("contrastive_ica")
    rows = {f"t1r{i}" for i in range(1, 13)} | {f"t2r{i}" for i in range(1, 11)}
    assert rows <= {claim.id for claim in claims.published}
    with pytest.raises(ValueError, match="did you mean 't1r3'"):
        claims.published_by_id("t1r33")
    with pytest.raises(ValueError, match="system must be one of"):
        load_claims("unknown")


def test_a_claim_names_the_records_that_it_needs():
    claims = load_claims("contrastive_ica")
    assert len(claims.at("quick")) == 21
    needed = {claim.id: claim.needs("quick") for claim in claims.at("quick")}
    assert needed["q-sphere"] == ("quick/sphere-vmf",)
    assert needed["t1r1-identity"] == ("identity/t1r1",)
    assert needed["thm1-vmf"] == ("theorem1/thm1-vmf",)
    scales = ("uniformity-10", "uniformity-1", "uniformity-0.2")
    assert needed["q-uniformity"] == tuple(f"quick/{name}" for name in scales)
    row = claims.published_by_id("t1r3")
    assert row.needs("full") == ("full/t1r3",)
    assert "t1r3" not in needed
    with pytest.raises(ValueError, match="budget"):
        row.needs("quick")
    # Short runs test what the quick ones do, save what takes its time untrained.
    smoke = {claim.id for claim in claims.at("smoke")}
    identity = {c.id for c in claims.published if c.column == "identity"}
    assert smoke == set(needed) - identity
    never = dataclasses.replace(row, untestable="no data")
    assert never.needs("full") == ()


def test_the_recovery_claim_of_the_same_run_comes_along():
    both = [c for c in load_claims("anisotropic").published if c.same_run]
    assert [(c.id, c.same_run.id) for c in both] == [("bimodal-mcc", "bimodal-r2")]


def test_points_of_an_ordering_spread_what_they_share():
    runs = OrderingClaim(**ORDER, presets=("a", "b"), budgets=("full",))
    assert runs.points == (("a", "r2", ""), ("b", "r2", ""))
    assert runs.needs("full") == ("full/a", "full/b")
    null = OrderingClaim(**ORDER, presets=("a",), of_nulls=("", "identity"))
    assert null.points == (("a", "r2", ""), ("a", "r2", "identity"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QuickClaim(**QUICK, threshold=1, expect="found"), "expect"),
        (
            lambda: QuickClaim(
                **QUICK, threshold=1, expect="identified", vocabulary="behaviour"
            ),
            "expect must be one of .*reproduced",
        ),
        (
            lambda: QuickClaim(**QUICK, threshold=1, expect="identified", unit="m"),
            "unit",
        ),
        (
            lambda: QuickClaim(
                **QUICK, threshold=1, expect="identified", budgets=("fast",)
            ),
            "budget",
        ),
        (lambda: OrderingClaim(**ORDER, presets=("a",)), "length of 2 or more"),
        (
            lambda: OrderingClaim(
                **ORDER | {"metrics": ("r2", "mcc")}, presets=("a", "b", "c")
            ),
            "got 3, 2 and 1",
        ),
        (
            lambda: OrderingClaim(**ORDER | {"margin": -1.0}, presets=("a", "b")),
            "margin must be >= 0, got -1",
        ),
        (
            lambda: CurveClaim(
                id="c", source="", text="", preset="theorem1/c", unit="points"
            ),
            "unit",
        ),
        (
            lambda: dataclasses.replace(
                load_claims("contrastive_ica").published_by_id("t1r3"),
                direction="fails",
                unit="nats",
            ),
            "unit of a claim of failure must be 'percent'",
        ),
    ],
)
def test_values_outside_the_allowed_ones_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_file_that_is_no_file_of_claims_is_named_with_what_is_wrong():
    path = resources.files("jidcl") / "claims/anisotropic.json"
    data = json.loads(path.read_text())

    def refused(message, change):
        broken = copy.deepcopy(data)
        change(broken)
        with pytest.raises(ValueError, match=message):
            claims_from(broken, where="a.json")

    assert claims_from(data, where="a.json") == load_claims("anisotropic")
    refused(
        "a.json: schema_version must be 2, got 1", lambda d: d.update(schema_version=1)
    )
    refused(
        "a.json: claim 'q-distinct': .*unexpected",
        lambda d: d["quick"][0].update(more=1),
    )
    refused(
        "a.json: claim 'q-distinct': .*missing", lambda d: d["quick"][0].pop("metric")
    )
    refused(
        "a.json: same_run of bimodal-mcc .* got 'none'",
        lambda d: d["published"][4].update(same_run="none"),
    )
    refused(
        r"ids of the claims of anisotropic repeat: \['q-distinct'\]",
        lambda d: d["quick"].append(d["quick"][0]),
    )
