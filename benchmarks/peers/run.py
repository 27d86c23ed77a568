"""Time one network on one simulator; print one line of JSON.

Runs in the environment of the simulator: NengoDL needs an old Python, so this file keeps to
what Python 3.9 understands.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore")

SIMULATORS = ("nengo", "nengo_dl", "tensorflow", "numpy", "jax")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulator", choices=SIMULATORS, required=True)
    parser.add_argument("--networks", required=True, help="file that defines the networks")
    parser.add_argument("--name", required=True, help="function in that file")
    parser.add_argument("--kwargs", type=json.loads, default={}, help="its arguments, as JSON")
    parser.add_argument("--minibatch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1000, help="of each timed run")
    parser.add_argument("--first-steps", type=int, default=1000, help="of the first run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--unroll", type=int, default=25, help="nengo_dl's unroll_simulation")
    parser.add_argument("--single-steps", action="store_true", help="call step() instead of run")
    return parser.parse_args()


def load_network(path, name, kwargs):
    spec = importlib.util.spec_from_file_location("networks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)(**kwargs)


def import_simulator(name):
    """The class and the options that make it; imports are not part of what is measured."""
    import nengo

    # The cache on disk is shared by all environments: second builds would look fast.
    nengo.rc.set("decoder_cache", "enabled", "False")
    if name == "nengo":
        return nengo.Simulator, {}
    if name == "nengo_dl":
        import nengo_dl

        return nengo_dl.Simulator, {}
    import nengograd

    with nengo.Network() as empty:
        nengo.Node(0)
    nengograd.Simulator(empty, backend=name, progress_bar=False).close()
    return nengograd.Simulator, {"backend": name}


def make(args, net):
    cls, options = import_simulator(args.simulator)
    if args.simulator == "nengo_dl":
        options = {"minibatch_size": args.minibatch, "unroll_simulation": args.unroll}
    elif args.simulator != "nengo" and args.minibatch > 1:
        options["minibatch_size"] = args.minibatch
    begin = time.perf_counter()
    sim = cls(net, progress_bar=False, **options)
    build = time.perf_counter() - begin
    # nengo.Simulator has no minibatches: it runs the items one after the other.
    times = args.minibatch if args.simulator == "nengo" else 1

    def run(steps):
        for _ in range(times):
            if args.single_steps:
                for _ in range(steps):
                    sim.step()
            else:
                sim.run_steps(steps)

    return build, run


def main():
    args = arguments()
    net = load_network(args.networks, args.name, args.kwargs)
    build, run = make(args, net)
    begin = time.perf_counter()
    run(args.first_steps)
    first = time.perf_counter() - begin
    times = []
    for _ in range(args.repeats):
        begin = time.perf_counter()
        run(args.steps)
        times.append(1e6 * (time.perf_counter() - begin) / args.steps / args.minibatch)

    import nengo
    import numpy as np

    versions = {"nengo": nengo.__version__, "numpy": np.__version__}
    if args.simulator == "nengo_dl":
        import nengo_dl

        versions["nengo_dl"] = nengo_dl.__version__
    if args.simulator in ("tensorflow", "jax"):
        versions[args.simulator] = importlib.import_module(args.simulator).__version__
    result = {
        "simulator": args.simulator,
        "network": args.name,
        "kwargs": args.kwargs,
        "minibatch": args.minibatch,
        "build_s": round(build, 3),
        "first_s": round(first, 3),
        "item_us": round(statistics.median(times), 2),
        "low_us": round(min(times), 2),
        "high_us": round(max(times), 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "versions": versions,
    }
    print(json.dumps(result), flush=True)
    os._exit(0)  # nengo_dl is slow to tear down


if __name__ == "__main__":
    main()
