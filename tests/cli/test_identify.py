"""`jidcl identify`: a simulated motor, as somebody at a test bench would have it."""

import os
import re

import numpy as np
import pytest

from jidcl.cli import main as cli
from jidcl.systems.lti.identify import check_sampling, identify

# A motor whose voltage and load are driven, both states seen, sampled every 10 ms.
A = np.array([[0.98019772, 0.0001884], [-0.00942015, 0.90483649]])
B = np.array([[0.0198013, 0.0000942], [-0.0000961, 0.95163]])
DIVERSE = np.array([[1.0, 0.01], [1.0, 0.2], [0.2, 0.05]])
FLAT = DIVERSE[:, :1] * [1.0, 0.1]


def motor(variance, time=4000, seed=0):
    """Outputs of every experiment."""
    rng = np.random.default_rng(seed)
    shape = (len(variance), time, 2)
    u = np.sqrt(variance)[:, None] * rng.normal(size=shape)
    y = np.zeros(shape)
    for t in range(time - 1):
        y[:, t + 1] = y[:, t] @ A.T + u[:, t] @ B.T
    return y


def run(path, capsys, *more, **arrays):
    """Exit code and what was printed, the lines of a wrapped text joined."""
    np.savez(path, **arrays)
    code = cli.main(["identify", str(path), *more])
    shown = capsys.readouterr()
    assert max(map(len, shown.out.splitlines()), default=0) <= 88
    return code, (shown.out + shown.err).replace("\n" + 13 * " ", " ")


@pytest.mark.many_programs(reason="the fit, its margins and a design")
def test_diverse_experiments_identify_the_motor(tmp_path, capsys):
    y = motor(DIVERSE)
    y[1, 500:520] = np.nan  # a sensor that was off
    y[0, 700, 1] = np.nan
    code, shown = run(tmp_path / "a.npz", capsys, y=y)
    assert code == 0
    assert "identified   yes" in shown
    assert (
        "y(t+1) = G y(t) + M u(t): 2 outputs, 2 inputs, spectral radius 0.98" in shown
    )
    assert "columns up to order and scale" in shown
    assert "warning" not in shown
    found = identify(list(y), variance=DIVERSE)
    assert found.identified
    np.testing.assert_allclose(np.abs(found.m), np.abs(B), rtol=0.05, atol=0.02)
    np.testing.assert_allclose(found.g, A, atol=0.05)


@pytest.mark.many_programs(reason="the fit, its margins and a design")
def test_proportional_experiments_do_not_and_the_next_one_is_named(tmp_path, capsys):
    y = motor(FLAT)
    series = {"y_0": y[0], "y_1": y[1, :1501], "y_2": y[2]}  # an odd length
    code, shown = run(tmp_path / "b.npz", capsys, **series)
    assert code == 0
    assert "identified   no: these environments do not suffice" in shown
    assert "open: columns 0 and 1 of M may be any mixture" in shown
    assert "Which one does not matter" in shown
    assert "4000" not in shown.splitlines()[0]
    assert "3999, 1500, 3999 pairs" in shown
    told = identify(list(y), variance=FLAT)
    assert not told.identified
    assert told.open_pairs == ((0, 1),)
    assert told.margin < 1e-6 < 0.1 < told.next_margin
    # Along the open direction the likelihood of all environments stays: M Q, Q a turn
    # in the plane where both inputs have equal variances.
    scale = np.sqrt(FLAT.mean(0))
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    moved = told.m @ np.diag(scale) @ turn @ np.diag(1 / scale)
    for row in FLAT:
        a, b = (m @ np.diag(row) @ m.T for m in (told.m, moved))
        np.testing.assert_allclose(a, b, atol=1e-9)


@pytest.mark.many_programs(reason="the fit, its margins and a design")
def test_of_known_variances_the_next_device_is_named(tmp_path, capsys):
    known = dict(y=motor(FLAT), variance=FLAT)
    time = 0.01 * np.arange(4000)  # of all experiments
    _, shown = run(tmp_path / "k.npz", capsys, t=time, **known)
    assert re.search(r"The next one should excite input \d, and keep \d low", shown)


@pytest.mark.many_programs(reason="the fits, their margins and designs")
def test_noise_and_a_state_that_is_not_seen_are_noticed(tmp_path, capsys):
    y = motor(DIVERSE)
    found = identify(list(y))
    assert found.memory < found.by_chance < 0.05
    noisy = y + 0.05 * np.random.default_rng(1).normal(size=y.shape)
    _, shown = run(tmp_path / "n.npz", capsys, y=noisy)
    assert "warning      what G leaves of a step correlates" in shown
    assert "identified   yes" not in shown
    # Of position, velocity and what drives them, the position alone.
    rng, x, seen = np.random.default_rng(2), np.zeros(2), np.zeros((2, 2000, 1))
    for e in range(2):
        for t in range(2000):
            seen[e, t] = x[0]
            x = np.array([x[0] + 0.1 * x[1], x[1] - 0.1 * x[0] - 0.1 * x[1]])
            x[1] += (1 + e) * rng.normal()
    assert identify(list(seen)).memory > 0.5


@pytest.mark.many_programs(reason="the fit, its margins and a design")
def test_one_input_of_two_states_is_seen_by_its_rank():
    rng = np.random.default_rng(1)
    u = rng.normal(size=(2, 1000, 1)) * [[[1.0]], [[2.0]]]
    y = np.zeros((2, 1000, 2))
    for t in range(999):
        y[:, t + 1] = y[:, t] @ A.T + u[:, t] @ B[:, :1].T
    with pytest.raises(ValueError, match="inputs must be at most 1, got 2: .* rank 1"):
        identify(list(y), inputs=2)
    found = identify(list(y))
    assert found.m.shape == (2, 1)
    assert found.identified
    ratio = found.m[:, 0] / B[:, 0]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def changed(**change):
    """Series with one thing wrong."""
    y = motor(DIVERSE, time=100)
    for index, value in change.items():
        y[int(index[1:])] = value
    return list(y)


Y = motor(DIVERSE, time=100)
HALF_SEEN = np.where(np.arange(100)[:, None] % 2, Y[0], np.nan)


@pytest.mark.many_programs(reason="the innovations of some of them")
@pytest.mark.parametrize(
    ("outputs", "own", "message"),
    [
        ([], {}, "at least one environment, got none"),
        ([Y[0]], {}, "at least 2 environments to tell 2 inputs apart, and from 3"),
        ([Y[0], Y[1][:, :1]], {}, "environment 1 must have 2 outputs"),
        ([Y[0][:2], Y[1]], {}, r"environment 0 must have shape \[time >= 3, outputs\]"),
        ([Y[0], Y[1][:30]], {}, "environment 1 must have at least 40 pairs .* got 29"),
        ([HALF_SEEN, Y[1]], {}, "environment 0 must have at least 40 pairs .* got 0"),
        (changed(e1=np.inf), {}, "environment 1 must be finite"),
        (changed(e0=np.nan), {}, "environment 0 must be seen, output 0 is NaN"),
        (changed(e2=[1.0, 2.0]), {}, "environment 2 must vary, output 0 is 1 all over"),
        (list(Y), dict(inputs=3), r"inputs must be in \[1, 2\] \(outputs\), got 3"),
        (
            [np.repeat(y[:, :1], 2, axis=1) for y in Y],
            {},
            "outputs must not follow from each other, .* once: 1 of 2 do",
        ),
        (
            list(Y),
            dict(variance=DIVERSE[:2]),
            r"variance must have shape \[3, inputs\]",
        ),
        (list(Y), dict(variance=0 * DIVERSE), "variance must be > 0: an input that is"),
        (
            list(Y),
            dict(variance=DIVERSE, inputs=1),
            r"variance must have 1 columns \(inputs\), got 2",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(outputs, own, message):
    with pytest.raises(ValueError, match=message):
        identify(outputs, **own)


def test_unequal_sampling_is_refused():
    time = 0.01 * np.arange(100)
    check_sampling([time, time + 5])
    late = time.copy()
    late[50:] += 0.01
    with pytest.raises(ValueError, match="times of environment 1 must be 0.01 apart"):
        check_sampling([time, late])
    with pytest.raises(ValueError, match="times of environment 0 must rise"):
        check_sampling([time[::-1]])


@pytest.mark.parametrize("harm", ["cut", "no archive", "pipe"])
def test_damaged_files_and_pipes_are_one_line(harm, tmp_path, capsys):
    path = tmp_path / "c.npz"
    np.savez(path, y=Y)
    content = path.read_bytes()
    if harm == "pipe":
        path.unlink()
        os.mkfifo(path)
    else:
        path.write_bytes(content[:500] if harm == "cut" else b"no archive")
    assert cli.main(["identify", str(path)]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"jidcl: .*c\.npz must be (an \.npz|a regular) file.*\n", said)


@pytest.mark.parametrize(
    ("arrays", "more", "message"),
    [
        (dict(x=Y), (), r"must hold y, or y_0, y_1, ..., and may hold variance and t"),
        (dict(y=Y, u=Y), (), "'u', 'y'.; inputs that were recorded are not used here"),
        (dict(y_0=Y[0], y_2=Y[1]), (), r"must hold \['y_0', 'y_1'\], got"),
        (dict(y=Y, t=np.arange(3)[:, None]), (), "must hold a time for each row of y"),
        (dict(y=Y[0], t=np.arange(100) ** 2), (), "times of environment 0 must be"),
        (dict(y=Y[0], t=1.0), (), "must hold a time for each row of y"),
        (dict(y=Y), ("--inputs", "-1"), "inputs must be >= 0, got -1"),
    ],
)
def test_files_that_cannot_be_read_are_refused(arrays, more, message, tmp_path, capsys):
    code, shown = run(tmp_path / "c.npz", capsys, *more, **arrays)
    assert code == 2
    assert re.search(message, shown)


def test_a_file_that_is_no_archive_is_refused(tmp_path, capsys):
    path = tmp_path / "d.npz"
    path.write_bytes(b"PK\x03\x04 and no more")
    assert cli.main(["identify", str(path)]) == 2
    assert "must be an .npz file of arrays" in capsys.readouterr().err
