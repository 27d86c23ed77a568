"""A builder of networks that does equal work once, and solves for decoders ahead of their turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nengo.builder.builder import Builder
from nengo.builder.connection import build_connection as nengos_connection
from nengo.builder.connection import build_solver as nengos_solver
from nengo.builder.ensemble import build_ensemble as nengos_ensemble
from nengo.builder.neurons import build_neurons as nengos_neurons
from nengo.builder.processes import build_process as nengos_process
from nengo.ensemble import Ensemble
from nengo.network import Network
from nengo.rc import rc
from nengo.synapses import Synapse

from .connections import Connections
from .draws import Draws
from .ensembles import build_ensemble, build_neurons
from .solving import Solving
from .synapses import Synapses

__all__ = ["SharingBuilder"]


class _Shared(NamedTuple):
    """What the objects of one network share while it is built."""

    solving: Solving
    synapses: Synapses
    connections: Connections
    draws: Draws
    dtype: Any
    tries_operators: bool
    """Whether Nengo is to try each operator as it is added."""


class SharingBuilder(Builder):
    """Nengo's builder, with a shorter way to the same parameters, operators and states.

    It is given to one model, as ``Model(builder=...)``. All build functions are those that are
    registered with Nengo, among them those of others. Only where Nengo's own would build an
    ensemble, its neurons, a connection or a synapse, or solve for decoders with its default solver,
    is that done here; what is out of the ordinary is left to Nengo. It keeps nothing when the
    network is built.
    """

    def __init__(self) -> None:
        self._shared: _Shared | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_shared": None}

    def build(  # type: ignore[override]  # Nengo's is a class method, and called on the instance
        self, model: Any, obj: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Build an object into a model, as `nengo.builder.Builder.build` does.

        Parameters
        ----------
        model : nengo.builder.Model
            Where to build.
        obj : object
            What to build.
        *args, **kwargs
            Passed on to the build function.
        """
        if isinstance(obj, Network) and model.toplevel is None:
            return self._build_toplevel(model, obj, *args, **kwargs)
        way = None if self._shared is None else _WAYS.get(self._function_of(obj))
        built = None
        if way is not None and not model.has_built(obj):
            built = way(self._shared, model, obj, *args, **kwargs)
        if built is None:
            built = Builder.build(model, obj, *args, **kwargs)
        if self._shared is not None and isinstance(obj, Ensemble):
            self._shared.solving.begin(model, obj)
        return None if built is True else built

    def _build_toplevel(self, model: Any, network: Any, *args: Any, **kwargs: Any) -> Any:
        draws, dtype = Draws(), rc.float_dtype
        connections = Connections(draws, dtype, self._function_of)
        tries_operators = rc["nengo.Simulator"].getboolean("fail_fast")
        with Solving(network) as solving:
            self._shared = _Shared(solving, Synapses(), connections, draws, dtype, tries_operators)
            try:
                return Builder.build(model, network, *args, **kwargs)
            finally:
                self._shared = None

    def _function_of(self, obj: Any) -> Any:
        """The build function that Nengo would call."""
        kinds = type(obj).__mro__
        return next((self.builders[kind] for kind in kinds if kind in self.builders), None)


# Each way returns what Nengo's function does, True instead of None, and None where Nengo has to
# build the object.


def _ensemble(shared: _Shared, model: Any, ensemble: Any) -> bool | None:
    if shared.tries_operators:
        return None
    return build_ensemble(model, ensemble, shared.draws, shared.dtype) or None


def _neurons(shared: _Shared, model: Any, kind: Any, *args: Any, **kwargs: Any) -> bool | None:
    if shared.tries_operators or kwargs or len(args) != 1:
        return None
    return build_neurons(model, kind, args[0], shared.draws) or None


def _connection(shared: _Shared, model: Any, connection: Any) -> bool | None:
    if shared.tries_operators:
        return None
    return shared.connections.build(model, connection) or None


def _decoders(shared: _Shared, model: Any, solver: Any, *args: Any, **kwargs: Any) -> Any:
    if kwargs or len(args) != 2 or args[0].solver is not solver:
        return None
    return shared.solving.decode(model, *args)


def _synapse(shared: _Shared, model: Any, synapse: Any, *args: Any, **kwargs: Any) -> Any:
    """The output of a connection's or a probe's synapse."""
    if not isinstance(synapse, Synapse) or len(args) != 1 or kwargs.keys() != {"mode"}:
        return None
    return shared.synapses.build(model, synapse, args[0], kwargs["mode"])


_WAYS: dict[Any, Callable[..., Any]] = {
    nengos_ensemble: _ensemble,
    nengos_neurons: _neurons,
    nengos_connection: _connection,
    nengos_solver: _decoders,
    nengos_process: _synapse,
}
