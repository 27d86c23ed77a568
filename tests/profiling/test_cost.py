"""Operations and bytes of blocks, against what a person counts."""

from dataclasses import replace

import nengo
import numpy as np
import pytest

from nengograd.assembly.assemble import assemble
from nengograd.plugin.executable import Options
from nengograd.plugin.manager import get_registry
from nengograd.profile.cost import bytes_moved, operations

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
