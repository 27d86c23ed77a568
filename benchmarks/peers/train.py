"""Time training steps of one network with one library; print one line of JSON.

Runs in the environment of the library: NengoDL needs an old Python, so this file keeps to
what Python 3.9 understands. For PyTorch the network is written by hand, with snnTorch's
neurons in the place of a Nengo model.
"""

import argparse
import importlib.util
import json
import math
import os
import resource
import statistics
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore")

BATCHES = 8
RATE = 1e-9
"""Learning rate. With random targets a usual one lets the losses grow until they are infinite,
where nengograd ends training: an epoch would be timed of which a part never ran."""

LIBRARIES = ("tensorflow", "jax", "nengo_dl", "torch")
"""The first two are backends of nengograd."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument("--networks", required=True, help="file that defines the networks")
    parser.add_argument("--name", required=True, help="function in that file")
    parser.add_argument("--kwargs", type=json.loads, default={}, help="its arguments, as JSON")
    parser.add_argument("--minibatch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--keep-all", action="store_true", help="recompute no states (tensorflow, jax)"
    )
    return parser.parse_args()


def import_library(name):
    """Import what computes, which takes most of the memory of small models."""
    modules = {
        "torch": ("torch", "snntorch"),
        "nengo_dl": ("tensorflow", "nengo_dl"),
        "tensorflow": ("tensorflow", "nengograd"),
        "jax": ("jax", "optax", "nengograd"),
    }
    for module in modules[name]:
        importlib.import_module(module)


def peak_mb():
    """Peak memory of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def data(args, size_in, size_out):
    import numpy as np

    rng = np.random.RandomState(0)
    shape = (args.minibatch * BATCHES, args.steps)
    inputs = rng.uniform(size=(*shape, size_in)).astype(np.float32)
    return inputs, rng.uniform(size=(*shape, size_out)).astype(np.float32)


def nengo_trainer(args):
    """A function that goes through the data once and returns a loss, and the time to build it."""
    import nengo

    nengo.rc.set("decoder_cache", "enabled", "False")
    spec = importlib.util.spec_from_file_location("networks", args.networks)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = getattr(module, args.name)(**args.kwargs)
    inputs, targets = data(args, net.inp.size_out, net.p.size_in)
    begin = time.perf_counter()
    if args.library == "nengo_dl":
        import nengo_dl
        import tensorflow as tf

        sim = nengo_dl.Simulator(
            net, minibatch_size=args.minibatch, unroll_simulation=1, progress_bar=False
        )
        sim.compile(tf.optimizers.SGD(RATE), loss="mse")

        def train():
            history = sim.fit({net.inp: inputs}, {net.p: targets}, epochs=1, verbose=0)
            return history.history["loss"][0]

        version = nengo_dl.__version__
    else:
        import nengograd

        if args.keep_all:
            from nengograd_xla import overtime

            overtime._MOST_BYTES = 2**60
        sim = nengograd.Simulator(
            net, backend=args.library, minibatch_size=args.minibatch, progress_bar=False
        )
        optimizer = sgd(args.library)

        def train():
            with warnings.catch_warnings():
                # Where training has ended before its time, that is a warning.
                warnings.simplefilter("error", nengo.exceptions.NengoWarning)
                return sim.train({net.inp: inputs}, {net.p: targets}, optimizer)["loss"][0]

        version = nengograd.__version__
    return train, time.perf_counter() - begin, version


def sgd(backend):
    """Gradient descent, as an optimizer of the backend's own."""
    if backend == "jax":
        import optax

        return optax.sgd(RATE)
    import tensorflow as tf

    return tf.keras.optimizers.SGD(RATE)


def torch_trainer(args):
    """Layers of LIF rates behind synapses, step by step, as one writes it in PyTorch."""
    import snntorch
    import torch

    if args.name != "classifier":
        raise SystemExit("train: only the classifier is written for PyTorch")
    sizes, synapse = args.kwargs["sizes"], args.kwargs.get("synapse", 0.005)
    begin = time.perf_counter()

    class Rate(torch.nn.Module):
        """The rate of LIF neurons: what Nengo's LIFRate computes."""

        def forward(self, current):
            j = torch.relu(current - 1.0) + 1e-7
            return torch.where(current > 1, 1 / (0.002 + 0.02 * torch.log1p(1 / j)), 0.0)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList(
                torch.nn.Linear(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 1)
            )
            self.rate = Rate()
            # snnTorch's leaky integrator without a threshold is a lowpass synapse.
            decay = math.exp(-0.001 / synapse) if synapse else 0.0
            self.synapses = [
                snntorch.Leaky(beta=decay, reset_mechanism="none") for _ in self.layers
            ]

        def forward(self, x):
            states = [0.0] * len(self.layers)
            record = []
            for t in range(x.shape[1]):
                y = x[:, t]
                for i, layer in enumerate(self.layers):
                    y = layer(y)
                    if synapse:
                        decay = self.synapses[i].beta
                        states[i] = decay * states[i] + (1 - decay) * y
                        y = states[i]
                    if i < len(self.layers) - 1:
                        y = self.rate(y) * 0.01
                record.append(y)
            return torch.stack(record, dim=1)

    inputs, targets = (torch.from_numpy(x) for x in data(args, sizes[0], sizes[-1]))
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), RATE)

    def train():
        for i in range(0, len(inputs), args.minibatch):
            optimizer.zero_grad()
            output = net(inputs[i : i + args.minibatch])
            loss = torch.nn.functional.mse_loss(output, targets[i : i + args.minibatch])
            loss.backward()
            optimizer.step()
            last = loss.item()
        return last

    return train, time.perf_counter() - begin, torch.__version__


def main():
    args = arguments()
    import_library(args.library)
    imported = peak_mb()
    train, build, version = (torch_trainer if args.library == "torch" else nengo_trainer)(args)
    begin = time.perf_counter()
    loss = train()
    first = time.perf_counter() - begin
    times = []
    for _ in range(args.repeats):
        begin = time.perf_counter()
        loss = train()
        times.append(1e3 * (time.perf_counter() - begin) / BATCHES)
    if not math.isfinite(loss):
        raise SystemExit(f"train: a loss of {loss}, so that not all of it may have been computed")
    result = {
        "library": args.library,
        "version": version,
        "build_s": round(build, 3),
        "first_s": round(first, 3),
        "train_ms": round(statistics.median(times), 3),
        "low_ms": round(min(times), 3),
        "high_ms": round(max(times), 3),
        "rss_mb": peak_mb(),
        "imported_mb": imported,
    }
    print(json.dumps(result), flush=True)
    os._exit(0)  # nengo_dl is slow to tear down


if __name__ == "__main__":
    main()
