"""The command line: `jidcl VERB`. Imports no JAX before a verb needs it."""

import importlib
import os
import sys

VERBS = {
    "verify": "check claims: train, compare with theory, judge, report",
    "train": "train one preset, any field overridden",
    "sweep": "train a grid of settings, batched; map of the scores",
    "table": "print verdicts of finished runs as Markdown or CSV",
    "report": "write the report of finished runs, figures included",
    "render": "pictures of a scene: sheet, sweeps, pairs, GIF",
    "bench": "time losses and steps against the device's limits and PyTorch",
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
        The exit code: 0 done, 1 failed, 2 usage.
    """
    args = sys.argv[1:] if argv is None else argv
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
        code = importlib.import_module(f"jidcl.cli.{verb}").main(rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read has seen enough, as in `jidcl list ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"jidcl: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"jidcl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("jidcl: stopped; the same command goes on from here", file=sys.stderr)
        return 1


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
