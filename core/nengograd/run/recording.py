"""Probe data of a simulation, and the parameters that its model was built with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RawData",
    "RawSamples",
    "Recorder",
    "Recording",
    "SimulationData",
    "Timeline",
    "probe_names",
]


def probe_names(probes: Sequence[Any]) -> list[str]:
    """What files, pictures and histories call each probe: its label if no other has the same."""
    labels = [probe.label for probe in probes]
    return [
        str(label) if label is not None and labels.count(label) == 1 else f"probes[{index}]"
        for index, label in enumerate(labels)
    ]


def without_address(label: str) -> str:
    """Return a label of Nengo's without what differs in each process."""
    return re.sub(r" \(unlabeled\) at 0x[0-9a-f]+| at 0x[0-9a-f]+", "", label)


class Recorder:
    """Data of one probe, kept in the pieces in which it arrived.

    Parameters
    ----------
    period : float
        Steps between two samples; a step is kept where ``step % period < 1``, as in Nengo.
    size : int
        Elements per sample.
    batch : tuple of int
        The batch axis, if there is one.
    dtype : dtype
        Of the data.
    """

    def __init__(self, period: float, shape: tuple[int, ...], batch: tuple[int, ...], dtype: Any):
        self.period = period
        self.shape = shape
        self.batch = batch
        self.dtype = dtype
        self._pieces: list[NDArray[Any]] = []
        self._given: tuple[int, Any] = (0, None)  # what was added last
        self._shown: tuple[NDArray[Any], NDArray[Any]] | None = (
            None  # samples, and as users see them
        )

    def add(self, first: int, values: NDArray[Any]) -> None:
        """Keep values of steps ``first, first + 1, ...``, shape (n, [minibatch,] size).

        What was added last is not added again.
        """
        last, given = self._given
        if given is values and last == first:
            return
        kept = values
        if self.period != 1:
            if values.shape[0] == 1:  # without NumPy, for loops of single steps
                kept = values if first % self.period < 1 else values[:0]
            else:
                steps = np.arange(first, first + len(values))
                kept = values[steps % self.period < 1]
        # Ctrl-C comes after calls, of which there are none here: it finds both done, or neither.
        if kept.shape[0]:
            self._pieces += [kept]
        self._given = (first, values)

    def clear(self) -> None:
        """Forget all samples."""
        self._pieces = []

    @property
    def samples(self) -> NDArray[Any]:
        """All samples, time first and flat: (n, [minibatch,] size)."""
        pieces = list(self._pieces)
        if not pieces:
            return np.zeros((0, *self.batch, int(np.prod(self.shape))), dtype=self.dtype)
        if len(pieces) > 1:
            # A run in another thread may add a piece meanwhile: those joined here alone go.
            self._pieces[: len(pieces)] = [np.concatenate(pieces)]
        return self._pieces[0]

    def restore(self, samples: NDArray[Any]) -> None:
        """Replace all samples by what `samples` returned."""
        self._pieces = [samples] if len(samples) else []

    def drop(self, index: int | slice) -> None:
        """Forget one sample, or those of a slice, as ``del`` of a list does."""
        samples = self.samples
        kept = np.delete(samples, index, axis=0)
        # The samples are the first piece: those that came since stay.
        self._pieces[:1] = [kept] if len(kept) else []

    @property
    def array(self) -> NDArray[Any]:
        """All samples, read-only: (n, ...), or (minibatch, n, ...) with minibatches.

        Without minibatches, no samples have the shape (0,), as in Nengo.
        """
        samples = self.samples
        if self._shown is None or self._shown[0] is not samples:
            array = samples.view()
            if self.batch:
                array = np.moveaxis(array.reshape(array.shape[:-1] + self.shape), 1, 0)
            else:
                array = array.reshape((len(array), *self.shape) if len(array) else 0)
            array.setflags(write=False)
            self._shown = samples, array
        return self._shown[1]

    def __len__(self) -> int:
        return sum(len(piece) for piece in self._pieces)


class Timeline:
    """Which steps have been recorded: those asked for, of the whole iterations that were run."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        self._of: object = None

    def add(self, start: int, stop: int, of: object) -> None:
        """Add the steps from ``start`` up to ``stop``; spans that touch become one.

        Steps of the same object as those that were added last are not added again.
        """
        if start == stop or of is self._of:
            return
        spans = self._spans
        # As in `Recorder.add`: no calls from here on.
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans += [(start, stop)]
        self._of = of

    def steps(self, period: float) -> NDArray[np.int64]:
        """The recorded steps that a probe with this period, in steps, has sampled."""
        spans = [np.arange(start, stop) for start, stop in self._spans]
        steps = np.concatenate([np.zeros(0, dtype=np.int64), *spans])
        sampled: NDArray[np.int64] = steps[steps % period < 1]
        return sampled


class Recording:
    """What a simulation has recorded: the data of its probes, and of which steps they are.

    Parameters
    ----------
    model : nengo.builder.Model
        The built model, whose probes record.
    batch : tuple of int
        The batch axis, if there is one.
    dtype : dtype
        Of the data.

    Attributes
    ----------
    recorders : dict
        The recorder of each probe.
    timeline : Timeline
        Which steps have been recorded.
    """

    def __init__(self, model: Any, batch: tuple[int, ...], dtype: Any):
        def recorder(probe: Any) -> Recorder:
            every = probe.sample_every
            period = 1 if every is None else every / model.dt
            return Recorder(period, model.sig[probe]["in"].shape, batch, dtype)

        self.recorders = {probe: recorder(probe) for probe in model.probes}
        self._in_order = list(self.recorders.values())
        self.timeline = Timeline()

    def add(self, first: int, n: int, outputs: Sequence[NDArray[Any]]) -> None:
        """Keep n steps from ``first`` on: for each probe an array (n, [minibatch,] size).

        Where Ctrl-C has stopped this halfway, doing it again completes it.
        """
        for recorder, values in zip(self._in_order, outputs, strict=True):
            recorder.add(first, values)
        self.timeline.add(first, first + n, outputs)

    def clear(self) -> None:
        """Forget the data of all probes, and keep which steps they were."""
        for recorder in self.recorders.values():
            recorder.clear()

    def start_over(self) -> None:
        """Forget all."""
        self.timeline = Timeline()
        self.clear()


class RawSamples(Sequence[NDArray[Any]]):
    """The samples of a probe as a list of arrays, one per sample, as Nengo keeps them.

    Deleting samples, as programs do that run for long and show what they see, frees their
    memory; ``sim.data[probe]`` then has those that are left.
    """

    def __init__(self, recorder: Recorder):
        self._recorder = recorder

    def __len__(self) -> int:
        return len(self._recorder)

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | list[NDArray[Any]]:
        """One sample, or a list of them: each of the probe's shape, the minibatch before it."""
        samples = self._recorder.samples
        samples = samples.reshape(samples.shape[:-1] + self._recorder.shape)[index]
        return list(samples) if isinstance(index, slice) else samples

    def __delitem__(self, index: int | slice) -> None:
        self._recorder.drop(index)


class RawData(Mapping[Any, Any]):
    """Samples of each probe as a list, and parameters, as ``sim.data.raw``."""

    def __init__(self, data: SimulationData):
        self._data = data

    def __getitem__(self, key: Any) -> Any:
        recorder = self._data.recorders.get(key)
        return self._data[key] if recorder is None else RawSamples(recorder)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


class SimulationData(Mapping[Any, Any]):
    """Probe data and parameters by Nengo object, as ``sim.data``.

    Parameters
    ----------
    params : mapping
        What Nengo's build step made of each object.
    recorders : mapping
        The recorder of each probe.
    built : callable
        ``built(obj)``: the same as in ``params``, as it is after training.
    """

    def __init__(
        self,
        params: Mapping[Any, Any],
        recorders: Mapping[Any, Recorder],
        built: Callable[[Any], Any],
    ):
        self._params = params
        self.recorders = recorders
        self._built = built

    @property
    def raw(self) -> RawData:
        """The same, with the samples of each probe as a list from which one can delete."""
        return RawData(self)

    def __getitem__(self, key: Any) -> Any:
        recorder = self.recorders.get(key)
        return self._built(key) if recorder is None else recorder.array

    def __iter__(self) -> Iterator[Any]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __repr__(self) -> str:
        return f"<SimulationData of {len(self)} objects>"
