"""What is drawn is what was recorded: tests look at the artists, not at pixels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError
from nengo.utils.ensemble import tuning_curves

import nengograd
from nengograd import plot

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def model() -> nengo.Network:
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.4, -0.2])
        net.ensemble = nengo.Ensemble(20, 2, radius=1.5, label="two-d")
        nengo.Connection(u, net.ensemble)
        net.value = nengo.Probe(net.ensemble, synapse=0.01, label="value")
        net.spikes = nengo.Probe(net.ensemble.neurons)
        net.seldom = nengo.Probe(net.ensemble, sample_every=0.005)
        net.voltage = nengo.Probe(net.ensemble.neurons[:3], "voltage")
    return net


@pytest.fixture(scope="module")
def sim(model: nengo.Network) -> nengograd.Simulator:
    with nengograd.Simulator(model, backend="numpy", progress_bar=False) as sim:
        sim.run(0.1)
    return sim


def test_traces_are_the_data_of_a_probe_over_the_times_of_its_samples(model, sim) -> None:
    for probe, every in ((model.value, None), (model.seldom, 0.005)):
        ax = plot.traces(sim, probe)
        assert len(ax.lines) == 2
        for index, line in enumerate(ax.lines):
            np.testing.assert_array_equal(line.get_xdata(), sim.trange(sample_every=every))
            np.testing.assert_array_equal(line.get_ydata(), sim.data[probe][:, index])
    assert plot.traces(sim, model.value).get_title("left") == "value"


def test_titles_say_what_is_recorded_without_addresses(model, sim) -> None:
    assert plot.traces(sim, model.seldom).get_title("left").startswith("probes[2]: decoded_output")
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Ensemble(3, 1).neurons)
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as other:
        other.run(0.01)
    title = plot.raster(other, probe).get_title("left")
    assert title == "probes[0]: output of <Neurons of <Ensemble>>"


def test_a_raster_has_a_mark_for_each_spike(model, sim) -> None:
    (marks,) = plot.raster(sim, model.spikes).lines
    spikes = sim.data[model.spikes] > 0
    assert len(marks.get_xdata()) == spikes.sum() > 100
    found = np.zeros_like(spikes)
    steps = np.rint(np.asarray(marks.get_xdata()) / 0.001).astype(int) - 1
    found[steps, np.asarray(marks.get_ydata())] = True
    np.testing.assert_array_equal(found, spikes)


def test_a_raster_of_what_does_not_spike_is_refused(model, sim) -> None:
    for probe in (model.value, model.voltage):
        with pytest.raises(ValidationError, match="does not record spikes"):
            plot.raster(sim, probe)


def test_pictures_are_drawn_where_one_asks(model, sim) -> None:
    _, ax = pyplot.subplots()
    assert plot.traces(sim, model.value, ax=ax) is ax
    assert plot.raster(sim, model.spikes, ax=ax) is ax
    assert plot.loss({"loss": [1.0]}, ax=ax) is ax
    assert plot.tuning_curves(sim, model.ensemble, ax=ax) is ax
    assert plot.benchmark_bars({"case": {"peer": 2.0}}, ax=ax) is ax


def test_an_overview_has_every_probe_in_order(model, sim) -> None:
    axes = plot.overview(sim)
    assert [ax.get_ylabel() == "neuron" for ax in axes] == [False, True, False, False]
    assert len({ax.figure for ax in axes}) == 1
    assert len(plot.overview(sim, [model.value])) == 1


def test_one_item_of_a_minibatch_is_drawn(model) -> None:
    with nengograd.Simulator(model, backend="numpy", minibatch_size=2, progress_bar=False) as sim:
        with pytest.raises(ValidationError, match="recorded nothing yet"):
            plot.traces(sim, model.value)
        sim.run(0.01, input_feeds={model.nodes[0]: np.random.uniform(size=(2, 10, 2))})
        for item, wanted in ((None, 0), (1, 1)):
            line = plot.traces(sim, model.value, item=item).lines[0]
            np.testing.assert_array_equal(line.get_ydata(), sim.data[model.value][wanted, :, 0])
        with pytest.raises(ValidationError, match="no item 2"):
            plot.traces(sim, model.value, item=2)


def test_probes_of_another_network_and_items_without_minibatches_are_refused(model, sim) -> None:
    with nengo.Network():
        other = nengo.Probe(nengo.Node([0.0]))
        stranger = nengo.Ensemble(3, 1)
    with pytest.raises(ValidationError, match="no probe of the simulated network"):
        plot.traces(sim, other)
    with pytest.raises(ValidationError, match="no minibatch"):
        plot.traces(sim, model.value, item=0)
    with pytest.raises(ValidationError, match="not in the simulated network"):
        plot.tuning_curves(sim, stranger)
    with pytest.raises(ValidationError, match="no probes to draw"):
        plot.overview(sim, [])


def test_losses_stand_over_their_epochs() -> None:
    history = {"loss": [4.0, 2.0, 1.0], "val_loss": [5.0, 3.0, 2.0], "learning_rate": [1, 1, 1]}
    ax = plot.loss(history)
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {"loss", "val_loss"}
    np.testing.assert_array_equal(lines["val_loss"].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(lines["val_loss"].get_ydata(), history["val_loss"])
    assert ax.get_yscale() == "log"
    assert plot.loss({"loss": [-1.0, 2.0]}).get_yscale() == "linear"
    with pytest.raises(ValidationError, match="give what train has returned"):
        plot.loss({"accuracy": [1.0]})


@pytest.mark.parametrize("direction", [0, 1, (3.0, -4.0)])
def test_tuning_curves_agree_with_those_of_nengo(model, sim, direction) -> None:
    ax = plot.tuning_curves(sim, model.ensemble, direction=direction, points=7)
    unit = np.eye(2)[direction] if isinstance(direction, int) else np.array([0.6, -0.8])
    line = np.linspace(-1.5, 1.5, 7)
    with nengo.Simulator(model, progress_bar=False, optimize=False) as reference:
        _, rates = tuning_curves(model.ensemble, reference, inputs=line[:, None] * unit)
    drawn = np.stack([curve.get_ydata() for curve in ax.lines], axis=1)
    np.testing.assert_allclose(drawn, rates, rtol=1e-6)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), line)


def test_tuning_curves_move_with_training() -> None:
    pytest.importorskip("tensorflow")
    with nengo.Network(seed=0) as net:
        u = nengo.Node([0.0])
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(u, ens, synapse=None)
        p = nengo.Probe(ens.neurons)
    with nengograd.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        before = [curve.get_ydata() for curve in plot.tuning_curves(sim, ens).lines]
        sim.train({u: np.ones((4, 1, 1))}, {p: np.ones((4, 1, 5))}, "sgd", n_epochs=2)
        after = plot.tuning_curves(sim, ens).lines
        data = sim.data[ens]
    values = np.asarray(after[0].get_xdata())[:, np.newaxis]
    expected = np.maximum(data.gain * (values @ data.encoders.T) + data.bias, 0)
    drawn = np.stack([curve.get_ydata() for curve in after], axis=1)
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(drawn - np.stack(before, axis=1)).max() > 1e-2


def test_directions_that_do_not_fit_are_refused(model, sim) -> None:
    for direction in (2, [1.0], [0.0, 0.0]):
        with pytest.raises(ValidationError, match="dimension"):
            plot.tuning_curves(sim, model.ensemble, direction=direction)


def test_each_ratio_is_a_bar_and_the_first_case_is_on_top() -> None:
    ax = plot.benchmark_bars({"a": {"x": 2.0, "y": 4.0}, "b": {"x": 0.5}})
    bars = {
        group.get_label(): [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in group]
        for group in ax.containers
    }
    assert bars == {"x": [(1.0, 2.0), (1.0, 0.5)], "y": [(1.0, 4.0)]}
    assert ax.yaxis_inverted()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    for wrong in ({}, {"a": {"x": 0.0}}, {"a": {"x": float("nan")}}):
        with pytest.raises(ValidationError, match="ratios"):
            plot.benchmark_bars(wrong)


def test_matplotlib_is_asked_for_only_when_something_is_drawn() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; import nengograd\n"
        "try: nengograd.plot.loss({'loss': [1.0]})\n"
        "except ImportError as error: print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "nengograd[plot]"' in shown.stdout
