"""Analysis of traced functions: random numbers, variables, operations without XLA or gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nengo.exceptions import ValidationError

from .graph_functions import concrete_function, graph_function
from .library import tf

__all__ = ["check_graph", "python_without_gradient", "why_not_compiled"]

_CHANGES = ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp")
_LEFT_OUT = {"Assert": "an assertion", "CheckNumerics": "a check of numbers"}
"""Operations that XLA takes and leaves out without a word."""

_PYTHON = ("PyFunc", "PyFuncStateless")
"""Operations of ``tf.numpy_function``, which has no gradient."""


def check_graph(graph: Any, name: str, is_layer: bool) -> None:
    """Refuse what no simulator could repeat.

    Parameters
    ----------
    graph : tf.Graph
        What was traced.
    name : str
        Of the function or layer, for people.
    is_layer : bool
        Whether it is a layer, which may keep variables and generators.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it draws random numbers that follow no seed of the simulator, or changes a variable
        that outlives the simulation.
    """
    for node in _nodes(graph):
        if _draws(node):
            cure = (
                "give it a keras.random.SeedGenerator as an attribute, and draw with "
                "keras.random.uniform(shape, seed=self.generator), say"
                if is_layer
                else "give it a parameter `seed`, and draw with "
                "tf.random.stateless_uniform(shape, seed=seed), say"
            )
            raise ValidationError(
                f"{name} draws random numbers ({node.op}) that do not follow the simulator's "
                f"seed: {cure}",
                attr="tensor_func",
            )
        if node.op in _CHANGES:
            cure = "with self.add_weight(..., trainable=False)" if is_layer else "in a Keras layer"
            raise ValidationError(
                f"{name} changes a variable that is not the simulation's, which a reset would "
                f"not restore: keep it {cure}; and draw random numbers of Keras with a "
                "SeedGenerator of a layer",
                attr="tensor_func",
            )


def _draws(node: Any) -> bool:
    """Whether an operation draws from a generator of TensorFlow's own."""
    if node.op.startswith("CudnnRNN"):  # its seed is for a dropout that Keras does not use
        return False
    return {"seed", "seed2"} <= set(node.attr) or node.op.startswith(
        ("RngReadAndSkip", "RngSkip", "StatefulRandom", "StatefulUniform", "StatefulStandard")
    )


def _nodes(graph: Any) -> Iterator[Any]:
    """All operations, those of loops and of functions that are called included."""
    definition = graph.as_graph_def()
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def why_not_compiled(function: Callable[..., Any], specs: Sequence[Any]) -> str | None:
    """Why XLA cannot compute a function of tensors as TensorFlow does, if so."""
    compiled = graph_function(function, jit=True)
    used = {node.op for node in _nodes(concrete_function(compiled, specs).graph)}
    for operation, meaning in _LEFT_OUT.items():
        if any(name.startswith(operation) for name in used):
            return f"it would leave out {meaning} ({operation})"
    try:
        compiled.experimental_get_compiler_ir(*specs)(stage="hlo")
    except (ValueError, tf.errors.OpError) as error:
        return str(error).strip().splitlines()[0]
    return None


def python_without_gradient(graph: Any, output: Any) -> bool:
    """Whether an output depends on Python code of which TensorFlow has no gradient."""
    seen, waiting = set(), [output.op]
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        if op.type in _PYTHON:
            return True
        # `tf.custom_gradient` marks its outputs; what is behind them has a gradient by hand.
        if "_gradient_op_type" not in op.node_def.attr:
            waiting += [tensor.op for tensor in op.inputs]
    return False
