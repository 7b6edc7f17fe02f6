"""`jidcl doctor`: devices, versions, missing extras and the compilation cache."""

import importlib.metadata
import importlib.util
import sys

from jidcl.cli.arguments import nothing_after, quiet
from jidcl.cli.cache import MOST_BYTES, kept


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    if args and args[0] in ("-h", "--help"):
        print(
            "usage: jidcl doctor\n\nshow devices, versions, missing extras and the "
            "compilation cache"
        )
        return 0
    nothing_after(args)
    quiet()
    import jax

    print(f"python     {sys.version.split()[0]}")
    for name in ("jidcl", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint"):
        print(f"{name:<10} {importlib.metadata.version(name)}")
    print(f"backend    {jax.default_backend()}")
    for device in jax.devices():
        print(f"device     {device.id}: {device.platform} {device.device_kind}")
    extras = {"cli": "tyro", "plots": "matplotlib", "data": "PIL", "bench": "torch"}
    for extra, module in extras.items():
        found = importlib.util.find_spec(module) is not None
        status = "ok" if found else f"missing, pip install 'jidcl[{extra}]'"
        print(f"extra      {extra}: {status}")
    print(f"cache      {_cache()}")
    return 0


def _cache() -> str:
    """Where compiled programs are kept, and how many."""
    held = kept()
    if held.folder is None:
        return f"off ({held.why}): every process compiles anew"
    size, most = held.size / 2**20, MOST_BYTES // 2**20
    return f"{held.folder}: {held.programs} programs, {size:.1f} of {most} MiB"
