"""A profile where what TensorFlow measures cannot be written."""

from pathlib import Path

import nengo
import pytest
from nengo.exceptions import SimulationError

import nengograd


@pytest.mark.needs("tensorflow")
def test_a_full_temporary_folder_is_named_and_leaves_the_simulator_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    stop = tf.profiler.experimental.stop

    def full() -> None:
        stop()
        raise tf.errors.OutOfRangeError(None, None, "File too large")

    with nengo.Network(seed=0) as net:
        probe = nengo.Probe(nengo.Ensemble(10, 1), synapse=0.01)
    with nengograd.Simulator(net, backend="tensorflow", progress_bar=False) as sim:
        with monkeypatch.context() as patch:
            patch.setattr(tf.profiler.experimental, "stop", full)
            with pytest.raises(SimulationError, match=r"nengograd-profile-.*TMPDIR"):
                sim.run_steps(10, profile=tmp_path / "p.json")
        # As the message advises: with space there, it works.
        sim.run_steps(10, profile=tmp_path / "p.json")
        assert len(sim.data[probe]) == sim.n_steps
    assert (tmp_path / "p.json").is_file()
