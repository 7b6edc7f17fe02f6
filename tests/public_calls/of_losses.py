"""A valid call of every public loss."""

import dataclasses

import numpy as np

from jidcl import losses
from public_calls.arguments import (
    INDEPENDENT,
    KEY,
    NUMBERS,
    OTHER,
    TAU,
    UNIT_INTERVAL,
    VIEW,
    VIEWS,
    call,
    floats,
    given,
    integers,
    number,
    positive,
    text,
    thing,
    whole,
)

LOSSES = {
    "LatentPrior": call(
        losses.LatentPrior,
        kind=text("beta"),
        alpha=number(3.0, above=0, free=("array",)),
        beta=number(11.0, above=0, free=("array",)),
        host=True,
    ),
    "annealed_precision": call(
        losses.annealed_precision,
        t=number(10.0),
        steps=whole(100),
        start=number(1.0, above=0),
        end=number(100.0, above=0),
        share=UNIT_INTERVAL,
    ),
    "decoder_variance": call(losses.decoder_variance, x=VIEW, x_rec=OTHER),
    "gaussian_elbo": call(
        losses.gaussian_elbo,
        x=VIEW,
        x_rec=OTHER,
        kl=floats(8, seed=2),
        gamma2=number(10.0, above=0),
        weight=number(1.0, 0),
    ),
    "gaussian_nll": call(
        losses.gaussian_nll, x=VIEW, x_rec=OTHER, gamma2=number(10.0, above=0)
    ),
    "sampled_kl": call(
        losses.sampled_kl,
        mean=VIEW,
        log_var=OTHER,
        noise=floats(8, 3, seed=2),
        prior=thing(losses.LatentPrior("uniform")),
        guard=number(0.01, 0),
    ),
    "NegativePolicy": call(
        losses.NegativePolicy,
        negatives=text("in_batch"),
        compare=text("anchor"),
        alpha=UNIT_INTERVAL,
        host=True,
    ),
    "Similarity": call(
        losses.Similarity,
        {"kind": "similarity"},
        kind=text("lp"),
        p=number(1.5, 1),
        precision=text("float32"),
        host=True,
    ),
    "VICRegWeights": call(
        losses.VICRegWeights,
        invariance=number(1.0, 0),
        variance=number(1.0, 0),
        covariance=number(1.0, 0),
        epsilon=number(1e-4, 0),
        views=text("mean"),
        host=True,
    ),
    "accuracy": call(
        losses.accuracy,
        logits=floats(8, 4, free=(1, "infinite")),
        labels=integers([0, 1] * 4),
    ),
    "align_maxent": call(
        losses.align_maxent,
        y=VIEW,
        y_pos=OTHER,
        variance=number(0.5, above=0),
        weight=number(2.0, above=0),
    ),
    "align_uniform": call(
        losses.align_uniform,
        y=VIEW,
        y_pos=OTHER,
        y_neg=floats(6, 3, free=(0,)),
        p=number(1.5, 1),
        alpha=UNIT_INTERVAL,
    ),
    "alignment": call(
        losses.alignment, y=VIEW, y_pos=OTHER, p=number(3.0, 1), reduction=text("sum")
    ),
    "aninfonce": call(
        losses.aninfonce,
        y=VIEW,
        y_pos=OTHER,
        lam=positive(3),
        cross=text("symmetric"),
        beta=number(0.5, 0),
        tau_plus=number(0.1, 0, 0.999),
        reduction=text("mean"),
        form=text("ring"),
    ),
    "aninfonce_ensemble": call(
        losses.aninfonce_ensemble,
        y=VIEWS,
        y_pos=floats(2, 8, 3, seed=1),
        lam=positive(2, 3),
        weights=dataclasses.replace(given([0.25, 0.75]), low=0),
        beta=number(0.0, 0),
        tau_plus=number(0.0, 0, 0.999),
    ),
    "barlow": call(
        losses.barlow,
        z=VIEW,
        z_pos=OTHER,
        lam=number(0.1, 0),
        scale=number(2.0),
        epsilon=number(1e-3, 0),
    ),
    "bernoulli_nll": call(
        losses.bernoulli_nll,
        logits=VIEW,
        x=floats(8, 3, of=lambda x: np.float32(x > 0)),
    ),
    "bits_above_chance": call(
        losses.bits_above_chance,
        loss=floats(8, free=("rank", 0, "width", "number", "integers", "bool")),
        entries=whole(16),
    ),
    "byol": call(
        losses.byol, p=VIEW, p_pos=OTHER, target=VIEW, target_pos=floats(8, 3, seed=3)
    ),
    "class_logits": call(
        losses.class_logits,
        features=floats(8, 3, free=(0,)),
        w=floats(4, 3),
        beta=number(2.0),
        bias=floats(4, free=("none",)),
    ),
    "draw_directions": call(
        losses.draw_directions, key=KEY, m=whole(3), count=whole(4), random=True
    ),
    "ema_schedule": call(
        losses.ema_schedule,
        step=integers([0, 5], free=("rank", 0, "width", "range", "number", *NUMBERS)),
        start=number(0.9, 0, 1),
        end=number(1.0, 0, 1),
        steps=whole(10),
    ),
    "ema_update": call(
        losses.ema_update,
        {"average": "params"},
        average=floats(2, 3),
        params=floats(2, 3, seed=1),
        momentum=UNIT_INTERVAL,
    ),
    "from_lam": call(
        losses.from_lam, lam=positive(3, free=("rank", 0, "width", "number"))
    ),
    "gauss_infonce": call(
        losses.gauss_infonce, y=VIEW, y_pos=OTHER, sigma=number(0.7, above=0)
    ),
    "gaussian_kl": call(losses.gaussian_kl, mean=VIEW, log_var=OTHER),
    "infonce": call(
        losses.infonce,
        y=VIEW,
        y_pos=OTHER,
        y_neg=floats(6, 3, free=(0, "infinite")),
        similarity=thing(losses.Similarity("lp", 2.0)),
        tau=TAU,
        lam=positive(3, free=("none",)),
        policy=thing(INDEPENDENT),
        reduction=text("mean"),
        form=text("ring"),
    ),
    "init_queue": call(
        losses.init_queue, key=KEY, rows=whole(4), m=whole(3), random=True
    ),
    "instance_cross_entropy": call(
        losses.instance_cross_entropy,
        features=VIEW,
        w=floats(4, 3, free=(0,)),
        labels=integers([0, 1, 2, 3] * 2),
        beta=number(2.0),
        smoothing=UNIT_INTERVAL,
        reduction=text("mean"),
        tile=thing(2, free=("none", "number", "text")),
    ),
    "kernel_entropy": call(
        losses.kernel_entropy, y=floats(8, 3, free=(0, 1)), variance=TAU
    ),
    "laplace_cross_entropy": call(
        losses.laplace_cross_entropy,
        mean=VIEW,
        log_var=floats(8, 3, seed=1, free=("infinite",)),
        rate=number(6.0, above=0),
    ),
    "lejepa": call(
        losses.lejepa,
        views=floats(2, 8, 3, free=(0,)),
        directions=floats(3, 5, free=(1,)),
        lam=UNIT_INTERVAL,
        form=text("pooled"),
    ),
    "moco": call(
        losses.moco, query=VIEW, key=OTHER, queue=floats(6, 3, free=(0,)), tau=TAU
    ),
    "mse": call(losses.mse, y=VIEW, z=OTHER),
    "ntxent": call(losses.ntxent, z=VIEW, z_pos=OTHER, tau=TAU),
    "pairwise": call(
        losses.pairwise,
        similarity=thing(losses.Similarity("cosine")),
        a=floats(8, 3, free=(0,)),
        b=floats(4, 3, free=(0,)),
    ),
    "push": call(losses.push, queue=floats(8, 3), rows=floats(4, 3, free=(0,))),
    "r2_loss": call(losses.r2_loss, y=VIEW, z=OTHER, reduction=text("mean")),
    "rowwise": call(
        losses.rowwise, similarity=thing(losses.Similarity("lp", 3.0)), a=VIEW, b=OTHER
    ),
    "sigreg": call(
        losses.sigreg,
        y=floats(8, 3, free=(0,)),
        directions=floats(3, 5, free=(1,)),
        knots=whole(5, 2),
        t_max=number(2.0, above=0),
    ),
    "simsiam": call(
        losses.simsiam, p=VIEW, p_pos=OTHER, z=VIEW, z_pos=floats(8, 3, seed=3)
    ),
    "sinkhorn_codes": call(
        losses.sinkhorn_codes,
        scores=floats(8, 4, free=(0, 1, "infinite")),
        epsilon=TAU,
        iterations=whole(2),
    ),
    "standardised": call(
        losses.standardised, z=floats(8, 3, free=(0, 1)), epsilon=number(1e-3, 0)
    ),
    "swav": call(
        losses.swav,
        z=VIEW,
        z_pos=OTHER,
        prototypes=floats(4, 3, free=(0,)),
        tau=TAU,
        epsilon=TAU,
        iterations=whole(2),
    ),
    "to_lam": call(
        losses.to_lam, raw=floats(3, free=("rank", 0, "width", "number", "infinite"))
    ),
    "uniformity": call(
        losses.uniformity,
        y=floats(8, 3, free=(0, "infinite")),
        y_neg=floats(6, 3, free=(0,)),
        p=number(1.5, 1),
        reduction=text("mean"),
    ),
    "SlowVAEWeights": call(
        losses.SlowVAEWeights,
        prior=number(1.0, 0),
        slow=number(10.0, 0),
        rate=number(6.0, above=0),
        host=True,
    ),
    "slowvae": call(
        losses.slowvae,
        mean=floats(4, 2, 3),
        log_var=floats(4, 2, 3, seed=1),
        logits=floats(4, 2, 5),
        x=floats(4, 2, 5, seed=1, of=lambda x: np.float32(x > 0)),
        weights=thing(losses.SlowVAEWeights(), free=("none",)),
    ),
    "vicreg": call(
        losses.vicreg,
        z=VIEW,
        z_pos=OTHER,
        weights=thing(losses.VICRegWeights(), free=("none",)),
    ),
    "view_alignment": call(
        losses.view_alignment, views=floats(2, 8, 3, free=(0, 1, "width"))
    ),
    "whitened_alignment": call(
        losses.whitened_alignment,
        views=floats(2, 8, 3, free=(0, "width")),
        lam=UNIT_INTERVAL,
    ),
    "whitening": call(losses.whitening, y=floats(8, 3, free=(0, 1))),
}
