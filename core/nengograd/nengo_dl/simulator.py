"""A simulator with the methods and the meanings of NengoDL's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import ValidationError

from ..export import arguments_of
from .fitting import FittingMethods
from .names import by_name
from .settings import choose_defaults, warn

__all__ = ["Simulator"]


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
            choose_defaults(network)
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

    def get_name(self, obj: Any) -> str:
        """What data and figures call a node or a probe: its label, else what it is, and a number.

        Parameters
        ----------
        obj : Node or Probe
            An object of the network.
        """
        known = ("node", self.feedable_nodes), ("probe", self.model.probes)
        for name, found in (pair for kind, objs in known for pair in by_name(objs, kind).items()):
            if found is obj:
                return str(name)
        text = f"{obj} is no probe, and no node that takes data, of the simulator's network"
        raise ValidationError(text, attr="obj")

    # -- running

    def step(self, data: Any = None, stateful: bool = True, **options: Any) -> None:
        """Advance by one time step; see `run_steps`.

        Parameters
        ----------
        data, stateful, **options
            See `run_steps`.
        """
        self.run_steps(1, data, stateful=stateful, **options)

    def run(self, time_in_seconds: float, data: Any = None, **options: Any) -> None:
        """Simulate for a length of time, rounded to whole steps.

        Parameters
        ----------
        time_in_seconds : float
            Simulated time.
        data, **options
            See `run_steps`.
        """
        super().run(time_in_seconds, **self._fed(data, options))

    def run_steps(
        self,
        n_steps: int,
        data: Any = None,
        progress_bar: Any = None,
        stateful: bool = True,
        **options: Any,
    ) -> None:
        """Simulate for a number of steps.

        Parameters
        ----------
        n_steps : int
            Number of steps.
        data : dict, optional
            Values of nodes, by node or name: ``(minibatch_size, n_steps, size_out)``.
        progress_bar, stateful, **options
            See `nengograd.Simulator.run_steps`.
        """
        options.update(progress_bar=progress_bar, stateful=stateful)
        super().run_steps(n_steps, **self._fed(data, options))

    def _fed(self, data: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Options of a run with what is fed, which may have an axis for a minibatch of one."""
        if data is None:
            return options
        feeds, _ = self._inputs(data, None, {})
        if self.options.minibatch_size is None and isinstance(feeds, Mapping):
            arrays = {node: np.asarray(values) for node, values in feeds.items()}
            feeds = {n: x[0] if x.ndim == 3 and len(x) == 1 else x for n, x in arrays.items()}
        return {**options, "input_feeds": feeds}

    def reset(self, *given: Any, include_processes: bool = True, **options: Any) -> None:
        """Go back to the state before the first step; see `nengograd.Simulator.reset`.

        Parameters
        ----------
        include_processes : bool
            Has to be True: processes always begin anew.
        *given, **options
            ``seed``, ``include_trainable`` and ``include_probes``.
        """
        if not include_processes:
            text = "processes begin anew with each reset; leave it out"
            raise ValidationError(text, attr="include_processes")
        super().reset(*given, **options)

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
        found = arguments_of(self, nengo_objs, by_label=as_dict)
        if as_dict:
            return found
        is_list = isinstance(nengo_objs, (list, tuple))
        return [found[obj] for obj in nengo_objs] if is_list else found[nengo_objs]

    def save_params(
        self,
        path: Any,
        include_state: bool = False,
        include_non_trainable: bool = True,
        **more: Any,
    ) -> None:
        """Write parameters into a file; see `nengograd.Simulator.save_params`.

        Parameters
        ----------
        path : str or path
            ``.npz`` is added where it is missing.
        include_state : bool
            Whether to write the state of the simulation, too. Older scripts say ``include_local``.
        include_non_trainable : bool
            Has to be True, as ``include_global`` of older scripts: all that the model computes with
            is in the file.
        **more
            See `nengograd.Simulator.save_params`.
        """
        state = _with_state(include_state, include_non_trainable, more)
        super().save_params(path, state=state, **more)

    def load_params(
        self,
        path: Any,
        include_state: bool = False,
        include_non_trainable: bool = True,
        **more: Any,
    ) -> Any:
        """Take over what `save_params` has written; see `nengograd.Simulator.load_params`.

        Parameters
        ----------
        path, include_state, include_non_trainable, **more
            See `save_params`.
        """
        state = _with_state(include_state, include_non_trainable, more)
        # Gains and states of neurons belong to the neuron type: rates are trained, spikes run.
        return super().load_params(path, **{"state": state, "include_neurons": state, **more})


def _with_state(include_state: bool, whole: bool, options: dict[str, Any]) -> bool:
    """Whether a file has a state, too; takes the names of NengoDL 2 out of the options."""
    if not (options.pop("include_global", True) and whole):
        warn("a file of parameters has all that the model computes with, trainable or not")
    return bool(options.pop("include_local", False) or include_state)
