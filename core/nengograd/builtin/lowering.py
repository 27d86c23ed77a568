"""Lowering rules for the operators of Nengo, and the table of all.

Those of processes and of learning rules stand in modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nengo.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import (
    BsrDotInc,
    Copy,
    DotInc,
    ElementwiseInc,
    Reset,
    SparseDotInc,
)
from nengo.builder.probe import SimProbe
from nengo.builder.processes import SimProcess
from nengo.builder.transforms import ConvInc, ConvTransposeInc
from nengo.exceptions import BuildError
from nengo.transforms import SparseMatrix

from ..assembly.lowering import Lowering, stored_elements
from ..plugin.merging import Parameters, sort_params
from ..program.operators import Dot, Product
from ..program.program import Served
from ..program.sources import ConstantSource, RandomSource, SeedSource
from ..program.views import View
from ..tensor_node import SimTensorNode
from .learning_lowering import lower_bcm, lower_oja, lower_pes, lower_rls, lower_voja
from .process_lowering import lower_process

__all__ = ["RULES"]


def lower_reset(op: Any, to: Lowering) -> None:
    """``dst[...] = value``."""
    size = op.dst.size
    node = to.node_of(op.dst)
    if node is not None:
        value = np.full(size, op.value)
        to.set(op.dst, to.input(ConstantSource(size, node, op.dst.name, op, value)))
    elif op.value == 0:
        to.set(op.dst, View.zeros(size))
    else:
        to.set(op.dst, to.constant(np.full(size, op.value), f"{op.dst.name} reset"))


def _elements(signal: Any, index: Any) -> Any:
    """Flat indices of ``signal[index]``, in the shape that NumPy gives it."""
    return np.arange(signal.size).reshape(signal.shape)[index]


def lower_copy(op: Any, to: Lowering) -> None:
    """``dst[dst_slice] = src[src_slice]``, or ``+=``."""
    src = to.read(op.src)
    if op.src_slice is None and op.dst_slice is None and op.src.shape == op.dst.shape:
        (to.inc if op.inc else to.set)(op.dst, src)
        return
    taken = _elements(op.src, Ellipsis if op.src_slice is None else op.src_slice)
    target = _elements(op.dst, Ellipsis if op.dst_slice is None else op.dst_slice)
    view = src.take(np.broadcast_to(taken, target.shape).reshape(-1))
    target = target.reshape(-1)
    if not op.inc and len(np.unique(target)) < len(target):
        raise BuildError(f"{op}: dst_slice repeats an element, which only an increment may do")
    if op.dst_slice is None:
        (to.inc if op.inc else to.set)(op.dst, view)
    else:
        (to.inc if op.inc else to.set_at)(op.dst, view, target)


def _broadcast(view: View, shape: tuple[int, ...], target: tuple[int, ...]) -> View:
    """A view read with NumPy's broadcasting rules."""
    if shape == target:
        return view
    index = np.broadcast_to(np.arange(view.size).reshape(shape), target)
    return view.take(index.reshape(-1))


def lower_elementwise(op: Any, to: Lowering) -> None:
    """``Y[...] += A * X`` with broadcasting."""
    _elementwise(op.A, op.X, op.Y, to)


def _elementwise(a: Any, x: Any, y: Any, to: Lowering) -> None:
    shape = np.broadcast_shapes(a.shape, x.shape)
    # A product of scalars has no axis where its target may have one, or the reverse.
    if int(np.prod(shape)) != y.size and int(np.prod(shape)) != 1:
        raise BuildError(f"Incompatible shapes: {y.shape} += {a.shape} * {x.shape}")
    operands = [_broadcast(to.read(s), s.shape, shape) for s in (a, x)]
    result = to.add(Product, operands=operands, sizes=[operands[0].size])[0]
    if result.size != y.size:
        result = result.take(np.zeros(y.size, dtype=np.int64))
    to.inc(y, result)


def lower_dot(op: Any, to: Lowering) -> None:
    """``Y[...] += dot(A, X)``."""
    a, x, y = op.A, op.X, op.Y
    if a.sparse:
        lower_sparse_dot(op, to)
        return
    if a.ndim == 0 or x.ndim == 0:
        _elementwise(a, x, y, to)
        return
    cols = a.shape[-1]
    rows = a.size // cols
    # A column vector dotted with one number, (n, 1) by (1,), comes here too.
    operands = [to.read(a), to.read(x)]
    result = to.add(Dot, operands=operands, sizes=[rows], rows=rows, cols=cols)[0]
    if result.size != y.size:
        result = result.take(np.zeros(y.size, dtype=np.int64))
    to.inc(y, result)


def _sparse_parts(matrix: Any) -> tuple[Any, Any, Any, tuple[int, int]]:
    """Stored elements of a sparse matrix, with their rows and columns."""
    if isinstance(matrix, SparseMatrix):
        matrix.allocate()  # Nengo's warning, where it has no SciPy, is the user's to see
        data, (row, col) = matrix.data, np.asarray(matrix.indices).T
    else:
        coo = matrix.tocoo()
        data, row, col = coo.data, coo.row, coo.col
    return data, row.astype(np.int64), col.astype(np.int64), matrix.shape


def lower_sparse_dot(op: Any, to: Lowering) -> None:
    """``Y[...] += dot(A, X)`` with a sparse matrix."""
    data, row, col, shape = _sparse_parts(op.A.initial_value)
    if not len(row):
        to.inc(op.Y, View.zeros(op.Y.size))
        return
    order = np.argsort(row, kind="stable")
    row, col = row[order], col[order]
    # Formats such as the diagonal one store more than the matrix has.
    as_stored = np.array_equal(stored_elements(op.A.initial_value), data)
    is_trained = op.A in to.training.parameters
    stored = to.stored(op.A) if is_trained or as_stored else to.constant(data, op.A.name)
    stored = stored.take(order)
    operands = [stored, to.read(op.X)]
    result = to.add(SparseDotInc, None, operands, [shape[0]], row=row, col=col, shape=shape)
    to.inc(op.Y, result[0])


def lower_bsr_dot(op: Any, to: Lowering) -> None:
    """``Y[...] += dot(A, X)`` with a block-sparse matrix: one product per block."""
    blocks, rows, cols = op.A.shape
    a, x = to.read(op.A), to.read(op.X)
    for row in range(len(op.indptr) - 1):
        target = np.arange(row * rows, (row + 1) * rows)
        for block in range(op.indptr[row], op.indptr[row + 1]):
            start = int(op.indices[block]) * cols
            operands = [
                a[block * rows * cols : (block + 1) * rows * cols],
                x[start : start + cols],
            ]
            result = to.add(Dot, operands=operands, sizes=[rows], rows=rows, cols=cols)
            to.inc(op.Y, result[0], target)
    assert blocks == op.indptr[-1]


def lower_convolution(op: Any, to: Lowering) -> Any:
    """``Y[...] += conv(W, X)``."""
    if op.conv.dimensions > 2:
        return False
    result = to.add(type(op), to.alone(), [to.read(op.W), to.read(op.X)], [op.Y.size], conv=op.conv)
    to.inc(op.Y, result[0])
    return True


def lower_neurons(op: Any, to: Lowering) -> Any:
    """Neurons: a current and states in, an output and states out."""
    neurons = op.neurons
    served = to.training.stand_ins.get(op, Served(type(neurons)))
    if served.kind not in to.registry.neurons:
        return False
    builder: Any = to.registry.builder_of(served)
    if not builder.accepts(neurons):
        return False
    size = op.J.size
    state = op.state
    if not set(builder.states) <= set(state) or op.output.size != size:
        return False
    if any(state[name].size != size for name in builder.states):
        return False
    if served.gradient is None and (
        set(state) != set(builder.states) or bool(op.state_extra) != (builder.draw is not None)
    ):
        return False
    operands = [to.read(op.J), *(to.before(state[name]) for name in builder.states)]
    if builder.draw is not None:
        label = f"{type(neurons).__name__} draws"
        operands.append(to.input(RandomSource(size, None, label, op, Served(served.kind))))
    whose = served.kind, served.gradient, served.surrogate
    key, params = to.once((*whose, neurons, size), lambda: _neuron_params(neurons, builder, size))
    outputs = to.add(
        SimNeurons,
        (*whose, *key),
        operands,
        [size] * (1 + len(builder.states)),
        mixes=True,
        served=served,
        params=params,
        size=size,
        name=type(neurons).__name__,
    )
    to.set(op.output, outputs[0])
    for name, view in zip(builder.states, outputs[1:], strict=True):
        to.set(state[name], view)
    return True


def _neuron_params(neurons: Any, builder: Any, size: int) -> tuple[tuple[Any, Any], Parameters]:
    """In what neurons have to agree with others, and their parameters, sorted."""
    values = {name: _parameter(neurons, name) for name in builder.params}
    params = sort_params(values, (size,), builder.params)
    return (builder.key(neurons), params.key), params


def _parameter(neurons: Any, name: str) -> Any:
    """An attribute of a neuron type that its builder names."""
    try:
        return getattr(neurons, name)
    except AttributeError as error:
        raise AttributeError(
            f"{type(neurons).__name__} has no attribute {name!r}, which `params` names"
        ) from error


def lower_probe(op: Any, to: Lowering) -> None:
    """Probes are outputs of the program; their operator does nothing."""


def lower_tensor_node(op: SimTensorNode, to: Lowering) -> None:
    """A function on tensors; no two of them run as one."""
    if op.node.function.backend != to.registry.backend:
        raise BuildError(
            f"{op.node} computes with tensors of the backend {op.node.function.backend!r}, which "
            "this simulator does not use: choose one backend for both, with the argument backend "
            "of the node or of the simulator"
        )
    function, training = op.node.function, to.training.differentiate
    statistics = function.statistics if training else ()
    if any(op.weights[name] not in to.training.parameters for name in statistics):
        training, statistics = False, ()  # the settings of the network freeze the node
    operands = [to.read(signal) for signal in (op.input, op.time) if signal is not None]
    has_key = function.is_random(training)
    if has_key:
        operands.append(to.input(SeedSource(2, None, f"{op.node}.key", op)))
    states = list(op.states.values())
    operands += [to.before(signal) for signal in states]
    gathered = [op.weights[name] for name in statistics]
    operands += [to.statistic(signal) for signal in gathered]
    operands += [to.read(op.weights[name]) for name in function.names if name not in statistics]
    output, *after = to.add(
        SimTensorNode,
        to.alone(),
        operands,
        [op.output.size, *(signal.size for signal in (*states, *gathered))],
        name=type(op.node.tensor_func).__name__ if function.dtypes else "TensorNode",
        function=op.node.tensor_func,
        training=training,
        has_key=has_key,
        statistics=statistics,
    )
    to.set(op.output, output)
    for signal, view in zip(states, after, strict=False):
        to.update(signal, view)
    for signal, view in zip(gathered, after[len(states) :], strict=True):
        to.update_statistic(signal, view)


RULES: dict[type, Callable[[Any, Lowering], Any]] = {
    Reset: lower_reset,
    Copy: lower_copy,
    ElementwiseInc: lower_elementwise,
    DotInc: lower_dot,
    SparseDotInc: lower_sparse_dot,
    BsrDotInc: lower_bsr_dot,
    ConvInc: lower_convolution,
    ConvTransposeInc: lower_convolution,
    SimNeurons: lower_neurons,
    SimProcess: lower_process,
    SimPES: lower_pes,
    SimBCM: lower_bcm,
    SimOja: lower_oja,
    SimVoja: lower_voja,
    SimRLS: lower_rls,
    SimProbe: lower_probe,
    SimTensorNode: lower_tensor_node,
}
"""Rules by operator class."""
