"""What ``trainable`` freezes in ``nengograd.nengo_dl`` is what it freezes in NengoDL 3.6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

from nengograd import nengo_dl

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.needs("tensorflow")
NEURONS = nengo.ensemble.Neurons


def of_ensemble(net: Any, ens: Any) -> None:
    net.config[ens].trainable = False


def of_class(net: Any, ens: Any) -> None:
    net.config[nengo.Ensemble].trainable = False


def of_class_without_neurons(net: Any, ens: Any) -> None:
    net.config[nengo.Ensemble].trainable = False
    net.config[NEURONS].trainable = True


def of_all(net: Any, ens: Any) -> None:
    nengo_dl.configure_settings(trainable=False)


def of_all_but_ensembles(net: Any, ens: Any) -> None:
    nengo_dl.configure_settings(trainable=False)
    net.config[nengo.Ensemble].trainable = True


def of_a_layer(net: Any, ens: Any) -> None:
    nengo_dl.configure_settings(trainable={net.nodes[-1]: False})


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [
        (of_ensemble, {"bias 2", "encoders 2", "weights", "kernel"}),
        (of_class, {"weights", "kernel"}),
        (of_class_without_neurons, {"bias", "bias 2", "weights", "kernel"}),
        (of_all, {"kernel"}),
        (of_all_but_ensembles, {"encoders", "encoders 2", "kernel"}),
        (of_a_layer, {"bias", "bias 2", "encoders", "encoders 2", "weights"}),
    ],
)
def test_ensembles_take_their_biases_along_and_layers_in_nodes_stay_trainable(
    freeze: Callable[[Any, Any], None], trained: set[str]
) -> None:
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=None)
        net.config[nengo.Ensemble].neuron_type = nengo.RectifiedLinear()
        net.config[nengo.Connection].synapse = None
        one, two = nengo.Ensemble(10, 1), nengo.Ensemble(10, 1)
        inp = nengo.Node([0.5])
        layer = nengo_dl.Layer(tf.keras.layers.Dense(1, use_bias=False))(inp)
        nengo.Connection(layer, one)
        conn = nengo.Connection(one, two)
        probe = nengo.Probe(two)
        freeze(net, one)

    def values(sim: Any) -> dict[str, Any]:
        data = sim.data
        found = {"encoders": data[one].scaled_encoders, "encoders 2": data[two].scaled_encoders}
        found |= {"bias": data[one].bias, "bias 2": data[two].bias}
        found |= {"weights": data[conn].weights, "kernel": data[layer].weights["kernel"]}
        return {name: np.array(value) for name, value in found.items()}

    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        before = values(sim)
        sim.compile(tf.keras.optimizers.SGD(0.01), loss="mse")
        sim.fit(np.ones((2, 1, 1)), {probe: np.full((2, 1, 1), 3.0)}, verbose=0)
        after = values(sim)
    assert {name for name in before if not np.array_equal(before[name], after[name])} == trained


@pytest.mark.parametrize("neurons", [nengo.RectifiedLinear(), nengo.SpikingRectifiedLinear()])
def test_a_current_of_zero_has_no_slope_as_in_rectifiers_of_tensorflow(neurons: Any) -> None:
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.0])
        ens = nengo.Ensemble(2, 1, neuron_type=neurons, gain=[1, 1], bias=[0, 0.5])
        nengo.Connection(inp, ens.neurons, transform=[[1], [1]], synapse=None)
        probe = nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        sim.compile(tf.keras.optimizers.SGD(1.0), loss="mse")
        sim.fit(np.zeros((1, 1, 1)), {probe: np.ones((1, 1, 2))}, verbose=0)
        step = tf.Variable([0.0, 0.5])
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((tf.nn.relu(step) - 1.0) ** 2)
        assert np.allclose(sim.data[ens].bias, step - tape.gradient(loss, step))
