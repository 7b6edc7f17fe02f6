"""Losses of a widely used PyTorch library, where it is installed (`lightly`).

Values and gradients of both, in float64, on the same normal numbers.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import losses

torch = pytest.importorskip("torch")
peer = pytest.importorskip("lightly.loss")

BATCH, M, CLUSTERS = 48, 8, 12


def simsiam(p, p_pos, z, z_pos):
    cosine = peer.NegativeCosineSimilarity()
    return (cosine(p, z_pos.detach()) + cosine(p_pos, z.detach())) / 2


def swav(z, z_pos, prototypes):
    unit = torch.nn.functional.normalize
    scores = [unit(view) @ unit(prototypes).T for view in (z, z_pos)]
    return peer.SwaVLoss()(scores, [])


VIEW = (BATCH, M)
# Ours, theirs, and the shapes of what both take.
PAIRS = {
    "barlow": (losses.barlow, lambda *z: peer.BarlowTwinsLoss()(*z), (VIEW, VIEW)),
    "ntxent": (
        lambda *z: losses.ntxent(*z, tau=0.2),
        lambda *z: peer.NTXentLoss(temperature=0.2)(*z),
        (VIEW, VIEW),
    ),
    "simsiam": (losses.simsiam, simsiam, (VIEW,) * 4),
    "swav": (losses.swav, swav, (VIEW, VIEW, (CLUSTERS, M))),
    "vicreg": (losses.vicreg, lambda *z: peer.VICRegLoss()(*z), (VIEW, VIEW)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_are_those_of_the_peer(name, x64):
    ours, theirs, shapes = PAIRS[name]
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    value, grads = jax.jit(
        jax.value_and_grad(lambda *z: ours(*z)[0], argnums=tuple(range(len(shapes))))
    )(*map(jnp.asarray, arrays))
    tensors = [torch.tensor(each, requires_grad=True) for each in arrays]
    loss = theirs(*tensors)
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-6)
    for grad, tensor in zip(grads, tensors, strict=True):
        want = np.zeros(grad.shape) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(grad, want, atol=1e-6 * np.abs(want).max() + 1e-12)
