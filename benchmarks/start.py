"""Times whole scripts, from the start of the process to its end, beside nengo.Simulator.

A script imports a simulator, builds one of `models.MODELS`, runs it for some simulated time and
reads its data: what a person waits for. Simulators take turns, so that what else the machine does
falls on all alike, and the least of some repetitions counts. Writes ``START.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from models import MODELS, STARTS
from odd_models import ODD

HERE = Path(__file__).parent
REPORT = HERE / "START.md"
IMPORT = 0.15
"""What importing nengograd may take beside Nengo, in seconds."""

SCRIPT = """
import sys, warnings
warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])
import nengo
nengo.rc.set("decoder_cache", "enabled", "False")
from models import MODELS
from odd_models import ODD
if sys.argv[3] == "nengo":
    Simulator = nengo.Simulator
else:
    from nengograd import Simulator
with {**MODELS, **ODD}[sys.argv[2]]() as net:
    pass
with Simulator(net, progress_bar=False) as sim:
    sim.run_steps(int(sys.argv[4]))
    for probe in net.all_probes:
        sim.data[probe]
"""


def seconds(model: str, simulator: str, steps: int) -> float | None:
    """How long a script takes; None, and what it said, if it fails.

    Parameters
    ----------
    model : str
        One of `models.MODELS` or `odd_models.ODD`.
    simulator : str
        ``nengo``, ``nengograd`` for its default, or the name of a backend.
    steps : int
        Time steps to run.
    """
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if simulator not in ("nengo", "nengograd"):
        variables["NENGOGRAD_BACKEND"] = simulator
    command = [sys.executable, "-c", SCRIPT, str(HERE), model, simulator, str(steps)]
    begin = time.perf_counter()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - begin
    if done.returncode:
        print(f"{model} on {simulator}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    return taken


def measure(
    models: Sequence[str], simulators: Sequence[str], steps: Sequence[int], repeats: int
) -> list[dict[str, Any]]:
    """One row for each model and number of steps, as they come."""
    rows = []
    for model in models:
        for n in steps:
            best: dict[str, float] = {}
            for _ in range(repeats if n <= 10_000 else 1):
                for simulator in simulators:
                    taken = seconds(model, simulator, n)
                    if taken is not None:
                        best[simulator] = min(taken, best.get(simulator, taken))
            rows.append({"model": model, "steps": n, **best})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def report(rows: Sequence[dict[str, Any]], simulators: Sequence[str]) -> str:
    """The rows as Markdown, with what is slower than it ought to be."""
    others = [name for name in simulators if name != "nengo"]
    lines = [
        "# From start to end",
        "",
        f"Measured on {date.today()} by `python benchmarks/start.py`: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}. Seconds of a whole process, imports and Nengo's own "
        "build included; Nengo's decoder cache is off.",
        "",
        f"To reach: 1.1 times nengo and {IMPORT} s; from 10 s of simulated time on, never slower. "
        "**Bold** figures miss that.",
        "",
        f"| model | simulated | {' | '.join(simulators)} |",
        f"| --- | --: | {' | '.join('--:' for _ in simulators)} |",
    ]
    missed: dict[str, int] = dict.fromkeys(others, 0)
    for row in rows:
        cells = []
        for name in simulators:
            if name not in row:
                cells.append("failed")
                continue
            late = name != "nengo" and "nengo" in row and not _reached(row, name)
            missed[name] = missed.get(name, 0) + late
            cells.append(f"**{row[name]:.2f}**" if late else f"{row[name]:.2f}")
        time_simulated = f"{row['steps'] / 1000:g} s"
        lines.append(f"| {row['model']} | {time_simulated} | {' | '.join(cells)} |")
    lines.append("")
    lines += [f"- {name}: {missed[name]} of {len(rows)} rows miss it" for name in others]
    return "\n".join(lines) + "\n"


def _reached(row: dict[str, Any], name: str) -> bool:
    most = row["nengo"] if row["steps"] >= 10_000 else 1.1 * row["nengo"] + IMPORT
    return bool(row[name] <= most)


def main() -> None:
    """Measure what was asked for, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(STARTS), help="names, or `all`")
    parser.add_argument("--steps", type=int, nargs="*", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--simulators", nargs="*", default=["nengograd", "numpy"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--report", type=Path, default=REPORT)
    args = parser.parse_args()
    models = [*MODELS, *ODD] if args.models == ["all"] else args.models
    simulators = ["nengo", *args.simulators]
    rows = measure(models, simulators, args.steps, args.repeats)
    args.report.write_text(report(rows, simulators), encoding="utf-8")
    print(f"The report is in {args.report}")


if __name__ == "__main__":
    main()
