"""Compares the default with nengo.Simulator on every model: the same numbers, in less time?

Each model is run by both in one process, in turns, and the least time of many counts, so that what
else the machine does falls on both alike: the ratios are of use on a loaded machine, too. Whole
scripts, imports included, are timed by their own CPU time. What is slower is marked.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
from models import MODELS
from odd_models import ODD
from start import HERE, SCRIPT

import nengograd

ALL = {**MODELS, **ODD}
RANDOM = {"noisy_neurons", "stochastic"}
"""Models whose random numbers come in another order with Nengo's optimizer, or are drawn anew."""


def simulator(kind: str, net: nengo.Network, **options: Any) -> Any:
    """Nengo's simulator, or ours with a backend."""
    if kind == "nengo":
        return nengo.Simulator(net, progress_bar=False)
    return nengograd.Simulator(net, progress_bar=False, backend=kind, **options)


def difference(model: str) -> float:
    """How far probe data of 200 steps in float64 are from Nengo's, relative to the largest."""
    worst = 0.0
    ours, theirs = ALL[model](), ALL[model]()
    with simulator("auto", ours, dtype="float64") as sim, simulator("nengo", theirs) as reference:
        sim.run_steps(200)
        reference.run_steps(200)
        for own, other in zip(ours.all_probes, theirs.all_probes, strict=True):
            expected = reference.data[other]
            off = np.abs(sim.data[own] - expected).max(initial=0)
            worst = max(worst, off / (np.abs(expected).max(initial=0) + 1e-30))
    return worst


def seconds(calls: dict[str, Callable[[], Any]], turns: int) -> dict[str, float]:
    """The least time of each call, all of them taking turns."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(turns):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - begin)
    return best


def steps(model: str, kinds: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Microseconds a step in runs of 100 steps, and by `step`."""
    sims = {kind: simulator(kind, ALL[model]()) for kind in kinds}
    for sim in sims.values():
        sim.run_steps(20)
    runs = seconds({kind: lambda s=sim: s.run_steps(100) for kind, sim in sims.items()}, 15)

    def step(sim: Any) -> None:
        for _ in range(20):
            sim.step()

    single = seconds({kind: lambda s=sim: step(s) for kind, sim in sims.items()}, 8)
    for sim in sims.values():
        sim.close()
    return {k: 1e4 * t for k, t in runs.items()}, {k: 5e4 * t for k, t in single.items()}


def script_seconds(model: str, n_steps: int, repeats: int) -> dict[str, float]:
    """CPU seconds of a whole script."""
    best: dict[str, float] = {}
    for _ in range(repeats):
        for kind in ("nengo", "nengograd"):
            command = [sys.executable, "-c", SCRIPT, str(HERE), model, kind, str(n_steps)]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            best[kind] = min(taken, best.get(kind, taken))
    return best


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("numbers", "steps", "scripts"))
    parser.add_argument("--models", nargs="*", default=list(ALL))
    parser.add_argument("--backends", nargs="*", default=["numpy"])
    parser.add_argument("--steps", type=int, default=200, help="of a script")
    parser.add_argument("--repeats", type=int, default=3, help="of a script")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    nengo.rc.set("decoder_cache", "enabled", "False")
    for model in args.models:
        if args.what == "numbers":
            off = difference(model)
            late = off > 1e-9 and model not in RANDOM
            cells = [f"{off:.1e}"]
        elif args.what == "steps":
            runs, single = steps(model, ["nengo", *args.backends])
            late = max(*runs.values(), 0) > runs["nengo"]
            cells = [f"{k} {runs[k]:.1f} us, by step {single[k]:.1f}" for k in runs]
        else:
            taken = script_seconds(model, args.steps, args.repeats)
            late = taken["nengograd"] > taken["nengo"]
            cells = [f"{k} {t:.3f} s" for k, t in taken.items()]
        print(f"{model:24s}", "; ".join(cells), "<<<" if late else "", flush=True)


if __name__ == "__main__":
    main()
