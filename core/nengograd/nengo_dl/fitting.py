"""Training, losses and predictions in NengoDL's words."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning, ValidationError

from ..simulator.simulator import Simulator
from .losses import nan_mse
from .names import by_object, names_of

__all__ = ["FittingMethods"]


class FittingMethods(Simulator):
    """`compile`, `fit`, `evaluate` and `predict`, with nodes and probes by NengoDL's names.

    They begin where the simulation is, and leave it there; with ``stateful=True`` it goes on.
    """

    def compile(  # type: ignore[override]
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
        rest = map(self._by_probe, (metrics, loss_weights, weighted_metrics))
        others.setdefault("output_names", names_of(self.model.probes, "probe"))
        super().compile(optimizer, _losses(self._by_probe(loss)), *rest, **others)

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
            Number of steps; by default that of the data. ``x`` may have it as ``"n_steps"``.
        stateful : bool
            Whether each minibatch goes on where the one before it has ended, over epochs as well,
            and the simulation with the last one. Otherwise each begins where the simulation is.
        **options
            Arguments of Keras, such as ``epochs``, ``validation_data`` and ``callbacks``.

        Returns
        -------
        history : History
            Figures of each epoch are in ``history.history``.
        """
        validation = options.get("validation_data")
        if isinstance(validation, (tuple, list)) and len(validation) in (2, 3):
            held_out, _ = self._inputs(validation[0], n_steps)
            weights = map(self._by_probe, validation[2:])
            options["validation_data"] = held_out, self._targets(validation[1]), *weights
        x, n_steps = self._inputs(x, n_steps, options)
        options["stateful"] = "epochs" if stateful else False
        options["begin_at"] = self.state if self.n_steps else None
        history = super().fit(x, self._targets(y), n_steps=n_steps, **options)
        if history.state is not None:
            self.set_state(history.state)
        return history

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
        x, n_steps = self._inputs(x, n_steps, options)
        options.update(self._beginning(stateful), return_dict=True)
        figures: dict[str, float]
        figures = super().evaluate(x, self._targets(y), n_steps=n_steps, **options)
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
        x, n_steps = self._inputs(x, n_steps, options)
        return super().predict(x, n_steps=n_steps, **self._beginning(stateful), **options)

    def predict_on_batch(  # type: ignore[override]
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False
    ) -> Any:
        """What probes record for one minibatch, by probe.

        Parameters
        ----------
        x, n_steps, stateful
            See `predict`.
        """
        x, n_steps = self._inputs(x, n_steps)
        return super().predict_on_batch(x, n_steps, **self._beginning(stateful))

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

    # -- where they begin, and names

    def _beginning(self, stateful: bool) -> dict[str, Any]:
        goes_on = stateful and self.settings.stateful
        begin_at = None if goes_on or not self.n_steps else self.state
        return {"stateful": goes_on, "begin_at": begin_at}

    def _by_probe(self, given: Any) -> Any:
        return by_object(given, self.model.probes, "probe")

    def _targets(self, y: Any) -> Any:
        return _first(self._by_probe(y), self.model.probes, "probes")

    def _inputs(
        self, x: Any, n_steps: int | None, options: dict[str, Any] | None = None
    ) -> tuple[Any, int | None]:
        """Inputs by node, and the number of steps, which may stand among them."""
        if options is not None:
            if "sample_weight" in options:
                options["sample_weight"] = self._by_probe(options["sample_weight"])
            _drop_batch_size(options)
        nodes = self.feedable_nodes
        x = by_object(_first(x, nodes, "nodes"), nodes, "node")
        if not isinstance(x, Mapping):
            return x, n_steps
        if "n_steps" in x:
            counts = np.unique(np.asarray(x["n_steps"]))
            if len(counts) != 1:
                raise ValidationError(f"n_steps has to be one number, not {counts}", attr="x")
            x, n_steps = {k: v for k, v in x.items() if k != "n_steps"}, int(counts[0])
        return x or None, n_steps


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
            stacklevel=4,
        )
