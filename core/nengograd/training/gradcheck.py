"""The gradients that training uses, compared with finite differences in float64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from nengo.exceptions import SimulationError
from numpy.typing import NDArray

from ..plugin.registry import Registry
from ..plugin.trainer import Trainer
from ..program.program import Program
from ..program.views import View
from ..run.runtime import Runtime
from .differences import Quantity, disagreements
from .gradient_paths import replaced_gradients, without_gradient
from .model import TrainableModel

__all__ = ["check_gradients"]

_SHIFT = 1e-3
"""By how much parameters are moved, relative to what they are, before gradients are checked."""


@dataclass(frozen=True)
class _Run:
    """A run that is differentiated.

    Attributes
    ----------
    trainer : Trainer
        Differentiates, in float64.
    arrays : mapping
        Parameter arrays, by id.
    inputs : (n_steps, minibatch, size) array
        The input array of the program.
    weights : mapping
        Weights of what the outputs record; see `Trainer.differentiate`.
    """

    trainer: Trainer
    arrays: Mapping[int, NDArray[Any]]
    inputs: NDArray[Any]
    weights: Mapping[int, NDArray[Any]]

    def gradients(self) -> tuple[dict[int, NDArray[Any]], NDArray[Any]]:
        """Gradients of the weighted sum with respect to parameter arrays and inputs."""
        return self.trainer.differentiate(self.arrays, self.inputs, self.weights)[1:]

    def with_parameter(self, view: View, direction: NDArray[Any]) -> float:
        """The weighted sum when something is added to a parameter."""
        moved = {i: x.copy() for i, x in self.arrays.items()}
        view.scatter(view.gather(moved) + direction, moved)
        return self.trainer.differentiate(moved, self.inputs, self.weights)[0]

    def with_input(self, place: slice, direction: NDArray[Any]) -> float:
        """The weighted sum when something is added to the output of a node."""
        moved = self.inputs.copy()
        moved[..., place] += direction.reshape(moved[..., place].shape)
        return self.trainer.differentiate(self.arrays, moved, self.weights)[0]


def check_gradients(
    model: TrainableModel,
    outputs: Mapping[int, str],
    atol: float,
    rtol: float,
    seed: int,
    n_steps: int,
) -> None:
    """Compare gradients with finite differences, in float64.

    Parameters
    ----------
    model : TrainableModel
        The model, with the values of now.
    outputs : mapping
        Indices and names of the program's outputs that are checked.
    atol, rtol : float
        What may differ: ``atol + rtol * |numeric|``.
    seed : int
        Of inputs, weights of the outputs, and directions.
    n_steps : int
        Length of the run that is differentiated.

    Raises
    ------
    nengo.exceptions.SimulationError
        If they differ; it names the entries. If something has no gradient, or one that is no
        derivative.
    """
    program = model.differentiable
    _check_derivatives_exist(program, model.build.registry, list(outputs))
    options = replace(model.training_options, dtype=np.dtype("float64"))
    trainer = model.make_trainer(program, options)
    rng = np.random.RandomState(seed % 2**32)
    runtime = Runtime(program, model.build, seed, options)
    inputs = _random_inputs(program, runtime, rng, n_steps)
    arrays = model.arrays(program)
    arrays |= _shifted({i: x for i, x in arrays.items() if i not in program.statistics}, rng)
    messages = []
    for index, name in outputs.items():
        weights = {index: rng.normal(size=(*inputs.shape[:2], program.outputs[index].size))}
        for quantity in _quantities(model, program, _Run(trainer, arrays, inputs, weights)):
            found = disagreements(quantity, rng, atol, rtol)
            messages += [f"{name} by {message}" for message in found]
    if messages:
        raise SimulationError("Analytic and numeric gradients differ:\n" + "\n".join(messages))


def _check_derivatives_exist(program: Program, registry: Registry, outputs: Sequence[int]) -> None:
    lacking = without_gradient(program, registry, outputs, inputs=True)
    if lacking:
        raise SimulationError("There is no gradient through " + "; ".join(lacking))
    replaced = replaced_gradients(program, registry, outputs, inputs=True)
    if replaced:
        raise SimulationError(
            "Finite differences cannot check a gradient that the settings of the network put "
            "in place of the derivative:\n" + "\n".join(f"- {line}" for line in replaced)
        )


def _random_inputs(
    program: Program, runtime: Runtime, rng: np.random.RandomState, n_steps: int
) -> NDArray[Any]:
    """Inputs of a run, those of nodes replaced by random numbers."""
    inputs, _, error = runtime.inputs.read(1, n_steps)
    if error is not None:
        raise error
    for _, place in _node_places(program):
        inputs[..., place] = rng.uniform(-1, 1, inputs[..., place].shape)
    return inputs


def _shifted(
    arrays: Mapping[int, NDArray[Any]], rng: np.random.RandomState
) -> dict[int, NDArray[Any]]:
    """Arrays a little off: neurons often sit just where they begin to fire, which has no slope."""
    return {i: x * (1 + _SHIFT * rng.uniform(-1, 1, x.shape)) for i, x in arrays.items()}


def _quantities(model: TrainableModel, program: Program, run: _Run) -> list[Quantity]:
    """What outputs depend on: parameters, and outputs of nodes."""
    by_arrays, by_inputs = run.gradients()
    values = model.values
    found = []
    for parameter in model.parameters:
        view = program.parameters.get(parameter.signal)
        if view is not None and all(source in run.arrays for source in view.sources):
            shape = values[parameter.signal].shape
            gradient = view.gather(by_arrays)
            found.append(
                Quantity(parameter.name, shape, gradient, partial(run.with_parameter, view))
            )
    for node, place in _node_places(program):
        part = by_inputs[..., place]
        found.append(
            Quantity(str(node), part.shape, part.reshape(-1), partial(run.with_input, place))
        )
    return found


def _node_places(program: Program) -> Iterator[tuple[Any, slice]]:
    """Nodes, each with the place of its output in the input array."""
    for source, start, length in program.sources:
        if source.node is not None:
            yield source.node, slice(start, start + length)
