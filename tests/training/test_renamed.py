"""Data with names of their own for nodes and probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd

X = np.linspace(-1, 1, 12).reshape(6, 2, 1)
BATCHES = [({"image": x, "index": np.arange(3)}, {"label": 3 * x}) for x in np.split(X, 2)]


class Dataset:
    """Batches by number, as Keras' own datasets have them; their number is all that ends them."""

    def __init__(self, as_list: bool = False):
        self.as_list = as_list
        self.ends = 0

    def __len__(self) -> int:
        return len(BATCHES)

    def __getitem__(self, index: int) -> Any:
        batch = BATCHES[index % len(BATCHES)]
        return list(batch) if self.as_list else batch

    def on_epoch_end(self) -> None:
        self.ends += 1


def network() -> tuple[Any, Any, Any]:
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.0])
        out = nengo.Node(size_in=1)
        nengo.Connection(node, out, synapse=None, transform=[[3.0]])
        probe = nengo.Probe(out)
    return net, node, probe


@pytest.mark.parametrize("as_list", [False, True])
def test_batches_are_renamed_as_they_come(make_sim: Callable[..., Any], as_list: bool) -> None:
    net, node, probe = network()
    dataset = Dataset(as_list)
    given = nengograd.renamed(dataset, {"image": node, "index": None}, {"label": probe})
    sim = make_sim(net, minibatch_size=2)
    sim.compile(loss="mse")
    for ends in (1, 2):
        assert sim.evaluate(given) == pytest.approx(0, abs=1e-10)
        assert dataset.ends == ends


def test_inputs_alone_and_single_dicts_are_renamed(make_sim: Callable[..., Any]) -> None:
    net, node, probe = network()
    sim = make_sim(net, minibatch_size=2)
    of_batches = nengograd.renamed((x for x, _ in BATCHES), {"image": node, "index": None})
    of_a_dict = nengograd.renamed({"image": X}, {"image": node})
    for given in (of_batches, of_a_dict):
        np.testing.assert_allclose(sim.predict(given)[probe], 3 * X, rtol=1e-5)


@pytest.mark.parametrize("given", [None, X, [X], "mse", 3])
def test_what_is_no_dict_stays_as_it_is(given: Any) -> None:
    assert nengograd.renamed(given, {"image": None}) is given
