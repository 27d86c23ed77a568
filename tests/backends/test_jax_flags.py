"""What the JAX backend tells XLA, which reads its flags once in a process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("jax")

MODEL = """
    import os
    import nengo, nengograd
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(50, 1))
    with nengograd.Simulator(
        net, backend="jax", tensorboard="graphs", progress_bar=False
    ) as sim:
        sim.run_steps(3)
    print(os.environ.get("XLA_FLAGS"))
"""


def run(folder: Path, flags: str | None, before: str = "") -> tuple[str, str]:
    """Run the model in a process; what XLA_FLAGS is afterwards, and the compiled programs."""
    variables = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    if flags is not None:
        variables["XLA_FLAGS"] = flags
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(before + MODEL)],
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    texts = [path.read_text() for path in folder.rglob("*.hlo.txt")]
    return done.stdout.splitlines()[-1], "\n".join(texts)


def test_the_loop_of_a_small_model_is_one_function_and_the_environment_stays(
    tmp_path: Path,
) -> None:
    left, programs = run(tmp_path, None)
    assert left == "None"
    assert "xla_cpu_small_call" in programs


def test_flags_of_the_user_are_kept(tmp_path: Path) -> None:
    given = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1"
    left, programs = run(tmp_path, given)
    assert left == given
    assert "while(" in programs
    assert "xla_cpu_small_call" not in programs


def test_other_flags_of_the_user_are_not_lost(tmp_path: Path) -> None:
    given = "--xla_force_host_platform_device_count=2"
    left, programs = run(tmp_path, given)
    assert left == given
    assert "xla_cpu_small_call" in programs


def test_a_model_runs_where_jax_has_computed_before(tmp_path: Path) -> None:
    left, programs = run(tmp_path, None, before="\n    import jax; jax.numpy.ones(3).sum()")
    assert left == "None"
    assert "while(" in programs  # in one function or not: the flags came too late to say
