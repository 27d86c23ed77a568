"""Optimizers of optax, by name or as they are, and those of Keras."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from nengograd.plugin.trainer import OptimizerState
from nengograd_xla.optimizers import Optimizers

from .sharding import Placement

__all__ = ["JaxOptimizers", "Used", "find_optimizer"]

_BY_NAME: dict[str, Any] = {
    "sgd": lambda: optax.sgd(0.01),
    "adam": lambda: optax.adam(0.001, eps=1e-7),
    "adamw": lambda: optax.adamw(0.001, eps=1e-7, weight_decay=0.004),
    "adamax": lambda: optax.adamax(0.001, eps=1e-7),
    "rmsprop": lambda: optax.rmsprop(0.001, decay=0.9, eps=1e-7, eps_in_sqrt=False),
    "adagrad": lambda: optax.adagrad(0.001, initial_accumulator_value=0.1, eps=1e-7),
    "adadelta": lambda: optax.adadelta(0.001, rho=0.95, eps=1e-7),
    "lion": lambda: optax.lion(0.001, b2=0.99),
}
"""What a name stands for: the optimizer of optax with the defaults that Keras gives it."""


@dataclass(eq=False)
class Used:
    """An optimizer with its slots.

    Attributes
    ----------
    given : str, optax.GradientTransformation or keras.optimizers.Optimizer
        What a user gave.
    optimizer : optax.GradientTransformation
        What that stands for.
    slots : pytree or None
        Its state; None if it was forgotten, or has not begun.
    """

    given: Any
    optimizer: Any
    slots: Any = None


class JaxOptimizers(Optimizers):
    """Optimizers as pairs of functions, with slots beside them.

    Parameters
    ----------
    parameters : mapping
        The arrays of now, by id.
    placement : Placement
        Where slots lie.
    """

    def __init__(self, parameters: Mapping[int, Any], placement: Placement):
        super().__init__()
        self._parameters = parameters
        self._placement = placement
        self._given: dict[int, Used] = {}

    def by_name(self, name: str) -> Used:
        """One of optax with Keras' defaults."""
        return Used(name, find_optimizer(name))

    def ready(self, given: Any) -> Used:
        """What has slots for the parameters. One of Keras is for one trainer."""
        if isinstance(given, Used):
            used = given
        elif id(given) in self._given:
            used = self._given[id(given)]
        else:
            used = self._given[id(given)] = Used(given, find_optimizer(given))
        if used.slots is None:
            begun = used.optimizer.init(dict(self._parameters))
            used.slots = jax.tree.map(self._placed, begun)
        return used

    def _placed(self, array: Any) -> Any:
        return self._placement.put(array, self._placement.whole)

    def forget(self, optimizer: Used) -> None:
        """Drop the slots."""
        optimizer.slots = None

    def state(self, optimizer: Used) -> OptimizerState | None:
        """The slots by their paths in the state; see `Optimizers.state`."""
        if optimizer.slots is None:
            return None
        name, config = _description(optimizer.given, optimizer.slots)
        paths, _ = jax.tree_util.tree_flatten_with_path(optimizer.slots)
        slots = {jax.tree_util.keystr(path): np.asarray(x) for path, x in paths}
        return OptimizerState(name, slots, config)

    def set_slots(self, optimizer: Used, slots: Mapping[str, NDArray[Any]]) -> None:
        """Go on with other slots, by the names of `state`."""
        paths, structure = jax.tree_util.tree_flatten_with_path(optimizer.slots)
        leaves = [self._placed(slots[jax.tree_util.keystr(path)]) for path, _ in paths]
        optimizer.slots = jax.tree.unflatten(structure, leaves)


def find_optimizer(optimizer: Any) -> Any:
    """The optimizer a user means.

    Parameters
    ----------
    optimizer : str, optax.GradientTransformation or keras.optimizers.Optimizer
        A name stands for an optimizer of optax with Keras' defaults. One of Keras is for one
        trainer.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is none of these, or one of Keras that cannot be used.
    """
    if isinstance(optimizer, str):
        if optimizer.lower() not in _BY_NAME:
            raise ValidationError(
                f"there is no optimizer {optimizer!r}; there are {', '.join(_BY_NAME)}, and the "
                "objects of optax",
                attr="optimizer",
            )
        return _BY_NAME[optimizer.lower()]()
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(optimizer, keras.optimizers.Optimizer):
        from .keras_optimizers import transformation

        return transformation(optimizer)
    if not isinstance(optimizer, optax.GradientTransformation):
        raise ValidationError(
            "must be an optimizer of optax, such as optax.adam(1e-3), or the name of one, not "
            f"{type(optimizer).__name__}",
            attr="optimizer",
        )
    return optimizer


def _description(given: Any, state: Any) -> tuple[str, dict[str, Any]]:
    """What optimizer something is, for files: its name, and what is known of its arguments.

    Parameters
    ----------
    given : str, optax.GradientTransformation or keras.optimizers.Optimizer
        What a user gave.
    state : pytree
        Its slots. An optimizer of optax is a pair of functions that does not tell its arguments;
        the types of its states tell of which parts it consists.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(given, keras.optimizers.Optimizer):
        config = {key: value for key, value in given.get_config().items() if key != "name"}
        return f"keras {type(given).__name__}", config
    kinds = f"optax {_kinds(state)}"
    return kinds, {"given": given.lower()} if isinstance(given, str) else {}


def _kinds(state: Any) -> str:
    """The types of the states of optax in a state, such as ``ScaleByAdamState``."""
    if not isinstance(state, tuple):
        return ""
    if hasattr(state, "_fields"):
        own = type(state).__name__
        inner = ", ".join(filter(None, map(_kinds, state)))
        return f"{own}({inner})" if inner else own
    return "(" + ", ".join(filter(None, map(_kinds, state))) + ")"
