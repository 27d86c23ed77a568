"""Training: from data and an optimizer to new values of a model's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nengo.exceptions import ValidationError

from ..plugin.trainer import FitOptions, LossTerm
from ..profile.session import TrainingWatch
from ..program.program import Program
from .data import Batches, TrainingData
from .epochs import run_epochs
from .gradient_paths import without_gradient
from .losses import check_trainable
from .model import TrainableModel
from .parameters import check_layers, parameter_values
from .reach import check_reach

__all__ = ["fit"]


def fit(
    model: TrainableModel,
    data: TrainingData,
    losses: Sequence[LossTerm],
    optimizer: Any,
    options: FitOptions,
    seed: int,
    on_epoch_end: Callable[[], Mapping[str, float]] | None = None,
    profiler: TrainingWatch | None = None,
) -> dict[str, list[float]]:
    """Train a model; see `nengograd.Simulator.train`.

    However training ends, the model has the values of all complete minibatches then, and its
    ``n_epochs`` has grown by the epochs that have begun.

    Parameters
    ----------
    model : TrainableModel
        The model; gets the values.
    data : TrainingData
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
    profiler : TrainingWatch, optional
        Measures.

    Returns
    -------
    history : dict
        ``"loss"`` and other figures, one number per epoch.
    """
    check_trainable(losses)
    check_layers(model.build.model)
    program = model.differentiable
    _check_gradients_exist(program, [term.output for term in losses])
    check_reach(program, losses, list(data.targets.values()))

    trainer = model.trainer
    trainer.set_parameters(model.arrays(program))
    batches = Batches(data, program, model.build.order, model.training_options, seed)
    trainer.compile(optimizer, losses, batches.spec, options)
    callbacks = trainer.callbacks(options, batches.spec)

    def write_back() -> None:
        model.set_values(parameter_values(program, trainer.read()))

    def write_back_and_report() -> Mapping[str, float]:
        write_back()
        return {} if on_epoch_end is None else on_epoch_end()

    if profiler is not None:
        profiler.begin(trainer, options.n_epochs * len(batches))
    try:
        run_epochs(
            trainer.step,
            batches,
            [term.name for term in losses],
            callbacks,
            options,
            None if on_epoch_end is None else write_back_and_report,
            None if profiler is None else profiler.on_batch_begin,
        )
        return callbacks.history
    finally:
        if profiler is not None:
            profiler.finish()
        if batches.begun:
            model.n_epochs += batches.begun
            write_back()


def _check_gradients_exist(program: Program, outputs: Sequence[int]) -> None:
    lacking = without_gradient(program, outputs)
    if lacking:
        lines = "\n".join(f"- {line}" for line in lacking)
        raise ValidationError(
            f"the network cannot be differentiated because of\n{lines}", attr="network"
        )
    if not program.parameters:
        raise ValidationError("the network has no trainable parameters", attr="network")
