"""What online learning rules have made of weights and encoders, kept as trained parameters are."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import learned_by_rules
from ..run.runner import Runner
from .base import SimulatorBase

__all__ = ["LearnedWeights"]

Values = Mapping[Any, NDArray[Any]]
"""Arrays ``([minibatch,] size)`` by signal."""


class LearnedWeights(SimulatorBase):
    """A simulator that has the setting ``keep_learned_weights``; without it nothing is kept."""

    # A run beside the simulation whose learned weights it has not taken over yet.
    _learner: Runner | None = None

    @cached_property
    def _learned_signals(self) -> list[Any]:
        """Weights and encoders that learning rules change, if they are to be kept."""
        network, model = self.model.toplevel, self.model
        if not self._learning.settings.keep_learned_weights or network is None:
            return []
        ensembles = set(network.all_ensembles)
        found = [
            model.sig[obj].get("encoders" if obj in ensembles else "weights")
            for obj in learned_by_rules(network)
            if obj in model.sig
        ]
        return [signal for signal in found if signal is not None]

    def _learned(self, runner: Runner | None = None) -> Values:
        """What a simulation has made of them, by default this one and not one beside it."""
        if not self._learned_signals:
            return {}
        runner = self._runner if runner is None else runner
        states = runner.executable.read(runner.state)
        views = {s: v for s, v in runner.program.signals.items() if s in self._learned_signals}
        return {
            signal: view.gather(states)
            for signal, view in views.items()
            if all(source in states for source in view.sources)
        }

    def _shown(self, learned: Values) -> Values:
        """The same in the shapes of their signals, after an axis of the minibatch."""
        return {
            s: x if s.sparse else x.reshape(*x.shape[:-1], *s.shape) for s, x in learned.items()
        }

    def _built_reader(self) -> Callable[[Any], Any]:
        """What reads built parameters, even when the simulator is gone."""
        learning, simulator = self._learning, weakref.ref(self)

        def read(obj: Any) -> Any:
            sim = simulator()
            if sim is None or sim.closed:
                return learning.built(obj, learning.kept)
            sim._take_writes()
            return learning.built(obj, sim._shown(sim._learned()))

        return read

    # -- going on with them

    def _go_on_with(self, learned: Values) -> None:
        if learned:
            self._runner.write_states(learned)
            self._signals.refresh()

    def _learn_in(self, runner: Runner) -> None:
        """Let a run beside begin with what is learned so far, and note that it learns, too."""
        self._take_learned()
        self._begin_with_learned(runner)
        self._learner = runner if self._learned_signals else None

    def _begin_with_learned(self, runner: Runner) -> None:
        learned = self._learned()
        if learned:
            runner.write_states(learned)

    def _take_learned(self) -> None:
        """Go on with what a run beside has learned."""
        learner, self._learner = self._learner, None
        if learner is not None:
            self._go_on_with(self._learned(learner))

    @contextmanager
    def _keeping_learned(self, keeps: bool = True) -> Iterator[None]:
        """Go on with the learned weights of now after a return to an earlier state."""
        learned = self._learned() if keeps else {}
        try:
            yield
        finally:
            self._go_on_with(learned)

    # -- files

    @contextmanager
    def _learned_as_first(self) -> Iterator[None]:
        """Let learned weights be those that the simulation begins with.

        Not where each item of the minibatch has learned others.
        """
        changes = self._learning.changes
        remembered = changes.remembered()
        learned = self._learning.kept if self.closed else self._shown(self._learned())
        for signal, value in learned.items():
            is_one = value.ndim == (1 if signal.sparse else signal.ndim)
            if is_one or (value == value[:1]).all():
                changes.values[signal] = np.array(value if is_one else value[0])
        try:
            yield
        finally:
            changes.recall(remembered)

    def _go_on_with_first(self) -> None:
        """Let learned weights be what they are before the first step."""
        first = self._learning.changes.values
        self._go_on_with(
            {
                signal: np.broadcast_to(
                    np.reshape(first.get(signal, signal.initial_value), -1), value.shape
                )
                for signal, value in self._learned().items()
            }
        )
