"""The command line: `jidcl VERB`. Imports no JAX before a verb needs it."""

import importlib
import io
import os
import sys

VERBS = {
    "verify": "check claims: train, compare with theory, judge, report",
    "train": "train one preset, any field overridden",
    "fit": "fit an encoder to pairs of your own",
    "diagnose": "what the pairs of a fit support, and what they do not",
    "sweep": "train a grid of settings, batched; map of the scores",
    "table": "print verdicts of finished runs as Markdown or CSV",
    "report": "write the report of finished runs, figures included",
    "render": "pictures of a scene: sheet, sweeps, pairs, GIF",
    "data": "describe, check and convert files of published data sets",
    "bench": "time losses and steps against the device's limits and PyTorch",
    "ci-test": "test columns of a table for (conditional) independence",
    "identify": "is a linear system identified by experiments, and which come next",
    "score": "score a representation of known factors, each score with its chance",
    "compare": "how alike representations of the same rows are, with chance",
    "conformance": "replay reference vectors on this device",
    "audit": "judge the judge: words on planted representations",
    "list": "list systems, presets, claims, losses or scores",
    "doctor": "show devices, versions, missing extras and the cache",
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb, which is `main` of the file of its name.

    Args:
        argv: the arguments; those of the process when None.

    Returns:
        The exit code: 0 done, 1 a claim or jobs failed or numbers are not finite, 2
        what was asked cannot be done, 3 a fault of ours, 130 and 143 a signal.
    """
    args = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):  # what it cannot show is no error
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if not args or args[0] in ("-h", "--help"):
        print(_overview())
        return 0 if args else 2
    if args[0] == "--version":
        from jidcl import __version__

        print(__version__)
        return 0
    verb, *rest = args
    try:
        from jidcl.checks import check_choice

        check_choice("verb", verb, VERBS)
        module = verb.replace("-", "_")
        code = importlib.import_module(f"jidcl.cli.{module}").main(rest)
        if out := sys.stdout:  # none where it was closed before
            out.flush()
        return code
    except BrokenPipeError:  # who read has seen enough, as in `jidcl list ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError, MemoryError) as error:
        print(f"jidcl: {_one_line(error)}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"jidcl: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print("jidcl: stopped; the same command goes on from here", file=sys.stderr)
        return getattr(error, "code", 130)
    except Exception as error:
        return _fault(error)


def _one_line(error: BaseException) -> str:
    from jidcl.checks import printable

    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(" ".join(lines)) or type(error).__name__


def _fault(error: Exception) -> int:
    """One line for an error that nobody foresaw, and its traceback in a file."""
    if "RESOURCE_EXHAUSTED" in str(error):
        text = "the device is out of memory: fewer --seeds, or a smaller batch"
        print(f"jidcl: {text}", file=sys.stderr)
        return 2
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="jidcl-fault-", suffix=".txt", delete=False
    ) as file:
        file.write(" ".join(["jidcl", *sys.argv[1:]]) + "\n")
        traceback.print_exception(error, file=file)
    kind, first = type(error).__name__, _one_line(error)[:200]
    print(
        f"jidcl: this is a fault of jidcl, or of a system of your own ({kind}: {first})"
        f"; please report it with {file.name}",
        file=sys.stderr,
    )
    return 3


def _overview() -> str:
    lines = ["usage: jidcl VERB [--help] ...", ""]
    lines += [f"  {verb:<12} {text}" for verb, text in VERBS.items()]
    lines += [
        "",
        "first steps:",
        "  jidcl verify                        the main job, minutes on two cores",
        "  jidcl train quick/sphere-vmf        one run",
        "  jidcl verify --budget full --rows t1r3   one published row",
        "  jidcl list presets",
    ]
    return "\n".join(lines)
