"""What a backend of a plugin does wrong names the backend, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, SimulationError

import nengograd
from nengograd import hookimpl
from nengograd.plugin import Backend, BackendInfo, Executable
from nengograd_numpy.backend import NumpyBackend, NumpyExecutable


def run(load: Callable[[], Any], minibatch_size: int | None = None) -> Any:
    """Run a network on a backend."""

    class Mine:
        @hookimpl
        def nengograd_backends(self) -> Any:
            return {"mine": BackendInfo(load)}

    with nengo.Network() as net:
        node = nengo.Node([1.0, 2.0])
        probes = [nengo.Probe(node), nengo.Probe(node[:1])]
    options = {"minibatch_size": minibatch_size, "progress_bar": False}
    with nengograd.Simulator(net, backend="mine", plugins=[Mine()], **options) as sim:
        sim.run_steps(3)
        sim.run_steps(2)
        return [sim.data[probe] for probe in probes]


def compiling(compile: Callable[..., Any]) -> Callable[[], Any]:
    """A backend that compiles in another way."""
    return type("Mine", (NumpyBackend,), {"name": "mine", "compile": compile})


class NoCompile(Backend):
    name = "mine"

    def devices(self) -> list[str]:
        return ["/cpu:0"]


class NoRun(Executable):
    def __init__(self, program: Any, registry: Any, options: Any):
        self.program, self.options = program, options

    def make_state(self, arrays: Any) -> Any:
        return dict(arrays)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (lambda: None, ["`load` in the BackendInfo of 'mine'", "nengograd.plugin.Backend", "None"]),
        (lambda: NumpyBackend, ["`load`", "the class NumpyBackend: make an instance"]),
        (lambda: 3, ["`load`", "it returned a int"]),
        (NoCompile, ["backend 'mine' is not complete", "NoCompile", "method compile"]),
        (
            compiling(lambda *_: None),
            ["`compile`", "'mine'", "nengograd.plugin.Executable", "None"],
        ),
        (compiling(lambda *_: NumpyExecutable), ["`compile`", "the class NumpyExecutable"]),
        (
            compiling(lambda self, *given: NoRun(*given)),
            ["backend 'mine' is not complete", "NoRun", "read, run, set_parameters"],
        ),
    ],
)
def test_what_is_no_backend_is_told_what_is_needed(load: Any, words: list[str]) -> None:
    with pytest.raises(BuildError) as caught:
        run(load)
    for word in words:
        assert word in str(caught.value)


def test_another_error_of_a_backend_comes_as_it_is() -> None:
    def fails(*_: Any) -> Any:
        raise TypeError("no such tensor")

    with pytest.raises(TypeError, match="no such tensor"):
        run(compiling(fails))


def returning(change: Callable[[Any, list[Any]], Any]) -> Callable[[], Any]:
    """A backend whose runs return something else."""

    class Changed(NumpyExecutable):
        def run(self, *arguments: Any) -> Any:
            return change(*super().run(*arguments))

    return compiling(lambda self, *given: Changed(*given))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state, records: state, "has to return a pair, .* it returned a ndarray"),
        (lambda state, records: (state, records[:1]), "for each of 2 outputs .* it returned 1"),
        (lambda state, records: (state, None), "for each of 2 outputs .* it returned NoneType"),
        (
            lambda state, records: (state, [x[:-1] for x in records]),
            r"output 0 of shape \(2, 4, 2\); after 3 steps \(3, 4, 2\) is needed",
        ),
        (
            lambda state, records: (state, [records[0], records[1][:, 0]]),
            r"output 1 of shape \(3, 1\); after 3 steps \(3, 4, 1\) is needed",
        ),
        (
            lambda state, records: (state, [x.tolist() for x in records]),
            r"output 0 of shape None; after 3 steps \(3, 4, 2\)",
        ),
    ],
)
def test_a_run_that_returns_too_little_is_told_what_is_needed(change: Any, words: str) -> None:
    with pytest.raises(SimulationError, match=f"`run` of Changed .*{words}"):
        run(returning(change), minibatch_size=4)


def test_a_run_that_returns_all_goes_on() -> None:
    first, second = run(returning(lambda *both: both))
    np.testing.assert_array_equal(first, np.tile([1.0, 2.0], (5, 1)))
    np.testing.assert_array_equal(second, np.ones((5, 1)))
