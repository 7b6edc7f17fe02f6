"""A fitted encoder as one StableHLO program, which `jax.export` loads without jidcl."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from jidcl.estimate.training import programs_of
from jidcl.files import in_short, write_whole

PLATFORMS = ("cpu", "cuda", "tpu")  # that the program runs on


def export_encoder(encoder: Any, path: Path) -> Path:
    """Write the best run of a fitted encoder, standardisation inside.

    Args:
        encoder: a fitted `ContrastiveEncoder`.
        path: the file, written in one step.

    Returns:
        The path.

    Raises:
        ImportError: without flatbuffers, which JAX writes such files with.
        ValueError: where the network takes no batch of unknown length.
    """
    try:
        import flatbuffers  # type: ignore # noqa: F401
    except ImportError as error:
        raise ImportError(
            "exported programs need flatbuffers: pip install 'jidcl[export]'"
        ) from error
    f = programs_of(encoder.learning(), encoder.n_features_in_).f
    params = jax.tree.map(
        lambda leaf: jnp.asarray(leaf[encoder.best_]), encoder.params_
    )
    mean, scale = (
        jnp.asarray(part[None], jnp.float32) for part in (encoder.mean_, encoder.scale_)
    )

    def outputs(x: jax.Array) -> jax.Array:
        return f(params, (x - mean) / scale)

    (rows,) = export.symbolic_shape("rows")
    x = jax.ShapeDtypeStruct((rows, encoder.n_features_in_), jnp.float32)
    try:
        program = export.export(jax.jit(outputs), platforms=PLATFORMS)(x)
    except (TypeError, ValueError) as error:  # of an own network
        raise ValueError(
            "network must take a batch of unknown length to be exported: "
            f"{in_short(error)}"
        ) from error
    content = program.serialize()

    def write(part: Path) -> None:
        part.write_bytes(content)

    write_whole(path, write)
    return path
