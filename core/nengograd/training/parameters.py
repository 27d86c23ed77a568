"""Trainable parameters: which signals of a model they are, and where a program has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..assembly.lowering import stored_elements
from ..config import Settings
from ..program.program import Program
from ..tensor_node import BuiltTensorNode, TensorNode, layer_weights

__all__ = [
    "Parameter",
    "check_layers",
    "find_parameters",
    "find_statistics",
    "parameter_arrays",
    "parameter_table",
    "possible_parameters",
]


class Parameter(NamedTuple):
    """A signal that training may change.

    Attributes
    ----------
    name : str
        Says by structure what it belongs to, such as ``networks[0].connections[2].weights``:
        the same for the same network in every process.
    signal : Signal
        The signal. Of a sparse one the stored elements are the parameter.
    obj : NengoObject
        What it belongs to.
    attribute : str
        ``"weights"``, ``"encoders"``, ``"bias"``, or what a layer calls it.
    """

    name: str
    signal: Any
    obj: Any
    attribute: str

    @property
    def built(self) -> NDArray[Any]:
        """The value that the model was built with."""
        value = self.signal.initial_value
        return np.asarray(stored_elements(value) if self.signal.sparse else value)


def find_parameters(model: Any, settings: Settings) -> list[Parameter]:
    """The trainable parameters of a model, in the order of its network.

    Of what a learning rule changes from step to step, the value before the first step is a
    parameter. What an operator sets anew in each step is none.

    Parameters
    ----------
    model : nengo.builder.Model
        A built model.
    settings : Settings
        What may be trained.
    """
    if model.toplevel is None:
        return []
    is_set = {s.base for op in model.operators for s in op.sets}
    found: dict[Any, Parameter] = {}
    for parameter in _candidates(model, model.toplevel, ""):
        signal = parameter.signal
        if signal is None or signal.base in is_set or not settings.trainable(parameter.obj):
            continue
        found.setdefault(signal, parameter)  # a layer's may belong to several nodes
    return list(found.values())


def find_statistics(model: Any, settings: Settings) -> set[Any]:
    """Signals of the weights that layers change themselves while they are trained.

    Parameters
    ----------
    model : nengo.builder.Model
        A built model.
    settings : Settings
        Of the network; a node that may not be trained gathers no statistics.

    Raises
    ------
    nengo.exceptions.BuildError
        If a layer cannot be trained.
    """
    nodes = [obj for obj, built in model.params.items() if isinstance(built, BuiltTensorNode)]
    return {
        layer_weights(model, node)[name]
        for node in nodes
        if node.function.names and settings.trainable(node)
        for name in node.function.statistics
    }


def possible_parameters(model: Any) -> set[Any]:
    """Signals that would be trainable parameters if all settings allowed it."""
    if model.toplevel is None:
        return set()
    return {parameter.signal for parameter in _candidates(model, model.toplevel, "")}


def _candidates(model: Any, network: Any, path: str) -> Iterator[Parameter]:
    """Possible parameters of a network; the signal is None where an object lacks the attribute."""
    for i, ensemble in enumerate(network.ensembles):
        if isinstance(ensemble.neuron_type, nengo.Direct):
            continue
        name, neurons = f"{path}ensembles[{i}]", ensemble.neurons
        encoders, bias = model.sig[ensemble].get("encoders"), model.sig[neurons].get("bias")
        yield Parameter(f"{name}.encoders", encoders, ensemble, "encoders")
        yield Parameter(f"{name}.bias", bias, neurons, "bias")
    for i, node in enumerate(network.nodes):
        if isinstance(node, TensorNode):
            for attribute, signal in layer_weights(model, node).items():
                if attribute in model.params[node].trainable:
                    yield Parameter(f"{path}nodes[{i}].{attribute}", signal, node, attribute)
    for i, connection in enumerate(network.connections):
        weights = model.sig[connection].get("weights")
        yield Parameter(f"{path}connections[{i}].weights", weights, connection, "weights")
    for i, inner in enumerate(network.networks):
        yield from _candidates(model, inner, f"{path}networks[{i}].")


def check_layers(model: Any) -> None:
    """Make sure that layers are frozen or not as they were when the model was built.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one has been frozen or freed since.
    """
    for node, built in model.params.items():
        if not isinstance(built, BuiltTensorNode):
            continue
        changed = sorted(node.function.trainable ^ built.trainable)
        if changed:
            raise ValidationError(
                f"the layer of {node} had other trainable weights when the simulator was made: "
                f"{', '.join(changed)} {'has' if len(changed) == 1 else 'have'} been frozen or "
                "freed since. Make the simulator after that, and save_params and load_params take "
                "over what is trained",
                attr="trainable",
            )


def parameter_arrays(
    program: Program, values: Mapping[Any, NDArray[Any]]
) -> dict[int, NDArray[Any]]:
    """The parameter arrays of a program, and those of statistics.

    Parameters
    ----------
    program : Program
        A program with parameters.
    values : mapping
        By signal; what is missing is as it was built.

    Returns
    -------
    arrays : dict
        By id.
    """
    # What a layer has drawn is float32, and what is learned in float64 has more digits.
    arrays = {
        array.id: np.array(array.initial, dtype=np.float64)
        for array in (*program.by_role("parameter"), *program.by_role("statistic"))
    }
    for signal, view in program.parameters.items():
        if signal in values:
            view.scatter(np.asarray(values[signal]).reshape(-1), arrays)
    return arrays


def parameter_table(named: Mapping[str, NDArray[Any]]) -> str:
    """Parameters as text: names, shapes and ranges.

    Parameters
    ----------
    named : mapping
        The value of each parameter, by name.
    """
    rows: list[tuple[str, ...]] = [("parameter", "shape", "min", "mean", "max")]
    for name, x in named.items():
        figures = (x.min(), x.mean(), x.max()) if x.size else ()
        shape = "x".join(str(n) for n in x.shape) or "scalar"
        rows.append((name, shape, *(f"{y:.4g}" for y in figures)))
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(5)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """A row of a table: two columns of text to the left, figures to the right."""
    cells = zip(row, widths, strict=False)
    return "  ".join(
        cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(cells)
    ).rstrip()
