"""Gradients of losses by parameters, compiled as far as XLA can."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nengo.exceptions import NengoWarning

from nengograd.plugin.trainer import LossTerm
from nengograd_xla.attribution import Traced

from .graph_functions import distinct, graph_function
from .library import tf
from .objectives import descent, why_not_xla
from .tracing import optimized

__all__ = ["Gradients", "compile_gradients"]

Record = Callable[[Any, Any], tuple[list[Any], list[Any]]]
"""``(parameters, inputs) -> (outputs, end)``: what the losses see, and the states to go on from."""


@dataclass(frozen=True)
class Gradients:
    """A function of inputs and targets that gives losses and gradients.

    Attributes
    ----------
    function : tf.function
        ``(inputs, targets) -> (figures, gradients, (outputs, end))``; see `descent` and `Record`.
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
    terms: Sequence[LossTerm],
    xp: Any,
    specs: tuple[Any, list[Any]],
    outputs: Sequence[Any],
    *,
    jit: bool,
    keep_outputs: bool = False,
) -> Gradients:
    """Make the function that computes the gradients of the weighted sum of the terms' losses.

    Where XLA cannot compute a loss, TensorFlow's graph runtime does, between two compiled
    functions: one for what the probes record, and one for its gradients, which has to compute
    that once more.

    Parameters
    ----------
    record : callable
        See `Record`.
    parameters : mapping
        Keras variables, by the id of their array.
    terms : sequence of LossTerm
        What is minimized.
    xp : Namespace
        Functions of tensors.
    specs : tuple
        Shapes and dtypes of the inputs, and of each target.
    outputs : sequence of tf.TensorSpec
        Of what each loss sees of its output.
    jit : bool
        Whether XLA compiles.
    keep_outputs : bool
        Whether to return what the losses have seen.
    """

    def values() -> dict[int, Any]:
        return {i: tf.convert_to_tensor(v.value) for i, v in parameters.items()}

    def watched(given: Any, inputs: Any) -> tuple[Any, Callable[[list[Any]], list[Any]]]:
        """What was recorded, and what makes gradients of outputs those by parameters."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(given)
            recorded = record(distinct(given), inputs)

        def pull(slopes: list[Any]) -> list[Any]:
            zero = tf.UnconnectedGradients.ZERO
            found = tape.gradient(recorded[0], given, slopes, unconnected_gradients=zero)
            return [found[i] for i in parameters]

        return recorded, pull

    def gradients(inputs: Any, targets: Any) -> tuple[Any, list[Any], Any]:
        (outputs, end), pull = watched(values(), inputs)
        figures, slopes = descent(terms, xp, outputs, targets)
        return figures, pull(slopes), (outputs if keep_outputs else [], end)

    if not jit or not _warned(terms, xp, outputs, specs[1]):
        function = graph_function(gradients, jit=jit)
        return Gradients(function, [("gradients", function, specs)] if jit else [])

    def gradients_of_outputs(given: Any, inputs: Any, slopes: list[Any]) -> list[Any]:
        return watched(given, inputs)[1](slopes)

    forward = graph_function(record, jit=True)
    backward = graph_function(gradients_of_outputs, jit=True)

    def in_parts(inputs: Any, targets: Any) -> tuple[Any, list[Any], Any]:
        given = values()
        outputs, end = forward(given, inputs)
        figures, slopes = descent(terms, xp, outputs, targets)
        return figures, backward(given, inputs, slopes), (outputs if keep_outputs else [], end)

    shapes = {i: tf.TensorSpec(v.shape, v.dtype) for i, v in parameters.items()}
    return Gradients(
        graph_function(in_parts),
        [
            (record.__name__, forward, (shapes, specs[0])),
            (gradients_of_outputs.__name__, backward, (shapes, *specs)),
        ],
    )


def _warned(
    terms: Sequence[LossTerm], xp: Any, outputs: Sequence[Any], targets: Sequence[Any]
) -> bool:
    """Say which losses XLA cannot compute; return whether there are any."""
    reasons = [
        f"{term.loss.name}: {reason}"
        for term, output, target in zip(terms, outputs, targets, strict=True)
        if (reason := why_not_xla(term, xp, output, target))
    ]
    if reasons:
        warnings.warn(
            "XLA cannot compute an objective, which therefore runs by itself; this takes one more "
            "run of the model for each minibatch. " + "; ".join(reasons),
            NengoWarning,
            stacklevel=7,
        )
    return bool(reasons)
