"""A builder of networks that does equal work once, and solves for decoders ahead of their turn."""

from __future__ import annotations

from typing import Any

from nengo.builder import Builder
from nengo.builder.connection import build_solver
from nengo.builder.processes import build_process
from nengo.ensemble import Ensemble
from nengo.network import Network
from nengo.solvers import Solver
from nengo.synapses import Synapse

from .solving import Solving
from .synapses import Synapses

__all__ = ["SharingBuilder"]


class SharingBuilder(Builder):
    """Nengo's builder, with another way to the same decoders and states of synapses.

    It is given to one model, as ``Model(builder=...)``. All build functions are those that are
    registered with Nengo, among them those of others. Only where Nengo's own would solve for
    decoders with its default solver, or build a synapse, is the result taken from a `Solving` or
    `Synapses`. It keeps nothing when the network is built.
    """

    def __init__(self) -> None:
        self._solving: Solving | None = None
        self._synapses: Synapses | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_solving": None, "_synapses": None}

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
        if self._solving is not None and isinstance(obj, Solver | Synapse):
            way = self._solve if isinstance(obj, Solver) else self._filter
            built = way(model, obj, *args, **kwargs)
            if built is not None:
                return built
        built = Builder.build(model, obj, *args, **kwargs)
        if self._solving is not None and isinstance(obj, Ensemble):
            self._solving.begin(model, obj)
        return built

    def _build_toplevel(self, model: Any, network: Any, *args: Any, **kwargs: Any) -> Any:
        self._synapses = Synapses()
        with Solving(network) as self._solving:
            try:
                return Builder.build(model, network, *args, **kwargs)
            finally:
                self._solving = self._synapses = None

    def _solve(self, model: Any, solver: Any, *args: Any, **kwargs: Any) -> Any:
        """The decoders of a connection, or None where Nengo is to solve for them."""
        if kwargs or len(args) != 2 or args[0].solver is not solver or self._solving is None:
            return None
        if self._function_of(solver) is not build_solver:
            return None
        return self._solving.decode(model, *args)

    def _filter(self, model: Any, synapse: Any, *args: Any, **kwargs: Any) -> Any:
        """The output of a connection's or a probe's synapse, or None where Nengo is to build it."""
        if len(args) != 1 or kwargs.keys() != {"mode"} or self._synapses is None:
            return None
        if self._function_of(synapse) is not build_process:
            return None
        return self._synapses.build(model, synapse, args[0], kwargs["mode"])

    def _function_of(self, obj: Any) -> Any:
        """The build function that Nengo would call."""
        kinds = type(obj).__mro__
        return next((self.builders[kind] for kind in kinds if kind in self.builders), None)
