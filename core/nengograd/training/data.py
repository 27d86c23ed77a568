"""Training data, checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning, ValidationError
from numpy.typing import NDArray

from ..assembly.build import Build
from ..config import Settings
from ..plugin.executable import Options
from ..plugin.trainer import LossTerm
from ..run.inputs import check_node, numbers
from ..run.recording import probe_names
from .losses import by_probe, takes_labels
from .minibatches import TrainingData

__all__ = [
    "check_data",
    "check_fed",
    "check_labels",
    "sampled_steps",
    "training_data",
]


def sampled_steps(probe: Any, n_steps: int, dt: float, keep_history: bool) -> NDArray[np.int64]:
    """Which of the first steps, counted from 0, a probe gives to an objective."""
    period = 1 if probe.sample_every is None else probe.sample_every / dt
    steps = np.flatnonzero(np.arange(1, n_steps + 1) % period < 1)
    return steps if keep_history else steps[-1:]


def training_data(
    build: Build,
    settings: Settings,
    nodes: Collection[Any],
    inputs: Any,
    targets: Any,
    objective: Any,
) -> tuple[TrainingData, list[LossTerm]]:
    """Check what a user wants to train on, or to know the loss of.

    Parameters
    ----------
    build : Build
        The model.
    settings : Settings
        What the user has configured in the network.
    nodes : collection of nengo.Node
        Those that may be fed.
    inputs, targets, objective
        See `nengograd.Simulator.train`.

    Returns
    -------
    data : TrainingData
        In the dtype of the model, without what does not fill a minibatch.
    terms : list of LossTerm
        The loss or metric of each probe that has a target, in the order of the targets.
    """
    model = build.model
    keeps = {probe: settings.keep_history(probe) for probe in model.probes}

    def steps(probe: Any, n_steps: int) -> NDArray[np.int64]:
        return sampled_steps(probe, n_steps, model.dt, keeps[probe])

    samples = {probe: lambda n, p=probe: len(steps(p, n)) for probe in model.probes}
    sizes = {
        probe: 1 if takes_labels(objective, probe) else model.sig[probe]["in"].size
        for probe in model.probes
    }
    data = check_data(inputs, targets, nodes, samples, sizes, build.options)
    for probe, array in data.targets.items():
        if takes_labels(objective, probe):
            check_labels(probe, array, model.sig[probe]["in"].size, "targets")
    losses = by_probe(objective, {p: not np.isnan(x).all() for p, x in data.targets.items()})
    outputs, names = {p: i for i, p in enumerate(model.probes)}, probe_names(model.probes)
    factor = 1 / len(losses)
    terms = [
        LossTerm(outputs[p], names[outputs[p]], loss, steps(p, data.n_steps), factor)
        for p, loss in losses.items()
    ]
    return data, terms


def check_data(
    inputs: Any,
    targets: Any,
    nodes: Collection[Any],
    probes: Mapping[Any, Callable[[int], int]],
    sizes: Mapping[Any, int],
    options: Options,
) -> TrainingData:
    """Check what a user wants to train on.

    Parameters
    ----------
    inputs : mapping
        Node -> array ``(batch_size, n_steps, size_out)``.
    targets : mapping
        Probe -> array ``(batch_size, n_samples, size_in)``.
    nodes : collection of nengo.Node
        Those that may be fed.
    probes : mapping
        For each probe, the number of samples it gives for a number of steps.
    sizes : mapping
        For each probe, how many elements it records.
    options : Options
        dtype and minibatch.

    Returns
    -------
    data : TrainingData
        In the dtype of the options, without what does not fill a minibatch.

    Raises
    ------
    nengo.exceptions.ValidationError
        If shapes or values do not fit, or there is too little for one minibatch.
    """
    if not targets:
        raise ValidationError("at least one probe needs a target", attr="targets")
    for node in inputs:
        check_node(node, nodes, "inputs")
    for probe in targets:
        _check_probe(probe, sizes)
    dtype = options.dtype
    fed = {node: numbers(node, values, "inputs", dtype) for node, values in inputs.items()}
    wanted = {probe: numbers(probe, values, "targets", dtype) for probe, values in targets.items()}
    for node, array in fed.items():
        check_fed(node, array, "inputs")
    for probe, array in wanted.items():
        _check_target(probe, array, sizes[probe])
    n_steps = _number_of_steps(fed, wanted, probes)
    _check_samples(wanted, probes, n_steps)
    items = {str(key): len(array) for key, array in (*fed.items(), *wanted.items())}
    if len(set(items.values())) > 1:
        raise ValidationError(f"numbers of items differ: {items}", attr="inputs")
    n_items = _whole_minibatches(next(iter(items.values())), options.n_items)
    return TrainingData(
        {node: array[:n_items] for node, array in fed.items()},
        {probe: array[:n_items] for probe, array in wanted.items()},
        n_steps,
        n_items,
    )


def _check_samples(
    wanted: Mapping[Any, NDArray[Any]], probes: Mapping[Any, Callable[[int], int]], n_steps: int
) -> None:
    """Refuse targets that have another number of samples than their probe gives."""
    for probe, array in wanted.items():
        samples = probes[probe](n_steps)
        if array.shape[1] != samples:
            raise ValidationError(
                f"targets for {probe} have {array.shape[1]} time steps; with inputs of {n_steps} "
                f"steps the probe gives {samples}",
                attr="targets",
            )


def check_fed(node: Any, array: NDArray[Any], attr: str) -> None:
    """Check what is fed to a node: a finite (n_items, n_steps, size_out) array.

    Parameters
    ----------
    node : nengo.Node
        The node.
    array : array
        What is fed to it.
    attr : str
        The argument, for errors.
    """
    _check_shape(node, array, node.size_out, attr)
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValidationError(
            f"values for {node} are not finite, first at [item, step, dimension] {where}",
            attr=attr,
        )


def check_labels(probe: Any, labels: NDArray[Any], n_classes: int, attr: str) -> None:
    """Make sure that labels are numbers of classes, or NaN where nothing is asked.

    Parameters
    ----------
    probe : nengo.Probe
        What they are for.
    labels : array
        Of any shape.
    n_classes : int
        How many classes the probe tells apart: its size.
    attr : str
        The argument, for errors.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one is no whole number, or there is no such class.
    """
    wrong = ~np.isnan(labels) & ~np.isin(labels, np.arange(n_classes))
    if wrong.any():
        raise ValidationError(
            f"labels of {probe} have to be whole numbers from 0 to {n_classes - 1}, one less than "
            f"its size, and not {labels[wrong][0]:g}",
            attr=attr,
        )


def _check_probe(probe: Any, known: Collection[Any]) -> None:
    if probe not in known:
        raise ValidationError(
            f"keys must be probes of this simulator's network, not {probe!r}", attr="targets"
        )


def _check_target(probe: Any, array: NDArray[Any], size: int) -> None:
    _check_shape(probe, array, size, "targets")
    if np.isinf(array).any():
        raise ValidationError(f"values for {probe} are infinite", attr="targets")


def _check_shape(key: Any, array: NDArray[Any], size: int, attr: str) -> None:
    if array.ndim != 3 or array.shape[2] != size:
        raise ValidationError(
            f"values for {key} have shape {array.shape}; (batch_size, n_steps, {size}) is needed",
            attr=attr,
        )


def _number_of_steps(
    fed: Mapping[Any, Any], wanted: Mapping[Any, Any], probes: Mapping[Any, Callable[[int], int]]
) -> int:
    """Steps of the inputs; without any, as few as give all targets."""
    counts = {str(key): array.shape[1] for key, array in fed.items()}
    if len(set(counts.values())) > 1:
        raise ValidationError(f"numbers of time steps differ: {counts}", attr="inputs")
    needed = [_fewest_steps(probes[probe], array.shape[1]) for probe, array in wanted.items()]
    steps: int = next(iter(counts.values()), max(needed))
    if steps < 1:
        raise ValidationError("at least one time step is needed", attr="inputs")
    return steps


def _fewest_steps(samples: Callable[[int], int], count: int) -> int:
    """The smallest number of steps that gives a number of samples."""
    low, high = 0, max(count, 1)
    while samples(high) < count:
        low, high = high, 2 * high
        if high > 10_000 * count:
            return count  # no run is long enough; comparing the samples will say so
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if samples(middle) < count else (low, middle)
    return high


def _whole_minibatches(n_items: int, size: int) -> int:
    if n_items < size:
        raise ValidationError(
            f"{n_items} items do not fill one minibatch of {size}; give more, or a smaller "
            "minibatch_size to the simulator",
            attr="inputs",
        )
    whole = n_items - n_items % size
    if whole != n_items:
        warnings.warn(
            f"{n_items} items are not a multiple of minibatch_size={size}: the last "
            f"{n_items - whole} are not used",
            NengoWarning,
            stacklevel=6,
        )
    return whole
