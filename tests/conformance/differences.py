"""A backend that differentiates with no library at all: NumPy, and finite differences.

The kit's checks of training run on it in milliseconds, and tests of the kit spoil one thing of it.
"""

from __future__ import annotations

import numpy as np

import nengograd
from nengograd.plugin import (
    BackendInfo,
    Capabilities,
    OptimizerState,
    PartialRun,
    StepResult,
    Trainer,
    numpy_namespace,
)
from nengograd_numpy.backend import NumpyBackend, NumpyExecutable

_STEP = 1e-6
RATES = {"sgd": 0.01, "adam": 0.001}


class DifferenceTrainer(Trainer):
    """Differentiates by differences of runs with a little more and a little less."""

    make_executable = NumpyExecutable

    def __init__(self, program, registry, options):
        self.executable = self.make_executable(program, registry, options)
        self.values = {}
        self.set_parameters({a.id: a.initial for a in program.by_role("parameter")})
        self.start_over()

    def read(self):
        return {i: x.copy() for i, x in self.values.items()}

    def set_parameters(self, values):
        self.values.update({i: np.array(x, dtype=float) for i, x in values.items()})

    def start_over(self):
        """Forget the moments of "adam"."""
        self.updates = 0
        self.moments = {}

    def optimizer_state(self):
        """The name, the number of updates, and the moments of each array."""
        slots = {"updates": np.array(self.updates)}
        for i, x in self.values.items():
            for name, moment in zip(("first", "second"), self.moments.get(i, (0, 0)), strict=True):
                slots[f"{name}[{i}]"] = np.broadcast_to(np.asarray(moment, float), x.shape).copy()
        return OptimizerState(self.optimizer, slots)

    def set_slots(self, slots):
        self.updates = int(slots["updates"])
        self.moments = {i: (slots[f"first[{i}]"], slots[f"second[{i}]"]) for i in self.values}

    def compile(self, optimizer, losses, spec, options):
        self.optimizer, self.losses, self.stop_at_nan = optimizer, losses, options.stop_at_nan

    def step(self, inputs, targets):
        def losses(values):
            outputs = self.record(values, inputs)
            found = []
            for term, target in zip(self.losses, targets, strict=True):
                samples = outputs[term.output][term.steps].swapaxes(0, 1)
                found.append(term.loss(numpy_namespace, samples, target))
            return np.array(found, dtype=float)

        figures = losses(self.values)
        result = StepResult(figures[:, 0], figures[:, 1])
        gradients = gradient(
            lambda values: losses(values)[:, 0] @ [term.factor for term in self.losses], self.values
        )
        if self.stop_at_nan and not np.isfinite(result.losses).all():
            return StepResult(*figures.T, problem="a loss")
        self.values = self.moved(gradients)
        return result

    def record(self, values, inputs):
        self.executable.set_parameters(values)
        program, options = self.executable.program, self.executable.options
        arrays = program.initial_state(options.dtype, options.batch, values)
        state = self.executable.make_state(arrays)
        try:
            return self.executable.run(state, inputs, len(inputs), 1, None)[1]
        except PartialRun as partial:
            # Of a training, steps of a minibatch are no result.
            raise partial.__cause__ from None

    def moved(self, gradients):
        rate = RATES[self.optimizer]
        if self.optimizer == "sgd":
            return {i: x - rate * gradients[i] for i, x in self.values.items()}
        self.updates += 1
        moved = {}
        for i, x in self.values.items():
            first, second = self.moments.get(i, (0.0, 0.0))
            first = 0.9 * first + 0.1 * gradients[i]
            second = 0.999 * second + 0.001 * gradients[i] ** 2
            self.moments[i] = first, second
            slope = first / (1 - 0.9**self.updates)
            moved[i] = x - rate * slope / np.sqrt(second / (1 - 0.999**self.updates) + 1e-14)
        return moved

    def differentiate(self, parameters, inputs, weights):
        def total(values):
            given = {i: x for i, x in values.items() if i != "inputs"}
            outputs = self.record(given, values["inputs"])
            return sum(float((outputs[i] * w).sum()) for i, w in weights.items())

        values = {**parameters, "inputs": inputs}
        found = gradient(total, values)
        return total(values), {i: found[i] for i in parameters}, found["inputs"]

    def start_measuring(self, folder=None):
        self.executable.start_measuring(folder)

    def stop_measuring(self):
        return self.executable.stop_measuring()


def gradient(function, values):
    """The gradient of a function of arrays, by central differences."""
    found = {}
    for name, value in values.items():
        found[name] = np.empty_like(value)
        for place in np.ndindex(value.shape):
            at = []
            for sign in (1, -1):
                moved = {**values, name: value.copy()}
                moved[name][place] += sign * _STEP
                at.append(function(moved))
            with np.errstate(invalid="ignore"):
                found[name][place] = (at[0] - at[1]) / (2 * _STEP)
    return found


def plugin(executable=NumpyExecutable, trainer=DifferenceTrainer, **capabilities):
    """A plugin with the backend "differences", which has another executable or trainer, maybe."""

    class DifferenceBackend(NumpyBackend):
        name = "differences"

        def compile(self, program, registry, options):
            super().compile(program, registry, options)  # refuses a device that is not there
            return executable(program, registry, options)

        def trainer(self, program, registry, options):
            return trainer(program, registry, options)

    able = Capabilities(
        **{"differentiate": True, "profile": True, "save_optimizer": True, **capabilities}
    )

    class Plugin:
        @nengograd.hookimpl
        def nengograd_backends(self):
            return {"differences": BackendInfo(DifferenceBackend, capabilities=able)}

    return Plugin()
