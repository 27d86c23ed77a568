"""What has no gradient is named, with what would help; and nothing else is."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengograd

pytest.importorskip("tensorflow")


def lines(net: Any, *probes: Any) -> list[str]:
    """What `train` complains about, with targets for some probes."""
    with net:
        beside = nengo.Node(np.zeros(1))
        nengo.Probe(beside)
    options: Any = {"backend": "tensorflow", "progress_bar": False, "minibatch_size": 2}
    with nengograd.Simulator(net, **options) as sim:
        targets = {probe: np.zeros((2, 3, probe.size_in)) for probe in probes}
        try:
            sim.train({beside: np.zeros((2, 3, 1))}, targets, "sgd")
        except ValidationError as error:
            return [line for line in str(error).splitlines() if line.startswith("- ")] or [
                str(error)
            ]
    return []


SPIKING = {
    "LIF": nengo.LIF(),
    "AdaptiveLIF": nengo.AdaptiveLIF(),
    "Izhikevich": nengo.Izhikevich(),
    "SpikingRectifiedLinear": nengo.SpikingRectifiedLinear(),
    "RegularSpiking": nengo.RegularSpiking(nengo.LIFRate()),
    "StochasticSpiking": nengo.StochasticSpiking(nengo.LIFRate()),
    "PoissonSpiking": nengo.PoissonSpiking(nengo.LIFRate()),
}


@pytest.mark.parametrize("name", SPIKING)
def test_spiking_neurons_are_named_with_what_would_help(name: str) -> None:
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(
            8, 1, label="first", neuron_type=SPIKING[name], gain=np.ones(8), bias=np.ones(8)
        )
        rates = nengo.Ensemble(8, 1, label="second", neuron_type=nengo.LIFRate())
        nengo.Connection(ens.neurons, rates.neurons, transform=0.1)
        probe = nengo.Probe(rates)
    (line,) = lines(net, probe)
    assert "first" in line
    assert "second" not in line
    assert f"{name} of" in line
    assert "spike_gradient='rate'" in line


def test_elements_that_no_output_depends_on_are_not_named() -> None:
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(8, 1, label="wanted", neuron_type=nengo.LIFRate())
        b = nengo.Ensemble(8, 1, label="beside", neuron_type=nengo.LIF())
        nengo.Connection(a, b)
        sink = nengo.Node(lambda t, x: None, size_in=1)
        nengo.Connection(b, sink)
        wanted, beside = nengo.Probe(a), nengo.Probe(b)
    assert lines(net, wanted) == []
    assert len(lines(net, wanted, beside)) == 1


def test_operators_that_run_as_one_are_told_apart() -> None:
    with nengo.Network(seed=0) as net:
        ensembles = [nengo.Ensemble(8, 1, label=f"e{i}", neuron_type=nengo.LIF()) for i in range(3)]
        probes = [nengo.Probe(ens, synapse=0.01) for ens in ensembles]
    (line,) = lines(net, probes[1])
    assert "e1" in line


def test_python_functions_are_named() -> None:
    def my_square(x: Any) -> Any:
        return x**2

    def my_node(t: float, x: Any) -> Any:
        return x + 1

    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(8, 1, neuron_type=nengo.LIFRate())
        direct = nengo.Ensemble(1, 1, label="exact", neuron_type=nengo.Direct())
        node = nengo.Node(my_node, size_in=1, label="python")
        out = nengo.Node(size_in=1)
        nengo.Connection(a, direct)
        nengo.Connection(direct, out, function=my_square)
        nengo.Connection(a, node)
        nengo.Connection(node, out)
        probe = nengo.Probe(out)
    found = lines(net, probe)
    assert len(found) == 2
    text = "\n".join(found)
    for word in ("exact", "my_square", "python", "my_node", "nengograd.TensorNode", "Direct"):
        assert word in text


def test_a_loop_through_a_synapse_leads_to_neurons() -> None:
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(8, 1, label="late", neuron_type=nengo.LIF())
        b = nengo.Ensemble(8, 1, label="early", neuron_type=nengo.LIFRate())
        nengo.Connection(a, b, synapse=0.01)
        nengo.Connection(b, a, synapse=0.01)
        probe = nengo.Probe(b)
    (line,) = lines(net, probe)
    assert "late" in line


def test_neurons_of_which_nothing_is_trained_need_no_gradient() -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.5])
        ens = nengo.Ensemble(8, 1, neuron_type=nengo.LIF())
        incoming = nengo.Connection(u, ens.neurons, transform=np.ones((8, 1)))
        out = nengo.Node(size_in=1)
        nengo.Connection(ens, out)
        probe = nengo.Probe(out)
        nengograd.configure_settings(trainable={ens: False, ens.neurons: False, incoming: False})
    assert lines(net, probe) == []
    with (
        nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim,
        pytest.raises(SimulationError, match="LIF of"),
    ):
        sim.check_gradients()


def test_neurons_without_a_builder_are_named() -> None:
    class Odd(nengo.neurons.NeuronType):
        def step(self, dt: float, J: Any, output: Any) -> None:
            output[...] = J

    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(
            4, 1, label="strange", neuron_type=Odd(), gain=np.ones(4), bias=np.ones(4)
        )
        probe = nengo.Probe(ens.neurons)
    (line,) = lines(net, probe)
    assert "strange" in line
    assert "Odd of" in line
    assert "nengograd_neurons" in line


def test_functions_of_time_are_fed_even_if_others_have_inputs() -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(lambda t: np.sin(t))
        a = nengo.Ensemble(8, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(u, a)
        nengo.Connection(a, nengo.Node(lambda t, x: None, size_in=1))
        probe = nengo.Probe(a)
    assert lines(net, probe) == []
