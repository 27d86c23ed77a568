"""What the JAX backend has compiled is kept on disk, without harm to a run or to a user's JAX."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("jax")

MODEL = """
    import nengo, nengograd
    with nengo.Network(seed=0) as net:
        probe = nengo.Probe(nengo.Ensemble(20, 1))
    hits = []
    import jax
    jax.monitoring.register_event_listener(
        lambda event, **_: hits.append(event) if event.endswith("cache_hits") else None
    )
    with nengograd.Simulator(net, backend="jax", progress_bar=False) as sim:
        sim.run_steps(3)
    print(len(hits), jax.config.jax_compilation_cache_dir, sim.data[probe][-1, 0])
"""


def run(before: str = "", **variables: str) -> list[str]:
    """Run the model in a process: hits, JAX's own cache folder afterwards, what was probed."""
    kept = {k: v for k, v in os.environ.items() if k != "NENGOGRAD_CACHE"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", textwrap.dedent(before + MODEL)],
        env={**kept, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return done.stdout.split()


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*-cache") if path.is_file()]


def test_the_second_start_compiles_nothing_and_computes_the_same(tmp_path: Path) -> None:
    first = run(XDG_CACHE_HOME=str(tmp_path))
    second = run(XDG_CACHE_HOME=str(tmp_path))
    assert (first[0], second[0]) == ("0", "1")
    assert first[1:] == second[1:]
    assert first[1] == "None"
    assert entries(tmp_path / "nengograd" / "jax")


def test_a_damaged_cache_is_emptied_and_compiled_anew(tmp_path: Path) -> None:
    whole = run(NENGOGRAD_CACHE=str(tmp_path))
    for path in entries(tmp_path):
        path.write_bytes(path.read_bytes()[:100])
    assert run(NENGOGRAD_CACHE=str(tmp_path)) == whole
    assert not entries(tmp_path)
    run(NENGOGRAD_CACHE=str(tmp_path))
    assert run(NENGOGRAD_CACHE=str(tmp_path))[0] == "1"


def test_a_folder_that_cannot_be_made_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run(NENGOGRAD_CACHE=str(tmp_path / "file"))[0] == "0"


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    run(NENGOGRAD_CACHE="off", XDG_CACHE_HOME=str(tmp_path))
    assert not entries(tmp_path)


def test_a_cache_that_jax_was_given_is_left_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own"
    given = {"JAX_COMPILATION_CACHE_DIR": str(own), "XDG_CACHE_HOME": str(tmp_path / "ours")}
    assert run(**given)[1] == str(own)
    assert not (tmp_path / "ours").exists()


USED = "\n    import jax; jax.numpy.ones(3).sum()"
"""JAX has started before, without what nengograd tells XLA."""

ONE_CORE = "\n    import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that a plain process has filled."""
    folder = tmp_path_factory.mktemp("cache")
    run(NENGOGRAD_CACHE=str(folder))
    return folder


@pytest.mark.parametrize(
    ("before", "variables"),
    [
        ("", {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}),
        ("", {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}),
        (USED, {}),
        pytest.param(
            ONE_CORE,
            {},
            marks=pytest.mark.skipif(
                len(getattr(os, "sched_getaffinity", lambda _: [0])(0)) < 2,
                reason="this process has one core, or cannot choose one",
            ),
        ),
    ],
    ids=["a flag", "two devices", "jax used before", "one core"],
)
def test_processes_that_compile_in_other_ways_do_not_share_programs(
    filled: Path, before: str, variables: dict[str, str]
) -> None:
    known = len(entries(filled))
    assert run(before, NENGOGRAD_CACHE=str(filled), **variables)[0] == "0"
    assert len(entries(filled)) > known
