"""A minibatch that is shared out over the devices of a process.

XLA makes several devices of one CPU if it is told so before it starts. The first test runs this
module again in a process with four; the others run there.
"""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengograd

jax = pytest.importorskip("jax")
pytest.importorskip("optax")

IN_FOUR = "NENGOGRAD_TEST_FOUR_DEVICES"
on_four = pytest.mark.skipif(IN_FOUR not in os.environ, reason="runs in a process of its own")
SIZE, STEPS = 8, 40


@pytest.mark.slow
def test_this_module_passes_on_four_devices() -> None:
    if IN_FOUR in os.environ:
        assert len(jax.devices()) == 4
        return
    environment = {
        **os.environ,
        IN_FOUR: "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def make_sim(network: nengo.Network, device: Any = "all", **options: Any) -> nengograd.Simulator:
    defaults = {"minibatch_size": SIZE, "dtype": "float64", "progress_bar": False}
    return nengograd.Simulator(network, backend="jax", device=device, **{**defaults, **options})


def learner(function: Callable[..., Any] | None = None) -> nengo.Network:
    """Two populations with PES; with a function, a node computes it within each step."""
    with nengo.Network(seed=1) as net:
        nengograd.configure_settings(spike_gradient="rate")
        net.drive = nengo.Node([0.0, 0.0])
        a, b = nengo.Ensemble(40, 2), nengo.Ensemble(50, 2)
        error = nengo.Ensemble(30, 2)
        nengo.Connection(net.drive, a)
        learned = nengo.Connection(a, b, learning_rule_type=nengo.PES())
        nengo.Connection(b, b, synapse=0.1, transform=0.5)
        nengo.Connection(b, error)
        nengo.Connection(net.drive, error, transform=-1)
        nengo.Connection(error, learned.learning_rule)
        if function is not None:
            node = nengo.Node(function, size_in=2)
            nengo.Connection(b, node, synapse=0.005)
            nengo.Connection(node[0], error[0])
        net.out = nengo.Probe(b, synapse=0.01)
        net.weights = nengo.Probe(learned, "weights")
        net.noise = nengo.Probe(nengo.Node(nengo.processes.WhiteNoise(seed=3)))
    return net


def regression() -> tuple[nengo.Network, dict[Any, Any], dict[Any, Any]]:
    with nengo.Network(seed=2) as net:
        nengograd.configure_settings(spike_gradient="rate")
        drive = nengo.Node([0.0, 0.0])
        a, b = nengo.Ensemble(30, 2), nengo.Ensemble(30, 1, neuron_type=nengo.Tanh())
        nengo.Connection(drive, a, synapse=None)
        nengo.Connection(a, b, function=lambda x: x[0] * x[1])
        nengo.Connection(b, b, synapse=0.05, transform=0.3)
        probe = nengo.Probe(b, synapse=0.005)
    rng = np.random.RandomState(4)
    x = rng.uniform(-1, 1, (3 * SIZE, 12, 2))
    y = x[..., :1] * x[..., 1:]
    y[::3, :5] = np.nan  # so that minibatches, and their parts, differ in what counts
    return net, {drive: x}, {probe: y}


def feeds(steps: int = STEPS) -> np.ndarray[Any, Any]:
    return np.random.RandomState(0).uniform(-1, 1, (SIZE, steps, 2))


@on_four
@pytest.mark.parametrize("function", [None, lambda t, x: x**2])
@pytest.mark.parametrize("device", ["all", ["/cpu:1", "/cpu:3"]])
def test_each_item_is_that_of_nengo(device: Any, function: Any) -> None:
    net, values = learner(function), feeds()
    with make_sim(net, device) as sim:
        sim.run_steps(STEPS, input_feeds={net.drive: values})
        for item in range(SIZE):
            net.drive.output = nengo.processes.PresentInput(values[item], 0.001)
            with nengo.Simulator(net, progress_bar=False) as reference:
                reference.run_steps(STEPS)
            for probe in (net.out, net.weights):
                np.testing.assert_allclose(
                    sim.data[probe][item], reference.data[probe], rtol=1e-7, atol=1e-10
                )


@on_four
def test_many_single_steps_give_the_numbers_of_a_run() -> None:
    found = []
    for by_step in (False, True):
        net = learner()
        with make_sim(net) as sim:
            many = 130 * len(sim.program.blocks)
            values = np.zeros((SIZE, many, 2)) + np.linspace(-1, 1, SIZE)[:, None, None]
            if by_step:
                compiled = sim.compilations
                for _ in range(many):
                    sim.step(input_feeds={net.drive: values[:, :1]})
                assert sim.compilations == compiled + 2
            else:
                sim.run_steps(many, input_feeds={net.drive: values})
            found.append(sim.data[net.out])
    np.testing.assert_array_equal(*found)


@on_four
def test_devices_exchange_nothing_within_a_step(tmp_path: Path) -> None:
    with make_sim(learner(), tensorboard=str(tmp_path)):
        (path,) = tmp_path.rglob("steps.hlo.txt")
    text = path.read_text()
    exchanges = re.findall(
        r" (all-gather|all-to-all|collective-permute|all-reduce)(?:-start)?\(", text
    )
    assert exchanges == ["all-reduce"]  # whether any state has a NaN, after all steps
    assert f"f64[{SIZE // 4},40]" in text
    assert f"f64[{SIZE},40]" not in text


@on_four
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_takes_the_course_of_one_device(optimizer: str) -> None:
    found = []
    for device in (None, "all"):
        net, inputs, targets = regression()
        with make_sim(net, device) as sim:
            sim.train(inputs, targets, optimizer, n_epochs=2)
            history = sim.train(inputs, targets, optimizer, n_epochs=1)
            weights = [sim.data[c].weights for c in net.all_connections[1:]]
            found.append([*history["loss"], sim.loss(inputs, targets), *weights])
    for one, four in zip(*found, strict=True):
        np.testing.assert_allclose(four, one, rtol=1e-9, atol=1e-12)


@on_four
def test_a_loss_sees_the_whole_minibatch() -> None:
    found = []
    for device in (None, "all"):
        net, inputs, targets = regression()
        seen = []

        def spread(output: Any, target: Any, seen: list[Any] = seen) -> Any:
            seen.append(output.shape)
            return jax.numpy.max(output) - jax.numpy.min(output)

        with make_sim(net, device) as sim:
            found.append(sim.train(inputs, targets, "sgd", objective=spread)["loss"])
        assert seen[0] == (SIZE, 12, 1)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


@on_four
def test_gradients_are_those_of_finite_differences() -> None:
    net, _, _ = regression()
    with make_sim(net) as sim:
        sim.check_gradients(n_steps=4)


@on_four
def test_a_run_that_is_interrupted_goes_on() -> None:
    armed = ["once"]

    def drive(t: float) -> list[float]:
        if t > 0.02 and armed:
            armed.clear()
            raise KeyboardInterrupt
        return smooth(t)

    def smooth(t: float) -> list[float]:
        return [np.sin(30 * t), 0.5]

    found = []
    for function in (smooth, drive):
        net = learner()
        net.drive.output = function
        with make_sim(net) as sim:
            if function is drive:
                with pytest.raises(KeyboardInterrupt):
                    sim.run_steps(STEPS)
                assert 0 < sim.n_steps < STEPS
            sim.run_steps(STEPS - sim.n_steps)
            found.append(sim.data[net.out])
    np.testing.assert_array_equal(*found)


@on_four
def test_what_four_devices_save_one_goes_on_with(tmp_path: Path) -> None:
    net, values = learner(), feeds(2 * STEPS)
    first, second = {net.drive: values[:, :STEPS]}, {net.drive: values[:, STEPS:]}
    with make_sim(net) as sim:
        sim.run_steps(STEPS, input_feeds=first)
        sim.save_params(tmp_path / "half", state=True)
        copied = copy.deepcopy(sim)
        sim.run_steps(STEPS, input_feeds=second)
        whole = sim.data[net.out]
        assert copied.options.device == "all"
        copied.close()
    for device in (None, ["/cpu:2", "/cpu:0"]):
        with make_sim(net, device) as sim:
            sim.load_params(tmp_path / "half", state=True)
            sim.run_steps(STEPS, input_feeds=second)
            np.testing.assert_allclose(sim.data[net.out], whole[:, STEPS:], rtol=1e-9, atol=1e-12)


@on_four
def test_signals_of_all_items_can_be_read_and_written() -> None:
    with nengo.Network() as net:
        node = nengo.Node(size_in=1)
        nengo.Connection(node, node, synapse=0.01)
        probe = nengo.Probe(node)
    with make_sim(net) as sim:
        (signal,) = [s for s in sim.signals if sim.signals[s].shape == (SIZE, 1)][:1]
        sim.signals[signal] = np.arange(SIZE, dtype=float)[:, None]
        sim.run_steps(1)
        found = sim.data[probe][:, 0, 0]
    np.testing.assert_allclose(found / found[1], np.arange(SIZE))


@on_four
def test_the_step_that_makes_a_nan_is_found() -> None:
    with nengo.Network() as net:
        drive = nengo.Node([0.0])
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear(), seed=0)
        nengo.Connection(drive, ens.neurons, transform=np.ones((5, 1)) * 1e300, synapse=None)
        inhibit = nengo.Node(size_in=1)
        nengo.Connection(ens.neurons, inhibit, transform=[[1, -1, 1, -1, 1]], synapse=None)
        nengo.Probe(inhibit, synapse=0.01)
    values = np.zeros((SIZE, 20, 1))
    values[6, 10] = 1e300
    with make_sim(net) as sim:
        with np.errstate(all="ignore"), pytest.raises(SimulationError, match="step 11"):
            sim.run_steps(20, input_feeds={drive: values})
        assert sim.n_steps == 10


@on_four
def test_a_profile_tells_what_blocks_take(tmp_path: Path) -> None:
    with make_sim(learner()) as sim:
        sim.run_steps(200, profile=tmp_path / "profile.json")
        assert sim.profile is not None
        assert sim.profile.device == "all"
        assert sum(block.seconds_per_step for block in sim.profile.blocks) > 0


@on_four
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"minibatch_size": None}, "give it a minibatch_size, such as 4, or a single device"),
        ({"minibatch_size": 6}, "6 items .* evenly over 4 devices; 4 or 8 can"),
        ({"minibatch_size": 2}, "2 items .* evenly over 4 devices; 4 can"),
        ({"device": ["/cpu:0", "cpu:0"]}, "names a device twice"),
        ({"device": ["/cpu:0", "/cpu:4"]}, "no device '/cpu:4'; there are .*'/cpu:3'"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        make_sim(learner(), **{"device": "all", **options})


def test_one_device_in_a_list_needs_no_minibatch() -> None:
    for device in (["/cpu:0"], ("cpu",)):
        with make_sim(learner(), device, minibatch_size=None) as sim:
            sim.run_steps(3)
            assert sim.options.device == device[0]


def test_a_backend_that_cannot_names_one_that_can() -> None:
    with pytest.raises(ValidationError, match=r"'numpy' cannot share .* use backend='jax'"):
        nengograd.Simulator(
            learner(), backend="numpy", device="all", minibatch_size=4, progress_bar=False
        )
