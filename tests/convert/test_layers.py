"""What a layer of Keras computes, connections and neurons compute, too."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from nengo.exceptions import NengoWarning

keras = pytest.importorskip("keras")

import nengograd  # noqa: E402
from convert.models import outputs, sequential  # noqa: E402

L = keras.layers

IMAGE, LINE, BOX = (7, 6, 4), (9, 4), (4, 5, 3, 2)

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dense": (lambda: L.Dense(5), (4,)),
    "dense without bias": (lambda: L.Dense(5, "relu", use_bias=False), (4,)),
    "dense relu": (lambda: L.Dense(5, "relu"), (4,)),
    "dense leaky relu": (lambda: L.Dense(5, "leaky_relu"), (4,)),
    "dense sigmoid": (lambda: L.Dense(5, "sigmoid"), (4,)),
    "dense tanh": (lambda: L.Dense(5, "tanh"), (4,)),
    "dense on images": (lambda: L.Dense(5, "relu"), (3, 2, 4)),
    "convolution 1d": (lambda: L.Conv1D(3, 3, activation="relu"), LINE),
    "convolution 1d same": (lambda: L.Conv1D(3, 4, 2, "same"), LINE),
    "convolution 1d causal": (lambda: L.Conv1D(3, 3, 2, "causal"), LINE),
    "convolution 2d": (lambda: L.Conv2D(3, 3, activation="tanh"), IMAGE),
    "convolution 2d same": (lambda: L.Conv2D(3, 3, padding="same", activation="relu"), IMAGE),
    "convolution 2d strides": (lambda: L.Conv2D(3, (3, 2), (2, 3)), IMAGE),
    "convolution 2d same strides": (lambda: L.Conv2D(3, (4, 3), (3, 2), "same"), IMAGE),
    "convolution 2d even kernel": (lambda: L.Conv2D(3, 2, 1, "same"), IMAGE),
    "convolution 2d groups": (lambda: L.Conv2D(6, 3, groups=2, padding="same"), IMAGE),
    "transposed 1d": (lambda: L.Conv1DTranspose(3, 3, 2, "same"), LINE),
    "transposed 1d valid": (lambda: L.Conv1DTranspose(3, 4, 3), LINE),
    "transposed 2d": (lambda: L.Conv2DTranspose(3, 3, 2, activation="relu"), IMAGE),
    "transposed 2d same": (lambda: L.Conv2DTranspose(3, (3, 4), 2, "same"), IMAGE),
    "transposed 2d strides": (lambda: L.Conv2DTranspose(3, 2, 3), IMAGE),
    "transposed 1d with padding": (lambda: L.Conv1DTranspose(3, 4, 3, output_padding=1), LINE),
    "transposed 1d same with padding": (
        lambda: L.Conv1DTranspose(3, 3, 3, "same", output_padding=2),
        LINE,
    ),
    "transposed 2d with padding": (
        lambda: L.Conv2DTranspose(3, 3, 2, output_padding=(1, 0), activation="relu"),
        IMAGE,
    ),
    "transposed 2d same with padding": (
        lambda: L.Conv2DTranspose(3, (3, 4), 2, "same", output_padding=1),
        IMAGE,
    ),
    "depthwise 1d": (lambda: L.DepthwiseConv1D(3, padding="same"), LINE),
    "depthwise 2d": (lambda: L.DepthwiseConv2D(3, 2, depth_multiplier=2), IMAGE),
    "separable 1d": (lambda: L.SeparableConv1D(5, 3, activation="relu"), LINE),
    "separable 2d": (lambda: L.SeparableConv2D(5, 3, 2, "same", depth_multiplier=2), IMAGE),
    "average pooling 1d": (lambda: L.AveragePooling1D(2), LINE),
    "average pooling 2d": (lambda: L.AveragePooling2D((2, 3)), IMAGE),
    "average pooling 2d same": (lambda: L.AveragePooling2D(3, 2, "same"), IMAGE),
    "average pooling 3d": (lambda: L.AveragePooling3D(2, padding="same"), BOX),
    "global average 1d": (lambda: L.GlobalAveragePooling1D(), LINE),
    "global average 2d": (lambda: L.GlobalAveragePooling2D(), IMAGE),
    "global average kept": (lambda: L.GlobalAveragePooling2D(keepdims=True), IMAGE),
    "flatten": (lambda: L.Flatten(), IMAGE),
    "reshape": (lambda: L.Reshape((6, -1)), IMAGE),
    "permute": (lambda: L.Permute((3, 1, 2)), IMAGE),
    "repeat": (lambda: L.RepeatVector(3), (4,)),
    "padding 1d": (lambda: L.ZeroPadding1D((1, 2)), LINE),
    "padding 2d": (lambda: L.ZeroPadding2D(((1, 0), (2, 3))), IMAGE),
    "padding 3d": (lambda: L.ZeroPadding3D(1), BOX),
    "cropping 1d": (lambda: L.Cropping1D((1, 2)), LINE),
    "cropping 2d": (lambda: L.Cropping2D(((1, 0), (2, 1))), IMAGE),
    "cropping 3d": (lambda: L.Cropping3D(1), (4, 5, 3, 2)),
    "upsampling 1d": (lambda: L.UpSampling1D(3), LINE),
    "upsampling 2d": (lambda: L.UpSampling2D((2, 3)), IMAGE),
    "upsampling 2d bilinear": (lambda: L.UpSampling2D(2, interpolation="bilinear"), (3, 4, 2)),
    "upsampling 3d": (lambda: L.UpSampling3D(2), (2, 1, 3, 2)),
    "activation": (lambda: L.Activation("tanh"), IMAGE),
    "linear activation": (lambda: L.Activation("linear"), (4,)),
    "relu": (lambda: L.ReLU(), IMAGE),
    "relu with a slope": (lambda: L.ReLU(negative_slope=0.4), (4,)),
    "leaky relu": (lambda: L.LeakyReLU(negative_slope=0.1), (4,)),
    "rescaling": (lambda: L.Rescaling(0.5, [1.0, 0.0, -1.0, 2.0]), IMAGE),
    "rescaling by one number": (lambda: L.Rescaling(1 / 255), IMAGE),
    "identity": (lambda: L.Identity(), (4,)),
}

INFERENCE: dict[str, tuple[Any, tuple[int, ...]]] = {
    "dilated 1d": (lambda: L.Conv1D(3, 3, dilation_rate=2, padding="causal"), LINE),
    "dilated 2d": (lambda: L.Conv2D(3, 2, dilation_rate=(3, 2), padding="same"), IMAGE),
    "dilated depthwise": (lambda: L.DepthwiseConv2D(2, dilation_rate=2), IMAGE),
    "dilated separable": (lambda: L.SeparableConv2D(3, 2, dilation_rate=2), IMAGE),
    "convolution 3d": (lambda: L.Conv3D(3, 2, (1, 2, 1), "same", activation="relu"), BOX),
    "transposed 3d": (lambda: L.Conv3DTranspose(3, 2, (1, 2, 1), activation="relu"), BOX),
    "transposed 3d same": (lambda: L.Conv3DTranspose(3, 3, 2, "same", use_bias=False), BOX),
    "transposed 3d with padding": (
        lambda: L.Conv3DTranspose(3, (3, 2, 3), 2, output_padding=1),
        BOX,
    ),
    "transposed 3d same with padding": (
        lambda: L.Conv3DTranspose(3, 3, 3, "same", output_padding=(0, 1, 2)),
        BOX,
    ),
    "dilated transposed": (lambda: L.Conv2DTranspose(3, 2, dilation_rate=(2, 3)), IMAGE),
    "normalization": (lambda: L.BatchNormalization(), IMAGE),
    "plain normalization": (lambda: L.BatchNormalization(center=False, scale=False), (4,)),
    "normalization of rows": (lambda: L.BatchNormalization(axis=1), IMAGE),
    "dropout": (lambda: L.Dropout(0.5), IMAGE),
    "spatial dropout": (lambda: L.SpatialDropout2D(0.5), IMAGE),
    "noise": (lambda: L.GaussianNoise(0.5), (4,)),
}


def check(layers: list[Any], shape: tuple[int, ...], **options: Any) -> Any:
    """A conversion without a tensor node, whose output is that of Keras."""
    model = sequential(layers, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NengoWarning)
        converted = nengograd.convert(model, **options)
    x = np.random.RandomState(1).normal(size=(3, *shape)).astype(np.float32)
    (found,) = outputs(converted, x)
    expected = np.asarray(model(x)).reshape(3, -1)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, atol=1e-5)
    return converted


@pytest.mark.parametrize("inference_only", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_computes_what_it_computes_in_keras(name: str, inference_only: bool) -> None:
    make, shape = LAYERS[name]
    check([make()], shape, inference_only=inference_only)


@pytest.mark.parametrize("name", INFERENCE)
def test_a_layer_that_is_not_trained_computes_what_it_computes_in_keras(name: str) -> None:
    make, shape = INFERENCE[name]
    check([make()], shape, inference_only=True)


def channels_first(kind: Any, **options: Any) -> Any:
    return lambda last: kind(data_format="channels_last" if last else "channels_first", **options)


FIRST = {
    "convolution": [channels_first(L.Conv2D, filters=3, kernel_size=2, activation="relu")],
    "transposed": [channels_first(L.Conv2DTranspose, filters=3, kernel_size=2, strides=2)],
    "depthwise": [channels_first(L.DepthwiseConv2D, kernel_size=2, padding="same")],
    "separable": [channels_first(L.SeparableConv2D, filters=3, kernel_size=2)],
    "average": [channels_first(L.AveragePooling2D, pool_size=(2, 3), padding="same")],
    "global average": [channels_first(L.GlobalAveragePooling2D, keepdims=True)],
    "padding": [channels_first(L.ZeroPadding2D, padding=((0, 1), (2, 0)))],
    "cropping": [channels_first(L.Cropping2D, cropping=((0, 1), (2, 0)))],
    "upsampling": [channels_first(L.UpSampling2D, size=(2, 3))],
    "normalization": [
        channels_first(L.Conv2D, filters=3, kernel_size=2, use_bias=False),
        lambda last: L.BatchNormalization(axis=-1 if last else 1),
    ],
}


@pytest.mark.parametrize(
    ("name", "inference_only"),
    [(name, only) for name in FIRST for only in (False, True) if only or name != "normalization"],
)
def test_channels_may_come_first(name: str, inference_only: bool) -> None:
    """Keras on a CPU cannot compute all of these; the same with channels last it can."""
    shape = (5, 6, 4)
    last = sequential([make(True) for make in FIRST[name]], shape)
    first = sequential([make(False) for make in FIRST[name]], (4, 5, 6))
    first.set_weights(last.get_weights())
    converted = nengograd.convert(first, inference_only=inference_only, allow_fallback=False)
    x = np.random.RandomState(1).normal(size=(3, *shape)).astype(np.float32)
    (found,) = outputs(converted, np.moveaxis(x, -1, 1))
    expected = np.moveaxis(np.asarray(last(x)), -1, 1).reshape(3, -1)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_flattened_image_has_its_channels_last_in_any_case() -> None:
    model = keras.Sequential([keras.Input((4, 5, 6)), L.Flatten(data_format="channels_first")])
    x = np.random.RandomState(1).normal(size=(3, 4, 5, 6)).astype(np.float32)
    (found,) = outputs(nengograd.convert(model), x)
    np.testing.assert_allclose(found[:, 0], model(x), rtol=1e-6)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_functions_of_an_array_library_are_the_activations_that_they_compute(name: str) -> None:
    library = pytest.importorskip("tensorflow").nn
    model = sequential([L.Dense(5, getattr(library, name))], (4,))
    converted = nengograd.convert(model, allow_fallback=False)
    assert len(converted.net.all_ensembles) == 1
    assert converted.verify()


def test_a_function_of_the_name_of_an_activation_that_computes_another_stays_itself() -> None:
    def relu(x: Any) -> Any:
        return keras.ops.maximum(x, 0.0) * 2

    with pytest.warns(NengoWarning, match="tensor nodes"):
        converted = nengograd.convert(sequential([L.Dense(5, relu)], (4,)))
    assert not converted.net.all_ensembles
    assert converted.verify()
