"""How the layers of a converted network fire, and how far it agrees with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType
from numpy.typing import NDArray

from ..plugin.model_reader import ModelGraph
from .network import ConvertedNetwork
from .running import run_items, with_probes

__all__ = ["ConversionReport", "LayerRates", "make_report"]


@dataclass(frozen=True)
class LayerRates:
    """How a layer of neurons fires.

    Attributes
    ----------
    name : str
        The layer.
    neurons : int
        How many neurons it has.
    kind : str
        Their type.
    scale : float
        By how much their currents are scaled.
    mean_rate, max_rate : float
        Rates in Hz: the mean over neurons, items and steps, and the largest of one neuron's means
        over the steps of an item.
    spikes : float or None
        Spikes of the whole layer for one item; None where neurons do not spike.
    """

    name: str
    neurons: int
    kind: str
    scale: float
    mean_rate: float
    max_rate: float
    spikes: float | None


@dataclass(frozen=True)
class ConversionReport:
    """A run of a converted network beside the model; prints as a table.

    Attributes
    ----------
    layers : list of LayerRates
        Those with neurons.
    outputs : dict
        What each probe of `Converted.outputs` has recorded, ``(items, steps, size)``.
    agreement : float
        For which part of the items the largest element of the first output is the same at the last
        step as in the model.
    largest_difference : float
        Between the first output at the last step and the model's.
    accuracy, model_accuracy : float or None
        Which part of the labels is right at the last step, and in the model.
    """

    layers: list[LayerRates]
    outputs: dict[Any, NDArray[Any]]
    agreement: float
    largest_difference: float
    accuracy: float | None = None
    model_accuracy: float | None = None

    @property
    def spikes(self) -> float:
        """Spikes of all layers for one item."""
        return sum(layer.spikes or 0.0 for layer in self.layers)

    def __str__(self) -> str:
        head = ("layer", "neurons", "type", "scale", "mean Hz", "max Hz", "spikes per item")
        rows = [head]
        for x in self.layers:
            spikes = "" if x.spikes is None else f"{x.spikes:.1f}"
            rates = f"{x.mean_rate:.1f}", f"{x.max_rate:.1f}"
            rows.append((x.name, str(x.neurons), x.kind, f"{x.scale:.4g}", *rates, spikes))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(w) if i in (0, 2) else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        last = f"agreement with the model: {self.agreement:.1%}"
        if self.accuracy is not None:
            last += f"; accuracy {self.accuracy:.1%}, of the model {self.model_accuracy:.1%}"
        return "\n".join([*lines, last])


def make_report(
    graph: ModelGraph,
    network: ConvertedNetwork,
    inputs: Sequence[Any],
    feeds: Mapping[Any, NDArray[Any]],
    labels: Any,
    dt: float,
    minibatch_size: int | None,
    backend: str | None,
) -> ConversionReport:
    """Run a converted network and its model on the same items."""
    with_neurons = [layer for layer in network.layers if layer.neurons is not None]
    key, x = graph.outputs[0], network.tensors[graph.outputs[0]]
    expected = np.asarray(graph.values([np.asarray(y) for y in inputs])[key])
    expected = (expected[:, -1] if x.has_time else expected).reshape(len(expected), x.size)
    with with_probes(network.net, [layer.neurons for layer in with_neurons]) as probes:
        wanted = [*network.outputs, *probes]
        data = run_items(network.net, wanted, feeds, dt, minibatch_size, backend)
    count = len(network.outputs)
    outputs = {
        probe: np.concatenate(parts)
        for probe, parts in zip(network.outputs, data[:count], strict=True)
    }
    layers = [
        _rates(layer.call.name, layer.neurons.ensemble.neuron_type, layer.scale, parts, dt)
        for layer, parts in zip(with_neurons, data[count:], strict=True)
    ]
    final = outputs[network.outputs[0]][:, -1]
    guesses, model_guesses = _classes(final), _classes(expected)
    right = _right(labels, len(final))
    return ConversionReport(
        layers,
        outputs,
        agreement=float((guesses == model_guesses).mean()),
        largest_difference=float(np.abs(final - expected).max()),
        accuracy=None if right is None else float((guesses == right).mean()),
        model_accuracy=None if right is None else float((model_guesses == right).mean()),
    )


def _rates(
    name: str, kind: NeuronType, scale: float, parts: Sequence[NDArray[Any]], dt: float
) -> LayerRates:
    amplitude = getattr(kind, "amplitude", 1.0)
    # Sums by minibatch: single steps of all items are many numbers.
    means = np.concatenate([np.abs(part).mean(axis=1) for part in parts]) / amplitude
    steps = parts[0].shape[1]
    spikes = float(means.sum(axis=1).mean() * steps * dt) if kind.spiking else None
    return LayerRates(
        name,
        means.shape[1],
        type(kind).__name__,
        scale,
        mean_rate=float(means.mean()),
        max_rate=float(means.max()),
        spikes=spikes,
    )


def _classes(output: NDArray[Any]) -> NDArray[Any]:
    """The class that an output stands for; of a single number whether it is above 1/2."""
    if output.shape[1] == 1:
        return np.asarray(output[:, 0] > 0.5).astype(int)
    return np.asarray(output.argmax(axis=1))


def _right(labels: Any, items: int) -> NDArray[Any] | None:
    if labels is None:
        return None
    given = np.asarray(labels).reshape(-1)
    if len(given) != items:
        raise ValidationError(f"there are {len(given)} for {items} items", attr="labels")
    return given
