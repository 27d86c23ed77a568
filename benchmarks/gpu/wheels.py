"""Collects what a machine with JAX and NumPy, but without a network, lacks for `check.py`.

Runs where there is a network. The folder then travels with the checkout.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MISSING = (
    "nengo>=4.1,<4.2",
    # NumPy 2.4 breaks Nengo 4.1's own LinearFilter.
    "numpy>=2.2,<2.4",
    *("pluggy>=1.6", "rich>=13", "markdown-it-py", "mdurl", "pygments"),
    *("pytest>=8.3,<9", "iniconfig", "packaging", "hypothesis", "sortedcontainers"),
)
"""What is neither JAX nor usual beside it. SciPy, optax and Matplotlib are expected there;
``--also`` names what else a machine lacks."""


def main() -> None:
    """Download wheels for another Python, and build our own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="3.12", help="the other machine's Python")
    parser.add_argument("--also", nargs="*", default=[], help="further requirements")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 34)]
    for requirement in (*MISSING, *args.also):
        subprocess.run(
            [
                *(*pip, "download", "--no-deps", "--only-binary=:all:"),
                *("--python-version", args.python, "--implementation", "cp"),
                *(part for name in platforms for part in ("--platform", name)),
                *("--dest", str(args.folder), requirement),
            ],
            check=True,
        )
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(args.folder), str(ROOT)], check=True)


if __name__ == "__main__":
    main()
