"""Conversion of Keras models where Keras computes with JAX; see `test_jax_keras`."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from nengo.exceptions import NengoWarning

import nengograd

L = keras.layers


def test_keras_computes_with_jax() -> None:
    assert keras.backend.backend() == "jax"


def test_a_network_is_that_of_its_model_and_learns_like_it() -> None:
    layers = [L.Conv2D(3, 2, 2, "same", activation="relu"), L.AveragePooling2D(2), L.Flatten()]
    model = keras.Sequential([keras.Input((6, 5, 2)), *layers, L.Dense(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        converted = nengograd.convert(model)
    assert converted.verify(training=True, backend="jax")
    assert converted.verify(backend="numpy")


def test_tensor_nodes_compute_with_jax() -> None:
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = L.Dense(4, "relu")
    x = L.Multiply()([shared(a), shared(b)])
    model = keras.Model([a, b], L.Dense(2, "softmax")(x))
    with pytest.warns(NengoWarning, match="are tensor nodes"):
        converted = nengograd.convert(model)
    assert converted.verify(training=True)
    report = converted.report([np.ones((3, 4)), np.zeros((3, 4))])
    assert report.agreement == 1


def test_recurrent_layers_go_on_from_step_to_step() -> None:
    model = keras.Sequential([keras.Input((None, 3)), L.LSTM(4, return_sequences=True), L.GRU(2)])
    with pytest.warns(NengoWarning, match="are tensor nodes"):
        converted = nengograd.convert(model, temporal=True)
    assert converted.verify()
