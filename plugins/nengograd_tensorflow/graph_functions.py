"""TensorFlow graphs of functions, which are freed when nobody uses them.

`tf.custom_gradient` registers a closure for each call that is traced, in a table that is
never emptied: the closure keeps the graph it was traced in, and whatever the graph was made
of. A tape needs the table for eager operations alone. It is read where a finished graph is
differentiated, which does not happen to ours, so each graph gives its entries back when it is
complete.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from nengograd_xla.interrupts import deferred_interrupts

from .library import tf

__all__ = ["call_concrete", "concrete_function", "distinct", "graph_function"]

_BRANCHES = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")
"""Operations that run functions which were traced for them alone."""

_ATTRIBUTE = "_gradient_op_type"
"""Where a node of a graph keeps the name of its entry."""


def graph_function(function: Callable[..., Any], *, jit: bool = False) -> Any:
    """Make a ``tf.function`` that leaves nothing registered when it has been traced.

    Parameters
    ----------
    function : callable
        Of tensors.
    jit : bool
        Whether XLA compiles it.

    Returns
    -------
    function : tf.function
        To be called where no tape records, or through `call_concrete`.
    """

    @functools.wraps(function)
    def traced(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        finally:
            if not tf.executing_eagerly():
                _forget_gradients(tf.compat.v1.get_default_graph())

    return tf.function(traced, jit_compile=jit or None, autograph=False)


def concrete_function(function: Any, specs: Any) -> Any:
    """Trace a ``tf.function`` for arguments of given shapes; Ctrl-C waits until that is done."""
    with deferred_interrupts():
        return function.get_concrete_function(*specs)


def call_concrete(concrete: Any, tensors: Any) -> list[Any]:
    """Call a concrete function past all tapes; what it returns comes as a flat list."""
    return list(concrete.inference_fn.call_flat(*tensors, *concrete.captured_inputs) or ())


def distinct(sources: Any) -> Any:
    """Tensors equal to those of a nest, such that no two of them can get the same gradient.

    Where a tape returns one tensor as the gradient of two sources, as of ``x`` and ``y`` in
    ``f(x + y)``, TensorFlow 2.21 counts one reference too many: the graph is never freed. So what
    is differentiated by sources is computed from these. The gradient of a reshaped tensor is
    a tensor of its own, and costs nothing.
    """
    return tf.nest.map_structure(lambda x: tf.reshape(x, x.shape), sources)


def _forget_gradients(graph: Any) -> None:
    """Take the entries of a graph's operations out of TensorFlow's table of gradients."""
    from tensorflow.python.framework import ops

    entries = ops.gradient_registry._registry
    for name in _registered(graph, [op.node_def for op in graph.get_operations()]):
        entries.pop(name, None)


def _registered(graph: Any, nodes: Any) -> Iterator[str]:
    """Names of the entries of nodes, and of all branches and loop bodies below them.

    A function that is called, such as a ``tf.function`` of the user, outlives the graph: its
    entries stay.
    """
    for node in nodes:
        if _ATTRIBUTE in node.attr:
            yield node.attr[_ATTRIBUTE].s.decode()
        if node.op in _BRANCHES:
            for value in node.attr.values():
                for function in (value.func, *value.list.func):
                    if function.name:
                        body = graph._get_function(function.name).cached_definition
                        yield from _registered(graph, body.node_def)
