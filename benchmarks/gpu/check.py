"""One command for a machine with a GPU: is nengograd right, and how near to the card's bounds?

Runs with the Python of a machine that has JAX and NumPy but perhaps no network. What is missing
comes from a folder of wheels, made by ``wheels.py`` where there is a network. Three parts, each
a process of its own: the conformance kit on JAX, a sample of the tests, and each network of the
benchmarks beside what the card could do. Prints tables, and writes them to ``build/gpu-check``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "gpu-check"
SITE = BUILD / "site"

KIT = """
import warnings
warnings.filterwarnings("ignore")
from nengograd.testing import check_backend
check_backend("jax")
"""
SAMPLE = (
    *("tests/simulator/test_run.py", "tests/simulator/test_model.py"),
    *("tests/simulator/test_host_operators.py", "tests/builtin/test_neurons.py"),
    *("tests/training/test_train.py", "tests/training/test_gradients.py"),
    "tests/backends/test_jax.py",
)
"""Tests that run models, Python nodes, neurons and training."""


def environment(platform: str | None) -> dict[str, str]:
    """What the parts run in: this checkout first, then the wheels, then what the machine has."""
    paths = [str(ROOT / "core"), str(ROOT / "plugins"), str(SITE)]
    given = os.environ.get("PYTHONPATH")
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*paths, given] if given else paths),
        "MPLBACKEND": "Agg",
        "NENGOGRAD_BACKEND": "jax",
    }
    if platform:
        variables["JAX_PLATFORMS"] = platform
    return variables


def install(wheels: Path) -> None:
    """Unpack wheels where the parts find them, without a network."""
    found = sorted(map(str, wheels.glob("*.whl")))
    if not found:
        return
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"),
            *("--upgrade", "--no-compile", "--target", str(SITE), *found),
        ],
        check=True,
    )


def run(command: Sequence[str], variables: dict[str, str], seconds: float) -> str:
    """Run a part; returns "passed", or in words why not."""
    try:
        code = subprocess.run(
            [sys.executable, *command], env=variables, cwd=ROOT, timeout=seconds, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return f"stopped after {seconds:.0f} s"
    return "passed" if code == 0 else f"failed with exit code {code}"


def measure(row: int, variables: dict[str, str], seconds: float) -> dict[str, Any]:
    """One row of the benchmarks; a row that fails says why."""
    command = [sys.executable, str(HERE / "row.py"), "--row", str(row)]
    try:
        done = subprocess.run(
            command,
            env=variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"row": row, "error": f"stopped after {seconds:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"row": row, "error": said[-1]}
    return dict(json.loads(lines[-1]))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    lines = [
        "| network | batch | us per step | kernels per step | MB per step | bound by memory (us) "
        "| bound by launches (us) | times the greater bound | further flags |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --- |",
    ]
    for row in rows:
        if "error" in row:
            lines.append(f"| row {row['row']} | | {row['error']} | | | | | | |")
            continue
        bound = max(row["memory_us"], row["launch_us"])
        lines.append(
            f"| {row['label']} | {row['batch']} | {row['step_us']:.1f} | {row['kernels']} "
            f"| {row['bytes'] / 1e6:.2f} | {row['memory_us']:.1f} | {row['launch_us']:.1f} "
            f"| {row['step_us'] / bound:.1f} | {row['flags']} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run what was asked for; the exit code is 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, default=BUILD / "wheels", help="folder of wheels")
    parser.add_argument("--platform", help="what JAX_PLATFORMS is set to, such as cuda or cpu")
    parser.add_argument("--rows", type=int, nargs="*", help="rows of the benchmarks, by number")
    parser.add_argument("--flags", default="", help="further XLA_FLAGS for the rows")
    parser.add_argument("--skip", nargs="*", default=[], choices=("kit", "tests", "rows"))
    parser.add_argument("--seconds", type=float, default=600, help="most that a part may take")
    args = parser.parse_args()
    install(args.wheels)
    variables = environment(args.platform)
    BUILD.mkdir(parents=True, exist_ok=True)
    parts: dict[str, str] = {}
    if "kit" not in args.skip:
        parts["conformance kit"] = run(["-c", KIT], variables, args.seconds)
    if "tests" not in args.skip:
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "jax", *SAMPLE]
        parts["sample of the tests"] = run(pytest, variables, args.seconds)
    rows: list[dict[str, Any]] = []
    if "rows" not in args.skip:
        flags = f"{os.environ.get('XLA_FLAGS', '')} {args.flags}".strip()
        count = int(subprocess.check_output([sys.executable, str(HERE / "row.py")], env=variables))
        for row in args.rows if args.rows is not None else range(count):
            rows.append(measure(row, {**variables, "XLA_FLAGS": flags}, args.seconds))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    done = [f"- {name}: {outcome}" for name, outcome in parts.items()]
    if rows:
        card = next((row["card"] for row in rows if "card" in row), "no row was measured")
        done += ["", card, "", table(rows)]
    report = "\n".join(done)
    (BUILD / "report.md").write_text(report + "\n", encoding="utf-8")
    (BUILD / "report.json").write_text(json.dumps({"parts": parts, "rows": rows}, indent=1))
    print(report)
    failed = any(outcome != "passed" for outcome in parts.values())
    return int(failed or any("error" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
