"""Methods of a simulator that run items beside it, in the words of Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError
from nengo.utils.progress import Progress, ProgressTracker
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..run.runner import Runner
from .activity import Activity
from .moving import Moving

if TYPE_CHECKING:  # what trains is imported where it is called: most scripts do without
    from ..training.compiled import Compiled
    from ..training.fit_data import Given
    from ..training.minibatches import Data, TrainingData
    from ..training.samples import Samples
    from .state import SimulationState

__all__ = ["EvaluationMethods", "refuse_others"]


class EvaluationMethods(Moving):
    """`evaluate`, `predict` and `predict_on_batch` of `nengograd.Simulator`."""

    _compiled_for: Compiled | None = None

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        return_dict: bool = False,
        n_steps: int | None = None,
        stateful: bool = False,
        begin_at: SimulationState | None = None,
        **others: Any,
    ) -> Any:
        """Losses and metrics of all items, as the network runs, in the words of Keras.

        Spiking neurons spike, and nothing is dropped out. A simulation in progress is not
        disturbed. Items that do not fill a minibatch count, too.

        Parameters
        ----------
        x, y, batch_size, sample_weight, n_steps
            See `fit`.
        verbose : "auto", 0, 1 or 2
            Whether to show a progress bar.
        steps : int, optional
            Minibatches to take from an iterable; by default all.
        return_dict : bool
            Whether to return figures by name.
        stateful, begin_at
            See `predict`.
        **others
            None; see `compile`.

        Returns
        -------
        figures : float, list of float, or dict
            The loss, with several probes the loss of each, and the metrics: a number if it is one,
            else a list, in the order of the names in the dict.
        """
        self._check_open("compute a loss")
        refuse_others("evaluate", others)
        check_arguments("Simulator.evaluate", locals())
        from ..training.fit_data import given_data

        self._check_batch_size(batch_size)
        self._take_writes()
        _check_beginning(stateful, begin_at)
        compiled = self._compiled_or_error("evaluate")
        given = given_data(self._samples(n_steps), compiled, x, y, steps, "steps", sample_weight)
        if not compiled.is_named:
            self._move_for("differentiate", "compute a loss", compiled.objects())
        with (
            Activity(self._activities, "compute a loss"),
            self._bar(verbose, "Evaluating", given.data) as step,
        ):
            try:
                runs = self._runs(given.data.n_steps, stateful, begin_at, step)
                figures = self._evaluate(given, runs)
            finally:
                self._take_learned()
                self._signals.refresh()
        if return_dict:
            return figures
        values = list(figures.values())
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        n_steps: int | None = None,
        stateful: bool = False,
        begin_at: SimulationState | None = None,
        **others: Any,
    ) -> dict[Any, NDArray[Any]]:
        """What probes record for each item, in the words of Keras.

        Parameters
        ----------
        x, batch_size, n_steps
            See `fit`; of an iterable, batches ``x`` or ``(x, y)``, whose targets are not looked at.
            There may be any number of items. Where nothing is fed, one minibatch is run.
        verbose : "auto", 0, 1 or 2
            Whether to show a progress bar.
        steps : int, optional
            Minibatches to take from an iterable; by default all.
        stateful : bool
            Whether the simulation goes on from where it is, minibatch after minibatch, and stays
            where it has come to. Otherwise each minibatch begins at the first step, or at
            ``begin_at``, and a simulation in progress is not disturbed. Probe data of the simulator
            stay as they are.
        begin_at : SimulationState, optional
            Where each minibatch begins, such as `state`, by default the first step.
        **others
            None; see `compile`.

        Returns
        -------
        outputs : dict
            Probe -> array ``(n_items, n_samples, size)``.
        """
        self._check_open("predict")
        refuse_others("predict", others)
        check_arguments("Simulator.predict", locals())
        from ..training.fit_data import check_steps
        from ..training.named_data import is_batch_of_arrays
        from ..training.streams import StreamedData

        self._check_batch_size(batch_size)
        _check_beginning(stateful, begin_at)
        self._take_writes()
        check_steps(x, steps, "steps")
        samples = self._samples(n_steps)
        size = self.options.n_items

        def items(x: Any, y: Any, weights: Any) -> TrainingData:
            return samples.items(samples.without_targets(x), size)

        data: Data = (
            items(x, None, None)
            if is_batch_of_arrays(x)
            else StreamedData(x, items, has_targets=False, steps_per_epoch=steps)
        )
        with Activity(self._activities, "predict"), self._bar(verbose, "Predicting", data) as step:
            try:
                runs = self._runs(data.n_steps, stateful, begin_at, step)
                return self._predict(samples, data, runs)
            finally:
                self._take_learned()
                self._signals.refresh()

    def predict_on_batch(
        self,
        x: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        begin_at: SimulationState | None = None,
    ) -> dict[Any, NDArray[Any]]:
        """What probes record for the items of one minibatch; see `predict`.

        Parameters
        ----------
        x : array, list or dict
            See `fit`, with as many items as the minibatch has.
        n_steps : int, optional
            See `fit`.
        stateful, begin_at
            See `predict`.

        Returns
        -------
        outputs : dict
            Probe -> array ``(minibatch_size, n_samples, size)``.
        """
        self._check_open("predict")
        check_arguments("Simulator.predict_on_batch", locals())
        if x is not None:
            count, size = self._samples(n_steps).items(x).n_items, self.options.n_items
            if count != size:
                raise ValidationError(
                    f"there are {count} items, and a minibatch has {size}; `predict` takes any "
                    "number",
                    attr="x",
                )
        # Not that of a subclass, whose arguments may have other meanings.
        return EvaluationMethods.predict(
            self, x, verbose=0, n_steps=n_steps, stateful=stateful, begin_at=begin_at
        )

    # -- inside

    def _compiled_or_error(self, what: str) -> Compiled:
        if self._compiled_for is None:
            raise ValidationError(
                f"{what} needs a loss: call sim.compile(optimizer, loss) first", attr="loss"
            )
        return self._compiled_for

    def _check_batch_size(self, batch_size: int | None, attr: str = "batch_size") -> None:
        size = self.options.n_items
        if batch_size not in (None, size):
            raise ValidationError(
                f"the simulator was made for minibatches of {size}; leave {attr} out, or make "
                f"a Simulator with minibatch_size={batch_size}",
                attr=attr,
            )

    def _samples(self, n_steps: int | None) -> Samples:
        from ..training.samples import Samples

        return Samples(self._build, self._learning.settings, self._runner.feedable, n_steps)

    def _verbosity(self, verbose: Any) -> int:
        return int(bool(self.progress_bar)) if verbose == "auto" else int(verbose)

    @contextmanager
    def _bar(self, verbose: Any, name: str, data: Data) -> Iterator[Callable[[], object]]:
        """A progress bar over minibatches, if one is to be shown."""
        if not self._verbosity(verbose):
            yield _unseen
            return
        size = self.options.n_items
        from ..training.minibatches import TrainingData

        whole = data.count(size)
        is_open = isinstance(data, TrainingData) and data.n_items % size
        progress = Progress(name, name, None if whole is None else whole + bool(is_open))
        with ProgressTracker(self.progress_bar or True, progress):
            yield progress.step

    def _runs(
        self,
        n_steps: int,
        stateful: bool = False,
        begin_at: SimulationState | None = None,
        step: Callable[[], object] | None = None,
        learns: bool = True,
    ) -> Callable[[], Runner]:
        """What gives the simulation in which each minibatch runs; ``step`` is called before.

        With ``learns`` each goes on with what online learning rules have learned in the one before
        it, where that is kept.
        """
        goes_on = stateful and self._learning.settings.stateful
        begun = None if begin_at is None else self._begun(begin_at)

        def runs() -> Runner:
            if step is not None:
                step()
            if goes_on:
                return self._runner
            self._take_learned()
            runner = self._beside(n_steps, begun)
            if learns:
                self._learn_in(runner)
            return runner

        return runs

    def _evaluate(self, given: Given, runs: Callable[[], Runner]) -> dict[str, float]:
        """Figures by name."""
        from ..training.compiled import all_metrics
        from ..training.evaluation import evaluate

        data, terms = given.data, given.terms
        xp = self._build.engine.namespace(self.options.dtype)
        losses = [term.loss.tally(xp) for term in terms]
        metrics = [
            (name, index, metric.tally(xp)) for name, index, metric in all_metrics(given.outputs)
        ]
        tallies = [
            [loss, *(tally for _, at, tally in metrics if at == index)]
            for index, loss in enumerate(losses)
        ]

        if not evaluate(runs, self._build, data, terms, tallies, xp):
            raise ValidationError("there are no data left; the iterable has ended", attr="x")
        with self._build.engine.precision(self.options.dtype):
            means = [loss.result() for loss in losses]
            counted = {name: tally.result() for name, _, tally in metrics}
        figures = {"loss": float(sum(t.factor * x for t, x in zip(terms, means, strict=True)))}
        if len(terms) > 1 or self._compiled_or_error("evaluate").names_each:
            figures |= {f"{t.name}_loss": float(x) for t, x in zip(terms, means, strict=True)}
        return figures | counted

    def _predict(
        self, samples: Samples, data: Data, runs: Callable[[], Runner]
    ) -> dict[Any, NDArray[Any]]:
        from ..training.evaluation import predicted

        wanted = [(probe, samples.steps(probe, data.n_steps)) for probe in samples.probes]
        found: dict[Any, list[NDArray[Any]]] = {probe: [] for probe, _ in wanted}
        for recorded, count in predicted(runs, self._build, data):
            for index, (probe, steps) in enumerate(wanted):
                found[probe].append(recorded[index][:count, steps])
        return {probe: np.concatenate(parts) for probe, parts in found.items()}


_OF_THE_SIMULATOR = "what a simulator computes with is said where it is made, `Simulator(...)`"

_INSTEAD = {
    "callbacks": "only `fit` calls callbacks; verbose=1 shows a progress bar",
    "run_eagerly": _OF_THE_SIMULATOR,
    "jit_compile": _OF_THE_SIMULATOR,
    "steps_per_execution": "a minibatch is one call of the backend in any case",
    "auto_scale_loss": "the optimizer scales the loss, as LossScaleOptimizer of Keras does",
    "workers": "an iterable, such as a loader, may prepare its batches as it likes",
    "use_multiprocessing": "an iterable, such as a loader, may prepare its batches as it likes",
    "max_queue_size": "an iterable, such as a loader, may prepare its batches as it likes",
}
"""Arguments of Keras' methods that a simulator does not have, with what to do instead."""


def refuse_others(method: str, given: Mapping[str, Any]) -> None:
    """Refuse arguments that a method does not have; those that Keras has with a sentence.

    Raises
    ------
    nengo.exceptions.ValidationError
        For an argument of Keras.
    TypeError
        For any other, as Python itself does.
    """
    for name, value in given.items():
        if name not in _INSTEAD:
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}")
        if value is not None:
            raise ValidationError(
                f"Simulator.{method} does not have this argument of Keras: {_INSTEAD[name]}",
                attr=name,
            )


def _check_beginning(stateful: bool, begin_at: SimulationState | None) -> None:
    """Raise an error if a simulation is to go on, and to begin somewhere else."""
    if stateful and begin_at is not None:
        raise ValidationError(
            "with stateful=True the simulation goes on from where it is: assign sim.state before, "
            "or leave one of the two out",
            attr="begin_at",
        )


def _unseen() -> None:
    """Progress that nobody looks at."""
