"""Layers as nodes, of any library: the names of their variables, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from nengo.exceptions import BuildError, ValidationError

from .tensor_functions import Shape, unique_names

__all__ = [
    "LayerNames",
    "cannot_be_called",
    "checked_shape",
    "gathered",
    "layer_names",
    "states_and_statistics",
]


class LayerNames(NamedTuple):
    """Names of a layer's variables, the same in each process.

    Attributes
    ----------
    variables : tuple of str
        All, in the layer's order.
    weights : tuple of str
        Those that a call does not change.
    states : tuple of str
        Those that it does.
    """

    variables: tuple[str, ...]
    weights: tuple[str, ...]
    states: tuple[str, ...]


def layer_names(names: Sequence[str], changed: Sequence[bool]) -> LayerNames:
    """Names of a layer's variables.

    Parameters
    ----------
    names : sequence of str
        What the layer calls them.
    changed : sequence of bool
        Whether a call changes each of them.
    """
    pairs = list(zip(names, changed, strict=True))
    weights = unique_names([name for name, has_changed in pairs if not has_changed])
    states = unique_names([name for name, has_changed in pairs if has_changed])
    states = [f"state.{name}" for name in states]
    rest = iter(weights), iter(states)
    variables = tuple(next(rest[has_changed]) for has_changed in changed)
    return LayerNames(variables, tuple(weights), tuple(states))


def checked_shape(name: str, shape_in: Shape, pass_time: bool) -> tuple[int, ...]:
    """The shape of a layer's input.

    Parameters
    ----------
    name : str
        Of the layer, for people.
    shape_in, pass_time
        As they were given to a `nengograd.TensorNode`.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no input, or the time is to be passed.
    """
    if shape_in is None:
        raise ValidationError(f"a layer needs an input: give shape_in for {name}", attr="shape_in")
    if pass_time:
        raise ValidationError(
            f"{name} is a layer and takes no time: give pass_time=False", attr="pass_time"
        )
    return shape_in


def cannot_be_called(name: str, shape_in: tuple[int, ...], error: Exception) -> ValidationError:
    """The error that a layer cannot be called with an input of some shape."""
    return ValidationError(
        f"{name} cannot be called with an input of shape {shape_in} per item: "
        f"{type(error).__name__}: {error}",
        attr="shape_in",
    )


def gathered(
    layer: str, names: Sequence[str], changed: Set[str], trainable: Set[str], cure: str
) -> tuple[str, ...]:
    """The weights that a layer changes itself in training: its statistics.

    Parameters
    ----------
    layer : str
        Its name, for people.
    names : sequence of str
        Of its weights.
    changed : set of str
        What a call changes in training.
    trainable : set of str
        What gradients change.
    cure : str
        What a user does to keep the layer from changing anything.

    Returns
    -------
    statistics : tuple of str
        In the order of the names.

    Raises
    ------
    nengo.exceptions.BuildError
        If it changes what gradients change, too.
    """
    found = tuple(name for name in names if name in changed)
    both = [name for name in found if name in trainable]
    if both:
        raise BuildError(
            f"{layer} changes {', '.join(both)} itself in training, which gradients change, too, "
            f"and nothing says what comes first: make it a variable that is not trained, or {cure}"
        )
    return found


def states_and_statistics(
    layer: str, states: Sequence[str], statistics: Sequence[str], cure: str
) -> BuildError:
    """The error that a layer keeps states of each item, and gathers statistics over all."""
    return BuildError(
        f"{layer} keeps a state of each item ({', '.join(states)}), so that it is called item by "
        f"item, and in training gathers statistics over all of them ({', '.join(statistics)}). "
        f"Put the two into layers of their own, each in its node, or {cure}, before the simulator "
        "is made, to train with the statistics that it has."
    )
