"""Runs all cases on nengograd and on its peers in one go, and writes RESULTS.md and a chart.

Each measurement is a process of its own. The simulators of a case run one after the other, so
that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from nengograd.plot import benchmark_bars

HERE = Path(__file__).parent
RUNNER = HERE / "peers" / "run.py"
NETWORKS = HERE / "networks.py"


@dataclass
class Case:
    """One row of the table, and the ratios it is meant to reach."""

    label: str
    name: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    minibatch: int = 1
    steps: int = 1000
    against_nengo: float | None = None
    against_dl: float | None = None
    bytes_moved: int = 0
    options: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return json.dumps([self.name, self.kwargs, self.minibatch, self.options])


def cases() -> list[Case]:
    """All rows."""
    rows = []
    for minibatch in (1, 10):
        steps = 1000 if minibatch == 1 else 300
        for name in ("integrator", "circular_convolution", "basal_ganglia"):
            for d in (64, 128):
                rows.append(
                    Case(
                        f"{name.replace('_', ' ')}, {d}-d",
                        name,
                        {"dimensions": d},
                        minibatch,
                        steps,
                        3.0 if minibatch == 1 else 5.0,
                        6.0 if minibatch == 1 else 3.0,
                    )
                )
        for d in (64, 128):
            weights = 4 * d * d * 50
            rows.append(
                Case(
                    f"PES, {d}-d",
                    "pes",
                    {"dimensions": d},
                    minibatch,
                    steps // 2,
                    3.0 if minibatch == 1 else 2.0,
                    2.0 if minibatch == 1 else 1.5,
                    # Encoders are read; weights are read, written, and read by the product.
                    bytes_moved=(1 + 3 * minibatch) * weights // minibatch,
                )
            )
    rows.append(Case("random network, 400 x 50, 4 each", "random_network", {}, 1, 300, 40.0, 40.0))
    rows += [
        Case("feed-forward classifier", "classifier", {}, 1, 500),
        Case("feed-forward classifier", "classifier", {}, 10, 200),
        Case("convolutional network", "convolutional", {}, 1, 200),
        Case("convolutional network", "convolutional", {}, 10, 100),
        Case("Legendre memory unit", "legendre_memory", {}, 1, 500),
        Case("Legendre memory unit", "legendre_memory", {}, 10, 200),
        Case("bound memory, 64-d", "memory", {"dimensions": 64}, 1, 500),
        Case("dense, 2 x 2,000", "dense", {}, 1, 300),
        Case("integrator, 64-d", "integrator", {"dimensions": 64}, 100, 100),
        Case(
            "integrator, 64-d, by sim.step()",
            "integrator",
            {"dimensions": 64},
            1,
            1000,
            1 / 3,
            None,
            options=("--single-steps",),
        ),
    ]
    return rows


def measure(case: Case, simulator: str, python: str, repeats: int) -> dict[str, Any] | None:
    """Run one simulator on one case."""
    command = [
        *(python, str(RUNNER), "--simulator", simulator),
        *("--networks", str(NETWORKS), "--name", case.name, "--kwargs", json.dumps(case.kwargs)),
        *("--minibatch", str(case.minibatch), "--steps", str(case.steps)),
        *("--repeats", str(repeats), *case.options),
    ]
    return last_line(command, simulator)


def last_line(command: list[str], name: str) -> dict[str, Any] | None:
    """The JSON that a process prints in the end; None, and a message, if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        tail = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"  {name} failed: {tail}", file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def run_all(selected: list[Case], peers: Path, repeats: int) -> dict[str, dict[str, Any]]:
    """Measure the cases; later runs of a case replace earlier ones."""
    dl = peers / "nengo-dl" / "bin" / "python"
    results: dict[str, dict[str, Any]] = {}
    for case in selected:
        print(f"{case.label}, minibatch {case.minibatch}", flush=True)
        row = {}
        for simulator in ("nengo", "tensorflow", "numpy", "nengo_dl"):
            if simulator == "nengo_dl" and not dl.exists():
                continue
            python = str(dl) if simulator == "nengo_dl" else sys.executable
            found = measure(case, simulator, python, repeats)
            if found is not None:
                row[simulator] = found
                print(f"  {simulator:10} {found['item_us']:10.1f} us", flush=True)
        results[case.key] = row
    return results


def ratio(row: dict[str, Any], peer: str, simulator: str = "tensorflow") -> float | None:
    """How many times faster than a peer."""
    if peer not in row or simulator not in row:
        return None
    return float(row[peer]["item_us"]) / float(row[simulator]["item_us"])


def total(found: dict[str, Any]) -> float:
    """From the network to the end of the first run."""
    return float(found["build_s"]) + float(found["first_s"])


def table(selected: list[Case], results: dict[str, dict[str, Any]]) -> list[str]:
    """The rows of the main table."""
    lines = [
        "| case | batch | nengo | NengoDL | numpy | tensorflow | spread | vs nengo | vs NengoDL "
        "| to reach |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for case in selected:
        row = results.get(case.key, {})
        if "tensorflow" not in row:
            continue
        ours = row["tensorflow"]
        spread = (ours["high_us"] - ours["low_us"]) / ours["item_us"]
        cells = [f"{row[s]['item_us']:,.1f}" if s in row else "-" for s in SHOWN]
        ratios = [
            _mark(ratio(row, "nengo"), case.against_nengo),
            _mark(ratio(row, "nengo_dl"), case.against_dl),
        ]
        goals = " / ".join(
            "-" if g is None else f"{g:.2g}" for g in (case.against_nengo, case.against_dl)
        )
        lines.append(
            f"| {case.label} | {case.minibatch} | {' | '.join(cells)} | {spread:.0%} | "
            f"{' | '.join(ratios)} | {goals} |"
        )
    return lines


SHOWN = ("nengo", "nengo_dl", "numpy", "tensorflow")


def _mark(found: float | None, goal: float | None) -> str:
    if found is None:
        return "-"
    text = f"{found:.1f}x" if found < 100 else f"{found:.0f}x"
    return text if goal is None or found >= goal else f"**{text}**"


def means(selected: list[Case], results: dict[str, dict[str, Any]]) -> list[str]:
    """Geometric means over the six classic cases."""
    lines = []
    for minibatch in (1, 10):
        rows = [
            results.get(c.key, {})
            for c in selected
            if c.minibatch == minibatch
            and c.name in ("integrator", "circular_convolution", "basal_ganglia")
            and not c.options
        ]
        for peer, name in (("nengo", "nengo"), ("nengo_dl", "NengoDL")):
            found = [r for r in (ratio(row, peer) for row in rows) if r]
            if found:
                mean = math.exp(sum(map(math.log, found)) / len(found))
                lines.append(
                    f"- integrator, circular convolution, basal ganglia, batch {minibatch}, "
                    f"against {name}: geometric mean {mean:.1f}x, least {min(found):.1f}x"
                )
    return lines


def first_results(selected: list[Case], results: dict[str, dict[str, Any]]) -> list[str]:
    """Time from network to the end of the first run, and peak memory."""
    lines = [
        "| case | batch | nengo | NengoDL | numpy | tensorflow | peak memory (MB): nengo, NengoDL, "
        "numpy, tensorflow |",
        "| --- | --: | --: | --: | --: | --: | --- |",
    ]
    for case in selected:
        row = results.get(case.key, {})
        if "tensorflow" not in row or case.options:
            continue
        times = {s: f"{total(row[s]):.2f} s" for s in SHOWN if s in row}
        if not first_is_soon(case, row):
            times["tensorflow"] = f"**{times['tensorflow']}**"
        memory = ", ".join(str(row[s]["rss_mb"]) if s in row else "-" for s in SHOWN)
        cells = " | ".join(times.get(s, "-") for s in SHOWN)
        lines.append(f"| {case.label} | {case.minibatch} | {cells} | {memory} |")
    return lines


def first_is_soon(case: Case, row: dict[str, Any]) -> bool:
    """Whether the first result comes as soon as it is meant to, where that is said."""
    if case.against_nengo is None:
        return True
    ours = total(row["tensorflow"])
    soon = True
    if "nengo" in row:
        nengo = total(row["nengo"])
        soon = ours < nengo if nengo > 2 else ours < nengo + 1
    return soon and ("nengo_dl" not in row or 2 * ours <= total(row["nengo_dl"]))


def bandwidth(selected: list[Case], results: dict[str, dict[str, Any]]) -> list[str]:
    """Bytes moved per second by learned weights."""
    lines = []
    for case in selected:
        row = results.get(case.key, {})
        if case.bytes_moved and "tensorflow" in row:
            rate = case.bytes_moved / row["tensorflow"]["item_us"] * 1e6 / 1e9
            lines.append(
                f"- {case.label}, batch {case.minibatch}: {case.bytes_moved / 1e6:.1f} MB a step "
                f"and item, {rate:.1f} GB/s"
            )
    return lines


def bare_products() -> float:
    """Microseconds of the two products that the dense network contains, by themselves."""
    command = [sys.executable, str(HERE / "bare.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["item_us"])


def assemblies() -> list[str]:
    """How long assembly takes, from 1,000 operators to 200,000."""
    lines = [
        "| ensembles | operators | blocks | Nengo's build | assembly | per operator "
        "| compiling and first step | peak memory |",
        "| --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for ensembles in (50, 500, 5_000, 10_000):
        print(f"assembly of {ensembles} ensembles", flush=True)
        command = [sys.executable, str(HERE / "assembly.py"), "--ensembles", str(ensembles)]
        found = last_line(command, "assembly")
        if found is not None:
            lines.append(
                f"| {ensembles:,} | {found['operators']:,} | {found['blocks']} | "
                f"{found['build_s']:.1f} s | {found['assembly_s']:.2f} s | "
                f"{found['operator_us']:.0f} us | {found['first_step_s']:.1f} s | "
                f"{found['rss_mb']:,} MB |"
            )
    return lines


def machine() -> str:
    """What this machine is."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} cores, {model}"


def write(selected: list[Case], results: dict[str, dict[str, Any]]) -> None:
    """Write RESULTS.md."""
    bare = bare_products()
    dense = next(case for case in selected if case.name == "dense")
    whole = float(results[dense.key]["tensorflow"]["item_us"])
    versions: dict[str, str] = {}
    for row in results.values():
        for name, found in row.items():
            side = "NengoDL's " if name == "nengo_dl" else ""
            versions |= {side + key: value for key, value in found["versions"].items()}
    text = [
        "# Results",
        "",
        f"Measured on {date.today()}, in one go, by `make bench`: {machine()}, "
        f"Python {platform.python_version()}; "
        + ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))
        + ".",
        "",
        "Times are in microseconds per time step and item of the minibatch, medians of 5 runs, "
        "without building and compiling; float32 on nengograd and NengoDL. `nengo` is "
        "`nengo.Simulator` with SciPy, which runs one item after the other. Ratios say how many "
        "times faster the TensorFlow backend is; **bold** ones miss what was to be reached. The "
        "spread is the range of the 5 runs over their median.",
        "",
        *table(selected, results),
        "",
        *means(selected, results),
        "",
        "![ratios](results.png)",
        "",
        "## From the network to the first result",
        "",
        "Building, compiling and the first 1,000 steps, without imports; Nengo's decoder cache is "
        "off. What rows with a goal above are meant to reach: faster than nengo where that takes "
        "over 2 s, else within 1 s of it; half of NengoDL's time. **Bold** ones miss one of both.",
        "",
        *first_results(selected, results),
        "",
        "## Assembly",
        "",
        "Random networks of ensembles with 10 neurons and 4 connections each, on the TensorFlow "
        "backend. Assembly is all from a built Nengo model to a program.",
        "",
        *assemblies(),
        "",
        "## Dense weights",
        "",
        f"The two products of 2,000 x 2,000 weights with a vector take {bare:,.0f} us by "
        f"themselves, in a loop of the same library; the whole model takes {whole:,.0f} us, "
        f"{whole / bare:.2f} times that.",
        "",
        "## Memory traffic of learned weights",
        "",
        *bandwidth(selected, results),
        "",
    ]
    (HERE / "RESULTS.md").write_text("\n".join(text))


def draw(selected: list[Case], results: dict[str, dict[str, Any]]) -> None:
    """Draw the ratios."""
    import matplotlib

    matplotlib.use("Agg")
    peers = {"nengo": "against nengo", "nengo_dl": "against NengoDL"}
    ratios = {}
    for case in selected:
        row = results.get(case.key, {})
        found = {name: ratio(row, peer) for peer, name in peers.items()}
        if "tensorflow" in row:
            ratios[f"{case.label}, batch {case.minibatch}"] = {n: r for n, r in found.items() if r}
    ax = benchmark_bars(ratios, label="times faster (tensorflow backend, 2 CPU cores)")
    ax.figure.savefig(HERE / "results.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path(".peers"))
    parser.add_argument("--only", default="", help="run cases whose label has this in it")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    every = cases()
    selected = [case for case in every if args.only in case.label]
    results = run_all(selected, args.peers, args.repeats)
    if args.only:
        print("\n".join(table(selected, results)))
        return
    write(every, results)
    draw(every, results)


if __name__ == "__main__":
    main()
