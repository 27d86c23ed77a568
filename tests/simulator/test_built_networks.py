"""The build of any network: operators, signals, parameters and random numbers are Nengo's."""

import warnings

import hypothesis.strategies as st
import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from nengo.dists import Choice, Gaussian, ScatteredHypersphere, Uniform, UniformHypersphere
from nengo.solvers import LstsqL2, LstsqL2nz

from nengograd.building.draws import Draws
from nengograd.building.rates import rates_of
from nengograd.simulator.defaults import new_model

NEURONS = (
    nengo.LIF(),
    nengo.LIF(tau_ref=0.003, amplitude=0.5, initial_state={"voltage": Uniform(0.1, 0.2)}),
    nengo.LIFRate(tau_rc=0.05),
    nengo.AdaptiveLIF(),
    nengo.AdaptiveLIFRate(initial_state={"adaptation": Choice([0.5])}),
    nengo.RectifiedLinear(),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.Izhikevich(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.RectifiedLinear()),
    nengo.Direct(),
)

POINTS = (
    ScatteredHypersphere(),
    ScatteredHypersphere(surface=True),
    ScatteredHypersphere(min_magnitude=0.2, method="sct"),
    ScatteredHypersphere(method="tfww"),
    ScatteredHypersphere(base=Uniform(0, 1)),
    UniformHypersphere(),
    UniformHypersphere(surface=True),
    Gaussian(0, 0.5),
    Choice([[0.5, 0.5, 0.5], [1, 0.5, -0.5]]),
)


class Kept(nengo.dists.Distribution):
    """Draws with a generator that it keeps, as others' distributions may."""

    generators: list = []

    def sample(self, n, d=None, rng=np.random):
        self.generators.append(rng)
        return rng.uniform(0.1, 0.9, size=n if d is None else (n, d))


@st.composite
def ensembles(draw):
    dimensions, n_neurons = draw(st.integers(1, 3)), draw(st.integers(3, 12))
    options = {
        "neuron_type": draw(st.sampled_from(NEURONS)),
        "radius": draw(st.sampled_from([1, 0.5, 2.0])),
        "seed": draw(st.sampled_from([None, 5])),
        "normalize_encoders": draw(st.booleans()),
        "n_eval_points": draw(st.sampled_from([None, 7, 40])),
        "intercepts": draw(st.sampled_from([Uniform(-0.9, 0.9), Choice([0.1]), Kept()])),
        "noise": draw(st.sampled_from([None, nengo.processes.WhiteNoise()])),
    }
    for name in ("eval_points", "encoders"):
        points = draw(st.sampled_from(POINTS[: len(POINTS) - (dimensions != 3)]))
        drawn = points.sample(n_neurons, dimensions, np.random.RandomState(1))
        options[name] = drawn if draw(st.booleans()) else points
    if draw(st.integers(0, 3)) == 0:
        options["gain"] = np.linspace(1, 2, n_neurons)
        options["bias"] = draw(st.sampled_from([Uniform(0, 1), np.linspace(0, 1, n_neurons)]))
        del options["intercepts"]
    return n_neurons, dimensions, options


def _first_and_rest(x):
    return [x[0], np.sin(x[-1])]


FUNCTIONS = (None, None, np.square, _first_and_rest, lambda x: x[:1])
SOLVERS = (LstsqL2(), LstsqL2(), LstsqL2(reg=0.03), LstsqL2nz(), LstsqL2(weights=True))


@st.composite
def connections(draw):
    """What is chosen for a connection, whatever it is between."""
    return {
        "ends": draw(st.tuples(st.integers(0, 20), st.integers(0, 20))),
        "kinds": draw(st.tuples(st.sampled_from("eeeno"), st.sampled_from("eeeno"))),
        "slices": draw(st.tuples(*2 * [st.sampled_from([None, None, "first", "list", "back"])])),
        "function": draw(st.sampled_from(FUNCTIONS)),
        "solver": draw(st.sampled_from(SOLVERS)),
        "synapse": draw(st.sampled_from([None, 0.005, 0.005, nengo.Alpha(0.01)])),
        "transform": draw(st.sampled_from(["none", "none", "scalar", "vector", "dense", "drawn"])),
        "learns": draw(st.integers(0, 5)) == 0,
        "seed": draw(st.sampled_from([None, 3])),
    }


@st.composite
def networks(draw):
    with nengo.Network(seed=draw(st.sampled_from([None, 0, 9]))) as net:
        made = [
            nengo.Ensemble(n, d, **options)
            for n, d, options in draw(st.lists(ensembles(), min_size=1))
        ]
        nodes = [
            nengo.Node(np.ones(2)),
            nengo.Node(size_in=3),
            nengo.Node(lambda t, x: x, size_in=1),
        ]
        for chosen in draw(st.lists(connections(), max_size=8)):
            _connect(chosen, made, nodes)
        for ensemble in made[:2]:
            nengo.Probe(ensemble, synapse=0.01)
            if not isinstance(ensemble.neuron_type, nengo.Direct):
                nengo.Probe(ensemble.neurons)
    return net


def _connect(chosen, made, nodes):
    """Make a connection of what was chosen, if Nengo lets it be."""
    kinds, function = chosen["kinds"], chosen["function"] if chosen["kinds"][0] != "n" else None
    options = {"synapse": chosen["synapse"], "seed": chosen["seed"], "function": function}
    if kinds[0] == "e":
        options["solver"] = chosen["solver"]
    if chosen["learns"] and kinds == ("e", "e"):
        options["learning_rule_type"] = nengo.PES()
    try:
        pre, post = (
            _end(
                (nodes if kind == "o" else made)[i % len(nodes if kind == "o" else made)],
                kind,
                where,
            )
            for i, kind, where in zip(chosen["ends"], kinds, chosen["slices"], strict=True)
        )
        size = pre.size_out if function is None else np.size(function(np.zeros(pre.size_out)))
        options["transform"] = _transform(chosen["transform"], post.size_in, size)
        nengo.Connection(pre, post, **options)
    except (nengo.exceptions.NengoException, IndexError, TypeError):
        pass  # what Nengo refuses is no part of a network


def _end(obj, kind, where):
    obj = obj.neurons if kind == "n" else obj
    slices = {None: slice(None), "first": slice(1), "list": [-1, 0], "back": slice(None, None, -1)}
    return obj if where is None else obj[slices[where]]


def _transform(kind, size_out, size_in):
    if kind == "drawn":
        return nengo.Dense((size_out, size_in), init=Uniform(-1, 1))
    if size_out != size_in or kind == "dense":
        return np.linspace(-1, 1, size_out * size_in).reshape(size_out, size_in)
    return {"none": 1, "scalar": 0.5, "vector": np.linspace(0.1, 1, size_in)}[kind]


def described(model):
    """Operators with the names and places of their signals, and the values of these."""

    def of(signal):
        name = "" if signal.name.startswith("0x") else signal.name
        return name, signal.shape, signal.offset, signal.readonly, signal.is_view

    ops = [
        (
            *(type(op).__name__, str(op.tag), getattr(op, "inc", None), getattr(op, "mode", None)),
            *(repr(getattr(op, "dst_slice", None)), *map(of, op.all_signals)),
        )
        for op in model.operators
    ]
    return ops, [signal.initial_value for op in model.operators for signal in op.all_signals]


def built(model, net):
    """What Nengo's or another way makes of a network, or the error that it raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.random.seed(0)
        try:
            model.build(net)
        except Exception as error:  # which one is compared
            return f"{type(error).__name__}: {error}"
    ops, values = described(model)
    params = [
        value
        for made in model.params.values()
        for value in getattr(made, "_fields", ()) and made
        if isinstance(value, np.ndarray)
    ]
    keys = [list(signals) for signals in model.sig.values()]
    return ops, keys, {str(w.message) for w in caught}, values + params


@settings(max_examples=40)
@given(networks())
def test_any_network_is_built_as_nengo_builds_it(net):
    expected = built(nengo.builder.Model(dt=0.001), net)
    Kept.generators.clear()
    found = built(new_model(net, 0.001), net)
    assert found[:-1] == expected[:-1]
    if not isinstance(found, str):
        for value, reference in zip(found[-1], expected[-1], strict=True):
            dense, given = (x.toarray() if hasattr(x, "toarray") else x for x in (value, reference))
            np.testing.assert_array_equal(dense, given)
            assert dense.dtype == given.dtype
    assert not any(isinstance(rng, Draws) for rng in Kept.generators)


@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.integers(1, 3))
def test_rows_are_shuffled_as_by_numpy(seed, n_rows, n_dimensions):
    rows = np.arange(float(n_rows * n_dimensions)).reshape(n_rows, n_dimensions)
    expected, numpys = rows.copy(), np.random.RandomState(seed)
    numpys.shuffle(expected)
    draws = Draws().started(seed)
    draws.shuffle(rows)
    np.testing.assert_array_equal(rows, expected)
    assert draws.randint(2**31) == numpys.randint(2**31)


@pytest.mark.parametrize("kind", NEURONS[:4])
@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("at_once", [1, 100, 2**16])
def test_rates_are_nengos_to_the_bit(kind, shift, at_once, monkeypatch):
    monkeypatch.setattr("nengograd.building.rates.MOST_AT_ONCE", at_once)
    rng = np.random.RandomState(0)
    inputs, gain, bias = (
        rng.normal(size=(50, 8)),
        rng.uniform(0.5, 9, 8),
        rng.normal(size=8) + shift,
    )
    bias[0] = 1 - 0.25 * gain[0]
    inputs[3, 0] = 0.25  # just at the threshold
    expected = kind.rates(inputs.copy(), gain, bias)
    np.testing.assert_array_equal(rates_of(kind, inputs, gain, bias), expected)


def test_rates_of_an_own_type_are_its_own():
    class Doubled(nengo.LIFRate):
        def rates(self, x, gain, bias):
            return 2 * super().rates(x, gain, bias)

    inputs, gain, bias = np.ones((1, 2)), np.ones(2), np.ones(2)
    expected = 2 * nengo.LIFRate().rates(inputs.copy(), gain, bias)
    np.testing.assert_array_equal(rates_of(Doubled(), inputs, gain, bias), expected)


def test_nengo_tries_each_operator_where_that_is_asked_for(monkeypatch):
    class Failing(nengo.LIF):
        pass

    monkeypatch.setattr("nengo.builder.neurons.SimNeurons.make_step", lambda *args: 1 / 0)
    monkeypatch.setitem(nengo.rc["nengo.Simulator"], "fail_fast", "True")
    with nengo.Network() as net:
        nengo.Ensemble(5, 1)
    with pytest.raises(ZeroDivisionError):
        new_model(net, 0.001).build(net)


@pytest.mark.parametrize("kind", [nengo.Ensemble, nengo.Connection, nengo.LIF])
def test_a_registered_build_function_is_called(kind, monkeypatch):
    built = []
    nengos = next(
        nengo.builder.Builder.builders[each]
        for each in kind.__mro__
        if each in nengo.builder.Builder.builders
    )

    def counted(model, obj, *args):
        built.append(obj)
        return nengos(model, obj, *args)

    monkeypatch.setitem(nengo.builder.Builder.builders, kind, counted)
    with nengo.Network(seed=0) as net:
        pre = nengo.Ensemble(5, 1)
        nengo.Connection(pre, pre)
    new_model(net, 0.001).build(net)
    assert [type(obj) for obj in built] == [kind]
