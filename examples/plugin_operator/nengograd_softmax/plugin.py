"""What nengograd has to know: how the operator reads and writes, and what computes it."""

from nengograd import hookimpl
from nengograd.plugin import OperatorBuilder, Sum

from . import SoftmaxOp

nengograd_api = 1


def lower_softmax(op, to):
    """Say what the operator reads and writes. Those of one size may run as one."""
    x, y = op.reads[0], op.sets[0]
    (result,) = to.add(SoftmaxOp, operands=[to.read(x)], sizes=[x.size], rows=x.size)
    to.set(y, result)


class SoftmaxBuilder(OperatorBuilder):
    """Softmax of m merged inputs ``(..., m * n)``, on the arrays of any backend."""

    def build(self, block, ctx):
        xp, m, n = ctx.xp, len(block.ops), block.ops[0].attrs["rows"]

        def step(x):
            parts = xp.reshape(x, (*x.shape[:-1], m, n))
            powers = xp.exp(parts - xp.max(parts, axis=-1, keepdims=True))
            shares = powers / xp.sum(powers, axis=-1, keepdims=True)
            return [xp.reshape(shares, x.shape)]

        return step


class TensorFlowSoftmaxBuilder(OperatorBuilder):
    """The same by TensorFlow's own softmax."""

    def build(self, block, ctx):
        import tensorflow as tf

        m, n = len(block.ops), block.ops[0].attrs["rows"]

        def step(x):
            parts = tf.reshape(x, (*x.shape[:-1], m, n))
            return [tf.reshape(tf.nn.softmax(parts), x.shape)]

        return step


class TensorFlowSumBuilder(OperatorBuilder):
    """Sums by ``tf.add_n``, in place of what ships with nengograd."""

    def build(self, block, ctx):
        import tensorflow as tf

        return lambda *terms: [tf.add_n([tf.broadcast_to(t, _shape(terms)) for t in terms])]


def _shape(terms):
    """Terms that never change lack the batch axis."""
    return max((term.shape for term in terms), key=len)


@hookimpl
def nengograd_lowering():
    return {SoftmaxOp: lower_softmax}


@hookimpl
def nengograd_operators(backend):
    if backend == "tensorflow":
        return {SoftmaxOp: TensorFlowSoftmaxBuilder(), Sum: TensorFlowSumBuilder()}
    return {SoftmaxOp: SoftmaxBuilder()}
