"""Forward passes, mixings and Adam in float64 NumPy."""

import numpy as np

ACTIVATIONS = {
    "leaky_relu": lambda x, slope: np.maximum(x, slope * x),
    "relu": lambda x, slope: np.maximum(x, 0),
    "elu": lambda x, slope: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "softplus": lambda x, slope: np.log1p(np.exp(x)),
    "smooth_leaky_relu": lambda x, slope: slope * x + (1 - slope) * np.log1p(np.exp(x)),
}


def mix(kernels, z, slope=0.2, activation="leaky_relu"):
    """x = W_L phi(... phi(W_1 z)), kernels stored as (in, out)."""
    x = np.asarray(z, np.float64)
    for i, kernel in enumerate(np.asarray(kernels, np.float64)):
        x = np.einsum("bi,io->bo", x, kernel)
        if i < len(kernels) - 1:
            x = ACTIVATIONS[activation](x, slope)
    return x


def mlp(layers, x, slope=0.01):
    """Affine layers `(kernel, bias)` with leaky ReLU after all but the last."""
    x = np.asarray(x, np.float64)
    for i, (kernel, bias) in enumerate(layers):
        x = x @ np.asarray(kernel, np.float64) + np.asarray(bias, np.float64)
        if i < len(layers) - 1:
            x = np.where(x > 0, x, slope * x)
    return x


def output(kind, x, scale):
    """The output spaces; `scale` is the radius or the bound."""
    if kind.endswith("sphere"):
        return scale * x / np.sqrt(np.sum(x**2, axis=-1, keepdims=True))
    if kind.endswith("box"):
        return scale / (1 + np.exp(-x))
    return x


def adam(params, gradient, rates, b1=0.9, b2=0.999, eps=1e-8):
    """Iterates of Adam (Kingma and Ba 2015, algorithm 1)."""
    params = np.asarray(params, np.float64)
    m, v, path = np.zeros_like(params), np.zeros_like(params), []
    for t, rate in enumerate(rates, start=1):
        g = gradient(params)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        params = params - rate * m_hat / (np.sqrt(v_hat) + eps)
        path.append(params)
    return path
