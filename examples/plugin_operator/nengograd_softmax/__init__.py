"""A softmax as an operator of Nengo: how it is built, and what it computes there."""

import nengo
import numpy as np
from nengo.builder import Builder, Operator, Signal
from nengo.builder.operator import Reset

__all__ = ["Softmax", "SoftmaxOp"]


class Softmax(nengo.Node):
    """A node whose output is the softmax of its input: positive numbers that sum to 1."""

    def __init__(self, size_in, **kwargs):
        super().__init__(size_in=size_in, **kwargs)


class SoftmaxOp(Operator):
    """Sets a signal to the softmax of another."""

    def __init__(self, x, y):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [y], [], [x], []

    def make_step(self, signals, dt, rng):
        """What `nengo.Simulator` runs in each step."""
        x, y = signals[self.reads[0]], signals[self.sets[0]]

        def step():
            y[...] = np.exp(x - x.max())
            y[...] /= y.sum()

        return step


@Builder.register(Softmax)
def build_softmax(model, node):
    """What Nengo's build step makes of the node: an input, an output, an operator between."""
    x = Signal(shape=node.size_in, name=f"{node}.in")
    y = Signal(shape=node.size_in, name=f"{node}.out")
    model.sig[node]["in"], model.sig[node]["out"] = x, y
    model.add_op(Reset(x))
    model.add_op(SoftmaxOp(x, y))
