"""The content of a file of parameters, and how a model takes it over.

Names follow the structure of the network, the same for the same network in every process. What
stands in no attribute of an object, such as the memory of a synapse, is named by the operator
that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..assembly.lowering import feedable_signals, stored_elements
from ..run.signals import in_dtype
from ..tensor_node import TensorNode, layer_weights
from .parameters import possible_parameters
from .params_file import ArrayInfo, ParamsFile

__all__ = [
    "CONSTANT",
    "FIXED",
    "GAIN",
    "PARAMETER",
    "PARAMETER_ROLES",
    "Loaded",
    "Slot",
    "check_finite",
    "check_fit",
    "find_slots",
    "infos",
    "names_of_neurons",
    "signal_names",
    "take",
]

CONSTANT, PARAMETER, START, GAIN, FIXED = "constant", "parameter", "start", "gain", "fixed"
PARAMETER_ROLES = (CONSTANT, PARAMETER, START, GAIN, FIXED)

_OF_NEURONS = re.compile(r"ensembles\[\d+\]\.(gain|neurons\.\w+)$")
"""Names of gains and of what neurons hold before the first step."""

_NUMBERED = re.compile(r"operators\[")
"""Names of what belongs to an operator and to no object."""

_THESE = {"params": "these parameters do", "state": "this state does"}


class Slot(NamedTuple):
    """Something that a model computes with, and a file holds.

    Attributes
    ----------
    key : Signal or Ensemble
        What it belongs to: a signal, or the ensemble whose gains these are.
    role : str
        ``"constant"``, ``"start"`` (what a state holds before the first step), ``"gain"``, or
        ``"fixed"`` for what has to be equal in both models.
    built : array
        What the build step made; of a sparse matrix the stored elements.
    """

    key: Any
    role: str
    built: NDArray[Any]


class Loaded(NamedTuple):
    """The result of `Simulator.load_params`.

    Attributes
    ----------
    path : Path
        The file.
    taken : tuple of str
        Names of the arrays that were taken from the file.
    missing : tuple of str
        Names that the file lacks; these values are unchanged.
    unused : tuple of str
        Names in the file that the model has no place for.
    n_steps : int or None
        Number of steps before the loaded state, if a state was asked for.
    """

    path: Path
    taken: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    n_steps: int | None = None

    def __str__(self) -> str:
        lines = [f"{len(self.taken)} arrays taken from {self.path}"]
        if self.n_steps is not None:
            lines.append(f"the state after {self.n_steps} steps is one of them")
        for what, names in (("missing", self.missing), ("unused", self.unused)):
            if names:
                lines.append(f"{what}: {', '.join(names)}")
        return "\n".join(lines)


def signal_names(model: Any) -> dict[Any, str]:
    """A name for each base signal that an object or an operator of a model has."""
    names: dict[Any, str] = {}
    if model.toplevel is not None:
        for name, signal in _of_network(model, model.toplevel, ""):
            if signal is not None and not signal.is_view:
                names.setdefault(signal, name)
    taken = set(names.values())
    for i, op in enumerate(model.operators):
        for j, signal in enumerate(op.all_signals):
            name = f"operators[{i}].signals[{j}]"
            if signal.base not in names and name not in taken:
                names[signal.base] = name
    return names


def _of_network(model: Any, network: Any, path: str) -> Iterator[tuple[str, Any]]:
    sig = model.sig
    for i, ensemble in enumerate(network.ensembles):
        name = f"{path}ensembles[{i}]"
        for key, signal in sig.get(ensemble, {}).items():
            yield f"{name}.{key}", signal
        for key, signal in sig.get(ensemble.neurons, {}).items():
            yield (f"{name}.bias" if key == "bias" else f"{name}.neurons.{key}"), signal
    for i, node in enumerate(network.nodes):
        weights = layer_weights(model, node) if isinstance(node, TensorNode) else {}
        for key, signal in {**sig.get(node, {}), **weights}.items():
            yield f"{path}nodes[{i}].{key}", signal
    for i, connection in enumerate(network.connections):
        yield from _of_connection(model, connection, f"{path}connections[{i}]")
    for i, probe in enumerate(network.probes):
        for key, signal in sig.get(probe, {}).items():
            yield f"{path}probes[{i}].{key}", signal
        for connection in model.params:
            if isinstance(connection, nengo.Connection) and connection.post_obj is probe:
                yield from _of_connection(model, connection, f"{path}probes[{i}].connection")
    for i, inner in enumerate(network.networks):
        yield from _of_network(model, inner, f"{path}networks[{i}].")


def _of_connection(model: Any, connection: Any, name: str) -> Iterator[tuple[str, Any]]:
    for key, signal in model.sig.get(connection, {}).items():
        yield f"{name}.{key}", signal
    rules = connection.learning_rule
    rules = rules if isinstance(rules, (list, dict)) else [] if rules is None else [rules]
    pairs = rules.items() if isinstance(rules, dict) else enumerate(rules)
    for key, rule in pairs:
        for what, signal in model.sig.get(rule, {}).items():
            yield f"{name}.rules[{key}].{what}", signal


def find_slots(model: Any) -> dict[str, Slot]:
    """All that makes a model compute what it computes, by name.

    That is each constant, and what states hold before the first step where that is not 0, or is
    trained. What constant nodes put out is none of it: that is the input.
    """
    written = {s.base for op in model.operators for s in (*op.sets, *op.incs, *op.updates)}
    inputs = set(feedable_signals(model))
    learned = possible_parameters(model)
    slots: dict[str, Slot] = {}
    for signal, name in signal_names(model).items():
        value = signal.initial_value
        flat = np.asarray(stored_elements(value) if signal.sparse else value)
        if signal in inputs:
            continue
        if signal not in written:
            slots[name] = Slot(signal, CONSTANT, flat)
            if signal.sparse:
                slots[f"{name}.indices"] = Slot(signal, FIXED, _indices(value))
        elif flat.any() or signal in learned:
            slots[name] = Slot(signal, START, flat)
    for name, ensemble in _ensembles(model.toplevel, ""):
        gain = getattr(model.params.get(ensemble), "gain", None)
        if gain is not None:
            slots[f"{name}.gain"] = Slot(ensemble, GAIN, np.asarray(gain))
    return slots


def _ensembles(network: Any, path: str) -> Iterator[tuple[str, Any]]:
    if network is None:
        return
    for i, ensemble in enumerate(network.ensembles):
        yield f"{path}ensembles[{i}]", ensemble
    for i, inner in enumerate(network.networks):
        yield from _ensembles(inner, f"{path}networks[{i}].")


def _indices(matrix: Any) -> NDArray[np.int64]:
    if isinstance(matrix, nengo.transforms.SparseMatrix):
        return np.asarray(matrix.indices, dtype=np.int64)
    coo = matrix.tocoo()
    return np.stack([coo.row, coo.col], axis=1).astype(np.int64)


def names_of_neurons(
    model: Any, given: Mapping[str, ArrayInfo], wanted: Mapping[str, ArrayInfo]
) -> set[str]:
    """Names of gains and first states of neurons, which belong to the neuron type.

    They are those of a file and those of a model. Arrays that are named by the number of an
    operator are among them if file and model have others: neurons of another type are other
    operators, and a synapse more has another number.

    Parameters
    ----------
    model : nengo.builder.Model
        The built model.
    given, wanted : mapping
        What the file has, and what the model has, by name.
    """
    found = {name for name in (*given, *wanted) if _OF_NEURONS.search(name)}
    signals = signal_names(model).items()
    found |= {name for signal, name in signals if str(signal.name).endswith(".gains")}
    ours, theirs = ({n for n in names if _NUMBERED.match(n)} for names in (given, wanted))
    return found | (ours | theirs if ours != theirs else set())


def infos(arrays: Mapping[str, NDArray[Any]]) -> dict[str, ArrayInfo]:
    """Shape, dtype and role of arrays, by name."""
    return {name: ArrayInfo(x.dtype, x.shape, "") for name, x in arrays.items()}


def check_fit(
    given: Mapping[str, ArrayInfo],
    wanted: Mapping[str, ArrayInfo],
    partial: bool = False,
    what: str = "params",
) -> None:
    """Raise one error that lists all that keeps arrays from fitting a simulation.

    Parameters
    ----------
    given, wanted : mapping
        dtype and shape by name.
    partial : bool
        Whether names that only one of them has are no fault.
    what : str
        ``"params"`` or ``"state"``, for the error.

    Raises
    ------
    nengo.exceptions.ValidationError
        If names or shapes differ, or numbers are of another kind.
    """
    problems = []
    if not partial:
        problems += [f"missing: {n} {w.shape}" for n, w in wanted.items() if n not in given]
        problems += [f"extra: {n} {g.shape}" for n, g in given.items() if n not in wanted]
    for name, want in wanted.items():
        found = given.get(name)
        if found is None:
            continue
        if found.shape != want.shape:
            problems.append(f"misshapen: {name} is {found.shape}, and should be {want.shape}")
        elif found.dtype.kind != want.dtype.kind:
            problems.append(
                f"of another kind: {name} is {found.dtype.name}, and should be like "
                f"{want.dtype.name}"
            )
    if problems:
        raise ValidationError(
            f"{_THESE[what]} not fit the network:\n" + "\n".join(f"- {p}" for p in problems),
            attr=what,
        )


def take(
    file: ParamsFile, wanted: Mapping[str, ArrayInfo], dtype: Any, allow_nonfinite: bool
) -> dict[str, NDArray[Any]]:
    """Read those arrays of a file that are wanted, and look at their values.

    Raises
    ------
    nengo.exceptions.ValidationError
        If one of them is not finite, or too large for the dtype of the simulation.
    """
    arrays = {}
    for name in wanted:
        if name in file.arrays:
            array = arrays[name] = file.read(name)
            if array.dtype.kind == "f":
                check_finite(name, array, allow_nonfinite)
                in_dtype(array, dtype, name, "params")
    return arrays


def check_finite(name: str, array: NDArray[Any], allow_nonfinite: bool) -> None:
    """Raise an error if there is a NaN or an infinity where none is allowed."""
    if not allow_nonfinite and not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValidationError(
            f"{name} is not finite, first at {where}; allow_nonfinite=True takes it all the same",
            attr="params",
        )
