"""Times training steps on nengograd and on its peers in one go, and writes TRAINING.md."""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from compare import last_line, machine

HERE = Path(__file__).parent
RUNNER = HERE / "peers" / "train.py"
LIBRARIES = ("nengograd", "nengo_dl", "torch")
KEEP_ALL = "keep all"
"""nengograd, without computing states again in long loops."""


@dataclass
class Case:
    """One row of the table, and the ratios it is meant to reach."""

    label: str
    name: str
    steps: int
    minibatch: int
    against_dl: float
    against_torch: float | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    recomputes: bool = False


RATES = {"neuron_type": "LIFRate"}
CASES = [
    Case("64-256-256-10", "classifier", 25, 64, 6, 1.5, {"sizes": [64, 256, 256, 10], **RATES}),
    Case("64-256-256-10", "classifier", 100, 64, 6, None, {"sizes": [64, 256, 256, 10], **RATES}),
    Case(
        "784-512-256-10, no synapses",
        "classifier",
        1,
        128,
        3,
        None,
        {"sizes": [784, 512, 256, 10], "synapse": None, **RATES},
    ),
    Case("Legendre memory unit", "legendre_memory", 784, 64, 3, recomputes=True),
]


def measure(case: Case, library: str, python: Path, repeats: int) -> dict[str, Any] | None:
    """Run one library on one case."""
    command = [
        *(str(python), str(RUNNER), "--library", library),
        *("--networks", str(HERE / "networks.py"), "--name", case.name),
        *("--kwargs", json.dumps(case.kwargs), "--minibatch", str(case.minibatch)),
        *("--steps", str(case.steps), "--repeats", str(repeats)),
    ]
    if library == KEEP_ALL:
        command[command.index("--library") + 1] = "nengograd"
        command.append("--keep-all")
    return last_line(command, library)


def run(peers: Path, only: str, repeats: int) -> list[tuple[Case, dict[str, Any]]]:
    """Measure the cases, the libraries of each one after the other."""
    pythons = {
        "nengograd": Path(sys.executable),
        "nengo_dl": peers / "nengo-dl" / "bin" / "python",
        "torch": peers / "torch" / "bin" / "python",
    }
    rows = []
    for case in CASES:
        if only not in case.label:
            continue
        print(f"{case.label}, {case.steps} steps, minibatch {case.minibatch}", flush=True)
        row = {}
        if case.recomputes:
            row[KEEP_ALL] = measure(case, KEEP_ALL, pythons["nengograd"], repeats)
        for library in LIBRARIES:
            if not pythons[library].exists() or (library == "torch" and case.name != "classifier"):
                continue
            found = measure(case, library, pythons[library], repeats)
            if found is not None:
                row[library] = found
                print(f"  {library:10} {found['train_ms']:10.1f} ms", flush=True)
        rows.append((case, row))
    return rows


def table(rows: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """The rows of the table."""
    lines = [
        "| network | steps | batch | nengograd | spread | NengoDL | PyTorch | vs NengoDL "
        "| vs PyTorch | to reach | first epoch | memory (MB): nengograd, NengoDL, PyTorch |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --- | --: | --- |",
    ]
    for case, row in rows:
        if "nengograd" not in row:
            continue
        ours = row["nengograd"]
        spread = (ours["high_ms"] - ours["low_ms"]) / ours["train_ms"]
        cells = [f"{row[x]['train_ms']:.1f}" if x in row else "-" for x in LIBRARIES[1:]]
        goals = (case.against_dl, case.against_torch)
        ratios = [_ratio(row, peer, goal) for peer, goal in zip(LIBRARIES[1:], goals, strict=True)]
        memory = ", ".join(_memory(row[x]) if x in row else "-" for x in LIBRARIES)
        wanted = " / ".join("-" if g is None else f"{g:g}" for g in goals)
        lines.append(
            f"| {case.label} | {case.steps} | {case.minibatch} | {ours['train_ms']:.1f} | "
            f"{spread:.0%} | {' | '.join(cells)} | {' | '.join(ratios)} | {wanted} | "
            f"{ours['first_s']:.1f} s | {memory} |"
        )
    return lines


def _ratio(row: dict[str, Any], peer: str, goal: float | None) -> str:
    if peer not in row:
        return "-"
    found = row[peer]["train_ms"] / row["nengograd"]["train_ms"]
    text = f"{found:.1f}x"
    return text if goal is None or found >= goal else f"**{text}**"


def _memory(found: dict[str, Any]) -> str:
    return f"{found['rss_mb']} ({found['rss_mb'] - found['imported_mb']})"


def recomputing(rows: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """What it saves, and costs, to keep the state of every k-th step alone."""
    lines = []
    for case, row in rows:
        if row.get(KEEP_ALL) and "nengograd" in row:
            kept, ours = row[KEEP_ALL], row["nengograd"]
            lines.append(
                f"- {case.label}, {case.steps} steps: {_memory(ours)} MB and "
                f"{ours['train_ms']:.0f} ms a step in intervals of {math.isqrt(case.steps)} steps; "
                f"{_memory(kept)} MB and {kept['train_ms']:.0f} ms with all steps at once."
            )
    return lines


def write(rows: list[tuple[Case, dict[str, Any]]]) -> None:
    """Write TRAINING.md."""
    versions = {x: row[x]["version"] for _, row in rows for x in LIBRARIES if x in row}
    text = [
        "# Training",
        "",
        f"Measured on {date.today()}, in one go, by `make bench`: {machine()}, Python "
        f"{platform.python_version()}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "",
        "Milliseconds per training step (one minibatch, forward, backward and gradient descent), "
        "medians of 5 epochs of 8 minibatches, float32. LIF neurons as rates, synapses of 5 ms. "
        "PyTorch runs a loop written by hand with snnTorch. **Bold** ratios miss what was to be "
        "reached. The first epoch includes compiling. Memory is the peak of the process and, in "
        "parentheses, what of it came after the library was imported.",
        "",
        *table(rows),
        "",
        "## Memory of long recurrences",
        "",
        "Where all steps at once would take much memory, they run in intervals, as long as the "
        "root of the number of steps. The state between intervals is kept, and each interval "
        "computed again on the way back.",
        "",
        *recomputing(rows),
        "",
    ]
    (HERE / "TRAINING.md").write_text("\n".join(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path(".peers"))
    parser.add_argument("--only", default="", help="run cases whose label has this in it")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    rows = run(args.peers, args.only, args.repeats)
    if args.only:
        print("\n".join(table(rows)))
    else:
        write(rows)


if __name__ == "__main__":
    main()
