"""Runs all cases on nengograd and on its peers in one go, and writes RESULTS.md and a chart.

Each measurement is a process of its own. The simulators of a case run one after the other, so
that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from cases import Case, cases
from results import SIMULATORS, Results, draw, page, table

HERE = Path(__file__).parent
RUNNER = HERE / "peers" / "run.py"
NETWORKS = HERE / "networks.py"


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


def run_all(
    selected: Sequence[Case], simulators: Sequence[str], peers: Path, repeats: int
) -> Results:
    """Measure the cases, the simulators of each one after the other."""
    dl = peers / "nengo-dl" / "bin" / "python"
    results: Results = {}
    for case in selected:
        print(f"{case.label}, minibatch {case.minibatch}", flush=True)
        row = {}
        for simulator in simulators:
            if simulator == "nengo_dl" and not dl.exists():
                continue
            python = str(dl) if simulator == "nengo_dl" else sys.executable
            found = measure(case, simulator, python, repeats)
            if found is not None:
                row[simulator] = found
                print(f"  {simulator:10} {found['item_us']:10.1f} us", flush=True)
        results[case.key] = row
    return results


def bare_products() -> float:
    """Microseconds of the two products that the dense network contains, by themselves."""
    found = last_line([sys.executable, str(HERE / "bare.py")], "bare products")
    return float(found["item_us"]) if found is not None else float("nan")


def assemblies() -> list[dict[str, Any]]:
    """How long assembly takes, from 1,000 operators to 200,000."""
    rows = []
    for ensembles in (50, 500, 5_000, 10_000):
        print(f"assembly of {ensembles} ensembles", flush=True)
        command = [sys.executable, str(HERE / "assembly.py"), "--ensembles", str(ensembles)]
        found = last_line(command, "assembly")
        if found is not None:
            rows.append({"ensembles": ensembles, **found})
    return rows


def machine() -> str:
    """What this machine is."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} cores, {model}"


def measured_on() -> str:
    """When and where this was measured."""
    return f"Measured on {date.today()}, in one go: {machine()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path(".peers"))
    parser.add_argument("--only", default="", help="run cases whose label has this in it")
    parser.add_argument(
        "--simulators", nargs="+", choices=SIMULATORS, default=SIMULATORS, help="by default all"
    )
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    every = cases()
    selected = [case for case in every if args.only in case.label]
    results = run_all(selected, args.simulators, args.peers, args.repeats)
    if args.only or len(args.simulators) < len(SIMULATORS):
        print("\n".join(table(selected, results)))
        return
    text = page(measured_on(), every, results, assemblies(), bare_products())
    (HERE / "RESULTS.md").write_text(text)
    draw(every, results, HERE / "results.png")


if __name__ == "__main__":
    main()
