"""The textbook PyTorch formulation of the same work, from the equations.

All pairs by broadcasting, a norm over the features, positives concatenated, logsumexp,
Adam, a Python loop. What a user of one-file research code runs today.
"""

from importlib.util import find_spec
from typing import Any

import jax
import numpy as np
import torch  # type: ignore

from jidcl.bench.measure import repeat


def device() -> str:
    """`"cuda"` where JAX runs on a GPU and PyTorch finds it too, else `"cpu"`."""
    both = jax.default_backend() == "gpu" and torch.cuda.is_available()
    return "cuda" if both else "cpu"


def time_waited(run: Any, repeats: int) -> np.ndarray:
    """`jidcl.bench.measure.repeat`, with the device's queue waited for."""

    def whole():
        run()
        if device() == "cuda":
            torch.cuda.synchronize()

    return repeat(whole, repeats)


def infonce(name: str, y, y_pos, tau: float = 1.0):
    """The published contrastive loss with in-batch negatives and the positive."""
    if name == "dot":
        negative, positive = y @ y.T, (y * y_pos).sum(-1)
    else:
        p = float(name.removeprefix("p="))
        difference = y[:, None] - y[None]
        negative = -(torch.linalg.vector_norm(difference, ord=p, dim=-1) ** p)
        positive = -(torch.linalg.vector_norm(y - y_pos, ord=p, dim=-1) ** p)
    entries = torch.cat([negative, positive[:, None]], dim=1) / tau
    return (torch.logsumexp(entries, dim=1) - positive / tau).mean()


def time_loss(name: str, y: np.ndarray, y_pos: np.ndarray, *, repeats: int):
    """Wall seconds of the loss with gradients."""
    arrays = _tensors(y, y_pos)
    first, second = arrays

    def run():
        torch.autograd.grad(infonce(name, first, second), arrays)

    return time_waited(run, repeats)


def has_inf_cl(n: int) -> bool:
    """Whether the published `inf_cl` package runs: CUDA, installed, known width."""
    installed = find_spec("inf_cl") is not None
    return device() == "cuda" and installed and n in _INF_CL_WIDTHS


def time_inf_cl(y: np.ndarray, y_pos: np.ndarray, *, repeats: int):
    """Wall seconds of its streamed loss with gradients: as many dot products as ours.

    Source: Cheng et al. 2024, *Breaking the Memory Barrier*, package `inf_cl`.
    """
    from inf_cl import cal_flash_loss  # type: ignore

    arrays = _tensors(y, y_pos)

    def run():
        loss = cal_flash_loss(*arrays, head_dim=y.shape[-1]).mean()
        torch.autograd.grad(loss, arrays)

    return time_waited(run, repeats)


_INF_CL_WIDTHS = (16, 32, 64, 128, 256)


def _tensors(*arrays: np.ndarray) -> list[Any]:
    return [torch.tensor(a, requires_grad=True, device=device()) for a in arrays]


def value_and_gradients(name: str, y: np.ndarray, y_pos: np.ndarray):
    """Loss and gradients as arrays, to be compared with ours."""
    arrays = [torch.tensor(a, requires_grad=True) for a in (y, y_pos)]
    loss = infonce(name, arrays[0], arrays[1])
    return loss.item(), [g.numpy() for g in torch.autograd.grad(loss, arrays)]


def time_steps(name: str, config: Any, *, steps: int, repeats: int):
    """Wall seconds of one step: draw, mix, encode, loss, gradients, Adam.

    Positives are drawn without the truncation or projection that ours have; it costs
    this side nothing.
    """
    sizes = [config.n, *(width * config.n for width in config.widths), config.n]
    layers: list[Any] = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.LeakyReLU(config.slope)]
    f = torch.nn.Sequential(*layers[:-1]).to(device())
    adam = torch.optim.Adam(f.parameters(), lr=config.learning_rate)
    own: Any = dict(device=device())
    kernels = [torch.linalg.qr(torch.randn(config.n, config.n))[0] for _ in range(3)]
    kernels = [kernel.to(**own) for kernel in kernels]

    def g(x):
        for kernel in kernels[:-1]:
            x = torch.nn.functional.leaky_relu(x @ kernel, 0.2)
        return x @ kernels[-1]

    def run():
        for _ in range(steps):
            z = torch.rand(config.batch, config.n, **own)
            z_pos = z + config.conditional_param * torch.randn_like(z)
            y, y_pos = f(g(z)), f(g(z_pos))
            if config.output == "sphere":
                y, y_pos = (
                    torch.nn.functional.normalize(v, dim=-1) for v in (y, y_pos)
                )
            loss = infonce(name, y, y_pos, config.tau)
            adam.zero_grad()
            loss.backward()
            adam.step()

    return time_waited(run, repeats) / steps
