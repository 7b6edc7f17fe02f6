"""A valid call of each public encoder, objective, optimiser, and of the package."""

import dataclasses

import flax.linen
import numpy as np
from flax import nnx

import jidcl
from jidcl import encoders, latents, losses, metrics, objectives
from public_calls.arguments import (
    BATCHED,
    KEY,
    OTHER,
    TAU,
    UNIT_INTERVAL,
    VIEW,
    call,
    floats,
    made,
    number,
    of_example,
    of_objective,
    rate_of,
    sequence,
    started,
    text,
    thing,
    updated,
    whole,
)
from public_calls.of_metrics import Y, Z

ENCODERS = {
    "from_linen": call(
        of_example,
        module=thing(flax.linen.Dense(2)),
        example=thing(np.ones((2, 3), np.float32)),
    ),
    "from_nnx": call(
        started(encoders.from_nnx, 2, 3),
        make=thing(lambda rngs: nnx.Linear(3, 2, rngs=rngs)),
    ),
    "make_cnn": call(
        made(encoders.make_cnn),
        size=whole(8),
        channels=whole(1),
        m=dataclasses.replace(whole(2), free=("none",)),
    ),
    "make_cnn_decoder": call(
        made(encoders.make_cnn_decoder),
        size=whole(8),
        channels=whole(1),
        n=whole(2),
        narrow=whole(2, 1, 32),
    ),
    "make_resnet": call(
        made(encoders.make_resnet),
        depth=whole(18, 18),
        m=dataclasses.replace(whole(2), free=("none",)),
    ),
    "make_inverse_coupling": call(
        started(encoders.make_inverse_coupling, 5, 4),
        n=whole(4, 4),
        layers=whole(2),
        scale=number(1.0, above=0),
    ),
    "make_causal_linear": call(
        made(encoders.make_causal_linear),
        tokens=whole(5),
        embedding=whole(3),
        length=whole(4),
    ),
    "make_lstm": call(
        made(encoders.make_lstm),
        tokens=whole(5),
        embedding=whole(3),
        width=whole(4),
        layers=whole(2),
        dropout=UNIT_INTERVAL,
    ),
    "make_transformer": call(
        made(encoders.make_transformer),
        tokens=whole(5),
        d=whole(4, 4),
        heads=whole(1, 1, 2),
        feed_forward=whole(3),
        layers=whole(1),
        dropout=UNIT_INTERVAL,
        eps=number(1e-3, above=0),
        positions=text("sinusoidal"),
        length=whole(6),
        pad=whole(4, 0),
    ),
    "make_mlp": call(
        started(encoders.make_mlp, 5, 3),
        n=whole(3, 3),
        d=dataclasses.replace(whole(3, 3), free=("none",)),
        m=dataclasses.replace(whole(2), free=("none",)),
        widths=sequence((2, 3), free=("longer",)),
        slope=number(0.1),
        activation=text("leaky_relu"),
        init=text("he_normal"),
        output=text("learnable_sphere"),
        output_size=number(1.0, above=0),
    ),
    "rescale": call(
        encoders.rescale,
        x=floats(5, 3, free=(*BATCHED, "width")),
        r=number(2.0, above=0),
    ),
    "softclip": call(
        encoders.softclip,
        x=floats(5, 3, free=(*BATCHED, "width", "infinite")),
        bound=number(2.0, above=0, free=("array", "none")),
    ),
}


OBJECTIVES = {
    "ObjectiveSettings": call(
        objectives.ObjectiveSettings,
        steps=whole(3),
        batch=whole(4, 2),
        tau=number(0.5, above=0, free=("none",)),
        lam=number(0.5, above=0, free=("none",)),
        momentum=UNIT_INTERVAL,
        end_momentum=UNIT_INTERVAL,
        queue=whole(2),
        hidden=whole(4),
        prototypes=whole(4, 2),
        epsilon=TAU,
        directions=whole(4),
        variance=TAU,
        host=True,
    ),
    "make_objective": call(
        of_objective,
        {"name": "objective"},
        name=text("vicreg"),
        settings=thing(objectives.ObjectiveSettings(steps=1, batch=4)),
    ),
}


OPTIM = {
    "make_schedule": call(
        rate_of,
        {"name": "schedule"},
        name=text("cosine"),
        learning_rate=number(0.1, above=0),
        steps=whole(10),
        warmup=whole(2, 0),
    ),
    "make_optimiser": call(
        updated,
        {"name": "optimiser"},
        name=text("adamw"),
        learning_rate=number(0.1, above=0),
        steps=whole(10),
        schedule=text("cosine"),
        warmup=whole(2, 0),
        weight_decay=number(0.1, 0),
    ),
}


TOP = {
    "sample_pair": call(
        jidcl.sample_pair,
        key=KEY,
        space=thing(latents.Sphere(3)),
        marginal=thing(latents.Uniform()),
        conditional=thing(latents.VonMisesFisher(3.0)),
        batch=whole(4, 2),
        random=True,
    ),
    # What is written in tiles.
    "infonce[tile]": call(
        losses.infonce,
        y=VIEW,
        y_pos=OTHER,
        tau=TAU,
        tile=thing(4, free=("none", "number", "text")),
    ),
    "r2[split]": call(metrics.r2, z=Z, y=Y, split=thing(True, free=("any",))),
}
