"""`Encoder(init, apply)`: Flax modules as pure functions over nested dicts."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import nnx

from jidcl.checks import check_array, check_callable, check_real, check_type
from jidcl.types import Array, Params


class Encoder(NamedTuple):
    """An encoder as two pure functions; jit, vmap, grad and scan compose over them.

    Attributes:
        init: `key -> (params, state)`, nested dicts of arrays with string keys
            (`params["layers"]["0"]["kernel"]`); `state` holds what is not trained
            (batch statistics), an empty dict where there is none.
        apply: `(params, state, x, train=False) -> (y, state)`.
    """

    init: Callable[[Array], tuple[Params, Any]]
    apply: Callable[..., tuple[Array, Any]]


def from_nnx(make: Callable[[nnx.Rngs], nnx.Module]) -> Encoder:
    """Encoder from the constructor of a Flax NNX module.

    Args:
        make: `rngs -> module`; the module maps `[batch, d]` to `[batch, m]`. It is
            called once per trace and never reaches a training step.

    Returns:
        The encoder.

    Example:
        >>> import jax
        >>> f = from_nnx(lambda rngs: nnx.Linear(3, 2, rngs=rngs))
        >>> params, state = f.init(jax.random.key(0))
        >>> f.apply(params, state, jax.numpy.ones((5, 3)))[0].shape
        (5, 2)
    """
    check_callable("make", make)
    graph, abstract, abstract_rest = nnx.split(
        nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param, ...
    )

    def init(key):
        module = make(nnx.Rngs(key))
        _, params, rest = nnx.split(module, nnx.Param, ...)
        return _to_dict(params), _to_dict(rest)

    def apply(params, state, x, train=False):
        module = nnx.merge(
            graph, _to_state(abstract, params), _to_state(abstract_rest, state)
        )
        module.train() if train else module.eval()
        y = module(x)
        _, _, rest = nnx.split(module, nnx.Param, ...)
        return y, _to_dict(rest)

    return Encoder(init, apply)


def from_linen(module: Any, example: Array) -> Encoder:
    """Encoder from a Flax Linen module and one example input (for its shapes).

    Args:
        module: a `flax.linen.Module` that maps `[batch, d]` to `[batch, m]`. If it
            takes a `train` argument, it is passed on.
        example: any `[batch, d]` array of the right dtype.

    Returns:
        The encoder; `params` is the module's `params` collection, `state` the rest.
    """
    import inspect

    from flax import linen

    check_type("module", module, linen.Module)
    check_array("example", example)
    check_real("example", example)
    takes_train = "train" in inspect.signature(type(module).__call__).parameters

    def init(key):
        options = {"train": False} if takes_train else {}
        variables = dict(module.init(key, example, **options))
        return variables.pop("params", {}), variables

    def apply(params, state, x, train=False):
        options = {"train": train} if takes_train else {}
        variables = {"params": params, **state}
        if not (train and state):
            return module.apply(variables, x, **options), state
        return module.apply(variables, x, mutable=list(state), **options)

    return Encoder(init, apply)


def _to_dict(state: Any) -> Any:
    """Nested dict with string keys from an NNX state."""
    flat = {
        "/".join(map(str, path)): leaf[...] for path, leaf in nnx.to_flat_state(state)
    }
    nested: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, name = path.split("/")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
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
