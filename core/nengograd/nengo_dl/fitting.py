"""Training, losses and predictions in NengoDL's words."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import NengoWarning, ValidationError

from ..run.state import state_arrays, states_at
from ..simulator import simulator
from ..training.saved import signal_names
from .losses import nan_mse
from .names import by_object, names_of

if TYPE_CHECKING:
    from ..run.runner import Runner

__all__ = ["FittingMethods"]


class FittingMethods(simulator.Simulator):
    """`compile`, `fit`, `evaluate` and `predict`, with nodes and probes by NengoDL's names.

    They begin where the simulation is, and leave it there; with ``stateful=True`` it goes on,
    except for a training.
    """

    _keeps_state = True
    _goes_on = False

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        **others: Any,
    ) -> None:
        """Say how `fit` trains and what `evaluate` computes; see `nengograd.Simulator.compile`.

        Parameters
        ----------
        optimizer, loss, metrics, loss_weights, weighted_metrics, **others : object, optional
            Dicts are by probe or name.
        """
        given = loss, metrics, loss_weights, weighted_metrics
        loss, metrics, loss_weights, weighted_metrics = map(self._targets, given)
        self._names_in_histories = names_of(self.model.probes, "probe")
        super().compile(optimizer, _losses(loss), metrics, loss_weights, weighted_metrics, **others)

    def fit(  # type: ignore[override]
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **options: Any,
    ) -> Any:
        """Train; see `nengograd.Simulator.fit`.

        Parameters
        ----------
        x, y : object, optional
            Inputs by node or name, targets by probe or name, ``(n_items, n_steps, size)``.
        n_steps : int, optional
            Number of steps, where the data do not say.
        stateful : bool
            Whether each minibatch goes on from where the one before it has ended, over epochs, too;
            otherwise it begins where the simulation is. That stays there.
        **options
            Arguments of Keras, such as ``epochs`` and ``callbacks``. A ``batch_size`` is not
            looked at; a warning says so.

        Returns
        -------
        history : History
            Figures of each epoch are in ``history.history``.
        """
        _drop_batch_size(options)
        validation = options.get("validation_data")
        if isinstance(validation, (tuple, list)) and len(validation) in (2, 3):
            held_out, _ = self._counted(validation[0], n_steps)
            wanted = _first(self._targets(validation[1]), self.model.probes, "probes")
            options["validation_data"] = held_out, wanted, *map(self._targets, validation[2:])
        options["sample_weight"] = self._targets(options.get("sample_weight"))
        x, n_steps = self._counted(x, n_steps)
        y = _first(self._targets(y), self.model.probes, "probes")
        options["stateful"] = stateful and self._keeps_state
        return super().fit(x, y, n_steps=n_steps, **options)

    def evaluate(  # type: ignore[override]
        self,
        x: Any = None,
        y: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        **options: Any,
    ) -> dict[str, float]:
        """Losses and metrics by name; see `nengograd.Simulator.evaluate`.

        Parameters
        ----------
        x, y, n_steps
            See `fit`.
        stateful : bool
            Whether the simulation goes on from minibatch to minibatch, and stays where it has come
            to. Otherwise each minibatch begins where the simulation is, which stays there.
        **options
            Arguments of Keras.
        """
        _drop_batch_size(options)
        x, n_steps = self._counted(x, n_steps)
        options["return_dict"] = True
        options["sample_weight"] = self._targets(options.get("sample_weight"))
        y = _first(self._targets(y), self.model.probes, "probes")
        with self._going_on(stateful):
            figures: dict[str, float] = super().evaluate(x, y, n_steps=n_steps, **options)
        return figures

    def predict(  # type: ignore[override]
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False, **options: Any
    ) -> Any:
        """What probes record, by probe; see `nengograd.Simulator.predict`.

        Parameters
        ----------
        x, n_steps
            See `fit`.
        stateful : bool
            See `evaluate`.
        **options
            Arguments of Keras.
        """
        _drop_batch_size(options)
        x, n_steps = self._counted(x, n_steps)
        with self._going_on(stateful):
            return super().predict(x, n_steps=n_steps, **options)

    def predict_on_batch(
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False
    ) -> Any:
        """What probes record for one minibatch, by probe.

        Parameters
        ----------
        x, n_steps, stateful
            See `predict`.
        """
        x, n_steps = self._counted(x, n_steps)
        with self._going_on(stateful):
            return super().predict_on_batch(x, n_steps)

    def check_gradients(  # type: ignore[override]
        self, inputs: Any = None, outputs: Any = None, atol: float = 1e-5, rtol: float = 1e-3
    ) -> None:
        """Compare gradients with finite differences; see `nengograd.Simulator.check_gradients`.

        Parameters
        ----------
        inputs : None
            Has to be left out: nodes give what they give in a run.
        outputs : Probe or sequence of Probe, optional
            By default all probes.
        atol, rtol : float
            What may differ: ``atol + rtol * |numeric|``.
        """
        if inputs is not None:
            raise ValidationError("leave it out: nodes give what they give in a run", attr="inputs")
        super().check_gradients(outputs, atol, rtol)

    # -- where they begin

    def _fit(
        self, data: Any, terms: Any, optimizer: Any, options: Any, *others: Any, **more: Any
    ) -> Any:
        """Train from where the simulation is."""
        runner, options = self._runner, options._replace(over_epochs=options.stateful)
        if runner.n_steps:
            state, names = runner.executable.read(runner.state), signal_names(self.model)
            named = state_arrays(runner.program, state, names)
            program, size = self._learning.differentiable, self.options.n_items
            options = options._replace(
                begins_at=states_at(program, named, names, size), begins_after=runner.n_steps
            )
        return super()._fit(data, terms, optimizer, options, *others, **more)

    @contextmanager
    def _going_on(self, stateful: bool) -> Iterator[None]:
        """Let minibatches go on with the simulation itself, if that is asked for."""
        self._goes_on = stateful and self._keeps_state
        try:
            yield
        finally:
            if self._goes_on:
                self._signals.refresh()
            self._goes_on = False

    def _fresh(self, n_steps: int) -> Runner:
        runner = super()._fresh(n_steps)
        if self._goes_on:
            return self._runner
        if self._runner.n_steps:
            runner.go_on_from(self._runner)
        return runner

    # -- names

    def _inputs(self, given: Any) -> Any:
        nodes = self.feedable_nodes
        return by_object(_first(given, nodes, "nodes"), nodes, "node")

    def _targets(self, given: Any) -> Any:
        return by_object(given, self.model.probes, "probe")

    def _counted(self, x: Any, n_steps: int | None) -> tuple[Any, int | None]:
        """Inputs by node, and the number of steps, which may stand among them."""
        x = self._inputs(x)
        if isinstance(x, Mapping) and "n_steps" in x:
            counts = np.unique(np.asarray(x["n_steps"]))
            if len(counts) != 1:
                raise ValidationError(f"n_steps has to be one number, not {counts}", attr="x")
            x, n_steps = {k: v for k, v in x.items() if k != "n_steps"}, int(counts[0])
        return (x or None) if isinstance(x, Mapping) else x, n_steps


def _losses(given: Any) -> Any:
    """Losses with `nan_mse` by name, so that every backend can compute it."""
    if isinstance(given, Mapping):
        return {key: _losses(value) for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [_losses(value) for value in given]
    return "nan_mse" if given is nan_mse else given


def _first(given: Any, objects: Sequence[Any], what: str) -> Any:
    """A dict of arrays for the first objects, where there are fewer arrays than objects."""
    arrays = [given] if hasattr(given, "shape") else given
    if not isinstance(arrays, (list, tuple)) or not 0 < len(arrays) < len(objects):
        return given
    warnings.warn(
        f"{len(arrays)} arrays are given for {len(objects)} {what}; the first {what} get them, and "
        "a dict says which is for which",
        NengoWarning,
        stacklevel=4,
    )
    return dict(zip(objects, arrays, strict=False))


def _drop_batch_size(options: dict[str, Any]) -> None:
    if options.pop("batch_size", None) is not None:
        warnings.warn(
            "batch_size has no effect: a simulator is made for minibatches of one size, "
            "Simulator(..., minibatch_size=...)",
            NengoWarning,
            stacklevel=3,
        )
