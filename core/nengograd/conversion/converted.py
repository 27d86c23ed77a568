"""What a conversion gives: a network, and ways to feed it and to hold it against the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..plugin.model_reader import ModelGraph, ModelInput, ModelReader
from .lookup import Converters
from .names import ByModel
from .network import ConvertedLayer, ConvertedNetwork, build_network
from .options import Options
from .report import ConversionReport, make_report
from .verification import verify_outputs, verify_training

__all__ = ["Converted", "as_items"]


class Converted:
    """A model as a Nengo network; `convert` makes it.

    Attributes
    ----------
    net : nengo.Network
        The network, to be simulated, trained, extended or saved like any other.
    inputs : mapping
        Input of the model -> `nengo.Node`. A key is the name of the input, its layer or its tensor.
    outputs : mapping
        Output of the model -> `nengo.Probe`. A key is the layer, its name or the tensor that it
        puts out, or the model itself if it has one output.
    layers : mapping
        Layer of the model -> what puts out the layer's values: the neurons of an ensemble, or a
        node. A key is the layer, its name or its output tensor. ``converted.inputs |
        converted.layers`` has the layers of inputs, too.
    """

    def __init__(
        self,
        model: Any,
        graph: ModelGraph,
        reader: ModelReader,
        converters: Converters,
        options: Options,
        network: ConvertedNetwork,
    ):
        self._model, self._graph, self._reader = model, graph, reader
        self._converters, self._options, self._network = converters, options, network
        self.net = network.net
        self.inputs = ByModel(
            [
                (put.name, _known(put.layer, put.tensor), node)
                for put, node in zip(graph.inputs, network.inputs, strict=True)
            ]
        )
        self.outputs = ByModel(self._outputs())
        self.layers = ByModel([entry for layer in network.layers for entry in _entries(layer)])

    def _outputs(self) -> list[tuple[str, tuple[Any, ...], Any]]:
        """Probes for the mapping: under the names of layers, each only once."""
        graph = self._graph
        makers = {key: (call.name, call.layer) for call in graph.calls for key in call.outputs}
        makers.update({put.key: (put.name, put.layer) for put in graph.inputs})
        tensors = graph.output_tensors or graph.outputs
        model = self._model if len(graph.outputs) == 1 else None
        found: dict[str, tuple[str, tuple[Any, ...], Any]] = {}
        for key, tensor, probe in zip(graph.outputs, tensors, self._network.outputs, strict=True):
            name, layer = makers[key]
            name = name if name not in found else f"{name}:{len(found)}"
            found[name] = name, _known(layer, tensor, model), probe
        return list(found.values())

    def feeds(self, inputs: Any, n_steps: int = 1) -> dict[Any, NDArray[Any]]:
        """Inputs of the model as ``input_feeds`` of a simulator.

        Parameters
        ----------
        inputs : array or list of array
            What the model takes: ``(items, *shape)``, one for each input.
        n_steps : int
            For how many steps each item is shown. In a temporal model the steps are those of the
            data, and this is 1.

        Returns
        -------
        feeds : dict
            ``{node: (items, n_steps, size)}``.
        """
        check_arguments("Converted.feeds", locals())
        given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if len(given) != len(self.inputs):
            raise ValidationError(
                f"the model has {len(self.inputs)} inputs, not {len(given)}", attr="inputs"
            )
        pairs = zip(self._graph.inputs, self._network.inputs, given, strict=True)
        return {node: self._feed(put, node, x, n_steps) for put, node, x in pairs}

    def _feed(self, put: Any, node: Any, x: Any, n_steps: int) -> NDArray[Any]:
        array = as_items(put, x, "inputs")
        if self._options.temporal:
            return array.reshape(len(array), array.shape[1], node.size_out)
        return np.repeat(array.reshape(len(array), 1, node.size_out), n_steps, axis=1)

    def verify(
        self,
        training: bool = False,
        inputs: Any = None,
        atol: float = 1e-4,
        rtol: float = 1e-3,
        backend: str | None = None,
    ) -> bool:
        """Compare the network with the model, layer by layer.

        What is compared is the network as it would be with the model's own activations: without
        ``swap_activations``, ``scale_firing_rates`` and ``synapse``, whose effects
        `Converted.report` shows.

        Parameters
        ----------
        training : bool
            Whether to make one step of gradient descent in both, and to compare after it, too.
        inputs : array or list of array, optional
            What the model takes; by default some random numbers.
        atol, rtol : float
            What may differ: ``atol + rtol * |value in the model|``.
        backend : str, optional
            The backend to run on.

        Returns
        -------
        is_equal : bool
            True.

        Raises
        ------
        nengo.exceptions.ValidationError
            If outputs differ; it names the layer at which network and model part, and lists by
            how much each layer differs.
        """
        check_arguments("Converted.verify", locals())
        plain = self._plain()
        if inputs is None:
            given = plain.random_inputs()
        else:
            given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        feeds = plain.feeds(given)
        tolerance = float(atol), float(rtol)
        verify_outputs(plain._graph, plain._network, given, feeds, tolerance, backend)
        if training:
            if self._options.inference_only:
                raise ValidationError(
                    "the network was converted with inference_only=True, and cannot be trained",
                    attr="training",
                )
            verify_training(
                self._model, self._reader, plain._graph, plain._network, given, feeds, tolerance,
                backend,
            )  # fmt: skip
        return True

    def _plain(self) -> Converted:
        """The same without what makes it spike."""
        options = replace(
            self._options, swap_activations={}, scale_firing_rates=None, synapse=None,
            rates={}, used=set(), warns=False,
        )  # fmt: skip
        network = build_network(self._graph, self._reader, self._converters, options)
        return Converted(self._model, self._graph, self._reader, self._converters, options, network)

    def random_inputs(self, items: int = 4, steps: int = 5, seed: int = 0) -> list[NDArray[Any]]:
        """Random inputs: normal numbers, or 0 and 1 where the model takes whole ones.

        Parameters
        ----------
        items : int
            How many items.
        steps : int
            How many steps, where the model fixes no number of them.
        seed : int
            Other seeds give other numbers.

        Returns
        -------
        inputs : list of (items, *shape) arrays
            One for each input of the model, as `feeds` takes them.
        """
        check_arguments("Converted.random_inputs", locals())
        rng = np.random.RandomState(seed)
        found: list[NDArray[Any]] = []
        for put in self._graph.inputs:
            shape = (items, *(steps if n is None else n for n in put.shape))
            found.append(rng.randint(2, size=shape) if put.is_integer else rng.normal(size=shape))
        return found

    def report(
        self,
        inputs: Any,
        n_steps: int = 1,
        labels: Any = None,
        dt: float = 0.001,
        minibatch_size: int | None = None,
        backend: str | None = None,
    ) -> ConversionReport:
        """Run the network, and say how its layers fire and how far it agrees with the model.

        Parameters
        ----------
        inputs : array or list of array
            What the model takes: ``(items, *shape)``, one for each input.
        n_steps : int
            For how many steps each item is shown; in a temporal model 1.
        labels : (items,) array of int, optional
            The right classes, for accuracies.
        dt : float
            Length of a step in seconds.
        minibatch_size : int, optional
            How many items run at once, by default all up to 100.
        backend : str, optional
            The backend to run on.
        """
        check_arguments("Converted.report", locals())
        given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        feeds = self.feeds(given, n_steps)
        return make_report(
            self._graph, self._network, given, feeds, labels, dt, minibatch_size, backend
        )

    def __repr__(self) -> str:
        return f"<Converted {self._graph.name!r}: {len(self._network.layers)} layers>"


def as_items(put: ModelInput, x: Any, attr: str) -> NDArray[Any]:
    """What an input of a model is given, as an array ``(items, *shape)``.

    Parameters
    ----------
    put : ModelInput
        The input.
    x : array
        What it is given.
    attr : str
        The argument, for errors.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the shape is another one.
    """
    array = np.asarray(x)
    fits = array.ndim == len(put.shape) + 1 and all(
        n is None or n == m for n, m in zip(put.shape, array.shape[1:], strict=True)
    )
    if not fits:
        raise ValidationError(
            f"{put.name!r} takes arrays (items, *{put.shape}), not {array.shape}", attr=attr
        )
    return array


def _known(*keys: Any) -> tuple[Any, ...]:
    """Keys of those that the library has."""
    return tuple(key for key in keys if key is not None)


def _entries(layer: ConvertedLayer) -> list[tuple[str, tuple[Any, ...], Any]]:
    """A layer for the mapping: under its name, and of several outputs each under its number."""
    call = layer.call
    if len(layer.tensors) == 1:
        return [(call.name, (call.layer, *call.tensors), layer.tensors[0].obj)]
    tensors = call.tensors or (None,) * len(layer.tensors)
    return [
        (f"{call.name}:{i}", (tensor,), x.obj)
        for i, (tensor, x) in enumerate(zip(tensors, layer.tensors, strict=True))
    ]
