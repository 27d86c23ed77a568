"""A network as a table of its layers: what they are, their shapes, their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np

from ..assembly.lowering import stored_elements
from ..plugin.naming import name_of
from ..tensor_node import TensorNode, layer_weights

__all__ = ["Layer", "layers", "summary"]


@dataclass(frozen=True)
class Layer:
    """An object of a network that computes, or a connection, as a row of the table.

    Attributes
    ----------
    name : str
        Says by structure what it is, such as ``networks[0].ensembles[2]``.
    what : str
        Its kind, and what the user calls it.
    shape : str
        Of what comes out of it in each step, for one item.
    signals : dict of Signal to int
        Its parameters, trainable or not, and how many numbers each has.
    """

    name: str
    what: str
    shape: str
    signals: dict[Any, int]


def layers(model: Any) -> list[Layer]:
    """Ensembles, tensor nodes and connections of a model, network by network.

    Parameters
    ----------
    model : nengo.builder.Model
        A built model.
    """
    if model.toplevel is None:
        return []
    names = dict(_names(model.toplevel, ""))
    return [layer for obj, name in names.items() for layer in _of(model, obj, name, names)]


def _names(network: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Objects of a network, and of those in it, with their place in it."""
    for kind in ("ensembles", "nodes", "connections"):
        for i, obj in enumerate(getattr(network, kind)):
            yield obj, f"{path}{kind}[{i}]"
    for i, inner in enumerate(network.networks):
        yield from _names(inner, f"{path}networks[{i}].")


def _of(model: Any, obj: Any, name: str, names: dict[Any, str]) -> Iterator[Layer]:
    """The row of an object; plain nodes have none."""
    sig = model.sig[obj]
    if isinstance(obj, nengo.Connection):
        what = f"{_end(obj.pre_obj, names)} to {_end(obj.post_obj, names)}"
        yield _layer(name, what, (obj.size_out,), [sig.get("weights")])
    elif isinstance(obj, TensorNode):
        kind = name_of(obj.tensor_func)
        weights = list(layer_weights(model, obj).values())
        yield _layer(name, f"TensorNode of {kind}{_label(obj)}", obj.shape_out, weights)
    elif isinstance(obj, nengo.Ensemble):
        kind = type(obj.neuron_type).__name__
        if isinstance(obj.neuron_type, nengo.Direct):
            yield _layer(name, f"{kind}{_label(obj)}", (obj.size_out,), [])
            return
        what = f"{kind}, {obj.n_neurons} neurons{_label(obj)}"
        signals = [sig.get("encoders"), model.sig[obj.neurons].get("bias")]
        yield _layer(name, what, (obj.size_out,), signals)


def _end(obj: Any, names: dict[Any, str]) -> str:
    """The name of an end of a connection: its label, or its place in the network."""
    if isinstance(obj, nengo.ensemble.Neurons):
        return f"neurons of {_end(obj.ensemble, names)}"
    if isinstance(obj, nengo.connection.LearningRule):
        return f"learning rule of {_end(obj.connection, names)}"
    return obj.label or names.get(obj, str(obj))


def _layer(name: str, what: str, shape: tuple[int, ...], signals: list[Any]) -> Layer:
    numbers = {
        signal: int(np.size(stored_elements(value) if signal.sparse else value))
        for signal in signals
        if signal is not None
        for value in [signal.initial_value]
    }
    return Layer(name, what, " x ".join(map(str, shape)), numbers)


def _label(obj: Any) -> str:
    return f" {obj.label!r}" if obj.label else ""


def summary(title: str, found: list[Layer], trainable: AbstractSet[Any]) -> str:
    """The table as text, with totals. What several layers share counts once in these.

    Parameters
    ----------
    title : str
        The first line.
    found : list of Layer
        The rows.
    trainable : set of Signal
        Which parameters training may change.
    """
    rows = [("layer", "what it is", "shape", "parameters", "trainable")]
    for layer in found:
        counts = layer.signals
        rows.append((layer.name, layer.what, layer.shape, *_counts(counts, trainable)))
    everything = {signal: n for layer in found for signal, n in layer.signals.items()}
    rows.append(("total", "", "", *_counts(everything, trainable)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * max(map(len, lines))
    return "\n".join([title, lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _counts(numbers: dict[Any, int], trainable: AbstractSet[Any]) -> tuple[str, str]:
    """How many parameters there are, and how many training may change."""
    chosen = sum(n for signal, n in numbers.items() if signal in trainable)
    return f"{sum(numbers.values()):,}", f"{chosen:,}"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = zip(row, widths, strict=True)
    return "  ".join(
        cell.ljust(width) if i < 3 else cell.rjust(width) for i, (cell, width) in enumerate(cells)
    ).rstrip()
