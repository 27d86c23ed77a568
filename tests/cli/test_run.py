from __future__ import annotations

import pathlib

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengograd
from nengograd.cli import main

SCRIPT = """
import nengo
import numpy as np

with nengo.Network(seed=0) as model:
    u = nengo.Node(lambda t: np.sin(20 * t))
    a = nengo.Ensemble(20, 1)
    nengo.Connection(u, a)
    nengo.Probe(a, synapse=0.01, label="file")
    nengo.Probe(a.neurons)
    nengo.Probe(a, sample_every=0.01, label="time")
"""


@pytest.fixture
def script(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def test_a_run_saves_what_the_simulator_records(
    script: str, backend: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["run", script, "--time", "0.1", "--backend", backend, "--save", "data"]
    assert main([*command, "--seed", "3", "--no-progress"]) == 0
    names: dict = {}
    exec(SCRIPT, names)
    with nengograd.Simulator(names["model"], backend=backend, seed=3, progress_bar=False) as sim:
        sim.run(0.1)
    with np.load(tmp_path / "data.npz", allow_pickle=False) as file:
        assert set(file) == {"time", "file", "probes[1]", "probes[2]", "probes[2].time"}
        for key, probe in zip(("file", "probes[1]", "probes[2]"), sim.model.probes, strict=True):
            np.testing.assert_array_equal(file[key], sim.data[probe])
        np.testing.assert_array_equal(file["time"], sim.trange())
        np.testing.assert_array_equal(file["probes[2].time"], sim.trange(sample_every=0.01))
    shown = capsys.readouterr().out
    assert "100 steps of 1 ms" in shown
    assert backend in shown


def test_a_run_draws_all_probes(script: str, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    command = ["run", script, "--time", "0.05", "--backend", "numpy", "--minibatch", "2"]
    assert main([*command, "--plot", "out.svg", "--no-progress"]) == 0
    assert "probes[1]" in (tmp_path / "out.svg").read_text()


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "stopped"),
        (SimulationError("it broke"), 1, "it broke"),  # below, in code that is not nengograd's
    ],
)
def test_what_is_complete_is_saved_when_a_run_ends_early(
    script: str,
    error: BaseException,
    status: int,
    message: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def interrupted(self: nengograd.Simulator, seconds: float) -> None:
        self.run_steps(30)
        raise error

    monkeypatch.setattr(nengograd.Simulator, "run", interrupted)
    command = ["run", script, "--time", "9", "--backend", "numpy", "--save", "d.npz"]
    assert main([*command, "--no-progress"]) == status
    with np.load(tmp_path / "d.npz") as file:
        assert file["time"].shape == (30,)
    shown = capsys.readouterr()
    assert "30 of 9000 steps" in shown.out
    assert message in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "picture.xyz"], "has to end in one of"),
        (["--plot", "nowhere/out.png"], "there is no folder 'nowhere'"),
        (["--save", "nowhere/out.npz"], "there is no folder 'nowhere'"),
        (["--time", "-1"], "time: nengograd run needs a finite number of seconds, at least 0"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_run(
    script: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["run", script, "--backend", "numpy", "--no-progress", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_network_without_probes_runs_and_is_told_what_it_lacks(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    script = tmp_path / "bare.py"
    script.write_text("import nengo\nwith nengo.Network() as net:\n    nengo.Ensemble(5, 1)\n")
    command = ["run", str(script), "--time", "0.01", "--backend", "numpy", "--no-progress"]
    assert main(command) == 0
    assert "no probes" in capsys.readouterr().out
    assert main([*command, "--save", str(tmp_path / "d.npz")]) == 2
    assert "add a nengo.Probe" in capsys.readouterr().err


def test_nengo_runs_what_the_command_runs(script: str, tmp_path: pathlib.Path) -> None:
    command = ["run", script, "--time", "0.1", "--backend", "numpy", "--dtype", "float64"]
    assert main([*command, "--save", "d", "--seed", "3", "--no-progress"]) == 0
    names: dict = {}
    exec(SCRIPT, names)
    with nengo.Simulator(names["model"], seed=3, progress_bar=False) as sim:
        sim.run(0.1)
    with np.load(tmp_path / "d.npz") as file:
        np.testing.assert_allclose(file["file"], sim.data[names["model"].probes[0]], atol=1e-10)
