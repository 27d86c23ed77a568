"""What is in no loop can run over many steps at once; nothing else is dragged into loops."""

from __future__ import annotations

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tools import build
from nengograd.assembly.assemble import assemble
from nengograd.assembly.trained import Training
from nengograd.plugin.manager import get_registry
from nengograd.program.loops import Component, components
from nengograd.program.program import Program


def over_time(net: nengo.Network) -> Program:
    """The program of a network as it is when it is differentiated."""
    return assemble(build(net), get_registry("numpy"), training=Training(differentiate=True))


@st.composite
def rate_networks(draw: st.DrawFn) -> nengo.Network:
    """Populations of neurons with random connections, delayed or not, forward or back."""
    count = draw(st.integers(1, 5))
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(2))
        nodes = [u]
        for _ in range(count):
            kind = draw(st.sampled_from([nengo.RectifiedLinear(), nengo.LIFRate()]))
            bias, gain = np.ones(2), np.ones(2)
            nodes.append(nengo.Ensemble(2, 1, neuron_type=kind, gain=gain, bias=bias).neurons)
        for _ in range(draw(st.integers(1, 8))):
            i, j = draw(st.integers(0, count)), draw(st.integers(1, count))
            synapse = draw(st.sampled_from([0.005, nengo.Alpha(0.01)]))
            if i < j and draw(st.booleans()):
                synapse = None
            weights = np.eye(2) * draw(st.sampled_from([0.5, 2.0]))
            nengo.Connection(nodes[i], nodes[j], transform=weights, synapse=synapse)
        for node in nodes[1:]:
            nengo.Probe(node)
    return net


def dependencies(program: Program) -> tuple[dict[int, int], np.ndarray]:
    """The place of each array's maker, and what reaches what in one hop or more."""
    makers = {i: n for n, block in enumerate(program.blocks) for i in block.outputs}
    for state in program.updates:
        makers[state] = len(set(makers.values()))
    count = len(program.blocks) + len(program.updates)
    reach = np.zeros((count, count), dtype=bool)
    reads = [(n, v) for n, block in enumerate(program.blocks) for v in block.operands]
    reads += [(makers[state], view) for state, view in program.updates.items()]
    for place, view in reads:
        for source in view.sources:
            if source in makers:
                reach[place, makers[source]] = True
    for k in range(count):
        reach |= np.outer(reach[:, k], reach[k])
    return makers, reach


def places(component: Component, makers: dict[int, int]) -> list[int]:
    return [*component.blocks, *(makers[state] for state in component.states)]


@settings(max_examples=40, deadline=None)
@given(rate_networks())
def test_components_are_the_loops_in_an_order_that_works(net: nengo.Network) -> None:
    program = over_time(net)
    found = components(program)
    makers, reach = dependencies(program)
    assert sorted(i for component in found for i in component.blocks) == list(
        range(len(program.blocks))
    )
    assert sorted(s for component in found for s in component.states) == sorted(program.updates)
    done: set[int] = set()
    for component in found:
        own = places(component, makers)
        for i in own:
            assert set(np.flatnonzero(reach[i])) <= done | set(own)
            same = [j for j in range(len(reach)) if (reach[i, j] and reach[j, i]) or i == j]
            assert sorted(same) == sorted(own)
        assert component.is_loop == bool(reach[own[0], own[0]])
        done |= set(own)


@settings(max_examples=40, deadline=None)
@given(rate_networks())
def test_a_block_is_in_a_loop_only_where_each_of_its_operators_is(net: nengo.Network) -> None:
    program = over_time(net)
    in_loops = {
        i for component in components(program) if component.is_loop for i in component.blocks
    }
    for index in in_loops:
        block = program.blocks[index]
        for op in block.ops:
            # Follow what needs this operator, by operators, back to itself.
            assert _feeds_itself(program, op)


def _feeds_itself(program: Program, start: object) -> bool:
    """Whether an operator's output reaches its own input, element by element."""
    spans = {}  # (array, first, last) of each operator's outputs
    for block in program.blocks:
        offset = [0] * len(block.outputs)
        for op in block.ops:
            places = []
            for k, size in enumerate(op.sizes):
                places.append((block.outputs[k], offset[k], offset[k] + size))
                offset[k] += size
            spans[id(op)] = places
    touched = {i: np.zeros(a.size, dtype=bool) for i, a in program.arrays.items()}
    for array, first, last in spans[id(start)]:
        touched[array][first:last] = True
    before = -1
    while True:
        total = int(sum(x.sum() for x in touched.values()))
        if total == before:
            return False
        before = total
        for block in program.blocks:
            offsets = [0] * len(block.operands)
            read = [view.gather(touched, dtype=bool) for view in block.operands]
            for op in block.ops:
                hit = False
                for k, operand in enumerate(op.operands):
                    hit |= bool(read[k][offsets[k] : offsets[k] + operand.size].any())
                    offsets[k] += operand.size
                if hit and op is start:
                    return True
                if hit:
                    for array, first, last in spans[id(op)]:
                        touched[array][first:last] = True
        for state, view in program.updates.items():
            touched[state] |= view.gather(touched, dtype=bool)


@pytest.mark.parametrize("synapse", [None, 0.005])
def test_products_of_layers_are_in_no_loop(synapse: float | None) -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(3))
        x = nengo.Ensemble(10, 3, neuron_type=nengo.LIFRate())
        y = nengo.Ensemble(10, 3, neuron_type=nengo.AdaptiveLIFRate())
        nengo.Connection(u, x, synapse=synapse)
        nengo.Connection(x, y, synapse=synapse)
        nengo.Probe(y, synapse=0.01)
    program = over_time(net)
    in_loops = [
        b for component in components(program) if component.is_loop for b in component.blocks
    ]
    names = {program.blocks[i].ops[0].name for i in in_loops}
    assert names <= {"Lowpass", "AdaptiveLIFRate"}
    # Each filter and each adapting population is a loop of its own.
    assert all(len(component.blocks) == 1 for component in components(program) if component.is_loop)


def test_a_delay_of_one_step_is_no_loop() -> None:
    with nengo.Network() as net:
        u = nengo.Node(np.ones(2))
        x = nengo.Node(size_in=2)
        nengo.Connection(u, x, synapse=0)
        nengo.Probe(x)
    found = components(over_time(net))
    assert [len(component.states) for component in found if component.states] == [1]
    assert not any(component.is_loop for component in found)
