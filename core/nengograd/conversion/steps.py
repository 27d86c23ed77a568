"""Models that a model applies to each step, taken apart into calls of their layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plugin.model_reader import LayerCall, ModelGraph, ModelReader

__all__ = ["with_steps"]


def with_steps(graph: ModelGraph, reader: ModelReader, inference_only: bool) -> ModelGraph:
    """A temporal model in which each call of a model, made in each step, is its layers' calls.

    Parameters
    ----------
    graph : ModelGraph
        The model, whose first axis is time.
    reader : ModelReader
        Knows what a call does in each step.
    inference_only : bool
        See `ModelReader.read`.
    """
    same: dict[Hashable, Hashable] = {}
    calls: list[LayerCall] = []
    for call in graph.calls:
        inputs = tuple(same.get(key, key) for key in call.inputs)
        call = dataclasses.replace(call, inputs=inputs)
        inner = reader.steps(call, inference_only)
        if inner is None:
            calls.append(call)
            continue
        (put,), (result,) = inner.inputs, inner.outputs
        keys = {put.key: inputs[0]}
        for step in inner.calls:
            keys.update({key: (call.name, key) for key in step.outputs})
        calls += [_in_each_step(step, call, keys, result) for step in inner.calls]
        same[call.outputs[0]] = keys[result]
    outputs = tuple(same.get(key, key) for key in graph.outputs)
    return dataclasses.replace(graph, calls=tuple(calls), outputs=outputs)


def _in_each_step(
    step: LayerCall, call: LayerCall, keys: dict[Hashable, Hashable], result: Hashable
) -> LayerCall:
    """The call of a step, made in all of them; users find the last one by the whole call."""
    is_last = result in step.outputs and len(step.outputs) == 1
    return dataclasses.replace(
        step,
        name=f"{call.name}/{step.name}",
        inputs=tuple(keys[key] for key in step.inputs),
        outputs=tuple(keys[key] for key in step.outputs),
        shapes=tuple((call.shapes[0][0], *shape) for shape in step.shapes),
        compute=_over_steps(step.compute),
        tensors=(*step.tensors, call.layer, *call.tensors) if is_last else step.tensors,
        is_trainable=step.is_trainable and call.is_trainable,
        is_by_step=True,
    )


def _over_steps(
    compute: Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]],
) -> Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]:
    """A function of arrays ``(items, steps, *shape)`` from one of ``(items, *shape)``."""

    def computed(arrays: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        lead = arrays[0].shape[:2]
        found = compute([np.reshape(x, (-1, *x.shape[2:])) for x in arrays])
        return [np.reshape(y, (*lead, *np.shape(y)[1:])) for y in found]

    return computed
