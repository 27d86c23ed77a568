"""Layers whose connections are not trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nengo.params import Default

from ..config import configure_settings
from ..tensor_node import Layer as PlainLayer

__all__ = ["Layer", "tensor_layer"]


class Layer(PlainLayer):
    """A layer of neurons, a Keras layer or a function on tensors, added with one call.

    It is `nengograd.Layer`, but the connection to the layer is not trained, unless
    ``net.config[connection].trainable`` is set to True afterwards.

    Parameters
    ----------
    layer_func : NeuronType, layer or callable
        See `nengograd.Layer`.
    """

    def __call__(
        self,
        input: Any,
        transform: Any = Default,
        shape_in: Sequence[int] | int | None = None,
        synapse: Any = None,
        return_conn: bool = False,
        **layer_args: Any,
    ) -> Any:
        """Connect something to a new layer; see `nengograd.Layer`.

        Parameters
        ----------
        input : NengoObject
            The input of the layer.
        transform : array, distribution or transform, optional
            Of the connection.
        shape_in : tuple of int, optional
            Shape of one item's input.
        synapse : Synapse, optional
            Of the connection; by default none.
        return_conn : bool
            Whether to return the connection, too.
        **layer_args
            Further arguments of `nengo.Ensemble` or `nengograd.TensorNode`, such as ``seed``.

        Returns
        -------
        layer : Neurons or TensorNode
            The new layer, with ``return_conn`` a pair of it and the connection.
        """
        given = None if transform is Default else transform
        made, connection = super().__call__(
            input, given, shape_in=shape_in, synapse=synapse, return_conn=True, **layer_args
        )
        configure_settings(trainable={connection: False})
        return (made, connection) if return_conn else made


def tensor_layer(input: Any, layer_func: Any, **arguments: Any) -> Any:
    """Add a layer in one call, ``Layer(layer_func)(input, **arguments)``.

    Parameters
    ----------
    input : NengoObject
        The input of the layer.
    layer_func : NeuronType, layer or callable
        See `Layer`.
    **arguments
        Of the call of a `Layer`.
    """
    return Layer(layer_func)(input, **arguments)
