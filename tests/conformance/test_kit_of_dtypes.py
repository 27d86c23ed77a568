"""A backend of one dtype passes the whole kit, and what is wrong with it is found in that dtype."""

from dataclasses import replace
from unittest import SkipTest

import nengo
import numpy as np
import pytest
from nengo.builder.operator import DotInc
from nengo.exceptions import ValidationError

import nengograd
from conformance import differences
from nengograd.builtin.neurons import LIFBuilder
from nengograd.plugin import BackendInfo, Capabilities, ProcessBuilder, get_manager
from nengograd.testing import (
    BackendConformance,
    ConformanceError,
    NeuronConformance,
    check_backend,
    check_neuron,
    check_operator,
    check_process,
    usable_backends,
)
from nengograd.testing.conformance import Conformance
from nengograd.testing.suites import make_suite, run_checks
from nengograd_numpy.backend import NumpyBackend, NumpyExecutable

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
DTYPES = ["float32", "float64"]


class Provides:
    """A plugin with one backend."""

    def __init__(self, name, info):
        self.made = {name: info}

    @nengograd.hookimpl
    def nengograd_backends(self):
        return self.made


def restricted(backend, dtype):
    """An installed backend that declares one dtype, in the place of itself."""
    info = get_manager().backends[backend]
    able = replace(info.capabilities, dtypes=(dtype,))
    return Provides(backend, info._replace(capabilities=able))


def numpy_of(executable, *dtypes):
    """A backend "mine" with another executable, which declares some dtypes."""

    class Backend(NumpyBackend):
        name = "mine"

        def compile(self, program, registry, options):
            super().compile(program, registry, options)  # refuses a device that is not there
            return executable(program, registry, options)

    return Provides("mine", BackendInfo(Backend, capabilities=Capabilities(dtypes=dtypes)))


def suite(name, *plugins):
    """The checks of a backend."""
    return type("Suite", (BackendConformance,), {"name": name, "plugins": plugins})()


def checks_that_run(name, plugin):
    """How many checks of a backend are made, and pass."""
    checks, n = suite(name, plugin), 0
    for check in (x for x in dir(checks) if x.startswith("test_")):
        try:
            getattr(checks, check)()
            n += 1
        except SkipTest:
            pass
    return n


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_backend_passes_the_whole_kit_in_one_dtype(backend, dtype):
    check_backend(backend, plugins=[restricted(backend, dtype)])


@pytest.mark.slow
def test_a_backend_of_either_dtype_is_checked_for_all_but_the_other():
    both, *single = (
        checks_that_run("mine", numpy_of(NumpyExecutable, *dtypes))
        for dtypes in (DTYPES, ["float64"], ["float32"])
    )
    # Float64 alone lacks the check of float32; the one that compares with nengo is in both.
    assert single == [both - 1, both]


class OffByLittle(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        state, outputs = super().run(state, inputs, n, first, host)
        return state, [np.multiply(x, 1.0002, dtype=x.dtype) for x in outputs]


class AStepTooMany(NumpyExecutable):
    def run(self, state, inputs, n, first, host):
        state, outputs = super().run(state, inputs, n, first, host)
        return super().run(state, inputs[:1], 1, first, host)[0], outputs


class Ages(NumpyExecutable):
    runs = 0

    def run(self, state, inputs, n, first, host):
        self.runs += 1
        state, outputs = super().run(state, inputs, n, first, host)
        return state, [np.multiply(x, 1 + 1e-6 * self.runs, dtype=x.dtype) for x in outputs]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("executable", "check"),
    [
        (OffByLittle, "it_agrees_with_nengo"),
        (AStepTooMany, "runs_of_any_length_share_one_compilation"),
        (Ages, "reset_begins_anew"),
    ],
)
def test_what_is_wrong_with_a_backend_of_one_dtype_is_found(executable, check, dtype):
    with pytest.raises(ConformanceError, match="step"):
        getattr(suite("mine", numpy_of(executable, dtype)), f"test_{check}")()


@pytest.mark.parametrize("dtype", DTYPES)
def test_neurons_processes_and_operators_are_checked_on_a_backend_of_one_dtype(dtype):
    def network():
        with nengo.Network(seed=0) as net:
            drive = nengo.Node(lambda t: [t, -t], size_out=2)
            target = nengo.Node(size_in=1)
            nengo.Connection(drive, target, transform=[[2.0, 3.0]], synapse=None)
            nengo.Probe(target)
        return net

    options = {"backends": ["mine"], "plugins": [numpy_of(NumpyExecutable, dtype)]}
    check_process(nengo.Lowpass(0.01), **options, other=nengo.Lowpass(0.02))
    check_operator(DotInc, network, **options)
    check_neuron(nengo.Sigmoid(), **options)


class WithGradient(LIFBuilder):
    """Right rates; ``by`` says by how much their derivative is too large."""

    def __init__(self, by):
        self.by = by

    def rate(self, xp, J, params, dt):
        rate = super().rate(xp, J, params, dt)
        return rate + self.by * (rate - xp.stop_gradient(rate))

    @nengograd.hookimpl
    def nengograd_neurons(self, backend):
        return {nengo.LIF: self}


@pytest.mark.parametrize("check", ["gradients", "gradients_of_surrogates"])
@pytest.mark.parametrize(("by", "fails"), [(0.0, False), (0.01, True)])
@pytest.mark.needs("jax")
def test_slopes_of_neurons_are_checked_where_there_is_float32_alone(check, by, fails):
    plugins = (restricted("jax", "float32"), WithGradient(by))
    checks = type("Suite", (NeuronConformance,), {"neuron": nengo.LIF(), "plugins": plugins})()
    run = getattr(checks, f"test_{check}_are_those_of_finite_differences")
    if not fails:
        run("jax")
        return
    with pytest.raises(ConformanceError, match=r"slope of the (output|surrogate '\w+') at curr"):
        run("jax")


class Half(nengo.Process):
    """Puts out half of its input."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, u: 0.5 * u


class HalfBuilder(ProcessBuilder):
    factor = 0.5

    def key_and_params(self, process, shape, dt):
        return None, {}

    def rows(self, name, initial, shape):
        return 1

    def step(self, xp, u, state, params, dt):
        return self.factor * u, {}

    @nengograd.hookimpl
    def nengograd_processes(self, backend):
        return {Half: self}


class WrongHalf(HalfBuilder):
    factor = 0.51


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_process_that_is_wrong_is_found_on_a_backend_of_one_dtype(dtype):
    backend = numpy_of(NumpyExecutable, dtype)
    check_process(Half(), backends=["mine"], plugins=[backend, HalfBuilder()])
    with pytest.raises(ConformanceError, match="- outputs are those of its own step on mine"):
        check_process(Half(), backends=["mine"], plugins=[backend, WrongHalf()])


def test_where_nothing_can_be_checked_that_is_an_error():
    class Nothing(Conformance):
        def test_what_no_backend_can(self, backend):
            raise SkipTest("the moon is made of cheese")

    with pytest.raises(ConformanceError, match="nothing could be checked\n- the moon is"):
        run_checks(make_suite(Nothing, {"backends": ["numpy"]}))


def test_a_backend_that_is_not_there_is_one_error_with_those_that_are():
    for check in (
        lambda: check_backend("numpi"),
        lambda: check_process(Half(), backends=["numpi"], plugins=[HalfBuilder()]),
        lambda: suite("numpi").test_reset_begins_anew(),
    ):
        with pytest.raises(ValidationError, match=r"Unknown backend 'numpi'; there are \[.*numpy"):
            check()


def test_checks_that_fail_in_the_same_way_are_told_once():
    class Fails(NumpyExecutable):
        def run(self, *arguments):
            raise RuntimeError("it is Monday")

    with pytest.raises(ConformanceError) as caught:
        check_backend("mine", plugins=[numpy_of(Fails, *DTYPES)])
    assert str(caught.value).count("it is Monday") == 1
    assert "and in the same way" in str(caught.value)


@pytest.mark.parametrize("given", [(), ("double",), (np.float64,), "float64", ["float64"]])
def test_dtypes_that_are_none_are_refused_with_those_there_are(given):
    with pytest.raises(ValidationError, match=r"dtypes: has to be a tuple .*'float32', 'float64'"):
        Capabilities(dtypes=given)


def test_a_dtype_that_a_backend_lacks_is_an_error_that_says_which_it_has():
    plugin = numpy_of(NumpyExecutable, "float64")
    with nengo.Network() as network:
        nengo.Probe(nengo.Node([1.0]))
    with pytest.raises(ValidationError) as caught:
        nengograd.Simulator(network, backend="mine", plugins=[plugin])
    said = str(caught.value)
    assert "'mine' does not compute in float32: say dtype='float64', or use backend=" in said
    assert "'numpy'" in said
    assert said.count("'mine'") == 1


def test_a_backend_that_lacks_the_dtype_is_not_chosen():
    info = numpy_of(NumpyExecutable, "float64").made["mine"]._replace(preference=10**6)
    with nengo.Network() as network:
        nengo.Probe(nengo.Node([1.0]))
    for dtype in DTYPES:
        with nengograd.Simulator(network, dtype=dtype, plugins=[Provides("mine", info)]) as sim:
            assert (sim.backend == "mine") == (dtype == "float64")


def test_usable_backends_may_be_those_of_a_dtype():
    plugins = [numpy_of(NumpyExecutable, "float64")]
    assert "mine" in usable_backends(plugins)
    assert "mine" in usable_backends(plugins, dtype=np.float64)
    assert "mine" not in usable_backends(plugins, dtype="float32")
    assert "numpy" in usable_backends(plugins, dtype="float32")


def test_gradients_are_not_checked_in_float32():
    with nengo.Network() as network:
        nengo.Probe(nengo.Node([1.0]))
    plugin = differences.plugin(dtypes=("float32",))
    with (
        nengograd.Simulator(network, backend="differences", plugins=[plugin]) as sim,
        pytest.raises(ValidationError, match="float64, which the backend 'differences' does not"),
    ):
        sim.check_gradients()
