"""Network and model side by side, value by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..plugin.model_reader import ModelGraph, ModelReader
from ..simulator.simulator import Simulator
from .network import ConvertedNetwork
from .running import read_objects, with_probes
from .steps import with_steps
from .tensor import Tensor

__all__ = ["verify_outputs", "verify_training"]

RATE = 0.1

Feeds = Mapping[Any, NDArray[Any]]


def verify_outputs(
    graph: ModelGraph,
    network: ConvertedNetwork,
    inputs: Sequence[NDArray[Any]],
    feeds: Feeds,
    tolerance: tuple[float, float],
    backend: str | None,
) -> None:
    """Compare all values of network and model.

    Raises
    ------
    nengo.exceptions.ValidationError
        If they differ by more than the tolerance, ``(atol, rtol)``.
    """
    values = graph.values(inputs)
    named = _named_tensors(network)
    objects = list({id(x.obj): x.obj for _, _, x in named}.values())
    found = read_objects(network.net, objects, feeds, backend)
    data = {id(obj): x for obj, x in zip(objects, found, strict=True)}
    rows = [(name, _differences(values[key], x, data[id(x.obj)])) for name, key, x in named]
    _check(rows, tolerance, "The network differs from the model")


def verify_training(
    model: Any,
    reader: ModelReader,
    graph: ModelGraph,
    network: ConvertedNetwork,
    inputs: Sequence[NDArray[Any]],
    feeds: Feeds,
    tolerance: tuple[float, float],
    backend: str | None,
) -> None:
    """Compare all values after one step of gradient descent in both.

    Raises
    ------
    nengo.exceptions.ValidationError
        If they differ by more than the tolerance, or what has been read cannot be trained.
    """
    values = graph.values(inputs)
    rng = np.random.RandomState(1)
    outputs = [network.tensors[key] for key in graph.outputs]
    targets = [rng.normal(size=values[key].shape) for key in graph.outputs]
    try:
        trained = reader.trained(model, inputs, targets, RATE)
        optimizer = reader.optimizer(RATE)
    except NotImplementedError:
        raise ValidationError(
            f"{type(reader).__name__} cannot train models", attr="training"
        ) from None
    if any(call.is_by_step for call in graph.calls):
        trained = with_steps(trained, reader, inference_only=False)
    steps = next(iter(feeds.values())).shape[1]
    wanted = {
        probe: _in_steps(y, x, steps)
        for probe, y, x in zip(network.outputs, targets, outputs, strict=True)
    }
    named = _named_tensors(network)
    items = len(targets[0])
    options: dict[str, Any] = {"minibatch_size": items, "progress_bar": False, "backend": backend}
    with (
        with_probes(network.net, [x.obj for _, _, x in named]) as probes,
        Simulator(network.net, **options) as sim,
    ):
        sim.train(dict(feeds), wanted, optimizer, shuffle=False)
        sim.run_steps(steps, input_feeds=dict(feeds))
        found = [np.array(sim.data[probe]) for probe in probes]
    after = trained.values(inputs)
    keys = {call.name: call.outputs for call in trained.calls}
    rows = [
        (name, _differences(after[keys[name][0]], x, data))
        for (name, _, x), data in zip(named, found, strict=True)
    ]
    _check(rows, tolerance, "After a step of training the network differs from the model")


def _named_tensors(network: ConvertedNetwork) -> list[tuple[str, Any, Tensor]]:
    """Values that network and model both have, with the name of their layer and their key."""
    return [
        (layer.call.name, key, x)
        for layer in network.layers
        if not layer.call.is_folded
        for key, x in zip(layer.call.outputs, layer.tensors, strict=True)
    ]


def _differences(value: NDArray[Any], x: Tensor, data: NDArray[Any]) -> NDArray[Any]:
    """The model's value and the difference of the network's, ``(2, ...)``."""
    found = data if x.has_time else data[:, -1]
    value = np.asarray(value, dtype=np.float64).reshape(found.shape)
    return np.stack([value, found - value])


def _in_steps(target: NDArray[Any], x: Tensor, steps: int) -> NDArray[Any]:
    """Targets of a probe; what comes at the end asks for nothing before."""
    if x.has_time:
        return target.reshape(len(target), steps, x.size)
    found = np.full((len(target), steps, x.size), np.nan)
    found[:, -1] = target.reshape(len(target), x.size)
    return found


def _check(
    rows: Sequence[tuple[str, NDArray[Any]]], tolerance: tuple[float, float], what: str
) -> None:
    atol, rtol = tolerance
    wrong = [
        name
        for name, (value, difference) in rows
        if not np.all(np.abs(difference) <= atol + rtol * np.abs(value))
    ]
    if wrong:
        listed = ", ".join(f"{name} {np.abs(x[1]).max():.2g}" for name, x in rows)
        raise ValidationError(
            f"{what}, at first in {wrong[0]!r} (tolerance {atol:g} + {rtol:g} of the value). The "
            f"largest differences are: {listed}",
            attr="verify",
        )
