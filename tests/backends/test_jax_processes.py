"""Processes that train one model together, over the loopback device of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("optax")
pytestmark = pytest.mark.slow

MODEL = """
import json, os, sys, time
from pathlib import Path
import nengo, numpy as np, nengograd

me, folder = os.environ.get("NENGOGRAD_PROCESS_ID", "0"), Path(sys.argv[1])

def say(**figures):
    if me == "0":
        print("FIGURES", json.dumps({k: np.asarray(x).tolist() for k, x in figures.items()}))

with nengo.Network(seed=2) as net:
    nengograd.configure_settings(spike_gradient="rate")
    drive = nengo.Node([0.0])
    a, b = nengo.Ensemble(30, 1), nengo.Ensemble(20, 1)
    nengo.Connection(drive, a, synapse=None)
    nengo.Connection(a, b, function=np.square)
    noise = nengo.Node(nengo.processes.WhiteSignal(0.1, high=50, seed=1))
    nengo.Connection(noise, b)
    probe = nengo.Probe(b, synapse=0.005)
rng = np.random.RandomState(4)
x = rng.uniform(-1, 1, (24, 10, 1))
inputs, targets = {drive: x}, {probe: x**2}
options = dict(
    backend="jax", device="all", minibatch_size=8, dtype="float64", progress_bar=False
)
"""
TRAIN = """
with nengograd.Simulator(net, **options) as sim:
    before = sim.loss(inputs, targets)
    sim.run_steps(20, input_feeds={drive: np.tile(x[:8], (1, 2, 1))})
    history = sim.train(inputs, targets, "adam", n_epochs=3)
    sim.save_params(folder / "params", state=True)
    loaded = sim.load_params(folder / "params", state=True)
    sim.check_gradients(n_steps=2)
    state = [np.ravel(value) for value in sim.signals.values()]
    say(
        before=before,
        loss=history["loss"],
        after=sim.loss(inputs, targets),
        data=sim.data[probe],
        states=np.concatenate(state),
    )
"""


def run(
    script: Path, text: str, processes: int, seconds: float = 900
) -> subprocess.CompletedProcess[str]:
    """Run a script in some processes; with 1, as it is."""
    script.write_text(text)
    launch = ["-m", "nengograd", "launch", "-n", str(processes)] if processes > 1 else []
    command = [sys.executable, *launch, str(script), str(script.parent)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NENGOGRAD_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment)


def figures(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("FIGURES ")]
    found: dict[str, Any] = json.loads(line.removeprefix("FIGURES "))
    return found


def test_two_processes_take_the_course_of_one(tmp_path: Path) -> None:
    one, two = (figures(run(tmp_path / "train.py", MODEL + TRAIN, n)) for n in (1, 2))
    assert len(set(one["loss"])) == 3  # it trains
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_two_processes_go_on_with_the_optimizer_that_two_others_saved(tmp_path: Path) -> None:
    train = """
path = folder / "checkpoint"
with nengograd.Simulator(net, **options) as sim:
    if PART == "second":
        sim.load_params(path, include_optimizer=True)
    n_epochs = 4 if PART == "whole" else 2
    history = sim.train(inputs, targets, "adam", n_epochs=n_epochs)
    if PART == "first":
        sim.save_params(path, include_optimizer=True)
    say(loss=history["loss"])
"""
    losses = {
        part: figures(run(tmp_path / "train.py", f"PART = '{part}'\n{MODEL}{train}", 2))["loss"]
        for part in ("whole", "first", "second")
    }
    gone_on = [*losses["first"], *losses["second"]]
    assert len(gone_on) == len(set(gone_on)) == 4
    np.testing.assert_allclose(gone_on, losses["whole"], rtol=1e-9)


def test_one_that_dies_ends_the_other_and_a_checkpoint_lets_both_go_on(tmp_path: Path) -> None:
    train = """
path = folder / "checkpoint.npz"
history, has_died = [], path.exists()

def written():
    file = folder / "history.json"
    return json.loads(file.read_text()) if file.exists() else None

with nengograd.Simulator(net, **options) as sim:
    if has_died:
        sim.load_params(path, state=True)
        history = written()

    def keep(epoch, logs):
        history.append(logs["loss"])
        sim.save_params(path, state=True)
        if me == "0":
            (folder / "history.new").write_text(json.dumps(history))
            os.replace(folder / "history.new", folder / "history.json")
        if len(history) == 2 and DIES and not has_died and me == "1":
            until = time.monotonic() + 120  # the other may still be writing
            while written() != history and time.monotonic() < until:
                time.sleep(0.01)
            os.kill(os.getpid(), 9)

    sim.train(inputs, targets, "sgd", n_epochs=4 - len(history), callbacks=[keep])
    say(loss=history)
"""
    (tmp_path / "whole").mkdir()
    whole = figures(run(tmp_path / "whole" / "train.py", f"DIES = False\n{MODEL}{train}", 2))
    text = f"DIES = True\n{MODEL}{train}"
    # JAX alone would wait for up to 300 s.
    died = run(tmp_path / "train.py", text, 2, seconds=240)
    assert died.returncode == 1
    assert "process 1 of 2 was ended by the signal SIGKILL; the others have been" in died.stderr
    assert len(json.loads((tmp_path / "history.json").read_text())) == 2
    gone_on = figures(run(tmp_path / "train.py", text, 2))
    np.testing.assert_allclose(gone_on["loss"], whole["loss"], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("net.seed = int(me)", "have different models: process 1 and process 0"),
        ("inputs[drive] = x + int(me)", "have different training data: process 1 and process 0"),
    ],
)
def test_processes_that_disagree_are_told_so(change: str, words: str, tmp_path: Path) -> None:
    train = """
with nengograd.Simulator(net, **options) as sim:
    sim.train(inputs, targets, "sgd")
"""
    done = run(tmp_path / "train.py", f"{MODEL}\n{change}\n{train}", 2)
    assert done.returncode == 1
    assert words in done.stderr
    assert "give a seed to the network" in done.stderr


def test_what_fails_in_the_process_that_writes_fails_in_all(tmp_path: Path) -> None:
    text = """
with nengograd.Simulator(net, **options) as sim:
    try:
        sim.save_params(folder / "none" / "params")
    except Exception as error:
        (folder / f"error{me}").write_text(f"{type(error).__name__} {error}")
    sim.run_steps(5)
    say(steps=sim.n_steps)
"""
    assert figures(run(tmp_path / "save.py", MODEL + text, 2)) == {"steps": 5}
    assert (tmp_path / "error0").read_text().startswith("ValidationError path: ")
    assert "process 0, which writes for all, has failed" in (tmp_path / "error1").read_text()


def test_each_process_can_compute_alone_and_python_nodes_have_to(tmp_path: Path) -> None:
    text = """
with net:
    node = nengo.Node(lambda t, x: x**2, size_in=1)
    nengo.Connection(b, node)
    squared = nengo.Probe(node)
try:
    nengograd.Simulator(net, **options)
except nengo.exceptions.BuildError as error:
    (folder / f"error{me}").write_text(str(error))
with nengograd.Simulator(net, **{**options, "device": None}) as sim:
    sim.run_steps(5 + int(me))
    sim.save_params(folder / f"params{me}", state=True)
    say(data=sim.data[squared])
"""
    two = figures(run(tmp_path / "alone.py", MODEL + text, 2))
    assert (tmp_path / "params0.npz").exists()
    assert (tmp_path / "params1.npz").exists()
    for index in "01":
        assert "runs as Python within each step" in (tmp_path / f"error{index}").read_text()
    one = figures(run(tmp_path / "alone.py", MODEL + text, 1))
    np.testing.assert_allclose(two["data"], one["data"], rtol=1e-9)
