"""`ContrastiveEncoder`: an encoder of pairs with the conventions of scikit-learn."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_finite
from jidcl.estimate import pairs as rows
from jidcl.estimate.bits import Yardstick, bits_of, fit_yardstick
from jidcl.estimate.conventions import Conventions
from jidcl.estimate.export import export_encoder
from jidcl.estimate.learning import INFONCE, Learning, check_learning
from jidcl.estimate.storage import load_encoder, save_encoder
from jidcl.estimate.training import Fitted, learn, programs_of

APPLY_ROWS = 4096  # that the encoder is applied to at once


class ContrastiveEncoder(Conventions):
    """An encoder trained on pairs of observations that share factors.

    y = f((x - mean) / scale); f descends an objective on explicit pairs (x, x_pos),
    every seed from its own start, all of them in one program.

    Args:
        outputs: outputs of the encoder, m.
        objective: `"infonce"` (of minus a p-norm, against independent rows), or a name
            of `jidcl.objectives.OBJECTIVES`.
        p: exponent of `"infonce"`, >= 1: 1 for factors that change as a Laplace law.
        network: `"mlp"`, `"linear"`, a Flax module (Linen, or `rngs -> module` of
            NNX), or a `jidcl.Encoder`.
        hidden: widths of the hidden layers of `"mlp"`.
        output: `"none"`, `"sphere"`, `"box"` or another of `jidcl.encoders.OUTPUTS`.
        tau: temperature; None: the objective's own.
        batch: pairs of a step.
        steps: most updates.
        learning_rate: its peak; it falls to 0 along a cosine.
        optimiser: `"adam"`, `"adamw"` or `"muon"`.
        weight_decay: of `"adamw"`.
        seeds: how many runs from different starts, or their numbers.
        held_out: share of the rows that no run trains on, in (0, 0.9): a third of it
            stops training, the rest is for `score` and `diagnose`.
        patience: training ends after so many looks without a gain of any seed.
        progress: a function of a dict (`step`, `loss`, `held_out`) at each look.

    Attributes:
        params_: parameters by name, `[seeds, ...]` each.
        mean_: of the features, `[features]`.
        scale_: their standard deviations, 1 where a feature is constant.
        history_: a row a look: `step`, `loss` and `held_out` of each seed, nats.
        held_out_loss_: least loss on the pairs that stop, nats `[seeds]`.
        best_: position of the seed with the least.
        held_out_: standardised pairs to judge on, `[2, rows, features]`.
        stop_: those that ended training.
        train_rows_: pairs trained on.
        seeds_: numbers of the runs.
        pairs_: what was fitted; None after `load`, and no part of a copy.
        n_features_in_: features.

    Raises:
        ValueError: at `fit`, on a setting out of range, pairs of different lengths,
            NaN, constant data, or fewer rows than features.
        TypeError: at `fit`, on what holds no real numbers.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.uniform(size=(400, 2))
        >>> x, x_pos = z, z + rng.laplace(scale=0.05, size=(400, 2))
        >>> encoder = ContrastiveEncoder(2, hidden=(8,), steps=20, seeds=2)
        >>> encoder.fit(x, x_pos).transform(x).shape
        (400, 2)
    """

    def __init__(
        self,
        outputs: int = 8,
        *,
        objective: str = INFONCE,
        p: float = 1.0,
        network: Any = "mlp",
        hidden: tuple[int, ...] = (128, 128),
        output: str = "none",
        tau: float | None = None,
        batch: int = 256,
        steps: int = 2000,
        learning_rate: float = 2e-3,
        optimiser: str = "adam",
        weight_decay: float = 0.0,
        seeds: int | tuple[int, ...] = 5,
        held_out: float = 0.3,
        patience: int = 5,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ):
        self.outputs, self.objective, self.p = outputs, objective, p
        self.network, self.hidden, self.output = network, hidden, output
        self.tau, self.batch, self.steps = tau, batch, steps
        self.learning_rate, self.optimiser = learning_rate, optimiser
        self.weight_decay, self.seeds, self.held_out = weight_decay, seeds, held_out
        self.patience, self.progress = patience, progress

    # Fitting ---------------------------------------------------------------------

    def learning(self, p: float | None = None) -> Learning:
        """The settings of a run, checked.

        Args:
            p: another exponent than this encoder's.

        Returns:
            The settings, which can be hashed.
        """
        names = set(Learning.__dataclass_fields__) - {"schedule"}
        held = {name: getattr(self, name) for name in names}
        hidden = held["hidden"]
        held["hidden"] = tuple(hidden) if isinstance(hidden, list) else hidden
        return Learning(**{**held, **({} if p is None else {"p": p})})

    def fit(self, x: Any, x_pos: Any = None) -> "ContrastiveEncoder":
        """Train on pairs; what was fitted before is forgotten.

        Args:
            x: `[rows, features]`: an array, also a memory-mapped one larger than
                memory, or the path of a `.npy` file. With `x_pos=None`: the path of an
                `.npz` file of `x` and `x_pos`, or an iterable of batches `(x, x_pos)`.
            x_pos: of the same shape; row i is the positive of row i.

        Returns:
            This encoder.
        """
        how = self.learning()
        seeds = check_learning(self.held_out, self.patience, self.seeds)
        pairs = rows.open_pairs(x, x_pos)
        split = rows.split_rows(pairs.rows, self.held_out, seeds[0])
        mean, scale = rows.moments(pairs, split.train)
        held = [
            rows.read_blocks(pairs, part, mean, scale)
            for part in (split.stop, split.test)
        ]
        found = learn(
            how,
            rows.buffers(pairs, split.train, mean, scale, seeds[0]),
            held[0],
            seeds=seeds,
            patience=self.patience,
            told=self.progress,
        )
        self._keep(found, pairs, split, (mean, scale), seeds)
        self.stop_, self.held_out_ = held
        return self

    def partial_fit(self, x: Any, x_pos: Any = None) -> "ContrastiveEncoder":
        """Go on training from where the encoder is, on further pairs.

        The first call standardises; each call makes a tenth of `steps` updates at a
        constant learning rate, and adds nothing to `held_out_` but its own rows.

        Args:
            x: as for `fit`.
            x_pos: as for `fit`.

        Returns:
            This encoder.
        """
        how = dataclasses.replace(self.learning(), schedule="constant")
        seeds = check_learning(self.held_out, self.patience, self.seeds)
        pairs = rows.open_pairs(x, x_pos)
        split = rows.split_rows(pairs.rows, self.held_out, seeds[0])
        state = getattr(self, "_state", None)
        if state is None:
            mean, scale = rows.moments(pairs, split.train)
        else:
            rows.check_width("x", pairs.width, self.n_features_in_)
            mean, scale, seeds = self.mean_, self.scale_, self.seeds_
        held = [
            rows.read_blocks(pairs, part, mean, scale)
            for part in (split.stop, split.test)
        ]
        done = 0 if state is None else int(state.step[0])
        found = learn(
            how,
            rows.buffers(pairs, split.train, mean, scale, seeds[0] + done),
            held[0],
            seeds=seeds,
            state=state,
            until=done + max(1, how.steps // 10),
            patience=how.steps,
            told=self.progress,
        )
        last = found._replace(
            params=found.state.run.params,
            loss=np.asarray(found.history[-1]["held_out"]),
        )
        self._keep(last, pairs, split, (mean, scale), seeds)
        self.stop_, self.held_out_ = held
        return self

    def _keep(
        self,
        found: Fitted,
        pairs: rows.Pairs,
        split: rows.Split,
        moments: tuple[np.ndarray, np.ndarray],
        seeds: tuple[int, ...],
    ) -> None:
        """What a fit leaves."""
        self.n_features_in_ = pairs.width
        self.mean_, self.scale_ = moments
        self.params_, self.held_out_loss_ = found.params["f"], found.loss
        self.best_, self.history_ = int(np.argmin(found.loss)), found.history
        self.train_rows_ = sum(stop - start for start, stop in split.train)
        self.pairs_, self.seeds_ = pairs, seeds
        self._state = found.state

    # What a fitted encoder does ----------------------------------------------------

    def transform(self, x: Any) -> np.ndarray:
        """The outputs of the best seed.

        Args:
            x: `[rows, features]`.

        Returns:
            float32 `[rows, outputs]`.
        """
        self._check_fitted()
        return self._outputs(x, slice(self.best_, self.best_ + 1))[0]

    def outputs_of(self, x: Any) -> np.ndarray:
        """The outputs of every seed.

        Args:
            x: `[rows, features]`.

        Returns:
            float32 `[seeds, rows, outputs]`.
        """
        self._check_fitted()
        return self._outputs(x, slice(None))

    def fit_transform(self, x: Any, x_pos: Any = None) -> np.ndarray:
        """`fit`, then `transform` of the anchors.

        Args:
            x: as for `fit`, an array.
            x_pos: as for `fit`.

        Returns:
            float32 `[rows, outputs]`.
        """
        return self.fit(x, x_pos).transform(x)

    def held_outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of every seed for the pairs that were held out.

        Returns:
            `(judged, stop)`: of `held_out_` and `stop_`, `[seeds, 2, rows, outputs]`.
        """
        self._check_fitted()
        judged, stop = (
            np.stack([self._raw(part, slice(None)) for part in held], axis=1)
            for held in (self.held_out_, self.stop_)
        )
        return judged, stop

    def score(self, x: Any, x_pos: Any = None) -> float:
        """Bits above chance of the best seed on pairs.

        log2 of how much better the partner of a row is told from 256 independent rows
        than by chance, see `jidcl.estimate.bits`.

        Args:
            x: `[rows, features]`.
            x_pos: its positives.

        Returns:
            Mean bits; about 0 where the pairs share nothing.
        """
        self._check_fitted()
        pairs = rows.open_pairs(x, x_pos)
        both = pairs.read(0, min(pairs.rows, rows.MOST_HELD))
        best = slice(self.best_, self.best_ + 1)
        y, y_pos = (self._outputs(part, best)[0] for part in both)
        return float(bits_of(y, y_pos, self.yardstick()).mean())

    def yardstick(self) -> Yardstick:
        """What bits are measured with: exponent and scale that suit the outputs.

        Returns:
            A `Yardstick`, its scale fitted on the pairs that stop training.
        """
        self._check_fitted()
        best = slice(self.best_, self.best_ + 1)
        y, y_pos = (self._raw(part, best)[0] for part in self.stop_)
        p = float(self.p) if self.objective == INFONCE else 2.0
        return fit_yardstick(y, y_pos, p)

    def save(self, folder: str | Path) -> Path:
        """Write the encoder: `params.safetensors` and `encoder.json`.

        Args:
            folder: a new folder; it appears whole or not at all.

        Returns:
            The folder.
        """
        self._check_fitted()
        return save_encoder(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, *, network: Any = None) -> "ContrastiveEncoder":
        """An encoder that `save` wrote.

        Args:
            folder: as of `save`.
            network: the module, where the encoder had one of your own.

        Returns:
            The fitted encoder.

        Raises:
            ValueError: where the folder does not hold what it says.
        """
        return load_encoder(cls, Path(folder), network)

    def to_stablehlo(self, path: str | Path) -> Path:
        """Write the best run as a StableHLO program that needs JAX alone.

        `jax.export.deserialize(bytearray(file)).call(x)` gives `transform(x)`, for
        float32 `[rows, features]` of any number of rows.

        Args:
            path: the file; it is written in one step.

        Returns:
            The path.

        Raises:
            ImportError: without flatbuffers: `pip install 'jidcl[export]'`.
            ValueError: where a network of your own takes no batch of unknown length.
        """
        self._check_fitted()
        return export_encoder(self, Path(path))

    # Parts -------------------------------------------------------------------------

    def _outputs(self, x: Any, seeds: slice) -> np.ndarray:
        held = rows.rows_of("x", x, self.n_features_in_)
        parts = []
        for start in range(0, len(held), APPLY_ROWS):
            part = held[start : start + APPLY_ROWS]
            check_finite("x", part)
            raw = rows.standardised(part, self.mean_, self.scale_)
            parts.append(self._raw(raw, seeds))
        return np.concatenate(parts, axis=1)

    def _raw(self, part: np.ndarray, seeds: slice) -> np.ndarray:
        """Outputs `[seeds, rows, outputs]` of standardised rows."""
        programs = programs_of(self.learning(), self.n_features_in_)
        params = jax.tree.map(lambda leaf: leaf[seeds], self.params_)
        least = min(APPLY_ROWS, 1 << (len(part) - 1).bit_length())  # few shapes
        wide = np.zeros((max(least, len(part)), part.shape[1]), np.float32)
        wide[: len(part)] = part
        found = [
            np.asarray(programs.outputs(params, jnp.asarray(wide[i : i + APPLY_ROWS])))
            for i in range(0, len(wide), APPLY_ROWS)
        ]
        return np.concatenate(found, axis=1)[:, : len(part)]
