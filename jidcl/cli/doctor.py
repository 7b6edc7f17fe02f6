"""`jidcl doctor`: devices, versions and missing extras."""

import importlib.metadata
import importlib.util
import sys

from jidcl.cli.arguments import nothing_after, quiet


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    if args and args[0] in ("-h", "--help"):
        print("usage: jidcl doctor\n\nshow devices, versions and missing extras")
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
    return 0
