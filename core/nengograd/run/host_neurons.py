"""Neurons on the host: those of equal types are advanced in one call.

Nengo's optimizer does the same. Whether a type's code works on each neuron by itself cannot be
read off it, so it is tried out: on copies, and to the last bit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.params import FrozenObject, iter_params
from numpy.typing import NDArray

from ..plugin.merging import by_content

__all__ = ["merge_neurons"]

Parts = Sequence[Mapping[Any, NDArray[Any]]]
"""For each operator, by signal, its part of arrays in which those of all lie side by side."""

Step = Callable[[], None]

_OF_NENGO = frozenset(vars(FrozenObject()))
"""Attributes with which Nengo keeps its books."""

_TRIED_STEPS = 20
_CURRENTS = (-2.0, 10.0)
"""The input of neurons that are tried out, which silences some and lets others spike."""


def merge_neurons(
    operators: Sequence[Any], items: Sequence[Parts], dt: float
) -> dict[int, tuple[int, list[Step]]]:
    """Find neurons that can be advanced together.

    Parameters
    ----------
    operators : sequence of nengo.builder.Operator
        In the order in which they run.
    items : sequence of Parts
        For each item of the minibatch the arrays that the operators work on.
    dt : float
        Length of a step, in seconds.

    Returns
    -------
    merged : dict
        For the number of the first operator of some that are merged: the number after the last,
        and for each item the step of them all.
    """
    merged = {}
    keys = [_key(op, number) for number, op in enumerate(operators)]
    for _, found in groupby(range(len(operators)), key=keys.__getitem__):
        numbers = list(found)
        first, stop = numbers[0], numbers[-1] + 1
        group = operators[first:stop]
        if len(group) > 1 and _merges(group, dt):
            merged[first] = stop, [_joined_step(group, parts[first:stop], dt) for parts in items]
    return merged


def _key(op: Any, number: int) -> Hashable:
    """What neurons have to agree in; each number is a key that nothing else has."""
    if type(op) is not SimNeurons or op.state_extra:
        return number
    neurons = op.neurons
    values = {name: getattr(neurons, name) for name in iter_params(neurons)}
    values.update((name, x) for name, x in vars(neurons).items() if name not in _OF_NENGO)
    if any(
        isinstance(value, (np.ndarray, list)) and np.size(value) > 1 for value in values.values()
    ):
        return number  # it may well be one for each neuron
    shapes = tuple((name, signal.shape[1:]) for name, signal in _signals(op).items())
    content = tuple((name, by_content(value)) for name, value in sorted(values.items()))
    return type(neurons), shapes, content


def _signals(op: Any) -> dict[str, Any]:
    """Input, output and states, by the names that the type's step gives them."""
    return {"J": op.J, "output": op.output, **op.state}


def _joined_step(group: Sequence[Any], parts: Parts, dt: float) -> Step:
    arrays = [
        _joined([own[_signals(op)[name]] for op, own in zip(group, parts, strict=True)])
        for name in _signals(group[0])
    ]
    return _step(group[0].neurons, dt, arrays, list(group[0].state))


def _step(neurons: Any, dt: float, arrays: Sequence[NDArray[Any]], names: Sequence[str]) -> Step:
    current, output, *states = arrays
    named = dict(zip(names, states, strict=True))
    return lambda: neurons.step(dt, current, output, **named)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The array that has these parts, one after the other."""
    base: Any = parts[0]
    while isinstance(base.base, np.ndarray):
        base = base.base
    shape = parts[0].shape[1:]
    width = int(np.prod(shape))
    start = (parts[0].ctypes.data - base.ctypes.data) // base.itemsize
    size = sum(len(part) for part in parts) * width
    joined: NDArray[Any] = base[start : start + size].reshape(-1, *shape)
    return joined


def _merges(group: Sequence[Any], dt: float) -> bool:
    """Whether neurons do the same together as by themselves."""
    drawn = np.random.get_state()
    try:
        with np.errstate(all="ignore"):
            return _are_alike(group, dt)
    except Exception:
        return False  # what is wrong with the type is said where it runs
    finally:
        np.random.set_state(drawn)


def _are_alike(group: Sequence[Any], dt: float) -> bool:
    names = list(group[0].state)
    initial = [[np.array(signal.initial_value) for signal in _signals(op).values()] for op in group]
    together = [np.concatenate(parts) for parts in zip(*initial, strict=True)]
    twin = copy.deepcopy(group[0].neurons)
    alone = [
        _step(copy.deepcopy(op.neurons), dt, arrays, names)
        for op, arrays in zip(group, initial, strict=True)
    ]
    joint = _step(twin, dt, together, names)
    currents = np.random.RandomState(0)
    for _ in range(_TRIED_STEPS):
        together[0][...] = currents.uniform(*_CURRENTS, size=together[0].shape)
        start = 0
        for arrays in initial:
            arrays[0][...] = together[0][start : start + len(arrays[0])]
            start += len(arrays[0])
        np.random.seed(0)
        joint()
        np.random.seed(0)
        for run in alone:
            run()
        for whole, parts in zip(together, zip(*initial, strict=True), strict=True):
            if not np.array_equal(whole, np.concatenate(parts), equal_nan=True):
                return False
    return True
