"""Nodes and probes by the names that NengoDL 3.6 gives them, in data of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengograd import nengo_dl

tf = pytest.importorskip("tensorflow")

X = np.linspace(-1, 1, 24).reshape(12, 2, 1)


def network() -> tuple[Any, Any]:
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.0], label="in put")
        other = nengo.Node([0.0])
        out = nengo.Node(size_in=1)
        nengo.Connection(inp, out, synapse=None, transform=[[2.0]])
        nengo.Connection(other, out, synapse=None, transform=[[1.0]])
        probes = nengo.Probe(out, label="my probe"), nengo.Probe(out), nengo.Probe(out)
        nengo.Probe(out, label="my probe")
    return net, (inp, other, *probes)


def test_names_are_labels_or_kinds_with_numbers() -> None:
    net, objects = network()
    with nengo_dl.Simulator(net, progress_bar=False, backend="numpy") as sim:
        names = [sim.get_name(obj) for obj in (*objects, net.probes[-1])]
        assert names == ["in_put", "node", "my_probe", "probe", "probe_1", "my_probe_1"]
        with pytest.raises(ValidationError, match="is no probe, and no node"):
            sim.get_name(net)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("kind", ["generator", "tf.data", "sequence"])
def test_batches_of_an_iterable_are_by_name_with_their_number_of_steps(kind: str) -> None:
    batches = [
        (
            {"in_put": x, "node": np.zeros_like(x), "n_steps": np.full((4, 1), 2)},
            {"my_probe": 2 * x},
        )
        for x in np.split(X, 3)
    ]

    def given() -> Any:
        if kind == "generator":
            return iter(batches)
        if kind == "sequence":
            return Batches()
        arrays = {"in_put": X, "node": 0 * X, "n_steps": np.full((12, 1), 2)}, {"my_probe": 2 * X}
        return tf.data.Dataset.from_tensor_slices(arrays).batch(4)

    class Batches(tf.keras.utils.Sequence):  # type: ignore[misc]
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return batches[index]

    def inputs() -> Iterator[Any]:
        for x, _ in batches:
            yield x

    net, (_, _, probe, *_) = network()
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(tf.keras.optimizers.SGD(0.1), loss={"my_probe": "mse"})
        assert sim.evaluate(given(), verbose=0)["loss"] == pytest.approx(0, abs=1e-10)
        found = sim.predict(inputs(), verbose=0)[probe]
        assert np.allclose(found, 2 * X)
        history = sim.fit(given(), validation_data=given(), verbose=0).history
        assert history["loss"] == [pytest.approx(0, abs=1e-10)]
        assert history["val_my_probe_loss"] == [pytest.approx(0, abs=1e-10)]
