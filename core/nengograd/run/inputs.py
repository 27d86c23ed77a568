"""Inputs of a run: sources that are evaluated ahead, and values that users feed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..plugin.executable import Options
from ..program.sources import ConstantSource, Source, StepFunction

__all__ = ["NO_FEEDS", "Feeds", "Inputs", "check_feeds", "check_node", "numbers"]


@dataclass(frozen=True)
class Feeds:
    """What replaces the output of nodes in a run.

    Attributes
    ----------
    values : mapping
        Node -> array ``(n_steps, [minibatch,] size_out)``. Steps past its end repeat the last.
    first : int
        Number of the step that the arrays begin with.
    """

    values: Mapping[Any, NDArray[Any]] = field(default_factory=dict)
    first: int = 1

    def __contains__(self, node: Any) -> bool:
        return node in self.values

    def write(self, node: Any, first: int, out: NDArray[Any]) -> None:
        """Write what is fed from step ``first`` on into an array ``(n, [minibatch,] size_out)``."""
        values = self.values[node]
        taken = values[first - self.first : first - self.first + len(out)]
        if len(taken) == len(out):
            out[...] = taken
        else:
            out[: len(taken)] = taken
            out[len(taken) :] = values[-1]

    def at(self, node: Any, step: int) -> NDArray[Any]:
        """What is fed in one step, ``([minibatch,] size_out)``."""
        values = self.values[node]
        fed: NDArray[Any] = values[min(step - self.first, len(values) - 1)]
        return fed


_LARGEST = float(np.finfo(np.float32).max)

NO_FEEDS = Feeds()
"""For a run in which all nodes put out what they do."""


def check_feeds(
    feeds: Mapping[Any, Any],
    nodes: Collection[Any],
    n_steps: int,
    options: Options,
) -> dict[Any, NDArray[Any]]:
    """Check what a user wants to feed, and put time first.

    Parameters
    ----------
    feeds : mapping
        Node -> array ``(minibatch, n_steps, size_out)``; without a minibatch also
        ``(n_steps, size_out)``.
    nodes : collection of nengo.Node
        Those that may be fed.
    n_steps : int
        Steps of the run.
    options : Options
        Minibatch and dtype of the simulation.

    Returns
    -------
    values : dict
        As in `Feeds`.

    Raises
    ------
    nengo.exceptions.ValidationError
        If something that cannot be fed is, or shape, length or values do not fit. Nothing
        has run then.
    """
    checked = {}
    for node, values in feeds.items():
        check_node(node, nodes, "input_feeds")
        checked[node] = _check_values(node, values, n_steps, options)
    return checked


def check_node(node: Any, nodes: Collection[Any], attr: str) -> None:
    """Raise an error about argument ``attr`` if a node is none of those that may be fed."""
    if not isinstance(node, nengo.Node):
        raise ValidationError(f"keys must be nodes, not {node!r}", attr=attr)
    if node not in nodes:
        raise ValidationError(
            f"{node} cannot be fed: it has incoming connections, no output, or is not "
            "part of this simulator's network",
            attr=attr,
        )


def numbers(key: Any, values: Any, attr: str, dtype: Any) -> NDArray[Any]:
    """What a user gave for a node or a probe, as an array of the simulation's dtype.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is no array of numbers, or one of them is too large for the dtype.
    """
    try:
        given = np.asarray(_on_host(values))
        if given.dtype.kind == "c":
            raise TypeError("they are complex")
        if _are_moderate(given):
            moderate: NDArray[Any] = given.astype(dtype, copy=False)
            return moderate
        with np.errstate(over="ignore"):
            array = np.asarray(given, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValidationError(
            f"values for {key} are no array of numbers: {error}", attr=attr
        ) from error
    if given.dtype != array.dtype and given.dtype.kind in "iuf":
        lost = np.isinf(array) & np.isfinite(given)
        if lost.any():
            raise ValidationError(
                f"values for {key} go up to {np.abs(given[lost]).max():g}, and {array.dtype} ends "
                f"at {np.finfo(array.dtype).max:g}: scale them, or simulate with dtype='float64'",
                attr=attr,
            )
    return array


def _on_host(values: Any) -> Any:
    """Values as NumPy can read them: tensors of PyTorch without gradient, and in memory."""
    for method in ("detach", "cpu"):
        change = getattr(values, method, None)
        values = change() if callable(change) else values
    return values


def _are_moderate(x: NDArray[Any]) -> bool:
    """Whether numbers are finite, and no dtype is too small for them; a quick test.

    It says no of numbers near the ends of float32, too, whose squares are beyond them.
    """
    return x.dtype.kind == "f" and float(np.vdot(x, x)) < _LARGEST


def _check_values(node: Any, values: Any, n_steps: int, options: Options) -> NDArray[Any]:
    array = numbers(node, values, "input_feeds", options.dtype)
    expected = (options.n_items, n_steps, node.size_out)
    if options.minibatch_size is None and array.shape == expected[1:]:
        array = array[None]
    if array.shape != expected:
        raise ValidationError(
            f"values for {node} have shape {array.shape}; (minibatch, n_steps, size_out) is "
            f"{expected}",
            attr="input_feeds",
        )
    if not _are_moderate(array) and not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValidationError(
            f"values for {node} are not finite, first at [item, step, dimension] {where}",
            attr="input_feeds",
        )
    return array[0] if options.minibatch_size is None else array.swapaxes(0, 1)


class Inputs:
    """Evaluates a program's sources for a chunk of steps at a time.

    Parameters
    ----------
    sources : sequence of (Source, int, int)
        Each with start and length of its place in the input array.
    functions : mapping
        By the key of each source, the function that `Source.start` has returned.
    dt : float
        Length of a step, in seconds.
    batch : tuple of int
        The batch axis, if there is one.
    dtype : dtype
        Of the input array.
    renewed : collection of int
        Ids of the operators whose sources `renew` reads again.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, int, int]],
        functions: Mapping[Any, StepFunction],
        dt: float,
        batch: tuple[int, ...],
        dtype: Any,
        renewed: Collection[int] = (),
    ):
        self._batch = batch
        self._dtype = dtype
        self._dt = dt
        self._functions = functions
        self.follow(sources, renewed)

    def follow(
        self, sources: Sequence[tuple[Source, int, int]], renewed: Collection[int] = ()
    ) -> None:
        """Go on with the same sources, which now lie elsewhere; `renewed` as for the class."""
        self.size = sum(length for _, _, length in sources)
        self._steps: list[tuple[Any, slice, StepFunction]] = []
        self._constants: list[tuple[slice, ConstantSource]] = []
        # Those that change, with their place in the inputs of one step.
        self._renewed: list[tuple[Any, Any, StepFunction]] = []
        others: list[tuple[Any, Any, StepFunction]] = []
        for source, start, length in sources:
            function = self._functions.get(source.key)
            # A program may do without the time, which has no state, as constants have none.
            if function is None or isinstance(source, ConstantSource):
                function = source.start(self._dt, [])
            step = (source.node, slice(start, start + length), function)
            self._steps.append(step)
            if isinstance(source, ConstantSource):
                self._constants.append((step[1], source))
                continue
            part = step[1]
            changing = (source.node, (..., part) if self._batch else part, function)
            (self._renewed if id(source.operator) in renewed else others).append(changing)
        # If one that is renewed fails in a step, no process has gone on to that step.
        self._changing = [*self._renewed, *others]
        # The inputs of one step but for those that change, and the constants that are in it.
        self._row = np.zeros((1, *self._batch, self.size), dtype=self._dtype)
        self._row_values: list[Any] = []
        self._fill_row()

    def memories(self) -> dict[str, NDArray[Any]]:
        """What processes keep from step to step, in arrays that they change in place.

        Named by source, item and the name that the process gives it.
        """
        return {
            f"sources[{number}].items[{item}].{name}": array
            for number, (_, _, function) in enumerate(self._steps)
            for item, state in enumerate(getattr(function, "memory", ()))
            for name, array in state.items()
        }

    def read_step(self, step: int) -> NDArray[Any]:
        """Inputs of one step without feeds, ``(1, ..., size)``; not to be written to.

        As `read`, for the least time: what a source raises is passed on.
        """
        for (_, source), value in zip(self._constants, self._row_values, strict=True):
            if source.value is not value:
                self._fill_row()
                break
        if not self._changing:
            return self._row
        out = self._row.copy()
        row = out[0]
        with np.errstate(invalid="raise", divide="ignore"):
            for _, place, function in self._changing:
                row[place] = function(step)
        return out

    def _fill_row(self) -> None:
        """Put the constants into a new row: what has run may hold the old one."""
        self._row_values = [source.value for _, source in self._constants]
        self._row = np.zeros_like(self._row)
        for (place, _), value in zip(self._constants, self._row_values, strict=True):
            self._row[..., place] = value

    def read(
        self, first: int, n: int, feeds: Feeds = NO_FEEDS
    ) -> tuple[NDArray[Any], int, BaseException | None]:
        """Inputs of steps ``first`` to ``first + n - 1``.

        Parameters
        ----------
        first : int
            Number of the first step; a simulation begins with step 1.
        n : int
            Number of steps.
        feeds : Feeds
            What replaces the output of nodes.

        Returns
        -------
        inputs : (n, ..., size) array
            All sources, side by side.
        done : int
            Number of steps that are complete.
        error : BaseException or None
            What stopped the evaluation before the end.
        """
        out = np.empty((n, *self._batch, self.size), dtype=self._dtype)
        for place, source in self._constants:
            out[..., place] = source.value
        active = self._changing
        if feeds.values:
            for node, place, _ in self._steps:
                if node in feeds:
                    feeds.write(node, first, out[..., place])
            active = [step for step in active if step[0] not in feeds]
        return self._fill(first, out, active)

    def renew(
        self, first: int, rows: NDArray[Any], feeds: Feeds = NO_FEEDS
    ) -> tuple[NDArray[Any], int, BaseException | None]:
        """Inputs that have been read before, with the sources called again that are to be renewed.

        Parameters
        ----------
        first : int
            Number of the first step.
        rows : (n, ..., size) array
            Inputs of that step and of those after it, as they were read; they stay.
        feeds : Feeds
            What replaces the output of nodes.

        Returns
        -------
        inputs, done, error
            As of `read`.
        """
        return self._fill(first, rows.copy(), [x for x in self._renewed if x[0] not in feeds])

    def _fill(
        self, first: int, out: NDArray[Any], active: Sequence[tuple[Any, Any, StepFunction]]
    ) -> tuple[NDArray[Any], int, BaseException | None]:
        """Put in what sources give in some steps."""
        n = len(out)
        if not active:
            return out, n, None
        i = 0
        with np.errstate(invalid="raise", divide="ignore"):
            try:
                for i in range(n):
                    row, number = out[i], first + i
                    for _, place, step in active:
                        row[place] = step(number)
            except BaseException as error:
                return out[:i], i, error
        return out, n, None
