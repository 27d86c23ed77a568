"""Functions on JAX's arrays and modules of its libraries are nodes of a network, trained along."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, ValidationError

import nengograd

jax = pytest.importorskip("jax")
jnp = jax.numpy
optax = pytest.importorskip("optax")

OPTIONS: dict[str, Any] = {"backend": "jax", "progress_bar": False}
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
CLOSE = {"float32": 1e-5, "float64": 1e-12}


def net_of(function: Any, size: int = 4, **options: Any) -> tuple[nengo.Network, Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.zeros(size))
        node = nengograd.Layer(function)(u, backend="jax", **options)
        probe = nengo.Probe(node)
    return net, u, node, probe


def draw(*shape: int) -> Any:
    return np.random.RandomState(0).uniform(-1, 1, shape)


# -- functions


@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_a_function_gets_each_item_in_its_shape_and_the_time(minibatch_size: int | None) -> None:
    with nengo.Network() as net:
        u = nengo.Node(lambda t: [t, 1, 2, 3, 4, 5])
        node = nengograd.TensorNode(
            lambda t, x: x.sum(axis=2) * t, shape_in=(2, 3), shape_out=(2,), backend="jax"
        )
        nengo.Connection(u, node, synapse=None)
        clock = nengograd.TensorNode(lambda t: jnp.stack([t, 2 * t])[None], backend="jax")
        p, q = nengo.Probe(node), nengo.Probe(clock)
    options = {"minibatch_size": minibatch_size, "dtype": "float64", **OPTIONS}
    with nengograd.Simulator(net, **options) as sim:
        sim.run_steps(3)
        t = np.arange(1, 4)[:, None] * 0.001
        expected = np.concatenate([(t + 3) * t, 12 * t], axis=1)
        np.testing.assert_allclose(sim.data[p], np.broadcast_to(expected, sim.data[p].shape))
        np.testing.assert_allclose(sim.data[q], np.broadcast_to(t * [1, 2], sim.data[q].shape))


@pytest.mark.parametrize("neurons", [5, 4000])
def test_a_function_runs_between_what_runs_in_python(neurons: int) -> None:
    with nengo.Network(seed=1) as net:
        u = nengo.Node(lambda t: np.sin(50 * t))
        ens = nengo.Ensemble(neurons, 1, neuron_type=nengo.LIFRate())
        before = nengo.Node(lambda t, x: x + 1, size_in=1)
        node = nengograd.TensorNode(lambda x: 3 * x, (1,), pass_time=False, backend="jax")
        after = nengo.Node(lambda t, x: x - 3, size_in=1)
        nengo.Connection(u, ens)
        nengo.Connection(u, before, synapse=None)
        nengo.Connection(before, node, synapse=None)
        nengo.Connection(node, after, synapse=None)
        probe = nengo.Probe(after)
        nengo.Probe(ens)
    with nengograd.Simulator(net, dtype="float64", **OPTIONS) as sim:
        sim.run_steps(5)
        expected = 3 * np.sin(50 * sim.trange())[:, None]
        np.testing.assert_allclose(sim.data[probe], expected, atol=1e-12)


def test_gradients_flow_through_functions_in_a_loop() -> None:
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(3))
        x = nengo.Node(size_in=4)
        nengo.Connection(u, x, transform=draw(4, 3), synapse=0.003)
        node = nengograd.TensorNode(
            lambda t, x: x**2 * jnp.cos(100 * t), shape_in=(4,), backend="jax"
        )
        nengo.Connection(x, node, synapse=0.002)
        nengo.Connection(node, x, transform=np.ones((4, 4)) * 0.1, synapse=0.001)
        nengo.Probe(node)
    with nengograd.Simulator(net, minibatch_size=2, **OPTIONS) as sim:
        sim.check_gradients(n_steps=4)


def noise(x: Any, seed: Any) -> Any:
    return x + jax.random.uniform(seed, x.shape, x.dtype)


@pytest.mark.parametrize(("minibatch_size", "dtype"), [(None, "float64"), (2, "float32")])
def test_random_numbers_repeat_with_the_seed_and_differ_otherwise(
    minibatch_size: int | None, dtype: str
) -> None:
    def run(seed: int) -> Any:
        net, _, _, probe = net_of(noise, 50)
        options = {"dtype": dtype, "minibatch_size": minibatch_size, **OPTIONS}
        with nengograd.Simulator(net, seed=seed, **options) as sim:
            sim.run_steps(4)
            first = np.array(sim.data[probe])
            sim.reset()
            sim.run_steps(1)  # however a run is cut
            sim.run_steps(3)
            np.testing.assert_array_equal(sim.data[probe], first)
            return first

    first = run(1)
    np.testing.assert_array_equal(first, run(1))
    assert abs(np.corrcoef(first.ravel(), run(2).ravel())[0, 1]) < 0.3
    rows = first.reshape(-1, 50)  # of all steps and items
    assert np.abs(np.corrcoef(rows) - np.eye(len(rows))).max() < 0.6
    assert 0 <= rows.min() < rows.max() <= 1


def test_training_and_export_draw_too() -> None:
    net, u, _, probe = net_of(noise, 50)
    with net:
        more = nengo.Node(size_in=50)
        nengo.Connection(u, more, transform=nengo.Dense((50, 50), np.zeros((50, 50))))
        nengo.Connection(net.nodes[1], more, synapse=None)
        probe = nengo.Probe(more)
    x = np.zeros((2, 2, 50))

    def trained() -> Any:
        with nengograd.Simulator(net, seed=1, minibatch_size=2, **OPTIONS) as sim:
            copy = nengograd.to_network(sim)
            return sim.train({u: x}, {probe: x}, "sgd", n_epochs=2)["loss"], copy

    losses, copy = trained()
    assert losses == trained()[0]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(1 / 3, abs=0.05)  # the mean square of uniform noise
    with nengo.Simulator(copy, seed=5, progress_bar=False) as reference:
        reference.run_steps(2)
        assert abs(np.corrcoef(*reference.data[copy.probes[1]])[0, 1]) < 0.5


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x + jax.random.normal(jax.random.key(3), (1, 3)), "random_bits.*`seed`"),
        (lambda x: x + np.random.uniform(), "numpy.random.*give it a parameter `seed`"),
        (lambda x: x @ jnp.ones((7, 2)), "cannot be called"),
        (lambda x: x if x[0, 0] > 0 else -x, "cannot be called"),
        (lambda x: x.sum(), "has to return one tensor"),
        (lambda x: (x, x), "has to return one tensor"),
    ],
)
def test_what_cannot_be_a_node_is_refused_when_it_is_made(function: Any, message: str) -> None:
    with nengo.Network(), pytest.raises(ValidationError, match=message):
        nengograd.TensorNode(function, shape_in=(3,), pass_time=False, backend="jax")


def test_what_computes_in_float32_alone_is_named() -> None:
    def rounded(x: Any) -> Any:
        return x.astype(jnp.float32)

    net, _, _, _ = net_of(rounded)
    with nengograd.Simulator(net, dtype="float32", **OPTIONS) as sim:
        sim.run_steps(1)
    message = "rounded computes in float32 and not in float64"
    double: dict[str, Any] = {"dtype": "float64", **OPTIONS}
    with nengograd.Simulator(net, **double) as sim, pytest.raises(BuildError, match=message):
        sim.run_steps(1)


# -- modules of Equinox


@pytest.fixture
def eqx() -> Any:
    return pytest.importorskip("equinox")


@pytest.fixture
def nnx() -> Any:
    return pytest.importorskip("flax.nnx")


@DTYPES
def test_an_equinox_module_is_called_item_by_item(eqx: Any, dtype: str) -> None:
    module = eqx.nn.MLP(4, 3, 8, 1, jnp.tanh, key=jax.random.key(0))
    net, u, node, probe = net_of(module)
    x = draw(2, 3, 4)
    with nengograd.Simulator(net, minibatch_size=2, dtype=dtype, **OPTIONS) as sim:
        sim.run_steps(3, input_feeds={u: x})
        weights = sim.data[node].weights
        hidden = np.tanh(x @ weights["layers.0.weight"].T + weights["layers.0.bias"])
        expected = hidden @ weights["layers.1.weight"].T + weights["layers.1.bias"]
        np.testing.assert_allclose(sim.data[probe], expected, atol=CLOSE[dtype])
        np.testing.assert_array_equal(weights["layers.0.weight"], module.layers[0].weight)
        sim.check_gradients(n_steps=2)


def test_a_module_learns_and_its_weights_are_saved_and_put_back(eqx: Any, tmp_path: Path) -> None:
    module = eqx.nn.Linear(3, 2, key=jax.random.key(0))
    net, u, node, probe = net_of(module, 3)
    x = draw(64, 1, 3)
    y = x @ np.random.RandomState(1).uniform(-1, 1, (3, 2)) + 0.5
    with nengograd.Simulator(net, minibatch_size=16, **OPTIONS) as sim:
        assert {p.attribute for p in sim._learning.parameters} == {"weight", "bias"}
        sim.train({u: x}, {probe: y}, optax.adam(0.05), n_epochs=60)
        assert sim.loss({u: x}, {probe: y}) < 1e-4
        weights = sim.data[node].weights
        sim.save_params(tmp_path / "weights")
    with nengograd.Simulator(net, **OPTIONS) as sim:
        sim.load_params(tmp_path / "weights")
        np.testing.assert_allclose(sim.data[node].weights["bias"], weights["bias"], rtol=1e-6)
    trained = eqx.tree_at(lambda m: (m.weight, m.bias), module, tuple(weights.values()))
    np.testing.assert_allclose(jax.vmap(trained)(x[:, 0]), y[:, 0], atol=0.05)


def test_dropout_of_equinox_is_active_in_training_alone(eqx: Any) -> None:
    key = jax.random.key(0)
    linear = eqx.tree_at(
        lambda m: m.weight, eqx.nn.Linear(200, 200, use_bias=False, key=key), jnp.eye(200)
    )
    _check_dropout(eqx.nn.Sequential([eqx.nn.Dropout(0.5), linear]))


def _check_dropout(module: Any) -> None:
    net, u, _, probe = net_of(module, 200)
    x = np.ones((2, 3, 200))
    with nengograd.Simulator(net, minibatch_size=2, seed=1, **OPTIONS) as sim:
        assert sim.loss({u: x}, {probe: x}) == 0
        losses = sim.train({u: x}, {probe: 0 * x}, optax.sgd(0.0), n_epochs=3)["loss"]
        assert sim.loss({u: x}, {probe: x}) == 0
    np.testing.assert_allclose(losses, 2, atol=0.4)  # half are 0, half are 2
    assert len(set(losses)) == 3  # other ones each time


def test_statistics_of_equinox_are_used_and_not_made(eqx: Any) -> None:
    class Normalized(eqx.Module):
        norm: Any
        state: Any
        linear: Any

        def __init__(self, inference: bool):
            make = eqx.nn.make_with_state(eqx.nn.BatchNorm)
            self.norm, self.state = make(4, "batch", inference=inference, mode="batch")
            self.linear = eqx.nn.Linear(4, 4, key=jax.random.key(0))

        def __call__(self, x: Any) -> Any:
            return self.linear(self.norm(x, self.state)[0])

    x = draw(2, 1, 4)
    for inference in (False, True):
        net, u, _, probe = net_of(Normalized(inference))
        with nengograd.Simulator(net, minibatch_size=2, **OPTIONS) as sim:
            sim.run_steps(1, input_feeds={u: x})
            names = {p.attribute for p in sim._learning.parameters}
            assert names == {"norm.weight", "norm.bias", "linear.weight", "linear.bias"}
            if inference:
                sim.train({u: x}, {probe: x}, "sgd")
            else:
                with pytest.raises(BuildError, match="give that module inference=True"):
                    sim.train({u: x}, {probe: x}, "sgd")


# -- modules of Flax


@DTYPES
def test_an_nnx_module_computes_what_it_does_in_flax(nnx: Any, dtype: str) -> None:
    rngs = nnx.Rngs(0)
    module = nnx.Sequential(nnx.Linear(4, 5, rngs=rngs), jnp.tanh, nnx.Linear(5, 2, rngs=rngs))
    net, u, node, probe = net_of(module)
    x = draw(2, 3, 4)
    with nengograd.Simulator(net, minibatch_size=2, dtype=dtype, **OPTIONS) as sim:
        sim.run_steps(3, input_feeds={u: x})
        np.testing.assert_allclose(sim.data[probe], module(jnp.asarray(x)), atol=1e-5)
        before = sim.data[node].weights["layers.0.kernel"]
        sim.check_gradients(n_steps=2)
        sim.train({u: x}, {probe: sim.data[probe] * 0}, "sgd")
        assert np.any(sim.data[node].weights["layers.0.kernel"] != before)
    np.testing.assert_array_equal(module.layers[0].kernel[...], before)  # it is as it was


def test_dropout_of_nnx_is_active_in_training_alone(nnx: Any) -> None:
    rngs = nnx.Rngs(0)
    linear = nnx.Linear(200, 200, use_bias=False, rngs=rngs)
    linear.kernel[...] = jnp.eye(200)
    _check_dropout(nnx.Sequential(nnx.Dropout(0.5, rngs=rngs), linear))


@DTYPES
def test_statistics_of_nnx_are_gathered_in_training_unless_fixed(nnx: Any, dtype: str) -> None:
    x = draw(4, 3, 4)
    for fixed in (False, True):
        rngs = nnx.Rngs(0)
        norm = nnx.BatchNorm(4, momentum=0.7, use_running_average=fixed, rngs=rngs)
        module = nnx.Sequential(norm, nnx.Linear(4, 4, rngs=rngs))
        net, u, node, probe = net_of(module)
        with nengograd.Simulator(net, minibatch_size=4, dtype=dtype, **OPTIONS) as sim:
            sim.run_steps(1, input_feeds={u: x[:, :1]})
            np.testing.assert_allclose(norm.mean[...], 0)
            sim.train({u: x}, {probe: x}, "sgd")
            names = {p.attribute for p in sim._learning.parameters}
            assert names == {f"layers.{n}" for n in ("0.bias", "0.scale", "1.bias", "1.kernel")}
            weights = sim.data[node].weights
        if not fixed:
            module.train()
            for step in range(3):  # one update in each, in order of time
                module(jnp.asarray(x[:, step]))
        for name, known in (("mean", norm.mean), ("var", norm.var)):
            np.testing.assert_allclose(weights[f"layers.0.{name}"], known[...], rtol=1e-5)


@DTYPES
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_each_item_has_the_counters_and_sums_of_a_module_to_itself(
    nnx: Any, minibatch_size: int | None, dtype: str
) -> None:
    class Counting(nnx.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.count = nnx.Variable(jnp.array(0))
            self.total = nnx.Variable(jnp.zeros(4))
            self.flag = nnx.Variable(jnp.array(False))

        def __call__(self, x: Any) -> Any:
            self.count[...] += 300
            self.flag[...] = ~self.flag[...]
            self.total[...] += x.sum(axis=0)
            return jnp.where(self.flag[...], 1, -1) * (self.total[...] + self.count[...] + 0 * x)

    net, u, node, probe = net_of(Counting())
    x = draw(minibatch_size or 1, 4, 4)
    steps = np.arange(1, 5)[None, :, None]
    expected = np.where(steps % 2, 1, -1) * (np.cumsum(x, axis=1) + 300 * steps)
    options = {"minibatch_size": minibatch_size, "dtype": dtype, **OPTIONS}
    with nengograd.Simulator(net, **options) as sim:
        for _ in range(2):  # a reset restores it
            sim.reset()
            for part in (x[:, :2], x[:, 2:]):
                sim.run_steps(2, input_feeds={u: part})
            found = sim.data[probe].reshape(expected.shape)
            np.testing.assert_allclose(found, expected, rtol=CLOSE[dtype])
        assert sim.data[node].weights == {}  # all of it is state
        copy = nengograd.to_network(sim)
    with nengo.Simulator(copy, progress_bar=False) as reference:
        reference.run_steps(4)
        np.testing.assert_allclose(
            reference.data[copy.probes[0]],
            np.broadcast_to(np.where(steps % 2, 1, -1) * 300 * steps, (1, 4, 4))[0],
        )


def test_a_module_in_two_nodes_shares_its_weights(nnx: Any) -> None:
    module = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    with nengo.Network(seed=0) as net:
        u = nengo.Node(np.ones(4))
        p, q = (nengo.Probe(nengograd.Layer(module)(u, backend="jax")) for _ in range(2))
    ones = np.ones((1, 1, 4))
    with nengograd.Simulator(net, minibatch_size=1, **OPTIONS) as sim:
        sim.train({u: ones}, {p: 0 * ones}, optax.sgd(0.1))
        sim.run_steps(1)
        np.testing.assert_array_equal(sim.data[p], sim.data[q])


@pytest.mark.parametrize("library", ["equinox", "flax"])
def test_layers_take_no_time_and_need_an_input(eqx: Any, nnx: Any, library: str) -> None:
    made = {
        "equinox": eqx.nn.Linear(3, 2, key=jax.random.key(0)),
        "flax": nnx.Linear(3, 2, rngs=nnx.Rngs(0)),
    }[library]
    with nengo.Network():
        with pytest.raises(ValidationError, match="takes no time"):
            nengograd.TensorNode(made, shape_in=(3,), backend="jax")
        with pytest.raises(ValidationError, match="give shape_in"):
            nengograd.TensorNode(made, pass_time=False, backend="jax")
        with pytest.raises(ValidationError, match=r"cannot be called with an input of shape \(5,"):
            nengograd.TensorNode(made, shape_in=(5,), pass_time=False, backend="jax")


@DTYPES
def test_arrays_that_are_no_real_numbers_keep_their_dtype(eqx: Any, dtype: str) -> None:
    class Tables(eqx.Module):  # type: ignore[misc]
        mask: Any
        order: Any
        offset: Any

        def __call__(self, x: Any) -> Any:
            return jnp.where(self.mask, x[self.order], 0) + self.offset

    module = Tables(jnp.array([1, 0, 1, 1], bool), jnp.array([3, 1, 0, 2]), jnp.int8(-5))
    net, u, node, probe = net_of(module)
    x = draw(3, 1, 4)
    with nengograd.Simulator(net, minibatch_size=3, dtype=dtype, **OPTIONS) as sim:
        sim.run_steps(1, input_feeds={u: x})
        expected = x[..., [3, 1, 0, 2]] * [1, 0, 1, 1] - 5
        np.testing.assert_allclose(sim.data[probe], expected, rtol=CLOSE[dtype])
        kinds = {name: value.dtype.name for name, value in sim.data[node].weights.items()}
        assert kinds == {"mask": "bool", "order": "int32", "offset": "int8"}
        sim.check_gradients(n_steps=1)


def test_numbers_of_64_bits_need_a_simulation_that_has_them(eqx: Any) -> None:
    class Table(eqx.Module):  # type: ignore[misc]
        large: Any

        def __call__(self, x: Any) -> Any:
            return x + (self.large - 2**40)

    with jax.enable_x64(True):
        net, _, _, probe = net_of(Table(jnp.array([2**40 + 1])))
    with nengograd.Simulator(net, dtype="float64", **OPTIONS) as sim:
        sim.run_steps(1)
        np.testing.assert_array_equal(sim.data[probe], np.ones((1, 4)))
    with nengograd.Simulator(net, **OPTIONS) as sim:
        with pytest.raises(BuildError, match="int64, which JAX has in simulations of float64"):
            sim.run_steps(1)
        sim.reset()


@pytest.mark.parametrize("library", ["equinox", "flax"])
def test_copies_of_a_network_keep_the_weights_of_a_module(eqx: Any, nnx: Any, library: str) -> None:
    module = {
        "equinox": lambda: eqx.nn.Linear(3, 2, key=jax.random.key(0)),
        "flax": lambda: nnx.Linear(3, 2, rngs=nnx.Rngs(0)),
    }[library]()
    net, _, _, _ = net_of(module, 3)
    net.nodes[0].output = np.ones(3)
    found = []
    for other in (net, net.copy(), pickle.loads(pickle.dumps(net))):
        with nengograd.Simulator(other, **OPTIONS) as sim:
            sim.run_steps(1)
            found.append(sim.data[other.probes[0]])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
