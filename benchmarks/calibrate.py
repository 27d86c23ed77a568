"""Measures what each backend takes, and prints the constants that it declares in its ``costs.py``.

The constants decide which backend runs a model. They are measured once, on one machine, and written
down: a rule that measured anew would give the same script other numbers on each run.

    nice -n -10 python benchmarks/calibrate.py --backends numpy jax tensorflow

Times are the least of many, since whatever else the machine does only adds to them. The constants
are fitted to the times per step of all models, each weighted by its own time, and none is negative.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # what is found on disk takes no compiling

import nengo
import networks
import numpy as np
from nengo.builder import Model
from scipy.optimize import nnls

import nengograd
from nengograd.plugin import Costs, Work, get_manager, get_registry
from nengograd.profile.cost import count_work

STEP_FEATURES = ("step", "block", "function", "operation", "product", "byte", "host")
START = """
import time
from nengograd.plugin import get_manager
info = get_manager().backends[{name!r}]
begin = time.perf_counter()
info.load().devices()
print(time.perf_counter() - begin)
"""


def ensembles(count: int, neurons: int, dimensions: int = 1, kind: Any = None) -> Any:
    """Ensembles in a row, as in tutorials."""
    with nengo.Network(seed=0) as net:
        if kind is not None:
            net.config[nengo.Ensemble].neuron_type = kind
        before = nengo.Node(np.ones(dimensions) * 0.5)
        for _ in range(count):
            after = nengo.Ensemble(neurons, dimensions)
            nengo.Connection(before, after)
            before = after
        nengo.Probe(before, synapse=0.01)
    return net


def python_nodes(count: int, neurons: int = 50) -> Any:
    """A chain of Python nodes and ensembles, closed to a loop."""
    with nengo.Network(seed=0) as net:
        first = before = nengo.Ensemble(neurons, 1)
        for _ in range(count):
            node = nengo.Node(lambda t, x: 0.9 * x, size_in=1)
            after = nengo.Ensemble(neurons, 1)
            nengo.Connection(before, node, synapse=0.01)
            nengo.Connection(node, after)
            before = after
        nengo.Connection(before, first)
        nengo.Probe(before, synapse=0.01)
    return net


def oscillator() -> Any:
    """Two dimensions that turn."""
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(200, 2)
        nengo.Connection(ensemble, ensemble, transform=[[1, 1], [-1, 1]], synapse=0.1)
        nengo.Probe(ensemble, synapse=0.01)
    return net


MODELS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "one ensemble": (lambda: ensembles(1, 50), {}),
    "three ensembles": (lambda: ensembles(3, 50), {}),
    "ten ensembles": (lambda: ensembles(10, 100), {}),
    "ten ensembles, batch of 10": (lambda: ensembles(10, 100), {"minibatch_size": 10}),
    "an ensemble of 1,000": (lambda: ensembles(1, 1000, 2), {}),
    "five rate ensembles": (lambda: ensembles(5, 200, 2, nengo.LIFRate()), {}),
    "five of linear neurons": (lambda: ensembles(5, 200, 2, nengo.RectifiedLinear()), {}),
    "adaptive neurons": (lambda: ensembles(2, 100, 1, nengo.AdaptiveLIF()), {}),
    "oscillator": (oscillator, {}),
    "integrator, 16-d": (lambda: networks.integrator(16), {}),
    "integrator, 64-d": (lambda: networks.integrator(64), {}),
    "convolution, 32-d": (lambda: networks.circular_convolution(32), {}),
    "basal ganglia, 16-d": (lambda: networks.basal_ganglia(16), {}),
    "memory, 32-d": (lambda: networks.memory(32), {}),
    "PES, 4-d": (lambda: networks.pes(4), {}),
    "PES, 32-d": (lambda: networks.pes(32), {}),
    "PES, 8-d, batch of 10": (lambda: networks.pes(8), {"minibatch_size": 10}),
    "random network": (lambda: networks.random_network(60, 50), {}),
    "classifier": (lambda: networks.classifier((784, 256, 10)), {}),
    "dense": (lambda: networks.dense(500), {}),
    "one Python node": (lambda: python_nodes(1), {}),
    "four Python nodes": (lambda: python_nodes(4), {}),
    "twelve Python nodes": (lambda: python_nodes(12), {}),
}


@dataclass
class Measured:
    """What one backend has taken for one model, in seconds."""

    label: str
    work: Work
    compile: float
    call: float
    step: float


def start_seconds(name: str) -> float:
    """The time to import a backend's library, in processes of their own."""
    command = [sys.executable, "-c", START.format(name=name)]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(4)]
    return min(float(run.stdout.split()[-1]) for run in runs)


def least(action: Callable[[], Any], seconds: float, repeats: int = 5) -> float:
    """The shortest time of an action, repeated for some seconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < repeats or time.perf_counter() < end:
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)


def measure(label: str, name: str, seconds: float) -> Measured:
    """Compile and run one model on one backend."""
    make, options = MODELS[label]
    model = Model(dt=0.001)
    model.build(make())
    options = {"backend": name, "progress_bar": False, **options}
    with nengograd.Simulator(None, model=model, **options) as sim:
        work = count_work(sim.program, get_registry("numpy"), sim.options)
        engine = get_manager().backends[name].load()

        def compile() -> None:
            executable = engine.compile(sim.program, get_registry(name), sim.options)
            executable.warm_up()
            executable.close()

        compiled = least(compile, 0, 1)
        sim.run_steps(20)
        once = least(lambda: sim.run_steps(20), seconds / 4) / 20
        # In short pieces, some of which nothing else disturbs.
        steps = int(np.clip(0.01 / once, 20, 2000))
        long, short = [
            least(lambda n=n: (sim.run_steps(n), sim.clear_probes()), seconds) for n in (steps, 1)
        ]
        step = long / steps
    return Measured(label, work, compiled, max(short - step, 0.0), step)


def best(passes: list[Measured]) -> Measured:
    """The least of what several passes have measured of one model."""
    numbers = {name: min(getattr(p, name) for p in passes) for name in ("compile", "call", "step")}
    return replace(passes[0], **numbers)


def fit(measured: list[Measured]) -> tuple[Costs, list[float]]:
    """The constants that come nearest to what was measured, and what they give for each model."""
    weights = _constants([_row(m.work) for m in measured], [m.step for m in measured])
    # What runs on the host is compiled in parts, and small parts are not compiled at all.
    whole = [m for m in measured if not m.work.host] or measured
    base, each = _constants([[1, m.work.blocks] for m in whole], [m.compile for m in whole])
    named = dict(zip(STEP_FEATURES, map(float, weights), strict=True))
    call = float(np.median([m.call for m in whole]))
    costs = Costs(compile=float(base), compile_block=float(each), call=call, **named)
    return costs, [costs.per_step(m.work) for m in measured]


def _constants(features: list[list[float]], times: list[float]) -> Any:
    """Constants, none negative, whose sums differ from the times by the smallest factors."""
    rows, given = np.array(features, dtype=float), np.array(times)
    scale = given
    for _ in range(20):  # by the mean of both, what is too high counts as what is too low
        found = nnls(rows / scale[:, None], given / scale)[0]
        scale = np.sqrt(given * np.maximum(rows @ found, given / 10))
    return found


def _row(work: Work) -> list[float]:
    counts = (work.functions, work.operations, work.products, work.bytes)
    return [1, work.blocks, *counts, work.host]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=["numpy", "jax", "tensorflow"])
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--passes", type=int, default=3, help="through all models")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    args = parser.parse_args()
    nengo.rc.set("decoder_cache", "enabled", "False")
    cores = os.cpu_count()
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}")
    for name in args.backends:
        start = start_seconds(name)
        measure(args.models[0], name, 0.1)  # what only the first model of a process takes
        passes = [
            [measure(label, name, args.seconds) for label in args.models]
            for _ in range(args.passes)
        ]
        measured = [best(list(each)) for each in zip(*passes, strict=True)]
        costs, fitted = fit(measured)
        print(f"\n{name}: us a step measured and by the constants, ms to compile, us a call")
        for each, estimate in zip(measured, fitted, strict=True):
            print(
                f"  {each.label:28}{1e6 * each.step:10.1f}{1e6 * estimate:10.1f}"
                f"{1e3 * each.compile:10.1f}{1e6 * each.call:10.1f}  {each.work}"
            )
        print("COSTS = Costs(")
        for field in ("start", "compile", "compile_block", "call", *STEP_FEATURES):
            value = start if field == "start" else getattr(costs, field)
            if value:
                print(f"    {field}={value:.2g},")
        print(")", flush=True)


if __name__ == "__main__":
    main()
