"""Time the assembly of a random network, and its first step; print one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import nengo
from networks import random_network

import nengograd


class Watch:
    """Notes how long assembling and compiling take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @nengograd.hookimpl
    def nengograd_event(self, name, info):
        self.seconds[name] = info["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensembles", type=int, default=1000, help="with 4 connections each")
    parser.add_argument("--neurons", type=int, default=10, help="of each ensemble")
    args = parser.parse_args()
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengograd.Simulator(nengo.Network(), backend="tensorflow", progress_bar=False).close()
    model = nengo.builder.Model()
    begin = time.perf_counter()
    model.build(random_network(args.ensembles, args.neurons))
    built = time.perf_counter()
    watch = Watch()
    with nengograd.Simulator(
        None, model=model, backend="tensorflow", progress_bar=False, plugins=[watch]
    ) as sim:
        sim.step()
        seconds = watch.seconds
        result = {
            "ensembles": args.ensembles,
            "operators": len(model.operators),
            "blocks": len(sim.program.blocks),
            "build_s": round(built - begin, 2),
            "assembly_s": round(seconds["assembled"], 3),
            "operator_us": round(1e6 * seconds["assembled"] / len(model.operators), 1),
            "first_step_s": round(seconds["compiled"] + seconds["ran"], 2),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
