"""Profile models again and again, and tell how often the ranking of the five dearest blocks stays.

Each profile is what ``nengograd profile --repeat N`` makes. Two profiles contradict each other if
one says that a block is dearer than another, by more than they spread, and the other says the
opposite. Prints one line of JSON for each model and backend.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from itertools import combinations
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from networks import circular_convolution, pes

import nengograd
from nengograd.profile import median_profile
from nengograd.profile.repeat import ranks

MODELS = {
    "convolution": lambda: circular_convolution(8, 20),
    "pes": lambda: pes(8, 50),
}
DEAREST = 5


def profiles(sim, count, repeat, steps):
    """So many profiles, each the median of some repetitions."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            repeats = []
            for _ in range(repeat):
                sim.run_steps(steps, profile=Path(folder) / "p.json")
                repeats.append(sim.profile)
            made.append(median_profile(repeats))
    return made


def contradicts(one, other):
    """Whether two rankings put two blocks in opposite order, among the dearest of either."""
    dearest = {block for found in (one, other) for block in found if found[block] <= DEAREST}
    pairs = combinations(dearest, 2)
    return any((one[a] - one[b]) * (other[a] - other[b]) < 0 for a, b in pairs)


def plain_order(profile):
    """The dearest blocks by their times alone, whatever the spread."""
    ordered = sorted(profile.blocks, key=lambda block: -block.seconds_per_step)
    return [block.block for block in ordered[:DEAREST]]


def distinct(found):
    """How many different ranks the dearest blocks have."""
    return len(set(sorted(found.values())[:DEAREST]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=["numpy", "jax", "tensorflow"])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--profiles", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    for model in args.models:
        for backend in args.backends:
            network = MODELS[model]()
            with nengograd.Simulator(network, backend=backend, progress_bar=False) as sim:
                made = profiles(sim, args.profiles, args.repeat, args.steps)
            found = [ranks(profile) for profile in made]
            pairs = list(combinations(range(len(made)), 2))
            kept = [not contradicts(found[a], found[b]) for a, b in pairs]
            plain = [plain_order(made[a]) == plain_order(made[b]) for a, b in pairs]
            ties = sum(len(set(r.values())) < len(r) for r in found)
            line = {
                "model": model,
                "backend": backend,
                "blocks": len(found[0]),
                "pairs": len(pairs),
                "ranking_stays": sum(kept),
                "order_stays_without_ties": sum(plain),
                "profiles_with_ties": ties,
                "fewest_ranks_of_the_dearest": min(map(distinct, found)),
                "load": round(os.getloadavg()[0], 1),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
