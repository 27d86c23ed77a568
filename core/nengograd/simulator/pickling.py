"""Pickles and copies of a simulator: its model, state, data and trained parameters."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from ..plugin.manager import AUTO
from .parts import Parts

__all__ = ["arguments_of", "get_state", "put_state"]


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


def get_state(sim: Any, parts: Parts) -> dict[str, Any]:
    """A simulator as plain data.

    As with `nengo.Simulator`, random processes begin anew when it is loaded. The slots of the
    last optimizer go with it, for a training with an optimizer like that one.

    Parameters
    ----------
    sim : Simulator
        Any simulator, open or closed.
    parts : Parts
        What it is made of.
    """
    options, runner, learning = sim.options, parts.runner, parts.learning
    return {
        "model": sim.model,
        "arguments": {
            "seed": sim.seed,
            "dtype": options.dtype.name,
            "device": options.device,
            "unroll_simulation": options.unroll,
            "minibatch_size": options.minibatch_size,
            "optimize": sim.optimize,
            "backend": parts.choice.asked or AUTO,
            "jit": options.jit,
        },
        "plugins": [_Plugin(plugin) for plugin in parts.plugins.extra],
        "progress_bar": sim.progress_bar,
        "chosen": parts.chosen(sim.backend),
        "learned": learning.changes.remembered(),
        "kept": learning.kept,
        "n_epochs": learning.n_epochs,
        "optimizer": learning.offered_optimizer(),
        "state": None if sim.closed else dict(runner.executable.read(runner.state)),
        "n_steps": sim.n_steps,
        "timeline": parts.recording.timeline,
        "data": [recorder.samples for recorder in parts.recording.recorders.values()],
    }


def arguments_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments to make a simulator with, for `put_state` to go on with."""
    plugins = [given.plugin for given in state["plugins"]]
    given = {"network": None, "model": state["model"], "plugins": plugins, "progress_bar": False}
    return {**state["arguments"], **given}


def put_state(sim: Any, parts: Parts, state: Mapping[str, Any]) -> None:
    """Make a new simulator what `get_state` was given.

    Parameters
    ----------
    sim : Simulator
        One that was made with the arguments that `arguments_of` returns.
    parts : Parts
        What it is made of.
    state : mapping
        What `get_state` has returned.
    """
    runner, learning, recording = parts.runner, parts.learning, parts.recording
    sim.progress_bar = state["progress_bar"]
    runner.n_steps = state["n_steps"]
    recording.timeline = state["timeline"]
    for recorder, data in zip(recording.recorders.values(), state["data"], strict=True):
        recorder.restore(data)
    learning.n_epochs = state["n_epochs"]
    learning.loaded_optimizer = state["optimizer"]
    learning.changes.recall(state["learned"])
    parts.use_parameters()
    if state["state"] is None:
        sim.close()
        learning.kept = state["kept"]
    else:
        parts.resume(**state["chosen"])
        runner.state = runner.executable.make_state(state["state"])
