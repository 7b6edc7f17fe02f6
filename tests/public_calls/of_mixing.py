"""A valid call of every public function of mixings."""

import numpy as np

from jidcl import mixing
from public_calls.arguments import (
    BATCHED,
    KEY,
    call,
    coupling,
    floats,
    mixing_of,
    number,
    text,
    thing,
    whole,
)


def moebius_of(n=3):
    """Parameters of a Moebius map, written down."""
    drawn = np.random.default_rng(6).normal(size=(n, n))
    return {
        "q": np.float32(np.linalg.qr(drawn)[0]),
        "pole": np.float32([0.9, -1.1, 0.7][:n]),
        "shift": np.zeros(n, np.float32),
        "scale": np.float32(1),
        "linear": np.eye(n, dtype=np.float32) + np.float32(0.1),
    }


def autoregressive(n=3):
    """Parameters of one autoregressive layer and another."""
    drawn = np.random.default_rng(7).normal(size=(2, 2, n, n))
    return {"scales": np.float32(drawn[0]), "shifts": np.float32(drawn[1])}


MIXING = {
    "angled": call(mixing.angled, cosine=number(0.6, 0, 1 - 1e-7)),
    "autoregress": call(
        mixing.autoregress,
        params=thing(autoregressive()),
        z=floats(5, 3, free=BATCHED),
    ),
    "unautoregress": call(
        mixing.unautoregress,
        params=thing(autoregressive()),
        x=floats(5, 3, free=BATCHED),
    ),
    "init_autoregressive": call(
        mixing.init_autoregressive, key=KEY, n=whole(3), layers=whole(2), random=True
    ),
    "init_moebius": call(mixing.init_moebius, key=KEY, n=whole(3), random=True),
    "moebius": call(
        mixing.moebius, params=thing(moebius_of()), z=floats(5, 3, free=BATCHED)
    ),
    "moebius_jacobian": call(
        mixing.moebius_jacobian,
        params=thing(moebius_of()),
        z=floats(5, 3, free=BATCHED),
    ),
    "unmoebius": call(
        mixing.unmoebius, params=thing(moebius_of()), x=floats(5, 3, free=(0,))
    ),
    "unit_determinant": call(mixing.unit_determinant, a=floats(3, 3)),
    "couple": call(
        mixing.couple, params=thing(coupling()), z=floats(5, 4, free=BATCHED)
    ),
    "init_coupling": call(
        mixing.init_coupling,
        key=KEY,
        n=whole(4, 2),
        layers=whole(2),
        scale=number(2.0),
        random=True,
    ),
    "init_invertible_mlp": call(
        mixing.init_invertible_mlp,
        key=KEY,
        n=whole(3),
        layers=whole(2),
        draws=whole(5),
        random=True,
    ),
    "init_linear": call(
        mixing.init_linear, key=KEY, n=whole(3), draws=whole(5), random=True
    ),
    "init_orthogonal": call(
        mixing.init_orthogonal, key=KEY, n=whole(3), layers=whole(2), random=True
    ),
    "mix": call(
        mixing.mix,
        params=thing(mixing_of()),
        z=floats(5, 3, free=BATCHED),
        slope=number(0.2, high=1, above=0),
        activation=text("leaky_relu"),
    ),
    "normalise_columns": call(
        mixing.normalise_columns, a=floats(3, 3, free=("rank up",))
    ),
    "uncouple": call(
        mixing.uncouple, params=thing(coupling()), x=floats(5, 4, free=BATCHED)
    ),
    "unmix": call(
        mixing.unmix,
        params=thing(mixing_of()),
        x=floats(5, 3, free=(0,)),
        slope=number(0.2, high=1, above=0),
        activation=text("leaky_relu"),
    ),
}
