"""One network of the benchmarks on JAX beside the bounds of the card; prints a line of JSON.

Without ``--row`` it prints how many there are.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).parents[1]))

from cases import Case, cases  # noqa: E402  (stands in the folder above)


def measure(case: Case, repeats: int = 5) -> dict[str, Any]:
    """Time per step of a case, and what of it the card's memory and launches explain."""
    import jax
    import nengo
    import networks
    import numpy as np
    from bounds import bandwidth, kernels_per_iteration, launch_seconds

    import nengograd
    from nengograd.plugin import Options
    from nengograd.profile import cost

    nengo.rc.set("decoder_cache", "enabled", "False")
    net = getattr(networks, case.name)(**case.kwargs)
    options: dict[str, Any] = {"minibatch_size": case.minibatch} if case.minibatch > 1 else {}
    with tempfile.TemporaryDirectory() as folder:
        sim = nengograd.Simulator(
            net, backend="jax", tensorboard=folder, progress_bar=False, **options
        )
        with sim:
            sim.run_steps(case.steps)
            times = []
            for _ in range(repeats):
                begin = time.perf_counter()
                sim.run_steps(case.steps)
                times.append((time.perf_counter() - begin) / case.steps)
            program = sim.program
        kernels = max(
            (kernels_per_iteration(p.read_text()) for p in Path(folder).rglob("*.hlo.txt")),
            default=0,
        )
    counted = Options(dtype=np.dtype("float32"), **options)
    moved = sum(sum(cost.bytes_moved(program, i, counted)) for i in range(len(program.blocks)))
    device, rate, launch = jax.devices()[0], bandwidth(), launch_seconds()
    return {
        "label": case.label,
        "batch": case.minibatch,
        "step_us": min(times) * 1e6,
        "kernels": kernels,
        "bytes": moved,
        "memory_us": moved / rate * 1e6,
        "launch_us": kernels * launch * 1e6,
        "flags": os.environ.get("XLA_FLAGS", ""),
        "card": f"{device.device_kind}, jax {jax.__version__}: {rate / 1e9:.0f} GB/s read and "
        f"written, {launch * 1e6:.2f} us for each further kernel of a loop",
    }


def main() -> None:
    """Measure one row, or count them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int)
    args = parser.parse_args()
    rows = [case for case in cases() if not case.options]
    print(json.dumps(measure(rows[args.row])) if args.row is not None else len(rows))


if __name__ == "__main__":
    main()
