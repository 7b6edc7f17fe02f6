"""One function, many parameters: a ReLU network whose layers are rescaled."""

from typing import NamedTuple

import jax

from jidcl.checks import check_above, check_scalar, check_shape


class ReluNet(NamedTuple):
    """y = W2 relu(W1 x + b1) + b2.

    Attributes:
        w1: `[hidden, inputs]`.
        b1: `[hidden]`.
        w2: `[outputs, hidden]`.
        b2: `[outputs]`.
    """

    w1: jax.Array
    b1: jax.Array
    w2: jax.Array
    b2: jax.Array


def relu_output(net: ReluNet, x: jax.Array) -> jax.Array:
    """The outputs of rows of x.

    Args:
        net: the network.
        x: `[rows, inputs]`.

    Returns:
        `[rows, outputs]`.

    Example:
        >>> import jax.numpy as jnp
        >>> net = ReluNet(jnp.eye(2), jnp.zeros(2), jnp.ones((1, 2)), jnp.zeros(1))
        >>> relu_output(net, jnp.array([[1.0, -2.0]])).tolist()
        [[1.0]]

    Source: the definition.
    """
    return jax.nn.relu(x @ net.w1.T + net.b1[None]) @ net.w2.T + net.b2[None]


def rescaled_net(net: ReluNet, alpha: jax.Array | float) -> ReluNet:
    """(alpha W1, alpha b1, W2 / alpha, b2): the same function, other gradients.

    Args:
        net: the network.
        alpha: > 0.

    Returns:
        Another network.

    Raises:
        ValueError: on alpha <= 0.

    Example:
        >>> import jax.numpy as jnp
        >>> net = ReluNet(jnp.eye(2), jnp.zeros(2), jnp.ones((1, 2)), jnp.zeros(1))
        >>> relu_output(rescaled_net(net, 2.0), jnp.array([[1.0, -2.0]])).tolist()
        [[1.0]]

    Source: Reizinger et al. 2024, section 4, whose published code rescales the
        activation, which changes no gradient.
    """
    check_scalar("alpha", alpha)
    check_above("alpha", alpha, 0)
    return ReluNet(alpha * net.w1, alpha * net.b1, net.w2 / alpha, net.b2)


def rescaled_kernel(net: ReluNet, x: jax.Array, alpha: jax.Array | float) -> jax.Array:
    """The tangent kernel of `rescaled_net`, of one output: how fast SGD moves what.

    alpha^2 h.h' + alpha^-2 (x.x' + 1) sum over units active in both of w2^2 + 1, h the
    hidden activations at alpha = 1.

    Args:
        net: the network, with one output.
        x: `[rows, inputs]`.
        alpha: > 0.

    Returns:
        `[rows, rows]`.

    Raises:
        ValueError: on alpha <= 0, or more than one output.

    Example:
        >>> import jax.numpy as jnp
        >>> net = ReluNet(jnp.eye(2), jnp.zeros(2), jnp.ones((1, 2)), jnp.zeros(1))
        >>> float(rescaled_kernel(net, jnp.array([[1.0, -2.0]]), 1.0)[0, 0])
        8.0

    Source: the definition, Jacot et al. 2018.
    """
    check_scalar("alpha", alpha)
    check_above("alpha", alpha, 0)
    check_shape("w2 of net", net.w2, (1, net.b1.shape[0]))
    hidden = jax.nn.relu(x @ net.w1.T + net.b1[None])
    active = (hidden > 0).astype(x.dtype)
    shared = (active * net.w2**2) @ active.T
    inputs = x @ x.T + 1
    return alpha**2 * (hidden @ hidden.T) + inputs * shared / alpha**2 + 1
