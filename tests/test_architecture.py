"""The rules of the architecture, held on the syntax trees of the installed package.

Each rule is a function from the modules to complaints; `RULES` lists them. `BROKEN`
holds one small package per rule that breaks it, so that no rule can pass by accident.
"""

import ast
import pathlib
import textwrap

import pytest

import jidcl
from source_tree import PACKAGE, FunctionNode, read_package

# Lowest first. A module imports from lower levels only; names that share a level do
# not import each other, while the files inside one folder may.
LEVELS = (
    ("types",),
    ("checks", "files"),
    ("claims",),
    ("numerics", "compiled"),
    ("latents",),
    ("mixing", "losses", "metrics"),
    ("pairs", "encoders", "optim"),
    ("theory", "data", "objectives"),
    ("train",),
    ("estimate",),
    ("systems",),
    ("report",),
    ("diagnosis",),
    ("run",),
    ("bench",),
    ("cli",),
)
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}

# Must answer at once, so importing these may not import JAX, at any remove.
NO_JAX = (
    "__init__.py",
    "claims/__init__.py",
    "cli/*.py",
    "report/judge.py",
    "report/records.py",
    "systems/*/presets.py",
    "systems/registry.py",
)
JAX = {"jax", "jaxlib", "flax", "optax", "chex", "orbax"}

# Optional packages, and the leaves that may import them.
EXTRAS = {
    "h5py",
    "matplotlib",
    "orbax",
    "PIL",
    "pyarrow",
    "rich",
    "sklearn",
    "torch",
    "causallearn",
    "tyro",
}
LEAVES = (
    "bench/*",
    "cli/*",
    "data/*",
    "metrics/trees.py",
    "report/plots.py",
    "train/checkpoint.py",
)

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80  # the docstring not counted
MAX_IMPORT_DEPTH = 12  # modules on the longest chain of imports

# The rules --------------------------------------------------------------------------


def place(name):
    """The folder or module right below the package."""
    parts = name.split(".")[1:]
    return parts[0] if parts else None


def imports_point_down(modules):
    for module in modules.values():
        here = place(module.name)
        if here is None:  # the package's own __init__ names what it offers
            continue
        if here not in LEVEL_OF:
            yield f"{module.at(1)}: {here!r} has no level; give it one in LEVELS"
            continue
        for item in module.imports:
            there = place(item.target)
            if item.root != PACKAGE or there == here:
                continue
            if there is None:
                yield (
                    f"{module.at(item.line)}: imports from {PACKAGE} itself;"
                    " name the module"
                )
            elif there not in LEVEL_OF:
                yield f"{module.at(item.line)}: {item.target} has no level in LEVELS"
            elif LEVEL_OF[there] >= LEVEL_OF[here]:
                same = LEVEL_OF[there] == LEVEL_OF[here]
                relation = "on the same level as" if same else "above"
                yield (
                    f"{module.at(item.line)}: imports {item.target},"
                    f" but {there} is {relation} {here}"
                )


def systems_stand_alone(modules):
    # Files beside the folders, and `shared`, are what all systems have in common.
    same_paper = {"scenes": "contrastive_ica"}  # its Table 4

    def owner(parts):
        own = parts[:1] == ["systems"] and len(parts) > 2 and parts[1] != "shared"
        return same_paper.get(parts[1], parts[1]) if own else None

    folders = {m.parts[1] for m in modules.values() if owner(m.parts)}
    for module in modules.values():
        here = owner(module.parts)
        for item in module.imports:
            target = item.target.split(".")[1:]
            if target[:1] != ["systems"] or len(target) < 2 or here is None:
                continue
            there = same_paper.get(target[1], target[1])
            if target[1] in folders and there != here:
                yield (
                    f"{module.at(item.line)}: a system imports another ({item.target});"
                    " move what they share down"
                )


def no_import_cycles(modules):
    # An import inside a function hides a cycle and does not open it.
    graph = {
        name: {i.target for i in m.imports if i.target in modules and not i.typing_only}
        for name, m in modules.items()
    }
    done = set()

    def visit(name, trail):
        if name in trail:
            cycle = trail[trail.index(name) :]
            yield f"import cycle: {' -> '.join([*cycle, name])}"
        elif name not in done:
            for target in sorted(graph[name] - {name}):
                yield from visit(target, [*trail, name])
            done.add(name)

    for name in sorted(graph):
        yield from visit(name, [])


def import_chains_are_short(modules):
    # Of what runs at import. What closes a cycle is left out: it has its own rule.
    chains = {}

    def longest(name, trail):
        if name not in chains:
            targets = {i.target for i in modules[name].imports if i.at_import}
            below = targets & modules.keys() - {name, *trail}
            tails = [longest(target, [*trail, name]) for target in sorted(below)]
            chains[name] = [name, *max(tails, key=len, default=[])]
        return chains[name]

    chain = max((longest(name, []) for name in sorted(modules)), key=len)
    if len(chain) > MAX_IMPORT_DEPTH:
        yield (
            f"{modules[chain[0]].at(1)}: an import chain of {len(chain)} modules,"
            f" allowed {MAX_IMPORT_DEPTH}: {' -> '.join(chain)}"
        )


def light_modules_avoid_jax(modules):
    for module in modules.values():
        if module.matches(NO_JAX):
            chain = chain_to_jax(module.name, modules, seen=set())
            if chain:
                yield f"{module.at(1)}: imports JAX: {' -> '.join(chain)}"


def chain_to_jax(name, modules, seen):
    """The imports that lead from a module to JAX, or an empty list.

    Importing `a.b` runs `a/__init__.py` as well, so the parents count.
    """
    if name in seen or name not in modules:
        return []
    seen.add(name)
    for item in modules[name].imports:
        if item.at_import and item.root in JAX:
            return [name, item.target]
    targets = [i.target for i in modules[name].imports if i.at_import]
    for target in [name.rpartition(".")[0], *targets]:
        chain = chain_to_jax(target, modules, seen)
        if chain:
            return [name, *chain]
    return []


def files_and_functions_are_short(modules):
    for module in modules.values():
        lines = len(module.source.splitlines())
        if lines > MAX_FILE_LINES:
            yield f"{module.at(1)}: {lines} lines, allowed {MAX_FILE_LINES}"
        for node in module.functions():
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield (
                    f"{module.at(node.lineno)}: {node.name} has {lines} lines without"
                    f" its docstring, allowed {MAX_FUNCTION_LINES}"
                )


def nothing_is_unpickled(modules):
    picklers = {"pickle", "cloudpickle", "dill", "joblib"}
    for module in modules.values():
        for item in module.imports:
            if item.root in picklers:
                yield f"{module.at(item.line)}: imports {item.root}; files are data"
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.keyword) or node.arg != "allow_pickle":
                continue
            if ast.unparse(node.value) != "False":
                yield f"{module.at(node.value.lineno)}: allow_pickle must be False"


def public_names_have_docstrings(modules):
    for module in modules.values():
        if any(p.startswith("_") and p != "__main__" for p in module.parts):
            continue
        for node in module.tree.body:
            if not isinstance(node, FunctionNode | ast.ClassDef):
                continue
            if not node.name.startswith("_") and not ast.get_docstring(node):
                yield f"{module.at(node.lineno)}: {node.name} has no docstring"


def extras_stay_in_the_leaves(modules):
    for module in modules.values():
        if module.matches(LEAVES):
            continue
        for item in module.imports:
            if item.root in EXTRAS:
                yield (
                    f"{module.at(item.line)}: imports {item.root}, which belongs in"
                    f" {', '.join(LEAVES)}"
                )


RULES = (
    imports_point_down,
    systems_stand_alone,
    no_import_cycles,
    import_chains_are_short,
    light_modules_avoid_jax,
    files_and_functions_are_short,
    nothing_is_unpickled,
    public_names_have_docstrings,
    extras_stay_in_the_leaves,
)


@pytest.fixture(scope="module")
def modules():
    return read_package(pathlib.Path(jidcl.__file__).parent)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_package_keeps_the_rule(rule, modules):
    complaints = list(rule(modules))
    if complaints:
        pytest.fail("\n".join([f"{rule.__name__}:", *complaints]), pytrace=False)


# The rules themselves ---------------------------------------------------------------

# (rule, what is broken, the files, a part of the expected complaint or None)
BROKEN = (
    (imports_point_down, "up", {"latents/a.py": "import jidcl.train"}, "is above"),
    (
        imports_point_down,
        "sideways, relative, in a function",
        {"losses/a.py": "def f():\n  from ..metrics import b", "metrics/b.py": ""},
        "on the same level",
    ),
    (imports_point_down, "root", {"train/a.py": "from jidcl import f"}, "itself"),
    (imports_point_down, "new folder", {"misc/a.py": ""}, "no level"),
    (
        imports_point_down,
        "nothing",
        {
            "checks.py": "from jidcl.types import Pair",
            "numerics.py": "from jidcl import checks",
            "cli/main.py": "from jidcl import __version__, __doc__",
            "losses/__init__.py": "from jidcl.losses.a import f",
            "losses/a.py": "from jidcl.losses.b import g",
        },
        None,
    ),
    (
        systems_stand_alone,
        "a system in a system",
        {
            "systems/a/problem.py": "from jidcl.systems.b import presets",
            "systems/b/presets.py": "",
        },
        "imports another",
    ),
    (
        systems_stand_alone,
        "nothing",
        {
            "systems/a/problem.py": "from jidcl.systems.a import presets",
            "systems/a/presets.py": "from jidcl.systems.shared.settings import x",
            "systems/shared/settings.py": "from jidcl.systems.registry import y",
            "systems/registry.py": "def f():\n  import jidcl.systems.a.problem",
        },
        None,
    ),
    (
        no_import_cycles,
        "a cycle of two",
        {
            "losses/a.py": "from jidcl.losses import b",
            "losses/b.py": "class C:\n  from jidcl.losses import a",
        },
        "jidcl.losses.a -> jidcl.losses.b -> jidcl.losses.a",
    ),
    (
        no_import_cycles,
        "a cycle inside a function",
        {
            "losses/a.py": "from jidcl.losses import b",
            "losses/b.py": "def f():\n  from jidcl.losses import a",
        },
        "jidcl.losses.a -> jidcl.losses.b -> jidcl.losses.a",
    ),
    (
        no_import_cycles,
        "nothing",
        {
            "losses/a.py": "from jidcl.losses import b",
            "losses/b.py": """
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    from jidcl.losses import a
                """,
        },
        None,
    ),
    (
        import_chains_are_short,
        "one module too many",
        {f"losses/m{k}.py": f"import jidcl.losses.m{k + 1}" for k in range(12)}
        | {"losses/m12.py": ""},
        "an import chain of 13 modules, allowed 12: jidcl.losses.m0 -> jidcl.losses.m1",
    ),
    (
        import_chains_are_short,
        "nothing: a function waits, a cycle ends",
        {f"losses/m{k}.py": f"import jidcl.losses.m{k + 1}" for k in range(11)}
        | {"losses/m11.py": "import jidcl.losses.m10\ndef f(): import jidcl.losses.m0"},
        None,
    ),
    (
        light_modules_avoid_jax,
        "jax through two modules",
        {
            "cli/main.py": "from jidcl.run import runner",
            "run/runner.py": "from jidcl.train import loop",
            "train/__init__.py": "",
            "train/loop.py": "import jax.numpy",
        },
        "jidcl.cli.main -> jidcl.run.runner -> jidcl.train.loop -> jax.numpy",
    ),
    (
        light_modules_avoid_jax,
        "jax through a parent package",
        {
            "systems/__init__.py": "import flax",
            "systems/a/__init__.py": "",
            "systems/a/presets.py": "",
        },
        "jidcl.systems.a.presets -> jidcl.systems.a -> jidcl.systems -> flax",
    ),
    (
        light_modules_avoid_jax,
        "nothing",
        {"cli/main.py": "def f():\n  import jax"},
        None,
    ),
    (files_and_functions_are_short, "file", {"pairs.py": "x = 1\n" * 401}, "401 lines"),
    (
        files_and_functions_are_short,
        "function",
        {"pairs.py": "def f():\n  'doc'\n" + "  x = 1\n" * 80},
        "f has 81 lines",
    ),
    (
        files_and_functions_are_short,
        "nothing",
        {"pairs.py": "def f():\n  '''doc" + "\n" * 90 + "'''\n" + "  x = 1\n" * 79},
        None,
    ),
    (nothing_is_unpickled, "pickle", {"pairs.py": "import pickle"}, "imports pickle"),
    (
        nothing_is_unpickled,
        "allow_pickle",
        {"pairs.py": "np.load(f, allow_pickle=True)"},
        "allow_pickle",
    ),
    (
        nothing_is_unpickled,
        "nothing",
        {"pairs.py": "np.load(f, allow_pickle=False)"},
        None,
    ),
    (
        public_names_have_docstrings,
        "function",
        {"pairs.py": "def f(): ..."},
        "f has no",
    ),
    (public_names_have_docstrings, "class", {"pairs.py": "class C: ..."}, "C has no"),
    (public_names_have_docstrings, "nothing", {"pairs.py": "def _f(): ..."}, None),
    (
        extras_stay_in_the_leaves,
        "plots",
        {"run/runner.py": "import rich"},
        "imports rich",
    ),
    (
        extras_stay_in_the_leaves,
        "nothing",
        {"cli/draw.py": "import rich.live", "data/files.py": "from PIL import Image"},
        None,
    ),
)


@pytest.mark.parametrize(
    ("rule", "files", "expected"),
    [pytest.param(r, f, e, id=f"{r.__name__}: {what}") for r, what, f, e in BROKEN],
)
def test_rule_sees_what_it_forbids(rule, files, expected, tmp_path):
    for path, source in {"__init__.py": "", **files}.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source), encoding="utf-8")
    complaints = "\n".join(rule(read_package(tmp_path)))
    if expected is None:
        assert complaints == ""
    else:
        assert expected in complaints


def test_every_rule_is_tried():
    assert {case[0] for case in BROKEN} == set(RULES)
