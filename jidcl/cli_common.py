"""What the verbs share: parsing with tyro, a quiet backend, no stray arguments."""

import os
from typing import Any


def parse(cls: Any, args: list[str], verb: str) -> Any:
    """Arguments of a verb as an instance of its dataclass."""
    try:
        import tyro
    except ImportError as error:
        raise no_tyro() from error
    return tyro.cli(cls, args=args, prog=f"jidcl {verb}", description=cls.__doc__)


def no_tyro() -> ImportError:
    """What to say when the command line's extra is missing."""
    return ImportError("the command line needs tyro and rich: pip install 'jidcl[cli]'")


def nothing_after(args: list[str]) -> None:
    """Refuse arguments of a verb that takes none."""
    if args:
        raise ValueError(f"no more arguments are known here, got {args}")


def quiet() -> None:
    """Silence start-up chatter of the backend; warnings of ours are unaffected."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
