"""Gradients of losses by parameters, compiled as far as XLA can."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nengo.exceptions import NengoWarning

from nengograd_xla.attribution import Traced
from nengograd_xla.batch_loss import BatchLoss, Record

from .graph_functions import distinct, graph_function
from .library import tf
from .objectives import descent, why_not_xla
from .tracing import optimized

__all__ = ["Gradients", "compile_gradients", "value_and_gradients"]


@dataclass(frozen=True)
class Gradients:
    """A function of a minibatch that gives losses and gradients.

    Attributes
    ----------
    function : tf.function
        ``(inputs, targets, carry) -> (figures, gradients, (outputs, end, statistics))``; see
        `descent` and `Record`.
        Gradients are those by the parameters, in their order; outputs may be none.
    parts : list of (str, tf.function, sequence)
        What of it XLA compiles, with a name and specifications of the arguments.
    """

    function: Any
    parts: list[tuple[str, Any, Sequence[Any]]]

    def traced(self) -> list[Traced]:
        """Its name and its optimized program, as a tracer needs them."""
        found = []
        for name, part, specs in self.parts:
            # TensorFlow takes no specifications within lists here.
            zeros = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), specs)
            found.append(Traced(name, optimized(part, zeros)))
        return found or [Traced("gradients", None)]


def compile_gradients(
    record: Record,
    parameters: Mapping[int, Any],
    statistics: Mapping[int, Any],
    loss: BatchLoss,
    xp: Any,
    specs: tuple[Any, list[Any], list[Any]],
    outputs: Sequence[Any],
    *,
    jit: bool,
) -> Gradients:
    """Make the function that computes the gradients of the loss of a minibatch.

    Where XLA cannot compute a loss, TensorFlow's graph runtime does, between two compiled
    functions: one for what the probes record, and one for its gradients, which has to compute
    that once more.

    Parameters
    ----------
    record : callable
        See `Record`.
    parameters, statistics : mapping
        Keras variables, by the id of their array.
    loss : BatchLoss
        What is minimized.
    xp : Namespace
        Functions of tensors.
    specs : tuple
        Shapes and dtypes of the inputs, of each target, and of the carry.
    outputs : sequence of tf.TensorSpec
        Of what each loss sees of its output.
    jit : bool
        Whether XLA compiles.
    """
    keep_outputs = loss.keep_outputs

    def values(variables: Mapping[int, Any]) -> dict[int, Any]:
        return {i: tf.convert_to_tensor(v.value) for i, v in variables.items()}

    def watched(
        given: Any, fixed: Any, inputs: Any, carry: Any
    ) -> tuple[Any, Callable[[list[Any]], list[Any]]]:
        """What was recorded, and what makes gradients of outputs those by parameters."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(given)
            recorded = record({**distinct(given), **fixed}, inputs, carry)

        def pull(slopes: list[Any]) -> list[Any]:
            zero = tf.UnconnectedGradients.ZERO
            found = tape.gradient(recorded[0], given, slopes, unconnected_gradients=zero)
            return [found[i] for i in parameters]

        return recorded, pull

    def gradients(inputs: Any, targets: Any, carry: Any) -> tuple[Any, list[Any], Any]:
        given, fixed = values(parameters), values(statistics)
        (outputs, *after), pull = watched(given, fixed, inputs, carry)
        figures, slopes = descent(loss, xp, outputs, targets)
        return figures, pull(slopes), (outputs if keep_outputs else [], *after)

    if not jit or not _warned(loss, xp, outputs, specs[1]):
        function = graph_function(gradients, jit=jit)
        return Gradients(function, [("gradients", function, specs)] if jit else [])

    def gradients_of_outputs(
        given: Any, fixed: Any, inputs: Any, carry: Any, slopes: list[Any]
    ) -> list[Any]:
        return watched(given, fixed, inputs, carry)[1](slopes)

    forward = graph_function(record, jit=True)
    backward = graph_function(gradients_of_outputs, jit=True)

    def in_parts(inputs: Any, targets: Any, carry: Any) -> tuple[Any, list[Any], Any]:
        given, fixed = values(parameters), values(statistics)
        outputs, *after = forward({**given, **fixed}, inputs, carry)
        figures, slopes = descent(loss, xp, outputs, targets)
        pulled = backward(given, fixed, inputs, carry, slopes)
        return figures, pulled, (outputs if keep_outputs else [], *after)

    shapes, fixed = (
        {i: tf.TensorSpec(v.shape, v.dtype) for i, v in variables.items()}
        for variables in (parameters, statistics)
    )
    inputs, _, carry = specs
    return Gradients(
        graph_function(in_parts),
        [
            (record.__name__, forward, ({**shapes, **fixed}, inputs, carry)),
            (
                gradients_of_outputs.__name__,
                backward,
                (shapes, fixed, inputs, carry, list(outputs)),
            ),
        ],
    )


def value_and_gradients(function: Callable[..., Any], *, jit: bool) -> Callable[..., Any]:
    """Derivatives of a number by two arguments; see `XlaTrainer.value_and_gradients`."""

    def differentiate(parameters: Any, inputs: Any, weights: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([parameters, inputs])
            total = function(*distinct((parameters, inputs)), weights)
        zero = tf.UnconnectedGradients.ZERO
        return total, *tape.gradient(total, [parameters, inputs], unconnected_gradients=zero)

    compiled = graph_function(differentiate, jit=jit)
    return lambda *arguments: compiled(*tf.nest.map_structure(tf.constant, arguments))


def _warned(loss: BatchLoss, xp: Any, outputs: Sequence[Any], targets: Sequence[Any]) -> bool:
    """Say which losses XLA cannot compute; return whether there are any."""
    reasons = [
        f"{term.loss.name}: {reason}"
        for number, term in enumerate(loss.terms)
        if (reason := why_not_xla(loss, number, xp, outputs[number], targets[number]))
    ]
    if reasons:
        warnings.warn(
            "XLA cannot compute an objective, which therefore runs by itself; this takes one more "
            "run of the model for each minibatch. " + "; ".join(reasons),
            NengoWarning,
            stacklevel=10,
        )
    return bool(reasons)
