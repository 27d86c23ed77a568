"""A registry tells a backend in one answer what makes the function of a block."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

from nengograd import hookimpl
from nengograd.assembly.assemble import assemble
from nengograd.plugin import NeuronBuilder, Options, Program, get_registry, numpy_namespace


class Halved(nengo.RectifiedLinear):
    """A type that nengograd does not know."""

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:
        output[...] = np.maximum(J, 0) / 2


class HalvedBuilder(NeuronBuilder):
    def step(self, xp: Any, J: Any, state: Any, params: SimpleNamespace, dt: float) -> Any:
        return xp.maximum(J, 0.0) / 2.0, {}


class Plugin:
    @hookimpl
    def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
        return {Halved: HalvedBuilder()}


OPTIONS = Options(np.dtype("float64"), minibatch_size=3)


@pytest.fixture
def program() -> Program:
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(5, 2, neuron_type=Halved())
        nengo.Connection(nengo.Node([0.3, -0.2]), ensemble)
        nengo.Probe(ensemble)
    model = nengo.builder.Model(dt=0.002)
    model.build(net)
    return assemble(model, get_registry("numpy", [Plugin()]))


def neurons_of(program: Program) -> Any:
    (block,) = [b for b in program.blocks if b.served is not None and b.served.kind is Halved]
    return block


def test_it_names_the_builders_of_neurons_and_operator_and_the_plugin_of_each(
    program: Program,
) -> None:
    registry, block = get_registry("numpy", [Plugin()]), neurons_of(program)
    found = registry.implementation(program, block, OPTIONS, numpy_namespace)
    assert found.operator is registry.operators[block.kind]
    assert type(found.context.builder) is HalvedBuilder
    assert [origin.first_party for origin in found.origins] == [True, False]
    assert found.who.startswith("HalvedBuilder, the builder of Halved x1 (plugin 'Plugin #0' of ")


def test_a_block_of_an_operator_alone_has_one_builder_of_one_plugin(program: Program) -> None:
    registry = get_registry("numpy", [Plugin()])
    block = next(block for block in program.blocks if block.served is None)
    found = registry.implementation(program, block, OPTIONS, numpy_namespace)
    assert found.context.builder is None
    assert [origin.first_party for origin in found.origins] == [True]
    assert found.who.startswith(f"{type(found.operator).__name__}, the builder of {block.label} (")


def test_the_context_has_what_options_and_program_say(program: Program) -> None:
    registry = get_registry("numpy", [Plugin()])
    contexts = [
        (block, registry.implementation(program, block, OPTIONS, numpy_namespace).context)
        for block in program.blocks
    ]
    fixed = {a.id for role in ("constant", "parameter") for a in program.by_role(role)}
    seen = set()
    for block, context in contexts:
        assert (context.xp, context.dtype) == (numpy_namespace, OPTIONS.dtype)
        assert (context.dt, context.batch) == (0.002, (3,))
        batched = tuple(not fixed.issuperset(view.sources) for view in block.operands)
        assert context.batched == batched
        seen.update(batched)
    assert seen == {True, False}


def test_where_the_builder_of_a_type_is_missing_the_registry_says_so(program: Program) -> None:
    poor, block = get_registry("numpy"), neurons_of(program)
    assert get_registry("numpy", [Plugin()]).runs(block)
    assert not poor.runs(block)
    assert not poor.serves(program)
    with pytest.raises(BuildError, match=r"'numpy' has no builder for Halved.*nengograd_neurons"):
        poor.implementation(program, block, OPTIONS, numpy_namespace)


def test_where_the_builder_of_an_operator_is_missing_the_registry_says_so(
    program: Program,
) -> None:
    registry, block = get_registry("numpy", [Plugin()]), neurons_of(program)
    del registry.operators[block.kind]
    assert not registry.runs(block)
    with pytest.raises(BuildError, match=r"no builder for SimNeurons.*nengograd_operators"):
        registry.implementation(program, block, OPTIONS, numpy_namespace)
