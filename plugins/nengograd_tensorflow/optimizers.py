"""Optimizers of Keras and of TensorFlow 1, on one trainer's variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nengo.exceptions import ValidationError

from .library import tf

__all__ = ["Optimizers"]

Gradients = Callable[[Any, Any], tuple[Any, list[Any]]]
"""``(inputs, targets) -> (losses, gradients)``; losses come with their weights, see `descent`."""


class Optimizers:
    """The optimizers that have been used with a trainer's variables.

    Parameters
    ----------
    variables : sequence of keras.Variable
        The parameters.
    """

    def __init__(self, variables: Sequence[Any]):
        self._variables = list(variables)
        self._named: dict[str, Any] = {}
        self._known: list[Any] = []

    def find(self, optimizer: Any) -> Any:
        """The optimizer a user means.

        Parameters
        ----------
        optimizer : str, keras.optimizers.Optimizer or tf.compat.v1.train.Optimizer
            A name stands for one optimizer with Keras' defaults, the same in each call until
            `forget_named`.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it is none of these, or holds slots for the variables of something else.
        """
        if isinstance(optimizer, str):
            if optimizer not in self._named:
                self._named[optimizer] = _by_name(optimizer)
            optimizer = self._named[optimizer]
        if isinstance(optimizer, tf.compat.v1.train.Optimizer):
            return optimizer
        if not isinstance(optimizer, tf.keras.optimizers.Optimizer):
            raise ValidationError(
                "must be a Keras optimizer, its name, or a tf.compat.v1.train.Optimizer, not "
                f"{type(optimizer).__name__}",
                attr="optimizer",
            )
        if not any(optimizer is known for known in self._known):
            if optimizer.built:
                raise ValidationError(
                    f"{optimizer.name} holds the slots of another simulator or model; make a "
                    "new one",
                    attr="optimizer",
                )
            optimizer.build(self._variables)
            self._known.append(optimizer)
        return optimizer

    def forget_named(self) -> None:
        """Let names stand for new optimizers, with empty slots."""
        self._named.clear()

    def update(
        self, optimizer: Any, gradients: Gradients, specs: Sequence[Any]
    ) -> Callable[..., Any]:
        """A function that computes gradients and applies them; returns the losses.

        Parameters
        ----------
        optimizer : object
            What `find` has returned.
        gradients : tf.function
            See `Gradients`.
        specs : sequence of tf.TensorSpec
            Of its arguments.
        """
        if isinstance(optimizer, tf.compat.v1.train.Optimizer):
            return self._update_v1(optimizer, gradients, specs)

        def update(inputs: Any, targets: Any) -> Any:
            losses, found = gradients(inputs, targets)
            # An optimizer divides by the factor that it wants losses to be multiplied with.
            optimizer.apply([optimizer.scale_loss(g) for g in found], self._variables)
            return losses

        return _traced(tf.function(update, autograph=False), specs)

    def _update_v1(
        self, optimizer: Any, gradients: Gradients, specs: Sequence[Any]
    ) -> Callable[..., Any]:
        # These make their slots when they are first called, which a tf.function forbids.
        targets_of = [variable.value for variable in self._variables]
        gradients = _traced(gradients, specs)

        def update(inputs: Any, targets: Any) -> Any:
            losses, found = gradients(inputs, targets)
            optimizer.apply_gradients(list(zip(found, targets_of, strict=True)))
            return losses

        return update


def _traced(function: Any, specs: Sequence[Any]) -> Callable[..., Any]:
    """A tf.function's trace for arguments of given shapes, which all have.

    TensorFlow would look for the trace in each call, and where functions are many and calls
    few warn of retracing.
    """
    trace: Callable[..., Any] = function.get_concrete_function(*specs)
    return trace


def _by_name(name: str) -> Any:
    try:
        return tf.keras.optimizers.get(name)
    except ValueError as error:
        raise ValidationError(
            f"Keras has no optimizer {name!r}; some it has are 'sgd', 'adam', 'rmsprop'",
            attr="optimizer",
        ) from error
