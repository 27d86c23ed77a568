"""Keras models with random weights, and what networks make of their inputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import nengograd


def randomize(model: Any, seed: int = 0) -> Any:
    """Give all weights random values, biases and statistics included."""
    rng = np.random.RandomState(seed)
    for variable in model.variables:
        if "seed" in variable.name:
            continue
        value = rng.uniform(-0.5, 0.5, size=variable.shape)
        if variable.name == "moving_variance":
            value = value + 1
        variable.assign(value)
    return model


def sequential(layers: Any, shape: tuple[int, ...]) -> Any:
    """A model of some layers, with random weights."""
    return randomize(keras.Sequential([keras.Input(shape), *layers]))


def outputs(converted: Any, inputs: Any, backend: str = "numpy", steps: int = 1) -> list[Any]:
    """What the network puts out for all items, ``(items, steps, size)`` for each output."""
    feeds = converted.feeds(inputs, steps)
    first = next(iter(feeds.values()))
    options: dict[str, Any] = {"minibatch_size": len(first), "progress_bar": False}
    with nengograd.Simulator(converted.net, backend=backend, **options) as sim:
        sim.run_steps(first.shape[1], input_feeds=feeds)
        return [np.array(sim.data[probe]) for probe in converted.outputs.values()]
