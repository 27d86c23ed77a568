"""Methods of a simulator that train, in the words of Keras."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..run.runner import Runner
from .activity import Activity
from .base import ProfileTo
from .evaluating import EvaluationMethods, refuse_others

if TYPE_CHECKING:  # what trains is imported where it is called: most scripts do without
    from ..plugin.trainer import FitOptions, LossTerm
    from ..training.fit import Fitted
    from ..training.fit_data import Given
    from ..training.history import History
    from ..training.minibatches import Data
    from .state import SimulationState

__all__ = ["FittingMethods"]


class FittingMethods(EvaluationMethods):
    """`compile` and `fit` of `nengograd.Simulator`."""

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        output_names: Sequence[str] | None = None,
        **others: Any,
    ) -> None:
        """Say how `fit` trains and what `evaluate` computes, in the words of Keras.

        Parameters
        ----------
        optimizer : str or optimizer
            See `train`.
        loss : str, callable, list or dict
            What to minimize: one loss for all probes, one for each in a list, or a dict by probe or
            by its label. A name of Keras' losses (``"mse"``, ``"mae"``, ``"mape"``, ``"msle"``,
            ``"huber"``, ``"log_cosh"``, ``"poisson"``, ``"cosine_similarity"``,
            ``"kl_divergence"``, ``"dice"``, ``"tversky"``, hinges such as ``"categorical_hinge"``,
            cross entropies such as ``"sparse_categorical_crossentropy"``), ``"nan_mse"``, a loss
            object of Keras, or a function ``(y_true, y_pred)`` of arrays ``(minibatch_size,
            n_samples, size)``, whose mean is taken over axes that it leaves.
            Cross entropies by name want probabilities; of other outputs they are what Keras on
            TensorFlow makes of them, and ``from_logits=True`` of an object is for logits. A target
            that is NaN asks for nothing.
        metrics : list or dict, optional
            Further figures to compute: names of losses, ``"accuracy"`` and accuracies such as
            ``"binary_accuracy"`` and ``"top_k_categorical_accuracy"``, ``"precision"``,
            ``"recall"``, ``"auc"``, ``"r2_score"``, ``"root_mean_squared_error"``, metric objects
            of Keras, or functions as of ``loss``. A dict has them by probe or label.
        loss_weights : list or dict, optional
            Factors of the losses in the sum over probes, by default 1. `train` takes the mean over
            probes instead.
        weighted_metrics : list or dict, optional
            Metrics that weigh samples by ``sample_weight`` or ``class_weight``, where these are
            given; see ``metrics``, of which all samples count alike.
        output_names : list of str, optional
            What histories call the probes, in the order of the network, by default their labels.
            With it even the loss of a single one has its name.
        **others
            There are none: for an argument that Keras' method has and this one lacks, the error
            says what there is instead.

        Raises
        ------
        nengo.exceptions.ValidationError
            If a name is not known, or an object is none of these.
        """
        self._check_open("compile")
        refuse_others("compile", others)
        check_arguments("Simulator.compile", locals())
        from ..training.compiled import Compiled

        self._compiled_for = Compiled(
            optimizer,
            loss,
            metrics,
            loss_weights,
            self.model.probes,
            output_names,
            weighted_metrics,
        )

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        n_steps: int | None = None,
        stateful: bool | str = False,
        begin_at: SimulationState | None = None,
        profile: ProfileTo = None,
        **others: Any,
    ) -> History:
        """Train for what `compile` was given, in the words of Keras; see `train` for the rest.

        Parameters
        ----------
        x : array, list, dict or iterable
            What is fed to nodes: one array where there is one node that can be fed, a list in the
            order of the network, or a dict by node or by label. Shapes are
            ``(n_items, n_steps, size_out)``, or ``(n_items, size_out)`` for what is the same in
            all steps. An iterable, such as a generator, a ``tf.data.Dataset`` or a loader, yields
            batches ``(x, y)`` or ``(x, y, sample_weight)`` of any sizes; they are never in memory
            all at once, and not shuffled. None where nothing is fed.
        y : array, list or dict
            Targets of probes: ``(n_items, n_samples, size)``, where the probe gives that many
            samples, or fewer, for the last ones alone. ``(n_items, size)`` is for the last sample.
            Labels are ``(n_items,)`` or ``(n_items, n_samples)``. None with an iterable.
        batch_size : int, optional
            The simulator's ``minibatch_size``, which cannot be another one.
        epochs : int
            The number of the epoch at which to end, as in Keras: ``epochs - initial_epoch`` epochs
            are trained.
        verbose : "auto", 0, 1 or 2
            Nothing, a progress bar, or a line for each epoch. ``"auto"`` is 1 where the simulator
            has a progress bar, else 0.
        callbacks : sequence, optional
            See `train`.
        validation_split : float
            The share of the items, from the end, that are not trained on: `evaluate` computes
            figures of them after each epoch, under names that begin with ``"val_"``.
        validation_data : tuple or iterable, optional
            ``(x, y)`` or ``(x, y, sample_weight)`` for that, or an iterable of such batches.
        shuffle : bool
            Whether to deal out the items in random order.
        class_weight : dict, optional
            ``{class: weight}``: samples are weighted by the class that their target is for, its
            label or its largest element. A class that is not among them weighs 1. It is for one
            probe, and not for validation.
        sample_weight : array, list or dict, optional
            What the losses of samples are multiplied by: ``(n_items,)``, or
            ``(n_items, n_samples)`` for each step that has a target. The sum is divided by the
            number of samples, whatever they weigh. One array is for all probes; a list or a dict
            has one for each.
        initial_epoch : int
            The epoch to begin with.
        steps_per_epoch, validation_steps : int, optional
            Minibatches of an epoch, and of validation, where they come from an iterable; by default
            as many as it gives.
        validation_batch_size : int, optional
            As ``batch_size``.
        validation_freq : int
            After how many epochs each validation comes.
        n_steps : int, optional
            Steps for which items are shown, where neither x nor y says so; for x without an axis of
            time 1 by default.
        stateful : bool or "epochs"
            Whether each minibatch of an epoch begins with the states that the one before it has
            left, item by item, and not at the first step: long sequences are trained piece by
            piece, and gradients end at the beginning of each (truncated backpropagation through
            time). Nothing is shuffled then. Validation is not stateful. With ``"epochs"`` an epoch
            goes on from the one before it, too.
        begin_at : SimulationState, optional
            Where minibatches begin, such as `state`, by default the first step: with ``stateful``
            the first one of each epoch, or of all. The simulation stays where it is; it goes on
            from a stateful training by ``sim.state = history.state``.
        profile : bool, str or path, optional
            See `train`.
        **others
            None; see `compile`.

        Returns
        -------
        history : History
            ``history.history`` has one number per epoch for each figure. After a stateful training
            ``history.state`` is the state that it has come to.

        Raises
        ------
        nengo.exceptions.ValidationError
            If data do not fit, or the model cannot be trained; nothing has changed then.
        """
        self._check_open("train")
        refuse_others("fit", others)
        check_arguments("Simulator.fit", locals())
        from ..profile.session import profile_path
        from ..training.compiled import all_metrics
        from ..training.fit_data import given_data, given_validation, validating
        from ..training.history import History

        path = profile_path(profile)
        self._check_batch_size(batch_size)
        self._check_batch_size(validation_batch_size, "validation_batch_size")
        self._take_writes()
        compiled = self._compiled_or_error("fit")
        weights = {"sample_weight": sample_weight, "class_weight": class_weight}
        given = given_data(self._samples(n_steps), compiled, x, y, steps_per_epoch, **weights)
        held_out: Given | None = None
        if validation_data is not None:
            held_out = given_validation(
                self._samples(n_steps), compiled, validation_data, validation_steps
            )
        elif validation_split:
            given, held_out = given.split(validation_split, class_weight is not None)
        given.check_fills(self.options.n_items)
        options = self._fit_options(
            given, epochs, initial_epoch, shuffle and not stateful, verbose, callbacks, stateful
        )
        self._move_for("differentiate", "train", [*compiled.objects(), callbacks])
        # The simulation that is at the beginning, for the states there that are not trained.
        begun, options = self._first_of_training(options, begin_at)

        def on_epoch_end(epoch: int) -> dict[str, float]:
            self._show_parameters()
            if held_out is None or (epoch + 1) % validation_freq:
                return {}
            with validating():
                runs = self._runs(held_out.data.n_steps, begin_at=begin_at, learns=False)
                found = self._evaluate(held_out, runs)
            return {f"val_{name}": value for name, value in found.items()}

        is_seen = bool(callbacks) or held_out is not None
        history, states, n_steps_done = self._fit(
            given.data,
            given.terms,
            compiled.optimizer,
            options,
            on_epoch_end if is_seen else None,
            path,
            all_metrics(given.outputs),
        )
        done = len(history["loss"]) if history else 0
        params = {"epochs": epochs, "steps": given.data.count(self.options.n_items)}
        trained = list(range(initial_epoch, initial_epoch + done))
        end = None
        if options.stateful and begun is not None:
            end = self._end_state(begun, states, n_steps_done)
        return History(history, trained, params, end)

    # -- inside

    def _fit(
        self,
        data: Data,
        terms: Sequence[LossTerm],
        optimizer: Any,
        options: FitOptions,
        on_epoch_end: Callable[[int], dict[str, float]] | None,
        path: Path | None,
        metrics: Sequence[tuple[str, int, Any]] = (),
    ) -> Fitted:
        """Train, show the parameters reached however that ends, and write a profile if asked."""
        from ..profile.session import ProfiledTraining, write_profile
        from ..training.fit import fit

        learning = self._learning
        profiler = None if path is None else ProfiledTraining(self._folder)
        begin = time.perf_counter()
        with Activity(self._activities, "train"):
            try:
                fitted = fit(
                    learning,
                    data,
                    terms,
                    optimizer,
                    options,
                    self.seed,
                    on_epoch_end,
                    profiler,
                    metrics=metrics,
                )
            finally:
                if learning.n_epochs > options.first_epoch:
                    self._show_parameters()
        if profiler is not None and path is not None:
            self.profile = write_profile(
                profiler.seen,
                learning.differentiable,
                self._build,
                self.options.with_minibatch(),
                self._assemble_seconds,
                path,
                data.n_steps,
            )
        self._event("trained", begin, epochs=len(fitted.history.get("loss", ())))
        return fitted

    def _first_of_training(
        self, options: FitOptions, begin_at: SimulationState | None = None
    ) -> tuple[Runner | None, FitOptions]:
        """The simulation that is where a training begins, where that matters, and its options."""
        is_learned = bool(self._learned_signals)
        if not (options.stateful or begin_at is not None or is_learned):
            return None, options
        begun = self._begun(begin_at)
        if begin_at is None and not is_learned:
            return begun, options
        from .state import get_state

        state = get_state(self, self._parts._replace(runner=begun)) if is_learned else begin_at
        assert state is not None
        begins_at = self._states_of_training(state)
        return begun, options._replace(begins_at=begins_at, begins_after=state.n_steps)

    def _states_of_training(self, state: SimulationState) -> dict[int, NDArray[Any]]:
        """A state as those of the program that is trained, ``(n_items, size)`` by id."""
        from ..run.state import states_at
        from ..training.saved import signal_names

        program, names = self._learning.differentiable, signal_names(self.model)
        return states_at(program, state.arrays, names, self.options.n_items)

    def _end_state(
        self, begun: Runner, states: Mapping[int, NDArray[Any]], n_steps: int
    ) -> SimulationState:
        """Where a training has come to that began where another simulation is."""
        from .state import end_state

        parts = self._parts._replace(runner=begun)
        return end_state(self, parts, self._learning.differentiable, states, n_steps)

    def _fit_options(
        self,
        given: Given,
        epochs: int,
        initial_epoch: int,
        shuffle: bool,
        verbose: Any,
        callbacks: Any,
        stateful: bool | str,
    ) -> FitOptions:
        from ..plugin.trainer import FitOptions

        learning = self._learning
        return FitOptions(
            n_epochs=int(epochs),
            initial_epoch=int(initial_epoch),
            first_epoch=learning.n_epochs,
            shuffle=bool(shuffle),
            verbose=self._verbosity(verbose),
            callbacks=() if callbacks is None else callbacks,
            stop_at_nan=learning.settings.stop_at_nan,
            stateful=bool(stateful) and learning.settings.stateful,
            over_epochs=stateful == "epochs",
            keep_outputs=any(output.metrics for output in given.outputs),
            names_each=self._compiled_or_error("fit").names_each,
        )
