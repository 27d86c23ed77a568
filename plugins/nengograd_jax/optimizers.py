"""Optimizers of optax, by name or as they are, and those of Keras."""

from __future__ import annotations

import sys
from typing import Any

import optax
from nengo.exceptions import ValidationError

__all__ = ["description", "find_optimizer"]

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


def description(given: Any, state: Any) -> tuple[str, dict[str, Any]]:
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
