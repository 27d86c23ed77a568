"""Times building, from a network to the end of its first step, beside nengo.Simulator.

Each measurement is a process of its own, in which a small network was built before; simulators
take turns, and the least of some repetitions counts. Nengo's decoder cache and its optimizer are
off, and nengograd runs on its NumPy backend in float64. Writes ``BUILDING.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import nengo
import numpy as np
from networks import random_network

REPORT = Path(__file__).parent / "BUILDING.md"
GOAL = 0.5
"""Of nengo's time."""


def pairs(count: int) -> nengo.Network:
    """Ensembles of 50 neurons in 2 dimensions, two connections each between pairs at random."""
    ends = np.random.RandomState(0).randint(count, size=(2 * count, 2))
    with nengo.Network(seed=0) as net:
        ensembles = [nengo.Ensemble(50, 2) for _ in range(count)]
        for pre, post in ends:
            nengo.Connection(ensembles[pre], ensembles[post])
    return net


def arrays(count: int) -> nengo.Network:
    """Two ensemble arrays in a loop, one of which squares."""
    with nengo.Network(seed=0) as net:
        first, second = (nengo.networks.EnsembleArray(50, count // 2) for _ in range(2))
        nengo.Connection(nengo.Node(np.ones(count // 2)), first.input)
        nengo.Connection(first.output, second.input)
        nengo.Connection(second.add_output("square", np.square), first.input, transform=0.1)
        nengo.Probe(second.output, synapse=0.01)
    return net


def convolutions(count: int) -> nengo.Network:
    """Circular convolutions of 64-dimensional vectors, of 132 ensembles of 200 neurons each."""
    with nengo.Network(seed=0) as net:
        for _ in range(max(count // 132, 1)):
            nengo.networks.CircularConvolution(200, 64)
    return net


NETWORKS: dict[str, Callable[[int], nengo.Network]] = {
    "pairs": pairs,
    "random": random_network,
    "arrays": arrays,
    "convolutions": convolutions,
}


def first_step(simulator: str, network: str, count: int) -> dict[str, Any]:
    """Seconds from a network to the end of its first step, measured in this process."""
    nengo.rc.set("decoder_cache", "enabled", "False")
    events: dict[str, float] = {}
    net = NETWORKS[network](count)
    if simulator == "nengo":
        options: dict[str, Any] = {"optimize": False}
        make: Any = nengo.Simulator
    else:
        import nengograd

        class Watch:
            @nengograd.hookimpl
            def nengograd_event(self, name: str, info: dict[str, Any]) -> None:
                events[name] = info["seconds"]

        options = {"backend": "numpy", "dtype": "float64", "plugins": [Watch()]}
        make = nengograd.Simulator
    with make(pairs(1), progress_bar=False, **options) as sim:  # imports what solvers need
        sim.step()
    begin = time.perf_counter()
    with make(net, progress_bar=False, **options) as sim:
        sim.step()
        taken = time.perf_counter() - begin
        operators = len(sim.model.operators)
    assembled = events.get("assembled", 0.0)
    return {"seconds": taken, "assembled": assembled, "operators": operators}


def measure(network: str, count: int, repeats: int) -> dict[str, dict[str, Any]]:
    """The least of each simulator, each in a process of its own."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(repeats):
        for name in ("nengo", "nengograd"):
            command = [sys.executable, __file__, "--one", name, network, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            if name not in best or found["seconds"] < best[name]["seconds"]:
                best[name] = found
    return best


def report(rows: Sequence[tuple[str, int, dict[str, dict[str, Any]]]]) -> str:
    """The rows as Markdown, with what misses the goal."""
    lines = [
        "# From the network to the first step",
        "",
        f"Measured on {date.today()} by `python benchmarks/building.py`: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}. Seconds; nengo is `nengo.Simulator(optimize=False)`, "
        "nengograd runs on NumPy in float64; Nengo's decoder cache is off. Parameters are equal to "
        "the last bit.",
        "",
        f"To reach: {GOAL} of nengo's time. **Bold** figures miss that.",
        "",
        "| network | ensembles | operators | nengo | nengograd | of which assembly | ratio |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for network, count, found in rows:
        ours, theirs = found["nengograd"], found["nengo"]
        ratio = ours["seconds"] / theirs["seconds"]
        cell = f"{ratio:.2f}" if ratio <= GOAL else f"**{ratio:.2f}**"
        lines.append(
            f"| {network} | {count:,} | {theirs['operators']:,} | {theirs['seconds']:.2f} "
            f"| {ours['seconds']:.2f} | {ours['assembled']:.2f} | {cell} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what was asked for, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--ensembles", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--repeats", type=int, default=5, help="one from 10,000 ensembles on")
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        simulator, network, count = args.one
        print(json.dumps(first_step(simulator, network, int(count))), flush=True)
        return
    rows = []
    for network in args.networks:
        for count in args.ensembles:
            repeats = args.repeats if count < 10_000 else 1
            rows.append((network, count, measure(network, count, repeats)))
            print(json.dumps(rows[-1]), flush=True)
    args.report.write_text(report(rows), encoding="utf-8")
    print(f"The report is in {args.report}")


if __name__ == "__main__":
    main()
