"""Builders whose input is the same in all steps, and so has no minibatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
import pytest

from fuzz.own_types import PLUGIN, Echo


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("minibatch_size", [None, 1, 2])
def test_a_state_may_be_what_a_builder_gets_as_constant_input(
    make_sim: Callable[..., Any], minibatch_size: int | None, dtype: str
) -> None:
    with nengo.Network(seed=0) as net:
        # Without a connection, what neurons get is their bias.
        ens = nengo.Ensemble(4, 1, neuron_type=nengo.LIFRate())
        probe = nengo.Probe(ens.neurons, "input", synapse=Echo(0.2))
    with nengo.Simulator(net, progress_bar=False) as theirs:
        theirs.run_steps(5)
    sim = make_sim(net, minibatch_size=minibatch_size, dtype=dtype, plugins=[PLUGIN])
    sim.run_steps(5)
    data = sim.data[probe] if minibatch_size is None else sim.data[probe][-1]
    np.testing.assert_allclose(data, theirs.data[probe], rtol=1e-6)
