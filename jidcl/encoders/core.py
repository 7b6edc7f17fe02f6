"""`Encoder(init, apply)`: Flax modules as pure functions over nested dicts."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx

from jidcl.checks import check_array, check_callable, check_real, check_type
from jidcl.types import Array, Params

# Flags that a module's call may take, and their value in training.
FLAGS = {"train": True, "training": True, "is_training": True}
FLAGS |= {"deterministic": False, "use_running_average": False}


class Encoder(NamedTuple):
    """An encoder as two pure functions; jit, vmap, grad and scan compose over them.

    Attributes:
        init: `key -> (params, state)`, nested dicts of arrays with string keys
            (`params["layers"]["0"]["kernel"]`); `state` holds what is not trained
            (batch statistics, the keys of dropout), an empty dict where there is none.
        apply: `(params, state, x, train=False) -> (y, state)`.
    """

    init: Callable[[Array], tuple[Params, Any]]
    apply: Callable[..., tuple[Array, Any]]


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module]) -> Encoder:
    """Encoder from the constructor of a Flax NNX module.

    Args:
        make: `rngs -> module`; the module maps `[batch, d]` to `[batch, m]`. It is
            called once per trace and never reaches a training step. Flags of `FLAGS`
            that its call takes are passed. What it sows is dropped.

    Returns:
        The encoder. Keys that the module draws from (`nnx.Dropout`) are in `state`, and
        move on in training.

    Raises:
        TypeError: on a module whose call needs other arguments.

    Example:
        >>> import jax
        >>> f = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
        >>> params, state = f.init(jax.random.key(0))
        >>> f.apply(params, state, jax.numpy.ones((5, 3)))[0].shape
        (5, 2)
    """
    check_callable("make", make)

    def made(rngs):
        module = make(rngs)
        nnx.pop(module, nnx.Intermediate)  # of a call while it was made
        return module

    abstract_module = nnx.eval_shape(lambda: made(nnx.Rngs(0)))
    flags = _flags(type(abstract_module))
    graph, abstract, abstract_rest = nnx.split(abstract_module, nnx.Param, ...)
    held = {path for path, _ in nnx.to_flat_state(abstract_rest)}

    def init(key):
        _, params, rest = nnx.split(made(nnx.Rngs(key)), nnx.Param, ...)
        return _to_dict(params), _to_dict(rest)

    def apply(params, state, x, train=False):
        module = nnx.merge(
            graph, _to_state(abstract, params), _to_state(abstract_rest, state)
        )
        (module.train if train else module.eval)(training=train, is_training=train)
        y = module(x, **_in_mode(flags, train))
        _, _, rest = nnx.split(module, nnx.Param, ...)
        known = [(path, v) for path, v in nnx.to_flat_state(rest) if path in held]
        return y, _to_dict(nnx.from_flat_state(known))

    return Encoder(init, apply)


def nnx_method(make: Callable[[nnx.Rngs], nnx.Module], name: str) -> Callable:
    """A method of the module that `from_nnx` makes, as a pure function.

    Args:
        make: as of `from_nnx`.
        name: of a method that changes no state in evaluation.

    Returns:
        `(params, state, *args) -> what the method returns`.
    """
    check_callable("make", make)
    graph, abstract, rest = nnx.split(
        nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param, ...
    )

    def call(params, state, *args):
        module = nnx.merge(graph, _to_state(abstract, params), _to_state(rest, state))
        module.eval()
        return getattr(module, name)(*args)

    return call


def from_linen(module: Any, example: Array) -> Encoder:
    """Encoder from a Flax Linen module and one example input (for its shapes).

    Args:
        module: a `flax.linen.Module` that maps `[batch, d]` to `[batch, m]`. Flags of
            `FLAGS` that its call takes are passed. What it sows is dropped.
        example: any `[batch, d]` array of the right dtype.

    Returns:
        The encoder; `params` is the module's `params` collection, `state` the rest. A
        module that draws (`nn.Dropout`) has a key as `state["rng"]`, which moves on in
        training.

    Raises:
        TypeError: on a module whose call needs other arguments.
    """
    from flax import linen
    from flax.errors import InvalidRngError

    check_type("module", module, linen.Module)
    check_array("example", example)
    check_real("example", example)
    flags = _flags(type(module))

    def run(variables, x, key, *, train, mutable):
        rngs = {} if key is None else {"params": key}  # stands for streams of any name
        options = _in_mode(flags, train)
        return module.apply(variables, x, rngs=rngs, mutable=mutable, **options)

    def start(key):
        variables = dict(module.init(key, example, **_in_mode(flags, False)))
        return variables.pop("params", {}), variables

    def moved(params, state, key, train=True):
        return run(
            {"params": params, **state}, example, key, train=train, mutable=list(state)
        )[1]

    def draws(train):
        try:
            jax.eval_shape(lambda p, s: moved(p, s, None, train), params, others)
        except InvalidRngError:
            return True
        return False

    key = jax.random.key(0)
    params, others = jax.eval_shape(start, key)
    after = jax.eval_shape(moved, params, others, key)
    # What a step would make longer is what the module sows: nothing to train with.
    kept = [name for name, held in others.items() if _alike(held, after[name])]
    random = draws(train=True) or draws(train=False)

    def init(key):
        own = None
        if random:
            key, own = jax.random.split(key)
        params, state = start(key)
        state = {name: state[name] for name in kept}
        return params, state if own is None else {**state, "rng": own}

    def apply(params, state, x, train=False):
        own = now = None
        if random:
            own, now = jax.random.split(jax.random.clone(state["rng"]))
        variables = {"params": params, **{name: state[name] for name in kept}}
        y, new = run(variables, x, now, train=train, mutable=kept)
        if not train:
            return y, state
        return y, dict(new) if own is None else {**new, "rng": own}

    return Encoder(init, apply)


def _flags(kind: type) -> dict[str, bool]:
    """Flags that a module's call takes, with their value in training."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    _, _, *others = inspect.signature(kind.__call__).parameters.values()
    others = [one for one in others if one.kind in named]
    unknown = [p.name for p in others if p.default is p.empty and p.name not in FLAGS]
    if unknown:
        raise TypeError(
            f"module must be called with x and flags of {list(FLAGS)} alone, but "
            f"{kind.__name__} also needs {unknown}"
        )
    return {one.name: FLAGS[one.name] for one in others if one.name in FLAGS}


def _in_mode(flags: dict[str, bool], train: bool) -> dict[str, bool]:
    return {name: train == in_training for name, in_training in flags.items()}


def _alike(a: Any, b: Any) -> bool:
    """Whether two trees have one structure, shapes and dtypes."""
    kinds = [jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (a, b)]
    return kinds[0] == kinds[1]


def _to_dict(state: Any) -> Any:
    """Nested dict with string keys from an NNX state."""
    nested: dict[str, Any] = {}
    for path, leaf in nnx.to_flat_state(state):
        *parents, name = map(str, path)
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf[...]
    return nested


def _to_state(abstract: Any, nested: Any) -> Any:
    """NNX state with the leaves of a nested dict."""

    def leaf(path, variable):
        node = nested
        for name in path:
            node = node[str(name)]
        return variable.replace(node)

    flat = nnx.to_flat_state(abstract)
    return nnx.from_flat_state([(path, leaf(path, v)) for path, v in flat])
