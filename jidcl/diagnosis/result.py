"""A diagnosis: its sentences and numbers as text, figure, HTML, JSON and CSV."""

import base64
import csv
import dataclasses
import html
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.diagnosis.evidence import Evidence
from jidcl.diagnosis.sentences import Sentence
from jidcl.files import write_json, write_text
from jidcl.report import plots
from jidcl.report.scores import page


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What held-out pairs say of a fitted encoder.

    Attributes:
        evidence: the numbers.
        sentences: what follows from them, each with its name.
        shown: outputs of the best run for the figure, `[2, rows, m]`.
        encoder: what was diagnosed.
    """

    evidence: Evidence
    sentences: tuple[Sentence, ...]
    shown: np.ndarray
    encoder: Any

    def says(self, name: str) -> bool:
        """Whether a sentence of `jidcl.diagnosis.SENTENCES` is said.

        Args:
            name: of the sentence.

        Returns:
            True where it is.
        """
        return name in {sentence.name for sentence in self.sentences}

    def numbers(self) -> list[tuple[str, str, str]]:
        """The table: what was measured, its value, and what it is by chance.

        Returns:
            Rows of texts.
        """
        e = self.evidence
        rows = [
            ("held-out pairs", str(e.rows), ""),
            ("pairs trained on", str(e.train_rows), ""),
            ("runs, and those that reached the best", f"{e.seeds}, {e.reached}", ""),
            (
                "bits above chance",
                f"{np.mean(e.bits):.3f} "
                f"({e.bits_interval[0]:.3f} to {e.bits_interval[1]:.3f})",
                f"shuffled partners: {e.null_bits:.3f}, p = {e.p_value:.3f}",
            ),
            ("held-out minus training loss, nats", f"{e.overfit:.3f}", ""),
            (
                "agreement of runs, coordinates",
                _range(e.matched),
                f"unrelated {e.shuffled:.3f}, rotated {e.rotated:.3f}",
            ),
            ("agreement of runs, linear", _range(e.linear), ""),
            ("R2 of outputs from x, linear", _range(e.linear_of_x), "about 0"),
            ("effective rank", f"{e.effective:.2f}", f"of {e.outputs}"),
            ("share of local directions", _listed(e.local), ""),
            ("change over spread, by direction", _listed(e.change), "1"),
            ("largest correlation of outputs", f"{e.correlated:.3f}", ""),
            ("largest excess kurtosis", f"{e.tails:.2f}", "uniform: -1.2"),
            ("distance from a uniform law", f"{e.uniform:.3f}", "uniform: 0"),
        ]
        for q, rival in sorted(e.rivals.items()):
            gain = f"{rival.gain:+.3f}, standard error {rival.error:.3f}"
            rows.append((f"bits of p = {q:g} minus p = {e.p:g}", gain, ""))
        return rows

    def summary(self) -> str:
        """Sentences, then numbers, as text.

        Returns:
            Lines.
        """
        lines = [f"- {sentence.text}" for sentence in self.sentences] + [""]
        rows = [("", "value", "by chance"), *self.numbers()]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.summary()

    def to_dict(self) -> dict[str, Any]:
        """Sentences and evidence as what JSON can hold.

        Returns:
            `{"sentences": [{name, text}], "evidence": {...}}`.
        """
        held = dataclasses.asdict(self.evidence)
        held["rivals"] = {
            f"{p:g}": rival._asdict() for p, rival in self.evidence.rivals.items()
        }
        return {
            "sentences": [sentence._asdict() for sentence in self.sentences],
            "evidence": held,
        }

    def to_json(self, path: str | Path) -> Path:
        """Write `to_dict` in one step.

        Args:
            path: the file.

        Returns:
            The path.
        """
        write_json(Path(path), self.to_dict())
        return Path(path)

    def to_csv(self, path: str | Path) -> Path:
        """Write the table of numbers in one step.

        Args:
            path: the file.

        Returns:
            The path.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("what", "value", "by chance"))
        writer.writerows(self.numbers())
        write_text(Path(path), text.getvalue())
        return Path(path)

    def plot(self, path: str | Path) -> Path:
        """Draw history, partners against anchors, and change by direction.

        Args:
            path: the file; its suffix names the format.

        Returns:
            The path.

        Raises:
            ImportError: without matplotlib.
        """
        figure, (left, middle, right) = plots.new_figure(3, width=3.6)
        history = self.encoder.history_
        steps = [row["step"] for row in history]
        labels = {"loss": "training", "held_out": "held out"}
        for name, style in (("loss", "-"), ("held_out", "--")):
            for i, losses in enumerate(np.transpose([row[name] for row in history])):
                label = labels.pop(name, None)
                left.plot(steps, losses, style, lw=1, color=f"C{i}", label=label)
        left.set(xlabel="step", ylabel="loss", title="each colour a run")
        left.legend(frameon=False, fontsize=8)
        y, y_pos = self.shown
        for j in range(min(4, y.shape[1])):
            middle.scatter(y[:, j], y_pos[:, j], s=3, lw=0, alpha=0.4, label=str(j))
        middle.set(xlabel="output of x", ylabel="output of its partner")
        middle.legend(frameon=False, fontsize=8, title="output", markerscale=4)
        change = self.evidence.change
        right.bar(range(1, len(change) + 1), change)
        right.axhline(1, ls=":", lw=1, color="black")
        right.set(xlabel="direction", ylabel="change over spread", yscale="log")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        return Path(path)

    def to_html(self, path: str | Path) -> Path:
        """Write one page with sentences, numbers and, with matplotlib, the figure.

        Args:
            path: the file.

        Returns:
            The path.
        """
        said = "".join(f"<li>{html.escape(s.text)}</li>" for s in self.sentences)
        cells = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.numbers()
        )
        figure = ""
        if plots.available():
            with tempfile.TemporaryDirectory() as folder:
                drawn = self.plot(Path(folder, "figure.png")).read_bytes()
            code = base64.b64encode(drawn).decode()
            shown = f'alt="figure" src="data:image/png;base64,{code}"'
            figure = f'<img style="max-width:100%" {shown}>'
        head = "<tr><th></th><th>value</th><th>by chance</th></tr>"
        body = f"<ul>{said}</ul>{figure}<table>{head}{cells}</table>"
        write_text(Path(path), page("What these pairs support", body))
        return Path(path)


def _range(values: tuple[float, ...]) -> str:
    if not values:
        return "fewer than two reached the best"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _listed(values: tuple[float, ...]) -> str:
    shown = ", ".join(f"{value:.3g}" for value in values[:8])
    return shown + (", ..." if len(values) > 8 else "")
