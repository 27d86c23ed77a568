"""Pickles and copies of a simulator: its model, state, data and trained parameters."""

from __future__ import annotations

import pickle
from importlib import import_module
from types import ModuleType
from typing import Any

from ..plugin.manager import AUTO

__all__ = ["get_state", "set_state"]


class _Plugin:
    """A plugin that was given by hand: code, which all copies in a process share.

    A pickle holds an object as it is, and of a module its name.
    """

    def __init__(self, plugin: Any):
        self.plugin = plugin

    def __deepcopy__(self, memo: dict[int, Any]) -> _Plugin:
        return self

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        if isinstance(self.plugin, ModuleType):
            return _from_module, (self.plugin.__name__,)
        try:
            pickle.dumps(self.plugin)
        except Exception as error:
            raise pickle.PicklingError(
                f"the plugin {self.plugin!r}, given as plugins=[...], cannot be pickled "
                f"({type(error).__name__}: {error}): define its class at the top of a module, or "
                "give the module"
            ) from error
        return _Plugin, (self.plugin,)


def _from_module(name: str) -> _Plugin:
    try:
        return _Plugin(import_module(name))
    except ImportError as error:
        raise pickle.UnpicklingError(
            f"the simulator was made with plugins=[{name}], and there is no such module here: put "
            f"it where Python finds it ({error})"
        ) from error


def get_state(sim: Any) -> dict[str, Any]:
    """A simulator as plain data.

    As with `nengo.Simulator`, random processes begin anew when it is loaded.
    """
    sim._take_writes()
    options = sim.options
    return {
        "model": sim.model,
        "arguments": {
            "seed": sim.seed,
            "dtype": options.dtype.name,
            "device": options.device,
            "unroll_simulation": options.unroll,
            "minibatch_size": options.minibatch_size,
            "progress_bar": sim.progress_bar,
            "optimize": sim.optimize,
            "backend": sim._choice.asked or AUTO,
            "jit": options.jit,
        },
        "chosen": sim._chosen(),
        "plugins": [_Plugin(plugin) for plugin in sim._plugins.extra],
        "learned": sim._learning.changes.remembered(),
        "n_epochs": sim._learning.n_epochs,
        "state": None if sim.closed else dict(sim._runner.executable.read(sim._runner.state)),
        "n_steps": sim.n_steps,
        "timeline": sim._recording.timeline,
        "data": [recorder.samples for recorder in sim._recording.recorders.values()],
    }


def set_state(sim: Any, state: dict[str, Any]) -> None:
    """Make an empty simulator what `get_state` was given."""
    arguments = dict(state["arguments"])
    bar = arguments.pop("progress_bar")
    plugins = [given.plugin for given in state["plugins"]]
    sim.__init__(None, model=state["model"], progress_bar=False, plugins=plugins, **arguments)
    sim.progress_bar = bar
    sim._runner.n_steps = state["n_steps"]
    sim._recording.timeline = state["timeline"]
    for recorder, data in zip(sim._recording.recorders.values(), state["data"], strict=True):
        recorder.restore(data)
    sim._learning.n_epochs = state["n_epochs"]
    sim._learning.changes.recall(state["learned"])
    sim._use_parameters()
    if state["state"] is None:
        sim.close()
    else:
        sim._resume(**state["chosen"])
        sim._runner.state = sim._runner.executable.make_state(state["state"])
