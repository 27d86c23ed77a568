"""Models of other libraries as Nengo networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..plugin.manager import get_manager
from ..plugin.model_reader import ModelGraph
from .converted import Converted, as_items
from .lookup import Converters
from .network import build_network
from .options import Options, RateTarget
from .steps import with_steps

__all__ = ["convert"]


def convert(
    model: Any,
    swap_activations: Mapping[Any, Any] | None = None,
    scale_firing_rates: Any = None,
    synapse: Any = None,
    max_to_avg_pool: bool = False,
    inference_only: bool = False,
    split_shared_weights: bool = False,
    temporal: bool = False,
    allow_fallback: bool = True,
    plugins: Sequence[Any] = (),
) -> Converted:
    """Convert a model of another library, such as Keras, into a Nengo network.

    Activations become neurons, weights transforms of connections, and the rest nodes. What has no
    meaning in Nengo becomes a `TensorNode`, and a warning names it. Which layers are known the
    plugins say, by the hook ``nengograd_converters``.

    Parameters
    ----------
    model : object
        A model whose class a plugin can read: a sequential or functional model of Keras.
    swap_activations : dict, optional
        Neurons to take in place of others, such as
        ``{"relu": nengo.SpikingRectifiedLinear()}``. A key is the name of an activation, the
        function that the library has for it, a neuron type or its class.
    scale_firing_rates : float, dict or RateTarget, optional
        By how much currents are scaled; outputs are divided by it again. An activation of 1 is a
        rate of 1 Hz, and spikes at that rate say little in the time that one has. With spiking
        rectified linear neurons a larger scale changes nothing but how many spikes there are; of
        other neurons it changes what they compute. One number for all layers; a dict by layer or
        its name; or a `RateTarget`, which finds one for each layer from data. Neurons without an
        amplitude are not scaled.
    synapse : Synapse or float, optional
        What filters the output of neurons on its way to the next layer and to probes: a synapse,
        its time constant in seconds, or a dict of them by layer. By default nothing.
    max_to_avg_pool : bool
        Whether maximum pooling becomes average pooling, which connections can do.
    inference_only : bool
        Whether the network is not to be trained. Then batch normalization is folded into the
        layer before it or becomes a factor and a bias, dropout does nothing, and biases are those
        of ensembles. Otherwise both are tensor nodes.
    split_shared_weights : bool
        Whether each use of a layer that is used several times gets connections of its own, whose
        weights training changes apart. Otherwise such a layer is a tensor node at each use, and
        these share their weights.
    temporal : bool
        Whether the first axis of each tensor is time, which becomes the steps of the simulation.
        Recurrent layers then go on from step to step.
    allow_fallback : bool
        Whether layers may become tensor nodes.
    plugins : sequence of object
        Further plugins with converters, beside those that are installed.

    Returns
    -------
    converted : Converted
        The network, with its inputs, outputs and layers.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the model cannot be read, an option does not fit it, or there are layers that would have
        to be tensor nodes and may not.

    Warns
    -----
    nengo.exceptions.NengoWarning
        If layers are tensor nodes.

    Examples
    --------
    ::

        spiking = nengograd.convert(
            model,
            swap_activations={"relu": nengo.SpikingRectifiedLinear()},
            scale_firing_rates=200,
            synapse=0.01,
        )
        with nengograd.Simulator(spiking.net, minibatch_size=10) as sim:
            sim.run_steps(50, input_feeds=spiking.feeds(images[:10], 50))
        output = sim.data[spiking.outputs[model.output]]
    """
    check_arguments("convert", locals())
    converters = Converters(get_manager(plugins))
    reader = converters.reader(model)
    options = Options(
        swap_activations=dict(swap_activations or {}),
        scale_firing_rates=scale_firing_rates,
        synapse=synapse,
        max_to_avg_pool=bool(max_to_avg_pool),
        inference_only=bool(inference_only),
        split_shared_weights=bool(split_shared_weights),
        temporal=bool(temporal),
        allow_fallback=bool(allow_fallback),
    )
    graph = reader.read(model, options.inference_only)
    if options.temporal:
        graph = with_steps(graph, reader, options.inference_only)
    if isinstance(scale_firing_rates, RateTarget):
        options.rates.update(_rates(graph, scale_firing_rates))
    network = build_network(graph, reader, converters, options)
    return Converted(model, graph, reader, converters, options, network)


def _rates(graph: ModelGraph, target: RateTarget) -> dict[str, float]:
    """The scale of each layer for a target, from the values that the model itself has."""
    data = target.data if isinstance(target.data, (list, tuple)) else [target.data]
    if len(data) != len(graph.inputs):
        raise ValidationError(
            f"has data for {len(data)} inputs; the model has {len(graph.inputs)}",
            attr="scale_firing_rates",
        )
    items = [
        as_items(put, x, "scale_firing_rates") for put, x in zip(graph.inputs, data, strict=True)
    ]
    for put, array in zip(graph.inputs, items, strict=True):
        if not len(array) or not np.isfinite(array).all():
            raise ValidationError(
                f"data for {put.name!r} have to be one finite item at least",
                attr="scale_firing_rates",
            )
    values = graph.values(items)
    return {call.name: _scale(target, values[call.outputs[0]]) for call in graph.calls}


def _scale(target: RateTarget, activity: NDArray[Any]) -> float:
    """The factor that gives the percentile of an activity the rate; 1 if nothing is active."""
    high = float(np.percentile(activity, target.percentile))
    return target.rate / high if high > 0 else 1.0
