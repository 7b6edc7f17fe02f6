"""With which power of its precision does a VAE near its limit? Exponents, fitted.

At 16 points of a smooth triangular map of two Gaussian sources the best diagonal
posterior is found by quadrature and Newton's method, for precisions gamma2 from 1e2 to
1e5. Three distances from the limit of small noise are averaged over the points: of the
bound to log p - c_IMA, of the posterior's mean to the true latents, and of its variance
to the law, relative. The exponent is the slope of a line through their logarithms.

Expected, said before the run: -1 in gamma2 within 0.05, for all three (the theory says
O(1 / gamma) for the mean).

Command: python experiments/precision_law.py --out experiments/results
Writes precision_law.json.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

POINTS, NODES = 16, 12
PRECISIONS = 10.0 ** np.arange(2, 5.25, 0.5)


def distances(seed: int) -> dict[str, np.ndarray]:
    """Mean distances from the limit, one a precision."""
    import jax
    import jax.numpy as jnp

    from jidcl.losses import LatentPrior
    from jidcl.metrics import jacobians
    from jidcl.systems.ima_vae.presets import ImaVae
    from jidcl.systems.ima_vae.process import freeze, observe
    from jidcl.theory import best_posterior, ima_likelihood, small_noise_variance

    config = ImaVae(mixing="triangular", source="gaussian", prior="gaussian")
    prior = LatentPrior("gaussian")
    own = dict(prior=prior, nodes=NODES, steps=30)

    def one(g, z, gamma2):
        def f(z):
            return observe(config, g, z)

        j = jacobians(f, z[None])
        limit = ima_likelihood(prior.log_prob(z[None]), j)
        law = small_noise_variance(j[0], gamma2, jnp.ones_like(z))
        best = best_posterior(f, f(z[None])[0], z, jnp.log(law), gamma2=gamma2, **own)
        return {
            "bound": jnp.abs(best.elbo - limit.objective[0]),
            "mean": jnp.linalg.norm(best.mean - z),
            "variance": jnp.mean(jnp.abs(jnp.exp(best.log_var) / law - 1)),
        }

    def whole(key):
        g = jax.tree.map(lambda x: x.astype(float), freeze(config, key))
        z = jax.random.normal(jax.random.fold_in(key, 1), (POINTS, 2), float)
        over = jax.vmap(one, (None, 0, None))
        found = jax.lax.map(lambda p: over(g, z, p), jnp.asarray(PRECISIONS))
        return jax.tree.map(lambda x: jnp.mean(x, axis=1), found)

    return jax.device_get(jax.jit(whole)(jax.random.key(seed)))


def main() -> None:
    from jidcl.numerics import numbers_in

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.process_time()
    with numbers_in("float64"):
        found = distances(options.seed)
    logs = np.log(PRECISIONS)
    record = {
        "precision": PRECISIONS.tolist(),
        "distance": {name: row.tolist() for name, row in found.items()},
        "exponent": {
            name: float(np.polyfit(logs, np.log(row), 1)[0])
            for name, row in found.items()
        },
        "processor_seconds": round(time.process_time() - begun),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "precision_law.json"
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
