"""The kit passes processes without an input that are right, and says what is wrong with others."""

from unittest import SkipTest

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengograd.testing import ConformanceError, SourceConformance, check_source


class OrnsteinUhlenbeck(nengo.Process):
    """Noise with a time constant, as it should be written."""

    def __init__(self, **kwargs):
        super().__init__(default_size_in=0, **kwargs)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"x": np.zeros(shape_out, dtype)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return self.noise(state["x"], np.exp(-dt / 0.02), rng)

    def noise(self, x, decay, rng):
        def step(t):
            x[...] = decay * x + rng.normal(size=x.shape)
            return x

        return step


class Global(OrnsteinUhlenbeck):
    """Draws from NumPy's own generator."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return self.noise(state["x"], np.exp(-dt / 0.02), np.random)


class OnTheProcess(OrnsteinUhlenbeck):
    """Keeps what it has reached, also beyond a simulation."""

    x = 0.0

    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t):
            self.x = 0.9 * self.x + rng.normal(size=shape_out)
            return self.x

        return step


class Restarted(OnTheProcess):
    """Begins anew, but all nodes and items have one state."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        self.x = np.zeros(shape_out)
        return super().make_step(shape_in, shape_out, dt, rng, state)


class DrawnOnce(OrnsteinUhlenbeck):
    """All nodes and items get the numbers of the first."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.drawn = {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        numbers = rng.normal(size=(10_000, *shape_out))
        numbers = self.drawn.setdefault(shape_out, numbers)
        return lambda t: numbers[round(t / dt)]


class CountsCalls(OrnsteinUhlenbeck):
    """A function of how often it was called, not of the time."""

    calls = 0

    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t):
            self.calls += 1
            return np.full(shape_out, self.calls)

        return step


class Ramp(nengo.Process):
    """Of time alone, without random numbers."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: np.full(shape_out, t)


class TestNoise(SourceConformance):
    process = OrnsteinUhlenbeck()
    size = 3


class TestSeeded(SourceConformance):
    process = nengo.processes.WhiteNoise(seed=5)


class TestPresented(SourceConformance):
    process = nengo.processes.PresentInput(np.eye(2), presentation_time=0.005)


class TestRamp(SourceConformance):
    process = Ramp()


@pytest.mark.parametrize(
    "process",
    [nengo.processes.WhiteSignal(1.0, 50), nengo.processes.FilteredNoise(), OrnsteinUhlenbeck()],
    ids=lambda process: type(process).__name__,
)
def test_a_process_that_is_right_passes(process):
    check_source(process, backends=["numpy"], size=2)


@pytest.mark.parametrize(
    ("process", "complaints"),
    [
        (Global(), ["outputs are those of nengo to the last bit", "draw from the rng"]),
        (OnTheProcess(), ["outputs are those of nengo", "reset begins anew", "not into the proc"]),
        (Restarted(), ["the first item of a minibatch is a single simulation"]),
        (DrawnOnce(), ["the same numbers in two nodes, although it draws random ones"]),
        (CountsCalls(), ["a run in pieces is a run in one", "step 1, element 0 is"]),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, list) else "",
)
def test_a_process_that_is_wrong_is_caught(process, complaints):
    with pytest.raises(ConformanceError) as caught:
        check_source(process, backends=["numpy"], size=2)
    for complaint in complaints:
        assert complaint in str(caught.value)


def test_a_wrong_number_is_told_with_its_step_and_its_element():
    class Suite(SourceConformance):
        process = Global()

    with pytest.raises(ConformanceError, match=r"node 1 of 2: step 1, element 0 is .* to the last"):
        Suite().test_outputs_are_those_of_nengo_to_the_last_bit("numpy")


@pytest.mark.parametrize(
    ("process", "reason"), [(nengo.processes.WhiteNoise(seed=1), "has a seed"), (Ramp(), "nothing")]
)
def test_numbers_that_need_not_differ_are_skipped_with_the_reason(process, reason):
    suite = type("Suite", (SourceConformance,), {"process": process})()
    with pytest.raises(SkipTest, match=reason):
        suite.test_random_numbers_differ_between_nodes_items_and_seeds("numpy")


def test_what_is_no_source_is_said_once():
    with pytest.raises(ConformanceError, match="if it has an input, check_process") as caught:
        check_source(nengo.Lowpass(0.01), backends=["numpy"])
    assert str(caught.value).count("has an input") == 1
    with pytest.raises(ValidationError, match="a process or a synapse"):
        check_source(3)
