"""What the docstring of a public name must say, held on the syntax trees.

`complaints` gives, for every name that a package offers in `__all__` and for all that
the modules of `WHOLE` define, the sections that its docstring lacks. What does not hold
yet stands in `docstring_exceptions.txt`, which may only shrink: an entry that is not
needed fails as surely as a docstring that lacks something and has no entry.
"""

import ast
import pathlib
import re
import textwrap

import pytest

import jidcl
from source_tree import PACKAGE, FunctionNode, read_package

EXCEPTIONS = pathlib.Path(__file__).with_name("docstring_exceptions.txt")

# Modules of which every public function and class counts, offered in `__all__` or not.
WHOLE = (
    "claims/*",
    "latents/vmf.py",
    "losses/logsumexp.py",
    "losses/tiles.py",
    "objectives/*",
    "report/*",
    "run/*",
    "systems/contract.py",
    "systems/registry.py",
    "systems/shared/*",
    "train/evaluation.py",
    "train/gradient.py",
    "train/loop.py",
    "train/state.py",
    "train/step.py",
    "types.py",
)

# Folders whose offered names say where they are from, and show a call that runs.
SOURCED = {"latents", "losses", "metrics", "mixing", "theory"}

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Source", "Example")
HEADING = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Source|Example|Notes):")
ENTRY = re.compile(r"(\*{0,2}\w+):(?:\s|$)(.*)")

# What a docstring says ---------------------------------------------------------------


def sections(docstring):
    """The text of each section by its heading, unindented."""
    found, here = {}, None
    for line in docstring.splitlines():
        match = HEADING.match(line)
        if match:
            here = match[1]
            found[here] = [line[match.end() :].strip()]
        elif line and not line[0].isspace() and here != "Source":
            here = None
        elif here:
            found[here].append(line)
    return {
        heading: textwrap.dedent("\n".join(lines[1:])) if not lines[0] else lines[0]
        for heading, lines in found.items()
    }


def entries(text):
    """The description of each name of an Args or Attributes section."""
    found, name = {}, None
    for line in text.splitlines():
        match = ENTRY.match(line)
        if match:
            name = match[1]
            found[name] = match[2].strip()
        elif name is not None:
            found[name] += line.strip()
    return found


# What it must say --------------------------------------------------------------------


def own_nodes(node):
    """Every node of a function but those of the functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FunctionNode | ast.Lambda | ast.ClassDef):
            yield child
            yield from own_nodes(child)


def parameters(function, *, bound=False):
    """Names of a function's parameters as its docstring has them, private ones apart.

    `bound`: of a method, without the first.
    """
    args = function.args
    names = [arg.arg for arg in (*args.posonlyargs, *args.args)][bound:]
    names += [f"*{args.vararg.arg}"] if args.vararg else []
    names += [arg.arg for arg in args.kwonlyargs]
    names += [f"**{args.kwarg.arg}"] if args.kwarg else []
    return [name for name in names if not name.lstrip("*").startswith("_")]


def raised(function):
    """Names of the exceptions that a function's own body raises."""
    names = set()
    for node in own_nodes(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = ast.unparse(error).rpartition(".")[2]
            if name[:1].isupper() and name != "NotImplementedError":
                names.add(name)
    return names


def gives(function):
    """ "Yields", "Returns", or None where nothing comes back."""
    nodes = list(own_nodes(function))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return "Yields"
    returns = (node.value for node in nodes if isinstance(node, ast.Return))
    some = (v for v in returns if v is not None and ast.unparse(v) != "None")
    return "Returns" if any(some) else None


def is_record(node):
    """Whether a class is a dataclass or a NamedTuple: its fields are its interface."""
    bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
    marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
    return "dataclass" in marks or bool(bases & {"NamedTuple", "TypedDict"})


def fields(node, module):
    """Names of the public fields that a class adds to those of its bases here."""
    declared = [n for n in node.body if isinstance(n, ast.AnnAssign)]
    names = [n.target.id for n in declared if "ClassVar" not in ast.unparse(n)]
    bases = {ast.unparse(base) for base in node.bases}
    above = [n for n in module.tree.body if isinstance(n, ast.ClassDef)]
    held = {f for n in above if n.name in bases for f in fields(n, module)}
    return [name for name in names if not name.startswith("_") and name not in held]


def lacks(node, module, *, sourced):
    """What the docstring of a function or class lacks: {section: why}."""
    said = sections(ast.get_docstring(node) or "")
    methods = {n.name: n for n in getattr(node, "body", ()) if hasattr(n, "args")}
    named, errors, needed = {}, set(), []
    if isinstance(node, FunctionNode):
        named["Args"] = parameters(node)
        errors = raised(node)
        needed = [gives(node)]
    elif is_record(node):
        named["Attributes"] = fields(node, module)
        errors = raised(methods.get("__post_init__", ast.Module([], [])))
    elif "__init__" in methods:
        named["Args"] = parameters(methods["__init__"], bound=True)
        errors = raised(methods["__init__"])
    found = {}
    for section, names in named.items():
        texts = entries(said.get(section, ""))
        absent = [name for name in names if not texts.get(name)]
        if absent:
            found[section] = ", ".join(absent)
    if errors - set(re.findall(r"\w+", said.get("Raises", ""))):
        found["Raises"] = ", ".join(sorted(errors))
    needed += ["Source"] if sourced else []
    for section in filter(None, needed):
        if not said.get(section, "").strip():
            found[section] = "is not there"
    if sourced and ">>> " not in (ast.get_docstring(node) or ""):
        found["Example"] = "is not there"
    return found


# Which names -------------------------------------------------------------------------


def offered(module):
    """(name, module that it is taken from) of every entry of `__all__`."""
    for node in module.tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        name = ast.unparse(targets[0])
        if name == "_NAMES":  # the package's own: resolved on first use
            for item, folder in ast.literal_eval(node.value).items():
                yield item, f"{PACKAGE}.{folder}"
        elif name == "__all__" and isinstance(node.value, ast.List | ast.Tuple):
            for item in node.value.elts:
                if isinstance(item, ast.Constant) and item.value != "__version__":
                    yield item.value, module.name


def definition(name, where, modules):
    """(module, node) that defines a name, through re-exports; node None: a constant.

    Raises:
        LookupError: where no module defines it.
    """
    module = modules.get(where)
    for node in module.tree.body if module else ():
        if isinstance(node, FunctionNode | ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return definition(alias.name, node.module, modules)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if name in map(ast.unparse, targets):
                return module, None
    raise LookupError(f"{where}.{name} is offered and not defined")


def public_names(modules):
    """{dotted name: (module, node, whether its source must be named)}."""
    found = {}
    for module in modules.values():
        for name, where in offered(module):
            home, node = definition(name, where, modules)
            if node is not None:
                sourced = home.parts[0] in SOURCED
                found[f"{home.name}.{node.name}"] = home, node, sourced
        if not module.matches(WHOLE):
            continue
        for node in module.tree.body:
            if not isinstance(node, FunctionNode | ast.ClassDef):
                continue
            if not node.name.startswith("_"):
                found.setdefault(f"{module.name}.{node.name}", (module, node, False))
    return found


def complaints(modules):
    """{name: {section: why}} of every public name whose docstring lacks something."""
    names = public_names(modules)
    found = {
        name: lacks(node, module, sourced=sourced)
        for name, (module, node, sourced) in names.items()
    }
    return {name: missing for name, missing in sorted(found.items()) if missing}


def line(name, missing):
    """An entry of the list of exceptions."""
    return f"{name} missing: {', '.join(s for s in SECTIONS if s in missing)}"


def disagreements(modules, listed):
    """Where docstrings and the list of exceptions do not say the same."""
    found, names = complaints(modules), public_names(modules)
    lines = {line(name, missing): name for name, missing in found.items()}
    for text, name in lines.items():
        if text not in listed:
            module, node, _ = names[name]
            yield f"{module.at(node.lineno)}: {text} ({found[name]})"
    for text in listed:
        if text not in lines:
            yield f"{EXCEPTIONS.name}: not so any more, take out or shorten: {text}"


def test_docstrings_say_what_they_must():
    modules = read_package(pathlib.Path(jidcl.__file__).parent)
    assert len(public_names(modules)) > 300
    wrong = list(disagreements(modules, EXCEPTIONS.read_text("utf-8").splitlines()))
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


# The rule itself ---------------------------------------------------------------------

# (what is broken, the file, its source, what the rule must say: None for nothing)
CASES = (
    (
        "no Args",
        "types.py",
        '''
        def f(x):
            """It prints."""
        ''',
        "jidcl.types.f missing: Args",
    ),
    (
        "a parameter without a name in Args",
        "types.py",
        '''
        def f(x, *rest, y, **more):
            """It prints.

            Args:
                x: `[batch]`.
                *rest: floats.
                y:
                    `[batch]`.
            """
        ''',
        "jidcl.types.f missing: Args",
    ),
    (
        "an empty entry",
        "types.py",
        '''
        def f(x, y):
            """It prints.

            Args:
                x:
                y: `[batch]`.
            """
        ''',
        "jidcl.types.f missing: Args",
    ),
    (
        "a field of a dataclass",
        "types.py",
        '''
        @dataclasses.dataclass(frozen=True)
        class A:
            """A pair.

            Attributes:
                x: `[batch]`.
            """

            x: int
            y: int = 0
        ''',
        "jidcl.types.A missing: Attributes",
    ),
    (
        "a field of a NamedTuple, an error of __post_init__",
        "types.py",
        '''
        class A(NamedTuple):
            """A pair."""

            x: int

        @jax.tree_util.register_dataclass
        @dataclasses.dataclass
        class B:
            """A pair."""

            def __post_init__(self):
                raise ValueError("x")
        ''',
        "jidcl.types.A missing: Attributes\njidcl.types.B missing: Raises",
    ),
    (
        "arguments of __init__",
        "types.py",
        '''
        class A:
            """A thing."""

            def __init__(self, x): ...
        ''',
        "jidcl.types.A missing: Args",
    ),
    (
        "Returns, in a branch",
        "types.py",
        '''
        def f():
            """It computes."""
            if True:
                return 1
        ''',
        "jidcl.types.f missing: Returns",
    ),
    (
        "Yields",
        "types.py",
        '''
        def f():
            """It computes.

            Returns:
                Nothing of the kind.
            """
            yield 1
        ''',
        "jidcl.types.f missing: Yields",
    ),
    (
        "another error than the one raised",
        "types.py",
        '''
        def f():
            """It computes.

            Raises:
                ValueError: always.
            """
            raise errors.TypeError("x")
        ''',
        "jidcl.types.f missing: Raises",
    ),
    (
        "source and example, through a re-export",
        "losses/__init__.py",
        """
        from jidcl.losses.a import g as f

        __all__ = ["f"]
        """,
        "jidcl.losses.a.g missing: Returns, Source, Example",
    ),
    (
        "a name of the package itself",
        "__init__.py",
        """
        _NAMES = {"g": "losses.a"}
        """,
        "jidcl.losses.a.g missing: Returns, Source, Example",
    ),
    (
        "nothing",
        "theory/__init__.py",
        '''
        __all__ = ["LIMIT", "f"]
        LIMIT = 3

        def f(x, y, *, _own=None):
            """It computes x + y.

            Args:
                x: `[batch]`,
                    finite.
                y:
                    `[batch]`.

            Returns:
                The sum.

            Raises:
                ValueError: where they differ.

            Example:
                >>> f(1, 2)
                3

            Source: arithmetic.
            """

            def inner(a):
                raise KeyError(a)

            if x != y:
                raise ValueError("x")
            return x + y

        def _hidden(x): ...
        ''',
        None,
    ),
    (
        "nothing: not offered, and no module of which all counts",
        "encoders/core.py",
        """
        def f(x): return x
        """,
        None,
    ),
    (
        "nothing: nothing comes back, fields that are private, constant or of a base",
        "types.py",
        '''
        def f():
            """It prints."""
            return None

        class A(NamedTuple):
            """A pair."""

            _x: int
            y: ClassVar[int] = 1

        @dataclasses.dataclass
        class B:
            """A thing.

            Attributes:
                x: a number.
            """

            x: int = 0

        @dataclasses.dataclass
        class C(B):
            """A thing of two."""

            x: int = 2
        ''',
        None,
    ),
)


def written(folder, files):
    for path, source in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source), encoding="utf-8")
    return read_package(folder)


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [pytest.param(p, s, e, id=what) for what, p, s, e in CASES],
)
def test_rule_sees_what_it_forbids(path, source, expected, tmp_path):
    below = '''
        def g():
            """It computes."""
            return 1
        '''
    files = {"__init__.py": "", "losses/a.py": below, path: source}
    found = complaints(written(tmp_path, files))
    lines = [line(name, missing) for name, missing in found.items()]
    assert "\n".join(lines) == (expected or "")


def test_an_offered_name_must_exist(tmp_path):
    files = {"__init__.py": "", "losses/__init__.py": "__all__ = ['f']"}
    with pytest.raises(LookupError, match=r"losses\.f is offered"):
        complaints(written(tmp_path, files))


def test_the_list_holds_what_is_lacking_and_nothing_else(tmp_path):
    files = {"__init__.py": "", "types.py": "def f(x): return x"}
    modules = written(tmp_path, files)
    entry = "jidcl.types.f missing: Args, Returns"
    assert list(disagreements(modules, [entry])) == []
    assert [text.split(" (")[0] for text in disagreements(modules, [])] == [
        f"jidcl/types.py:1: {entry}"
    ]
    for stale in ("jidcl.types.f missing: Args", "jidcl.types.g missing: Args"):
        told = list(disagreements(modules, [entry, stale]))
        assert len(told) == 1
        assert told[0].endswith(f"take out or shorten: {stale}")
