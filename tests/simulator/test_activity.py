"""A simulator does one thing at a time, in the process that its backend can work in."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengograd
from conftest import need_backend
from nengograd.simulator import activity

STEPS = 8

CALLS: dict[str, Callable[[Any, Path], Any]] = {
    "step": lambda sim, path: sim.step(),
    "run": lambda sim, path: sim.run(0.002),
    "run_steps": lambda sim, path: sim.run_steps(2),
    "train": lambda sim, path: sim.train({}, target(sim), "sgd"),
    "loss": lambda sim, path: sim.loss({}, target(sim)),
    "check_gradients": lambda sim, path: sim.check_gradients(n_steps=1),
    "save_params": lambda sim, path: sim.save_params(path / "inside"),
    "load_params": lambda sim, path: sim.load_params(path / "before"),
    "reset": lambda sim, path: sim.reset(seed=3),
    "soft_reset": lambda sim, path: sim.soft_reset(),
    "clear_probes": lambda sim, path: sim.clear_probes(),
    "close": lambda sim, path: sim.close(),
    "pickle": lambda sim, path: pickle.dumps(sim),
}


def target(sim: Any) -> dict[Any, np.ndarray]:
    return {sim.model.probes[0]: np.zeros((sim.options.minibatch_size or 1, 4, 1))}


class Meddler:
    """The function of a node that calls what it is told to in the fifth step."""

    def __init__(self) -> None:
        self.call: Callable[[], Any] | None = None

    def __call__(self, t: float, x: Any = None) -> float:
        if self.call is not None and round(t / 0.001) == 5:
            self.call()
        return float(np.sin(900 * t))


def network(meddler: Meddler, size_in: int) -> tuple[nengo.Network, nengo.Probe]:
    with nengo.Network(seed=4) as net:
        node = nengo.Node(meddler, size_in=size_in, size_out=1)
        ens = nengo.Ensemble(6, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(node, ens)
        if size_in:
            nengo.Connection(ens, node, synapse=0.01)
        probe = nengo.Probe(ens, synapse=0.01)
    return net, probe


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("size_in", [0, 1])
def test_a_node_cannot_make_its_own_simulator_do_anything(
    make_sim: Callable, size_in: int, batch: int | None, tmp_path: Path
) -> None:
    meddler = Meddler()
    net, probe = network(meddler, size_in)
    with nengo.Simulator(net, progress_bar=False) as theirs:
        theirs.run_steps(STEPS)
    sim = make_sim(net, minibatch_size=batch)
    sim.save_params(tmp_path / "before")
    refused = []

    def meddle() -> None:
        for name, call in CALLS.items():
            with pytest.raises(SimulationError, match="Already running: a node or callback"):
                call(sim, tmp_path)
            refused.append(name)

    meddler.call = meddle
    sim.run_steps(STEPS)
    assert refused == list(CALLS) * (batch or 1 if size_in else 1)
    assert sim.n_steps == STEPS
    assert not (tmp_path / "inside.npz").exists()
    data = sim.data[probe] if batch is None else sim.data[probe][-1]
    np.testing.assert_allclose(data, theirs.data[probe], rtol=0, atol=1e-10)


def test_an_error_that_a_node_lets_pass_ends_the_run_and_the_simulator_goes_on(
    make_sim: Callable,
) -> None:
    meddler = Meddler()
    net, probe = network(meddler, 1)
    sim = make_sim(net)
    meddler.call = sim.step
    with pytest.raises(SimulationError, match="do it after that call"):
        sim.run_steps(STEPS)
    meddler.call = None
    assert sim.n_steps < 5
    sim.run_steps(STEPS - sim.n_steps)
    sim.step()  # what the message advises
    with nengo.Simulator(net, progress_bar=False) as theirs:
        theirs.run_steps(STEPS + 1)
    np.testing.assert_allclose(sim.data[probe], theirs.data[probe], rtol=0, atol=1e-10)


def test_two_threads_cannot_run_one_simulator(make_sim: Callable, tmp_path: Path) -> None:
    meddler = Meddler()
    net, probe = network(meddler, 0)
    sim = make_sim(net)
    sim.save_params(tmp_path / "before")
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(300)

    meddler.call = wait
    thread = threading.Thread(target=sim.run_steps, args=(STEPS,))
    thread.start()
    try:
        assert inside.wait(300)
        for call in CALLS.values():
            with pytest.raises(SimulationError, match=r"Already running: .* another thread"):
                call(sim, tmp_path)
    finally:
        go_on.set()
        thread.join()
    meddler.call = None
    sim.run_steps(2)
    with nengo.Simulator(net, progress_bar=False) as theirs:
        theirs.run_steps(STEPS + 2)
    np.testing.assert_allclose(sim.data[probe], theirs.data[probe], rtol=0, atol=1e-10)


def test_a_callback_may_look_at_the_simulator_and_not_change_it(tmp_path: Path) -> None:
    need_backend("tensorflow")
    import keras

    net, _ = network(Meddler(), 0)
    allowed = {"step", "run", "run_steps", "loss", "check_gradients", "save_params", "pickle"}
    done: set[str] = set()
    refused: dict[str, str] = {}

    def look(epoch: int, logs: Any) -> None:
        for name, call in CALLS.items():
            try:
                call(sim, tmp_path)
            except SimulationError as error:
                refused[name] = str(error)
            else:
                done.add(name)

    callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
    options = {"backend": "tensorflow", "progress_bar": False}
    with nengograd.Simulator(net, dtype="float64", **options) as sim:
        sim.save_params(tmp_path / "before")
        sim.train({}, target(sim), keras.optimizers.SGD(0.1), callbacks=[callback])
        assert (done, set(refused)) == (allowed, set(CALLS) - allowed)
        assert all("Already running" in message for message in refused.values())
        sim.train({}, target(sim), keras.optimizers.SGD(0.1))


@pytest.mark.parametrize("line", range(1, 16))
def test_an_interrupt_at_any_line_leaves_nothing_running(line: int) -> None:
    turns: dict[str, activity.Activity] = {}
    seen = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename != activity.__file__:
            return None
        if frame.f_code.co_name == "__exit__":
            return None
        if event == "line":
            seen += 1
            if seen == line:
                raise KeyboardInterrupt
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        with activity.Activity(turns, "train"), activity.Activity(turns, "run"):
            pass
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(old)
    with activity.Activity(turns, "train"), activity.Activity(turns, "run"):
        assert turns
    assert not turns


# -- processes


def test_a_simulator_in_a_forked_process_raises_where_its_backend_cannot_go_on(
    make_sim: Callable, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, probe = network(Meddler(), 0)
    sim = make_sim(net)
    sim.save_params(tmp_path / "before")
    sim.run_steps(2)
    calls = {**CALLS, "another": lambda sim, path: nengograd.Simulator(net, backend=backend)}
    if backend == "numpy":
        calls = {"run_steps": CALLS["run_steps"], "pickle": CALLS["pickle"]}
    looking = ("save_params", "clear_probes", "close")
    with monkeypatch.context() as changed:
        changed.setattr(os, "getpid", lambda: -1)
        for name in sorted(set(calls) - set(looking)):
            if backend == "numpy":
                calls[name](sim, tmp_path)
                continue
            with pytest.raises(SimulationError, match='get_context\\("spawn"\\)'):
                calls[name](sim, tmp_path)
        assert sim.data[probe].shape[0] == sim.n_steps
    sim.run_steps(2)


FORKED = """
import multiprocessing, os, sys
import nengo, numpy as np
import nengograd

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
with nengo.Network(seed=0) as net:
    probe = nengo.Probe(nengo.Node([1.0]))


def simulate(seed):
    try:
        with nengograd.Simulator(net, seed=seed, backend=sys.argv[1], progress_bar=False) as sim:
            sim.run_steps(2)
            return sim.data[probe].shape
    except nengo.exceptions.SimulationError as error:
        return str(error)



if __name__ == "__main__":
    if sys.argv[2] == "ours":
        simulate(0)
    elif sys.argv[2] == "theirs":
        import tensorflow as tf
        tf.constant(1.0) + 1
    for method in sys.argv[3:]:
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map_async(simulate, [1]).get(300))
"""

DATA, ADVICE = "[(2, 1)]", 'multiprocessing.get_context("spawn")'


@pytest.mark.parametrize(
    ("backend", "used", "methods", "printed"),
    [
        ("numpy", "ours", ["fork"], [DATA]),
        ("tensorflow", "ours", ["fork", "spawn"], [ADVICE, DATA]),
        ("tensorflow", "theirs", ["fork"], [ADVICE]),
        ("tensorflow", "not", ["fork"], [DATA]),
    ],
)
def test_a_pool_of_workers_never_hangs(
    backend: str, used: str, methods: list[str], printed: list[str], tmp_path: Path
) -> None:
    need_backend(backend)
    script = tmp_path / "sweep.py"
    script.write_text(FORKED)
    command = [sys.executable, str(script), backend, used, *methods]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    lines = done.stdout.splitlines()
    assert len(lines) == len(printed), done.stdout + done.stderr
    for line, part in zip(lines, printed, strict=True):
        assert part in line
