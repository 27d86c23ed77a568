"""Optimizers of Keras and of TensorFlow 1, on one trainer's variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from nengograd.plugin.trainer import OptimizerState

from .finite import Kept, apply_if_finite
from .graph_functions import call_concrete, concrete_function, graph_function
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
        self._configs: dict[int, dict[str, Any]] = {}

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
            # A callback may change the learning rate later, which is a slot then.
            config = optimizer.get_config()
            self._configs[id(optimizer)] = {k: v for k, v in config.items() if k != "name"}
        return optimizer

    def forget_named(self) -> None:
        """Let names stand for new optimizers, with empty slots."""
        named = list(self._named.values())
        self._known = [known for known in self._known if not any(known is x for x in named)]
        self._named.clear()

    def state(self, optimizer: Any) -> OptimizerState | None:
        """An optimizer and its slots, for a file.

        Parameters
        ----------
        optimizer : object
            What `find` has returned.

        Returns
        -------
        state : OptimizerState or None
            None if `forget_named` has forgotten it.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it is one of TensorFlow 1.
        """
        if isinstance(optimizer, tf.compat.v1.train.Optimizer):
            raise ValidationError(
                "the slots of optimizers of tf.compat.v1 are not saved; use one of Keras, such as "
                "keras.optimizers.Adam()",
                attr="optimizer",
            )
        if not any(optimizer is known for known in self._known):
            return None
        slots = {name: np.array(x.numpy()) for name, x in _slots(optimizer).items()}
        return OptimizerState(
            f"keras {type(optimizer).__name__}", slots, self._configs[id(optimizer)]
        )

    def set_slots(self, optimizer: Any, slots: Mapping[str, NDArray[Any]]) -> None:
        """Let an optimizer go on with other slots, by the names of `state`."""
        for name, variable in _slots(optimizer).items():
            variable.assign(slots[name])

    def update(
        self,
        optimizer: Any,
        gradients: Gradients,
        specs: Sequence[Any],
        stop_at_nan: bool = True,
    ) -> Callable[..., Any]:
        """A function that computes gradients and applies them.

        It returns the losses, whether it applied the gradients, and the gradients.

        Parameters
        ----------
        optimizer : object
            What `find` has returned.
        gradients : tf.function
            See `Gradients`.
        specs : sequence of tf.TensorSpec
            Of its arguments.
        stop_at_nan : bool
            Whether to apply none if a loss or a gradient is not finite.
        """
        if isinstance(optimizer, tf.compat.v1.train.Optimizer):
            return self._update_v1(optimizer, gradients, specs, stop_at_nan)

        def update(inputs: Any, targets: Any) -> Any:
            losses, found, outputs = gradients(inputs, targets)

            def apply() -> None:
                # An optimizer divides by the factor that it wants losses to be multiplied with.
                optimizer.apply([optimizer.scale_loss(g) for g in found], self._variables)

            if not stop_at_nan:
                apply()
                return losses, tf.constant(True), found, outputs
            return losses, apply_if_finite(apply, [losses, *found]), found, outputs

        return _traced(graph_function(update), specs)

    def keep(self, optimizer: Any) -> Kept:
        """Keep the parameters, and the optimizer's slots."""
        parameters = [variable.value for variable in self._variables]

        def slots() -> list[Any]:
            if isinstance(optimizer, tf.compat.v1.train.Optimizer):
                return list(optimizer.variables())
            return [variable.value for variable in optimizer.variables]

        return Kept(parameters, slots)

    def _update_v1(
        self, optimizer: Any, gradients: Gradients, specs: Sequence[Any], stop_at_nan: bool
    ) -> Callable[..., Any]:
        # These make their slots when they are first called, which a tf.function forbids.
        targets_of = [variable.value for variable in self._variables]
        gradients = _traced(gradients, specs)

        def update(inputs: Any, targets: Any) -> Any:
            losses, found, outputs = gradients(inputs, targets)

            def apply() -> None:
                optimizer.apply_gradients(list(zip(found, targets_of, strict=True)))

            if not stop_at_nan:
                apply()
                return losses, tf.constant(True), found, outputs
            return losses, apply_if_finite(apply, [losses, *found]), found, outputs

        return update


def _slots(optimizer: Any) -> dict[str, Any]:
    """The variables of an optimizer of Keras, by their number and their name in it."""
    return {f"[{i}].{x.path.split('/')[-1]}": x.value for i, x in enumerate(optimizer.variables)}


def _traced(function: Any, specs: Sequence[Any]) -> Callable[..., Any]:
    """A tf.function's trace for arguments of given shapes, which all have.

    TensorFlow would look for the trace in each call, and where functions are many and calls
    few warn of retracing.
    """
    trace = concrete_function(function, specs)

    def call(*arguments: Any) -> Any:
        results = call_concrete(trace, tf.nest.flatten(arguments))
        return tf.nest.pack_sequence_as(trace.structured_outputs, results)

    return call


def _by_name(name: str) -> Any:
    try:
        return tf.keras.optimizers.get(name)
    except ValueError as error:
        raise ValidationError(
            f"Keras has no optimizer {name!r}; some it has are 'sgd', 'adam', 'rmsprop'",
            attr="optimizer",
        ) from error
