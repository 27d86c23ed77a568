"""The table that `Simulator.summary` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd

Make = Callable[..., Any]


def rows(sim: Any) -> dict[str, list[str]]:
    """The lines of the table by their first word."""
    said: list[str] = []
    sim.summary(print_fn=said.append)
    (text,) = said
    return {line.split()[0]: line.split() for line in text.splitlines()[2:] if line[0] != "-"}


def numbers(row: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in row[-2:]]


def test_parameters_are_counted_as_the_simulator_holds_them() -> None:
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(trainable=None)
        u = nengo.Node([1.0, 2.0], label="u")
        a = nengo.Ensemble(1500, 2, label="a")
        direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        with nengo.Network():
            b = nengo.Ensemble(10, 1)
        nengo.Connection(u, a)
        kept = nengo.Connection(a, b, transform=[[1, 1]])
        sparse = nengo.Sparse((10, 1500), [[0, 1], [7, 19]], [1.0, 2.0])
        nengo.Connection(a.neurons, b.neurons, transform=sparse)
        nengo.Connection(a, direct)
        net.config[kept].trainable = False
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as sim:
        found = rows(sim)
        named = sim._learning.named
    assert numbers(found["ensembles[0]"]) == [1500 * 2 + 1500] * 2
    assert numbers(found["ensembles[1]"]) == [0, 0]
    assert numbers(found["networks[0].ensembles[0]"]) == [20, 20]
    assert numbers(found["connections[0]"]) == [0, 0]  # no transform
    assert numbers(found["connections[1]"]) == [1500, 0]
    assert numbers(found["connections[2]"]) == [2, 2]
    assert numbers(found["connections[3]"]) == [3000, 3000]
    total, trainable = numbers(found["total"])
    assert trainable == sum(x.size for x in named.values())
    assert total == trainable + 1500
    assert found["connections[0]"][1:4] == ["u", "to", "a"]
    assert found["connections[2]"][1:4] == ["neurons", "of", "a"]
    assert found["ensembles[0]"][1:3] == ["LIF,", "1500"]


@pytest.mark.needs("tensorflow")
def test_layers_are_counted_as_keras_counts_them(make_sim: Make) -> None:
    keras = pytest.importorskip("keras")
    dense, norm = keras.layers.Dense(3), keras.layers.BatchNormalization()
    norm.trainable = False
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.zeros(4))
        y = nengograd.Layer(dense)(x)
        nengograd.Layer(norm)(y)
        nengograd.Layer(dense)(x)  # shares its weights
    found = rows(make_sim(net))
    assert numbers(found["nodes[1]"]) == [dense.count_params()] * 2
    assert numbers(found["nodes[2]"]) == [norm.count_params(), 0]
    assert numbers(found["total"])[0] == dense.count_params() + norm.count_params()


def test_it_prints_where_nothing_else_is_asked_for(
    make_sim: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    with nengo.Network(seed=0) as net:
        nengo.Ensemble(10, 1)
    make_sim(net, minibatch_size=4).summary()
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("network, on ")
    assert first.endswith("float64, a minibatch of 4")


def test_weights_are_those_of_ensembles_then_of_connections() -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([1.0, 2.0], label="u")
        a = nengo.Ensemble(15, 2, label="a")
        nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        with nengo.Network():
            b = nengo.Ensemble(10, 1, label="b")
        nengo.Connection(u, a)
        dense = nengo.Connection(a, b, transform=[[1, 1]])
        sparse = nengo.Sparse((10, 15), [[0, 1], [7, 9]], [1.0, 2.0])
        nengo.Connection(a.neurons, b.neurons, transform=sparse)
    with nengo.Simulator(net, progress_bar=False) as ref:
        built = ref.data
    with nengograd.Simulator(
        net, backend="numpy", dtype="float64", seed=0, progress_bar=False
    ) as sim:
        found = sim.weights
        values = sim.get_weights()
        assert sim.count_params() == 15 * 2 + 15 + 10 + 10 + 15 + 2
    owners = [a, a, b, b, dense, net.all_connections[-1]]
    names = ["encoders", "bias", "encoders", "bias", "weights", "weights"]
    pairs = zip(owners, names, strict=True)
    assert [weight.name for weight in found] == [f"{owner}.{name}" for owner, name in pairs]
    expected = [
        *(built[a].scaled_encoders, built[a].bias),
        *(built[b].scaled_encoders, built[b].bias),
        *(built[dense].weights, np.array([1.0, 2.0])),
    ]
    for weight, value, wanted in zip(found, values, expected, strict=True):
        assert np.array_equal(weight.numpy(), wanted)
        assert np.array_equal(value, wanted)
        assert weight.shape == wanted.shape
