"""The kit finds what is wrong with a backend: each check fails where that one thing is wrong."""

import signal
import threading
from dataclasses import replace
from unittest import SkipTest

import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengograd
from conformance import differences
from nengograd.plugin import BackendInfo, OperatorBuilder, PartialRun
from nengograd.tensor_node import SimTensorNode
from nengograd.testing import BackendConformance, ConformanceError, check_backend
from nengograd_numpy.backend import NumpyExecutable

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")


def suite(**attributes):
    """The checks of the backend "differences"."""
    return type("Suite", (BackendConformance,), {"name": "differences", **attributes})()


def fails(check, complaint, **attributes):
    """Whether a check of the backend "differences" fails, saying so."""
    with pytest.raises(ConformanceError, match=complaint):
        getattr(suite(**attributes), f"test_{check.replace(' ', '_')}")()
    return True


# -- runs


class AStepTooMany(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        state, outputs = super().run(state, inputs, n, first, host)
        state, _ = super().run(state, inputs[:1], 1, first, host)
        return state, outputs


class ForgetsAState(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        after, outputs = super().run(state, inputs, n, first, host)
        self.after = after
        return after, outputs

    def read(self, state):
        arrays = super().read(state)
        if state is getattr(self, "after", None):
            del arrays[min(arrays)]
        return arrays


class ChangesItsState(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        after, outputs = super().run(state, inputs, n, first, host)
        state[...] = after
        return after, outputs


class KeepsStatesInFloat32(NumpyExecutable):
    def read(self, state):
        return {i: x.astype("float32") for i, x in super().read(state).items()}


class CompilesEachLength(NumpyExecutable):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.lengths = set()

    def run(self, state, inputs, n, first, host):
        self.lengths.add(n)
        self.compilations = len(self.lengths)
        return super().run(state, inputs, n, first, host)


class OffByLittle(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        state, outputs = super().run(state, inputs, n, first, host)
        return state, [1.0001 * x for x in outputs]


class AlwaysFloat64(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        state, outputs = super().run(state, inputs, n, first, host)
        return state, [x.astype("float64") for x in outputs]


class ForgetsChunks(NumpyExecutable):
    """Each chunk begins at the first time."""

    def run(self, state, inputs, n, first, host):
        return super().run(state, inputs - 0.001 * (first // 1000), n, first, host)


class Ages(NumpyExecutable):
    """What it puts out depends on how often it has run."""

    runs = 0

    def run(self, state, inputs, n, first, host):
        self.runs += 1
        state, outputs = super().run(state, inputs, n, first, host)
        return state, [x + 1e-6 * self.runs for x in outputs]


class MixesItems(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        if inputs.ndim > 2:
            inputs = inputs + 0.01 * inputs[:, :1]
        return super().run(state, inputs, n, first, host)


class LosesStepsAtErrors(NumpyExecutable):
    error = RuntimeError

    def run(self, state, inputs, n, first, host):
        try:
            return super().run(state, inputs, n, first, host)
        except PartialRun as partial:
            if not isinstance(partial.__cause__, self.error):
                raise
            raise partial.__cause__ from None


class LosesStepsAtCtrlC(LosesStepsAtErrors):
    error = KeyboardInterrupt


class GoesBackAtCtrlC(NumpyExecutable):
    """Ctrl-C reaches it early in a long chunk: it keeps the records, and the state before."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.is_over = False

    def run(self, state, inputs, n, first, host):
        if n < 20 or self.is_over:
            return super().run(state, inputs, n, first, host)
        self.is_over, steps = True, 10
        try:
            _, outputs = super().run(state, inputs[:steps], steps, first, host)
        except PartialRun as stopped:  # the kit's own Ctrl-C, on a slow machine
            outputs, steps = stopped.outputs, stopped.steps
        raise PartialRun(state, outputs, steps) from KeyboardInterrupt()


class OverlooksNan(NumpyExecutable):
    def has_nan(self, state):
        return False


class RecordsNoNan(OverlooksNan):
    def run(self, state, inputs, n, first, host):
        state, outputs = super().run(state, inputs, n, first, host)
        return state, [np.nan_to_num(x) for x in outputs]


@pytest.mark.parametrize(
    ("executable", "check", "complaint"),
    [
        (OffByLittle, "it agrees with nengo", "neurons: step"),
        (AlwaysFloat64, "it keeps to float32", "float32 gave float64"),
        (AStepTooMany, "runs of any length share one compilation", "run in pieces: step"),
        *(
            (wrong, "a run gives all states and leaves the one it began with", complaint)
            for wrong, complaint in [
                (ForgetsAState, r"the state after a run: .* \(\d+\) is missing"),
                (ChangesItsState, r"`run` has changed .* in the state that it began with"),
                (KeepsStatesInFloat32, "in float32; .* and float64 are needed"),
            ]
        ),
        (CompilesEachLength, "runs of any length share one compilation", "compiled 3 times"),
        (ForgetsChunks, "long runs go in chunks", "time: step 1001"),
        (Ages, "reset begins anew", "neurons after a reset"),
        (
            MixesItems,
            "each item of a minibatch is a simulation of its own",
            "neurons, item 0",
        ),
        (
            LosesStepsAtErrors,
            "an error in a node keeps the steps before it",
            "8 steps were complete; 0 are counted",
        ),
        (
            LosesStepsAtCtrlC,
            "ctrl c in a node keeps the steps before it",
            "8 steps were complete; 0 are counted",
        ),
        (
            GoesBackAtCtrlC,
            "ctrl c in the middle of a run keeps complete steps",
            "a run that Ctrl-C has stopped after .* steps and that went on",
        ),
        (RecordsNoNan, "a run stops before the first nan", "a run went on"),
        (OverlooksNan, "a run stops before a nan that no probe sees", "a run went on"),
    ],
)
def test_a_backend_that_runs_wrong_is_caught(executable, check, complaint):
    assert fails(check, complaint, plugins=[differences.plugin(executable)])


def test_a_backend_without_devices_or_that_takes_any_is_caught():
    class Anywhere(differences.plugin().nengograd_backends()["differences"].load):
        def compile(self, program, registry, options):
            return super().compile(program, registry, replace(options, device=None))

    class Nowhere(Anywhere):
        def devices(self):
            return []

    class Plugin:
        def __init__(self, backend):
            self.made = {"differences": BackendInfo(backend)}

        @nengograd.hookimpl
        def nengograd_backends(self):
            return self.made

    for backend, complaint in [(Anywhere, "not there"), (Nowhere, r"devices\(\) is empty")]:
        assert fails("it names its devices", complaint, plugins=[Plugin(backend)])


# -- parameters


class CompilesParametersIn(NumpyExecutable):
    def set_parameters(self, values):
        super().set_parameters(values)
        self.compilations += 1


class KeepsItsFirstParameters(NumpyExecutable):
    times = 0

    def set_parameters(self, values):
        self.times += bool(values)
        if self.times < 2:
            super().set_parameters(values)


@pytest.mark.parametrize(
    ("executable", "complaint"),
    [
        (CompilesParametersIn, "compiled 2 times more for other parameters"),
        (KeepsItsFirstParameters, "output with another bias: step"),
    ],
)
def test_a_backend_that_cannot_change_parameters_is_caught(executable, complaint):
    check = "parameters change without compiling anew"
    assert fails(check, complaint, plugins=[differences.plugin(executable)])


# -- training


class Backwards(differences.DifferenceTrainer):
    def moved(self, gradients):
        return super().moved({i: -g for i, g in gradients.items()})


class TellsOtherLosses(differences.DifferenceTrainer):
    def step(self, inputs, targets):
        result = super().step(inputs, targets)
        return result._replace(losses=1.01 * result.losses)


class StepsOfItsOwn(differences.DifferenceTrainer):
    def moved(self, gradients):
        return super().moved({i: 1.001 * g for i, g in gradients.items()})


class Stubborn(differences.DifferenceTrainer):
    """Takes the first values it is given."""

    def set_parameters(self, values):
        for i, x in values.items():
            self.values.setdefault(i, np.array(x, dtype=float))


class Secretive(differences.DifferenceTrainer):
    """Trains, and gives the parameters that it began with."""

    def read(self):
        program = self.executable.program
        return {a.id: np.array(a.initial) for a in program.by_role("parameter")}


class Moody(differences.DifferenceTrainer):
    """Computes with other parameters than it tells."""

    def read(self):
        return {i: x + 1e-3 for i, x in super().read().items()}


class KeepsItsMoments(differences.DifferenceTrainer):
    moments = None

    def start_over(self):
        if self.moments is None:
            super().start_over()


class LosesSlots(differences.DifferenceTrainer):
    """Takes the slots of a file, and goes on with its own."""

    def set_slots(self, slots):
        pass


class CallsAllOptimizersTheSame(differences.DifferenceTrainer):
    """Does not tell whose slots it has saved."""

    def optimizer_state(self):
        return super().optimizer_state()._replace(name="an optimizer")


class TakesInfinity(differences.DifferenceTrainer):
    def step(self, inputs, targets):
        self.stop_at_nan = False
        return super().step(inputs, targets)


class StopsLate(differences.DifferenceTrainer):
    """Says that a loss is infinite when it has changed the parameters."""

    def step(self, inputs, targets):
        self.stop_at_nan = False
        result = super().step(inputs, targets)
        problem = "" if np.isfinite(result.losses).all() else "a loss"
        return result._replace(problem=problem)


class HalfAStep(differences.DifferenceTrainer):
    """Changes the parameters in place; Ctrl-C reaches it halfway through its fourth step."""

    steps = 0

    def moved(self, gradients):
        self.steps += 1
        moved = super().moved(gradients)
        for i, x in moved.items():
            self.values[i] = (self.values[i] + x) / 2
            if self.steps == 4:
                signal.raise_signal(signal.SIGINT)
            self.values[i] = x
        return moved


class WrongGradient(differences.DifferenceTrainer):
    def differentiate(self, parameters, inputs, weights):
        total, by_parameters, by_inputs = super().differentiate(parameters, inputs, weights)
        return total, by_parameters, 1.1 * by_inputs


@pytest.mark.parametrize(
    ("trainer", "check", "complaint"),
    [
        (
            Backwards,
            "training by a named optimizer lets the loss fall",
            "sgd: the loss went from .* to .* in 8 steps",
        ),
        (
            TellsOtherLosses,
            "training by a named optimizer lets the loss fall",
            "first loss of sgd",
        ),
        (StepsOfItsOwn, "a step of sgd is the one done by hand", "step of sgd: "),
        (Secretive, "a step of sgd is the one done by hand", "step of sgd: "),
        (
            Stubborn,
            "training begins with parameters that were loaded",
            "weights after a step from those that were loaded",
        ),
        (
            Secretive,
            "trained parameters run are saved and are forgotten by a reset",
            "a run after training is that before it",
        ),
        (Moody, "training begins with parameters that were loaded", "those that were loaded"),
        (
            KeepsItsMoments,
            "training after a reset goes as the first one",
            "losses after a reset",
        ),
        (
            LosesSlots,
            "training goes on with the slots of a file",
            "losses with slots of a file",
        ),
        (
            CallsAllOptimizersTheSame,
            "training goes on with the slots of a file",
            "slots of adam were taken for sgd",
        ),
        (
            TakesInfinity,
            "a loss that is not finite stops the training",
            "infinite in the first of 3 epochs; training went on for 3",
        ),
        (
            StopsLate,
            "a loss that is not finite stops the training",
            "weights before the infinite loss",
        ),
        (
            HalfAStep,
            "ctrl c keeps the minibatches before it",
            "not those after any number of whole minibatches",
        ),
    ],
)
def test_a_backend_that_trains_wrong_is_caught(trainer, check, complaint):
    assert fails(check, complaint, plugins=[differences.plugin(trainer=trainer)])


def test_a_backend_whose_gradients_are_wrong_is_caught():
    checked = suite(plugins=[differences.plugin(trainer=WrongGradient)])
    with pytest.raises(SimulationError, match="Analytic and numeric gradients differ"):
        checked.test_gradients_are_those_of_finite_differences()


# -- profiles


class Boasts(NumpyExecutable):
    """Has measured more than there was."""

    def stop_measuring(self):
        measured = super().stop_measuring()
        # However long the machine did other work meanwhile, it was no hour.
        return replace(measured, blocks={i: x + 3600 for i, x in measured.blocks.items()})


class MeasuresNothing(NumpyExecutable):
    def stop_measuring(self):
        return replace(super().stop_measuring(), blocks={})


class TrainerThatBoasts(differences.DifferenceTrainer):
    make_executable = Boasts


class TrainerThatMeasuresNothing(differences.DifferenceTrainer):
    make_executable = MeasuresNothing


@pytest.mark.parametrize(
    ("executable", "trainer", "complaint"),
    [
        (Boasts, TrainerThatBoasts, "the blocks of a profile take .* that takes"),
        (MeasuresNothing, TrainerThatMeasuresNothing, r"\['LIF x1', 'Sigmoid x1'\] take no time"),
    ],
)
def test_a_backend_that_measures_wrong_is_caught(executable, trainer, complaint):
    run, training = (
        "a profile of a run names each block and adds up",
        "a profile of a training adds up",
    )
    assert fails(run, complaint, plugins=[differences.plugin(executable)])
    assert fails(training, complaint, plugins=[differences.plugin(trainer=trainer)])


def test_a_backend_that_does_not_measure_need_not():
    plain = differences.plugin(MeasuresNothing, TrainerThatMeasuresNothing, profile=False)
    checked = suite(plugins=[plain])
    checked.test_a_profile_of_a_run_names_each_block_and_adds_up()
    checked.test_a_profile_of_a_training_adds_up()


# -- tensor functions


@pytest.mark.needs("tensorflow")
def test_tensor_functions_that_are_wrong_are_caught():
    class Wrong(OperatorBuilder):
        def build(self, block, ctx):
            return lambda x: [ctx.xp.tanh(1.001 * x)]

    def tanh(x):
        import tensorflow as tf

        return tf.tanh(x)

    class Plugin:
        @nengograd.hookimpl
        def nengograd_operators(self, backend):
            return {SimTensorNode: Wrong()} if backend == "tensorflow" else {}

    check = "tensor functions run and have gradients"
    assert fails(
        check, "tanh of a tensor", name="tensorflow", plugins=[Plugin()], tensor_function=tanh
    )


# -- all of it


@pytest.mark.parametrize("check", ["a step of sgd is the one done by hand", "tensor functions"])
def test_what_a_backend_does_not_declare_is_skipped_with_the_reason(check):
    (found,) = [name for name in dir(BackendConformance) if check in name.replace("_", " ")]
    with pytest.raises(SkipTest, match="the backend 'numpy' does not declare '"):
        getattr(suite(name="numpy"), found)()


@pytest.mark.needs("tensorflow")
def test_tensor_functions_are_skipped_where_none_is_given():
    with pytest.raises(SkipTest, match="no tensor_function is given"):
        suite(name="tensorflow").test_tensor_functions_run_and_have_gradients()


def test_all_that_is_wrong_is_told_together():
    with pytest.raises(ConformanceError, match=r"^\d+ checks failed") as caught:
        check_backend("differences", plugins=[differences.plugin(AStepTooMany)])
    assert "\n- runs of any length share one compilation: " in str(caught.value)


def test_ctrl_c_that_comes_before_the_run_has_begun_ends_no_more_than_the_run(monkeypatch):
    class Timer(threading.Timer):
        """Whoever has started it gets no further before it is over, as on a busy machine."""

        def start(self):
            super().start()
            self.join()

    monkeypatch.setattr(threading, "Timer", Timer)
    suite(name="numpy").test_ctrl_c_in_the_middle_of_a_run_keeps_complete_steps()
