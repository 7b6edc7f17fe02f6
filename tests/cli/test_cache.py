"""The compilation cache: where it is, that it helps, and what stops it does not."""

import json
import os
import subprocess
import sys

import pytest

from jidcl.cli import cache


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user without a cache."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "JIDCL_CACHE"):
        monkeypatch.delenv(name, raising=False)
    # What `remember` sets goes with the test.
    monkeypatch.setattr(cache.os, "environ", dict(os.environ))
    monkeypatch.setitem(cache.os.environ, "XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_on_in_the_cache_folder_of_the_user(home, capsys):
    cache.remember()
    folder = cache.os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert folder.startswith(str(home / "jidcl" / "programs" / "jax-"))
    assert capsys.readouterr().err == ""


def test_other_versions_and_flags_have_another_folder(home, monkeypatch):
    before = cache._version()
    monkeypatch.setitem(cache.os.environ, "XLA_FLAGS", "--xla_backend_x=1")
    assert cache._version() != before


def test_what_is_said_to_jax_itself_comes_first(home, monkeypatch):
    monkeypatch.setitem(cache.os.environ, "JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    cache.remember()
    assert cache.os.environ["JAX_COMPILATION_CACHE_DIR"] == "/elsewhere"


def test_it_can_be_off(home, monkeypatch, capsys):
    monkeypatch.setitem(cache.os.environ, "JIDCL_CACHE", "off")
    cache.remember()
    assert "JAX_COMPILATION_CACHE_DIR" not in cache.os.environ
    assert capsys.readouterr().err == ""
    assert cache.kept().folder is None


def test_a_folder_that_cannot_be_written_is_said_and_no_error(
    home, monkeypatch, capsys
):
    (home / "file").write_text("")
    monkeypatch.setitem(cache.os.environ, "JIDCL_CACHE", str(home / "file" / "below"))
    cache.remember()
    assert "JAX_COMPILATION_CACHE_DIR" not in cache.os.environ
    (line,) = capsys.readouterr().err.splitlines()
    assert "no compilation cache" in line
    assert str(home / "file") in line
    assert str(home / "file") in cache.kept().why


def test_a_full_cache_loses_its_oldest_files_first(home):
    folder = home / "jidcl" / "programs" / "jax-old"
    folder.mkdir(parents=True)
    for age in range(10):
        path = folder / f"{age}-cache"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    cache.shrink(home, 1000)
    assert cache.kept().programs == 10  # 1,000 bytes fit
    cache.shrink(home, 999)
    left = sorted(int(path.name.split("-")[0]) for path in folder.iterdir())
    assert left == [0, 1, 2, 3]  # the newest four: less than half


def test_a_second_process_compiles_nothing(tmp_path):
    code = """
import json, sys
from jidcl.cli.arguments import quiet
quiet()
import jax, jax.numpy as jnp
events = []
jax.monitoring.register_event_listener(lambda name, **_: events.append(name))
# Enough work for the compiler that the program is worth a file.
jax.jit(lambda x: jnp.linalg.svd(jnp.sort(x @ x, axis=0))[1])(jnp.ones((9, 9)))
print(json.dumps([events.count("/jax/compilation_cache/cache_" + what)
                  for what in ("hits", "misses")]))
"""
    drop = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    env |= {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

    def hits():
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True
        )
        return json.loads(done.stdout)

    first, second = hits(), hits()
    assert first[0] == 0
    assert first[1] > 0
    assert second == [first[1], 0]
