"""Programs are equal if they hold the same data, and files hold all of it."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengograd
from core.tools import build
from nengograd.assembly.assemble import assemble
from nengograd.assembly.trained import Training
from nengograd.plugin import (
    NeuronBuilder,
    OperatorBuilder,
    ProcessBuilder,
    Program,
    load_program,
    save_program,
)
from nengograd.plugin.manager import get_registry
from nengograd.program.explain import explain
from nengograd.training.surrogates import stand_ins


def wave(t: float) -> float:
    return float(np.sin(t))


def other_wave(t: float) -> float:
    return float(np.sin(t))


def squared(t: float, x: Any) -> Any:
    return x**2


def network(
    function: Callable[[float], float] = wave,
    tau: float = 0.01,
    rate: float = 1e-4,
    high: float = 5.0,
    neurons: type = nengo.LIF,
    bias: float = 0.5,
    host: Any = squared,
    kernel: int = 2,
) -> nengo.Network:
    """Something of each kind, made anew at each call."""
    with nengo.Network(seed=3) as net:
        source = nengo.Node(function)
        noise = nengo.Node(nengo.processes.WhiteSignal(1.0, high=high, seed=1))
        constant = nengo.Node([bias])
        on_host = nengo.Node(host, size_in=1)
        a = nengo.Ensemble(5, 1, neuron_type=neurons())
        b = nengo.Ensemble(5, 1, neuron_type=nengo.StochasticSpiking(nengo.RectifiedLinear()))
        for given in (source, noise, constant):
            nengo.Connection(given, a, synapse=None)
        learned = nengo.Connection(
            a, b, synapse=tau, learning_rule_type=nengo.PES(rate), function=np.square
        )
        nengo.Connection(b, learned.learning_rule)
        nengo.Connection(b, on_host)
        image = nengo.Node(size_in=5)
        transform = nengo.Convolution(1, (5, 1), kernel_size=(kernel,), strides=(1,))
        nengo.Connection(a.neurons, image[: transform.size_out], transform=transform)
        nengo.Probe(b)
        nengo.Probe(a.neurons, "voltage")
    return net


def program_of(net: nengo.Network, **training: Any) -> Program:
    model = build(net)
    return assemble(model, get_registry("numpy"), training=Training(**training))


def test_two_builds_of_a_network_make_equal_programs() -> None:
    assert program_of(network()) == program_of(network())


@pytest.mark.parametrize(
    "changes",
    [
        {"function": other_wave},
        {"tau": 0.02},
        {"rate": 2e-4},
        {"high": 6.0},
        {"neurons": nengo.AdaptiveLIF},
        {"bias": 0.25},
        {"host": lambda t, x: x**2},
        {"kernel": 3},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_networks_that_differ_in_one_thing_make_programs_that_differ(changes: Any) -> None:
    assert program_of(network(**changes)) != program_of(network())


def test_programs_differ_in_the_length_of_a_step_and_from_all_else() -> None:
    program = program_of(network())
    other = assemble(build(network(), dt=0.002), get_registry("numpy"))
    assert program != other
    assert program != "program"


def trained(surrogate: Any = "boxcar", gradient: str = "surrogate") -> Program:
    net = network()
    model = build(net)
    registry = get_registry("numpy")
    replaced = stand_ins(model, registry, gradient, surrogate)
    return assemble(model, registry, training=Training(frozenset(), replaced, differentiate=True))


def test_programs_for_training_differ_in_what_replaces_the_gradient_of_spikes() -> None:
    def own(xp: Any, rate: Any, J: Any) -> Any:
        return J

    found = [trained(), trained("gaussian"), trained(own), trained(gradient="rate")]
    for i, one in enumerate(found):
        assert [one == other for other in found] == [i == j for j in range(len(found))]
    assert found[0] == trained()
    assert found[2] == trained(own)


@pytest.mark.parametrize("make", [lambda: program_of(network()), trained], ids=["run", "train"])
def test_a_file_holds_all_of_a_program(tmp_path: Path, make: Callable[[], Program]) -> None:
    program = make()
    path = save_program(tmp_path / "step", program)
    assert path == tmp_path / "step.npz"
    loaded = load_program(tmp_path / "step")
    assert loaded == program
    assert str(loaded) == str(program)
    assert explain(loaded) == explain(program)
    assert load_program(save_program(tmp_path / "again", loaded)) == program
    assert loaded != program_of(network(tau=0.02))


def test_arrays_come_back_as_they_were_numbers_that_are_none_among_them(tmp_path: Path) -> None:
    program = program_of(network())
    array = next(a for a in program.arrays.values() if a.role == "constant")
    array.initial = np.array([np.nan, np.inf, -0.0, 1 / 3, 1e-310])[: array.size].astype(float)
    array.initial = np.resize(array.initial, array.size)
    program.blocks[0].ops[0].attrs["extra"] = (float("nan"), -float("inf"), 2 + 1j, b"\0x", 2**70)
    loaded = load_program(save_program(tmp_path / "a", program))
    assert loaded.arrays[array.id].initial.tobytes() == array.initial.tobytes()
    assert repr(loaded.blocks[0].ops[0].attrs["extra"]) == "(nan, -inf, (2+1j), b'\\x00x', " + (
        f"{2**70})"
    )
    assert loaded == program


PLUGIN = """
import nengo, numpy as np
from nengo.builder import Operator
from nengo.builder.signal import Signal
from nengograd.plugin import NeuronBuilder, OperatorBuilder, get_registry, hookimpl
from nengograd.assembly.assemble import assemble
from nengograd.program.files import save_program


class Soft(nengo.neurons.NeuronType):
    def step(self, dt, J, output):
        output[...] = J


class SoftBuilder(NeuronBuilder):
    def step(self, xp, J, state, params, dt):
        return J, {}


class Scale(Operator):
    def __init__(self, x, y):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [y], [], [x], []


class ScaleBuilder(OperatorBuilder):
    def build(self, block, ctx):
        return lambda x: [x]


class Plugin:
    @hookimpl
    def nengograd_neurons(self, backend):
        return {Soft: SoftBuilder()}

    @hookimpl
    def nengograd_operators(self, backend):
        return {Scale: ScaleBuilder()}

    @hookimpl
    def nengograd_lowering(self):
        def lower(op, to):
            (x,), (y,) = op.reads, op.sets
            to.set(y, to.add(Scale, None, [to.read(x)], [y.size], factor=[2.0], tool=Plugin())[0])
        return {Scale: lower}


with nengo.Network(seed=0) as net:
    a = nengo.Ensemble(4, 1, neuron_type=Soft(), gain=np.ones(4), bias=np.zeros(4))
    nengo.Probe(a.neurons)
model = nengo.builder.Model()
model.build(net)
x, y = Signal(np.ones(3), name="x"), Signal(np.zeros(3), name="y")
model.add_op(Scale(x, y))
model.add_op(nengo.builder.operator.Copy(y, Signal(np.zeros(3), name="z"), inc=True))
save_program("theirs", assemble(model, get_registry("numpy", [Plugin()]), simplify=False))
"""


def test_a_program_can_be_looked_at_without_the_plugin_it_was_made_with(tmp_path: Path) -> None:
    (tmp_path / "their_plugin.py").write_text(PLUGIN)
    code = "import their_plugin"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    program = load_program(tmp_path / "theirs.npz")
    assert "their_plugin" not in sys.modules
    ops = {block.ops[0].name: block.ops[0] for block in program.blocks}
    assert {"Soft", "Scale"} <= set(ops)
    assert f"{ops['Scale'].kind.__module__}.{ops['Scale'].kind.__name__}" == "their_plugin.Scale"
    assert ops["Scale"].attrs["factor"] == [2.0]
    assert repr(ops["Scale"].attrs["tool"]) == "<their_plugin.Plugin>"
    served = ops["Soft"].served
    assert served is not None
    assert served.kind.__module__ == "their_plugin"
    assert "Soft" in str(program)
    assert "Scale" in explain(program)


def reachable(root: Any) -> list[Any]:
    """All that an object leads to, but not through classes, functions' globals and modules."""
    found: dict[int, Any] = {}
    left = [root]
    while left:
        thing = left.pop()
        if id(thing) in found or isinstance(thing, (type, ModuleType, FunctionType)):
            continue
        found[id(thing)] = thing
        left += gc.get_referents(thing)
    return list(found.values())


@pytest.mark.parametrize("make", [lambda: program_of(network()), trained], ids=["run", "train"])
def test_no_builder_hangs_on_a_program(make: Callable[[], Program]) -> None:
    builders = (NeuronBuilder, OperatorBuilder, ProcessBuilder)
    assert not [x for x in reachable(make()) if isinstance(x, builders)]


class Noisy(nengo.RectifiedLinear):
    """A rectified line with noise in its current."""

    def make_state(self, n_neurons: int, rng: Any = np.random, dtype: Any = None) -> Any:
        state = super().make_state(n_neurons, rng=rng, dtype=dtype)
        return {**state, "rng": rng}

    def step(self, dt: float, J: Any, output: Any, rng: Any) -> None:
        output[...] = self.amplitude * np.maximum(J + 0.1 * rng.normal(size=J.shape), 0)


class NoisyBuilder(NeuronBuilder):
    """Draws by a method that needs the builder."""

    params = ("amplitude",)

    def __init__(self) -> None:
        self.scale = 0.1

    def draw(self, rng: Any, n: int) -> Any:
        return self.scale * rng.normal(size=n)

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return params.amplitude * xp.maximum(J + state["random"], 0.0), {}


class NoisyPlugin:
    @nengograd.hookimpl
    def nengograd_neurons(self, backend: str) -> Any:
        return {Noisy: NoisyBuilder()}


@pytest.mark.needs("numpy")
def test_how_neurons_draw_random_numbers_is_asked_of_their_builder_when_a_run_begins(
    make_sim: Callable[..., Any], tmp_path: Path
) -> None:
    with nengo.Network(seed=0) as net:
        probe = nengo.Probe(nengo.Ensemble(5, 1, neuron_type=Noisy()).neurons)
    sim = make_sim(net, dtype="float64", plugins=[NoisyPlugin()])
    assert not [x for x in reachable(sim.program) if isinstance(x, NeuronBuilder)]
    assert load_program(save_program(tmp_path / "noisy", sim.program)) == sim.program
    sim.run_steps(20)
    with nengo.Simulator(net, optimize=False, progress_bar=False) as reference:
        reference.run_steps(20)
    np.testing.assert_allclose(sim.data[probe], reference.data[probe], rtol=0, atol=1e-10)


# -- files that are none


def header_of(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        found: dict[str, Any] = json.loads(file["nengograd_program"].tobytes())
    return found


def rewrite(path: Path, header: Any) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    text = header if isinstance(header, str) else json.dumps(header)
    arrays["nengograd_program"] = np.frombuffer(text.encode(), np.uint8)
    np.savez(path, **arrays)


def test_other_files_are_refused_by_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="there is no file"):
        load_program(tmp_path / "none")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValidationError, match="no file of a program"):
        load_program(tmp_path / "other")
    (tmp_path / "text.npz").write_text("program")
    with pytest.raises(ValidationError, match=r"text\.npz"):
        load_program(tmp_path / "text.npz")
    path = save_program(tmp_path / "new", program_of(network()))
    rewrite(path, {**header_of(path), "version": 99})
    with pytest.raises(ValidationError, match="version 99"):
        load_program(path)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each part of some JSON stands."""
    if not isinstance(data, (dict, list)):
        return [path]
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    return [path, *(p for key, part in inner for p in places(part, (*path, key)))]


def test_a_changed_header_gives_one_kind_of_error_or_a_program_that_prints(
    tmp_path: Path,
) -> None:
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(3, 1), synapse=0.1)
    path = save_program(tmp_path / "a", program_of(net))
    text = json.dumps(header_of(path))
    rng = np.random.RandomState(0)
    spots = [p for p in places(json.loads(text)) if p]
    refused = 0
    for number in rng.choice(len(spots), 150):
        header = json.loads(text)
        place = header
        for key in spots[number][:-1]:
            place = place[key]
        place[spots[number][-1]] = [None, -1, 10**6, "x", [], {}, {"tuple": 3}][rng.randint(7)]
        rewrite(path, header)
        try:
            program = load_program(path)
        except ValidationError:
            refused += 1
        else:
            assert str(program)
            assert explain(program)
    assert refused > 50


def test_a_program_is_no_place_to_run_code_from(tmp_path: Path) -> None:
    path = save_program(tmp_path / "a", program_of(network()))
    text = json.dumps(header_of(path)).replace("nengo.builder.neurons.SimNeurons", "this.zen")
    rewrite(path, text)
    loaded = load_program(path)
    assert "this" not in sys.modules
    assert "zen" in {block.kind.__name__ for block in loaded.blocks}
