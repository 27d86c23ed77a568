"""What the converter of a layer makes objects of the network with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import nengo
import numpy as np
import scipy.sparse
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike, NDArray

from ..config import configure_settings
from ..plugin.model_reader import LayerCall, ModelReader
from ..tensor_node import TensorNode
from .lookup import Converters
from .options import Options, scaled
from .tensor import Activation, Tensor

__all__ = ["ALIKE_IN_STEPS", "LayerConversion"]

ALIKE_IN_STEPS = (
    "A layer that is meant for each step by itself, as one is in TimeDistributed of Keras, can be "
    "a tensor node; without temporal=True any layer can"
)
"""What would be right where a layer cannot be converted step by step."""


@dataclass
class LayerConversion:
    """Makes the objects of one call of a layer, in the network that is being converted.

    Attributes
    ----------
    call : LayerCall
        The call.
    inputs : list of Tensor
        Its inputs.
    options : Options
        What the user has asked for: ``inference_only``, ``max_to_avg_pool`` and others.
    reader : ModelReader
        Who has read the model.
    converters : Converters
        Those of all plugins.
    reasons : list of str
        Why parts of the layer are tensor nodes.
    neurons : Neurons or None
        The layer's neurons, once there are any.
    scale : float
        By how much their currents are scaled.
    """

    call: LayerCall
    inputs: list[Tensor]
    options: Options
    reader: ModelReader
    converters: Converters
    reasons: list[str] = field(default_factory=list)
    neurons: Any = None
    scale: float = 1.0

    # -- what a converter reads

    @property
    def weights(self) -> tuple[NDArray[Any], ...]:
        """The weights to convert with, in the order of the layer's own."""
        return self.call.weights

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first output for one item, in a temporal model for one step."""
        return self._shape(0)

    def _shape(self, index: int) -> tuple[int, ...]:
        shape = self.call.shapes[index]
        if any(x.has_time for x in self.inputs):
            shape = shape[1:]
        if None in shape:
            raise ValidationError(
                f"the output of {self.call.name!r} has the shape {shape}, and a network needs "
                "fixed ones: make the model with an input of fixed shape",
                attr="model",
            )
        return tuple(int(n) for n in shape if n is not None)

    # -- what it makes

    def same(self, x: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """The value itself, as it is or in another shape of as many elements."""
        return Tensor(x.obj, x.shape if shape is None else tuple(shape), x.synapse)

    def weighted(
        self,
        terms: Sequence[tuple[Tensor, Any]],
        shape: Sequence[int],
        bias: ArrayLike | None = None,
        activation: Activation | None = None,
        channels_last: bool = True,
        trainable: bool = True,
    ) -> Tensor:
        """A sum of transformed values and a bias, with an activation.

        Parameters
        ----------
        terms : sequence of (Tensor, transform)
            Values, each with an array or a transform of Nengo; None passes it on.
        shape : tuple of int
            Shape of the result for one item.
        bias : (channels,) array, optional
            Added along the axis of channels. One that is not trained may have the shape of the
            result.
        activation : Activation, optional
            Neurons if it has any, or a tensor node; none leaves the sum as it is.
        channels_last : bool
            Whether the axis of channels is the last or the first one.
        trainable : bool
            Whether training may change the transforms and the bias, where the layer is not frozen.
        """
        shape = tuple(int(n) for n in shape)
        size, values = int(np.prod(shape)), None if bias is None else np.asarray(bias)
        neurons = None if activation is None else self.options.neurons_of(activation)
        is_fixed = self.options.inference_only
        trainable = trainable and self.call.is_trainable
        if neurons is None:
            target: Any = nengo.Node(size_in=size, label=self.call.name)
        else:
            within = np.zeros(size)
            if is_fixed and values is not None:
                within = _spread(values, shape, channels_last).reshape(-1)
                values = None
            target = self._ensemble(neurons, within)
        for x, transform in terms:
            self.connect(x, target, transform, trainable)
        if values is not None:
            self._add_bias(target, values, shape, channels_last, trainable)
        if activation is None:
            return Tensor(target, shape)
        if neurons is None:
            self.reasons.append(f"Nengo has no neurons that compute {activation.name!r}")
            return self.tensor_node(activation.function, Tensor(target, shape), shape)
        return Tensor(target, shape, self.options.synapse_of(self.call))

    def select(self, values: Sequence[Tensor], indices: Any, shape: Sequence[int]) -> Tensor:
        """Elements of values, in any order.

        Parameters
        ----------
        values : sequence of Tensor
            They are counted through, one after the other, flat.
        indices : array of int
            For each element of the result the number of the one that it is; -1 for 0.
        shape : tuple of int
            Shape of the result for one item.
        """
        flat = np.asarray(indices).reshape(-1)
        if len(values) == 1 and np.array_equal(flat, np.arange(values[0].size)):
            return self.same(values[0], shape)
        node = nengo.Node(size_in=len(flat), label=self.call.name)
        first = 0
        for x in values:
            (to,) = np.nonzero((flat >= first) & (flat < first + x.size))
            if len(to):
                pre = _part(x.obj, flat[to] - first, x.size)
                self.connect(Tensor(pre, (len(to),), x.synapse), _part(node, to, len(flat)))
            first += x.size
        return Tensor(node, tuple(shape))

    def sparse(
        self, x: Tensor, entries: Any, values: Any, shape: Sequence[int], **end: Any
    ) -> Tensor:
        """A fixed sparse matrix times a value.

        Parameters
        ----------
        x : Tensor
            The value.
        entries : (n, 2) array of int
            Row and column of each entry.
        values : float or (n,) array
            The entries.
        shape : tuple of int
            Shape of the result for one item.
        **end
            Bias, activation and axis of the channels, as for `weighted`.
        """
        entries = np.asarray(entries).reshape(-1, 2)
        values = np.broadcast_to(np.asarray(values, dtype=np.float64), (len(entries),))
        size = (int(np.prod(shape)), x.size)
        matrix = scipy.sparse.csr_matrix((values, (entries[:, 0], entries[:, 1])), shape=size)
        transform = nengo.Sparse(size, init=matrix)
        return self.weighted([(x, transform)], shape, trainable=False, **end)

    def tensor_node(self, function: Any, x: Tensor, shape: Sequence[int]) -> Tensor:
        """A function or a layer of the library, as a `nengograd.TensorNode`."""
        shape_in = x.shape or (1,)
        node = TensorNode(function, shape_in=shape_in, pass_time=False, label=self.call.name)
        self.connect(x, node)
        return Tensor(node, tuple(shape))

    def refuse_time(self) -> NoReturn:
        """Raise the error of a layer that has to see all steps of a temporal model at once."""
        raise ValidationError(
            f"{self.call.name!r}, a {type(self.call.layer).__name__}, does not do the same in each "
            "step: with temporal=True the first axis of each tensor is time, and this layer would "
            f"need all of it at once. {ALIKE_IN_STEPS}",
            attr="temporal",
        )

    def fallback(self, reason: str) -> Tensor:
        """The whole layer as a tensor node.

        Parameters
        ----------
        reason : str
            Why, as it follows "since" in the warning.
        """
        self.reasons.append(reason)
        if len(self.call.outputs) != 1:
            raise ValidationError(
                f"{self.call.name!r} has {len(self.call.outputs)} outputs and {reason}; a tensor "
                "node has one: give a converter with the hook nengograd_converters",
                attr="model",
            )
        function = self.reader.tensor_function(self.call, [x.shape for x in self.inputs])
        together = self.inputs[0]
        if len(self.inputs) > 1:
            size = sum(x.size for x in self.inputs)
            together = self.select(self.inputs, np.arange(size), (size,))
        return self.tensor_node(function, together, self.shape)

    def inner(self, layer: Any, inputs: Sequence[Tensor] | None = None) -> Any:
        """What the converter of a layer within the layer makes of the same weights.

        Parameters
        ----------
        layer : object
            The layer within, which does the same along the first axis of this layer's inputs.
        inputs : sequence of Tensor, optional
            What it gets: one element of that axis. By default the layer's own inputs, which in a
            temporal model are those of one step, and otherwise all elements at once.
        """
        found = self.converters.find(layer)
        is_known = found is not None and not isinstance(found[0], ModelReader)
        reason = f"there is no converter for {type(layer).__name__} in it"
        if inputs is None and not any(x.has_time for x in self.inputs):
            if found is None or not is_known:
                return self.fallback(reason)
            return found[0](layer, self.inputs, self)
        call = replace(self.call, layer=layer, wrapper=self.call.layer, details=None)
        given = self.inputs if inputs is None else list(inputs)
        inside = replace(self, call=call, inputs=given).in_a_step()
        if found is None or not is_known:
            result = inside.fallback(reason)
        else:
            result = found[0](layer, inside.inputs, inside)
        self.neurons, self.scale = inside.neurons, inside.scale
        return result

    def in_a_step(self) -> LayerConversion:
        """The conversion of the same call as it is in one step, where there is no time."""
        shapes = tuple(shape[1:] for shape in self.call.shapes)
        inputs = [replace(x, has_time=False) for x in self.inputs]
        return replace(self, call=replace(self.call, shapes=shapes), inputs=inputs)

    def connect(
        self, x: Tensor, target: Any, transform: Any = None, trainable: bool = True
    ) -> None:
        """Connect a value to an object, through the synapse that it has.

        Parameters
        ----------
        x : Tensor
            The value.
        target : Node, Neurons or ObjView
            Where it goes.
        transform : array or transform, optional
            By default it arrives as it is.
        trainable : bool
            Whether training may change the transform.
        """
        given = {} if transform is None else {"transform": transform}
        made = nengo.Connection(x.obj, target, synapse=x.synapse, **given)
        if transform is not None and not trainable:
            configure_settings(trainable={made: False})

    # -- inside

    def _ensemble(self, neurons: nengo.neurons.NeuronType, bias: NDArray[Any]) -> Any:
        scale = self.options.scale_of(self.call)
        kind = scaled(neurons, scale)
        if kind is None:
            kind, scale = neurons, 1.0
        ensemble = nengo.Ensemble(
            len(bias),
            1,
            neuron_type=kind,
            gain=np.full(len(bias), scale),
            bias=scale * bias,
            label=self.call.name,
        )
        self.neurons, self.scale = ensemble.neurons, scale
        return ensemble.neurons

    def _add_bias(
        self,
        target: Any,
        bias: NDArray[Any],
        shape: tuple[int, ...],
        channels_last: bool,
        trainable: bool,
    ) -> None:
        """Add what training changes as one number for each channel."""
        label = f"{self.call.name}.bias"
        if self.options.inference_only or not trainable:
            node = nengo.Node(_spread(bias, shape, channels_last).reshape(-1), label=label)
            nengo.Connection(node, target, synapse=None)
            return
        places = int(np.prod(shape)) // len(bias)
        node = nengo.Node(np.ones(places), label=label)
        transform: Any = bias[:, None]
        if places > 1:
            transform = nengo.Convolution(
                len(bias),
                (places, 1) if channels_last else (1, places),
                kernel_size=(1,),
                strides=(1,),
                channels_last=channels_last,
                init=bias[None, None, :],
            )
        nengo.Connection(node, target, transform=transform, synapse=None)


def _spread(bias: NDArray[Any], shape: tuple[int, ...], channels_last: bool) -> NDArray[Any]:
    """A number for each channel at each place."""
    if not channels_last and bias.ndim == 1:
        bias = bias.reshape(-1, *(1 for _ in shape[1:]))
    return np.array(np.broadcast_to(bias, shape), dtype=np.float64)


def _part(obj: Any, indices: NDArray[Any], size: int) -> Any:
    """Some elements of an object; itself for all of them."""
    if len(indices) == size and np.array_equal(indices, np.arange(size)):
        return obj
    first = int(indices[0])
    if np.array_equal(indices, np.arange(first, first + len(indices))):
        return obj[first : first + len(indices)]
    return obj[[int(i) for i in indices]]
