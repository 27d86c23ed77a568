"""Operations and bytes of blocks, against what a person counts."""

from dataclasses import replace

import nengo
import numpy as np
import pytest

from nengograd.assembly.assemble import assemble
from nengograd.plugin.executable import Options
from nengograd.plugin.manager import get_registry
from nengograd.profile.cost import bytes_moved, count_work, operations

FLOAT32 = Options(dtype=np.dtype("float32"))
BATCH = Options(dtype=np.dtype("float32"), minibatch_size=5)


@pytest.fixture(scope="module")
def program():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(3))
        ens = nengo.Ensemble(20, 3, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(node, ens, synapse=None)
        nengo.Probe(ens.neurons, synapse=nengo.Lowpass(0.01))
    model = nengo.builder.Model()
    model.build(net)
    return assemble(model, get_registry("numpy"))


def find(program, name):
    return next(i for i, block in enumerate(program.blocks) if block.ops[0].name == name)


def test_a_product_takes_two_operations_for_each_element_of_its_matrix(program):
    index = find(program, "Dot")
    assert operations(program, index, get_registry("numpy"), FLOAT32) == 2 * 20 * 3
    assert operations(program, index, get_registry("numpy"), BATCH) == 5 * 2 * 20 * 3


def test_a_product_reads_its_matrix_once_for_all_items(program):
    index = find(program, "Dot")
    assert bytes_moved(program, index, FLOAT32) == (4 * (60 + 3), 4 * 20)
    assert bytes_moved(program, index, BATCH) == (4 * (60 + 5 * 3), 5 * 4 * 20)


def test_a_sum_takes_one_operation_for_each_element(program):
    index = find(program, "Sum")
    assert operations(program, index, get_registry("numpy"), FLOAT32) == 20


def test_neurons_count_what_their_equations_compute(program):
    # amplitude * maximum(J, 0)
    index = find(program, "RectifiedLinear")
    assert operations(program, index, get_registry("numpy"), FLOAT32) == 2 * 20


def test_a_filter_counts_what_its_equation_computes(program):
    # a * x + b * u
    index = find(program, "Lowpass")
    assert operations(program, index, get_registry("numpy"), FLOAT32) == 3 * 20


def test_a_builder_may_count_for_itself(program):
    index = find(program, "Sum")
    builders = get_registry("numpy")
    kind = program.blocks[index].kind

    class Counted(type(builders.operators[kind])):
        def flops(self, block, ctx):
            return 7.0

    own = replace(builders, operators={kind: Counted()})
    assert operations(program, index, own, FLOAT32) == 7.0


def test_the_work_of_a_program_is_that_of_its_blocks(program):
    registry = get_registry("numpy")
    work = count_work(program, registry, BATCH)
    indices = range(len(program.blocks))
    assert (work.blocks, work.host) == (len(program.blocks), 0)
    assert work.products == 5 * 2 * 20 * 3
    assert work.operations + work.products == sum(
        operations(program, i, registry, BATCH) for i in indices
    )
    assert work.bytes == sum(sum(bytes_moved(program, i, BATCH)) for i in indices)


def test_functions_are_counted_as_often_as_a_step_calls_them(program):
    registry = get_registry("numpy")
    before = count_work(program, registry, FLOAT32)
    kind = program.blocks[find(program, "Sum")].kind

    class Thrice(type(registry.operators[kind])):
        def build(self, block, ctx):
            step = super().build(block, ctx)

            def thrice(*operands):
                (once,) = step(*operands)
                return [ctx.xp.sqrt(ctx.xp.maximum(once * once, 0.0))]

            return thrice

    own = replace(registry, operators={**registry.operators, kind: Thrice()})
    after = count_work(program, own, FLOAT32)
    assert after.functions == before.functions + 3
    assert after.operations == before.operations + 3 * 20


def test_python_nodes_are_work_on_the_host():
    with nengo.Network() as net:
        for _ in range(2):
            nengo.Connection(nengo.Node([1.0]), nengo.Node(lambda t, x: x, size_in=1, size_out=1))
    model = nengo.builder.Model()
    model.build(net)
    registry = get_registry("numpy")
    assert count_work(assemble(model, registry), registry, FLOAT32).host == 2


def test_what_cannot_be_counted_counts_what_it_puts_out(program):
    registry = get_registry("numpy")
    index = find(program, "Sum")
    kind = program.blocks[index].kind

    class Elsewhere(type(registry.operators[kind])):
        def build(self, block, ctx):
            raise TypeError("these are no tensors")

    own = replace(registry, operators={**registry.operators, kind: Elsewhere()})
    work = count_work(program, own, FLOAT32)
    assert work.operations + work.products == sum(
        operations(program, i, registry, FLOAT32) if i != index else 20
        for i in range(len(program.blocks))
    )
