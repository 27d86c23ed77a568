"""A copy of a simulator computes by the plugins that the original was given."""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd
from nengograd import hookimpl
from nengograd.plugin import Backend, BackendInfo, get_manager
from nengograd.plugin.builders import NeuronBuilder

COPIES = [
    pytest.param(lambda sim: pickle.loads(pickle.dumps(sim)), id="pickle"),
    pytest.param(copy.deepcopy, id="deepcopy"),
    pytest.param(copy.copy, id="copy"),
]


class Steps(nengo.neurons.NeuronType):
    """Nengo has nothing of its own for these but their NumPy code."""

    def step(self, dt: float, J: Any, output: Any) -> None:
        output[...] = np.floor(J)


class StepsBuilder(NeuronBuilder):
    def __init__(self, factor: float):
        self.factor = factor

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return self.factor * xp.floor(J), {}


class Plugin:
    """Its builder computes something else than the type, so that one can tell."""

    def __init__(self, factor: float):
        self.factor = factor

    @hookimpl
    def nengograd_neurons(self, backend: str) -> Any:
        return {Steps: StepsBuilder(self.factor)}


def wave(t: float) -> Any:
    """What a pickle can hold, unlike a lambda."""
    return np.sin(40 * t)


def network() -> nengo.Network:
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(wave, size_out=1)
        ens = nengo.Ensemble(4, 1, neuron_type=Steps(), gain=np.full(4, 5.0), bias=np.ones(4))
        nengo.Connection(drive, ens)
        nengo.Probe(ens.neurons)
    return net


def assert_goes_on_alike(sim: Any, make_copy: Callable[[Any], Any]) -> Any:
    sim.run_steps(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as that the host has to compute
        twin = make_copy(sim)
    with twin:
        assert not twin.program.host_blocks
        for each in (sim, twin):
            each.run_steps(5)
        mine, others = ([s.data[p] for p in s.model.probes] for s in (sim, twin))
        assert np.abs(mine[0]).max() > 0
        np.testing.assert_array_equal(mine, others)
    return twin


@pytest.mark.parametrize("make_copy", COPIES)
@pytest.mark.parametrize("options", [{}, {"dtype": "float32", "minibatch_size": 2}])
def test_a_copy_has_the_plugins_of_the_original(
    make_sim: Callable[..., Any], make_copy: Any, options: Any
) -> None:
    sim = make_sim(network(), plugins=[Plugin(3.0)], **options)
    twin = assert_goes_on_alike(sim, make_copy)
    # And a copy of the copy.
    (plugin,) = twin._plugins.extra
    assert plugin.factor == 3.0


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A plugin that is a module."""
    text = """
import nengograd

BUILDERS = {}

@nengograd.hookimpl
def nengograd_neurons(backend):
    return BUILDERS
"""
    (tmp_path / "a_plugin_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    import a_plugin_module

    a_plugin_module.BUILDERS[Steps] = StepsBuilder(2.0)
    monkeypatch.setitem(sys.modules, "a_plugin_module", a_plugin_module)
    found: ModuleType = a_plugin_module
    return found


@pytest.mark.parametrize("make_copy", COPIES)
def test_a_plugin_that_is_a_module_is_found_by_its_name(
    make_sim: Callable[..., Any], make_copy: Any, module: ModuleType
) -> None:
    sim = make_sim(network(), plugins=[module])
    assert assert_goes_on_alike(sim, make_copy)._plugins.extra == (module,)


def test_a_module_that_is_not_there_when_a_pickle_is_read_is_named(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nengograd.Simulator(
        network(), backend="numpy", plugins=[module], progress_bar=False
    ) as sim:
        data = pickle.dumps(sim)
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "a_plugin_module")
        without.setattr(
            sys, "path", [p for p in sys.path if not Path(p, "a_plugin_module.py").exists()]
        )
        with pytest.raises(pickle.UnpicklingError, match=r"plugins=\[a_plugin_module\].*put it"):
            pickle.loads(data)
    # What the error advises: it is there again.
    with pickle.loads(data) as twin:
        assert twin._plugins.extra == (module,)


def test_a_plugin_that_cannot_be_pickled_is_named_and_can_be_copied() -> None:
    class Local(Plugin):
        pass

    with nengograd.Simulator(
        network(), backend="numpy", plugins=[Local(2.0)], progress_bar=False
    ) as sim:
        with pytest.raises(pickle.PicklingError, match=r"Local.*plugins=\[\.\.\.\].*top of a mod"):
            pickle.dumps(sim)
        assert_goes_on_alike(sim, copy.deepcopy)
    # What the error advises: a class at the top of a module.
    with nengograd.Simulator(
        network(), backend="numpy", plugins=[Plugin(2.0)], progress_bar=False
    ) as sim:
        assert_goes_on_alike(sim, lambda s: pickle.loads(pickle.dumps(s)))


class Renamed:
    """NumPy's backend under a name of its own."""

    @hookimpl
    def nengograd_backends(self) -> Any:
        return {"renamed": BackendInfo(load=numpy_backend, requires=("numpy",))}


def numpy_backend() -> Backend:
    return get_manager().backends["numpy"].load()


def test_a_copy_runs_on_the_backend_of_a_plugin() -> None:
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(3, 1))
    with nengograd.Simulator(
        net, backend="renamed", plugins=[Renamed()], progress_bar=False
    ) as sim:
        sim.run_steps(3)
        with pickle.loads(pickle.dumps(sim)) as twin:
            assert twin.backend == "renamed"
            np.testing.assert_array_equal(twin.data[twin.model.probes[0]], sim.data[net.probes[0]])
