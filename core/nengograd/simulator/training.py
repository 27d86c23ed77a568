"""Methods of a simulator that train, and that say how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nengo.exceptions import ValidationError

from ..arguments.table import check_arguments
from .activity import Activity
from .base import ProfileTo
from .fitting import FittingMethods

if TYPE_CHECKING:  # what trains is imported where it is called: most scripts do without
    from ..plugin.trainer import LossTerm
    from ..training.losses import Objective
    from ..training.minibatches import TrainingData

__all__ = ["TrainingMethods"]


class TrainingMethods(FittingMethods):
    """`train`, `loss` and `check_gradients` of `nengograd.Simulator`."""

    def train(
        self,
        inputs: Mapping[Any, Any],
        targets: Mapping[Any, Any],
        optimizer: Any,
        n_epochs: int = 1,
        objective: Objective | Mapping[Any, Objective] = "mse",
        shuffle: bool = True,
        validation_data: tuple[Mapping[Any, Any], Mapping[Any, Any]] | None = None,
        callbacks: Any = (),
        summary_folder: str | None = None,
        progress_bar: Any = None,
        profile: ProfileTo = None,
    ) -> dict[str, list[float]]:
        """Change the trainable parameters so that probes come near to targets.

        Each item is a simulation of its own that begins at the first step. A simulation in
        progress keeps its state, and goes on with the new parameters. Online learning rules
        learn in each item by themselves, and gradients flow through them. Of the weights that they
        change, the initial values are trained, which hold at the first step and after a reset.

        If an error or Ctrl-C stops the training, the parameters of all complete minibatches are
        kept. A loss or a gradient that is not finite stops it as a callback would, with a
        warning: the parameters are those before that minibatch, and the history ends with that
        epoch.

        Parameters
        ----------
        inputs : dict
            Output of nodes: ``{node: (batch_size, n_steps, size_out)}``.
        targets : dict
            ``{probe: (batch_size, n_steps, size_in)}``. With ``sample_every`` or
            ``keep_history=False`` the probe gives, and needs, fewer steps.
        optimizer : str or optimizer
            ``"sgd"`` or ``"adam"`` on every backend that trains; else an optimizer of a library
            that computes as the backend does, or its name: one of Keras, of optax, or a
            ``tf.compat.v1.train.Optimizer``. It keeps its slots, such as momenta, over calls.
        n_epochs : int
            How often to go through the data.
        objective : str, callable or dict
            What to minimize, or a dict of such by probe. Losses are averaged over probes.

            - ``"mse"``: the mean of squared errors over those elements whose target is not NaN.
            - ``"nan_mse"``: the same sum, divided by the number of all elements, as if a NaN
              target were met. Of errors 3 and 4 among ten elements, eight of them NaN, this is
              2.5, and ``"mse"`` 12.5.
            - A function of two ``(minibatch_size, n_steps, size)`` tensors that returns one
              number. It gets them by the names of its parameters: ``(output, target)``,
              Keras' ``(y_true, y_pred)``, or ``labels``, ``predictions`` and ``logits``; under
              other names, the output comes first. What the backend's compiler cannot take, such as
              ``tf.print`` or ``tf.numpy_function``, runs beside it, with a warning.
            - A loss object of Keras.
        shuffle : bool
            Whether to deal out the items in random order.
        validation_data : tuple, optional
            Inputs and targets whose `loss` is taken after each epoch.
        callbacks : sequence, optional
            Functions ``(epoch, logs)``, which stop the training by returning True, and callbacks of
            Keras, such as early stopping, where the backend computes with it. At the end of an
            epoch they find the parameters of that epoch in the simulator, too.
        summary_folder : str, optional
            Where to write the losses for TensorBoard.
        progress_bar : bool, optional
            By default that of the simulator.
        profile : bool, str or path, optional
            See `Simulator.run_steps`; what is measured is the second half of the minibatches.

        Returns
        -------
        history : dict
            ``"loss"`` and, where there are several probes or validation data, other losses:
            one number per epoch.

        Raises
        ------
        nengo.exceptions.ValidationError
            If data do not fit, if part of the network has no gradient, or if no trainable
            parameter reaches a target within the steps given. Nothing has changed then.

        Warns
        -----
        nengo.exceptions.NengoWarning
            If parameters reach some of the targets only.
        """
        self._check_open("train")
        check_arguments("Simulator.train", locals())
        from ..plugin.trainer import FitOptions
        from ..profile.session import profile_path

        self._take_writes()
        path = profile_path(profile)
        data, terms = self._training_data(inputs, targets, objective)
        held_out = None
        if validation_data is not None:
            held_out = self._training_data(*validation_data, objective)
        self._move_for("differentiate", "train", [optimizer, objective, callbacks])

        def on_epoch_end(epoch: int) -> dict[str, float]:
            self._show_parameters()
            return {} if held_out is None else {"val_loss": self._loss(*held_out)}

        bar = self.progress_bar if progress_bar is None else progress_bar
        learning = self._learning
        options = FitOptions(
            n_epochs=int(n_epochs),
            first_epoch=learning.n_epochs,
            shuffle=bool(shuffle),
            verbose=int(bool(bar)),
            callbacks=callbacks,
            summary_folder=summary_folder,
            stop_at_nan=learning.settings.stop_at_nan,
        )
        _, options = self._first_of_training(options)
        is_seen = bool(callbacks) or held_out is not None
        seen = on_epoch_end if is_seen else None
        return self._fit(data, terms, optimizer, options, seen, path).history

    def loss(
        self,
        inputs: Mapping[Any, Any],
        targets: Mapping[Any, Any],
        objective: Objective | Mapping[Any, Objective] = "mse",
    ) -> float:
        """The loss of the network as it runs, over all data.

        Spiking neurons spike, and nothing is dropped out. A simulation in progress is not
        disturbed.

        Parameters
        ----------
        inputs, targets
            See `train`.
        objective : str, callable or dict
            See `train`; or a metric object, such as ``keras.metrics.Recall()``. It forgets what
            it has counted, counts over all minibatches, and keeps its count until the next call.

        Returns
        -------
        loss : float
            The mean over probes: of a named loss over all elements that count, of a function or
            a Keras loss the mean over minibatches, of a metric its result for all data.
        """
        self._check_open("compute a loss")
        check_arguments("Simulator.loss", locals())
        self._take_writes()
        data, terms = self._training_data(inputs, targets, objective)
        if not _is_named(objective):
            self._move_for("differentiate", "compute a loss", objective)
        with Activity(self._activities, "compute a loss"):
            return self._loss(data, terms)

    def _training_data(
        self, inputs: Any, targets: Any, objective: Any
    ) -> tuple[TrainingData, list[LossTerm]]:
        """Data and losses, checked."""
        from ..training.data import training_data

        return training_data(
            self._build, self._learning.settings, self._runner.feedable, inputs, targets, objective
        )

    def _loss(self, data: TrainingData, terms: list[LossTerm]) -> float:
        from ..training.evaluation import compute_loss

        runner, stop = self._runner, self._learning.settings.stop_at_nan
        begun = self._begun(None) if self._learned_signals else None
        return compute_loss(
            self._build, runner.program, runner.executable, data, terms, self.seed, stop, begun
        )

    def check_gradients(
        self,
        outputs: Any = None,
        atol: float = 1e-5,
        rtol: float = 1e-3,
        n_steps: int = 10,
    ) -> None:
        """Compare the gradients that training uses with finite differences, in float64.

        The derivative of random weighted sums of what probes record is checked with respect
        to the output of each node and each trainable parameter: all elements at once, along
        random directions, and some one by one. What is checked is the very program that is
        trained, online learning included. Where its gradient is no derivative, as a surrogate
        gradient is none, there is nothing to compare.

        Parameters
        ----------
        outputs : Probe or sequence of Probe, optional
            By default all probes.
        atol, rtol : float
            What may differ: ``atol + rtol * |numeric|``.
        n_steps : int
            Length of the run that is differentiated. Values pass one synapse per step.

        Raises
        ------
        nengo.exceptions.SimulationError
            If gradients differ, with the entries that do; if there are none; or if the settings
            of the network put something else in their place.
        nengo.exceptions.ValidationError
            If the backend does not compute in float64.
        """
        self._check_open("check gradients")
        check_arguments("Simulator.check_gradients", locals())
        from ..training.gradcheck import check_gradients

        self._take_writes()
        wanted = self.model.probes if outputs is None else outputs
        wanted = wanted if isinstance(wanted, Sequence) else [wanted]
        unknown = [probe for probe in wanted if probe not in self.model.probes]
        if unknown:
            raise ValidationError(f"{unknown[0]} is no probe of this network", attr="outputs")
        named = {self.model.probes.index(probe): str(probe) for probe in wanted}
        self._move_for("differentiate", "check gradients")
        if "float64" not in self._plugins.backends[self.backend].capabilities.dtypes:
            raise ValidationError(
                f"check_gradients computes in float64, which the backend {self.backend!r} does not",
                attr="backend",
            )
        with Activity(self._activities, "check gradients"):
            check_gradients(self._learning, named, atol, rtol, self.seed, n_steps)


def _is_named(objective: Any) -> bool:
    """Whether an objective is one that any backend can compute."""
    given = objective.values() if isinstance(objective, Mapping) else [objective]
    return all(isinstance(each, str) for each in given)
