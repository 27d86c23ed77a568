"""fit, evaluate and predict beside Keras' own: streams, callbacks, items, bad arguments."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

Make = Callable[..., Any]

N, SIZE, CLASSES, BATCH = 30, 4, 3, 6


@pytest.fixture
def model() -> SimpleNamespace:
    """A Dense layer without a bias, as a network, and what it starts from."""
    rng = np.random.RandomState(0)
    weights = rng.uniform(0.1, 0.9, size=(CLASSES, SIZE))
    with nengo.Network(seed=0) as net:
        x = nengo.Node(np.zeros(SIZE), label="x")
        y = nengo.Node(size_in=CLASSES)
        connection = nengo.Connection(x, y, transform=weights, synapse=None)
        probe = nengo.Probe(y, label="y")
    return SimpleNamespace(net=net, x=x, probe=probe, weights=weights, connection=connection)


@pytest.fixture
def data() -> SimpleNamespace:
    rng = np.random.RandomState(1)
    x = rng.uniform(0.2, 1, size=(N, SIZE)).astype(np.float32)
    labels = rng.randint(CLASSES, size=N)
    return SimpleNamespace(x=x, y=np.eye(CLASSES, dtype=np.float32)[labels], labels=labels)


def reference(model: SimpleNamespace) -> Any:
    keras = pytest.importorskip("keras")
    x = keras.Input((SIZE,))
    dense = keras.layers.Dense(CLASSES, use_bias=False, name="y")
    made = keras.Model(x, dense(x))
    dense.set_weights([model.weights.T])
    return made


def agree(ours: dict[str, Any], keras: dict[str, Any]) -> None:
    assert set(ours) == set(keras)
    for name, values in keras.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.needs("differentiate")
def test_weights_and_histories_are_those_of_keras(make_sim: Make, model: Any, data: Any) -> None:
    keras = reference(model)
    keras.compile("adam", loss="categorical_crossentropy", metrics=["accuracy", "mae"])
    held_out = (data.x[:7], data.y[:7])
    options = {"epochs": 4, "shuffle": False, "verbose": 0, "validation_data": held_out}
    expected = keras.fit(data.x, data.y, batch_size=BATCH, **options)
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("adam", loss="categorical_crossentropy", metrics=["accuracy", "mae"])
    found = sim.fit(data.x, data.y, **options)
    agree(found.history, expected.history)
    assert found.epoch == expected.epoch
    weights = sim.data[model.connection].weights.T
    np.testing.assert_allclose(weights, keras.get_weights()[0], rtol=1e-4, atol=1e-6)


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("left", [1, 5])
def test_items_that_do_not_fill_a_minibatch_count_as_keras_counts_them(
    make_sim: Make, model: Any, data: Any, left: int
) -> None:
    keras = reference(model)
    keras.compile(loss="mse", metrics=["accuracy", "mae"])
    n = 2 * BATCH + left
    expected = keras.evaluate(data.x[:n], data.y[:n], batch_size=BATCH, verbose=0)
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile(loss="mse", metrics=["accuracy", "mae"])
    np.testing.assert_allclose(sim.evaluate(data.x[:n], data.y[:n]), expected, rtol=1e-5)
    np.testing.assert_allclose(
        sim.predict(data.x[:n])[model.probe][:, 0], keras.predict(data.x[:n], verbose=0), rtol=1e-5
    )


@pytest.mark.needs("tensorflow")
def test_a_dataset_of_tensorflow_is_taken_as_keras_takes_it(
    make_sim: Make, model: Any, data: Any
) -> None:
    tf = pytest.importorskip("tensorflow")
    batches = tf.data.Dataset.from_tensor_slices((data.x, data.y)).batch(BATCH)
    keras = reference(model)
    keras.compile("sgd", loss="mse", metrics=["mae"])
    expected = keras.fit(batches, epochs=2, verbose=0, validation_data=batches.take(2))
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse", metrics=["mae"])
    found = sim.fit(batches, epochs=2, validation_data=batches.take(2))
    agree(found.history, expected.history)
    np.testing.assert_allclose(sim.evaluate(batches), keras.evaluate(batches, verbose=0), rtol=1e-5)
    # Of a stream of inputs and targets, predict looks at the inputs alone.
    np.testing.assert_allclose(
        sim.predict(batches)[model.probe][:, 0], keras.predict(batches, verbose=0), rtol=1e-4
    )


@pytest.mark.needs("differentiate")
def test_a_loader_may_yield_lists_as_those_of_pytorch_do(
    make_sim: Make, model: Any, data: Any
) -> None:
    def batches() -> Iterator[list[Any]]:
        for first in range(0, N, BATCH):
            yield [data.x[first : first + BATCH], data.y[first : first + BATCH]]

    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse")
    expected = sim.evaluate(data.x, data.y), sim.predict(data.x)[model.probe]
    assert sim.evaluate(batches()) == expected[0]
    np.testing.assert_array_equal(sim.predict(batches())[model.probe], expected[1])
    held_out = [data.x, data.y]
    history = sim.fit(batches(), validation_data=held_out).history
    assert history["val_loss"][0] == pytest.approx(sim.evaluate(*held_out), rel=1e-6)


class Tensor:
    """What a tensor of PyTorch offers; one that asks for a gradient has to be detached first."""

    def __init__(self, values: Any, requires_grad: bool = False):
        self._values, self.requires_grad = np.asarray(values), requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, key: Any) -> Tensor:
        return Tensor(self._values[key], self.requires_grad)

    def detach(self) -> Tensor:
        return Tensor(self._values)

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy()"
            )
        return self._values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)


class Loader:
    """What a loader of PyTorch offers: its length, and batches anew in each epoch."""

    def __init__(self, *tensors: Tensor, as_list: bool = True):
        self._tensors, self._kind = tensors, list if as_list else tuple
        self.epochs = 0

    def __len__(self) -> int:
        return -(-N // BATCH)

    def __iter__(self) -> Iterator[Any]:
        self.epochs += 1
        for first in range(0, N, BATCH):
            yield self._kind(tensor[first : first + BATCH] for tensor in self._tensors)


@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_loaders_of_tensors_give_what_arrays_give(
    make_sim: Make, model: Any, data: Any, as_list: bool, requires_grad: bool
) -> None:
    x, y = Tensor(data.x, requires_grad), Tensor(data.y)
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse", metrics=["mae"])
    expected = sim.evaluate(data.x, data.y)
    loader = Loader(x, y, as_list=as_list)
    assert sim.evaluate(loader) == expected
    assert sim.evaluate(x, y) == expected
    wanted = sim.predict(data.x)[model.probe]
    for given in (x, loader, Loader(x, as_list=as_list)):
        np.testing.assert_array_equal(sim.predict(given)[model.probe], wanted)
    weighted = sim.evaluate(data.x, data.y, sample_weight=data.labels.astype(float))
    triples = Loader(x, y, Tensor(data.labels.astype(float)), as_list=as_list)
    assert sim.evaluate(triples) == pytest.approx(weighted)
    np.testing.assert_array_equal(sim.predict(triples)[model.probe], wanted)
    loader.epochs = 0
    history = sim.fit(loader, epochs=3, validation_data=Loader(x, y, as_list=as_list)).history
    assert loader.epochs == 3
    other = make_sim(model.net, minibatch_size=BATCH)
    other.compile("sgd", loss="mse", metrics=["mae"])
    held_out = data.x, data.y
    agree(history, other.fit(*held_out, epochs=3, shuffle=False, validation_data=held_out).history)


@pytest.mark.needs("differentiate")
def test_a_dataset_of_keras_is_told_of_the_end_of_each_epoch(
    make_sim: Make, model: Any, data: Any
) -> None:
    keras = pytest.importorskip("keras")
    events: list[Any] = []

    class Pieces(keras.utils.PyDataset):
        def __len__(self) -> int:
            return N // BATCH

        def __getitem__(self, index: int) -> Any:
            events.append(index)
            items = slice(index * BATCH, (index + 1) * BATCH)
            return data.x[items], data.y[items]

        def on_epoch_end(self) -> None:
            events.append("end")

    epoch = [*range(N // BATCH), "end"]
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse")
    sim.fit(Pieces(), epochs=2)
    assert events == epoch * 2
    sim.evaluate(Pieces())
    assert events == epoch * 3


@pytest.mark.needs("tensorflow")
def test_callbacks_of_keras_stop_a_training_where_they_stop_keras(
    make_sim: Make, model: Any, data: Any
) -> None:
    keras = reference(model)

    def options() -> dict[str, Any]:
        from keras.callbacks import EarlyStopping

        stop = EarlyStopping("val_loss", patience=1, min_delta=2e-3)
        return {"epochs": 50, "shuffle": False, "verbose": 0, "callbacks": [stop]}

    held_out = (data.x, data.y)
    keras.compile("sgd", loss="mse")
    expected = keras.fit(data.x, data.y, batch_size=BATCH, validation_data=held_out, **options())
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse")
    found = sim.fit(data.x, data.y, validation_data=held_out, **options())
    assert 1 < len(expected.epoch) < 50
    agree(found.history, expected.history)
    assert found.epoch == expected.epoch


@pytest.mark.needs("differentiate")
def test_few_batches_of_a_stream_are_in_memory(make_sim: Make, model: Any, data: Any) -> None:
    alive: list[Any] = []
    most = 0

    def batches() -> Iterator[Any]:
        nonlocal most
        for _ in range(30):
            x = np.array(data.x)  # of float32: the simulator makes its own copy in float64
            alive.append(weakref.ref(x))
            yield x, data.y
            del x
            gc.collect()
            most = max(most, sum(ref() is not None for ref in alive))

    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile("sgd", loss="mse")
    sim.fit(batches())
    sim.evaluate(batches())
    assert len(alive) == 60
    assert most <= 3


# -- what is wrong

WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("evaluate", "x", {"x": np.ones((N, SIZE + 1))}, "shape"),
    ("evaluate", "x", {"x": "data"}, "needs an array"),
    ("evaluate", "y", {"x": iter([])}, "its batches .* have the targets"),
    ("evaluate", "x", {"x": iter([]), "y": None}, "no batch"),
    ("evaluate", "y", {"y": None}, "targets are needed"),
    ("evaluate", "y", {"y": np.ones((N, CLASSES + 2))}, "mse needs"),
    ("evaluate", "y", {"y": "labels"}, "needs an array"),
    ("evaluate", "batch_size", {"batch_size": 7}, "minibatch_size=7"),
    ("evaluate", "verbose", {"verbose": 3}, '"auto", 0, 1 or 2'),
    ("evaluate", "steps", {"steps": 0}, "at least 1"),
    ("evaluate", "steps", {"steps": 2}, "for data of an iterable"),
    ("evaluate", "y", {"y": np.full((N, CLASSES), np.nan)}, "all values for .* are NaN"),
    ("evaluate", "return_dict", {"return_dict": 1}, "True or False"),
    ("evaluate", "n_steps", {"n_steps": 1.5}, "at least 1"),
    ("predict", "x", {"x": np.ones((N, 2, 2, SIZE))}, "shape"),
    ("predict", "x", {"x": {"nobody": np.ones((N, SIZE))}}, "label 'nobody'"),
    ("predict", "batch_size", {"batch_size": 7}, "minibatch_size=7"),
    ("predict", "verbose", {"verbose": "x"}, '"auto", 0, 1 or 2'),
    ("predict", "steps", {"steps": -1}, "at least 1"),
    ("predict", "steps", {"steps": 2}, "for data of an iterable"),
    ("predict", "n_steps", {"n_steps": 0}, "at least 1"),
    ("predict", "stateful", {"stateful": "yes"}, "True or False"),
    ("predict_on_batch", "x", {"x": np.ones((BATCH + 1, SIZE))}, "a minibatch has 6"),
    ("predict_on_batch", "n_steps", {"n_steps": 0}, "at least 1"),
]


@pytest.mark.parametrize(("method", "attr", "given", "message"), WRONG)
def test_bad_arguments_are_answered_with_a_sentence(
    make_sim: Make, model: Any, data: Any, method: str, attr: str, given: Any, message: str
) -> None:
    sim = make_sim(model.net, minibatch_size=BATCH)
    sim.compile(loss="mse")
    right = {"x": data.x, "y": data.y} if method == "evaluate" else {"x": data.x}
    with pytest.raises(ValidationError, match=message) as caught:
        getattr(sim, method)(**{**right, **given})
    assert str(caught.value).startswith(f"{attr}:")
