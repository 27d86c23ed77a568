"""Each argument of each public function has a rule, and what breaks it is one sentence."""

from __future__ import annotations

import argparse
import inspect
import pickle
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengograd
import nengograd.cli
from nengograd import callbacks, diagram, losses, plot, profile, testing
from nengograd.arguments import rules
from nengograd.arguments.table import TABLE
from nengograd.plugin import LayerCall, ModelGraph, ModelInput, ModelReader

# -- what is public


def methods(cls: type) -> Iterator[tuple[str, Callable]]:
    """The methods of a class that no class of Nengo's calls or has."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("nengograd.")]
    theirs = [base for base in cls.__mro__ if base not in ours and base is not object]
    for name, member in ((n, m) for base in ours for n, m in vars(base).items()):
        is_public = name == "__call__" or (inspect.isfunction(member) and not name.startswith("_"))
        if is_public and not any(hasattr(base, name) for base in theirs):
            yield name, member


def public() -> dict[str, Callable]:
    """Each public function, method and constructor, under the name that the table gives it."""
    found: dict[str, Callable] = {}
    for prefix, module in (
        ("", nengograd),
        ("callbacks.", callbacks),
        ("losses.", losses),
        ("plot.", plot),
        ("diagram.", diagram),
        ("profile.", profile),
        ("testing.", testing),
    ):
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                found[prefix + name] = thing
            elif inspect.isclass(thing) and module in (nengograd, losses):
                found[prefix + name] = thing
                found.update({f"{prefix}{name}.{m}": method for m, method in methods(thing)})
    return found


def parameters(function: Callable) -> dict[str, inspect.Parameter]:
    """What a function takes, but for itself and for what it hands on."""
    handed_on = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    plain: Any = function.__init__ if inspect.isclass(function) else function
    given = inspect.signature(plain).parameters.items()
    return {k: p for k, p in given if k != "self" and p.kind not in handed_on}


PUBLIC = public()
COMMANDS = {name for name in TABLE if name.startswith("nengograd ")}


def test_each_public_function_stands_in_the_table() -> None:
    # The settings of a network come as **settings, and have their rows under this name.
    assert set(PUBLIC) == set(TABLE) - COMMANDS
    assert len(PUBLIC) > 40


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - {"configure_settings"}))
def test_each_argument_of_a_function_has_a_rule(name: str) -> None:
    assert set(parameters(PUBLIC[name])) == set(TABLE[name])


def test_each_setting_has_a_rule() -> None:
    with nengo.Network(), pytest.raises(ValidationError) as error:
        nengograd.configure_settings(nonsense=True)
    known = str(error.value).split("there are ")[1].split(", ")
    assert set(known) == set(TABLE["configure_settings"])


def test_each_option_of_each_command_has_a_rule() -> None:
    (commands,) = [
        action
        for action in nengograd.cli._parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    found = {
        f"nengograd {name}": {a.dest for a in parser._actions} - {"help"}
        for name, parser in commands.choices.items()
    }
    assert found == {name: set(TABLE[name]) for name in COMMANDS}


# -- what is wrong by a rule

NOT_NUMBERS: list[Any] = [True, "1", "x", None, [1], 1j, np.array([1.0]), object(), b"1"]
NOT_FINITE: list[Any] = [np.nan, np.inf, -np.inf, np.float32("nan"), 10**400]
NOT_TEXT: list[Any] = [5, True, b"x", ["x"], object(), None]
NOT_FLAGS: list[Any] = ["no", "yes", "", 0, 1, 1.0, None, [], object()]
NOT_DICTS: list[Any] = [5, "abc", [1], {1}, None, np.zeros(3)]
NOT_OBJECTS: list[Any] = [5, "x", object(), None, [1, 2], nengo.Network, nengo.LIF]
NOT_COUNTS: list[Any] = [0, -1, 1.5, *NOT_NUMBERS, *NOT_FINITE[:4]]

WRONG: dict[rules.Rule, list[Any]] = {
    rules.NUMBER: [*NOT_NUMBERS, *NOT_FINITE],
    rules.POSITIVE: [0, 0.0, -1, *NOT_NUMBERS, *NOT_FINITE],
    rules.NOT_NEGATIVE: [-1, -1e-300, *NOT_NUMBERS, *NOT_FINITE],
    rules.PERIOD: [0, -0.001, -1, *NOT_NUMBERS, *NOT_FINITE],
    rules.DURATION: [-0.001, -1, *NOT_NUMBERS, *NOT_FINITE],
    rules.INTEGER: [1.5, 1.0, *NOT_NUMBERS, *NOT_FINITE[:4]],
    rules.COUNT: [2.0, *NOT_COUNTS],
    rules.WHOLE: [-1, 2.0, 1.5, *NOT_NUMBERS, *NOT_FINITE[:4]],
    rules.STEPS: NOT_COUNTS,
    rules.SEED: [-1, 2**32, 1.5, 1.0, *NOT_NUMBERS, *NOT_FINITE],
    rules.TEXT: NOT_TEXT,
    rules.FLAG: NOT_FLAGS,
    rules.PATH: [5, True, "", "a\0b", b"x", ["x"], object(), None],
    rules.FOLDER: [5, True, "", "a\0b", b"x", ["x"], object(), None],
    rules.FLAG_OR_PATH: [5, 0, "", "a\0b", b"x", ["x"], object(), None],
    rules.DTYPE: ["float16", "int32", "x", "", 0, False, 32, int, complex, object()],
    rules.SHAPE: ["x", 0, -1, (), (0,), (1, -2), (1.5,), ("a",), True, 2.5, {"a"}, object()],
    rules.TRANSFORM: ["x", "1", [[1], [1, 2]], object(), {"a": 1}, 1j],
    rules.DIRECTION: ["x", None, 1.5, [np.nan], [1j], object(), True],
    rules.MAPPING: NOT_DICTS,
    rules.BY_NODE: NOT_DICTS,
    rules.BY_PROBE: NOT_DICTS,
    rules.FUNCTION: [5, "x", None, [1], nengo.LIF, object()],
    rules.LAYER: [5, "x", None, [1], nengo.LIF, object],
    rules.OBJECTIVE: [5, None, [1], np.zeros(3), True],
    rules.OPTIMIZER: [5, None, 0.1, True, [1], {"lr": 1}, b"sgd"],
    rules.CALLBACKS: [5, "x", {"a": 1}, True, np.zeros(3)],
    rules.PAIR: [5, "ab", ({},), ({}, {}, {}), ({}, 5), {"a": 1, "b": 2}],
    rules.WHOLE: [-1, 2.0, 1.5, *NOT_NUMBERS, *NOT_FINITE[:4]],
    rules.SHARE: [-0.1, 1, 1.5, *NOT_NUMBERS, *NOT_FINITE],
    rules.ARRAYS: [5, "x", b"x", True, 1.5, nengo.Node, object()],
    rules.LOSSES: [5, None, np.zeros(3), True, object()],
    rules.VERBOSE: ["loud", -1, 3, 1.0, None, object(), [0]],
    rules.ORDER: ["nonsense", 0, -1, np.nan, None, [1], True, object()],
    rules.STATEFUL: ["nonsense", 5, 1, 0, None, ["epochs"], object()],
    rules.STATE: [5, "x", None, object(), {"a": 1}],
    rules.LIST_OR_DICT: [5, "accuracy", True, object(), {"a"}],
    rules.WEIGHTS: [5, "x", ["a"], [np.nan], {"a": "b"}, object(), True],
    rules.BY_CLASS: [5, "x", [1.0], {"a": 1.0}, {0: "b"}, {0: np.nan}, {0.5: 1.0}, object()],
    rules.SAMPLE_WEIGHTS: [5, "x", True, object(), {1}, 1.0],
    rules.PLUGINS: ["abc", 5, None, ["abc"], [5], {"a": 1}, True, b"abc", object()],
    rules.DEVICES: [5, True, b"x", [], [5], [None], {"a"}, object(), None],
    rules.NAMES: ["numpy", 5, [5], {"a"}, True],
    rules.BAR: ["yes", 0, 1, 5, [], object()],
    rules.SETTING: ["yes", 0, 1, [], object()],
    rules.SURROGATE: ["nope", 3, "", [], object(), nengo.LIF, True],
    rules.NETWORK: NOT_OBJECTS,
    rules.MODEL: NOT_OBJECTS,
    rules.PROBE: NOT_OBJECTS,
    rules.PROBES: [5, "x", [1, 2], [None], object()],
    rules.PROBE_OR_PROBES: [5, "x", [1, 2], [None], object()],
    rules.ENSEMBLE: NOT_OBJECTS,
    rules.PARTS: [5, "x", object(), [1, 2], nengo.Network, {"a": 1}, [None]],
    rules.NEURONS_OR_FACTORY: NOT_OBJECTS,
    rules.PROCESS: [*NOT_OBJECTS, nengo.Lowpass],
    rules.OPERATOR: [5, "x", None, nengo.LIF, object()],
    rules.SOURCE: [5, "x", None, [1, 2], nengo.Node, object()],
    rules.SYNAPSES: ["x", -1, np.nan, np.inf, True, [1], nengo.Lowpass, object()],
    rules.RATES: ["x", 0, -1, np.nan, np.inf, True, [1], nengograd.RateTarget, object()],
    rules.PERCENTILE: [-1, 100.5, *NOT_NUMBERS, *NOT_FINITE],
    rules.SYNAPSE: ["x", -1, np.nan, np.inf, True, [1], nengo.Lowpass, object()],
    rules.SIMULATOR: [5, "x", None, nengograd.Simulator, object()],
    rules.PROGRAM: [5, "x", None, object(), nengo.Network],
    rules.PROFILED: [5, "x", None, object(), True],
    rules.PROFILES: ["nonsense", 5, [5]],
    rules.AXES: [5, "x", object(), True],
}


def of(rule: rules.Rule) -> list[Any]:
    """What breaks a rule, which may be one that allows None, too."""
    if rule.what.startswith("one of '") or rule.what.startswith("one of None"):
        return ["nonsense", 5, True, ["rate"], ""]
    for known, wrong in WRONG.items():
        if rule is known:
            return wrong
        if rule in (rules.optional(known), rules.or_default(rules.optional(known))):
            return [value for value in wrong if value is not None]
    raise AssertionError(f"say what breaks {rule.what!r}")


CASES = [
    (name, argument)
    for name in sorted(PUBLIC)
    for argument, rule in TABLE[name].items()
    if rule is not rules.ANYTHING
]


@pytest.fixture(scope="module")
def sim() -> Iterator[nengograd.Simulator]:
    with nengo.Network(seed=1) as net:
        node = nengo.Node([0.5])
        ens = nengo.Ensemble(5, 1)
        nengo.Connection(node, ens)
        nengo.Probe(ens)
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as made:
        made.run_steps(3)
        yield made


class Twice:
    """The layer of the model."""


class Doubled:
    """A model of a library that only this module knows: one number, twice."""


class Doubling:
    """A plugin that reads it."""

    class Reader(ModelReader):
        def read(self, model: Any, inference_only: bool) -> ModelGraph:
            call = LayerCall(
                "twice", Twice(), ("x",), ("y",), ((1,),), lambda given: [2 * given[0]]
            )
            return ModelGraph("doubled", (ModelInput("x", "x", (1,)),), (call,), ("y",))

        def tensor_function(self, call: LayerCall, shapes: Any) -> Any:
            raise AssertionError("a connection does it")

    @nengograd.hookimpl
    def nengograd_converters(self) -> Any:
        def twice(layer: Any, inputs: list[Any], to: Any) -> Any:
            return to.weighted([(inputs[0], 2.0)], (1,))

        return {Doubled: self.Reader(), Twice: twice}


class Anywhere(dict):
    """Right arguments for each function, to put one wrong one among."""

    def __init__(self, sim: nengograd.Simulator):
        net = sim.model.toplevel
        data = {"inputs": {}, "targets": {net.probes[0]: np.zeros((1, 1, 1))}}
        super().__init__(
            {
                "Simulator": {"network": net, "backend": "numpy"},
                "Simulator.run": {"time_in_seconds": 0.001},
                "Simulator.run_steps": {"steps": 1},
                "Simulator.train": {**data, "optimizer": "sgd"},
                "Simulator.loss": data,
                "Simulator.save_params": {"path": "unwritten"},
                "Simulator.load_params": {"path": "unwritten"},
                "Simulator.set_state": {"state": sim.state},
                "SimulationState": vars(sim.state),
                "TensorNode": {"tensor_func": np.sin},
                "Layer": {"layer_func": nengo.LIF()},
                "Layer.__call__": {"input": net.nodes[0]},
                "arguments_of": {"sim": sim, "objects": net.ensembles[0]},
                "renamed": {"data": {}, "inputs": {}},
                "freeze": {"sim": sim},
                "convert": {"model": Doubled(), "plugins": [Doubling()]},
                "RateTarget": {"rate": 100, "data": [0.0]},
                "Converted.feeds": {"inputs": np.zeros((2, 1))},
                "Converted.report": {"inputs": np.zeros((2, 1))},
                "to_network": {"sim": sim},
                "callbacks.histograms": {"log_dir": "unwritten", "sim": sim, "objects": []},
                "plot.traces": {"sim": sim, "probe": net.probes[0]},
                "plot.raster": {"sim": sim, "probe": net.probes[0]},
                "plot.overview": {"sim": sim},
                "plot.loss": {"history": {"loss": [1.0]}},
                "plot.tuning_curves": {"sim": sim, "ensemble": net.ensembles[0]},
                "plot.benchmark_bars": {"ratios": {"a": {"b": 1.0}}},
                "plot.check_file": {"path": "a.svg"},
                "diagram.draw": {"program": sim.program},
                "profile.load_profile": {"path": "unwritten"},
                "profile.save_profile": {"profile": None, "path": "unwritten"},
                "profile.table": {"profile": None},
                "profile.comparison": {"old": None, "new": None},
                "testing.check_neuron": {"neuron": nengo.LIF()},
                "testing.check_process": {"process": nengo.Lowpass(0.1)},
                "testing.check_source": {"process": nengo.processes.WhiteNoise()},
                "testing.check_operator": {
                    "operator": nengo.builder.operator.Copy,
                    "make_network": lambda: net,
                },
                "testing.check_pass": {"rewrite": lambda graph: None, "make_network": lambda: net},
                "testing.check_backend": {"name": "numpy"},
            }
        )


class StandInProfile:
    """Where another argument of the same call is what is wrong."""

    whole = explained = 1.0
    builders: tuple = ()


def call(sim: nengograd.Simulator, name: str, argument: str, value: Any) -> None:
    given = dict(Anywhere(sim).get(name, {}))
    if name.startswith("profile."):
        given = {k: StandInProfile() if v is None else v for k, v in given.items()}
    given[argument] = value
    if name.startswith("Simulator."):
        getattr(sim, name.split(".")[1])(**given)
    elif name.startswith("SimulationState."):
        getattr(sim.state, name.split(".")[1])(**given)
    elif name.startswith("Converted."):
        converted = nengograd.convert(Doubled(), plugins=[Doubling()])
        getattr(converted, name.split(".")[1])(**given)
    elif name == "Layer.__call__":
        with sim.model.toplevel:
            nengograd.Layer(nengo.LIF())(**given)
    else:
        with nengo.Network():
            PUBLIC[name](**given)


def snapshot(sim: nengograd.Simulator) -> bytes:
    """All that a call could have changed."""
    state = sim.__getstate__()
    network = sim.model.toplevel
    objects = [str(x) for x in network.all_objects]
    return pickle.dumps([{k: v for k, v in state.items() if k != "model"}, objects])


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_what_is_wrong_is_one_sentence_and_changes_nothing(
    sim: nengograd.Simulator,
    name: str,
    argument: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = snapshot(sim)
    rule = TABLE[name][argument]
    for value in of(rule):
        with pytest.raises(ValidationError) as error:
            call(sim, name, argument, value)
        message = str(error.value)
        assert message.startswith(f"{argument}: {name} needs {rule.what}, not ")
        assert "\n" not in message
        assert len(message) < 400
    assert snapshot(sim) == before
    assert not list(tmp_path.iterdir())


# -- what is right


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (rules.PERIOD, np.float32(0.001)),
        (rules.PERIOD, np.array(0.001)),
        (rules.DURATION, 0),
        (rules.DURATION, np.int64(3)),
        (rules.STEPS, 10.0),
        (rules.STEPS, np.float64(3)),
        (rules.COUNT, np.int32(2)),
        (rules.SEED, 0),
        (rules.SEED, 2**32 - 1),
        (rules.SEED, np.uint32(7)),
        (rules.FLAG, np.True_),
        (rules.PATH, Path("a")),
        (rules.DTYPE, np.dtype("float32")),
        (rules.DTYPE, "float64"),
        (rules.DTYPE, np.float64),
        (rules.DTYPE, float),
        (rules.DTYPE, types.SimpleNamespace(as_numpy_dtype=np.float32)),
        (rules.SHAPE, 3),
        (rules.SHAPE, [2, np.int64(3)]),
        (rules.PLUGINS, (types.ModuleType("plugin"),)),
        (rules.PLUGINS, [object()]),
        (rules.OBJECTIVE, lambda output, target: 0),
        (rules.CALLBACKS, ()),
        (rules.CALLBACKS, None),
        (rules.CALLBACKS, object()),
        (rules.TRANSFORM, nengo.Dense((1, 1))),
        (rules.TRANSFORM, [[1.0, 2.0]]),
        (rules.SYNAPSE, 0),
        (rules.SYNAPSE, nengo.Alpha(0.1)),
        (rules.SURROGATE, "triangle"),
        (rules.SURROGATE, lambda xp, rate, J: J),
        (rules.BAR, nengo.utils.progress.TerminalProgressBar()),
        (rules.BAR, None),
    ],
)
def test_what_people_pass_is_right(rule: rules.Rule, value: Any) -> None:
    assert rule.accepts(value)


def test_what_a_connection_may_begin_at_is_right_for_a_layer() -> None:
    with nengo.Network():
        ens, node = nengo.Ensemble(4, 2), nengo.Node([0.0, 1.0])
        for source in (ens, ens[0], ens.neurons, ens.neurons[:2], node, node[1]):
            layer, connection = nengograd.Layer(nengo.LIF())(source, return_conn=True)
            assert layer.size_in == source.size_out
            assert connection.pre == source


def test_a_value_without_a_usable_repr_is_named_by_its_type() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(ValidationError, match="not a Odd"):
        nengograd.Simulator(Odd())


def test_defaults_are_right_by_their_own_rules() -> None:
    for name, function in PUBLIC.items():
        for parameter in parameters(function).values():
            if parameter.default is not inspect.Parameter.empty:
                assert TABLE[name][parameter.name].accepts(parameter.default), (name, parameter)
