"""Operator builders on NumPy arrays against the steps of Nengo's own operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.builder import learning_rules as rules
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, SparseDotInc
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal, SignalDict
from nengo.builder.transforms import ConvInc, ConvTransposeInc

from nengograd.builtin.operators import OPERATORS
from nengograd.plugin.builders import Context, NeuronBuilder, ProcessBuilder
from nengograd.plugin.merging import sort_params
from nengograd.plugin.namespace import NAMES, numpy_namespace
from nengograd.program.operators import AddOuter, Dot, Outer, Product, Sum, Total
from nengograd.program.program import Block, Op
from nengograd.program.views import View

DT = 0.001
BATCH = 3
XP = SimpleNamespace(**{name: getattr(numpy_namespace, name) for name in NAMES})
quick = settings(max_examples=60, deadline=None)


@dataclass
class Case:
    """An operator: what the builder gets, and Nengo's step on flat operands."""

    kind: type
    attrs: dict[str, Any]
    sizes: list[int]
    outputs: list[int]
    reference: Callable[..., Sequence[Any]]
    fix: dict[int, Callable[[Any], Any]] = field(default_factory=dict)
    builder: Any = None

    def draw(self, rng: np.random.RandomState, lead: Sequence[tuple[int, ...]]) -> list[Any]:
        """Random operands ``(*lead[j], size)``."""
        values = [rng.uniform(-1, 1, (*axes, n)) for axes, n in zip(lead, self.sizes, strict=True)]
        return [self.fix[j](x) if j in self.fix else x for j, x in enumerate(values)]


def run_nengo(
    operators: Any, inputs: Sequence[Signal], outputs: Sequence[Signal], values: Sequence[Any]
) -> list[Any]:
    """Outputs of Nengo operators run in turn, flat."""
    operators = operators if isinstance(operators, list) else [operators]
    signals = SignalDict()
    for signal in {s for op in operators for s in op.all_signals}:
        signals.init(signal)
    for signal, value in zip(inputs, values, strict=True):
        signals[signal][...] = np.reshape(value, signal.shape)
    for step in [op.make_step(signals, DT, np.random) for op in operators]:
        step()
    return [np.ravel(signals[signal]) for signal in outputs]


def block_of(cases: Sequence[Case]) -> Block:
    views = [[View([(0, 0, n)]) for n in case.sizes] for case in cases]
    ops = [
        Op(case.kind, None, operands, [], case.outputs, case.attrs)
        for case, operands in zip(cases, views, strict=True)
    ]
    return Block(cases[0].kind, ops, [], [])


def check(
    cases: Sequence[Case], batched: Sequence[bool] | None = None, dtype: Any = np.float64, seed=0
) -> None:
    """Compare a block of the cases with each case's reference, item by item."""
    n = len(cases[0].sizes)
    batched = tuple([False] * n if batched is None else batched)
    batch = (BATCH,) if any(batched) else ()
    lead = [batch if flag else () for flag in batched]
    rng = np.random.RandomState(seed)
    values = [case.draw(rng, lead) for case in cases]
    operands = [
        np.concatenate([value[j] for value in values], axis=-1).astype(dtype) for j in range(n)
    ]
    ctx = Context(XP, np.dtype(dtype), DT, batched, batch, cases[0].builder)
    results = list(OPERATORS[cases[0].kind].build(block_of(cases), ctx)(*operands))

    assert len(results) == len(cases[0].outputs)
    for j, result in enumerate(results):
        total = sum(case.outputs[j] for case in cases)
        assert result.dtype == dtype
        assert result.shape in {(total,), (*batch, total)}
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    for item in np.ndindex(*batch):
        start = [0] * len(results)
        for case, value in zip(cases, values, strict=True):
            own = [x[item] if flag else x for x, flag in zip(value, batched, strict=True)]
            for j, expected in enumerate(case.reference(*own)):
                found = results[j][item] if results[j].ndim > 1 else results[j]
                found = found[start[j] : start[j] + case.outputs[j]]
                start[j] += case.outputs[j]
                scale = tolerance * max(1.0, np.abs(expected).max(initial=0.0))
                np.testing.assert_allclose(found, expected, rtol=tolerance, atol=scale)


# -- arithmetic


def sum_case(n: int, k: int = 3) -> Case:
    def reference(*values: Any) -> list[Any]:
        xs, y = [Signal(np.zeros(n)) for _ in values], Signal(np.zeros(n))
        return run_nengo([Copy(x, y, inc=True) for x in xs], xs, [y], values)

    return Case(Sum, {}, [n] * k, [n], reference)


def product_case(n: int) -> Case:
    def reference(*values: Any) -> list[Any]:
        a, x, y = (Signal(np.zeros(n)) for _ in range(3))
        return run_nengo(ElementwiseInc(a, x, y), [a, x], [y], values)

    return Case(Product, {}, [n, n], [n], reference)


def dot_case(rows: int, cols: int) -> Case:
    def reference(*values: Any) -> list[Any]:
        a, x, y = Signal(np.zeros((rows, cols))), Signal(np.zeros(cols)), Signal(np.zeros(rows))
        return run_nengo(DotInc(a, x, y), [a, x], [y], values)

    return Case(Dot, {"rows": rows, "cols": cols}, [rows * cols, cols], [rows], reference)


def total_case(n: int, terms: int) -> Case:
    def reference(value: Any) -> list[Any]:
        return sum_case(n, terms).reference(*value.reshape(terms, n))

    return Case(Total, {"terms": terms}, [terms * n], [n], reference)


def outer_case(rows: int, cols: int) -> Case:
    def reference(column: Any, row: Any) -> list[Any]:
        return [np.outer(column, row).reshape(-1)]

    return Case(Outer, {"rows": rows, "cols": cols}, [rows, cols], [rows * cols], reference)


def add_outer_case(rows: int, cols: int) -> Case:
    """PES, with a learning rate that makes nengo's operator a plain outer product."""

    def reference(matrix: Any, column: Any, row: Any) -> list[Any]:
        pre, error = Signal(np.zeros(cols)), Signal(np.zeros(rows))
        delta = Signal(np.zeros((rows, cols)))
        op = rules.SimPES(pre, error, delta, -cols / DT)
        change = run_nengo(op, [pre, error], [delta], [row, column])[0]
        return [matrix + change.reshape(-1)]

    sizes = [rows * cols, rows, cols]
    return Case(AddOuter, {"rows": rows, "cols": cols}, sizes, [rows * cols], reference)


def sparse_case(dense: Any) -> Case:
    """A case with the pattern of non-zeros of ``dense``; the values are drawn."""
    dense = np.asarray(dense)
    row, col = np.nonzero(dense)

    def reference(data: Any, x: Any) -> list[Any]:
        matrix = nengo.transforms.SparseMatrix(np.stack([row, col], 1), data, dense.shape)
        a = Signal(matrix, name="A")
        sx, y = Signal(np.zeros(dense.shape[1])), Signal(np.zeros(dense.shape[0]))
        return run_nengo(SparseDotInc(a, sx, y), [sx], [y], [x])

    attrs = {"row": row, "col": col, "shape": dense.shape}
    return Case(SparseDotInc, attrs, [len(row), dense.shape[1]], [dense.shape[0]], reference)


# -- learning rules


def rule_case(
    kind: type, shapes: list[Any], outputs: list[Any], make: Callable[..., Any], attrs: Any
) -> Case:
    def reference(*values: Any) -> list[Any]:
        signals = [Signal(np.zeros(shape)) for shape in shapes]
        targets = [Signal(np.zeros(shape)) for shape in outputs]
        op = make(*signals, *targets)
        return run_nengo(op, signals, op.updates, values)

    sizes, out_sizes = ([int(np.prod(s)) for s in group] for group in (shapes, outputs))
    return Case(kind, attrs, sizes, out_sizes, reference)


def bcm_case(rows: int, cols: int, rate: float) -> Case:
    attrs = {"rows": rows, "cols": cols, "alpha": rate * DT}
    shapes = [(cols,), (rows,), (rows,)]
    make = lambda *signals: rules.SimBCM(*signals, rate)  # noqa: E731
    return rule_case(rules.SimBCM, shapes, [(rows, cols)], make, attrs)


def oja_case(rows: int, cols: int, rate: float, beta: float = 0.7) -> Case:
    attrs = {"rows": rows, "cols": cols, "alpha": rate * DT, "beta": beta}
    shapes = [(cols,), (rows,), (rows, cols)]
    make = lambda *signals: rules.SimOja(*signals, rate, beta)  # noqa: E731
    return rule_case(rules.SimOja, shapes, [(rows, cols)], make, attrs)


def voja_case(rows: int, cols: int, rate: float) -> Case:
    scale = np.linspace(0.5, rate, rows)
    attrs = {"rows": rows, "cols": cols, "alpha": rate * DT, "scale": scale}
    shapes = [(cols,), (rows,), (rows, cols), ()]

    def make(pre: Any, post: Any, encoders: Any, learning: Any, delta: Any) -> Any:
        return rules.SimVoja(pre, post, encoders, delta, scale, learning, rate)

    return rule_case(rules.SimVoja, shapes, [(rows, cols)], make, attrs)


def rls_case(rows: int, cols: int) -> Case:
    def reference(pre: Any, error: Any, inverse: Any) -> list[Any]:
        r, e, delta = Signal(np.zeros(cols)), Signal(np.zeros(rows)), Signal(np.zeros((rows, cols)))
        p = Signal(inverse.reshape(cols, cols))
        return run_nengo(rules.SimRLS(r, e, delta, p), [r, e], [delta, p], [pre, error])

    def symmetric(x: Any) -> Any:
        x = x.reshape(*x.shape[:-1], cols, cols)
        return (np.eye(cols) + x + np.swapaxes(x, -1, -2)).reshape(*x.shape[:-2], cols * cols)

    attrs = {"rows": rows, "cols": cols}
    sizes = [cols, rows, cols * cols]
    return Case(rules.SimRLS, attrs, sizes, [rows * cols, cols * cols], reference, {2: symmetric})


# -- neurons and processes


class Integrator(NeuronBuilder):
    """SpikingRectifiedLinear."""

    params = ("amplitude",)
    states = ("voltage",)

    def step(self, xp, J, state, params, dt):
        """Integrate and fire."""
        voltage = state["voltage"] + xp.maximum(J, 0.0) * dt
        spikes = xp.floor(voltage)
        return (params.amplitude / dt) * spikes, {"voltage": voltage - spikes}


class Noisy(nengo.neurons.NeuronType):
    """A neuron that adds noise."""

    def step(self, dt, J, output, rng):
        """Add noise to the input."""
        output[...] = J + rng.uniform(size=J.shape)


class Replay(np.random.RandomState):
    """A generator that returns what it is given."""

    def uniform(self, low=0.0, high=1.0, size=None):
        """Return the given numbers."""
        return self.numbers.reshape(size)


class NoisyBuilder(NeuronBuilder):
    """Noisy with numbers drawn ahead."""

    draw = staticmethod(lambda rng, n: rng.uniform(size=n))

    def step(self, xp, J, state, params, dt):
        """Add the drawn noise."""
        return J + state["random"], {}


def spiking_case(n: int, amplitude: Any) -> Case:
    def reference(J: Any, voltage: Any) -> list[Any]:
        sj, out, sv = (Signal(np.zeros(n)) for _ in range(3))
        neurons = nengo.SpikingRectifiedLinear(amplitude=amplitude)
        op = SimNeurons(neurons, sj, out, state={"voltage": sv})
        return run_nengo(op, [sj, sv], [out, sv], [J, voltage])

    params = sort_params({"amplitude": amplitude}, (n,), ())
    attrs = {"params": params, "size": n}
    # The margin keeps single precision on the same side of the threshold.
    fix = {0: lambda x: 2000.0 * np.round(x, 2) + 250.0, 1: lambda x: np.round(np.abs(x), 1)}
    return Case(SimNeurons, attrs, [n, n], [n, n], reference, fix, builder=Integrator())


def noisy_case(n: int) -> Case:
    def reference(J: Any, random: Any) -> list[Any]:
        sj, out = Signal(np.zeros(n)), Signal(np.zeros(n))
        rng = Replay()
        rng.numbers = random
        return run_nengo(SimNeurons(Noisy(), sj, out, state={"rng": rng}), [sj], [out], [J])

    attrs = {"params": sort_params({}, (n,), ()), "size": n}
    return Case(SimNeurons, attrs, [n, n], [n], reference, builder=NoisyBuilder())


class Past(nengo.Process):
    """The input of two steps ago times a gain kept as a whole array."""

    gain = nengo.params.NumberParam("gain")

    def __init__(self, gain: float, whole: int):
        super().__init__()
        self.gain = gain
        self._whole = whole

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        """Two rows, and an array that is not made of rows."""
        return {"past": np.zeros((2, *shape_in)), "whole": np.zeros(self._whole)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """Shift the rows."""
        past, whole = state["past"], state["whole"]

        def step(t, x):
            out = self.gain * past[1]
            past[1] = past[0]
            past[0] = x
            whole[...] *= 2.0
            return out

        return step


class PastBuilder(ProcessBuilder):
    """Past."""

    def key_and_params(self, process, shape, dt):
        """One number."""
        return None, {"gain": process.gain}

    def rows(self, name, initial, shape):
        """Rows for ``past`` only."""
        return 2 if name == "past" else 0

    def step(self, xp, u, state, params, dt):
        """Shift the rows."""
        first, second = state["past"]
        whole = [2.0 * x for x in state["whole"]]
        return params.gain * second, {"past": [u, first], "whole": whole}


def past_case(n: int, gain: Any, whole: int = 4) -> Case:
    def reference(u: Any, *rows: Any) -> list[Any]:
        su, out, time = Signal(np.zeros(n)), Signal(np.zeros(n)), Signal(np.zeros(()))
        past, rest = Signal(np.stack(rows[:2])), Signal(rows[2] if whole else np.zeros(0))
        state = {"past": past, "whole": rest}
        op = SimProcess(Past(gain, whole), su, out, time, state=state)
        found = run_nengo(op, [su], [out, past, rest], [u])
        return [found[0], *found[1].reshape(2, n), *([found[2]] if whole else [])]

    attrs = {
        "params": sort_params({"gain": gain}, (n,), ()),
        "rows": [("past", 2), ("whole", int(whole > 0))],
        "size": n,
    }
    sizes = [n, n, n] + [whole] * bool(whole)
    return Case(SimProcess, attrs, sizes, sizes, reference, builder=PastBuilder())


# -- convolutions


def conv_case(conv: Any) -> Case:
    kind = ConvTransposeInc if isinstance(conv, nengo.ConvolutionTranspose) else ConvInc

    def reference(*values: Any) -> list[Any]:
        w, x = Signal(np.zeros(conv.kernel_shape)), Signal(np.zeros(conv.size_in))
        y = Signal(np.zeros(conv.size_out))
        return run_nengo(kind(w, x, y, conv), [w, x], [y], values)

    sizes = [int(np.prod(conv.kernel_shape)), int(conv.size_in)]
    return Case(kind, {"conv": conv}, sizes, [int(conv.size_out)], reference)


def shape_of(spatial: Sequence[int], channels: int, last: bool) -> tuple[int, ...]:
    return (*spatial, channels) if last else (channels, *spatial)


@st.composite
def convolutions(draw: Any, transpose: bool) -> Any:
    """Transforms whose larger side is ``spatial``."""
    dims = draw(st.integers(1, 2))
    padding = draw(st.sampled_from(["same", "valid"]))
    spatial = [draw(st.integers(1, 7)) for _ in range(dims)]
    kernel = [draw(st.integers(1, n if padding == "valid" else 4)) for n in spatial]
    strides = [draw(st.integers(1, 3)) for _ in range(dims)]
    last = draw(st.booleans())
    common = {
        "kernel_size": tuple(kernel),
        "strides": tuple(strides),
        "padding": padding,
        "channels_last": last,
    }
    if transpose:
        channels, filters = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        taken = [k - 1 if padding == "valid" else 0 for k in kernel]
        small = [-(-(n - t) // s) for n, t, s in zip(spatial, taken, strides, strict=True)]
        return nengo.ConvolutionTranspose(
            filters,
            shape_of(small, channels, last),
            output_shape=shape_of(spatial, filters, last),
            **common,
        )
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    return nengo.Convolution(filters, shape_of(spatial, channels, last), groups=groups, **common)


CONV_2D = nengo.Convolution(4, (7, 6, 2), kernel_size=(4, 3), strides=(2, 1), padding="same")
CONV_T = nengo.ConvolutionTranspose(
    3, (2, 3, 4), kernel_size=(3, 2), strides=(2, 2), channels_last=False
)
CONV_GROUPS = nengo.Convolution(
    4, (6, 9), kernel_size=(4,), strides=(2,), padding="same", channels_last=False, groups=2
)

BLOCKS = {
    "sum": [sum_case(3), sum_case(1), sum_case(5)],
    "product": [product_case(2), product_case(4)],
    "dot": [dot_case(3, 4) for _ in range(3)],
    "dot with one column": [dot_case(5, 1), dot_case(5, 1)],
    "dot with one row": [dot_case(1, 5), dot_case(1, 5)],
    "sparse": [
        sparse_case([[0, 1, 1], [0, 0, 0]]),
        sparse_case(np.zeros((2, 1))),
        sparse_case([[0, 0], [1, 1], [0, 1], [0, 0]]),
    ],
    "spiking": [spiking_case(3, 1.0), spiking_case(2, np.float64(0.1))],
    "spiking, equal amplitude": [spiking_case(3, np.float64(0.3)), spiking_case(2, 0.3)],
    "noisy": [noisy_case(3), noisy_case(2)],
    "process": [past_case(3, 0.5, 4), past_case(2, 2.0, 1)],
    "process with an empty state": [past_case(3, 0.5, 0), past_case(2, 2.0, 0)],
    "total": [total_case(3, 11), total_case(3, 11)],
    "outer": [outer_case(2, 4), outer_case(2, 4)],
    "sum with an outer product": [add_outer_case(2, 4), add_outer_case(2, 4)],
    "BCM": [bcm_case(2, 4, 1.0), bcm_case(2, 4, 3.0)],
    "Oja": [oja_case(2, 4, 1.0), oja_case(2, 4, 3.0, beta=0.1), oja_case(2, 4, 1.0)],
    "Voja": [voja_case(3, 2, 1.0), voja_case(3, 2, 4.0)],
    "RLS": [rls_case(2, 4), rls_case(2, 4)],
    "convolution": [conv_case(CONV_2D)],
    "convolution in groups": [conv_case(CONV_GROUPS)],
    "transposed convolution": [conv_case(CONV_T)],
}
each_block = pytest.mark.parametrize("cases", BLOCKS.values(), ids=BLOCKS.keys())


@each_block
def test_single_operator_equals_nengo(cases):
    check(cases[:1])


@each_block
def test_merged_operators_equal_nengo(cases):
    check(cases)


@each_block
def test_minibatch_equals_nengo_item_by_item(cases):
    check(cases[:1], [True] * len(cases[0].sizes))
    check(cases, [True] * len(cases[0].sizes))


@each_block
def test_constant_operands_broadcast_over_the_minibatch(cases):
    n = len(cases[0].sizes)
    for j in range(n):
        check(cases, [i == j for i in range(n)])
        check(cases[:1], [i != j for i in range(n)])


@each_block
def test_float32_stays_float32(cases):
    check(cases[:1], dtype=np.float32)
    check(cases, [True] * len(cases[0].sizes), dtype=np.float32)


batched_pairs = st.tuples(st.booleans(), st.booleans())
seeds = st.integers(0, 2**31 - 1)


@quick
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), batched_pairs, seeds)
def test_dot_of_any_shape_equals_nengo(m, rows, cols, batched, seed):
    check([dot_case(rows, cols)] * m, batched, seed=seed)


@quick
@given(st.data(), st.integers(1, 3), batched_pairs, seeds)
def test_sparse_dot_of_any_pattern_equals_nengo(data, m, batched, seed):
    cases = []
    for _ in range(m):
        rows, cols = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
        bits = data.draw(st.lists(st.booleans(), min_size=rows * cols, max_size=rows * cols))
        cases.append(sparse_case(np.reshape(bits, (rows, cols))))
    check(cases, batched, seed=seed)


@quick
@given(convolutions(transpose=False), batched_pairs, seeds)
def test_convolution_of_any_shape_equals_nengo(conv, batched, seed):
    check([conv_case(conv)], batched, seed=seed)


@quick
@given(convolutions(transpose=True), batched_pairs, seeds)
def test_transposed_convolution_of_any_shape_equals_nengo(conv, batched, seed):
    check([conv_case(conv)], batched, seed=seed)


def test_convolution_in_three_dimensions_is_refused():
    conv = nengo.Convolution(1, (3, 3, 3, 1), kernel_size=(2, 2, 2), strides=(1, 1, 1))
    ctx = Context(XP, np.dtype(np.float64), DT)
    with pytest.raises(NotImplementedError, match="two spatial dimensions"):
        OPERATORS[ConvInc].build(block_of([conv_case(conv)]), ctx)


def test_a_dot_of_one_constant_matrix_makes_one_product_for_a_minibatch():
    shapes = []

    def matmul(a, b):
        shapes.append((a.shape, b.shape))
        return np.matmul(a, b)

    xp = SimpleNamespace(**{**vars(XP), "matmul": matmul})
    ctx = Context(xp, np.dtype(np.float64), DT, (False, True), (8,))
    step = OPERATORS[Dot].build(block_of([dot_case(3, 4)]), ctx)
    (y,) = step(np.ones(12), np.ones((8, 4)))
    assert shapes == [((8, 4), (4, 3))]
    assert y.shape == (8, 3)
