"""Parts of a converted network are found by what scripts of NengoDL 3.6 know them by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nengograd import nengo_dl

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.needs("tensorflow")


def model() -> tuple[Any, Any, Any]:
    inp = tf.keras.Input((4,))
    hidden = tf.keras.layers.Dense(5, activation="relu")(inp)
    return tf.keras.Model(inp, tf.keras.layers.Dense(3)(hidden)), inp, hidden


def test_tensors_layers_and_the_model_are_keys() -> None:
    keras, inp, hidden = model()
    converter = nengo_dl.Converter(keras)
    first, dense, last = keras.layers
    assert converter.inputs[inp] is converter.inputs[first] is converter.layers[inp]
    assert converter.layers[first] is converter.inputs[inp]
    assert converter.layers[dense] is converter.layers[hidden]
    probe = converter.outputs[keras.output]
    assert probe is converter.outputs[last] is converter.outputs[keras]
    assert (len(converter.inputs), len(converter.layers), len(converter.outputs)) == (1, 3, 1)
    with pytest.raises(KeyError):
        converter.outputs[hidden]


def test_neurons_without_encoders_keep_the_gain_of_scaled_rates(tmp_path: Any) -> None:
    keras, _, hidden = model()
    with nengo_dl.Simulator(nengo_dl.Converter(keras).net, progress_bar=False) as sim:
        sim.save_params(tmp_path / "rates")
    scaled = nengo_dl.Converter(keras, scale_firing_rates=50)
    with nengo_dl.Simulator(scaled.net, progress_bar=False) as sim:
        sim.load_params(tmp_path / "rates")
        assert np.allclose(sim.data[scaled.layers[hidden].ensemble].gain, 50)
