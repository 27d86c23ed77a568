"""Each layer of Keras is converted, is a tensor node that a warning names, or is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from nengo.exceptions import NengoException, NengoWarning, ValidationError

keras = pytest.importorskip("keras")

import nengograd  # noqa: E402
from convert.models import outputs, randomize  # noqa: E402

L = keras.layers

pytestmark = pytest.mark.slow

VECTOR, LINE, IMAGE, BOX = (4,), (6, 3), (5, 4, 3), (4, 4, 4, 2)
SPACES = {1: LINE, 2: IMAGE, 3: BOX}

NOT_ALONE = {
    "Equalization", "FlaxLayer", "GRUCell", "HashedCrossing", "InputLayer", "JaxLayer",
    "LSTMCell", "Layer", "MaxNumBoundingBoxes", "RandomCrop", "SimpleRNNCell", "StackedRNNCells",
    "StringLookup", "TFSMLayer", "TextVectorization", "TorchModuleWrapper", "Wrapper",
}  # fmt: skip
"""Parts of layers, those of words, boxes and other libraries, one that makes no model, and one
whose output is larger than it says itself where nothing is trained (RandomCrop)."""

MERGING: dict[str, dict[str, Any]] = {
    "Add": {}, "AdditiveAttention": {}, "Attention": {}, "Average": {}, "Concatenate": {},
    "Dot": {"axes": 1}, "Maximum": {}, "Minimum": {}, "Multiply": {}, "Subtract": {},
    "GroupQueryAttention": {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 2},
}  # fmt: skip

OF_IMAGES = {"AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix"}
OF_IMAGES |= {"MixUp", "RandAugment", "Solarization"}

WHOLE = {"CategoryEncoding", "Embedding", "IntegerLookup", "ReversibleEmbedding"}
"""Layers that take whole numbers."""

CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "Activation": (lambda: L.Activation("tanh"), VECTOR),
    "Bidirectional": (lambda: L.Bidirectional(L.GRU(2)), LINE),
    "CategoryEncoding": (lambda: L.CategoryEncoding(4), VECTOR),
    "CenterCrop": (lambda: L.CenterCrop(2, 2), IMAGE),
    "Dense": (lambda: L.Dense(3, "relu"), VECTOR),
    "Discretization": (lambda: L.Discretization([0.0, 1.0]), VECTOR),
    "EinsumDense": (lambda: L.EinsumDense("ab,bc->ac", output_shape=3), VECTOR),
    "Embedding": (lambda: L.Embedding(4, 3), VECTOR),
    "Flatten": (lambda: L.Flatten(), IMAGE),
    "GroupNormalization": (lambda: L.GroupNormalization(1), IMAGE),
    "Hashing": (lambda: L.Hashing(3), VECTOR),
    "IntegerLookup": (lambda: L.IntegerLookup(vocabulary=[0, 1]), VECTOR),
    "Lambda": (lambda: L.Lambda(lambda x: x * 2), VECTOR),
    "MelSpectrogram": (
        lambda: L.MelSpectrogram(
            fft_length=16, sequence_stride=8, sampling_rate=100, num_mel_bins=4, max_freq=40
        ),
        (64,),
    ),
    "Normalization": (lambda: L.Normalization(mean=1.0, variance=2.0), VECTOR),
    "Permute": (lambda: L.Permute((2, 1)), LINE),
    "Pipeline": (lambda: L.Pipeline([L.Rescaling(0.5)]), VECTOR),
    "RNN": (lambda: L.RNN(L.GRUCell(3)), LINE),
    "RandomPosterization": (lambda: L.RandomPosterization(3), IMAGE),
    "RandomTranslation": (lambda: L.RandomTranslation(0.1, 0.1), IMAGE),
    "RepeatVector": (lambda: L.RepeatVector(3), VECTOR),
    "Rescaling": (lambda: L.Rescaling(0.5, 1.0), VECTOR),
    "Reshape": (lambda: L.Reshape((2, 2)), VECTOR),
    "ReversibleEmbedding": (lambda: L.ReversibleEmbedding(4, 3), VECTOR),
    "Resizing": (lambda: L.Resizing(3, 3), IMAGE),
    "STFTSpectrogram": (
        lambda: L.STFTSpectrogram(frame_length=8, frame_step=4, fft_length=8),
        (32, 1),
    ),
    "SpectralNormalization": (lambda: L.SpectralNormalization(L.Dense(3)), VECTOR),
    "TimeDistributed": (lambda: L.TimeDistributed(L.Dense(3, "relu")), LINE),
    **{n: (lambda n=n: getattr(L, n)(3), LINE) for n in ("GRU", "LSTM", "SimpleRNN")},
    **{
        n: (lambda n=n: getattr(L, n)(0.5), VECTOR)
        for n in ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise")
    },
}

for _d, _shape in SPACES.items():
    for _kind, _arguments in {
        "AdaptiveAveragePooling": (2,),
        "AdaptiveMaxPooling": (2,),
        "AveragePooling": (2,),
        "Conv": (2, 2),
        "Conv#Transpose": (2, 2),
        "ConvLSTM": (2, 2),
        "Cropping": (1,),
        "DepthwiseConv": (2,),
        "GlobalAveragePooling": (),
        "GlobalMaxPooling": (),
        "MaxPooling": (2,),
        "SeparableConv": (2, 2),
        "SpatialDropout": (0.5,),
        "UpSampling": (2,),
        "ZeroPadding": (1,),
    }.items():
        _name = _kind.replace("#", f"{_d}D") if "#" in _kind else f"{_kind}{_d}D"
        CASES[_name] = (
            lambda n=_name, a=_arguments: getattr(L, n)(*a),
            (3, *_shape) if "LSTM" in _kind else _shape,
        )


def is_layer(name: str) -> bool:
    kind = getattr(L, name)
    is_own_name = isinstance(kind, type) and kind.__name__ == name
    return is_own_name and issubclass(kind, L.Layer) and name not in NOT_ALONE


NAMES = [name for name in dir(L) if is_layer(name)]

MODES = {
    "plain": (False, False),
    "distributed": (True, False),
    "temporal": (False, True),
    "distributed, temporal": (True, True),
}


def case(name: str) -> tuple[Any, tuple[int, ...]]:
    """A layer and the shape of its input for one item."""
    if name in CASES:
        make, shape = CASES[name]
        return make(), shape
    is_image = name in OF_IMAGES or name.startswith("Random")
    needs_factor = name in ("RandomBrightness", "RandomContrast", "RandomHue", "RandomRotation")
    needs_factor |= name in ("RandomZoom", "RandomSaturation", "RandomSharpness")
    needs_factor |= name == "RandomColorDegeneration"
    return getattr(L, name)(*((0.1,) if needs_factor else ())), IMAGE if is_image else VECTOR


def model_of(name: str, distributed: bool, temporal: bool) -> Any:
    """A model of one layer; None where Keras itself has no such model."""
    if name in MERGING:
        if distributed:
            return None
        layer, shape = getattr(L, name)(**MERGING[name]), VECTOR if name == "Dot" else LINE
        a, b = keras.Input(shape), keras.Input(shape)
        return keras.Model(
            [a, b], layer(a, b) if "Head" in name or "Query" in name else layer([a, b])
        )
    layer, shape = case(name)
    if distributed:
        layer, shape = L.TimeDistributed(layer), (5, *shape)
    elif temporal and shape == VECTOR:
        shape = (5, *VECTOR)
    x = keras.Input(shape, dtype="int32" if name in WHOLE else None)
    try:
        return keras.Model(x, layer(x))
    except (NotImplementedError, ValueError):
        if distributed or temporal:
            return None
        raise


def converted_or_refused(model: Any, **options: Any) -> Any:
    """The conversion, or the error's message. Tensor nodes have a warning that names the layer."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            converted = nengograd.convert(model, **options)
        except NengoException as error:
            return error
    named = [str(w.message) for w in seen if issubclass(w.category, NengoWarning)]
    has_nodes = any(isinstance(x, nengograd.TensorNode) for x in converted.net.all_nodes)
    assert bool(named) == has_nodes
    assert all(repr(model.layers[-1].name) in message for message in named)
    return converted


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_each_layer_is_converted_or_named(name: str, mode: str) -> None:
    distributed, temporal = MODES[mode]
    for inference_only in (False, True):
        model = model_of(name, distributed, temporal)
        if model is None:
            return
        found = converted_or_refused(model, temporal=temporal, inference_only=inference_only)
        if isinstance(found, NengoException):
            # Without time there is always a tensor node, and so there is in TimeDistributed.
            assert isinstance(found, ValidationError)
            assert temporal
            assert not distributed
            assert repr(model.layers[-1].name) in str(found)
            assert "each step" in str(found) or "step by step" in str(found)
            assert "\n" not in str(found)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("name", NAMES)
def test_each_layer_computes_what_it_computes_in_keras(name: str) -> None:
    """Of each layer, the ways to use it in one network: it is compiled once."""
    for mode, (distributed, temporal) in MODES.items():
        model = model_of(name, distributed, temporal)
        if model is None:
            continue
        found = converted_or_refused(randomize(model), temporal=temporal)
        if isinstance(found, NengoException):
            continue
        has_nodes = any(isinstance(x, nengograd.TensorNode) for x in found.net.all_nodes)
        inputs = found.random_inputs(items=3)
        wanted = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        wanted = np.asarray(wanted[0] if isinstance(wanted, (list, tuple)) else wanted)
        (data,) = outputs(found, inputs, "tensorflow" if has_nodes else "numpy")
        data = data if data.size == wanted.size else data[:, -1]
        np.testing.assert_allclose(
            data.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5, err_msg=f"{name} {mode}"
        )
