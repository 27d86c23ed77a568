"""Whole models: several inputs and outputs, shared layers, models in models, time."""

from __future__ import annotations

import warnings
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

keras = pytest.importorskip("keras")

import nengograd  # noqa: E402
from convert.models import outputs, randomize, sequential  # noqa: E402

L = keras.layers


def check(model: Any, converted: Any, backend: str = "numpy") -> None:
    """Each output of the network is that of the model; a temporal one at each step."""
    inputs = converted.random_inputs(items=3)
    expected = model(inputs if len(inputs) > 1 else inputs[0])
    expected = expected if isinstance(expected, (list, tuple)) else [expected]
    for found, wanted in zip(outputs(converted, inputs, backend), expected, strict=True):
        wanted = np.asarray(wanted)
        found = found if found.size == wanted.size else found[:, -1]
        np.testing.assert_allclose(found, wanted.reshape(found.shape), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def branching() -> Any:
    """Two inputs, a shared layer, a model in it, and two outputs."""
    a, b = keras.Input((4,), name="a"), keras.Input((2, 3), name="b")
    shared = L.Dense(5, "relu", name="shared")
    inner = keras.Sequential([keras.Input((5,)), L.Dense(5, "tanh", name="tanh")], name="inner")
    x = shared(a)
    y = shared(L.Dense(4, name="first")(L.Flatten(name="flat")(b)))
    added = L.Add(name="add")([x, inner(y)])
    both = L.Concatenate(name="both")([added, x - y, L.Average(name="mean")([x, y, added])])
    return randomize(keras.Model([a, b], [L.Dense(3, name="end")(both), added]))


@pytest.mark.parametrize("options", [{"split_shared_weights": True}, {"inference_only": True}])
def test_branches_shared_layers_and_inner_models_become_one_network(
    branching: Any, options: dict[str, Any]
) -> None:
    converted = nengograd.convert(branching, allow_fallback=False, **options)
    check(branching, converted)
    assert list(converted.inputs) == ["a", "b"]
    assert list(converted.outputs) == ["end", "add"]
    assert {"shared", "shared#2", "inner/tanh", "flat"} <= set(converted.layers)


def test_objects_are_found_by_name_layer_and_tensor(branching: Any) -> None:
    converted = nengograd.convert(branching, split_shared_weights=True)
    end = branching.get_layer("end")
    assert converted.layers[end] is converted.layers["end"] is converted.layers[end.output]
    assert converted.inputs[branching.inputs[1]] is converted.inputs["b"]
    assert converted.outputs[branching.outputs[0]].target is converted.layers["end"]
    shared = branching.get_layer("shared")
    assert isinstance(converted.layers["shared#2"], nengo.ensemble.Neurons)
    with pytest.raises(KeyError, match=r"used several times.*'shared', 'shared#2'"):
        converted.layers[shared]
    second = shared._inbound_nodes[1].outputs[0]
    assert converted.layers[second] is converted.layers["shared#2"]
    with pytest.raises(KeyError, match="there is no 'nonsense'; there are"):
        converted.layers["nonsense"]
    assert converted.layers.get(L.Dense(1)) is None
    put = branching.get_layer("b")
    assert converted.inputs[put] is converted.inputs["b"]
    assert put not in converted.layers
    assert converted.outputs[end] is converted.outputs["end"]
    assert branching not in converted.outputs
    both = converted.inputs | converted.layers
    assert both[put] is both["b"] is converted.inputs["b"]
    assert both[end] is converted.layers["end"]
    assert list(both) == [*converted.inputs, *converted.layers]
    with pytest.raises(KeyError, match="used several times"):
        both[shared]


def test_a_model_stands_for_its_only_output() -> None:
    model = randomize(sequential([L.Dense(3), L.Dense(2)], (4,)))
    converted = nengograd.convert(model)
    assert converted.outputs[model] is converted.outputs[model.layers[-1]]
    assert list(converted.outputs) == [model.layers[-1].name]


@pytest.mark.needs("tensorflow")
def test_a_shared_layer_keeps_sharing_its_weights_in_training(branching: Any) -> None:
    with pytest.warns(NengoWarning, match="cannot share weights"):
        converted = nengograd.convert(branching)
    check(branching, converted, "tensorflow")
    assert isinstance(converted.layers["shared"], nengograd.TensorNode)
    assert converted.verify(training=True)


def test_a_model_that_returns_its_input_and_no_more_can_be_converted() -> None:
    x = keras.Input((3,), name="x")
    model = keras.Model(x, [x, L.Dense(2, "relu")(x)])
    check(model, nengograd.convert(model, allow_fallback=False))


def test_broadcast_sums_are_those_of_keras() -> None:
    a, b = keras.Input((3, 1)), keras.Input((1, 4))
    model = keras.Model([a, b], L.Add()([a, b]))
    check(model, nengograd.convert(model, allow_fallback=False))


def test_axes_of_a_concatenation_are_those_of_keras() -> None:
    a, b = keras.Input((3, 2)), keras.Input((3, 4))
    c = keras.Input((2, 6))
    rows = L.Concatenate(axis=2)([a, b])
    model = keras.Model([a, b, c], L.Concatenate(axis=1)([rows, c]))
    check(model, nengograd.convert(model, allow_fallback=False))


FOLDED = {
    "dense": ([L.Dense(5), L.BatchNormalization(), L.ReLU()], (4,)),
    "dense without bias": ([L.Dense(5, use_bias=False), L.BatchNormalization()], (4,)),
    "convolution": ([L.Conv2D(3, 2, padding="same"), L.BatchNormalization(), L.ReLU()], (5, 4, 2)),
    "transposed": ([L.Conv2DTranspose(3, 2), L.BatchNormalization()], (5, 4, 2)),
    "transposed 3d": ([L.Conv3DTranspose(3, 2), L.BatchNormalization()], (3, 4, 2, 2)),
    "depthwise": ([L.DepthwiseConv2D(2, depth_multiplier=2), L.BatchNormalization()], (5, 4, 2)),
    "separable": ([L.SeparableConv2D(3, 2, use_bias=False), L.BatchNormalization()], (5, 4, 2)),
}


@pytest.mark.parametrize("name", FOLDED)
def test_normalization_is_folded_into_the_layer_before_it(name: str) -> None:
    layers, shape = FOLDED[name]
    model = sequential([kind.from_config(kind.get_config()) for kind in layers], shape)
    converted = nengograd.convert(model, inference_only=True, allow_fallback=False)
    check(model, converted)
    before, norm = list(converted.layers.values())[:2]
    assert norm is before
    assert converted.verify(backend="numpy")


def test_normalization_is_not_folded_where_the_layer_before_it_is_used_elsewhere() -> None:
    x = keras.Input((4,))
    y = L.Dense(3, name="dense")(x)
    active = L.Dense(3, "relu", name="active")(x)
    outs = [L.BatchNormalization(name="bn")(y), y, L.BatchNormalization(name="other")(active)]
    model = randomize(keras.Model(x, outs))
    converted = nengograd.convert(model, inference_only=True, allow_fallback=False)
    check(model, converted)
    assert converted.layers["bn"] is not converted.layers["dense"]
    assert converted.layers["other"] is not converted.layers["active"]


def test_frozen_normalization_is_a_factor_in_a_network_that_is_trained() -> None:
    norm = L.BatchNormalization()
    norm.trainable = False
    model = sequential([L.Dense(3), norm, L.Rescaling(2.0, [1.0, 0.0, 1.0]), L.ReLU()], (4,))
    check(model, nengograd.convert(model, allow_fallback=False))


@pytest.mark.needs("tensorflow")
def test_what_is_frozen_stays_as_it_is_in_training() -> None:
    norm = L.BatchNormalization()
    norm.trainable = False
    frozen = L.Dense(3, "tanh", name="frozen")
    layers = [norm, L.Rescaling(2.0, [1.0, 0.0, 1.0]), frozen, L.Reshape((3, 1)), L.Conv1D(2, 2)]
    model = sequential([*layers, L.Flatten(), L.Dense(2)], (3,))
    layers[-1].trainable = frozen.trainable = False
    assert nengograd.convert(model).verify(training=True)


# -- time


def test_the_time_axis_of_a_model_is_that_of_the_simulation() -> None:
    layers = [L.Dense(4, "relu"), L.BatchNormalization(), L.TimeDistributed(L.Dense(3, "tanh"))]
    layers.insert(0, L.Rescaling(2.0, 1.0))
    model = sequential([*layers, L.Dropout(0.5)], (6, 2))
    converted = nengograd.convert(model, temporal=True, inference_only=True, allow_fallback=False)
    assert converted.net.probes[0].size_in == 3
    check(model, converted)


def test_normalization_is_folded_into_the_layer_before_it_over_time() -> None:
    model = sequential(
        [L.Dense(4, name="dense"), L.BatchNormalization(name="norm"), L.ReLU()], (6, 2)
    )
    converted = nengograd.convert(model, temporal=True, inference_only=True, allow_fallback=False)
    assert converted.layers["norm"] is converted.layers["dense"]
    check(model, converted)
    assert converted.verify(backend="numpy")


def test_a_layer_over_images_may_be_distributed_over_time() -> None:
    layers = [L.TimeDistributed(L.Conv2D(2, 2, activation="relu")), L.TimeDistributed(L.Flatten())]
    model = sequential([*layers, L.Dense(2)], (5, 3, 3, 1))
    check(model, nengograd.convert(model, temporal=True, allow_fallback=False))


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("kind", [L.SimpleRNN, L.GRU, L.LSTM])
def test_recurrent_layers_go_on_from_step_to_step(kind: Any) -> None:
    layers = [kind(4, return_sequences=True), L.Dense(3, "relu"), kind(2), L.Dense(2)]
    model = sequential(layers, (None, 3))
    with pytest.warns(NengoWarning, match="it is recurrent, and goes on from step to step"):
        converted = nengograd.convert(model, temporal=True)
    check(model, converted, "tensorflow")


@pytest.mark.needs("tensorflow")
def test_a_recurrent_layer_that_is_given_its_sequence_at_once_is_a_tensor_node() -> None:
    model = sequential([L.GRU(4), L.Dense(2)], (5, 3))
    with pytest.warns(NengoWarning, match="it is recurrent .with temporal=True"):
        converted = nengograd.convert(model)
    check(model, converted, "tensorflow")


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Conv1D(2, 3), (5, 2), "'conv1d.*', a Conv1D, does not do the same in each step"),
        (L.Flatten(), (5, 2), "a Flatten, does not do the same in each step"),
        (L.GlobalAveragePooling1D(), (5, 2), "would need all of it at once"),
        (L.GroupNormalization(1), (5, 2), "no converter for GroupNormalization"),
        (L.LSTM(2, go_backwards=True), (5, 2), "goes backwards"),
        (L.BatchNormalization(axis=1, trainable=False), (5, 2), "all of it at once"),
        (L.Rescaling(np.ones((5, 1))), (5, 2), "all of it at once"),
    ],
)
def test_what_needs_all_steps_at_once_is_refused(layer: Any, shape: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        nengograd.convert(keras.Sequential([keras.Input(shape), layer]), temporal=True)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    "layer",
    [L.Dropout(0.5), L.Softmax(), L.MaxPooling1D(2), L.BatchNormalization(), L.GRU(2), L.PReLU()],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_without_a_meaning_may_be_distributed_over_time(layer: Any) -> None:
    kind = type(layer)
    for temporal in (True, False):
        each = L.TimeDistributed(kind.from_config(layer.get_config()), name="each")
        model = sequential([each], (5, 4, 3))
        with pytest.warns(NengoWarning, match="'each' .TimeDistributed., since"):
            converted = nengograd.convert(model, temporal=temporal)
        assert isinstance(converted.layers["each"], nengograd.TensorNode)
        check(model, converted, "tensorflow")


@pytest.mark.parametrize(
    "layer",
    [
        L.AveragePooling2D(2),
        L.GlobalAveragePooling2D(),
        L.Flatten(),
        L.UpSampling2D(2),
        L.ZeroPadding2D(1),
        L.Rescaling(2.0, 1.0),
        L.BatchNormalization(axis=1, trainable=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_is_distributed_along_an_axis_that_is_no_time_is_connections(layer: Any) -> None:
    model = sequential([L.TimeDistributed(layer)], (3, 4, 4, 2))
    layer.trainable = False
    check(model, nengograd.convert(model, allow_fallback=False))


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    "layer",
    [L.Softmax(), L.LayerNormalization(axis=2), L.BatchNormalization(axis=2), L.ELU()],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_does_the_same_in_each_step_is_a_tensor_node_of_a_step(layer: Any) -> None:
    model = sequential([layer], (5, 4))
    with pytest.warns(NengoWarning, match=f"'{layer.name}' .{type(layer).__name__}., since"):
        converted = nengograd.convert(model, temporal=True)
    check(model, converted, "tensorflow")


@pytest.fixture(scope="module")
def images_over_time() -> Any:
    """A model with branches, in each step of another one."""
    x = keras.Input((4, 4, 1))
    y = L.BatchNormalization(name="norm")(L.Conv2D(3, 2, name="conv")(x))
    y = L.AveragePooling2D(2, padding="same", name="pool")(L.ReLU(name="relu")(y))
    merged = L.Concatenate(axis=3, name="both")([y, L.ZeroPadding2D(0, name="none")(y)])
    inner = keras.Model(x, L.Dense(2, "tanh", name="end")(L.Flatten(name="flat")(merged)))
    layers = [L.TimeDistributed(inner, name="each"), L.Dense(3, name="last")]
    return sequential(layers, (5, 4, 4, 1))


def test_a_model_may_be_distributed_over_time(images_over_time: Any) -> None:
    model = images_over_time
    converted = nengograd.convert(
        model, temporal=True, inference_only=True, allow_fallback=False,
        scale_firing_rates={"each/relu": 3.0},
    )  # fmt: skip
    check(model, converted)
    assert converted.verify(backend="numpy")
    each = model.get_layer("each")
    assert converted.layers[each] is converted.layers["each/end"]
    assert converted.layers[each.output] is converted.layers["each/end"]
    rates = converted.report(converted.random_inputs(), backend="numpy").layers
    assert [(layer.name, layer.scale) for layer in rates] == [("each/relu", 3), ("each/end", 1)]


@pytest.mark.needs("tensorflow")
def test_a_model_along_an_axis_that_is_no_time_is_a_tensor_node(images_over_time: Any) -> None:
    with pytest.warns(NengoWarning, match="'each' .TimeDistributed., since"):
        check(images_over_time, nengograd.convert(images_over_time), "tensorflow")


@pytest.mark.needs("tensorflow")
def test_a_model_in_a_model_over_time_goes_along_its_own_axis() -> None:
    rows = keras.Sequential(
        [keras.Input((3, 2)), L.TimeDistributed(L.Dense(4, "relu")), L.Flatten()]
    )
    model = sequential([L.TimeDistributed(rows, name="each"), L.Dense(2)], (5, 3, 2))
    converted = nengograd.convert(model, temporal=True, allow_fallback=False)
    check(model, converted)
    assert converted.verify(training=True, backend="tensorflow")


@pytest.mark.parametrize("layer", [L.SpatialDropout1D(0.5), L.Dropout(0.5, noise_shape=(1, 1, 3))])
def test_what_drops_the_same_in_all_steps_cannot_run_step_by_step(layer: Any) -> None:
    model = sequential([layer], (5, 3))
    with pytest.raises(ValidationError, match=f"{layer.name}.*drops the same in all steps"):
        nengograd.convert(model, temporal=True)
    check(model, nengograd.convert(model, temporal=True, inference_only=True))


def test_a_normalization_that_is_distributed_over_time_does_not_count_its_axis() -> None:
    normalization = L.BatchNormalization(axis=2)
    layers = [L.TimeDistributed(normalization), L.TimeDistributed(L.Flatten())]
    model = sequential(layers, (3, 4, 4, 2))
    check(model, nengograd.convert(model, temporal=True, inference_only=True))


def test_values_of_different_steps_cannot_lie_side_by_side() -> None:
    a, b = keras.Input((5, 2)), keras.Input((5, 2))
    model = keras.Model([a, b], L.Concatenate(axis=1)([a, b]))
    with pytest.raises(ValidationError, match="a Concatenate, does not do the same in each step"):
        nengograd.convert(model, temporal=True)


# -- what cannot be converted


def test_one_warning_names_all_tensor_nodes_and_says_why() -> None:
    layers = [L.Conv2D(2, 2, activation="gelu", name="conv"), L.MaxPooling2D(2, name="pool")]
    model = sequential([*layers, L.Flatten(), L.Dense(3, "softmax", name="end")], (5, 5, 1))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        converted = nengograd.convert(model)
    (warning,) = [w for w in seen if issubclass(w.category, NengoWarning)]
    for part in ("'conv' (Conv2D), since", "'gelu'", "'pool'", "max_to_avg_pool", "'end'"):
        assert part in str(warning.message)
    assert warning.filename == __file__
    check(model, converted, "tensorflow")


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    "layer",
    [
        L.ELU(),
        L.ReLU(max_value=0.3),
        L.PReLU(),
        L.Softmax(),
        L.LayerNormalization(),
        L.Conv2D(2, 2, dilation_rate=2),
        L.Conv2DTranspose(2, 3, dilation_rate=2),
        L.GlobalMaxPooling2D(),
        L.Lambda(lambda x: x**2),
    ],
)
def test_a_layer_without_a_meaning_in_nengo_is_a_tensor_node(layer: Any) -> None:
    model = sequential([layer], (4, 4, 2))
    with pytest.warns(NengoWarning, match="are tensor nodes"):
        check(model, nengograd.convert(model), "tensorflow")


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("layer", [L.Multiply(), L.Maximum(), L.Dot(1)])
def test_a_layer_of_several_inputs_may_be_a_tensor_node(layer: Any) -> None:
    a, b = keras.Input((3,)), keras.Input((3,))
    model = randomize(keras.Model([a, b], layer([L.Dense(3, "relu")(a), b])))
    with pytest.warns(NengoWarning, match="are tensor nodes"):
        check(model, nengograd.convert(model), "tensorflow")


@pytest.mark.needs("tensorflow")
def test_operations_of_keras_may_be_tensor_nodes() -> None:
    x = keras.Input((3, 2))
    model = keras.Model(x, keras.ops.exp(x) * 2.0 + 1.0)
    with pytest.warns(NengoWarning, match="are tensor nodes"):
        check(model, nengograd.convert(model), "tensorflow")


def test_operations_that_are_sums_and_activations_are_converted() -> None:
    x = keras.Input((3, 2))
    ops = keras.ops
    y = ops.relu(x) + ops.sigmoid(x) - ops.tanh(x)
    check(keras.Model(x, y), nengograd.convert(keras.Model(x, y), allow_fallback=False))


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("shapes", [((3, 4), (4,)), ((4,), (3, 4))])
def test_an_operation_counts_axes_from_the_last_one_and_a_layer_from_the_first(
    shapes: Any,
) -> None:
    a, b = (keras.Input(shape) for shape in shapes)
    model = keras.Model([a, b], a - b)  # of three items, it takes an item of one from rows of all
    with pytest.warns(NengoWarning, match="differ in their number of axes"):
        check(model, nengograd.convert(model), "tensorflow")
    model = keras.Model([a, b], L.Add()([a, b]))
    check(model, nengograd.convert(model, allow_fallback=False))


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("inference_only", [False, True])
@pytest.mark.parametrize(
    ("kind", "arguments"), [(L.Dense, (3,)), (L.Conv1D, (3, 2))], ids=["dense", "convolution"]
)
def test_a_layer_of_low_rank_updates_computes_what_it_computes_in_keras(
    kind: Any, arguments: Any, inference_only: bool
) -> None:
    layer = kind(*arguments)
    model = keras.Sequential([keras.Input((4, 2)), layer, L.BatchNormalization()])
    layer.enable_lora(2)
    randomize(model)
    with pytest.warns(NengoWarning, match="LoRA or quantization"):
        converted = nengograd.convert(model, inference_only=inference_only)
    check(model, converted, "tensorflow")


@pytest.mark.needs("tensorflow")
def test_masked_steps_stay_masked() -> None:
    x = keras.Input((4,), dtype="int32")
    model = randomize(keras.Model(x, L.GRU(2)(L.Embedding(3, 5, mask_zero=True)(x))))
    with pytest.warns(NengoWarning, match="are tensor nodes"):
        check(model, nengograd.convert(model), "tensorflow")


@pytest.mark.needs("tensorflow")
def test_words_may_be_embedded() -> None:
    x = keras.Input((4,), dtype="int32", name="words")
    model = randomize(keras.Model(x, L.Dense(2)(L.Flatten()(L.Embedding(3, 5)(x)))))
    with pytest.warns(NengoWarning, match="no converter for Embedding"):
        check(model, nengograd.convert(model), "tensorflow")


class Doubled(keras.Model):
    """A model whose calls Keras does not record."""

    def call(self, x: Any) -> Any:
        return 2 * x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Sequential([L.Dense(2)]), "does not know the shape of its input"),
        (
            lambda: keras.Sequential([keras.Input((None, 3)), L.Dense(2)]),
            r"the input '.*' has the shape \(None, 3\).*temporal=True",
        ),
        (Doubled, "a class that a plugin can read, which are .*Functional.*not a .*Doubled"),
        (lambda: L.Dense(2), "a class that a plugin can read"),
        (lambda: 5, "a class that a plugin can read, .*not a builtins.int"),
    ],
)
def test_a_model_that_cannot_be_read_is_answered_with_a_sentence(make: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as error:
        nengograd.convert(make())
    assert "\n" not in str(error.value)
