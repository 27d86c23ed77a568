"""The build: the parameters are Nengo's to the bit, and so are calls of functions and errors."""

import subprocess
import sys
import threading

import nengo
import numpy as np
import pytest
import scipy.linalg
from nengo.builder import Builder
from nengo.solvers import LstsqL2, LstsqL2nz

import nengograd
from nengograd.building import cholesky

pytestmark = pytest.mark.simulator(progress_bar=False)

FUNCTIONS = (None, np.square, lambda x: np.square(x), lambda x: x[0] * 0.5)


def mixed_network(seed=3):
    """Ensembles that share work in all the ways there are, and some that cannot."""
    with nengo.Network(seed=seed) as net:
        a = nengo.Ensemble(60, 2, radius=1.5)
        b = nengo.Ensemble(70, 2, neuron_type=nengo.LIFRate(amplitude=0.5))
        with nengo.Network():
            c = nengo.Ensemble(50, 2, neuron_type=nengo.AdaptiveLIF(), noise=None)
            nengo.Connection(a, c)
        fat = nengo.Ensemble(80, 2, n_eval_points=40)
        for function in FUNCTIONS:
            size = 1 if function is FUNCTIONS[-1] else 2
            for pre in (a, b, c, fat):
                nengo.Connection(pre, b[:size], function=function)
        nengo.Connection(a[1], c[0])
        nengo.Connection(a[::-1], c)
        nengo.Connection(a, b, solver=LstsqL2(weights=True))
        nengo.Connection(a, b, solver=LstsqL2(reg=0.02))
        nengo.Connection(a, b, solver=LstsqL2nz())
        nengo.Connection(a, b, eval_points=nengo.dists.Uniform(-0.5, 0.5))
        nengo.Connection(a, b, transform=nengo.dists.Uniform(-1, 1))
        learned = nengo.Connection(c, b, learning_rule_type=nengo.PES())
        nengo.Connection(b, learned.learning_rule)
        net.p = nengo.Probe(b, synapse=0.01)
    return net


def assert_same_parameters(net, data, reference):
    for built in net.all_ensembles + net.all_connections:
        for name in reference[built]._fields:
            value, expected = getattr(data[built], name), getattr(reference[built], name)
            if isinstance(expected, np.ndarray):
                np.testing.assert_array_equal(value, expected, err_msg=f"{built}.{name}")
            elif name == "solver_info" and expected is not None:
                assert value.keys() == expected.keys()
                np.testing.assert_array_equal(value["rmses"], expected["rmses"])


def nengo_model(net):
    model = nengo.builder.Model(dt=0.001)
    model.build(net)
    return model


def test_built_parameters_are_those_of_nengo_to_the_bit():
    net = mixed_network()
    with nengograd.Simulator(net, dtype="float64", backend="numpy", progress_bar=False) as sim:
        assert_same_parameters(net, sim.model.params, nengo_model(net).params)


def described(model):
    """Operators as text, and the initial values of all signals in the model's order."""

    def name(signal):  # Nengo names what has no name by its address
        return "" if signal.name.startswith("0x") else signal.name

    ops = model.operators
    texts = [(type(op).__name__, str(op.tag), *map(name, op.all_signals)) for op in ops]
    return texts, [signal.initial_value for op in ops for signal in op.all_signals]


def test_operators_and_signals_are_those_of_nengo():
    net = mixed_network()
    with net:
        for synapse in (
            nengo.Alpha(0.02),
            nengo.LinearFilter([1], [0.02, 1]),
            nengo.Lowpass(1),
            nengo.Lowpass(1.0),
        ):
            for _ in range(2):
                nengo.Connection(net.ensembles[0], net.ensembles[1], synapse=synapse)
                nengo.Connection(net.ensembles[0][0], net.ensembles[1][0], synapse=synapse)
        nengo.Connection(net.ensembles[0], net.ensembles[1], synapse=nengo.synapses.Triangle(0.01))
        nengo.Connection(net.ensembles[0], net.ensembles[1], synapse=None)
    ops, values = described(nengo_model(net))
    with nengograd.Simulator(net, dtype="float64", backend="numpy", progress_bar=False) as sim:
        found, found_values = described(sim.model)
        states = [op.state for op in sim.model.operators if getattr(op, "state_idxs", None)]
    assert found == ops
    for value, expected in zip(found_values, values, strict=True):
        np.testing.assert_array_equal(value, expected)
    kept = [signal for state in states for signal in state.values()]
    assert len({id(signal.initial_value.base) for signal in kept}) == len(kept) > 20


def test_little_room_changes_no_parameter(monkeypatch):
    monkeypatch.setattr("nengograd.building.solving.MOST_BYTES", 0)
    net = mixed_network()
    with nengograd.Simulator(net, dtype="float64", backend="numpy", progress_bar=False) as sim:
        assert_same_parameters(net, sim.model.params, nengo_model(net).params)


def test_one_core_changes_no_parameter(monkeypatch):
    monkeypatch.setattr("nengograd.building.solving.MOST_THREADS", 0)
    net = mixed_network()
    with nengograd.Simulator(net, dtype="float64", backend="numpy", progress_bar=False) as sim:
        assert_same_parameters(net, sim.model.params, nengo_model(net).params)


def test_connections_do_not_share_memory():
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(30, 1), nengo.Ensemble(30, 1)
        one, other = nengo.Connection(pre, post), nengo.Connection(pre, post)
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as sim:
        params = sim.model.params
        assert not np.shares_memory(params[one].weights, params[other].weights)
        errors = [params[connection].solver_info["rmses"] for connection in (one, other)]
        assert not np.shares_memory(*errors)


@pytest.fixture
def factorized(monkeypatch):
    """The matrices that are factorized, by Nengo or here."""
    found = []

    def counting(function):
        def counted(matrix, *args, **kwargs):
            found.append(matrix)
            return function(matrix, *args, **kwargs)

        return counted

    monkeypatch.setattr(scipy.linalg, "cho_factor", counting(scipy.linalg.cho_factor))
    monkeypatch.setattr(cholesky, "factorize", counting(cholesky.factorize))
    return found


def test_an_ensemble_is_solved_for_once(factorized):
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(30, 2), nengo.Ensemble(30, 2)
        for function in FUNCTIONS[:3]:
            nengo.Connection(pre, post, function=function)
            nengo.Connection(pre, post, function=function)
    nengograd.Simulator(net, backend="numpy", progress_bar=False).close()
    assert len(factorized) == 1


def test_probes_are_solved_for_with_the_connections_of_their_ensemble(factorized):
    with nengo.Network(seed=0) as net:
        pre = nengo.Ensemble(30, 2)
        nengo.Connection(pre, nengo.Node(size_in=2), function=np.square)
        for target in (pre, pre[0], pre[[1, 0]]):
            nengo.Probe(target, synapse=0.01)
            nengo.Probe(target)
        nengo.Probe(pre, solver=LstsqL2(reg=0.02))
    reference = nengo_model(net)
    factorized.clear()
    with nengograd.Simulator(net, dtype="float64", backend="numpy", progress_bar=False) as sim:
        assert len(factorized) == 2
        found = described(sim.model)
    expected = described(reference)
    assert found[0] == expected[0]
    for value, signal in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(value, signal)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: [x[0] * x[1], np.sin(x[0])],
        lambda x: (x[:1], x[1:]),
        lambda x: x * x,
        lambda x: 0.5,
        lambda x: np.array([x[0]]),
        np.square,
    ],
)
def test_functions_may_return_what_they_may_in_nengo(function):
    with nengo.Network(seed=0) as net:
        pre = nengo.Ensemble(40, 2)
        size = np.size(function(np.zeros(2)))
        nengo.Connection(pre[::-1], nengo.Node(size_in=size), function=function)
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as sim:
        assert_same_parameters(net, sim.model.params, nengo_model(net).params)


def test_a_function_that_returns_nothing_is_nengos_error():
    calls = []

    def function(x):
        calls.append(x)
        return None if len(calls) > 2 else x  # Nengo has called it once to learn its size

    with nengo.Network(seed=0) as net:
        pre = nengo.Ensemble(30, 1)
        nengo.Connection(pre, nengo.Node(size_in=1), function=function)
    with pytest.raises(nengo.exceptions.BuildError, match="returned None"):
        nengograd.Simulator(net, backend="numpy", progress_bar=False)


SCRIPT = """
import sys
import nengo, nengograd
nengo.rc.set("decoder_cache", "enabled", "False")
with nengo.Network(seed=0) as net:
    a = nengo.Ensemble(40, 2)
    nengo.Connection(a, a, synapse=0.1)
    nengo.Probe(a, synapse=0.01)
with nengograd.Simulator(net, backend="numpy", progress_bar=False) as sim:
    sim.run_steps(10)
print("scipy.linalg" in sys.modules, sim.data[net.connections[0]].weights.sum().hex())
import scipy.linalg
print(scipy.linalg._flapack is sys.modules["scipy.linalg._flapack"])
print(*scipy.linalg.solve([[2.0]], [4.0]))
with nengo.Simulator(net, progress_bar=False) as sim:
    print(sim.data[net.connections[0]].weights.sum().hex())
"""


def test_decoders_take_little_of_scipy_and_leave_it_whole():
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert not found.returncode, found.stderr
    loaded, decoders, is_one, solution, expected = found.stdout.split()
    assert (loaded, is_one, solution) == ("False", "True", "2.0")
    assert decoders == expected


@pytest.mark.parametrize("is_found", [True, False])
def test_systems_are_solved_as_by_scipy(is_found, monkeypatch):
    if not is_found:
        monkeypatch.setattr(cholesky, "_lapack", lambda: None)
    rng = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        a = rng.normal(size=(60, 20)).astype(dtype)
        gram, right = a.T @ a, rng.normal(size=(20, 3)).astype(dtype)
        expected = scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram.copy()), right)
        found = cholesky.solve(cholesky.factorize(gram.copy()), right)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    with pytest.raises(np.linalg.LinAlgError):
        cholesky.factorize(-np.eye(3))
    with pytest.raises(ValueError, match="infs or NaNs"):
        cholesky.factorize(np.full((2, 2), np.nan))


def test_functions_are_called_in_nengos_order_on_the_thread_of_the_user():
    calls, threads = [], set()

    def recorded(name):
        def function(x):
            calls.append((name, *x))
            threads.add(threading.current_thread())
            return x

        return function

    with nengo.Network(seed=0) as net:
        ensembles = [nengo.Ensemble(30, 1) for _ in range(3)]
        for i, pre in enumerate(ensembles[::-1]):
            nengo.Connection(pre, ensembles[0])
            nengo.Connection(pre, ensembles[0], function=recorded(i))
    calls.clear()  # the size of the output was found out by a call
    nengo_model(net)
    expected = calls.copy()
    calls.clear()
    threads.clear()
    nengograd.Simulator(net, backend="numpy", progress_bar=False).close()
    assert calls == expected
    assert threads == {threading.current_thread()}


def silent(net):
    pre = nengo.Ensemble(20, 1, gain=np.ones(20), bias=np.full(20, -9.0), label="silent")
    nengo.Connection(pre, nengo.Node(size_in=1), label="of the silent")


class Once:
    """Works when its size is asked for, and not in the build."""

    def __init__(self, then):
        self.then = then
        self.is_asked = False

    def __call__(self, x):
        if self.is_asked:
            return self.then()
        self.is_asked = True
        return x


def returns_none(net):
    pre = nengo.Ensemble(20, 1, label="pre")
    nengo.Connection(pre, nengo.Node(size_in=1), function=Once(lambda: None), label="none")


def raises(net):
    pre = nengo.Ensemble(20, 1)
    nengo.Connection(pre, nengo.Node(size_in=1), function=Once(lambda: {}["missing"]))


def unsolvable(net):
    pre = nengo.Ensemble(20, 1, eval_points=np.zeros((30, 1)), label="pre")
    nengo.Connection(pre, nengo.Node(size_in=1), solver=LstsqL2(reg=0))


@pytest.mark.parametrize("fault", [silent, returns_none, raises, unsolvable])
def test_errors_are_those_of_nengo(fault):
    def error(build):
        with nengo.Network(seed=0) as net:
            other = nengo.Ensemble(20, 1)
            nengo.Connection(other, other)
            fault(net)
        with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is compared
            build(net)
        return type(caught.value), str(caught.value)

    def build(net):
        nengograd.Simulator(net, backend="numpy", progress_bar=False)

    assert error(build) == error(nengo_model)


def test_an_interrupted_build_leaves_no_threads():
    def interrupt():
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with nengo.Network(seed=0) as net:
        pre = [nengo.Ensemble(200, 2) for _ in range(20)]
        nengo.Connection(pre[0], pre[1], function=Once(interrupt))
        for ensemble in pre:
            nengo.Connection(ensemble, pre[0])
    with pytest.raises(KeyboardInterrupt):
        nengograd.Simulator(net, backend="numpy", progress_bar=False)
    assert set(threading.enumerate()) <= before  # others may have ended meanwhile


def test_builds_in_several_threads_do_not_disturb_each_other_nor_nengo():
    nets = [mixed_network(seed) for seed in range(4)]
    expected = [nengo_model(net).params for net in nets]
    builders = dict(Builder.builders)
    found = {}

    def build(i):
        if i % 2:
            found[i] = nengo_model(nets[i]).params
        else:
            with nengograd.Simulator(
                nets[i], dtype="float64", backend="numpy", progress_bar=False
            ) as sim:
                found[i] = sim.model.params

    threads = [threading.Thread(target=build, args=(i,)) for i in range(len(nets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Builder.builders == builders
    for i, net in enumerate(nets):
        assert_same_parameters(net, found[i], expected[i])


def test_a_solver_with_a_build_function_of_its_own_is_built_by_it():
    class Doubled(LstsqL2):
        pass

    def build_doubled(model, solver, conn, rng):
        points, weights, info = nengo.builder.connection.build_solver(model, solver, conn, rng)
        return points, 2 * weights, info

    Builder.register(Doubled)(build_doubled)
    try:
        with nengo.Network(seed=0) as net:
            pre, post = nengo.Ensemble(30, 1), nengo.Node(size_in=1)
            plain = nengo.Connection(pre, post)
            doubled = nengo.Connection(pre, post, solver=Doubled())
        with nengograd.Simulator(net, dtype="float64", progress_bar=False) as sim:
            params = sim.model.params
            np.testing.assert_array_equal(params[doubled].weights, 2 * params[plain].weights)
    finally:
        del Builder.builders[Doubled]


@pytest.mark.parametrize("first", ["nengograd", "nengo"])
def test_nengos_decoder_cache_is_filled_for_and_read_from_nengo(
    first, tmp_path, monkeypatch, factorized
):
    net = mixed_network()
    expected = nengo_model(net).params
    factorized.clear()
    for name, value in (("enabled", "True"), ("path", str(tmp_path)), ("readonly", "False")):
        monkeypatch.setitem(nengo.rc["decoder_cache"], name, value)

    def with_nengograd():
        with nengograd.Simulator(net, dtype="float64", backend="numpy", progress_bar=False) as sim:
            return sim.model.params

    def with_nengo():
        with nengo.Simulator(net, progress_bar=False) as sim:
            return sim.model.params

    runs = [with_nengograd, with_nengo]
    for run in runs if first == "nengograd" else runs[::-1]:
        assert_same_parameters(net, run(), expected)
        solved = len(factorized)
        factorized.clear()
    assert solved == 0
