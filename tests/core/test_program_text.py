"""A program prints as text that says what runs, on what, and where it lies."""

from __future__ import annotations

from textwrap import dedent

import nengo
import numpy as np

from core.tools import program_of
from nengograd.program.operators import Product, Sum
from nengograd.program.program import Array, Block, Op, Program
from nengograd.program.views import View


def small_network() -> nengo.Network:
    """Everything given, so that nothing depends on a solver."""
    with nengo.Network(label="small", seed=0) as net:
        wave = nengo.Node(np.sin, label="wave")
        pair = nengo.Node(size_in=2, label="pair")
        squared = nengo.Node(lambda t, x: x**2, size_in=2, label="squared")
        a = nengo.Ensemble(
            4,
            1,
            neuron_type=nengo.RectifiedLinear(),
            encoders=[[1], [-1], [1], [-1]],
            gain=np.ones(4),
            bias=np.full(4, 0.5),
            label="a",
        )
        nengo.Connection(wave, a, synapse=None)
        solver = nengo.solvers.NoSolver(np.ones((4, 1)))
        nengo.Connection(a, pair[1], synapse=0.005, solver=solver)
        nengo.Connection(wave, pair[0], synapse=None)
        nengo.Connection(pair, squared, synapse=None)
        nengo.Probe(pair[::-1], label="pair")
        nengo.Probe(squared, label="squared")
    return net


def text(expected: str) -> str:
    return dedent(expected).strip("\n")


def test_the_text_of_a_network_names_its_arrays_blocks_updates_and_outputs() -> None:
    assert str(program_of(small_network())) == text("""
        program: 6 blocks, dt=0.001
        constant  c3: 4  <Ensemble 'a'>.scaled_encoders
        constant  c5: 4  <Ensemble 'a'>.bias
        constant  c8: 4  Dense(shape=(1, 1)).weights
        state     s1: 1  Lowpass state
        input     i0: 1  sources
        block     b2:2 = SimPyFunc x1 on the host
                    i0[0:1] s1[0:1]
        block     b4:4 = Dot x1
                    c3[0:4]
                    i0[0:1]
        block     b6:4 = Sum x1
                    c5[0:4]
                    b4[0:4]
        block     b7:4 = RectifiedLinear x1
                    b6[0:4]
        block     b9:1 = Dot x1
                    c8[0:4]
                    b7[0:4]
        block     b10:1 b11:1 = Lowpass x1
                    b9[0:1]
                    s1[0:1]
        update    s1 <- b11[0:1]
        output    0 <- s1[0:1] i0[0:1]
        output    1 <- b2[0:2]
    """)


def test_the_text_is_the_same_each_time() -> None:
    assert str(program_of(small_network())) == str(program_of(small_network()))


def small_program() -> Program:
    arrays = [
        Array(0, "input", 3, label="sources"),
        Array(1, "constant", 2, np.array([2.0, 3.0]), "gain"),
        Array(2, "state", 4, np.arange(4.0), "memory"),
        Array(3, "block", 2),
        Array(4, "block", 4),
    ]
    gain, drive = View.of(1, 2), View([(0, 2, 1), (0, 0, 1)])
    product = Op(Product, None, [gain, drive], [3], [2], {"name": "Gain"})
    padded = View([(3, 0, 2), (-1, 0, 2)])
    parts = [View.of(2, 2), padded[:2]], [View.of(2, 2, 2), padded[2:]]
    sums = [Op(Sum, 2, list(views), [4], [2]) for views in parts]
    return Program(
        arrays={array.id: array for array in arrays},
        blocks=[
            Block(Product, [product], [gain, drive], [3]),
            Block(Sum, sums, [View.of(2, 4), padded], [4], host=True),
        ],
        updates={2: View.of(4, 4)},
        outputs=[View.of(4, 1, 3), View.zeros(2)],
        sources=[(None, 0, 3)],
        signals={},
        dt=0.002,
    )


def test_zeros_hosts_and_step_length_are_in_the_text() -> None:
    assert str(small_program()) == text("""
        program: 2 blocks, dt=0.002
        constant  c1: 2  gain
        state     s2: 4  memory
        input     i0: 3  sources
        block     b3:2 = Gain x1
                    c1[0:2]
                    i0[2:3] i0[0:1]
        block     b4:4 = Sum x2 on the host
                    s2[0:4]
                    b3[0:2] 0*2
        update    s2 <- b4[0:4]
        output    0 <- b4[3:4]
        output    1 <- 0*2
    """)


def test_a_view_of_many_runs_is_cut() -> None:
    program = small_program()
    program.outputs = [View([(2, i, 1) for i in (3, 1, 2, 0, 3, 1)])]
    assert str(program).endswith(
        "output    0 <- s2[3:4] s2[1:3] s2[0:1] s2[3:4] ... 5 runs, 6 elements"
    )


def test_a_program_can_be_asked_for_its_parts() -> None:
    program = small_program()
    assert [array.name for array in program.by_role("block")] == ["b3", "b4"]
    assert program.host_blocks == program.blocks[1:]
    state = program.initial_state(np.float32)
    assert list(state) == [2]
    assert state[2].dtype == np.float32
    np.testing.assert_array_equal(state[2], [0, 1, 2, 3])


def test_the_first_state_has_the_axes_that_are_asked_for_and_is_no_part_of_the_program() -> None:
    program = small_program()
    for batch in ((), (2,)):
        state = program.initial_state(batch=batch)
        np.testing.assert_array_equal(state[2], np.broadcast_to([0, 1, 2, 3], (*batch, 4)))
        state[2] += 1
    np.testing.assert_array_equal(program.arrays[2].initial, [0, 1, 2, 3])


def test_the_text_says_which_states_begin_with_parameters() -> None:
    arrays = {
        0: Array(0, "parameter", 2, np.ones(2), "weights"),
        1: Array(1, "state", 3, np.zeros(3)),
    }
    starts = {1: View.concat([View.of(0, 2), View.zeros(1)])}
    program = Program(arrays, [], {1: View.of(1, 3)}, [], [], {}, 0.001, starts=starts)
    assert "start     s1 <- p0[0:2] 0*1" in str(program)
    np.testing.assert_array_equal(program.initial_state()[1], [1, 1, 0])
    later = program.initial_state(parameters={0: np.array([3.0, 4.0])})
    np.testing.assert_array_equal(later[1], [3, 4, 0])
