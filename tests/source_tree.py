"""A package as syntax trees: its modules and what they import."""

import ast
import dataclasses
import fnmatch
import pathlib

PACKAGE = "jidcl"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Import:
    target: str  # absolute; a submodule where one is named, else what it is taken from
    line: int
    deferred: bool  # inside a function
    typing_only: bool  # under `if TYPE_CHECKING:`

    @property
    def root(self):
        return self.target.split(".")[0]

    @property
    def at_import(self):
        return not (self.deferred or self.typing_only)


@dataclasses.dataclass(frozen=True)
class Module:
    name: str  # dotted
    path: str  # below the package, with slashes
    source: str
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def parts(self):
        return self.name.split(".")[1:]

    def functions(self):
        """Every function and method, nested ones included."""
        return [n for n in ast.walk(self.tree) if isinstance(n, FunctionNode)]

    def at(self, line):
        return f"{PACKAGE}/{self.path}:{line}"

    def matches(self, patterns):
        return any(fnmatch.fnmatchcase(self.path, pattern) for pattern in patterns)


def read_package(folder):
    """All modules of the package in `folder`, by dotted name."""
    folder = pathlib.Path(folder)
    paths = {}
    for file in sorted(folder.rglob("*.py")):
        path = file.relative_to(folder)
        parts = (PACKAGE, *path.with_suffix("").parts)
        paths[".".join(parts).removesuffix(".__init__")] = path
    modules = {}
    for name, path in paths.items():
        source = (folder / path).read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(path))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imports = tuple(find_imports(tree, package, known=set(paths)))
        modules[name] = Module(name, path.as_posix(), source, tree, imports)
    return modules


def find_imports(node, package, known, deferred=False, typing_only=False):
    """Every import statement below `node`, in order."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for target in import_targets(child, package, known):
                yield Import(target, child.lineno, deferred, typing_only)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                body = ast.Module([statement], [])
                yield from find_imports(body, package, known, deferred, True)
            rest = ast.Module(child.orelse, [])
            yield from find_imports(rest, package, known, deferred, typing_only)
        else:
            inner = deferred or isinstance(child, FunctionNode | ast.Lambda)
            yield from find_imports(child, package, known, inner, typing_only)


def import_targets(node, package, known):
    """The absolute names of what one import statement of `package` depends on."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        parents = parents[: len(parents) - node.level + 1]
        base = ".".join([*parents, base] if base else parents)
    if base == PACKAGE and all(a.name.startswith("__") for a in node.names):
        return []  # `from jidcl import __version__` depends on no other module
    names = [f"{base}.{alias.name}" for alias in node.names]
    return sorted({name if name in known else base for name in names})
