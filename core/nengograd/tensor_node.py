"""Tensor nodes: functions on a backend's tensors, and trainable layers, as nodes of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import nengo
import numpy as np
from nengo.builder import Builder, Operator, Signal
from nengo.exceptions import SimulationError, ValidationError
from nengo.params import Default
from numpy.typing import NDArray

from .arguments.table import check_arguments
from .plugin.manager import get_manager
from .plugin.merging import Itself
from .plugin.tensor_function import TensorFunction, as_bytes, from_bytes, is_real

__all__ = [
    "BuiltTensorNode",
    "Layer",
    "SimTensorNode",
    "TensorNode",
    "layer_values",
    "layer_weights",
]


class TensorNode(nengo.Node):
    """A node whose output is computed by a function on tensors, or by a layer.

    Unlike the Python function of a `nengo.Node` it runs compiled, on the simulator's device,
    for all items of a minibatch at once, and has gradients. The weights of a layer are
    trained, saved and loaded like those of connections; ``sim.data[node].weights`` has them by
    the names that the layer gives them.

    Parameters
    ----------
    tensor_func : callable
        Takes an input ``(minibatch_size, *shape_in)`` and returns
        ``(minibatch_size, *shape_out)``; with ``pass_time`` it takes the time, a scalar in
        seconds, before that. Items have to be independent of each other. It is a function on the
        tensors of the backend, or a layer of a library that the backend knows. A layer that is
        used in several nodes shares its weights, and each node has a state of its own.

        What a layer changes by itself when it is called, such as the state of a recurrent
        layer that keeps one or a counter, lives from step to step; each item of a minibatch
        has its own, and `Simulator.reset` restores it. What it changes in training alone,
        such as statistics over minibatches, are weights that it has itself trained: each step
        of a minibatch changes them once, in order of time, by what all items are in that step.
        Runs, losses and validation use them as they are, and so does the training of a layer that
        is frozen (``trainable = False``) before the simulator is made. A layer that does both, or
        that gathers statistics in several nodes, is an error in training.

        Random numbers follow the simulator's seed. A layer draws them with a generator of its
        own; a function takes a parameter ``seed``, which is another one in each step, and draws
        with a function of that seed alone. What it is, two whole numbers or a key, the backend
        says.

        A function that the backend's compiler cannot compile, such as one that prints, runs
        outside of compiled code, with a warning.
    shape_in : tuple of int, optional
        Shape of one item's input; by default there is none. Connections see it flat.
    shape_out : tuple of int, optional
        Shape of one item's output; by default the function is tried, and it has to agree.
    pass_time : bool
        Whether the function takes the time.
    label : str, optional
        A name for messages and pictures.
    seed : int, optional
        The seed of the initial weights of a layer that has none yet. (A layer that Keras cannot
        make anew from its configuration begins with the weights that Keras gave it.)
    backend : str, optional
        The backend whose tensors the function works on. By default it is the one of whose library
        the function or layer is, as far as that can be seen: a function that says ``tf.tanh`` is
        TensorFlow's. Else it is that of the tensor node made last in the network, if there is one,
        else the preferred one that has tensor functions.

    Attributes
    ----------
    initial_weights : dict or None
        Weights by name with which simulators begin in place of those of the layer; `freeze` writes
        them. Nodes that share a layer should have the same: those of the first are used.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the function cannot be used with these shapes.
    """

    def __init__(
        self,
        tensor_func: Callable[..., Any],
        shape_in: Sequence[int] | int | None = None,
        shape_out: Sequence[int] | int | None = None,
        pass_time: bool = True,
        label: str | None = Default,
        seed: int | None = Default,
        backend: str | None = None,
    ):
        check_arguments("TensorNode", locals())
        plugins = get_manager()
        name = plugins.named(backend) or plugins.choose(_backend_for(tensor_func))
        plugins.require(name, "tensor_functions", "compute functions on tensors")
        engine = plugins.load(name)
        engine.check_process()
        self.tensor_func = tensor_func
        self.shape_in = _shape(shape_in)
        self.pass_time = pass_time
        self.initial_weights: dict[str, NDArray[Any]] | None = None
        self.function: TensorFunction = engine.tensor_function(
            tensor_func, self.shape_in, pass_time
        )
        self.shape_out = self.function.shape_out
        wanted = _shape(shape_out)
        if wanted is not None and wanted != self.shape_out:
            raise ValidationError(
                f"is {wanted}, but the function puts out {self.shape_out} for one item",
                attr="shape_out",
            )
        size_in = 0 if self.shape_in is None else int(np.prod(self.shape_in))
        super().__init__(None, size_in=size_in, label=label, seed=seed)
        self.size_out = int(np.prod(self.shape_out))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # A node without a Python function is put back with as many outputs as inputs.
        self.size_out = int(np.prod(self.shape_out))


def _backend_for(tensor_func: Callable[..., Any]) -> str | None:
    """The backend whose library a function is of, or else that of the nodes beside it."""
    plugins = get_manager()
    able = plugins.able("tensor_functions", tensor_func)
    if not able or plugins.takes(able[0], tensor_func):
        return able[0] if able else None
    within = list(nengo.Network.context)[:1]
    beside = [node for net in within for node in net.all_nodes if isinstance(node, TensorNode)]
    return beside[-1].function.backend if beside else able[0]


def _shape(shape: Sequence[int] | int | None) -> tuple[int, ...] | None:
    if shape is None:
        return None
    given = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    return tuple(int(n) for n in given)


class SimTensorNode(Operator):
    """Computes the output of a `TensorNode`.

    Attributes
    ----------
    node : TensorNode
        The node.
    input : Signal or None
        Its input.
    time : Signal or None
        The time, if the function takes it.
    output : Signal
        Its output.
    weights, states : dict of str to Signal
        What the layer calls its weights, and what it keeps from step to step. Those that are
        not real numbers are held as their bytes.
    """

    def __init__(
        self,
        node: TensorNode,
        input: Signal | None,
        time: Signal | None,
        output: Signal,
        weights: dict[str, Signal],
        states: dict[str, Signal],
    ):
        super().__init__(tag=str(node))
        self.node = node
        self.input = input
        self.time = time
        self.output = output
        self.weights = weights
        self.states = states
        self.sets = [output]
        self.incs: list[Signal] = []
        self.reads = [s for s in (input, time, *weights.values()) if s is not None]
        self.updates = list(states.values())

    def make_step(self, signals: Any, dt: float, rng: Any) -> Any:
        """There is no NumPy code to run."""
        raise SimulationError(
            f"{self.node} computes with tensors of the backend {self.node.function.backend!r}: "
            "use nengograd.Simulator with that backend"
        )


class BuiltTensorNode(NamedTuple):
    """The built parameters of a `TensorNode`, in ``sim.data``.

    Attributes
    ----------
    weights : dict
        The layer's weights, by the names that it gives them, each in its own dtype; after
        training real ones in that of the simulation.
    trainable : frozenset of str
        Those of them that training may change. What was frozen when the node was built stays
        so in this simulator.
    """

    weights: dict[str, NDArray[Any]]
    trainable: frozenset[str] = frozenset()


def layer_weights(model: Any, node: TensorNode) -> dict[str, Signal]:
    """The signals of a node's weights, by the names that the layer gives them.

    Of weights that are not real numbers they hold the bytes; see `layer_values`.
    """
    return dict(model.sig[Itself(node.tensor_func)]) if node.function.names else {}


def layer_values(node: TensorNode, held: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The values of weights or states of a node, from what their signals hold."""
    function = node.function
    return {
        name: value
        if is_real(function.dtypes[name])
        else from_bytes(value, function.dtypes[name], function.shapes[name])
        for name, value in held.items()
    }


def _signal(node: TensorNode, name: str, value: NDArray[Any]) -> Signal:
    held = value if is_real(value.dtype) else as_bytes(value)
    return Signal(held, name=f"{node}.{name}")


def _given_weights(node: TensorNode) -> dict[str, NDArray[Any]]:
    """The weights that a node was given by name, in place of the layer's own."""
    function = node.function
    given = {name: np.asarray(x) for name, x in (node.initial_weights or {}).items()}
    for name, value in given.items():
        if name not in function.names or value.shape != tuple(function.shapes[name]):
            shapes = {n: tuple(function.shapes[n]) for n in function.names}
            raise ValidationError(
                f"{node} has the weights {shapes}; {name} of shape {value.shape} is none of them",
                attr="initial_weights",
            )
    return given


@Builder.register(TensorNode)  # type: ignore[untyped-decorator]
def build_tensor_node(model: Any, node: TensorNode) -> None:
    """Make a node's signals, those of its weights, and its operator."""
    if node.size_in:
        given = Signal(shape=node.size_in, name=f"{node}.in")
        model.add_op(nengo.builder.operator.Reset(given))
    else:
        given = None
    output = Signal(shape=node.size_out, name=f"{node}.out")
    model.sig[node]["in"], model.sig[node]["out"] = given, output
    function = node.function
    initial = function.initial(int(model.seeds[node])) if function.dtypes else {}
    initial = {**initial, **_given_weights(node)}
    shared = model.sig[Itself(node.tensor_func)] if function.names else {}
    if not shared:
        shared.update((name, _signal(node, name, initial[name])) for name in function.names)
    # Nodes share the weights of a layer, and each has its state to itself.
    states = {name: _signal(node, name, initial[name]) for name in function.states}
    model.sig[node].update(states)
    weights = layer_weights(model, node)
    time = model.time if node.pass_time else None
    model.add_op(SimTensorNode(node, given, time, output, weights, states))
    values = layer_values(node, {name: s.initial_value for name, s in weights.items()})
    model.params[node] = BuiltTensorNode(values, function.trainable)


class Layer:
    """Adds a layer of neurons, a Keras layer or a function to a network, with one call.

    Parameters
    ----------
    layer_func : NeuronType, layer or callable
        A neuron type, for as many neurons as there are inputs; or a function or layer for a
        `TensorNode`.

    Examples
    --------
    ::

        x = nengograd.Layer(keras.layers.Dense(100))(inp, synapse=None)
        x = nengograd.Layer(nengo.RectifiedLinear())(x, synapse=None)
    """

    def __init__(self, layer_func: Any):
        check_arguments("Layer", locals())
        self.layer_func = layer_func

    def __call__(
        self,
        input: Any,
        transform: Any = None,
        shape_in: Sequence[int] | int | None = None,
        synapse: Any = None,
        return_conn: bool = False,
        **layer_args: Any,
    ) -> Any:
        """Connect something to a new layer.

        Parameters
        ----------
        input : NengoObject
            The input of the layer: anything that a connection may begin at.
        transform : array, distribution or transform, optional
            The transform of the connection. A distribution, which has no number of outputs of its
            own, gives as many as ``shape_in`` has elements.
        shape_in : tuple of int, optional
            Shape of one item's input, by default flat. A layer of neurons has as many neurons as
            the shape has elements.
        synapse : Synapse, optional
            The synapse of the connection; by default none.
        return_conn : bool
            Whether to return the connection, too.
        **layer_args
            Further arguments of `nengo.Ensemble` or `TensorNode`.

        Returns
        -------
        layer : Neurons or TensorNode
            The new layer, which can be the input of the next one. With ``return_conn`` a pair of
            the layer and the connection.
        """
        check_arguments("Layer.__call__", locals())
        shape = _shape(shape_in)
        size = _size_in(input, transform, shape)
        if shape is not None and int(np.prod(shape)) != size:
            raise ValidationError(
                f"is {shape}, {int(np.prod(shape))} elements; the input has {size}",
                attr="shape_in",
            )
        made: Any
        if isinstance(self.layer_func, nengo.neurons.NeuronType):
            ensemble = nengo.Ensemble(size, 1, neuron_type=self.layer_func, **layer_args)
            made = ensemble.neurons
        else:
            layer_args.setdefault("pass_time", False)
            shape = (size,) if shape is None else shape
            made = TensorNode(self.layer_func, shape_in=shape, **layer_args)
        given = {} if transform is None else {"transform": transform}
        connection = nengo.Connection(input, made, synapse=synapse, **given)
        return (made, connection) if return_conn else made

    def __repr__(self) -> str:
        return f"<Layer {self.layer_func!r}>"


def _size_in(input: Any, transform: Any, shape: tuple[int, ...] | None) -> int:
    """The number of elements that come out of a connection."""
    if isinstance(transform, nengo.transforms.Transform):
        size_out = transform.size_out
        return int(input.size_out if size_out is None else size_out)
    if isinstance(transform, nengo.dists.Distribution):
        return int(input.size_out if shape is None else np.prod(shape))
    matrix: NDArray[Any] = np.asarray(1.0 if transform is None else transform)
    return int(input.size_out) if matrix.ndim < 2 else int(matrix.shape[0])
