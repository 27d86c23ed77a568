"""Training: from data and an optimizer to new values of a model's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nengo.exceptions import ValidationError

from ..plugin.trainer import FitOptions, LossTerm
from ..profile.session import ProfiledTraining
from .data import Batches
from .epochs import run_epochs
from .minibatches import Data
from .model import TrainableModel
from .reach import check_can_train

__all__ = ["fit"]


def fit(
    model: TrainableModel,
    data: Data,
    losses: Sequence[LossTerm],
    optimizer: Any,
    options: FitOptions,
    seed: int,
    on_epoch_end: Callable[[], Mapping[str, float]] | None = None,
    profiler: ProfiledTraining | None = None,
    metrics: Sequence[tuple[str, int, Any]] = (),
) -> dict[str, list[float]]:
    """Train a model; see `nengograd.Simulator.train`.

    However training ends, the model has the values of all complete minibatches then, and its
    ``n_epochs`` has grown by the epochs that have begun.

    Parameters
    ----------
    model : TrainableModel
        The model; gets the values.
    data : Data
        Inputs and targets.
    losses : sequence of LossTerm
        What to minimize, in the order of the data's targets.
    optimizer : object
        One of the backend, or its name.
    options : FitOptions
        How to train.
    seed : int
        Of the order of the items, and of random processes.
    on_epoch_end : callable, optional
        Called after each epoch, before the callbacks, when the model has the values of that epoch.
        Returns further figures of it.
    profiler : ProfiledTraining, optional
        Measures.
    metrics : sequence of (str, int, metric)
        See `run_epochs`.

    Returns
    -------
    history : dict
        ``"loss"`` and other figures, one number per epoch.
    """
    program = model.differentiable
    batches = Batches(data, program, model.build, model.training_options, seed)
    check_can_train(program, model.build.registry, losses, batches.first.targets)
    trainer = model.load_trainer(program)
    if options.stateful and not trainer.carries_state:
        raise ValidationError(
            "the backend cannot carry the state over from one minibatch to the next here",
            attr="stateful",
        )
    spec = batches.spec
    trainer.compile(optimizer, losses, spec, options)
    callbacks = trainer.callbacks(options, spec)

    def write_back_and_report() -> Mapping[str, float]:
        model.n_epochs = options.first_epoch + batches.begun
        model.read_trainer(program, trainer)
        return {} if on_epoch_end is None else on_epoch_end()

    if profiler is not None:
        profiler.begin(trainer, options.n_epochs * (spec.n_batches or 0))
    try:
        run_epochs(
            trainer.step,
            batches,
            losses,
            callbacks,
            options,
            None if on_epoch_end is None else write_back_and_report,
            None if profiler is None else profiler.on_batch_begin,
            metrics,
            model.build.engine.namespace(model.training_options.dtype),
            trainer.begin_epoch,
        )
        return callbacks.history
    finally:
        if profiler is not None:
            profiler.finish()
        if batches.begun:
            model.n_epochs = options.first_epoch + batches.begun
            model.read_trainer(program, trainer)
            model.warn_of_nan()
