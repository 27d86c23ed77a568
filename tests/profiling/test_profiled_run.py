"""Profiles of real runs and trainings."""

import json
import time

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

import nengograd
from nengograd.cli import main
from nengograd.plugin import Measured
from nengograd.profile import load_profile, table
from nengograd.profile.session import ProfiledTraining
from nengograd.run.recording import Recording
from profiling.trace_format import check_trace


def make_network():
    with nengo.Network(seed=0, label="small") as net:
        net.inp = nengo.Node([0.5, -0.5])
        a = nengo.networks.EnsembleArray(50, 2)
        nengo.Connection(net.inp, a.input, synapse=None)
        nengo.Connection(a.output, a.input, synapse=0.1)
        net.p = nengo.Probe(a.output, synapse=0.01)
    return net


@pytest.fixture(scope="module")
def profiled(backend, tmp_path_factory):
    """A simulator that has run profiled, and the file it has written."""
    path = tmp_path_factory.mktemp("profile") / "run.json"
    net = make_network()
    with nengograd.Simulator(net, progress_bar=False, backend=backend) as sim:
        begin = time.perf_counter()
        sim.run_steps(600, profile=path)
        net.seconds = time.perf_counter() - begin
        yield net, sim, path


def test_a_profile_has_each_block_of_the_program(profiled):
    _, sim, _ = profiled
    assert [b.label for b in sim.profile.blocks] == [b.label for b in sim.program.blocks]
    assert all(b.seconds_per_step > 0 for b in sim.profile.blocks)
    assert all(b.build_seconds > 0 for b in sim.profile.blocks)
    assert all(b.distribution == "nengograd" for b in sim.profile.blocks)


def test_a_profile_measures_half_and_compares_with_the_rest(profiled):
    _, sim, _ = profiled
    assert sim.profile.steps == 300
    assert sim.profile.seconds_per_step > 0
    assert sim.profile.profiled_seconds_per_step > 0


def test_blocks_and_rest_add_up_to_the_measured_step(profiled):
    _, sim, _ = profiled
    assert sim.profile.whole == pytest.approx(sim.profile.profiled_seconds_per_step, rel=1e-6)


def alone():
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(20, 1), synapse=0.01)
    return net


def with_python():
    """Small enough for all of it to run on NumPy, whatever the backend."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node(lambda t, x: x + 1, size_in=1)
        nengo.Probe(nengo.Connection(node, nengo.Ensemble(20, 1)).post)
    return net


def large_with_python():
    """Large enough for a compiled part between calls of Python."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node(lambda t, x: x + 1, size_in=1)
        ens = nengo.Ensemble(50_000, 1, encoders=np.ones((50_000, 1)), gain=np.ones(50_000))
        ens.bias = np.ones(50_000)
        nengo.Connection(node, ens)
        nengo.Probe(ens.neurons[:2])
    return net


def that_learns():
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
        nengo.Connection(post, learned.learning_rule)
    return net


@pytest.mark.parametrize("make", [alone, with_python, large_with_python, that_learns])
def test_the_rows_of_a_file_add_up_to_the_time_that_was_measured(backend, make, tmp_path):
    with nengograd.Simulator(make(), progress_bar=False, backend=backend) as sim:
        sim.run_steps(20, profile=tmp_path / "p.json")
    data = json.loads((tmp_path / "p.json").read_text())
    rows = [block["seconds_per_step"] for block in data["blocks"]] + list(data["rest"].values())
    assert sum(rows) == pytest.approx(data["profiled_seconds_per_step"], rel=1e-6)
    assert min(rows) >= 0
    assert "unattributed" in data["rest"]
    assert all(block["seconds_per_step"] > 0 for block in data["blocks"])


def test_a_block_has_the_bytes_of_its_states_values_and_constants(profiled):
    _, sim, _ = profiled
    (lif,) = [b for b in sim.profile.blocks if b.name == "LIF"]
    # 100 neurons with a voltage and a refractory time, in float32; they put out spikes and both.
    assert lif.state_bytes == 100 * 2 * 4
    assert lif.value_bytes == 100 * 3 * 4


def test_blocks_have_the_bytes_that_a_person_counts(backend, tmp_path):
    items, neurons, dimensions = 4, 20, 3
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(dimensions))
        ens = nengo.Ensemble(neurons, dimensions, neuron_type=nengo.RectifiedLinear())
        nengo.Connection(node, ens, synapse=None)
        nengo.Probe(ens.neurons, synapse=nengo.Lowpass(0.01))
    with nengograd.Simulator(
        net, minibatch_size=items, progress_bar=False, backend=backend, dtype="float64"
    ) as sim:
        sim.run_steps(10, profile=tmp_path / "p.json")
    found = {b.name: (b.state_bytes, b.value_bytes, b.constant_bytes) for b in sim.profile.blocks}
    values = 8 * items * neurons
    assert found["Dot"] == (0, values, 8 * neurons * dimensions)  # the encoders
    assert found["Sum"] == (0, values, 8 * neurons)  # the biases
    assert found["RectifiedLinear"][:2] == (0, values)
    assert found["Lowpass"][:2] == (values, 2 * values)  # what it puts out, and its next state
    text = table(sim.profile, width=110)
    assert "memory" in text
    assert "states" in table(sim.profile, width=170)


def test_a_profile_adds_up_to_no_more_than_the_run_took(profiled):
    net, sim, _ = profiled
    profile = sim.profile
    half = sim.profile.steps
    seconds = half * (profile.seconds_per_step + profile.profiled_seconds_per_step)
    assert seconds + profile.compile_seconds <= net.seconds


def test_a_block_takes_its_share_of_the_time_to_compile(profiled):
    _, sim, _ = profiled
    by_block = {block.name: block.compile_seconds for block in sim.profile.blocks}
    if sim.backend == "numpy":
        assert set(by_block.values()) == {0.0}
    else:
        # A neuron is a dozen instructions, anything else one or two.
        assert min(by_block.values()) > 0
        assert max(by_block, key=by_block.get) == "LIF"


def test_profiling_changes_no_result_and_compiles_once(profiled):
    net, sim, _ = profiled
    with nengograd.Simulator(net, progress_bar=False, backend=sim.backend) as plain:
        plain.run_steps(600)
        assert np.array_equal(sim.data[net.p], plain.data[net.p])
        assert sim.compilations == plain.compilations


def test_the_file_is_a_report_and_a_chrome_trace(profiled):
    _, sim, path = profiled
    data = json.loads(path.read_text())
    assert [b["block"] for b in data["blocks"]] == list(range(len(sim.program.blocks)))
    assert data["builders"]
    check_trace(data["traceEvents"])
    spans = [e for e in data["traceEvents"] if e["ph"] == "X"]
    assert {e["args"]["block"] for e in spans if e["args"]} <= set(range(len(data["blocks"])))
    assert any(e["args"] for e in spans)
    assert load_profile(path).blocks == sim.profile.blocks


def test_a_step_can_be_profiled(profiled, tmp_path):
    _, sim, _ = profiled
    before = sim.n_steps
    sim.step(profile=tmp_path / "step.json")
    assert sim.n_steps == before + 1
    assert load_profile(tmp_path / "step.json").seconds_per_step is None


def test_a_file_that_may_not_be_written_is_an_error_before_the_run(tmp_path, monkeypatch):
    (tmp_path / "p.json").write_text("")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with nengograd.Simulator(make_network(), progress_bar=False, backend="numpy") as sim:
        with pytest.raises(ValidationError, match=r"p.json' cannot be written"):
            sim.run_steps(10, profile=tmp_path / "p.json")
        assert sim.n_steps == 0


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("steps", [3, 6, 9, 30])
def test_an_unrolled_run_is_measured_in_whole_turns(tmp_path, steps):
    with nengograd.Simulator(
        make_network(), progress_bar=False, backend="tensorflow", unroll_simulation=3
    ) as sim:
        sim.run_steps(steps, profile=tmp_path / "p.json")
        assert sim.n_steps == steps
        assert sim.profile.steps in (steps // 2, (steps + 3) // 2)


def test_python_on_the_host_is_a_block_with_its_time(backend, tmp_path):
    with nengo.Network(seed=0) as net:
        node = nengo.Node(lambda t, x: x + 1, size_in=1)
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(node, ens)
        nengo.Connection(ens, node)
    with nengograd.Simulator(net, progress_bar=False, backend=backend) as sim:
        sim.run_steps(40, profile=tmp_path / "p.json")
    (host,) = [b for b in sim.profile.blocks if b.builder == "Python on the host"]
    assert host.seconds_per_step > 0
    assert host.flops is None
    device = [b for b in sim.profile.blocks if b is not host]
    assert all(b.seconds_per_step > 0 for b in device)


@pytest.mark.needs("tensorflow")
def test_the_graph_runtime_is_measured_as_well(tmp_path):
    with nengograd.Simulator(
        make_network(), progress_bar=False, backend="tensorflow", jit=False
    ) as sim:
        sim.run_steps(100, profile=tmp_path / "p.json")
    assert any(b.seconds_per_step > 0 for b in sim.profile.blocks if b.name == "LIF")


def test_builders_of_plugins_bear_the_name_of_their_distribution(tmp_path):
    from nengograd.builtin.neurons import NEURONS

    class Mine(type(NEURONS[nengo.LIF])):
        pass

    class Plugin:
        @nengograd.hookimpl
        def nengograd_neurons(self, backend):
            return {nengo.LIF: Mine()}

    with nengograd.Simulator(
        make_network(), progress_bar=False, backend="numpy", plugins=[Plugin()]
    ) as sim:
        sim.run_steps(10, profile=tmp_path / "p.json")
    (mine,) = [b for b in sim.profile.builders if b.builder == "Mine"]
    assert mine.distribution == "plugins=[...]"


@pytest.mark.needs("tensorflow")
def test_an_error_ends_the_measurement_and_keeps_what_has_run(tmp_path):
    def fails_late(t):
        if t > 0.0155:
            raise RuntimeError("late")
        return t

    with nengo.Network() as net:
        nengo.Probe(nengo.Node(fails_late))
    with nengograd.Simulator(net, progress_bar=False, backend="tensorflow") as sim:
        with pytest.raises(RuntimeError, match="late"):
            sim.run_steps(20, profile=tmp_path / "p.json")
        assert sim.n_steps == 15
        sim.reset()
        sim.run_steps(10, profile=tmp_path / "p.json")
        assert sim.n_steps == 10


@pytest.mark.parametrize("size_in", [0, 1])
def test_a_profiled_run_is_fed_and_records_as_any_other(backend, size_in, tmp_path):
    with nengo.Network(seed=0) as net:
        # With an input, unconnected here, a node runs on the host.
        node = nengo.Node(lambda t, *x: t, size_in=size_in, size_out=1)
        probe = nengo.Probe(node, synapse=0.01)
        every = nengo.Probe(node, sample_every=0.004)
    feeds = {node: np.random.RandomState(0).normal(size=(2, 11, 1))}
    data = []
    for path in (None, tmp_path / "p.json"):
        with nengograd.Simulator(
            net, minibatch_size=2, unroll_simulation=3, progress_bar=False, backend=backend
        ) as sim:
            with pytest.warns(NengoWarning, match="11 steps are not a multiple"):
                sim.run_steps(11, input_feeds=feeds, profile=path)
            data.append((sim.data[probe], sim.data[every], sim.trange(), sim.n_steps))
    plain, profiled = data
    assert np.array_equal(profiled[1], feeds[node][:, 3::4].astype(np.float32))
    for one, other in zip(plain, profiled, strict=True):
        assert np.array_equal(one, other)
    assert sim.profile.steps == 6


def test_a_stop_between_two_chunks_ends_the_measurement(backend, tmp_path, monkeypatch):
    """Ctrl-C may arrive while data are put away, outside what the backend runs."""
    net = make_network()
    with nengograd.Simulator(net, progress_bar=False, backend=backend) as sim:
        executable, stops, adds = sim._runner.executable, [], []

        def stop_measuring():
            stops.append(sim.n_steps)
            return type(executable).stop_measuring(executable)

        def add(self, *piece):
            adds.append(piece)
            if len(adds) == 3:  # the first that is measured
                raise KeyboardInterrupt
            return plain(self, *piece)

        plain = Recording.add
        monkeypatch.setattr(executable, "stop_measuring", stop_measuring)
        monkeypatch.setattr(Recording, "add", add)
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(20, profile=tmp_path / "p.json")
        assert stops == [20]
        monkeypatch.undo()
        sim.reset()
        sim.run_steps(20, profile=tmp_path / "p.json")
        assert sim.profile.steps == 10
        with nengograd.Simulator(net, progress_bar=False, backend=backend) as other:
            other.run_steps(20)
            assert np.array_equal(sim.data[net.p], other.data[net.p])


def test_a_folder_that_is_not_there_is_an_error_before_the_run(tmp_path):
    with nengograd.Simulator(make_network(), progress_bar=False, backend="numpy") as sim:
        with pytest.raises(ValidationError, match="there is no folder"):
            sim.run_steps(10, profile=tmp_path / "none" / "p.json")
        with pytest.raises(ValidationError, match="is a folder"):
            sim.run_steps(10, profile=tmp_path)
        with pytest.raises(ValidationError, match=r"needs True, False or a path.*, not 5"):
            sim.run_steps(10, profile=5)
        assert sim.n_steps == 0


@pytest.mark.needs("tensorflow")
def test_training_is_profiled_and_learns_the_same(tmp_path):
    with make_network() as net:
        nengograd.configure_settings(spike_gradient="rate")
    rng = np.random.RandomState(0)
    inputs = {net.inp: rng.uniform(-1, 1, (12, 5, 2))}
    targets = {net.p: np.zeros((12, 5, 2))}
    losses, profiles = [], []
    for path in (tmp_path / "p.json", None):
        with nengograd.Simulator(
            net, minibatch_size=2, progress_bar=False, backend="tensorflow"
        ) as sim:
            losses.append(sim.train(inputs, targets, "sgd", profile=path)["loss"])
            profiles.append(sim.profile)
    assert losses[0] == losses[1]
    made, none = profiles
    assert none is None
    assert (made.unit, made.steps) == ("minibatch", 3)
    assert made.seconds_per_step > 0
    assert made.compile_seconds > made.seconds_per_step
    assert all(b.seconds_per_step > 0 for b in made.blocks if b.name in ("LIF", "Dot"))


def test_the_command_writes_a_profile_and_compares_with_another(tmp_path, capsys):
    script = tmp_path / "model.py"
    script.write_text(
        "import nengo\n"
        "with nengo.Network(seed=0) as model:\n"
        "    nengo.Probe(nengo.Ensemble(20, 1))\n"
    )
    path = tmp_path / "p.json"
    command = ["profile", str(script), "--backend", "numpy", "--no-progress", "--steps", "20"]
    assert main([*command, "-o", str(path)]) == 0
    assert load_profile(path).steps == 10
    assert "SparseLIFBuilder" in capsys.readouterr().out
    assert main([*command, "-o", str(path), "--against", str(path)]) == 0
    assert "Against the old profile" in capsys.readouterr().out
    assert main([*command, "--against", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.needs("differentiate")
def test_a_network_that_training_would_make_infinite_is_profiled(tmp_path, backend):
    script = tmp_path / "model.py"
    script.write_text(
        "import nengo\n"
        "import numpy as np\n"
        "with nengo.Network(seed=0) as model:\n"
        "    node = nengo.Node(np.zeros(4))\n"
        "    ens = nengo.Ensemble(50, 1, neuron_type=nengo.RectifiedLinear())\n"
        "    nengo.Connection(node, ens.neurons, transform=np.full((50, 4), 100.0))\n"
        "    output = nengo.Node(size_in=1)\n"
        "    nengo.Connection(ens.neurons, output, transform=np.full((1, 50), 1e4))\n"
        "    nengo.Probe(output)\n"
    )
    path = tmp_path / "p.json"
    command = ["profile", str(script), "--train", "--minibatch", "2", "--backend", backend]
    assert main([*command, "--no-progress", "-o", str(path)]) == 0
    assert load_profile(path).steps == 5


def test_what_a_backend_does_to_begin_measuring_is_in_no_figure(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    class Compiles:
        """Takes a second for a minibatch, and a hundred to begin to measure."""

        def start_measuring(self, folder):
            now[0] += 100.0

        def stop_measuring(self):
            return Measured(blocks={0: 4.0})

    profiled = ProfiledTraining(None)
    profiled.begin(Compiles(), 6)
    for _ in range(6):
        profiled.on_batch_begin()
        now[0] += 1.0
    profiled.finish()
    seen = profiled.seen
    assert (seen.compile_seconds, seen.plain_steps, seen.plain_seconds) == (1.0, 2, 2.0)
    assert (seen.steps, seen.seconds) == (3, 3.0)


@pytest.mark.parametrize("options", [[], ["--train"]], ids=["run", "training"])
def test_the_command_refuses_to_run_no_steps(tmp_path, capsys, options):
    script = tmp_path / "model.py"
    script.write_text(
        "import nengo\n"
        "with nengo.Network(seed=0) as model:\n"
        "    node = nengo.Node([0.0])\n"
        "    nengo.Probe(node)\n"
    )
    command = ["profile", str(script), "--no-progress", "--steps", "0", *options]
    assert main([*command, "-o", str(tmp_path / "p.json")]) == 2
    assert "steps: nengograd profile needs a whole number of at least 1" in capsys.readouterr().err


@pytest.mark.needs("tensorflow")
def test_what_tensorflow_has_traced_is_left_for_tensorboard(tmp_path):
    with nengograd.Simulator(
        make_network(), progress_bar=False, backend="tensorflow", tensorboard=str(tmp_path)
    ) as sim:
        sim.run_steps(20, profile=tmp_path / "p.json")
    assert list(tmp_path.rglob("*.xplane.pb"))


@pytest.mark.needs("write_graph")
def test_a_run_of_which_nothing_is_compiled_is_traced_for_tensorboard_as_well(backend, tmp_path):
    with nengo.Network() as net:
        doubled = nengo.Node(lambda t, x: 2 * x, size_in=1)
        nengo.Connection(nengo.Node(lambda t: t), doubled, synapse=None)
        probe = nengo.Probe(doubled)
    options = {"backend": backend, "tensorboard": str(tmp_path), "progress_bar": False}
    with nengograd.Simulator(net, dtype="float64", **options) as sim:
        sim.run_steps(20, profile=tmp_path / "p.json")
        assert sim.compilations == 0
        np.testing.assert_allclose(sim.data[probe][:, 0], 2 * sim.trange(), rtol=1e-12)
        assert all(block.seconds_per_step > 0 for block in sim.profile.blocks)
    assert list(tmp_path.rglob("*.xplane.pb"))
