"""The encoder of pairs: recovery, seeds, early end, files, what is refused."""

import json
import pickle
from types import SimpleNamespace

import flax.linen
import jax
import numpy as np
import pytest
from flax import nnx

import jidcl
from jidcl import ContrastiveEncoder, fit_pairs
from jidcl.estimate import NotFitted
from jidcl.estimate import pairs as rows
from jidcl.estimate.tensors import read_tensors, write_tensors
from jidcl.estimate.training import watched
from jidcl.metrics import mcc

SMALL = dict(hidden=(8,), steps=20, seeds=2, batch=16)


def planted(count=600, seed=0):
    """Two factors in a unit box, Laplace changes, a smooth mixing to four features."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(size=(count, 2)) - 0.5
    z_pos = z + rng.laplace(scale=0.05, size=z.shape)
    mix = np.linalg.qr(rng.normal(size=(4, 2)))[0].T
    return z, *(np.arcsinh(6 * part @ mix) for part in (z, z_pos))


Z, X, X_POS = planted()


@pytest.fixture(scope="module")
def encoder():
    return fit_pairs(X, X_POS, outputs=2, **SMALL)


@pytest.mark.many_programs(reason="a fit and its scores")
def test_factors_are_recovered_by_every_seed():
    z, x, x_pos = planted(2000)
    fitted = fit_pairs(
        x, x_pos, outputs=2, hidden=(16, 16), steps=200, batch=64, seeds=2,
        learning_rate=1e-2,
    )  # fmt: skip
    y = fitted.outputs_of(x)
    assert y.shape == (2, 2000, 2)
    for one in y:
        assert mcc(z, one.astype(float), xp=np).mean > 0.95
    assert fitted.score(x, x_pos) > 3
    shuffled = x_pos[np.random.default_rng(0).permutation(len(x))]
    assert fitted.score(x, shuffled) < 0
    losses = [row["held_out"] for row in fitted.history_]
    np.testing.assert_allclose(fitted.held_out_loss_, np.min(losses, axis=0), atol=1e-3)
    assert fitted.best_ == np.argmin(fitted.held_out_loss_)
    np.testing.assert_array_equal(fitted.transform(x), y[fitted.best_])


def test_the_same_seeds_give_the_same_encoder(encoder):
    again = fit_pairs(X, X_POS, outputs=2, **SMALL)
    np.testing.assert_array_equal(encoder.transform(X), again.transform(X))
    y = encoder.outputs_of(X)
    assert not np.allclose(y[0], y[1])


def test_units_of_the_features_do_not_matter(encoder):
    other = fit_pairs(100 * X + 1e4, 100 * X_POS + 1e4, outputs=2, **SMALL)
    y = other.transform(100 * X + 1e4)
    np.testing.assert_allclose(y, encoder.transform(X), atol=1e-2)


def test_rows_are_encoded_one_by_one(encoder):
    whole = encoder.transform(X)
    np.testing.assert_allclose(encoder.transform(X[7:8]), whole[7:8], atol=1e-5)
    np.testing.assert_allclose(encoder.transform(X[::-1]), whole[::-1], atol=1e-5)


@pytest.mark.parametrize("part", ["train", "stop", "test"])
def test_numbers_that_are_not_finite_are_refused_before_training(part):
    row = getattr(rows.split_rows(len(X), 0.3, 0), part)[0][0]
    spoiled_x, seen = X.copy(), []
    spoiled_x[row, 1] = np.nan
    one = ContrastiveEncoder(2, **SMALL, progress=seen.append)
    with pytest.raises(ValueError, match=f"x must be finite, .* in row {row}"):
        one.fit(spoiled_x, X_POS)
    assert not seen
    assert not hasattr(one, "params_")


def test_training_ends_when_no_seed_gains():
    losses = np.array([[3, 3], [2, 3], [2.5, 1], [2, 1], [2, 1], [1, 0]], float)

    def events():
        for step, loss in enumerate(losses):
            params = {"f": {"w": np.full((2, 1), step, float)}}
            state = SimpleNamespace(run=SimpleNamespace(params=params, loss=loss))
            metrics = {"loss": loss[None] / 2}
            yield SimpleNamespace(step=step + 1, state=state, metrics=metrics)

    seen = []
    found = watched(events(), lambda run: run.loss, 2, seen.append)
    assert [row["step"] for row in seen] == [1, 2, 3, 4, 5]
    assert seen == found.history
    assert seen[2] == {"step": 3, "loss": [1.25, 0.5], "held_out": [2.5, 1.0]}
    np.testing.assert_array_equal(found.loss, [2, 1])
    np.testing.assert_array_equal(found.params["f"]["w"], [[1], [2]])


def test_it_goes_on_from_where_it_is():
    one = ContrastiveEncoder(2, **SMALL)
    one.partial_fit(X, X_POS)
    mean = one.mean_
    first = one.params_
    one.partial_fit(X[:300] + 5, X_POS[:300] + 5)
    np.testing.assert_array_equal(one.mean_, mean)
    assert one.history_[-1]["step"] == 4
    leaves = jax.tree.leaves(jax.tree.map(np.array_equal, first, one.params_))
    assert not all(leaves)
    with pytest.raises(ValueError, match="x must have 4 features"):
        one.partial_fit(X[:, :3], X[:, :3])


@pytest.mark.share(2)
@pytest.mark.parametrize("objective", ["simclr", "vicreg", "byol", "swav"])
@pytest.mark.many_programs(reason="a fit of each objective")
def test_objectives_are_named(objective):
    fitted = fit_pairs(X, X_POS, outputs=2, objective=objective, **SMALL)
    assert np.isfinite(fitted.transform(X)).all()
    assert fitted.yardstick().p == 2


class Own(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x):
        return flax.linen.Dense(2)(flax.linen.tanh(flax.linen.Dense(5)(x)))


class Dropping(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x, train=False):
        return flax.linen.BatchNorm(use_running_average=not train)(x)[:, :2]


@pytest.mark.many_programs(reason="a fit of each network")
@pytest.mark.parametrize(
    "network",
    [
        "linear",
        Own(),
        lambda rngs: nnx.Linear(4, 2, rngs=rngs),
        jidcl.make_mlp(2, d=4, widths=(3,)),
    ],
    ids=["linear", "linen", "nnx", "encoder"],
)
def test_networks_are_named_or_your_own(network, tmp_path):
    fitted = fit_pairs(X, X_POS, outputs=2, network=network, **SMALL)
    fitted.save(tmp_path / "a")
    own = None if isinstance(network, str) else network
    again = ContrastiveEncoder.load(tmp_path / "a", network=own)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def test_networks_that_hold_more_than_parameters_are_refused():
    with pytest.raises(ValueError, match="network must hold nothing but parameters"):
        fit_pairs(X, X_POS, outputs=2, network=Dropping(), **SMALL)
    with pytest.raises(ValueError, match=r"must map \[1, 4\] to \[1, 3\] \(outputs\)"):
        fit_pairs(X, X_POS, outputs=3, network=Own(), **SMALL)
    with pytest.raises(TypeError, match="network must be one of"):
        fit_pairs(X, X_POS, outputs=2, network=3, **SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(outputs=0), "outputs must be >= 1"),
        (dict(objective="infonse"), "did you mean 'infonce'"),
        (dict(p=0.5), "p must be >= 1"),
        (dict(objective="simclr", p=2.0), "p acts with objective='infonce' alone"),
        (dict(network="mlpp"), "network must be one of"),
        (dict(hidden=()), "number of hidden must be >= 1"),
        (dict(output="ring"), "output must be one of"),
        (dict(tau=0.0), "tau must be > 0"),
        (dict(batch=1), "batch must be >= 2"),
        (dict(steps=0), "steps must be >= 1"),
        (dict(learning_rate=0.0), "learning_rate must be > 0"),
        (dict(optimiser="sgdd"), "optimiser must be one of"),
        (dict(seeds=0), "seeds must be distinct and at least one"),
        (dict(seeds=()), "seeds must be distinct and at least one"),
        (dict(seeds=(1, 1)), "seeds must be distinct and at least one"),
        (dict(held_out=0.0), "held_out"),
        (dict(held_out=0.95), "held_out"),
        (dict(patience=0), "patience must be >= 1"),
    ],
)
def test_settings_are_refused_by_name_at_fit(change, message):
    one = ContrastiveEncoder(**{"outputs": 2, **SMALL, **change})
    with pytest.raises(ValueError, match=message):
        one.fit(X, X_POS)
    assert not hasattr(one, "params_")


def test_what_needs_a_fit_says_so():
    for call in ("transform", "score", "outputs_of"):
        with pytest.raises((NotFitted, ValueError), match="must be fitted first"):
            getattr(ContrastiveEncoder(2), call)(X)


def test_settings_are_read_and_changed():
    one = ContrastiveEncoder(3, p=2.0)
    assert one.get_params()["p"] == 2.0
    assert one.set_params(p=3.0) is one
    assert repr(one) == "ContrastiveEncoder(outputs=3, p=3.0)"
    with pytest.raises(ValueError, match="did you mean 'tau'"):
        one.set_params(taus=1.0)


def test_an_encoder_on_disk_is_the_encoder(encoder, tmp_path):
    folder = encoder.save(tmp_path / "a")
    assert sorted(p.name for p in folder.iterdir()) == [
        "encoder.json",
        "held_out.safetensors",
        "params.safetensors",
    ]
    again = ContrastiveEncoder.load(folder)
    np.testing.assert_array_equal(again.outputs_of(X), encoder.outputs_of(X))
    np.testing.assert_array_equal(again.held_out_, encoder.held_out_)
    assert again.score(X, X_POS) == encoder.score(X, X_POS)
    with pytest.raises(ValueError, match="exists"):
        encoder.save(folder)
    copy = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(copy.transform(X), encoder.transform(X))


@pytest.mark.parametrize(
    ("file", "name", "value", "message"),
    [
        ("params", "scale", 0.0, "mean and scale > 0"),
        ("params", "scale", -1.0, "mean and scale > 0"),
        ("held_out", "test", np.nan, "finite test"),
    ],
)
def test_numbers_on_disk_that_cannot_be_are_refused(
    encoder, file, name, value, message, tmp_path
):
    path = encoder.save(tmp_path / "a") / f"{file}.safetensors"
    held = {k: np.array(v) for k, v in read_tensors(path).items()}
    held[name].flat[0] = value
    path.unlink()
    write_tensors(path, held)
    with pytest.raises(ValueError, match=message):
        ContrastiveEncoder.load(path.parent)


def spoiled(folder, **change):
    told = json.loads((folder / "encoder.json").read_text()) | change
    (folder / "encoder.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(format=2), "format must be 1"),
        (dict(features=5), "must hold mean and scale > 0 of 5 features"),
        (dict(best=7), "must hold mean and scale"),
        (dict(settings={}), "does not hold an encoder"),
        (dict(settings=None), "does not hold an encoder"),
    ],
)
def test_a_folder_that_does_not_hold_what_it_says_is_refused(
    encoder, change, message, tmp_path
):
    folder = encoder.save(tmp_path / "a")
    spoiled(folder, **change)
    with pytest.raises(ValueError, match=message):
        ContrastiveEncoder.load(folder)


@pytest.mark.many_programs(reason="two fits, one of them in buffers")
def test_a_file_larger_than_memory_is_trained_on_in_buffers(monkeypatch, tmp_path):
    monkeypatch.setattr(rows, "MOST_BUFFER", 8 * 4 * 100)
    z, x, x_pos = planted(3000)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "x_pos.npy", x_pos)
    fitted = ContrastiveEncoder(
        2, hidden=(16, 16), steps=200, batch=64, seeds=1, learning_rate=1e-2
    )
    fitted.fit(tmp_path / "x.npy", tmp_path / "x_pos.npy")
    y = fitted.transform(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert mcc(z, y.astype(float), xp=np).mean > 0.95
