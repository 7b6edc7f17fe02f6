"""One valid call of every public function, with what each argument may be.

`CALLS` has a row for each name that a package offers in `__all__` and that can be
called with arguments which could be wrong; `RECORDS` names those that only hold what
they are given. A new public name fails a test until it has a row.
One file has the rows of a package; `arguments.py` says what an argument may be.
"""

import jidcl
from jidcl import encoders, latents, losses, metrics, mixing, objectives, optim, theory
from public_calls.of_latents import LATENTS
from public_calls.of_losses import LOSSES
from public_calls.of_metrics import METRICS
from public_calls.of_mixing import MIXING
from public_calls.of_others import ENCODERS, OBJECTIVES, OPTIM, TOP
from public_calls.of_theory import THEORY

PACKAGES = {
    "jidcl": jidcl,
    "jidcl.encoders": encoders,
    "jidcl.latents": latents,
    "jidcl.losses": losses,
    "jidcl.metrics": metrics,
    "jidcl.mixing": mixing,
    "jidcl.objectives": objectives,
    "jidcl.optim": optim,
    "jidcl.theory": theory,
}
# They hold what they are given, or are not called: containers, protocols, constants.
RECORDS = {
    "Batch", "BatchNorm", "BlockLaw", "Density", "Encoder", "Evaluation", "Floor",
    "Instances", "KernelRidge", "LambdaRecovery", "LinearID", "Losses", "OBJECTIVES",
    "OU_PAIRS", "OUTPUTS", "Objective", "OracleMap", "PLANE_MAPS", "PNormDensity",
    "PUBLISHED_WIDTHS", "Pair", "PairProblem", "PlaneMap", "Problem", "Program", "Rank",
    "Running",
    "Space", "System", "Uniform", "Views", "__version__",
    "BestPosterior", "ImaLikelihood", "LinearVAE", "PPCA",
    "CRITERIA", "DESIGNS", "Diversity", "Environments", "LTI", "MEANS",
    "PairMap", "PairMoments", "Series", "TwoEnvironments",
    "DecisionLaw", "KernelTest", "LEGACY", "LinearPair", "PairDraws", "STRUCTURES",
    "Report", "Validity",
    "CLAIMS", "CODES", "DATA",
    "NullLaw", "PermutationTest", "PopulationMcc", "Similarity", "StructuralLaws",
    "PValue", "VARIES", "SequenceModel",
}  # fmt: skip
# Layers of Flax: `make_mlp`, `make_cnn` and `make_resnet` are called in their place.
LAYERS = {"CNN", "CNNDecoder", "MLP", "OutputSpace", "ResNet"}
# Whole runs; tests/train, estimate and diagnosis have them.
RUNS = {"ContrastiveEncoder", "diagnose", "fit", "fit_pairs", "gradient", "judge"}
CALLS = {
    f"{package}.{name}": row
    for package, rows_of in {
        "losses": LOSSES,
        "metrics": METRICS,
        "latents": LATENTS,
        "mixing": MIXING,
        "theory": THEORY,
        "encoders": ENCODERS,
        "objectives": OBJECTIVES,
        "optim": OPTIM,
        "jidcl": TOP,
    }.items()
    for name, row in rows_of.items()
}
