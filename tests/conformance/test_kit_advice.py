"""Where outputs are wrong, the kit says what may be the cause, as far as it can find out."""

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Operator, Signal
from nengo.builder.operator import Reset
from nengo.params import NumberParam

import nengograd
from nengograd.plugin import OperatorBuilder, ProcessBuilder, Product
from nengograd.testing import ConformanceError, check_operator, check_process


class Scaled(nengo.Node):
    """Puts out a multiple of its input, and what it is biased by."""

    def __init__(self, factor, **kwargs):
        self.factor = factor
        super().__init__(size_in=2, **kwargs)


class SimScaled(Operator):
    def __init__(self, x, bias, y, factor):
        super().__init__()
        self.factor = factor
        self.sets, self.incs, self.reads, self.updates = [y], [], [x, bias], []

    def make_step(self, signals, dt, rng):
        (x, bias), y = (signals[s] for s in self.reads), signals[self.sets[0]]

        def step():
            y[...] = self.factor * x + bias

        return step


@Builder.register(Scaled)
def build_scaled(model, node):
    x, y = Signal(shape=2, name="x"), Signal(shape=2, name="y")
    bias = Signal(np.array([0.5, -0.5]), name="bias")
    model.sig[node]["in"], model.sig[node]["out"] = x, y
    model.add_op(Reset(x))
    model.add_op(SimScaled(x, bias, y, node.factor))


def network():
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [np.sin(40 * t), t], size_out=2)
        for factor in (2.0, 3.0):
            scaled = Scaled(factor)
            nengo.Connection(drive, scaled, synapse=None)
            nengo.Probe(scaled)
    return net


def lower(op, to):
    operands = [to.read(signal) for signal in op.reads]
    (y,) = to.add(SimScaled, key=None, operands=operands, sizes=[2], factor=op.factor)
    to.set(op.sets[0], y)


def lower_without_bias(op, to):
    factor = to.constant([op.factor, op.factor])
    (y,) = to.add(Product, operands=[factor, to.read(op.reads[0])], sizes=[2])
    to.set(op.sets[0], y)


class OfEach(OperatorBuilder):
    def factors(self, block):
        return [op.attrs["factor"] for op in block.ops]

    def build(self, block, ctx):
        factor = ctx.constant(np.repeat(self.factors(block), 2))
        return lambda x, bias: [factor * x + bias]


class OfTheFirst(OfEach):
    """Takes it for granted that merged operators have one factor."""

    def factors(self, block):
        return [block.ops[0].attrs["factor"]] * len(block.ops)


class OfNone(OfEach):
    """Wrong however operators are merged."""

    def factors(self, block):
        return [1.0] * len(block.ops)


def plugin(rule, builder=None):
    class Plugin:
        @nengograd.hookimpl
        def nengograd_lowering(self):
            return {SimScaled: rule}

        @nengograd.hookimpl
        def nengograd_operators(self, backend):
            return {SimScaled: builder or OfEach()}

    return Plugin()


def complaint(*given):
    with pytest.raises(ConformanceError) as caught:
        check_operator(SimScaled, network, backends=["numpy"], plugins=[plugin(*given)])
    return str(caught.value)


def test_a_right_operator_passes():
    check_operator(SimScaled, network, backends=["numpy"], plugins=[plugin(lower)])


def test_a_key_that_merges_too_much_is_told_as_that():
    said = complaint(lower, OfTheFirst())
    assert "- outputs are those of its own step on numpy" in said
    assert "It is right where each operator runs in a block of its own" in said
    assert "has to be in their merge key, else be read from each of block.ops" in said
    assert "does not read" not in said


def test_a_declared_signal_that_a_rule_does_not_read_is_named():
    said = complaint(lower_without_bias)
    assert "The rule does not read bias, which SimScaled reads" in said
    assert "block of its own" not in said


def test_what_is_wrong_for_another_reason_gets_no_such_advice():
    said = complaint(lower, OfNone())
    assert "- outputs are those of its own step on numpy" in said
    assert "does not read" not in said
    assert "block of its own" not in said


class Twice(nengo.Process):
    """Puts out its input times a factor; it counts its steps."""

    factor = NumberParam("factor")

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"count": np.zeros(1)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t, u, count=state["count"]):
            count += 1
            return self.factor * u

        return step


class TwiceBuilder(ProcessBuilder):
    def key_and_params(self, process, shape, dt):
        return None, {"factor": float(process.factor)}

    def rows(self, name, initial, shape):
        return 0

    def step(self, xp, u, state, params, dt):
        return params.factor * u, {"count": [state["count"][0] + 1]}


class KeyedBuilder(TwiceBuilder):
    def key_and_params(self, process, shape, dt):
        return process.factor, {"factor": float(process.factor)}

    def rows(self, name, initial, shape):
        return 1


@pytest.mark.parametrize(
    ("builder", "size", "words"),
    [
        (TwiceBuilder(), 3, "each runs in a block of its own, .*its `rows` returns 0 for a state"),
        (KeyedBuilder(), 1, "they differ in their merge key, 2.0 and 3.0. .* not into the key"),
    ],
)
def test_processes_that_do_not_merge_are_told_why(builder, size, words):
    class Plugin:
        @nengograd.hookimpl
        def nengograd_processes(self, backend):
            return {Twice: builder}

    given = {"backends": ["numpy"], "plugins": [Plugin()], "size": size}
    check_process(Twice(), **given)
    with pytest.raises(ConformanceError, match=f"became 2 blocks, since {words}"):
        check_process(Twice(), **given, other=Twice(3.0))
