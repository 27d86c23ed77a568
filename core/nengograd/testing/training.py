"""Checks of a backend's training: steps of optimizers, parameters, what stops it."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.exceptions import NengoWarning, ValidationError
from numpy.typing import NDArray

from .conformance import Conformance, ConformanceError
from .interruption import interrupt

__all__ = ["TrainingChecks"]

_MOST_STEPS = 200_000
"""Steps of training among which the one is looked for at which Ctrl-C has come."""


def _linear() -> Any:
    """A product with a matrix, whose gradient can be written down."""
    weights = np.random.RandomState(0).uniform(-1, 1, (3, 2))
    with nengo.Network(seed=4) as net:
        net.drive = nengo.Node(np.zeros(2))
        output = nengo.Node(size_in=3)
        net.weights = nengo.Connection(net.drive, output, transform=weights, synapse=None)
        net.p = nengo.Probe(output)
    return net


def _layers() -> Any:
    """Two products with neurons between them."""
    rng = np.random.RandomState(1)
    with nengo.Network(seed=5) as net:
        net.drive = nengo.Node(np.zeros(2))
        hidden = nengo.Ensemble(
            5,
            1,
            neuron_type=nengo.Tanh(tau_ref=1.0),
            gain=np.ones(5),
            bias=np.linspace(-1, 1, 5),
        )
        output = nengo.Node(size_in=1)
        first, last = rng.uniform(-1, 1, (5, 2)), rng.uniform(-1, 1, (1, 5))
        net.products = [
            nengo.Connection(net.drive, hidden.neurons, transform=first, synapse=None),
            nengo.Connection(hidden.neurons, output, transform=last, synapse=None),
        ]
        net.p = nengo.Probe(output)
    return net


def _data(net: Any, items: int, scale: float = 1.0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Random inputs and targets, ``(items, 3, size)``."""
    rng = np.random.RandomState(2)
    inputs = scale * rng.uniform(-1, 1, (items, 3, net.drive.size_out))
    return inputs, rng.uniform(-1, 1, (items, 3, net.p.size_in))


def _trained_weights(sim: Any, net: Any) -> NDArray[Any]:
    """The weights of both products, as one row."""
    rows = [np.ravel(sim.data[connection].weights) for connection in net.products]
    return np.concatenate(rows)[None]


class TrainingChecks(Conformance):
    """What a backend that differentiates is checked for; see `BackendConformance`."""

    name: ClassVar[str] = ""
    sgd_rate: ClassVar[float] = 0.01

    def _descend(
        self, weights: NDArray[Any], inputs: NDArray[Any], targets: NDArray[Any]
    ) -> NDArray[Any]:
        """One step of stochastic gradient descent on the mean squared error of `_linear`."""
        errors = inputs @ weights.T - targets
        gradient = 2 * np.einsum("btj,bti->ji", errors, inputs) / targets.size
        return np.asarray(weights - self.sgd_rate * gradient)

    def test_training_by_a_named_optimizer_lets_the_loss_fall(self) -> None:
        self.need(self.name, "differentiate")
        net = _layers()
        inputs, targets = _data(net, 4)
        data = {net.drive: inputs}, {net.p: targets}
        with self.open(net, self.name, minibatch_size=4) as sim:
            for optimizer in ("sgd", "adam"):
                sim.reset()
                before = sim.loss(*data)
                history = sim.train(*data, optimizer, n_epochs=8)["loss"]
                after = sim.loss(*data)
                told = np.array([[history[0]]])
                self.compare(
                    self.name, told, np.array([[before]]), f"first loss of {optimizer}", 1e-9, 1e-6
                )
                if not after < history[-1] < history[0]:
                    raise ConformanceError(
                        f"{optimizer}: the loss went from {before:.6g} to {after:.6g} in 8 steps; "
                        f"the history has {history[0]:.6g} to {history[-1]:.6g}"
                    )

    def test_a_step_of_sgd_is_the_one_done_by_hand(self) -> None:
        self.need(self.name, "differentiate")
        net = _linear()
        inputs, targets = _data(net, 4)
        with self.open(net, self.name, minibatch_size=4) as sim:
            before = sim.data[net.weights].weights.copy()
            sim.train({net.drive: inputs}, {net.p: targets}, "sgd")
            moved = sim.data[net.weights].weights - before
            by_hand = self._descend(before, inputs, targets) - before
            self.compare(self.name, moved, by_hand, "step of sgd", 1e-12, 1e-6)

    def test_training_begins_with_parameters_that_were_loaded(self) -> None:
        self.need(self.name, "differentiate")
        net = _linear()
        inputs, targets = _data(net, 4)
        data = {net.drive: inputs}, {net.p: targets}
        with (
            tempfile.TemporaryDirectory() as folder,
            self.open(net, self.name, minibatch_size=4) as sim,
        ):
            path = Path(folder) / "parameters.npz"
            sim.train(*data, "sgd", n_epochs=2)
            loaded = sim.data[net.weights].weights.copy()
            sim.save_params(path)
            sim.reset()
            sim.train(*data, "sgd")
            sim.load_params(path)
            sim.train(*data, "sgd")
            self.compare(
                self.name,
                sim.data[net.weights].weights,
                self._descend(loaded, inputs, targets),
                "weights after a step from those that were loaded",
                1e-12,
                1e-8,
            )

    def test_trained_parameters_run_are_saved_and_are_forgotten_by_a_reset(self) -> None:
        self.need(self.name, "differentiate")
        net = _layers()
        inputs, targets = _data(net, 2)
        feeds = {net.drive: inputs}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "parameters.npz"
            with self.open(net, self.name, minibatch_size=2) as sim:
                sim.run_steps(3, input_feeds=feeds)
                first = sim.data[net.p].copy()
                sim.train(feeds, {net.p: targets}, "sgd", n_epochs=3)
                sim.save_params(path)
                sim.soft_reset(include_probes=True)
                sim.run_steps(3, input_feeds=feeds)
                trained = sim.data[net.p].copy()
                if np.array_equal(first, trained):
                    raise ConformanceError("a run after training is that before it")
                sim.reset()
                sim.run_steps(3, input_feeds=feeds)
                self.compare(
                    self.name, sim.data[net.p], first, "output after a reset", 1e-12, 1e-12
                )
            with self.open(net, self.name, minibatch_size=2) as sim:
                sim.load_params(path)
                sim.run_steps(3, input_feeds=feeds)
                self.compare(
                    self.name, sim.data[net.p], trained, "output of what was saved", 1e-12, 1e-12
                )

    def test_training_after_a_reset_goes_as_the_first_one(self) -> None:
        self.need(self.name, "differentiate")
        net = _layers()
        inputs, targets = _data(net, 6)
        data = {net.drive: inputs}, {net.p: targets}
        with self.open(net, self.name, minibatch_size=2) as sim:
            losses, weights = [], []
            for _ in range(2):
                history = sim.train(*data, "adam", n_epochs=3)
                losses.append(np.array(history["loss"])[:, None])
                weights.append(_trained_weights(sim, net))
                sim.reset()
        self.compare(self.name, losses[1], losses[0], "losses after a reset", 0.0, 1e-10)
        self.compare(
            self.name, weights[1], weights[0], "weights trained after a reset", 1e-12, 1e-10
        )

    def test_training_goes_on_with_the_slots_of_a_file(self) -> None:
        self.need(self.name, "differentiate")
        self.need(self.name, "save_optimizer")
        net = _layers()
        inputs, targets = _data(net, 6)
        data = {net.drive: inputs}, {net.p: targets}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "training.npz"
            with self.open(net, self.name, minibatch_size=2, seed=0) as sim:
                sim.train(*data, "adam", n_epochs=2)
                sim.save_params(path, include_optimizer=True)
                expected = sim.train(*data, "adam", n_epochs=2)["loss"]
            with self.open(net, self.name, minibatch_size=2, seed=0) as sim:
                sim.load_params(path, include_optimizer=True)
                found = sim.train(*data, "adam", n_epochs=2)["loss"]
                sim.load_params(path, include_optimizer=True)
                try:
                    sim.train(*data, "sgd")
                except ValidationError:
                    pass
                else:
                    raise ConformanceError("slots of adam were taken for sgd")
        what = "losses with slots of a file"
        self.compare(
            self.name, np.array(found)[:, None], np.array(expected)[:, None], what, 0.0, 1e-12
        )

    def test_a_loss_that_is_not_finite_stops_the_training(self) -> None:
        self.need(self.name, "differentiate")
        net = _linear()
        inputs, targets = _data(net, 2)
        # Its square is more than the dtype holds.
        targets[1] = 1e5 * float(np.finfo(self.dtype(self.name)).max) ** 0.5
        with self.open(net, self.name, minibatch_size=1) as sim:
            before = sim.data[net.weights].weights.copy()
            data = {net.drive: inputs}, {net.p: targets}
            with warnings.catch_warnings(record=True) as caught, np.errstate(over="ignore"):
                warnings.simplefilter("always")
                history = sim.train(*data, "sgd", n_epochs=3, shuffle=False)["loss"]
            after = sim.data[net.weights].weights.copy()
        if len(history) != 1 or not any(issubclass(w.category, NengoWarning) for w in caught):
            raise ConformanceError(
                f"a loss is infinite in the first of 3 epochs; training went on for {len(history)}"
            )
        expected = self._descend(before, inputs[:1], targets[:1])
        self.compare(self.name, after, expected, "weights before the infinite loss", 1e-12, 1e-8)

    def test_ctrl_c_keeps_the_minibatches_before_it(self) -> None:
        self.need(self.name, "differentiate")
        net = _linear()
        # Small inputs: it takes thousands of steps until two are too near to tell them apart.
        inputs, targets = _data(net, 2, scale=0.2)
        data = {net.drive: inputs}, {net.p: targets}
        # In float32 rounding adds up to more of a step.
        near = 0.01 if self.dtype(self.name) == "float64" else 0.3
        with self.open(net, self.name, minibatch_size=2) as sim:
            sim.train(*data, "sgd")
            weights = sim.data[net.weights].weights.copy()
            interrupt(lambda: sim.train(*data, "sgd", n_epochs=_MOST_STEPS), 0.2)
            found = sim.data[net.weights].weights.copy()
            for _ in range(_MOST_STEPS):
                following = self._descend(weights, inputs, targets)
                if np.abs(found - weights).max() < near * np.abs(following - weights).max():
                    return
                weights = following
        raise ConformanceError(
            "the weights after Ctrl-C are not those after any number of whole minibatches"
        )
