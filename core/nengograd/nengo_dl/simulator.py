"""A simulator with the methods and the meanings of NengoDL's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import NengoWarning, ValidationError

from .. import config
from ..simulator import simulator
from .keras_model import KerasModel
from .losses import nan_mse
from .names import by_object
from .params import nengo_params
from .settings import setting
from .smoothing import SmoothedLIF

__all__ = ["Simulator"]


class Simulator(simulator.Simulator):
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
        self._earlier: Any = None  # the state to go back to before the next run
        if isinstance(network, nengo.Network):
            if setting(network, "spike_gradient") is None:
                with network:
                    config.configure_settings(spike_gradient="rate")
            sigma = setting(network, "lif_smoothing")
            plugins = list(options.get("plugins", ()))
            if sigma is not None and not any(isinstance(p, SmoothedLIF) for p in plugins):
                options["plugins"] = [*plugins, SmoothedLIF(sigma)]
        super().__init__(
            network,
            dt=dt,
            seed=seed,
            model=model,
            device=device,
            unroll_simulation=unroll_simulation,
            minibatch_size=minibatch_size,
            progress_bar=progress_bar,
            **options,
        )

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
    def keras_model(self) -> KerasModel:
        """What scripts ask of NengoDL's Keras model: a summary and weights."""
        return KerasModel(self)

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
        progress_bar : bool or ProgressBar, optional
            By default that of the simulator.
        stateful : bool
            Whether the next run goes on from where this one ends. Otherwise it begins where this
            one began, and probe data begins anew then.
        **options
            See `nengograd.Simulator.run_steps`.
        """
        self._go_back()
        before = None if stateful else self.state
        feeds = options.pop("input_feeds", None) if data is None else self._feeds(data)
        super().run_steps(n_steps, progress_bar, feeds, **options)
        self._earlier = before

    def _feeds(self, data: Any) -> Any:
        data = self._inputs(data)
        if self.options.minibatch_size is not None or not isinstance(data, Mapping):
            return data
        arrays = {node: np.asarray(values) for node, values in data.items()}
        return {node: x[0] if x.ndim == 3 and len(x) == 1 else x for node, x in arrays.items()}

    def _go_back(self) -> None:
        """Leave a run that was not to be kept."""
        if self._earlier is not None:
            self.state, self._earlier = self._earlier, None

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
        self._earlier = None
        if include_trainable and include_probes:
            super().reset(seed)
            return
        if seed is not None:
            self.seed = int(seed)
        super().soft_reset(include_trainable, include_probes)

    def soft_reset(self, include_trainable: bool = False, include_probes: bool = False) -> None:
        """Restore the state of the simulation, not the build.

        Parameters
        ----------
        include_trainable, include_probes : bool
            See `reset`.
        """
        self._earlier = None
        super().soft_reset(include_trainable, include_probes)

    # -- training

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
    ) -> None:
        """Say how `fit` trains and what `evaluate` computes; see `nengograd.Simulator.compile`.

        Parameters
        ----------
        optimizer, loss, metrics, loss_weights : object, optional
            Dicts are by probe or name.
        """
        loss, metrics, loss_weights = map(self._targets, (loss, metrics, loss_weights))
        super().compile(optimizer, _losses(loss), metrics, loss_weights)

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
            Has to be False: each item begins at the first step.
        **options
            Arguments of Keras, such as ``epochs`` and ``callbacks``.

        Returns
        -------
        history : History
            Figures of each epoch are in ``history.history``.
        """
        _check_begins_anew(stateful)
        validation = options.get("validation_data")
        if isinstance(validation, (tuple, list)) and len(validation) == 2:
            held_out, _ = self._counted(validation[0], n_steps)
            options["validation_data"] = held_out, self._targets(validation[1])
        x, n_steps = self._counted(x, n_steps)
        return super().fit(x, self._targets(y), n_steps=n_steps, **options)

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
        x, y, n_steps, stateful
            See `fit`.
        **options
            Arguments of Keras.
        """
        _check_begins_anew(stateful)
        x, n_steps = self._counted(x, n_steps)
        options["return_dict"] = True
        figures: dict[str, float] = super().evaluate(
            x, self._targets(y), n_steps=n_steps, **options
        )
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
            Whether the simulation goes on from where it is, and stays where it has come to.
        **options
            Arguments of Keras.
        """
        if stateful:
            self._go_back()
        x, n_steps = self._counted(x, n_steps)
        return super().predict(x, n_steps=n_steps, stateful=stateful, **options)

    def predict_on_batch(
        self, x: Any = None, n_steps: int | None = None, stateful: bool = False
    ) -> Any:
        """What probes record for one minibatch, by probe.

        Parameters
        ----------
        x, n_steps, stateful
            See `predict`.
        """
        if stateful:
            return self.predict(x, n_steps, stateful=True, verbose=0)
        x, n_steps = self._counted(x, n_steps)
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

    # -- parameters

    def get_nengo_params(self, nengo_objs: Any, as_dict: bool = False) -> Any:
        """Arguments that make objects with the current parameters.

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
        return nengo_params(self, nengo_objs, as_dict)

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
        self._earlier = None
        return super().load_params(path, state=include_state or include_local, **options)

    # -- names

    def _inputs(self, given: Any) -> Any:
        nodes = [node for node in self.model.toplevel.all_nodes if node.size_in == 0]
        return by_object(given, nodes, "node")

    def _targets(self, given: Any) -> Any:
        return by_object(given, self.model.toplevel.all_probes, "probe")

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


def _check_begins_anew(stateful: bool) -> None:
    if stateful:
        raise ValidationError(
            "items of fit and evaluate begin at the first step; leave it out", attr="stateful"
        )


def _check_whole(*parts: bool) -> None:
    if not all(parts):
        warnings.warn(
            "a file of parameters has all that the model computes with, trainable or not",
            NengoWarning,
            stacklevel=3,
        )
