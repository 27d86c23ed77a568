"""The state of a simulation as named arrays, for files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..program.program import Program
from ..program.views import View

__all__ = ["put_state", "state_arrays", "states_at"]


def state_arrays(
    program: Program, state: Mapping[int, NDArray[Any]], names: Mapping[Any, str]
) -> dict[str, NDArray[Any]]:
    """The states of a program by the signal whose they are.

    Parameters
    ----------
    program : Program
        What runs.
    state : mapping
        Its state arrays ``([minibatch,] size)``, by id.
    names : mapping
        A name for each signal.
    """
    return {name: view.gather(state).copy() for name, view in _places(program, names)}


def put_state(
    program: Program,
    named: Mapping[str, NDArray[Any]],
    names: Mapping[Any, str],
    state: Mapping[int, NDArray[Any]],
) -> None:
    """Write what `state_arrays` has returned into state arrays, in place."""
    for name, view in _places(program, names):
        view.scatter(named[name], state)


def states_at(
    program: Program, named: Mapping[str, NDArray[Any]], names: Mapping[Any, str], n_items: int
) -> dict[int, NDArray[Any]]:
    """The states of another program of the model, such as the one that is trained.

    Parameters
    ----------
    program : Program
        The program.
    named : mapping
        What `state_arrays` has returned. What is not in it, such as the states of a stand-in for
        neurons, is as before the first step.
    names : mapping
        A name for each signal.
    n_items : int
        Of a minibatch.

    Returns
    -------
    states : dict
        Arrays ``(n_items, size)`` by id.
    """
    first = program.initial_state()
    states = {i: np.array(np.broadcast_to(x, (n_items, len(x)))) for i, x in first.items()}
    for name, view in _places(program, names):
        if name in named and np.shape(named[name])[-1:] == (view.size,):
            view.scatter(np.broadcast_to(named[name], (n_items, view.size)), states)
    return states


def _places(program: Program, names: Mapping[Any, str]) -> Iterator[tuple[str, View]]:
    """Names and views of states; together they have each element of each array."""
    left = {array.id: np.ones(array.size) for array in program.by_role("state")}
    views = [(names[s], v) for s, v in program.signals.items() if s in program.held]
    views += [(f"{names[s]}.{part}", v) for (s, part), v in program.parts.items()]
    for name, view in views:
        if view.size and all(source in left for source in view.sources):
            view.scatter(np.zeros(view.size), left)
            yield f"state.{name}", view
    for number, (identity, is_left) in enumerate(left.items()):
        if is_left.any():
            yield f"state.arrays[{number}]", View.of(identity, len(is_left))
