"""Optimizers of Keras and of TensorFlow 1, on one trainer's variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from nengograd.plugin.trainer import OptimizerState
from nengograd_xla.optimizers import Optimizers

from .finite import Kept, apply_if_finite
from .graph_functions import call_concrete, concrete_function, graph_function
from .library import tf

__all__ = ["KerasOptimizers"]

Gradients = Callable[[Any, Any, Any], tuple[Any, list[Any], Any]]
"""``(inputs, targets, carry) -> (figures, gradients, (outputs, end, statistics))``; see
`compile_gradients`."""


class KerasOptimizers(Optimizers):
    """Optimizers of Keras, which keep slots for variables, and of TensorFlow 1.

    Parameters
    ----------
    variables : sequence of keras.Variable
        The parameters.
    statistics : sequence of keras.Variable
        What takes the values that gradients come with.
    """

    def __init__(self, variables: Sequence[Any], statistics: Sequence[Any]):
        super().__init__()
        self._variables = list(variables)
        self._statistics = list(statistics)
        self._known: list[Any] = []
        self._configs: dict[int, dict[str, Any]] = {}

    def by_name(self, name: str) -> Any:
        """One with Keras' defaults."""
        return _by_name(name)

    def ready(self, given: Any) -> Any:
        """The optimizer itself, built for the variables; see `Optimizers.find`."""
        if isinstance(given, tf.compat.v1.train.Optimizer):
            return given
        if not isinstance(given, tf.keras.optimizers.Optimizer):
            raise ValidationError(
                "must be a Keras optimizer, its name, or a tf.compat.v1.train.Optimizer, not "
                f"{type(given).__name__}",
                attr="optimizer",
            )
        if not any(given is known for known in self._known):
            if given.built:
                raise ValidationError(
                    f"{given.name} holds the slots of another simulator or model; make a new one",
                    attr="optimizer",
                )
            given.build(self._variables)
            self._known.append(given)
            # A callback may change the learning rate later, which is a slot then.
            config = given.get_config()
            self._configs[id(given)] = {k: v for k, v in config.items() if k != "name"}
        return given

    def forget(self, optimizer: Any) -> None:
        """Let it go."""
        self._known = [known for known in self._known if known is not optimizer]

    def state(self, optimizer: Any) -> OptimizerState | None:
        """An optimizer and its variables; see `Optimizers.state`.

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
        """Go on with other slots, by the names of `state`."""
        for name, variable in _slots(optimizer).items():
            variable.assign(slots[name])

    def update(
        self,
        optimizer: Any,
        gradients: Gradients,
        specs: Sequence[Any],
        stop_at_nan: bool,
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

        def update(inputs: Any, targets: Any, carry: Any) -> Any:
            losses, found, (outputs, end, gathered) = gradients(inputs, targets, carry)

            def apply() -> None:
                # An optimizer divides by the factor that it wants losses to be multiplied with.
                optimizer.apply([optimizer.scale_loss(g) for g in found], self._variables)
                self._take(gathered)

            if not stop_at_nan:
                apply()
                return losses, tf.constant(True), found, (outputs, end)
            is_finite = apply_if_finite(apply, [losses, *found])
            return losses, is_finite, found, (outputs, end)

        return _traced(graph_function(update), specs)

    def keep(self, optimizer: Any) -> Kept:
        """Keep the parameters and statistics, and the optimizer's slots."""
        parameters = [variable.value for variable in (*self._variables, *self._statistics)]

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

        def update(inputs: Any, targets: Any, carry: Any) -> Any:
            losses, found, (outputs, end, gathered) = gradients(inputs, targets, carry)

            def apply() -> None:
                optimizer.apply_gradients(list(zip(found, targets_of, strict=True)))
                self._take(gathered)

            if not stop_at_nan:
                apply()
                return losses, tf.constant(True), found, (outputs, end)
            is_finite = apply_if_finite(apply, [losses, *found])
            return losses, is_finite, found, (outputs, end)

        return update

    def _take(self, statistics: Sequence[Any]) -> None:
        for variable, value in zip(self._statistics, statistics, strict=True):
            variable.assign(value)


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
