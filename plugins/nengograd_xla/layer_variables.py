"""Layers as nodes, of any library: the names of their variables, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nengo.exceptions import BuildError, ValidationError

from .tensor_functions import Shape, unique_names

__all__ = ["LayerNames", "cannot_be_called", "changes_in_training", "checked_shape", "layer_names"]


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


def changes_in_training(variable: str, layer: str, cure: str) -> BuildError:
    """The error that a layer changes a variable in training alone, as a mean over minibatches."""
    return BuildError(
        f"{variable} changes while {layer} is trained, other than by gradients, and not while the "
        "network runs. Statistics over minibatches have no meaning within a simulation: "
        f"{cure}, before the simulator is made, to train with the statistics that it has."
    )
