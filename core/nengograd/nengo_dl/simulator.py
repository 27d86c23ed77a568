"""A simulator with the methods and the meanings of NengoDL's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import NengoWarning, ValidationError

from ..config import configure_settings
from ..export import arguments_of
from .fitting import FittingMethods

__all__ = ["Simulator"]

_DEFAULTS = {
    "spike_gradient": "rate",
    "share_process_seeds": True,
    "biases_follow_ensembles": True,
    "layers_follow_networks": False,
}
"""Settings whose defaults are others here."""


class Simulator(FittingMethods):
    """`nengograd.Simulator` with the arguments of NengoDL 3.

    Spiking neurons are trained as their rates, unless the network has another ``spike_gradient``.
    Everything else is as in `nengograd.Simulator`.

    Parameters
    ----------
    network : nengo.Network or None
        The network.
    dt, seed, model, device, unroll_simulation, minibatch_size, progress_bar : object, optional
        See `nengograd.Simulator`.
    **options
        Its other arguments, such as ``backend`` or ``dtype``.
    """

    def __init__(
        self,
        network: Any,
        dt: float = 0.001,
        seed: int | None = None,
        model: Any = None,
        device: str | Sequence[str] | None = None,
        unroll_simulation: int = 1,
        minibatch_size: int | None = None,
        progress_bar: Any = True,
        **options: Any,
    ):
        if isinstance(network, nengo.Network):
            given = network.config.params.get(nengo.Network)
            unset = {k: v for k, v in _DEFAULTS.items() if getattr(given, k, None) is None}
            with network:
                configure_settings(**unset)
        options.update(device=device, unroll_simulation=unroll_simulation)
        options.update(minibatch_size=minibatch_size, progress_bar=progress_bar)
        super().__init__(network, dt, seed, model, **options)

    # -- what it is

    @property
    def minibatch_size(self) -> int:
        """Number of simulations that run side by side."""
        return self.options.minibatch_size or 1

    @property
    def unroll(self) -> int:
        """Steps per iteration of the backend's loop."""
        return self.options.unroll

    @property
    def keras_model(self) -> Simulator:
        """The simulator itself, which has what scripts ask of a Keras model: summary, weights."""
        return self

    # -- running

    def step(  # type: ignore[override]
        self, data: Any = None, stateful: bool = True, **options: Any
    ) -> None:
        """Advance by one time step; see `run_steps`.

        Parameters
        ----------
        data, stateful, **options
            See `run_steps`.
        """
        self.run_steps(1, data, stateful=stateful, **options)

    def run(  # type: ignore[override]
        self, time_in_seconds: float, data: Any = None, **options: Any
    ) -> None:
        """Simulate for a length of time, rounded to whole steps.

        Parameters
        ----------
        time_in_seconds : float
            Simulated time.
        data, **options
            See `run_steps`.
        """
        steps = int(np.round(float(time_in_seconds) / self.dt))
        if steps > 0:
            self.run_steps(steps, data, **options)
        else:
            super().run(time_in_seconds)

    def run_steps(  # type: ignore[override]
        self, n_steps: int, data: Any = None, progress_bar: Any = None, **options: Any
    ) -> None:
        """Simulate for a number of steps.

        Parameters
        ----------
        n_steps : int
            Number of steps.
        data : dict, optional
            Values of nodes, by node or name: ``(minibatch_size, n_steps, size_out)``.
        progress_bar : bool or ProgressBar, optional
            By default that of the simulator.
        **options
            See `nengograd.Simulator.run_steps`, such as ``stateful``.
        """
        if data is not None:
            options["input_feeds"] = self._feeds(data)
        raw = self.data.raw
        last = [probe for probe in self.model.probes if not self.settings.keep_history(probe)]
        kept = {probe: len(raw[probe]) for probe in last}
        try:
            super().run_steps(n_steps, progress_bar, **options)
        finally:
            for probe, count in kept.items():
                del raw[probe][count : max(len(raw[probe]) - 1, count)]

    def _feeds(self, data: Any) -> Any:
        feeds, _ = self._inputs(data, None)
        if self.options.minibatch_size is not None or not isinstance(feeds, Mapping):
            return feeds
        arrays = {node: np.asarray(values) for node, values in feeds.items()}
        return {node: x[0] if x.ndim == 3 and len(x) == 1 else x for node, x in arrays.items()}

    def reset(
        self,
        seed: int | None = None,
        include_trainable: bool = True,
        include_probes: bool = True,
        include_processes: bool = True,
    ) -> None:
        """Go back to the state before the first step.

        Parameters
        ----------
        seed : int, optional
            A new seed for all random processes.
        include_trainable, include_probes : bool
            Whether to restore parameters that training has changed, and to forget probe data.
        include_processes : bool
            Has to be True: processes always begin anew.
        """
        if not include_processes:
            raise ValidationError(
                "processes begin anew with each reset; leave it out", attr="include_processes"
            )
        if include_trainable and include_probes:
            super().reset(seed)
            return
        if seed is not None:
            self.seed = int(seed)
        super().soft_reset(include_trainable, include_probes)

    # -- parameters

    def get_nengo_params(self, nengo_objs: Any, as_dict: bool = False) -> Any:
        """Arguments that make objects with the current parameters; see `nengograd.arguments_of`.

        Parameters
        ----------
        nengo_objs : Ensemble, Connection or sequence of them
            What to read.
        as_dict : bool
            Whether to return a dict by label.

        Returns
        -------
        arguments : dict, list of dict, or dict of dict
            Of an object, or of each.
        """
        found = arguments_of(self, nengo_objs)
        labels = [obj.label for obj in found]
        if as_dict and (None in labels or len(set(labels)) < len(labels)):
            raise ValidationError(
                f"each object needs a label of its own for a dict; they have {labels}",
                attr="nengo_objs",
            )
        if as_dict:
            return dict(zip(labels, found.values(), strict=True))
        is_list = isinstance(nengo_objs, (list, tuple))
        return [found[obj] for obj in nengo_objs] if is_list else found[nengo_objs]

    def save_params(  # type: ignore[override]
        self,
        path: Any,
        include_state: bool = False,
        include_non_trainable: bool = True,
        include_global: bool = True,
        include_local: bool = False,
        **options: Any,
    ) -> None:
        """Write parameters into a file; see `nengograd.Simulator.save_params`.

        Parameters
        ----------
        path : str or path
            ``.npz`` is added where it is missing.
        include_state, include_local : bool
            Whether to write the state of the simulation, too.
        include_non_trainable, include_global : bool
            Have to be True: all that the model computes with is in the file.
        **options
            See `nengograd.Simulator.save_params`.
        """
        _check_whole(include_non_trainable, include_global)
        super().save_params(path, state=include_state or include_local, **options)

    def load_params(  # type: ignore[override]
        self,
        path: Any,
        include_state: bool = False,
        include_non_trainable: bool = True,
        include_global: bool = True,
        include_local: bool = False,
        **options: Any,
    ) -> Any:
        """Take over what `save_params` has written; see `nengograd.Simulator.load_params`.

        Parameters
        ----------
        path, include_state, include_non_trainable, include_global, include_local, **options
            See `save_params`.
        """
        _check_whole(include_non_trainable, include_global)
        state = include_state or include_local
        # Gains and states of neurons belong to the neuron type: rates are trained, spikes run.
        options = {"state": state, "include_neurons": state, **options}
        return super().load_params(path, **options)


def _check_whole(*parts: bool) -> None:
    if not all(parts):
        warnings.warn(
            "a file of parameters has all that the model computes with, trainable or not",
            NengoWarning,
            stacklevel=3,
        )
