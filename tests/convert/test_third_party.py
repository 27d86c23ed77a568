"""Layers and models of others, by the hook."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from nengo.exceptions import BuildError, NengoWarning, ValidationError

keras = pytest.importorskip("keras")

import nengograd  # noqa: E402
from convert.models import outputs, sequential  # noqa: E402
from nengograd.plugin import LayerCall, ModelGraph, ModelInput, ModelReader  # noqa: E402


class Shift(keras.layers.Layer):
    """Adds a trained number to each channel."""

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(shape=shape[-1:], name="shift")

    def call(self, x: Any) -> Any:
        return x + self.shift


def convert_shift(layer: Any, inputs: Any, to: Any) -> Any:
    (shift,) = to.weights
    return to.weighted([(inputs[0], None)], to.shape, shift)


def plugin(converters: Any) -> Any:
    class Plugin:
        @nengograd.hookimpl
        def nengograd_converters(self) -> Any:
            return converters

    return Plugin()


@pytest.fixture
def model() -> Any:
    return sequential([keras.layers.Dense(4), Shift(name="shift")], (3,))


@pytest.fixture
def x() -> Any:
    return np.random.RandomState(1).normal(size=(3, 3)).astype(np.float32)


def check(model: Any, x: Any, **options: Any) -> None:
    converted = nengograd.convert(model, allow_fallback=False, **options)
    expected = model(x)
    np.testing.assert_allclose(outputs(converted, x)[0][:, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_layer_is_converted_by_a_plugin_that_names_its_class(model: Any, x: Any) -> None:
    check(model, x, plugins=[plugin({Shift: convert_shift})])


def test_a_layer_is_converted_by_a_plugin_that_names_its_path_and_imports_nothing(
    model: Any, x: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = ModuleType("shifting_layers")
    module.Shift = Shift
    named = plugin({"shifting_layers.Shift": convert_shift, "never_there.Shift": print})
    with pytest.raises(ValidationError, match="no converter for Shift"):
        nengograd.convert(model, plugins=[named], allow_fallback=False)
    monkeypatch.setitem(sys.modules, "shifting_layers", module)
    check(model, x, plugins=[named])
    assert "never_there" not in sys.modules


def test_a_subclass_has_no_part_in_the_converter_of_its_parent(x: Any) -> None:
    class Twice(keras.layers.Dense):
        def call(self, x: Any) -> Any:
            return 2 * super().call(x)

    model = sequential([Twice(4, name="twice")], (3,))
    with pytest.raises(ValidationError, match=r"'twice' .Twice., since there is no converter"):
        nengograd.convert(model, allow_fallback=False)


def test_a_class_of_the_same_name_has_no_part_in_the_converter_of_another() -> None:
    class Dense(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return 2 * x

    model = sequential([Dense(name="own")], (3,))
    with pytest.raises(ValidationError, match=r"'own' .Dense., since there is no converter"):
        nengograd.convert(model, allow_fallback=False)


def test_a_plugin_given_by_hand_goes_before_ours(model: Any) -> None:
    seen = []

    def dense(layer: Any, inputs: Any, to: Any) -> Any:
        seen.append(layer.name)
        return to.fallback("it was asked for")

    for key in ("keras.layers.Dense", keras.layers.Dense):
        with pytest.warns(NengoWarning, match="since it was asked for"):
            nengograd.convert(model, plugins=[plugin({key: dense, Shift: convert_shift})])
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("converter", "message"),
    [
        (lambda layer, inputs, to: None, "has returned None; 1 Tensor are needed"),
        (lambda layer, inputs, to: to.same(inputs[0], (2, 2)), r"shape \(2, 2\); it is \(4,\)"),
        (lambda layer, inputs, to: 1 / 0, "failed: ZeroDivisionError"),
    ],
)
def test_a_converter_that_fails_is_named_with_its_layer(
    model: Any, converter: Any, message: str
) -> None:
    with pytest.raises(BuildError, match=f"Shift .*'shift' .*{message}"):
        nengograd.convert(model, plugins=[plugin({Shift: converter})])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"Dense": convert_shift}, "a path is one such as"),
        ({3: convert_shift}, "keys are classes"),
        ({Shift: "x"}, "no ModelReader"),
        ({Shift: ModelReader}, "make an instance"),
    ],
)
def test_what_is_no_converter_is_left_out_with_a_warning(
    model: Any, result: Any, message: str
) -> None:
    with pytest.warns(NengoWarning) as warned:
        nengograd.convert(model, plugins=[plugin(result)])
    assert message in str(warned[0].message)
    assert "nengograd_converters" in str(warned[0].message)


class Chain:
    """A model of another library: matrices, one after the other."""

    def __init__(self, matrices: Any):
        self.matrices = matrices


class Matrix:
    """Its layer."""

    def __init__(self, values: Any):
        self.values = values


class ChainReader(ModelReader):
    """Reads it."""

    def read(self, model: Any, inference_only: bool) -> ModelGraph:
        calls = tuple(
            LayerCall(
                f"matrix{i}", Matrix(m), (i,), (i + 1,), ((len(m),),),
                lambda given, m=m: [given[0] @ m.T],
            )
            for i, m in enumerate(model.matrices)
        )  # fmt: skip
        put = ModelInput("x", 0, (model.matrices[0].shape[1],))
        return ModelGraph("chain", (put,), calls, (len(calls),))

    def tensor_function(self, call: LayerCall, shapes: Any) -> Any:
        raise AssertionError("not needed")


def test_a_model_of_another_library_is_read_by_a_plugin() -> None:
    rng = np.random.RandomState(0)
    chain = Chain([rng.normal(size=(4, 3)), rng.normal(size=(2, 4))])
    both = plugin(
        {
            Chain: ChainReader(),
            Matrix: lambda layer, inputs, to: to.weighted([(inputs[0], layer.values)], to.shape),
        }
    )
    converted = nengograd.convert(chain, plugins=[both])
    assert converted.verify(backend="numpy")
    x = rng.normal(size=(5, 3))
    (found,) = outputs(converted, x)
    expected = x @ chain.matrices[0].T @ chain.matrices[1].T
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValidationError, match="ChainReader cannot train"):
        converted.verify(training=True, backend="numpy")


def test_a_model_that_nobody_reads_is_refused_with_those_that_are_read() -> None:
    with pytest.raises(ValidationError, match=r"convert needs a model .*Sequential.*not a .*Chain"):
        nengograd.convert(Chain([]))
