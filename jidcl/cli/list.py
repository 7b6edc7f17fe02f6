"""`jidcl list`: systems, presets, claims, losses or scores."""

from collections.abc import Sequence

from jidcl.cli.arguments import reachable

TOPICS = ("systems", "presets", "claims", "losses", "scores")
_NARROWED = ("presets", "claims", "scores")  # to one system


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    from jidcl.checks import check_choice
    from jidcl.systems.registry import SYSTEMS

    if not args or args[0] in ("-h", "--help"):
        print(f"usage: jidcl list {{{','.join(TOPICS)}}} [SYSTEM]")
        return 0 if args else 2
    topic, *rest = args
    check_choice("topic", topic, TOPICS)
    narrowed = topic in _NARROWED
    only = rest[:1] if narrowed else []
    if rest[len(only) :]:
        usage = f"jidcl list {topic}{' [SYSTEM]' if narrowed else ''}"
        raise ValueError(f"usage: {usage}, got {rest}")
    for name in only:
        if ":" not in name:
            check_choice("system", name, SYSTEMS)
    chosen = [reachable(name) for name in only] or list(SYSTEMS)
    listings = {"presets": _presets, "claims": _claims, "scores": _scores}
    if narrowed:
        listings[topic](chosen)
    elif topic == "systems":
        for name, text in SYSTEMS.items():
            print(f"{name:<18} {text}")
    else:
        _losses()
    return 0


def _presets(systems: Sequence[str]) -> None:
    from jidcl.systems.registry import load_presets

    for system in systems:
        for name, config in load_presets(system).items():
            if ":" in system:  # as `jidcl train` takes it
                print(f"{system}:{name:<26} {config.summary()}".rstrip())
            else:
                print(f"{system:<16} {name:<26} {config.summary()}")


def _claims(systems: Sequence[str]) -> None:
    from jidcl.systems.registry import load_claims

    for claims in map(load_claims, systems):
        for claim in claims.published:
            print(
                f"{claim.id:<18} {claim.metric:<4} {claim.mean:6.2f} ± "
                f"{claim.std:.2f}  {claim.source}: {claim.text}"
            )
        for claim in claims.quick:
            print(
                f"{claim.id:<18} {claim.metric:<4} {claim.expect} at "
                f"{claim.threshold:g}  {claim.source}: {claim.text}"
            )


def _scores(systems: Sequence[str]) -> None:
    from jidcl.report.legend import legend
    from jidcl.systems.registry import load_legend

    print(legend({name: load_legend(name) for name in systems}))


def _losses() -> None:
    from jidcl import losses

    for name in losses.__all__:
        print(f"{name:<16} {(getattr(losses, name).__doc__ or '').splitlines()[0]}")
