"""What of a network is trainable, what it is called, and where a program has it."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from nengo.exceptions import BuildError

import nengograd
from core.tools import build
from fuzz.networks import NetworkSpec, networks
from nengograd.assembly.assemble import assemble
from nengograd.assembly.trained import Training
from nengograd.config import Settings
from nengograd.plugin.manager import get_registry
from nengograd.training.changes import parameter_values
from nengograd.training.parameters import (
    Parameter,
    find_parameters,
    parameter_arrays,
)


def find(net: nengo.Network) -> dict[str, Parameter]:
    return {p.name: p for p in find_parameters(build(net), Settings.of(net))}


def network() -> nengo.Network:
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(5, 2)
        nengo.Ensemble(4, 1, neuron_type=nengo.Direct())
        with nengo.Network() as inner:
            b = nengo.Ensemble(3, 1)
            nengo.Connection(b, b.neurons, transform=np.ones((3, 1)))
        nengo.Connection(a[0], b)
        nengo.Connection(a, a)
        node = nengo.Node(size_in=1)
        nengo.Connection(node, b, synapse=None)
        learned = nengo.Connection(a, node, function=lambda x: x[0])
        learned.learning_rule_type = nengo.PES()
        nengo.Connection(node, learned.learning_rule)
        nengo.Connection(a.neurons, node, transform=nengo.Sparse((1, 5), [[0, 1], [0, 3]]))
        nengo.Probe(inner.ensembles[0])
    return net


def test_weights_encoders_and_biases_are_parameters_named_by_structure() -> None:
    found = find(network())
    shapes = {name: p.built.shape for name, p in found.items()}
    assert shapes == {
        "ensembles[0].encoders": (5, 2),
        "ensembles[0].bias": (5,),
        "connections[0].weights": (1, 5),
        "connections[1].weights": (2, 5),
        # connections[2] has no weights. A rule changes connections[3]: those it begins with.
        "connections[3].weights": (1, 5),
        "connections[5].weights": (2,),
        "networks[0].ensembles[0].encoders": (3, 1),
        "networks[0].ensembles[0].bias": (3,),
        "networks[0].connections[0].weights": (3, 3),
    }


def test_settings_choose_what_is_trainable() -> None:
    net = network()
    with net:
        nengograd.configure_settings(trainable={nengo.Connection: False, net.networks[0]: False})
    assert list(find(net)) == ["ensembles[0].encoders", "ensembles[0].bias"]
    with net:
        neurons = net.ensembles[0].neurons
        nengograd.configure_settings(trainable={neurons: False, net.connections[1]: True})
    assert list(find(net)) == ["ensembles[0].encoders", "connections[1].weights"]


@settings(max_examples=15, deadline=None)
@given(networks(max_objects=4, max_connections=4), st.integers(0, 99))
def test_values_pass_through_the_arrays_of_a_program(spec: NetworkSpec, seed: int) -> None:
    try:
        model = build(spec.build()[0])
        parameters = find_parameters(model, Settings())
        signals = frozenset(p.signal for p in parameters)
        program = assemble(model, get_registry("numpy"), training=Training(signals))
    except (BuildError, FloatingPointError):
        reject()  # as of a learning rule on a slice of neurons, which Nengo refuses, too
    assert set(program.parameters) <= signals
    built = parameter_values(program, parameter_arrays(program, {}))
    rng = np.random.RandomState(seed)
    values: dict[Any, Any] = {p.signal: rng.normal(size=p.built.shape) for p in parameters}
    found = parameter_values(program, parameter_arrays(program, values))
    assert set(found) == set(program.parameters)
    for parameter in parameters:
        if parameter.signal in found:
            np.testing.assert_array_equal(found[parameter.signal], values[parameter.signal])
            np.testing.assert_allclose(built[parameter.signal], parameter.built)
