"""Trained values for Nengo's objects: in a copy of the network, in place, as arguments."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import nengo
import numpy as np
from nengo.connection import FunctionInfo
from nengo.exceptions import NotAddedToNetworkWarning, SimulatorClosed, ValidationError
from nengo.solvers import NoSolver
from numpy.typing import NDArray

from .arguments.table import check_arguments
from .tensor_node import TensorNode

__all__ = ["arguments_of", "freeze", "to_network"]


def to_network(sim: Any, learned: bool | None = None, item: int | None = None) -> nengo.Network:
    """Make a Nengo network with the current parameters of a simulator.

    The network needs neither nengograd nor any solver: encoders, gains, biases and weights are
    numbers in it, so that every simulator builds the same model. Weights that an online learning
    rule changes begin with the values they were built with or, on request, with their current
    values. A `TensorNode` becomes a node with a process, which calls the layer, with its trained
    weights, or the function on tensors in each step; it needs the library of these. The state of a
    layer begins as it was built. Random numbers come from Nengo's generators.

    Parameters
    ----------
    sim : nengograd.Simulator
        A simulator, trained or not.
    learned : bool, optional
        Whether weights and encoders that learning rules change online have their current values,
        by default with the setting ``keep_learned_weights`` alone. The rules stay in the network
        and go on learning from there; other states of the rules begin anew.
    item : int, optional
        The item of the minibatch whose learned weights are taken.

    Returns
    -------
    network : nengo.Network
        A copy of the simulator's network, with objects in the same order.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no network, or it holds weights that Nengo cannot take, or a minibatch of
        learned weights is given no ``item``.
    nengo.exceptions.SimulatorClosed
        If learned weights are wanted of a closed simulator: they are gone.
    """
    check_arguments("to_network", locals())
    original = sim.model.toplevel
    if original is None:
        raise ValidationError("the simulator was made from a model alone", attr="sim")
    built = _reader(sim, learned, item)
    for old in original.all_connections:
        _check_decoders(old, built(old).weights, "sim")
    network = _copied(original)
    network.seed = original.seed
    for kind in ("ensembles", "nodes", "connections", "probes"):
        pairs = zip(getattr(original, f"all_{kind}"), getattr(network, f"all_{kind}"), strict=True)
        for old, new in pairs:
            new.seed = sim.model.seeds[old]
            if isinstance(new, TensorNode):
                _write_tensor_node(new, old, built(old).weights, sim)
            elif kind == "ensembles":
                _write_ensemble(new, built(old))
            elif kind == "connections":
                _write_connection(new, built(old).weights)
    copies = dict(zip(original.all_probes, network.all_probes, strict=True))
    _write_probes(sim.model, built, copies)
    return network


def freeze(
    sim: Any, objects: Any = None, learned: bool | None = None, item: int | None = None
) -> None:
    """Write the current parameters of a simulator into its own network, in place.

    Simulators that are made of the network from then on, of any kind, begin with what was trained,
    and may train it further. Objects and probes are the same as before, and the simulator goes on
    undisturbed. Encoders, gains, biases and weights become numbers: a function that a connection
    computes is known by its decoders alone then. A `TensorNode` stays one, and gets
    ``initial_weights``; the layer itself keeps the weights that it has. Probes of ensembles that
    are written decode as they did. `to_network` gives a new network instead.

    Parameters
    ----------
    sim : nengograd.Simulator
        A simulator, trained or not, open or closed.
    objects : Network, Ensemble, Connection, TensorNode or list of them, optional
        What to write; by default the whole network.
    learned, item
        See `to_network`.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an object is not part of the simulator's network, or Nengo cannot take its weights.
        Nothing has changed then.
    nengo.exceptions.SimulatorClosed
        If learned weights are wanted of a closed simulator: they are gone.
    """
    check_arguments("freeze", locals())
    network = sim.model.toplevel
    if network is None:
        raise ValidationError("the simulator was made from a model alone", attr="sim")
    chosen = _chosen(network, network if objects is None else objects)
    built = _reader(sim, learned, item)
    for obj in chosen:
        if isinstance(obj, nengo.Connection):
            _check_decoders(obj, built(obj).weights, "objects")
    for obj in chosen:
        if isinstance(obj, nengo.Ensemble):
            _write_ensemble(obj, built(obj))
        elif isinstance(obj, TensorNode):
            obj.initial_weights = {name: np.array(x) for name, x in built(obj).weights.items()}
        elif isinstance(obj, nengo.Connection):
            _write_connection(obj, built(obj).weights)
    written = set(chosen)
    probes = (p for p in network.all_probes if p.obj in written)
    _write_probes(sim.model, built, {probe: probe for probe in probes})


def arguments_of(
    sim: Any,
    objects: Any,
    by_label: bool = False,
    learned: bool | None = None,
    item: int | None = None,
) -> dict[Any, dict[str, Any]]:
    """Arguments that make objects of Nengo with the current parameters of a simulator.

    ``nengo.Ensemble(n_neurons, dimensions, **arguments)`` has the encoders, gains and biases of
    the ensemble whose arguments they are, and ``nengo.Connection(pre, post, **arguments)`` the
    decoders or weights of the connection, in any network.

    Parameters
    ----------
    sim : nengograd.Simulator
        A simulator, trained or not, open or closed.
    objects : Ensemble, Connection or list of them
        Objects of its network.
    by_label : bool
        Whether keys are labels and not the objects.
    learned, item
        See `to_network`.

    Returns
    -------
    arguments : dict
        For each object a dict: ``encoders``, ``normalize_encoders``, ``gain``, ``bias``,
        ``max_rates`` and ``intercepts`` of an ensemble, the last two as by default, whatever
        defaults another network has, since gain and bias stand above them. Of a connection
        ``transform``, None where there is none and an array where it is a matrix; and from
        ensembles ``function`` and ``solver``.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an object is no ensemble or connection of the simulator's network, or Nengo cannot take
        weights of the network, or two objects have the same label where labels are asked for, or
        a minibatch of learned weights is given no ``item``.
    nengo.exceptions.SimulatorClosed
        If learned weights are wanted of a closed simulator: they are gone.
    """
    check_arguments("arguments_of", locals())
    # The copy has the same objects in the same order, with numbers for all parameters.
    network, copy = sim.model.toplevel, to_network(sim, learned, item)
    copies = dict(zip(network.all_ensembles, copy.all_ensembles, strict=True))
    copies.update(zip(network.all_connections, copy.all_connections, strict=True))
    given = list(objects) if isinstance(objects, (list, tuple)) else [objects]
    for obj in given:
        if obj not in copies:
            raise ValidationError(
                f"{obj} is no ensemble or connection of the simulator's network", attr="objects"
            )
    labels = [obj.label for obj in given]
    if by_label and (None in labels or len(set(labels)) < len(labels)):
        raise ValidationError(
            f"each object needs a label of its own; they have {labels}", attr="by_label"
        )
    keys = labels if by_label else given
    return {key: _arguments(copies[obj]) for key, obj in zip(keys, given, strict=True)}


def _arguments(obj: Any) -> dict[str, Any]:
    if isinstance(obj, nengo.Ensemble):
        names = ("encoders", "normalize_encoders", "gain", "bias", "max_rates", "intercepts")
        return {name: getattr(obj, name) for name in names}
    found = {"transform": _as_given(obj.transform)}
    if isinstance(obj.pre_obj, nengo.Ensemble):
        found.update(function=obj.function_info, solver=obj.solver)
    return found


def _as_given(transform: Any) -> Any:
    """A transform in the form in which scripts give it."""
    if isinstance(transform, nengo.transforms.NoTransform):
        return None
    is_matrix = isinstance(transform, nengo.Dense) and isinstance(transform.init, np.ndarray)
    return np.array(transform.init) if is_matrix else transform


def _chosen(network: nengo.Network, objects: Any) -> list[Any]:
    """Ensembles, connections and tensor nodes that are meant, each once."""
    given = list(objects) if isinstance(objects, (list, tuple)) else [objects]
    known = {network, *network.all_networks, *network.all_objects}
    found: dict[Any, None] = {}
    for obj in given:
        if obj not in known:
            raise ValidationError(f"{obj} is no part of the simulator's network", attr="objects")
        inner = [obj]
        if isinstance(obj, nengo.Network):
            inner = [*obj.all_ensembles, *obj.all_nodes, *obj.all_connections]
        found.update(dict.fromkeys(inner))
    return list(found)


def _reader(sim: Any, learned: bool | None, item: int | None) -> Callable[[Any], Any]:
    """A reader of built parameters as training or, if asked for, learning rules have left them."""
    if bool(sim._learned_signals) if learned is None else learned:
        return _now(sim, item)
    sim._take_writes()
    return sim._learning.built  # type: ignore[no-any-return]


def _now(sim: Any, item: int | None) -> Callable[[Any], Any]:
    """A reader of built parameters with the weights that learning rules have made of them."""
    if sim.closed and not sim._learned_signals:
        raise SimulatorClosed("Learned weights of a closed simulator are gone.")
    size = sim.options.minibatch_size
    if size is not None and size > 1 and item is None:
        raise ValidationError(
            f"each of the {size} simulations of the minibatch has learned weights of its own: "
            "choose one",
            attr="item",
        )
    if item is not None and not 0 <= item < (size or 1):
        raise ValidationError(f"is {item}; there are {size or 1} simulations", attr="item")
    values = {}
    for signal, found in (sim._learning.kept if sim.closed else _present(sim)).items():
        batched = size is not None and found.ndim > (1 if signal.sparse else signal.ndim)
        values[signal] = found[item or 0] if batched else found
    return lambda obj: sim._learning.built(obj, values)


def _present(sim: Any) -> dict[Any, NDArray[Any]]:
    """Weights and encoders as an open simulator has them, by signal."""
    sig, keys = sim.model.sig, [obj for obj in sim.model.params if obj in sim.model.sig]
    signals = {sig[key].get(name) for key in keys for name in ("weights", "encoders")} - {None}
    return {signal: np.array(sim.signals[signal]) for signal in signals if signal in sim.signals}


def _write_probes(model: Any, built: Callable[[Any], Any], copies: dict[Any, Any]) -> None:
    """Decoders of what probes decode, which are solved for by connections of their own."""
    for conn in model.params:
        is_probe = isinstance(conn, nengo.Connection) and conn.post_obj in copies
        if is_probe and isinstance(conn.pre_obj, nengo.Ensemble):
            weights = built(conn).weights
            if np.ndim(weights) == 2:
                copies[conn.post_obj].solver = NoSolver(np.array(weights).T)


def _write_ensemble(ens: nengo.Ensemble, built: Any) -> None:
    ens.eval_points = built.eval_points
    if isinstance(ens.neuron_type, nengo.Direct):
        return
    # Training changes the length of encoders, too.
    ens.normalize_encoders = False
    ens.encoders = built.encoders
    ens.gain, ens.bias = built.gain, built.bias
    # Both follow from these. Nengo warns where they are said beside them, and fails on arrays.
    ens.max_rates = nengo.Ensemble.max_rates.default
    ens.intercepts = nengo.Ensemble.intercepts.default


def _copied(original: nengo.Network) -> nengo.Network:
    """A copy of a network that shares the layers and functions of its tensor nodes.

    A layer is called with weights that are given to it, and Keras can copy only those whose class
    it knows.
    """
    nodes = [node for node in original.all_nodes if isinstance(node, TensorNode)]
    shared = {id(x): x for node in nodes for x in (node.tensor_func, node.function)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=NotAddedToNetworkWarning)
        # Nengo's copies of nodes without an output warn of something that nobody asked for.
        warnings.filterwarnings("ignore", message="'Node.size_out' is being overwritten")
        network: nengo.Network = deepcopy(original, shared)
    return network


def _write_tensor_node(
    new: Any, old: TensorNode, weights: dict[str, NDArray[Any]], sim: Any
) -> None:
    """Make a plain node of it, in its place: connections and probes refer to it."""
    seed = int(sim.model.seeds[old])
    initial = old.function.initial(seed) if old.function.states else {}
    states = {name: initial[name] for name in old.function.states}
    output = _TensorProcess(new, weights, states, sim.options.dtype)
    new.__class__ = nengo.Node
    new.output = output


class _TensorProcess(nengo.Process):  # type: ignore[misc]
    """The process of a node that computes what a `TensorNode` does.

    A process, unlike a function, begins anew with each reset and each simulator.
    """

    def __init__(
        self,
        node: TensorNode,
        weights: dict[str, NDArray[Any]],
        states: dict[str, NDArray[Any]],
        dtype: Any,
    ):
        super().__init__(default_size_in=node.size_in, default_size_out=node.size_out)
        self._function = node.function
        self._shape_in = node.shape_in
        self._pass_time = node.pass_time
        self._weights = weights
        self._states = states
        self._dtype = dtype

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        """Begin with the initial state."""
        function, states = self._function, dict(self._states)
        is_random = function.is_random(False)

        def step(t: float, x: Any = None) -> NDArray[Any]:
            arguments = [np.asarray(t, dtype=self._dtype)] if self._pass_time else []
            if self._shape_in is not None:
                arguments.append(np.asarray(x, dtype=self._dtype).reshape(1, *self._shape_in))
            key = rng.randint(2**24, size=2) if is_random else None
            output, after = function.call_item(self._weights, states, arguments, key)
            states.update(after)
            return output.reshape(-1)

        return step


def _is_decoded(connection: nengo.Connection) -> bool:
    pre = connection.pre_obj
    return isinstance(pre, nengo.Ensemble) and not isinstance(pre.neuron_type, nengo.Direct)


def _check_decoders(connection: nengo.Connection, weights: Any, attr: str) -> None:
    """Raise an error if Nengo cannot take the weights of a decoded connection."""
    if weights is None or not _is_decoded(connection) or connection.solver.weights:
        return
    if not isinstance(connection.transform, (nengo.Dense, nengo.transforms.NoTransform)):
        raise ValidationError(
            f"{connection} decodes through a {type(connection.transform).__name__}, whose weights "
            "Nengo cannot take as they are",
            attr=attr,
        )


def _write_connection(connection: nengo.Connection, weights: Any) -> None:
    if weights is None:
        return
    transform = connection.transform
    if _is_decoded(connection):
        _write_decoders(connection, weights)
    elif isinstance(transform, nengo.Dense):
        connection.transform = nengo.Dense(transform.shape, init=np.array(weights))
    elif isinstance(transform, nengo.Sparse):
        connection.transform = _sparse(transform.shape, weights)
    elif isinstance(transform, (nengo.Convolution, nengo.ConvolutionTranspose)):
        names = ("n_filters", "input_shape", "kernel_size", "strides", "padding", "channels_last")
        arguments = {name: getattr(transform, name) for name in names}
        arguments["input_shape"] = transform.input_shape.shape
        connection.transform = type(transform)(**arguments, init=np.array(weights))


def _sparse(shape: tuple[int, ...], weights: Any) -> nengo.Sparse:
    if isinstance(weights, nengo.transforms.SparseMatrix):
        return nengo.Sparse(shape, indices=weights.indices, init=weights.data)
    return nengo.Sparse(shape, init=weights)


def _write_decoders(connection: nengo.Connection, weights: Any) -> None:
    """Weights of a decoded connection, which hold its function and its transform."""
    if connection.solver.weights:
        connection.solver = _FullWeights(np.array(weights).T, weights=True)
        return
    size = connection.size_out
    connection.function = FunctionInfo(function=_decoded, size=size)
    connection.transform = None
    connection.solver = NoSolver(np.array(weights).T)


def _decoded(x: Any) -> Any:
    """Stands for a function whose decoders are given."""
    raise NotImplementedError("this function is known by its decoders alone")


class _FullWeights(NoSolver):  # type: ignore[misc]
    """Weights between neurons as they are, encoders and transform included."""

    compositional = False
