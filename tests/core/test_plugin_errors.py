"""What a plugin does wrong while a model is assembled or run names the plugin and the cure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.builder import Operator
from nengo.builder.operator import Copy
from nengo.exceptions import BuildError, NengoWarning

import nengograd
from conftest import able
from nengograd import hookimpl
from nengograd.builtin.neurons import LIFBuilder
from nengograd.builtin.processes import LinearFilterBuilder
from nengograd.plugin import OperatorBuilder, ProcessBuilder


def plugin(**hooks: Any) -> Any:
    """A plugin with neurons, processes, rules or passes."""

    class Mistaken:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return hooks.get("neurons")

        @hookimpl
        def nengograd_processes(self, backend: str) -> Any:
            return hooks.get("processes")

        @hookimpl
        def nengograd_lowering(self) -> Any:
            return hooks.get("lowering")

        @hookimpl
        def nengograd_operators(self) -> Any:
            return hooks.get("operators")

        @hookimpl
        def nengograd_passes(self) -> Any:
            return hooks.get("passes")

    return Mistaken()


def run(backend: str = "numpy", **hooks: Any) -> None:
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [t, -t])
        ens = nengo.Ensemble(10, 2)
        nengo.Connection(drive, ens, synapse=nengo.Lowpass(0.01))
        nengo.Probe(ens.neurons)
    with nengograd.Simulator(
        net, backend=backend, plugins=[plugin(**hooks)], progress_bar=False, minibatch_size=3
    ) as sim:
        sim.run_steps(2)


def boom(*_: Any) -> Any:
    raise KeyError("boom")


def cells(**methods: Any) -> dict[str, Any]:
    """A neuron builder with some methods replaced."""
    return {"neurons": {nengo.LIF: type("Cells", (LIFBuilder,), methods)()}}


def filters(**methods: Any) -> dict[str, Any]:
    """A process builder with some methods replaced."""
    return {"processes": {nengo.Lowpass: type("Filters", (LinearFilterBuilder,), methods)()}}


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (cells(accepts=boom), ["Cells, the builder of LIF", "KeyError: 'boom'"]),
        (cells(key=boom), ["Cells, the builder of LIF", "KeyError: 'boom'"]),
        (cells(key=lambda self, neurons: [1]), ["Cells", "hashable"]),
        (cells(params=("tau_x",)), ["Cells, the builder of LIF", "no attribute 'tau_x'"]),
        (filters(key_and_params=boom), ["Filters, the builder of Lowpass", "KeyError: 'boom'"]),
        (filters(key_and_params=lambda *_: {"a": 1.0}), ["Filters", "a pair", "returned a dict"]),
        (filters(key_and_params=lambda *_: ([1], {})), ["Filters", "hashable"]),
        (filters(rows=lambda *_: 2), ["Filters", "'X' has 2 rows", "it has 2 elements"]),
        (filters(rows=lambda *_: None), ["Filters", "a whole number", "returned None"]),
        (filters(rows=lambda self, name: 1), ["Filters", "write rows(name, initial, shape)"]),
        (cells(key=lambda neurons: None), ["Cells", "'neurons', is the builder itself"]),
        ({"lowering": {Copy: boom}}, ["lowering rule of Copy", "KeyError: 'boom'"]),
        (
            {"lowering": {Copy: lambda op, to: None}},
            ["lowering rule of Copy", "has not written", ": call to.set(signal, view) for it"],
        ),
        ({"passes": {"11-mine": boom}}, ["graph pass '11-mine'", "KeyError: 'boom'"]),
    ],
    ids=lambda case: "" if isinstance(case, dict) else "-".join(case).replace(" ", "_"),
)
def test_what_fails_in_assembly_is_named_with_its_plugin(hooks: Any, words: list[str]) -> None:
    with pytest.raises(BuildError) as caught:
        run(**hooks)
    for word in ["plugin 'Mistaken #0'", *words]:
        assert word in str(caught.value)


def after(change: Callable[[Any, Any], Any], base: Any = LIFBuilder) -> Callable[..., Any]:
    """A step whose result is changed."""

    def step(self: Any, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return change(*base.step(self, xp, J, state, params, dt))

    return step


def process_after(change: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return after(change, LinearFilterBuilder)


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (cells(step=after(lambda out, state: out)), ["Cells", "a pair"]),
        (cells(step=lambda *_: None), ["Cells", "a pair", "None: is a return missing?"]),
        (cells(step=after(lambda out, s: (out, *s.values()))), ["a pair", "a tuple of 3, ("]),
        (cells(step=after(lambda out, s: (s, out))), ["a tuple of 2", "the output comes first"]),
        (cells(step=after(lambda out, s: (0.0, s))), ["a float as output 0", "xp.full_like"]),
        (cells(step=after(lambda out, state: (out, {}))), ["'voltage'", "missing"]),
        (
            cells(step=after(lambda out, s: (out, {**s, "voltage": s["voltage"][..., :1]}))),
            ["Cells", "the state 'voltage'", "(3, 1)", "(3, 10)"],
        ),
        (cells(step=after(lambda out, state: (out[0], state))), ["batch axis is lost"]),
        (cells(step=boom), ["Cells", "KeyError: 'boom'"]),
        (filters(step=process_after(lambda out, state: out)), ["Filters", "a pair"]),
        (filters(step=process_after(lambda out, state: (out, {}))), ["['X'] are missing"]),
        (
            filters(step=process_after(lambda out, state: (out, {"X": []}))),
            ["Filters", "'X'", "a list of 1 arrays, not a list of 0"],
        ),
        (filters(step=process_after(lambda out, s: (out, {"X": out}))), ["a list of 1 arrays"]),
    ],
    ids=lambda case: "" if isinstance(case, dict) else "-".join(case).replace(" ", "_"),
)
def test_what_a_step_returns_wrongly_is_named_with_its_plugin(
    backend: str, hooks: Any, words: list[str]
) -> None:
    with pytest.raises(BuildError) as caught:
        run(backend, **hooks)
    for word in ["plugin 'Mistaken #0'", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (cells(accepts=lambda self, neurons: False), ["Cells", "accepts has returned False"]),
        (cells(states=("voltage",)), ["['voltage']", "['refractory_time', 'voltage']"]),
        (cells(draw=staticmethod(lambda rng, n: np.zeros(n))), ["draw"]),
        (filters(key_and_params=lambda *_: None), ["Filters", "key_and_params has returned None"]),
    ],
    ids=["accepts", "states", "draw", "key_and_params"],
)
def test_a_builder_that_does_not_run_its_type_is_told_why(hooks: Any, words: list[str]) -> None:
    with pytest.warns(NengoWarning, match="runs on the host") as seen:
        run(**hooks)
    message = str(seen[0].message)
    for word in ["plugin 'Mistaken #0'", *words]:
        assert word in message


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (
            cells(params="amplitude"),
            r"Cells, whose params is .*has to be a tuple, \('amplitude',\)",
        ),
        (cells(states="voltage"), r"Cells, whose states is .*has to be a tuple, \('voltage',\)"),
        (filters(per_element="tau"), r"Filters, whose per_element is .*tuple, \('tau',\)"),
        (
            filters(draw=staticmethod(lambda rng, n: rng.normal(size=n))),
            r"ProcessBuilder has no draw; return None from key_and_params",
        ),
    ],
    ids=["params", "states", "per_element", "draw"],
)
def test_a_builder_with_an_attribute_that_cannot_be_is_left_out(hooks: Any, words: str) -> None:
    with pytest.warns(NengoWarning, match=f"plugin 'Mistaken #0'.*{words}"):
        run(**hooks)


def step(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A step of neurons whose output is ``function(xp, J)``."""
    return lambda self, xp, J, state, params, dt: (function(xp, J), state)


def branch(xp: Any, J: Any) -> Any:
    return J if J > 0 else 0.0 * J


def write(xp: Any, J: Any) -> Any:
    J[..., 0] = 0.0
    return J


ON_ALL, ON_TENSORFLOW = tuple(able()), ("tensorflow",)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    ("function", "backends", "advice"),
    [
        (branch, ON_ALL, "choose by xp.where, and combine conditions by `&`, `|` and `~`"),
        (write, ON_TENSORFLOW, "never changed in place"),
        (lambda xp, J: J - J.max(), ON_TENSORFLOW, "xp.max(J, axis=-1), not J.max()"),
        (lambda xp, J: xp.foo(J), ON_ALL, "xp has no 'foo'; it has abs, "),
        (lambda xp, J: np.clip(J, 0, 1), ON_TENSORFLOW, "NumPy's functions and NumPy arrays"),
    ],
    ids=["branch", "write", "method", "missing", "numpy"],
)
def test_advice_after_an_error_is_on_that_error(
    function: Any, backends: tuple[str, ...], advice: str
) -> None:
    for backend in backends:
        with pytest.raises(BuildError) as caught:
            run(backend, **cells(step=step(function)))
        assert advice in str(caught.value)
        assert "NumPy's functions" not in str(caught.value) or "NumPy's functions" in advice


def sums(out: Any, state: Any) -> Any:
    """One number for all neurons of an item, which keeps the batch axis."""
    return out.sum(axis=-1), state


def test_a_sum_over_the_elements_is_not_taken_for_one_over_the_batch() -> None:
    with pytest.raises(BuildError, match=r"shape \(3,\); \(3, 10\) .*axis of the elements is lost"):
        run(**cells(step=after(sums)))


@pytest.mark.parametrize(
    ("hooks", "advice"),
    [
        (
            cells(step=lambda self, xp, J, state, p: (J, state)),
            "write step(xp, J, state, params, dt)",
        ),
        (cells(step=lambda xp, J, s, p, dt: (J, s)), "first argument, 'xp', is the builder itself"),
        (
            filters(step=lambda self, xp, u, state, dt: (u, state)),
            "write step(xp, u, state, params",
        ),
        (filters(step=lambda self, xp, u, s, p, dt: (s["Y"], s)), "`state` has 'X'."),
        (cells(step=lambda self, xp, J, s, p, dt: (s["v"], s)), "'voltage' and 'refractory_time'"),
        (
            cells(step=lambda self, xp, J, s, p, dt: (self.tau * J, s)),
            "its attribute `params` names",
        ),
        (filters(step=lambda self, xp, u, s, p, dt: (self.tau * u, s)), "`key_and_params` returns"),
    ],
    ids=[
        "arguments",
        "no self",
        "of a process",
        "row",
        "state",
        "self",
        "self of a process",
    ],
)
def test_advice_names_what_a_method_is_given(backend: str, hooks: Any, advice: str) -> None:
    with pytest.raises(BuildError) as caught:
        run(backend, **hooks)
    assert advice in str(caught.value)
    assert "NumPy's functions" not in str(caught.value)


@pytest.mark.needs("jax")  # the others take lists for arrays
def test_the_rows_of_a_process_are_told_to_be_a_list(backend: str) -> None:
    with pytest.raises(BuildError, match=r"state\[name\] is a list of arrays"):
        run(backend, **filters(step=lambda self, xp, u, s, p, dt: (s["X"] - u, s)))


def test_an_error_of_plain_python_has_no_advice_on_arrays() -> None:
    with pytest.raises(BuildError) as caught:
        run(**cells(step=lambda *_: 1 / 0))
    assert str(caught.value).endswith("ZeroDivisionError: division by zero")


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("gradient", ["rate", "surrogate"])
@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (lambda self, xp, J, params, dt: 100.0, "returned a float; .*full_like"),
        (lambda self, xp, J, params, dt: xp.sum(J, axis=-1), r"shape \(2,\) .* of shape \(2, 10\)"),
        (lambda self, xp, J, params, dt: xp.sum(J, axis=-1, keepdims=True), r"shape \(2, 1\)"),
        (lambda self, xp, J, params, dt: (J, {}), "returned a tuple of 2"),
        (
            lambda self, xp, J, params: J,
            r"rate of Cells cannot be .*write rate\(xp, J, params, dt",
        ),
        (100.0, r"rate of Cells is 100.0; a function rate\(xp, J, params, dt\) is needed"),
    ],
    ids=["float", "sum", "keepdims", "tuple", "arguments", "number"],
)
def test_a_rate_of_another_shape_is_told_so(
    backend: str, gradient: str, rate: Any, words: str
) -> None:
    with nengo.Network(seed=0) as net:
        nengograd.configure_settings(spike_gradient=gradient)
        drive = nengo.Node([0.0])
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(drive, ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
    made = plugin(**cells(rate=rate))
    with (
        nengograd.Simulator(
            net, backend=backend, plugins=[made], minibatch_size=2, progress_bar=False
        ) as sim,
        pytest.raises(BuildError, match=rf"(?s)^Cells, the builder of LIF x1 .*{words}"),
    ):
        sim.train({drive: np.zeros((2, 1, 1))}, {probe: np.zeros((2, 1, 10))}, "sgd")


def test_a_parameter_that_is_not_named_is_told_where_to_name_it() -> None:
    with pytest.raises(BuildError, match=r"params has what the builder names in its attribute"):
        run(**cells(step=lambda self, xp, J, state, params, dt: (params.softness * J, state)))


def test_a_parameter_that_a_process_lacks_is_told_where_it_comes_from() -> None:
    def wrong(self: Any, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        return params.softness * u, state

    with pytest.raises(BuildError, match=r"params has what the builder's `key_and_params` returns"):
        run(**filters(step=wrong))


@pytest.mark.parametrize(
    ("hooks", "remedy"),
    [
        (
            cells(step=after(lambda out, s: (out * np.ones(10), s))),
            r"so does xp.astype\(x, J.dtype",
        ),
        (
            filters(step=process_after(lambda out, s: (out * np.ones(2), s))),
            r"so does xp.astype\(x, u.dtype",
        ),
    ],
    ids=["neurons", "processes"],
)
def test_another_dtype_is_told_with_what_the_builder_has(hooks: Any, remedy: str) -> None:
    with pytest.raises(BuildError, match=f"in float64; the simulation is in float32.*{remedy}"):
        run(**hooks)


class Echo(nengo.Process):
    """Adds up the last inputs, each with a weight of its own; as many as there are weights."""

    def __init__(self, weights: Any):
        super().__init__()
        self.weights = weights

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"past": np.zeros((len(self.weights), *shape_out))}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        past, weights = state["past"], np.asarray(self.weights)

        def step(t: float, u: Any) -> Any:
            past[...] = np.array([u, *past[:-1]])
            return weights @ past

        return step


class EchoBuilder(ProcessBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"weights": np.asarray(process.weights)}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return len(initial)

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        past = [u, *state["past"][:-1]]
        return sum(float(w) * x for w, x in zip(params.weights, past, strict=True)), {"past": past}


def echoes(builder: Any) -> list[str]:
    """Run processes of different length; the blocks that they have become."""
    with nengo.Network(seed=0) as net:
        drive = nengo.Node(lambda t: [t, 1 - t, t * t])
        for weights in ([1.0, 2.0], [3.0, 2.0, 1.0], [1.0, 2.0]):
            echo = nengo.Node(Echo(weights), size_in=3, size_out=3)
            nengo.Connection(drive, echo, synapse=None)
            nengo.Probe(echo)
    options = {"backend": "numpy", "dtype": "float64", "progress_bar": False}
    with nengo.Simulator(net, progress_bar=False) as theirs:
        theirs.run_steps(10)
    made = plugin(processes={Echo: builder})
    with nengograd.Simulator(net, plugins=[made], **options) as sim:
        sim.run_steps(10)
        for probe in net.probes:
            np.testing.assert_allclose(sim.data[probe], theirs.data[probe])
        return [block.label for block in sim.program.blocks]


def test_processes_whose_arrays_have_different_lengths_run_and_those_of_one_length_merge() -> None:
    assert sorted(echoes(EchoBuilder())) == ["Echo x1", "Echo x2"]


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"per_element": ("weights",)}, ["'weights' has the shape (2,)", "for each of the 3"]),
        ({"output_row": lambda self, key: ("past", 2)}, ["output_row says that row 2", "has 2"]),
    ],
    ids=["per_element", "output_row"],
)
def test_a_process_whose_arrays_do_not_fit_is_told_which(attributes: Any, words: list[str]) -> None:
    builder = type("Echoes", (EchoBuilder,), attributes)()
    with pytest.raises(BuildError) as caught:
        echoes(builder)
    for word in ["Echoes, the builder of Echo (plugin 'Mistaken #0'", *words]:
        assert word in str(caught.value)


class SumOfAll(OperatorBuilder):
    def build(self, block: Any, ctx: Any) -> Any:
        return lambda *terms: [sum(terms[1:], terms[0])]


def test_operators_of_one_key_and_different_numbers_of_operands_run_apart() -> None:
    class Added:
        """A kind of operator of the graph."""

    def rule(op: Any, to: Any) -> None:
        half = to.read(op.src)
        terms = [half] * (2 if op.src.size == 2 else 3)
        (out,) = to.add(Added, None, terms, [op.src.size], mixes=True)
        to.inc(op.dst, out) if op.inc else to.set(op.dst, out)

    class Plugin:
        @hookimpl
        def nengograd_lowering(self) -> Any:
            return {Copy: rule}

        @hookimpl
        def nengograd_operators(self, backend: str) -> Any:
            return {Added: SumOfAll()}

    with nengo.Network() as net:
        for size in (2, 3):
            drive, target = nengo.Node(np.arange(size) + 1.0), nengo.Node(size_in=size)
            nengo.Connection(
                drive, target, synapse=None, transform=nengo.transforms.NoTransform(size)
            )
            nengo.Probe(target)
    with nengograd.Simulator(net, backend="numpy", plugins=[Plugin()], progress_bar=False) as sim:
        sim.run_steps(1)
        assert sorted(b.label for b in sim.program.blocks) == ["Added x1", "Added x1"]
        assert [sim.data[p][0].tolist() for p in net.probes] == [[2.0, 4.0], [3.0, 6.0, 9.0]]


class Negate(Operator):
    """What it computes is a builder's."""


def negation(build: Any) -> dict[str, Any]:
    """Hooks that run copies of signals by a builder."""

    class Negation(OperatorBuilder):
        pass

    Negation.build = build
    Negation.__abstractmethods__ = frozenset()

    def lower(op: Any, to: Any) -> None:
        (output,) = to.add(Negate, operands=[to.read(op.reads[0])], sizes=[op.reads[0].size])
        (to.inc if op.incs else to.set)((op.incs or op.sets)[0], output)

    return {"lowering": {Copy: lower}, "operators": {Negate: Negation()}}


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (
            negation(lambda self, block, ctx: None),
            [
                "Negation, the builder",
                "`build`, which takes an array for each of 1 operands",
                "None",
            ],
        ),
        (
            negation(lambda self, block, ctx: lambda: []),
            ["Negation, the builder", "called with an array for each operand: 1 here."],
        ),
        (
            cells(step=lambda self, xp, J, state: (J, state)),
            ["Cells", "cannot be called as step(xp, J, state, params, dt)"],
        ),
        (
            filters(step=lambda self, u: u),
            ["Filters", "cannot be called as step(xp, u, state, params, dt)"],
        ),
    ],
    ids=["build", "operands", "neurons", "process"],
)
def test_a_function_that_takes_something_else_is_told_what_it_gets(
    backend: str, hooks: Any, words: list[str]
) -> None:
    with pytest.raises(BuildError) as caught:
        run(backend, **hooks)
    for word in ["plugin 'Mistaken #0'", *words]:
        assert word in str(caught.value)
    assert "NumPy's functions" not in str(caught.value)


def test_an_argument_that_is_wrong_inside_of_a_step_is_no_matter_of_how_it_is_called() -> None:
    with pytest.raises(BuildError) as caught:
        run(**cells(step=lambda self, xp, J, state, params, dt: (xp.abs(J, J, J), state)))
    assert "called as" not in str(caught.value)
