"""Blocks that run on the host: profiles call them as they do those that have a builder."""

import nengo
import pytest
from nengo.exceptions import NengoWarning

import nengograd
from nengograd.builtin.neurons import NEURONS
from nengograd.plugin import ProcessBuilder
from nengograd.profile import comparison, table


class Half(nengo.synapses.Synapse):
    """Puts out half of what comes in."""

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, u: 0.5 * u


class Third(Half):
    """Another type of the same kind."""


class Own(nengo.LIF):
    """A type of neurons without a builder."""


class HalfBuilder(ProcessBuilder):
    def key_and_params(self, process, shape, dt):
        return None, {}

    def rows(self, name, initial, shape):
        return 0

    def step(self, xp, u, state, params, dt):
        return 0.5 * u, {}


class Plugin:
    @nengograd.hookimpl
    def nengograd_processes(self, backend, family):
        return {Half: HalfBuilder()}

    @nengograd.hookimpl
    def nengograd_neurons(self, backend, family):
        return {Own: NEURONS[nengo.LIF]}


def profiled(backend, path, synapses, plugins=()):
    with nengo.Network(seed=0) as net:
        source = nengo.Ensemble(10, 1, neuron_type=Own(), label="the source")
        for number, synapse in enumerate(synapses):
            node = nengo.Node(size_in=1, label=f"target {number}")
            nengo.Connection(source, node, synapse=synapse)
            nengo.Probe(node)
    with nengograd.Simulator(net, progress_bar=False, backend=backend, plugins=plugins) as sim:
        sim.run_steps(20, profile=path)
    return sim.profile


@pytest.mark.filterwarnings("ignore::nengo.exceptions.NengoWarning")
def test_a_builder_is_compared_with_the_host_that_it_replaces(backend, tmp_path):
    before = profiled(backend, tmp_path / "a.json", [Half(), Half()])
    after = profiled(backend, tmp_path / "b.json", [Half(), Half()], [Plugin()])
    changes = {change.name: change for change in comparison(before, after)}
    # What is halved may be part of what XLA makes of the next operator.
    assert changes["Half x2 (Python on the host -> HalfBuilder)"].before > 0
    (own,) = [c for name, c in changes.items() if name.startswith("Own x1 (Python on the host -> ")]
    assert min(own.before, own.after) > 0


@pytest.mark.filterwarnings("ignore::nengo.exceptions.NengoWarning")
def test_types_that_share_a_visit_to_the_host_are_all_named_and_paired(tmp_path):
    before = profiled("numpy", tmp_path / "a.json", [Half(), Third()])
    assert "Half + Third x2" in [block.label for block in before.blocks]
    after = profiled("numpy", tmp_path / "b.json", [Half(), Third()], [Plugin()])
    (change,) = [c for c in comparison(before, after) if c.name.startswith("Half + Third x2 -> ")]
    assert "Half x1" in change.name
    assert "Third x1" in change.name


def test_a_block_says_which_objects_it_writes_for(tmp_path):
    with pytest.warns(NengoWarning, match="no builder"):
        made = profiled("numpy", tmp_path / "a.json", [nengo.Lowpass(0.1)] * 4)
    (own,) = [block for block in made.blocks if block.name == "Own"]
    assert "the source" in own.objects
    (filters,) = [block for block in made.blocks if block.name == "Lowpass"]
    assert filters.objects.endswith("and 2 more")
    assert "the source" in table(made, width=220)
