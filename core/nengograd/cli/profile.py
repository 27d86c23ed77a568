"""``nengograd profile``: the cost of each block and of each builder of a model."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from ..config import Settings, configure_settings
from ..plugin.leaving_out import DISABLE
from ..profile import Profile, load_profile, median_profile, save_profile
from ..profile.session import DEFAULT_PATH
from ..profile.text import print_comparison, print_profile
from ..run.runtime import feedable_nodes
from ..simulator.simulator import Simulator
from ..training.data import sampled_steps
from .model import add_model, add_options, options
from .outputs import check_output, write_somewhere
from .plugin_files import also_installed, load_plugins
from .script import load_network

__all__ = ["add"]

_FILE_WIDTH = 200
_STEPS = 1000
_MINIBATCHES = 10
_TRAINING_STEPS = 25

_EPILOG = """\
examples:
  nengograd profile model.py --steps 2000
  nengograd profile model.py --train --minibatch 64 --steps 25
  nengograd profile model.py --repeat 10 -o new.json --against old.json
  nengograd profile model.py --repeat 10 --plugin my_builders.py --against model.py

Next: open the written file in https://ui.perfetto.dev or chrome://tracing, or draw it with
`nengograd graph model.py --profile FILE`."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "profile",
        help="measure what each block and each builder costs",
        description="Run the model in a script, and measure for each block and each builder: "
        "operators, time to build, to compile and to run, bytes moved, operations computed, and "
        "how near that comes to this machine's bandwidth and product rate. The first half of "
        "the steps runs unmeasured, for comparison.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, "what a rule chooses; see nengograd explain")
    add_options(parser)
    parser.add_argument(
        "--steps",
        type=int,
        help=f"steps to run, by default {_STEPS}; with --train, steps of each item, by default "
        f"{_TRAINING_STEPS}",
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help=f"measure {_MINIBATCHES} minibatches of training on random data instead",
    )
    parser.add_argument(
        "--spike-gradient",
        choices=("rate", "surrogate"),
        help="with --train: how spiking neurons are trained, unless the script says so",
    )
    parser.add_argument(
        "-o",
        "--output",
        default=DEFAULT_PATH,
        metavar="FILE",
        help=f"where to write report and Chrome trace, by default {DEFAULT_PATH}",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="N",
        help="measure so many times, and show median and spread",
    )
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="show what has changed since a profile; or against another script, a .py file, "
        "without the plugins of --plugin, which is then measured in turn with this one",
    )
    parser.add_argument(
        "--tensorboard", metavar="DIR", help="leave what TensorFlow's profiler has written here"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Measure, write and print."""
    from rich.console import Console

    check_output(arguments.output, "output", arguments.script)
    # Before the run: it may name the file that is about to be replaced.
    against = arguments.against
    is_script = against is not None and against.endswith(".py")
    old = load_profile(against) if against and not is_script else None
    with contextlib.ExitStack() as stack:
        # The other script first, so that "before" is measured before "now" in each round.
        extra = load_plugins(arguments.plugin)  # before any script, which may import them
        installed = also_installed(extra) if is_script else []
        if installed:
            print(
                f"nengograd: {', '.join(installed)} of --plugin is installed, too, so {against} "
                f"runs with it as well; set {DISABLE}={','.join(installed)} to measure it without",
                file=sys.stderr,
            )
        others: list[tuple[str, Sequence[Any]]] = [(against, [])] if is_script else []
        runs = [
            _open(stack, script, plugins, arguments)
            for script, plugins in (*others, (arguments.script, extra))
        ]
        found: list[list[Profile]] = [[] for _ in runs]
        for _ in range(arguments.repeat):
            for (sim, network), profiles in zip(runs, found, strict=True):
                _measure(sim, network, arguments)
                assert sim.profile is not None
                profiles.append(sim.profile)
    profile = median_profile(found[-1])
    if is_script:
        old = median_profile(found[0])
    place, problem = write_somewhere(arguments.output, lambda p: save_profile(profile, p))
    # What is no terminal has no width; a file is as wide as it likes.
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    print_profile(profile, console)
    if old is not None:
        print_comparison(old, profile, console)
    if place:
        console.print(f"Written to {place}.", highlight=False, markup=False)
    if problem:
        print(f"nengograd: {problem}", file=sys.stderr)
    return 2 if problem else 0


def _open(
    stack: contextlib.ExitStack, script: str, plugins: Sequence[Any], arguments: argparse.Namespace
) -> tuple[Simulator, Any]:
    """A simulator of the network in a script, which the stack closes."""
    network = load_network(script, arguments.network)
    if arguments.spike_gradient:
        with network:
            configure_settings(spike_gradient=arguments.spike_gradient)
    taken = {**options(arguments), "plugins": plugins}
    sim = Simulator(network, tensorboard=arguments.tensorboard or False, **taken)
    return stack.enter_context(sim), network


def _measure(sim: Simulator, network: Any, arguments: argparse.Namespace) -> None:
    """Measure once; the profile is that of the simulator."""
    with tempfile.TemporaryDirectory(prefix="nengograd-") as folder:
        path, before = Path(folder) / DEFAULT_PATH, sim.profile
        try:
            if arguments.train:
                _train(sim, network, arguments, path)
            else:
                steps = _STEPS if arguments.steps is None else arguments.steps
                sim.run_steps(steps, profile=path)
        except ValidationError:
            # Where this copy alone could not be written, all was measured.
            if sim.profile is before:
                raise


def _train(sim: Simulator, network: Any, arguments: argparse.Namespace, path: Path) -> None:
    """Train on random data: the time does not depend on them."""
    nodes, probes = feedable_nodes(sim.program), sim.model.probes
    if not nodes or not probes:
        raise ValidationError(
            "needs a node without incoming connections, and a probe, to train", attr="network"
        )
    steps = _TRAINING_STEPS if arguments.steps is None else arguments.steps
    items = _MINIBATCHES * (arguments.minibatch or 1)
    keep = Settings.of(network).keep_history
    samples = {p: len(sampled_steps(p, steps, sim.dt, keep(p))) for p in probes}
    rng = np.random.RandomState(0)
    inputs = {n: rng.uniform(-1, 1, (items, steps, n.size_out)) for n in nodes}
    targets = {p: np.zeros((items, n, p.size_in)) for p, n in samples.items() if n}
    # Descending random errors at a usual rate makes many a network infinite, which would end the
    # training, and the profile, after a minibatch or two.
    sim.compile("sgd", "mse", loss_weights=dict.fromkeys(targets, 1e-12))
    sim.fit(inputs, targets, verbose=0, profile=path)
