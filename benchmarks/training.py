"""Times training steps on nengograd and on its peers in one go, and writes TRAINING.md."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compare import last_line, measured_on

HERE = Path(__file__).parent
RUNNER = HERE / "peers" / "train.py"
LIBRARIES = ("tensorflow", "jax", "nengo_dl", "torch")
OURS = LIBRARIES[:2]
"""The backends of nengograd."""

KEEP_ALL = "keep all"
"""The TensorFlow backend, without computing states again in long loops."""

NAMES = {"tensorflow": "tensorflow", "jax": "jax", "nengo_dl": "NengoDL", "torch": "PyTorch"}
MOST_OF_MEMORY = 0.7
"""What JAX's peak memory may be of TensorFlow's."""


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
    keeps_all = library == KEEP_ALL
    command = [
        *(str(python), str(RUNNER), "--library", "tensorflow" if keeps_all else library),
        *("--networks", str(HERE / "networks.py"), "--name", case.name),
        *("--kwargs", json.dumps(case.kwargs), "--minibatch", str(case.minibatch)),
        *("--steps", str(case.steps), "--repeats", str(repeats)),
        *(["--keep-all"] if keeps_all else []),
    ]
    return last_line(command, library)


def run(
    peers: Path, only: str, libraries: Sequence[str], repeats: int
) -> list[tuple[Case, dict[str, Any]]]:
    """Measure the cases, the libraries of each one after the other."""
    pythons = {
        "nengo_dl": peers / "nengo-dl" / "bin" / "python",
        "torch": peers / "torch" / "bin" / "python",
    }
    rows = []
    for case in CASES:
        if only not in case.label:
            continue
        print(f"{case.label}, {case.steps} steps, minibatch {case.minibatch}", flush=True)
        row = {}
        for library in [*libraries, *([KEEP_ALL] if case.recomputes else [])]:
            python = pythons.get(library, Path(sys.executable))
            if not python.exists() or (library == "torch" and case.name != "classifier"):
                continue
            found = measure(case, library, python, repeats)
            if found is not None:
                row[library] = found
                print(f"  {library:10} {found['train_ms']:10.1f} ms", flush=True)
        rows.append((case, row))
    return rows


def table(rows: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """The rows of the table."""
    names = " | ".join(NAMES.values())
    lines = [
        f"| network | steps | batch | {names} | spread | tensorflow vs NengoDL, PyTorch "
        "| jax vs NengoDL, PyTorch | to reach | jax vs tensorflow | first epoch | "
        f"memory (MB): {', '.join(NAMES.values())} | jax's of tensorflow's |",
        f"| --- | --: | --: |{' --: |' * len(NAMES)} {'--- | ' * 4}--: | --- | --- | --: |",
    ]
    for case, row in rows:
        cells = [f"{row[x]['train_ms']:.1f}" if x in row else "-" for x in LIBRARIES]
        spreads = ", ".join(_spread(row[x]) if x in row else "-" for x in OURS)
        goals = (case.against_dl, case.against_torch)
        ratios = [
            ", ".join(
                _ratio(row, peer, ours, goal)
                for peer, goal in zip(LIBRARIES[2:], goals, strict=True)
            )
            for ours in OURS
        ]
        wanted = ", ".join("-" if g is None else f"{g:g}" for g in goals)
        first = ", ".join(f"{row[x]['first_s']:.1f} s" if x in row else "-" for x in OURS)
        memory = ", ".join(_memory(row[x]) if x in row else "-" for x in LIBRARIES)
        lines.append(
            f"| {case.label} | {case.steps} | {case.minibatch} | {' | '.join(cells)} | {spreads} | "
            f"{' | '.join(ratios)} | {wanted} | {_ratio(row, 'tensorflow', 'jax', 1 / 1.1, 2)} | "
            f"{first} | {memory} | {_share_of_memory(row)} |"
        )
    return lines


def _spread(found: dict[str, Any]) -> str:
    return f"{(found['high_ms'] - found['low_ms']) / found['train_ms']:.0%}"


def _ratio(row: dict[str, Any], peer: str, ours: str, goal: float | None, digits: int = 1) -> str:
    if peer not in row or ours not in row:
        return "-"
    found = row[peer]["train_ms"] / row[ours]["train_ms"]
    text = f"{found:.{digits}f}x"
    return text if goal is None or found >= goal else f"**{text}**"


def _memory(found: dict[str, Any]) -> str:
    return f"{found['rss_mb']} ({found['rss_mb'] - found['imported_mb']})"


def _share_of_memory(row: dict[str, Any]) -> str:
    if any(x not in row for x in OURS):
        return "-"
    share = row["jax"]["rss_mb"] / row["tensorflow"]["rss_mb"]
    return f"{share:.2f}" if share <= MOST_OF_MEMORY else f"**{share:.2f}**"


def recomputing(rows: list[tuple[Case, dict[str, Any]]]) -> list[str]:
    """What it saves, and costs, to keep the state of every k-th step alone."""
    lines = []
    for case, row in rows:
        if KEEP_ALL in row and "tensorflow" in row:
            kept, ours = row[KEEP_ALL], row["tensorflow"]
            lines.append(
                f"- {case.label}, {case.steps} steps, tensorflow: {_memory(ours)} MB and "
                f"{ours['train_ms']:.0f} ms a step in intervals of {math.isqrt(case.steps)} steps; "
                f"{_memory(kept)} MB and {kept['train_ms']:.0f} ms with all steps at once."
            )
    return lines


def write(rows: list[tuple[Case, dict[str, Any]]]) -> None:
    """Write TRAINING.md."""
    versions = {NAMES[x]: row[x]["version"] for _, row in rows for x in LIBRARIES if x in row}
    text = [
        "# Training",
        "",
        f"{measured_on()}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ". `make bench` does it.",
        "",
        "Milliseconds per training step (one minibatch, forward, backward and gradient descent), "
        "medians of 5 epochs of 8 minibatches, float32. LIF neurons as rates, synapses of 5 ms. "
        "PyTorch runs a loop written by hand with snnTorch. **Bold** ratios miss what was to be "
        "reached, which is 0.91 (within 10 %) for jax against tensorflow, and at most "
        f"{MOST_OF_MEMORY} of its memory. The first epoch includes compiling. Memory is the peak "
        "of the process and, in parentheses, what of it came after the library was imported.",
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
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    rows = run(args.peers, args.only, args.libraries, args.repeats)
    if args.only or len(args.libraries) < len(LIBRARIES):
        print("\n".join(table(rows)))
    else:
        write(rows)


if __name__ == "__main__":
    main()
