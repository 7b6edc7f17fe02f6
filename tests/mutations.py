"""Does a test fail when the code is wrong? Mutations of the package, one at a time.

    python tests/mutations.py            # all of them
    python tests/mutations.py vmf gap    # those whose name holds one of these words

Each mutation replaces one piece of text, which must stand in the package exactly once,
in a copy of the checkout; the tests that it names are then run on the copy and must
fail. A test that fails on an unchanged copy does not count. Prints a table in Markdown;
the exit code is 1 when a mutation survives, and 2 when one cannot be applied, its tests
cannot be run, or some fail without it. `make test-slow` runs it.
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A mistake, and the tests that must see it.

    Attributes:
        name: what is wrong.
        old: text of the package, in one place.
        new: what stands there instead.
        tests: `FILE.py` or `FILE.py::WORDS`: the file's name without its folder, and
            a `pytest -k` expression.
    """

    name: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "InfoNCE: a sign",
        "per_row = 2 * (policy.alpha * positive + (1 - policy.alpha) * negative)",
        "per_row = 2 * (policy.alpha * positive - (1 - policy.alpha) * negative)",
        ("test_contrastive.py::published or reductions",),
    ),
    Mutation(
        "AlignMaxEnt: the sign of the entropy",
        "return weight * apart - entropy,",
        "return weight * apart + entropy,",
        ("test_entropy.py::equal_numpy",),
    ),
    Mutation(
        "kernel entropy: batch in place of batch - 1",
        "others = devices * y.shape[0] - 1",
        "others = devices * y.shape[0]",
        ("test_entropy.py::equal_numpy",),
    ),
    Mutation(
        "p-norm families: the normaliser",
        "log_norm = math.log(2) + math.lgamma(1 + 1 / p)\n    return -(",
        "log_norm = math.log(2) + math.lgamma(1 / p)\n    return -(",
        ("test_every_sampler.py::agree and Real",),
    ),
    Mutation(
        "truncated laws: the mass of the box",
        "log_mass = jnp.log(mass / 2)",
        "log_mass = jnp.log(mass)",
        ("test_every_sampler.py::agree and Box",),
    ),
    Mutation(
        "von Mises-Fisher: the normaliser of the density",
        "return -kappa * chord - log_mu - log_sphere_area(n)",
        "return -kappa * chord + log_mu - log_sphere_area(n)",
        ("test_every_sampler.py::agree and VonMisesFisher",),
    ),
    Mutation(
        "MCC: greedy in place of the best assignment",
        "rows, columns = _hungarian(-jnp.asarray(finite, jnp.result_type(float)))",
        "rows, columns = jnp.arange(score.shape[0]), jnp.argmax(finite, axis=1)",
        ("test_recovery.py::mcc or assign or permuted",),
    ),
    Mutation(
        "vMF limit: a sign",
        "return vmf_parts(n, k)[0] + (k / kappa * short if kappa > 0 else k)",
        "return vmf_parts(n, k)[0] - (k / kappa * short if kappa > 0 else k)",
        ("test_limits.py::sphere_table",),
    ),
    Mutation(
        "vMF limit: the data's concentration in place of the model's",
        "return vmf_parts(n, k)[0] + (k / kappa * short if kappa > 0 else k)",
        "return vmf_parts(n, k)[0] + vmf_parts(n, k)[2]",
        ("test_limits.py::another_concentration or matched_concentration",),
    ),
    Mutation(
        "gap: the divisor of its standard error",
        "xp.sqrt(xp.var(gaps) / max(gaps.shape[0] - 1, 1))",
        "xp.sqrt(xp.var(gaps) / gaps.shape[0])",
        ("test_evaluation.py::standard_error",),
    ),
    Mutation(
        "training: every step draws batch 0",
        "jax.random.fold_in(stream_key(key, purpose), t)",
        "jax.random.fold_in(stream_key(key, purpose), 0)",
        ("test_step.py::written_out",),
    ),
    Mutation(
        "AnInfoNCE: Lambda is not applied",
        "(stretched(unit(x.astype(wide)), lam / 2, 2.0) for x in (y, y_pos))",
        "(stretched(unit(x.astype(wide)), 0 * lam + 0.5, 2.0) for x in (y, y_pos))",
        ("test_anisotropic.py::those_of_the_definition",),
    ),
    Mutation(
        "InfoNCE: lam is not applied to the negatives",
        "y_neg = None if y_neg is None else stretched(y_neg, sure, similarity.p)",
        "y_neg = y_neg",
        ("test_contrastive.py::lam_weights_independent",),
    ),
    Mutation(
        "MoCo: gradients into keys and queue",
        "key, queue = jax.lax.stop_gradient((key, queue))",
        "key, queue = key, queue",
        ("test_every_loss.py::finite_differences and moco",),
    ),
    Mutation(
        "SimSiam and BYOL: gradients into the targets",
        "target, target_pos = jax.lax.stop_gradient(tuple(targets.values()))",
        "target, target_pos = tuple(targets.values())",
        ("test_every_loss.py::finite_differences and (simsiam or byol)",),
    ),
    Mutation(
        "SwAV: gradients into the codes",
        "log_q = jax.lax.stop_gradient(scores) / epsilon",
        "log_q = scores / epsilon",
        ("test_every_loss.py::targets or (finite_differences and sinkhorn)",),
    ),
    Mutation(
        "spread losses: summed over devices, not averaged",
        'return {"mean": jax.lax.pmean, "sum": jax.lax.psum}[reduction](value, axis)',
        "return jax.lax.psum(value, axis)",
        ("test_data_parallel.py::two_devices and infonce and not rivals",),
    ),
    Mutation(
        "instances on devices: a gradient too large by their number",
        'return jax.lax.pmean(value, "data")',
        "return jax.lax.pmean(value, 'data') + jax.lax.psum("
        "value - jax.lax.stop_gradient(value), 'data')",
        ("test_data_parallel.py::two_devices and instances",),
    ),
    Mutation(
        "LeJEPA: mixing_layers left out of the cache's key",
        'frozen_fields=("n", "mixing", "mixing_layers"),',
        'frozen_fields=("n", "mixing"),',
        ("test_frozen_identity.py::lejepa",),
    ),
    Mutation(
        "content/style: least_eigenvalue left out of the cache's key",
        '"causal",\n        "least_eigenvalue",\n',
        '"causal",\n',
        ("test_frozen_identity.py::content_style",),
    ),
    Mutation(
        "verdict: a recovery need not beat its nulls",
        "if is_reached and not is_better:",
        "if False:",
        ("test_verdict.py::beat_its_nulls",),
    ),
    Mutation(
        "verdict: half of the seeds make a row's word",
        "MOST = 0.8  # share of seeds that decides a row: 4 of 5",
        "MOST = 0.5",
        ("test_verdict.py::four_of_five",),
    ),
    Mutation(
        "checkpoints: digests are not compared",
        "for i, own in enumerate(found) if own != digests[i]]",
        "for i, own in enumerate(found) if own is None]",
        ("test_checkpoint.py::flipped_bit",),
    ),
    Mutation(
        "curve: what lies between its points is lost at a resume",
        'seen = unpacked(kept.get("seen", []))',
        "seen = []",
        ("test_own_programs.py::resumed_curve",),
    ),
)


class Unusable(Exception):
    """A mutation that cannot be applied, or tests that cannot be run."""


def place(package: Path, mutation: Mutation) -> Path:
    """The one file of the package that holds the mutation's text, once."""
    found = {
        path: path.read_text(encoding="utf-8").count(mutation.old)
        for path in sorted(package.rglob("*.py"))
    }
    found = {path: count for path, count in found.items() if count}
    if sum(found.values()) != 1:
        where = {str(path.relative_to(package)): n for path, n in found.items()}
        raise Unusable(f"its text must be found once, got {where or 'none'}")
    return next(iter(found))


def selected(tests: Path, names: tuple[str, ...]) -> list[str]:
    """Arguments of pytest that select what `Mutation.tests` names."""
    files, keywords = set(), []
    for entry in names:
        name, _, keyword = entry.partition("::")
        found = set(map(str, tests.rglob(name)))
        if not found:
            raise Unusable(f"no file of tests is called {name}")
        files |= found
        keywords.append(f"({name} and ({keyword or 'test'}))")
    return [*sorted(files), "-k", " or ".join(keywords)]


def run(folder: Path, names: tuple[str, ...], *options: str) -> list[str]:
    """Tests that fail on the copy in `folder`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", ""]
    command += ["--no-header", "--tb=no", "-rf", *options]
    done = subprocess.run(
        [*command, *selected(folder / "tests", names)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise Unusable(f"pytest ended with {done.returncode}: {done.stdout[-800:]}")
    lines = [x for x in done.stdout.splitlines() if x.startswith("FAILED ")]
    return [line.split(" - ")[0].rpartition("/")[2] for line in lines]


def verdict(folder: Path, mutation: Mutation, broken: list[str]) -> tuple[str, str]:
    """(file that was changed, what the tests said), the file as it was afterwards.

    Tests that fail without the mutation, `broken`, do not count.
    """
    path = place(folder / "jidcl", mutation)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        failed = run(folder, mutation.tests, f"--maxfail={len(broken) + 3}")
    finally:
        path.write_text(text, encoding="utf-8")
    failed = [name for name in failed if name not in broken]
    shown = ", ".join(f"`{name}`" for name in failed)
    said = f"red: {shown}" if failed else "SURVIVED"
    return str(path.relative_to(folder)), said


def main(words: list[str]) -> int:
    """Apply the mutations whose name holds one of the words, or all of them."""
    chosen = [
        mutation
        for mutation in MUTATIONS
        if not words or any(word.lower() in mutation.name.lower() for word in words)
    ]
    code, began = 0, time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("jidcl", "tests"):
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=skip)
        shutil.copy(ROOT / "pyproject.toml", folder)
        broken = run(folder, tuple(sorted({t for m in chosen for t in m.tests})))
        if broken:
            code = 2
            print(f"Red without a mutation, not counted: {', '.join(broken)}\n")
        print("| mutation | where | its tests |\n|---|---|---|")
        for mutation in chosen:
            try:
                where, said = verdict(folder, mutation, broken)
            except Unusable as error:
                where, said = "", f"ERROR: {error}"
            code = max(code, {"S": 1, "E": 2}.get(said[0], 0))
            print(f"| {mutation.name} | `{where}` | {said} |", flush=True)
    seconds = time.perf_counter() - began
    print(f"\n{len(chosen)} mutations in {seconds:.0f} s.", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
