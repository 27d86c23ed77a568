"""Runs the controlled oscillator on nengo.Simulator and on each backend, and compares."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nengo
import numpy as np
from controlled_oscillator import network

import nengograd
from nengograd.plugin import get_manager

STEPS = 1000
LONG = 3000
PICTURE = Path("demo.png")


@dataclass
class Result:
    name: str
    build: float
    first: float
    step: float
    data: list[np.ndarray] = field(default_factory=list)
    times: Any = None


def measure(name: str, make: Callable[..., Any], **options: Any) -> Result:
    """Build and run one simulator; the time per step leaves the first run out."""
    net = network()
    begin = time.perf_counter()
    with make(net, progress_bar=False, **options) as sim:
        built = time.perf_counter() - begin
        begin = time.perf_counter()
        sim.run_steps(STEPS)
        first = time.perf_counter() - begin
        probes = [net.oscillator, net.learned, net.error]
        data = [np.array(sim.data[probe]) for probe in probes]
        times = sim.trange()
        begin = time.perf_counter()
        sim.run_steps(LONG)
        step = (time.perf_counter() - begin) / LONG
    return Result(name, built, first, step, data, times)


def draw(results: list[Result]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(3, 1, sharex=True, figsize=(9, 7), layout="constrained")
    titles = ("oscillator: x, y and speed", "learned copy", "error of the copy")
    looks = ({"ls": "-", "lw": 4, "alpha": 0.3}, {"ls": "--"}, {"ls": ":", "c": "k"})
    for index, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        for result, look in zip(results, looks, strict=False):
            ax.set_prop_cycle(None)
            lines = ax.plot(result.times, result.data[index], **{"lw": 1.2, **look})
            lines[0].set_label(result.name)
        ax.set_title(title)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(loc="upper right", fontsize=8)
    axes[-1].set_xlabel("time (s)")
    figure.savefig(PICTURE, dpi=120)


def main() -> None:
    nengo.rc.set("decoder_cache", "enabled", "False")
    print("A controlled oscillator of 1,000 spiking neurons, with noise and a learned connection.")
    reference = measure("nengo.Simulator", nengo.Simulator)
    results = [reference]
    for name, info in sorted(get_manager().backends.items()):
        if info.missing():
            print(f"{name} is left out, {', '.join(info.missing())} is not installed")
            continue
        exact = measure(f"nengograd, {name}", nengograd.Simulator, backend=name, dtype="float64")
        fast = measure(f"{name} float32", nengograd.Simulator, backend=name)
        exact.build, exact.first, exact.step = fast.build, fast.first, fast.step
        results.append(exact)

    head = f"{'simulator':24}{'build':>9}{'first run':>11}{'a step':>11}{'speed':>8}"
    head += f"{'largest difference':>21}"
    print(f"\n{head}\n{'-' * len(head)}")
    for result in results:
        pairs = zip(result.data, reference.data, strict=True)
        difference = max(float(np.abs(a - b).max()) for a, b in pairs)
        ratio = reference.step / result.step
        print(
            f"{result.name:24}{result.build:7.2f} s{result.first:9.2f} s"
            f"{1e6 * result.step:8.1f} us{ratio:7.1f}x"
            + (f"{difference:21.1e}" if result is not reference else "")
        )
    print(
        f"\nDifferences are over {STEPS} steps in float64, on all probes. Times of the backends\n"
        f"are of float32, nengo.Simulator's of float64. The first run has {STEPS} steps and\n"
        f"includes compilation; a step is the mean of the {LONG} after it."
    )
    draw(results)
    print(f"The traces are in {PICTURE.resolve()}")


if __name__ == "__main__":
    main()
