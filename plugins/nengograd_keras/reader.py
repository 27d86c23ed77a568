"""Sequential and functional models of Keras as calls of their layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengograd.plugin.model_reader import LayerCall, ModelGraph, ModelInput, ModelReader

from .folding import folded

__all__ = ["READERS", "KerasReader"]

Key = tuple[str, int]


class KerasReader(ModelReader):
    """Reads models whose calls Keras has recorded."""

    def read(self, model: Any, inference_only: bool) -> ModelGraph:
        """The calls of a model's layers; see `ModelReader.read`."""
        function = _function(model)
        walk = _Walk()
        walk.visit(function, "", {})
        inputs = tuple(_input(x) for x in function.inputs)
        outputs = tuple(walk.resolve(("", id(x))) for x in function.outputs)
        calls = tuple(walk.calls)
        if inference_only:
            calls = folded(calls, outputs)
        return ModelGraph(model.name, inputs, calls, outputs, tuple(function.outputs))

    def tensor_function(self, call: LayerCall, shapes: Sequence[tuple[int, ...]]) -> Any:
        """The layer itself, or a model around it; see `ModelReader.tensor_function`."""
        import keras

        node = call.details
        if node is None:  # a layer in another one, of a single input
            return call.layer
        first, *others = [*node.arguments.args, *node.arguments.kwargs.values()]
        is_plain = isinstance(call.layer, keras.layers.Layer) and all(x is None for x in others)
        if is_plain and isinstance(first, keras.KerasTensor):
            return call.layer
        if len(shapes) == 1:
            given = keras.Input(shapes[0])
            parts = {id(node.input_tensors[0]): given}
        else:
            given = keras.Input((sum(int(np.prod(shape)) for shape in shapes),))
            parts = dict(zip(map(id, node.input_tensors), _apart(given, shapes), strict=True))
        args, options = node.arguments.fill_in(parts)
        return keras.Model(given, call.layer(*args, **options), name=_name(call))

    def steps(self, call: LayerCall, inference_only: bool) -> ModelGraph | None:
        """The calls of a model in TimeDistributed; see `ModelReader.steps`."""
        import keras

        inner = getattr(call.layer, "layer", None)
        if type(call.layer) is not keras.layers.TimeDistributed or not _is_graph(inner):
            return None
        return self.read(inner, inference_only)

    def trained(
        self, model: Any, inputs: Sequence[Any], targets: Sequence[Any], rate: float
    ) -> ModelGraph:
        """A clone that has been trained on one batch; see `ModelReader.trained`."""
        import keras

        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        count = len(targets)
        copy.compile(self.optimizer(rate), loss=["mse"] * count, loss_weights=[1 / count] * count)
        given = [np.asarray(x) for x in inputs]
        copy.train_on_batch(
            given if len(given) > 1 else given[0], list(targets) if count > 1 else targets[0]
        )
        return self.read(copy, inference_only=False)

    def optimizer(self, rate: float) -> Any:
        """Keras' plain gradient descent."""
        import keras

        return keras.optimizers.SGD(rate)


class _Walk:
    """Calls of a model and of the models in it, in an order in which they can be made."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._same: dict[Key, Key] = {}
        self._names: dict[str, int] = {}

    def resolve(self, key: Key) -> Key:
        """The key of a value that another one stands for."""
        return self._same.get(key, key)

    def visit(self, function: Any, path: str, inputs: dict[Key, Key]) -> None:
        """Add the calls of a model.

        Parameters
        ----------
        function : Functional
            The model.
        path : str
            Names of the models that it is in.
        inputs : dict
            What its inputs are outside of it.
        """
        self._same.update(inputs)
        depths = sorted(function._nodes_by_depth, reverse=True)
        for node in (node for depth in depths for node in function._nodes_by_depth[depth]):
            if node.is_input or any((path, id(x)) in inputs for x in node.outputs):
                continue
            name = self._unique(path + node.operation.name)
            given = tuple(self.resolve((path, id(x))) for x in node.input_tensors)
            if _is_graph(node.operation):
                inner, below = _function(node.operation), f"{name}/"
                pairs = zip(inner.inputs, given, strict=True)
                self.visit(inner, below, {(below, id(x)): key for x, key in pairs})
                for outer, own in zip(node.outputs, inner.outputs, strict=True):
                    self._same[path, id(outer)] = self.resolve((below, id(own)))
            else:
                self.calls.append(_call(node, name, path, given))

    def _unique(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}#{count}"


def _call(node: Any, name: str, path: str, inputs: tuple[Hashable, ...]) -> LayerCall:
    layer = node.operation
    return LayerCall(
        name=name,
        layer=layer,
        inputs=inputs,
        outputs=tuple((path, id(x)) for x in node.outputs),
        shapes=tuple(tuple(x.shape[1:]) for x in node.outputs),
        compute=_compute(node),
        weights=tuple(layer.get_weights()) if hasattr(layer, "get_weights") else (),
        tensors=tuple(node.outputs),
        details=node,
        is_trainable=bool(getattr(layer, "trainable", True)),
    )


def _compute(node: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    def compute(arrays: Sequence[Any]) -> Sequence[Any]:
        import keras

        tensors = {
            id(x): keras.ops.convert_to_tensor(array, dtype=x.dtype)
            for x, array in zip(node.input_tensors, arrays, strict=True)
        }
        args, options = node.arguments.fill_in(tensors)
        found = keras.tree.flatten(node.operation(*args, **options))
        return [keras.ops.convert_to_numpy(y) for y in found]

    return compute


def _input(tensor: Any) -> ModelInput:
    is_integer = not str(tensor.dtype).startswith(("float", "bfloat"))
    layer = tensor._keras_history.operation
    key, shape = ("", id(tensor)), tuple(tensor.shape[1:])
    return ModelInput(layer.name, key, shape, tensor, is_integer, layer)


def _is_graph(operation: Any) -> bool:
    """Whether an operation is a model whose calls are known, and no subclass of one."""
    kind = type(operation)
    return f"{kind.__module__}.{kind.__name__}" in READERS


def _function(model: Any) -> Any:
    """The recorded calls of a model."""
    if hasattr(model, "_nodes_by_depth"):
        return model
    function = getattr(model, "_functional", None)
    if function is None:
        raise ValidationError(
            f"{model.name!r} does not know the shape of its input yet: begin it with "
            "keras.Input(shape), or call its build method",
            attr="model",
        )
    return function


def _apart(flat: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Tensors that stand in a flat one, side by side, by layers that can be made anew."""
    import keras

    total, begin, parts = flat.shape[1], 0, []
    column = keras.layers.Reshape((total, 1))(flat)
    for shape in shapes:
        end = begin + int(np.prod(shape))
        cropped = keras.layers.Cropping1D((begin, total - end))(column)
        parts.append(keras.layers.Reshape(shape)(cropped))
        begin = end
    return parts


def _name(call: LayerCall) -> str:
    return "".join(c if c.isalnum() else "_" for c in call.name)


READERS = {
    f"keras.src.models.{path}": KerasReader()
    for path in ("sequential.Sequential", "functional.Functional")
}
