"""Training, losses and predictions in NengoDL's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from ..simulator.simulator import Simulator
from ..training.streams import renamed
from .names import by_name
from .settings import warn

__all__ = ["FittingMethods"]


class FittingMethods(Simulator):
    """`compile`, `fit`, `evaluate` and `predict`, with nodes and probes by NengoDL's names.

    They begin where the simulation is, and leave it there; with ``stateful=True`` it goes on.
    """

    def compile(self, *given: Any, **options: Any) -> None:
        """Say how `fit` trains and what `evaluate` computes; see `nengograd.Simulator.compile`.

        Parameters
        ----------
        *given, **options
            Arguments of Keras, ``optimizer``, ``loss``, ``metrics``, ``loss_weights`` and
            ``weighted_metrics``; dicts are by probe or name.
        """
        options = {"output_names": list(by_name(self.model.probes, "probe")), **options}
        named = {key: self._by_probe(value) for key, value in options.items()}
        super().compile(*map(self._by_probe, given), **named)

    def fit(
        self, x: Any = None, y: Any = None, n_steps: Any = None, stateful: bool = False, **more: Any
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
        **more
            Arguments of Keras, such as ``epochs``, ``validation_data`` and ``callbacks``.

        Returns
        -------
        history : History
            Figures of each epoch are in ``history.history``.
        """
        held_out = more.get("validation_data")
        if held_out is not None and not isinstance(held_out, (tuple, list)):
            more["validation_data"], _ = self._inputs(held_out, n_steps, {})
        elif isinstance(held_out, (tuple, list)) and len(held_out) in (2, 3):
            inputs, _ = self._inputs(held_out[0], n_steps, {})
            weights = map(self._by_probe, held_out[2:])
            more["validation_data"] = inputs, self._targets(held_out[1]), *weights
        x, n_steps = self._inputs(x, n_steps, more)
        more["stateful"] = "epochs" if stateful else False
        more["begin_at"] = self.state if self.n_steps else None
        history = super().fit(x, self._targets(y), n_steps=n_steps, **more)
        if history.state is not None:
            self.set_state(history.state)
        return history

    def evaluate(
        self, x: Any = None, y: Any = None, n_steps: Any = None, stateful: bool = False, **more: Any
    ) -> Any:
        """Losses and metrics by name; see `nengograd.Simulator.evaluate`.

        Parameters
        ----------
        x, y, n_steps
            See `fit`.
        stateful : bool
            Whether the simulation goes on from minibatch to minibatch, and stays where it has come
            to. Otherwise each minibatch begins where the simulation is, which stays there.
        **more
            Arguments of Keras.
        """
        x, n_steps = self._inputs(x, n_steps, more)
        more.update(self._beginning(stateful), return_dict=True)
        return super().evaluate(x, self._targets(y), n_steps=n_steps, **more)

    def predict(
        self, x: Any = None, n_steps: Any = None, stateful: bool = False, **more: Any
    ) -> Any:
        """What probes record, by probe; see `nengograd.Simulator.predict`.

        Parameters
        ----------
        x, n_steps
            See `fit`.
        stateful : bool
            See `evaluate`.
        **more
            Arguments of Keras.
        """
        x, n_steps = self._inputs(x, n_steps, more)
        return super().predict(x, n_steps=n_steps, **self._beginning(stateful), **more)

    def predict_on_batch(self, x: Any = None, n_steps: Any = None, stateful: bool = False) -> Any:
        """What probes record for one minibatch, by probe.

        Parameters
        ----------
        x, n_steps, stateful
            See `predict`.
        """
        return super().predict_on_batch(*self._inputs(x, n_steps, {}), **self._beginning(stateful))

    def check_gradients(self, inputs: None = None, *given: Any, **more: Any) -> None:
        """Compare gradients with finite differences; see `nengograd.Simulator.check_gradients`.

        Parameters
        ----------
        inputs : None
            Has to be left out: nodes give what they give in a run.
        *given, **more
            ``outputs``, ``atol`` and ``rtol``.
        """
        if inputs is not None:
            raise ValidationError("leave it out: nodes give what they give in a run", attr="inputs")
        super().check_gradients(*given, **more)

    # -- where they begin, and names

    def _beginning(self, stateful: bool) -> dict[str, Any]:
        goes_on = stateful and self.settings.stateful
        begin_at = None if goes_on or not self.n_steps else self.state
        return {"stateful": goes_on, "begin_at": begin_at}

    def _by_probe(self, given: Any) -> Any:
        return renamed(given, by_name(self.model.probes, "probe"))

    def _targets(self, y: Any) -> Any:
        return _first(self._by_probe(y), self.model.probes, "probes")

    def _inputs(self, x: Any, n_steps: Any, more: dict[str, Any]) -> tuple[Any, Any]:
        """Inputs by node, and the number of steps, which may stand among them."""
        if "sample_weight" in more:
            more["sample_weight"] = self._by_probe(more["sample_weight"])
        if more.pop("batch_size", None) is not None:
            warn("batch_size has no effect: it is that of Simulator(..., minibatch_size=...)")
        nodes = self.feedable_nodes
        x = _first(x, nodes, "nodes")
        if isinstance(x, Mapping) and "n_steps" in x:
            counts = np.unique(np.asarray(x["n_steps"]))
            if len(counts) != 1:
                raise ValidationError(f"n_steps has to be one number, not {counts}", attr="x")
            n_steps = int(counts[0])
        keys = {**by_name(nodes, "node"), "n_steps": None}
        x = renamed(x, keys, by_name(self.model.probes, "probe"))
        return (None if isinstance(x, Mapping) and not x else x), n_steps


def _first(given: Any, objects: Sequence[Any], what: str) -> Any:
    """A dict of arrays for the first objects, where there are fewer arrays than objects."""
    arrays = [given] if hasattr(given, "shape") else given
    if not isinstance(arrays, (list, tuple)) or not 0 < len(arrays) < len(objects):
        return given
    n = f"{len(arrays)} arrays are given for {len(objects)} {what}"
    warn(f"{n}; the first {what} get them, and a dict says which is for which", 5)
    return dict(zip(objects, arrays, strict=False))
