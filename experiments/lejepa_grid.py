"""Weight of SIGReg by correlation of the pairs, as a map of R2 (spiral, MLP).

Command: python experiments/lejepa_grid.py [--preset full/spiral] [--seeds 3]
    [--root runs/lejepa-grid]; `--quick` is a small network on the banana.
Time: 189 published runs in one program: about an hour on one H100, days on two CPU
cores; `--quick` trains 3 x 3 points in minutes. Writes ROOT/lejepa_grid.json and
ROOT/lejepa_grid.png; finished runs are reused.
Expected: R2 near 0 at weight 0.5, best at 1e-3 to 5e-3 with correlations from 0.9.
"""

import argparse
import json
from pathlib import Path

from jidcl.report.plots import grid_figure
from jidcl.run.sweep import sweep
from jidcl.systems.registry import load_presets

WEIGHTS = (1e-6, 1e-5, 1e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1, 5e-1)
CORRELATIONS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="full/spiral")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--root", type=Path, default=Path("runs/lejepa-grid"))
    options = parser.parse_args()
    grid = {"lam": WEIGHTS, "rho": CORRELATIONS}
    if options.quick:
        options.preset, options.seeds = "quick/banana", 1
        grid = {"lam": (1e-4, 1e-2, 0.5), "rho": (0.5, 0.95, 0.99)}
    config, rows = load_presets("lejepa")[options.preset], []
    own = dict(system="lejepa", seeds=range(options.seeds), root=options.root)
    for event in sweep(config, grid, **own):
        rows = event.rows
    for row in rows:
        print(
            f"weight {row['lam']:<8g} correlation {row['rho']:<5g} seed {row['seed']}: "
            f"R2 {row.get('r2', float('nan')):.4f}, orthogonality error "
            f"{row.get('orth_err_normalized', float('nan')):.3f}"
        )
    path = options.root / "lejepa_grid.json"
    kept = ("lam", "rho", "seed", "r2", "orth_err_normalized")
    table = [{name: row[name] for name in kept if name in row} for row in rows]
    settings = dict(preset=options.preset, steps=config.steps)
    path.write_text(json.dumps(settings | {"rows": table}, indent=1) + "\n")
    grid_figure(rows, list(grid), "r2", path.with_suffix(".png"))


if __name__ == "__main__":
    main()
