"""A builder of networks that solves for decoders once, and ahead of their turn."""

from __future__ import annotations

from typing import Any

from nengo.builder import Builder
from nengo.builder.connection import build_solver
from nengo.ensemble import Ensemble
from nengo.network import Network
from nengo.solvers import Solver

from .solving import Solving

__all__ = ["SharingBuilder"]


class SharingBuilder(Builder):
    """Nengo's builder, with another way to the same decoders.

    It is given to one model, as ``Model(builder=...)``. All build functions are those that are
    registered with Nengo, among them those of others; only where Nengo's own would solve for
    decoders, and the solver is its default one, is the solution taken from a `Solving`. It keeps
    nothing when the network is built.
    """

    def __init__(self) -> None:
        self._solving: Solving | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_solving": None}

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
        if self._solving is not None and isinstance(obj, Solver):
            decoded = self._solve(model, obj, *args, **kwargs)
            if decoded is not None:
                return decoded
        built = Builder.build(model, obj, *args, **kwargs)
        if self._solving is not None and isinstance(obj, Ensemble):
            self._solving.begin(model, obj)
        return built

    def _build_toplevel(self, model: Any, network: Any, *args: Any, **kwargs: Any) -> Any:
        with Solving(network) as self._solving:
            try:
                return Builder.build(model, network, *args, **kwargs)
            finally:
                self._solving = None

    def _solve(self, model: Any, solver: Any, *args: Any, **kwargs: Any) -> Any:
        """The decoders of a connection, or None where Nengo is to solve for them."""
        if kwargs or len(args) != 2 or args[0].solver is not solver:
            return None
        function = next(
            (self.builders[kind] for kind in type(solver).__mro__ if kind in self.builders), None
        )
        if function is not build_solver or self._solving is None:
            return None
        return self._solving.decode(model, *args)
