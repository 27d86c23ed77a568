"""Solving for decoders of a network: what to share, what to begin with early, and what to keep."""

from __future__ import annotations

import contextvars
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nengo.builder.connection import get_eval_points
from nengo.cache import NoDecoderCache
from nengo.ensemble import Ensemble

from .targets import targets_of
from .tuning import Tuning, is_shared

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["Solving"]

MOST_BYTES = 256 * 2**20
"""How much memory activities and factors may take that wait for further connections."""

MOST_THREADS = 4
"""Threads beside that of the build; what they do beyond Python is soon done."""

LEAST_NEURONS = 500
"""With fewer neurons to solve for, threads take longer to begin than they save."""


def _n_cores() -> int:
    """The cores that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Probed(NamedTuple):
    """The connection that Nengo will make for a probe of what an ensemble stands for."""

    pre_obj: Ensemble
    pre_slice: Any
    solver: Any
    function: None = None
    eval_points: None = None


class _Ensemble:
    """One ensemble, while connections from it wait."""

    def __init__(self, tuning: Tuning, connections: Sequence[Any]):
        self.tuning = tuning
        self.n_waiting = len(connections)
        self.future: Future[None] | None = None
        self.is_held = False
        self.plain: dict[Any, Any] = {}
        """A connection for each decoders that no function of the user is needed for."""
        for connection in connections:
            if connection.function is None:
                key = (str(connection.pre_slice), connection.solver.reg)
                self.plain.setdefault(key, connection)
        n_functions = sum(connection.function is not None for connection in connections)
        self.n_needed = len(self.plain) + n_functions

    def join(self) -> None:
        """Have the tuning for this thread alone. What has not begun yet will not begin."""
        if self.future is not None and not self.future.cancel():
            self.future.exception()  # the error comes again, at its place, where it is Nengo's
        self.future = None


class Solving:
    """The decoders of one network, from the first ensemble built to the last connection.

    Threads begin with those of an ensemble as soon as it is built: least squares are outside of
    Python, and Nengo's build is mostly inside of it. Functions of a user are called on the
    builder's thread alone, once per connection and in Nengo's order.

    Used as a context: its end, an interrupt among others, waits for the threads to be gone.
    """

    def __init__(self, network: Any):
        self._connections: dict[Any, list[Any]] = defaultdict(list)
        for connection in [*network.all_connections, *_probed(network)]:
            if is_shared(connection):
                self._connections[connection.pre_obj].append(connection)
        self._ensembles: dict[Any, _Ensemble] = {}
        self._n_bytes = 0
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Solving:
        n_neurons = sum(ensemble.n_neurons for ensemble in self._connections)
        n_threads = min(MOST_THREADS, _n_cores() - 1) if n_neurons >= LEAST_NEURONS else 0
        if n_threads > 0:
            from concurrent.futures import ThreadPoolExecutor  # many networks need none

            self._pool = ThreadPoolExecutor(n_threads, "nengograd-build")
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._ensembles.clear()

    def begin(self, model: Any, ensemble: Any) -> None:
        """Begin with the decoders of an ensemble that was built."""
        connections = self._connections.get(ensemble)
        built = model.params.get(ensemble)
        if not connections or len(built.eval_points) < len(built.encoders):
            return  # with fewer points than neurons Nengo solves another system
        tuning = Tuning(built, ensemble.neuron_type, ensemble.radius)
        entry = self._ensembles[ensemble] = _Ensemble(tuning, connections)
        if self._pool is None or not isinstance(model.decoder_cache, NoDecoderCache):
            return  # what a cache may have is not solved for ahead
        if entry.n_needed > len(entry.plain):
            self._hold(entry)
        if not entry.plain and not entry.is_held:
            return  # it would be solved for again
        problems: list[tuple[Any, Any]] = [
            (connection.solver, targets_of(connection, built.eval_points))
            for connection in entry.plain.values()
        ]
        job = _job(entry, problems or [(connections[0].solver, None)])
        # NumPy's error state is the context's, and holds for work done elsewhere, too.
        entry.future = self._pool.submit(contextvars.copy_context().run, job)

    def decode(self, model: Any, connection: Any, rng: Any) -> tuple[Any, Any, Any] | None:
        """Evaluation points, weights and the solver's information for a connection.

        Returns
        -------
        decoded : tuple or None
            What `nengo.builder.connection.build_decoders` returns. None if Nengo has to solve
            for them: the solver is another one, or there is an error for Nengo to raise.
        """
        entry = self._ensembles.get(connection.pre_obj)
        if entry is None or not is_shared(connection):
            return None
        if model.params.get(connection.pre_obj) is not entry.tuning.built:
            return None
        entry.join()
        entry.n_waiting -= 1
        points = get_eval_points(model, connection, rng)
        targets = targets_of(connection, points)
        tuning = entry.tuning
        try:
            if model.seeded[connection] and not isinstance(model.decoder_cache, NoDecoderCache):
                decoders, info = _solve_cached(
                    model.decoder_cache, tuning, connection, targets, rng
                )
            else:
                decoders, info = tuning.solve(connection.solver, targets)
        except Exception:
            return None
        self._keep_or_free(connection.pre_obj, entry)
        return points, decoders.T, info

    def _hold(self, entry: _Ensemble) -> None:
        """Have an ensemble keep what its decoders are solved from, if there is room."""
        if not entry.is_held and self._n_bytes + entry.tuning.n_bytes <= MOST_BYTES:
            entry.is_held = True
            self._n_bytes += entry.tuning.n_bytes

    def _keep_or_free(self, ensemble: Any, entry: _Ensemble) -> None:
        if entry.n_waiting and entry.tuning.n_solutions < entry.n_needed:
            self._hold(entry)
            if entry.is_held:
                return
        elif entry.is_held:
            entry.is_held = False
            self._n_bytes -= entry.tuning.n_bytes
        entry.tuning.forget_system()
        if not entry.n_waiting:
            del self._ensembles[ensemble]


def _probed(network: Any) -> list[_Probed]:
    """What probes of a network decode; Nengo makes a connection for each."""
    return [
        _Probed(probe.obj, probe.slice or slice(None), probe.solver)
        for probe in network.all_probes
        if isinstance(probe.obj, Ensemble) and probe.attr == "decoded_output"
    ]


def _job(entry: _Ensemble, problems: Sequence[tuple[Any, Any]]) -> Callable[[], None]:
    """What a thread does for an ensemble; without targets, all up to them."""
    tuning, is_held = entry.tuning, entry.is_held

    def solve() -> None:
        for solver, targets in problems:
            if targets is None:
                tuning.prepare(solver)
            else:
                tuning.solve(solver, targets)
        if not is_held:
            tuning.forget_system()

    return solve


def _solve_cached(
    cache: Any, tuning: Tuning, connection: Any, targets: Any, rng: Any
) -> tuple[Any, Any]:
    """Decoders from Nengo's cache, or solved for and given to it."""

    def solve(conn: Any, gain: Any, bias: Any, x: Any, targets: Any, rng: Any) -> tuple[Any, Any]:
        return tuning.solve(conn.solver, targets)

    built = tuning.built
    solver = cache.wrap_solver(solve)
    found: tuple[Any, Any] = solver(
        connection, built.gain, built.bias, tuning.inputs, targets, rng=rng
    )
    return found
