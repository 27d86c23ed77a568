"""Decoders of one ensemble: its activities and their factor once, for all its connections."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import nengo.neurons
import numpy as np
from nengo.ensemble import Ensemble
from nengo.exceptions import BuildError
from nengo.solvers import LstsqL2
from nengo.utils.least_squares_solvers import Cholesky, rmses

from . import cholesky
from .rates import rates_of

__all__ = ["Tuning", "is_shared"]

_OWN_NEURONS = frozenset(
    kind
    for kind in vars(nengo.neurons).values()
    if isinstance(kind, type) and kind.__module__ == nengo.neurons.__name__
)


def is_shared(connection: Any) -> bool:
    """Whether a connection is solved from what others of its ensemble are solved from, too.

    That is so for Nengo's default solver at the ensemble's own evaluation points. Neurons have
    to be of a type of Nengo's: the rates of others might be random, or count their calls.
    """
    ensemble, solver = connection.pre_obj, connection.solver
    return (
        isinstance(ensemble, Ensemble)
        and connection.eval_points is None
        and type(ensemble.neuron_type) in _OWN_NEURONS
        and type(solver) is LstsqL2
        and type(solver.solver) is Cholesky
        and not solver.solver.transpose
    )


class _System(NamedTuple):
    """The part of a least-squares problem that does not depend on its targets."""

    activities: np.ndarray
    reg: float
    factor: cholesky.Factor


@dataclass(eq=False)
class _Solution:
    """Decoders, and the targets and the regularization that they belong to."""

    targets: np.ndarray
    reg: float
    decoders: np.ndarray
    errors: np.ndarray

    def answers(self, targets: np.ndarray, reg: float) -> bool:
        """Whether these decoders are what the targets ask for."""
        return self.reg == reg and np.array_equal(self.targets, targets)


@dataclass(eq=False)
class Tuning:
    """What the decoders of an ensemble follow from. One thread at a time may use it.

    Every product and every call of LAPACK is the one that Nengo makes, with the same arguments,
    so that the decoders are the same to the last bit.

    Parameters
    ----------
    built : nengo.builder.ensemble.BuiltEnsemble
        What the ensemble was built to.
    neuron_type : nengo.neurons.NeuronType
        Its neurons.
    radius : float
        Its radius.
    """

    built: Any
    neuron_type: Any
    radius: float
    _system: _System | None = None
    _solutions: list[_Solution] = field(default_factory=list)

    @property
    def n_bytes(self) -> int:
        """The memory of activities and factor, held or not."""
        n_points, n_neurons = len(self.built.eval_points), len(self.built.encoders)
        return 8 * n_neurons * (n_points + n_neurons)

    @property
    def inputs(self) -> np.ndarray:
        """The neurons' normalized inputs, of shape (n_points, n_neurons)."""
        inputs: np.ndarray = np.dot(self.built.eval_points, self.built.encoders.T / self.radius)
        return inputs

    @property
    def n_solutions(self) -> int:
        """How many decoders were solved for."""
        return len(self._solutions)

    def solve(self, solver: Any, targets: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Decoders for targets.

        Parameters
        ----------
        solver : nengo.solvers.LstsqL2
            The solver, with a Cholesky decomposition.
        targets : ndarray of shape (n_points, size)
            The function's values at the evaluation points.

        Returns
        -------
        decoders : ndarray of shape (n_neurons, size)
            An array of the caller's own.
        info : dict
            As from the solver.

        Raises
        ------
        nengo.exceptions.BuildError
            If no neuron is ever active.
        numpy.linalg.LinAlgError
            If the system has no solution.
        """
        begin = time.time()
        reg = float(solver.reg)
        found = next((known for known in self._solutions if known.answers(targets, reg)), None)
        if found is None:
            found = self._solve(reg, targets)
            self._solutions.append(found)
        info = {"rmses": found.errors.copy(), "time": time.time() - begin}
        return found.decoders.copy(order="K"), info

    def prepare(self, solver: Any) -> None:
        """Do all of `solve` that does not need targets. Errors are those of `solve`."""
        self._system_for(float(solver.reg))

    def forget_system(self) -> None:
        """Free what the decoders were solved from, and keep the decoders."""
        self._system = None

    def _solve(self, reg: float, targets: np.ndarray) -> _Solution:
        system = self._system_for(reg)
        activities = system.activities
        decoders = cholesky.solve(system.factor, np.dot(activities.T, targets))
        return _Solution(targets, reg, decoders, rmses(activities, decoders, targets))

    def _system_for(self, reg: float) -> _System:
        if self._system is None or self._system.reg != reg:
            self._system = self._factorize(reg)
        return self._system

    def _factorize(self, reg: float) -> _System:
        built = self.built
        activities = rates_of(self.neuron_type, self.inputs, built.gain, built.bias)
        if not activities.any():
            raise BuildError("no neuron is active at any evaluation point")
        gram = np.dot(activities.T, activities)
        variance = len(activities) * (reg * activities.max()) ** 2
        np.fill_diagonal(gram, gram.diagonal() + variance)
        return _System(activities, reg, cholesky.factorize(gram))
