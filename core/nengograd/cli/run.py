"""``nengograd run``: run the model of a script, and keep what its probes record."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import NDArray

from .. import plot
from ..files import atomic_write
from ..npz import npz_path, write_npz
from ..run.recording import probe_names
from ..simulator.simulator import Simulator
from .model import add_model, add_options, options
from .outputs import check_output, write_somewhere
from .script import load_network

__all__ = ["add"]

_EPILOG = """\
examples:
  nengograd run model.py --time 1.0
  nengograd run model.py --time 2.5 --plot out.png --save data.npz
  nengograd run model.py --minibatch 10 --backend numpy

In data.npz each probe's data stand under its label (or probes[0], probes[1], ... where labels
are missing or not unique), and the times of all steps under "time"; a probe with a sampling
period has times of its own, such as "error.time".

Next: `nengograd profile model.py` says where the time goes."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "run",
        help="run a model, save and draw what its probes record",
        description="Run the network in a script. Its probes are summed up in a table, and "
        "saved and drawn on request. Ctrl-C ends the run and keeps what is complete.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser, "what a rule chooses; see nengograd explain")
    add_options(parser)
    parser.add_argument(
        "--time", type=float, default=1.0, metavar="S", help="simulated seconds, by default 1"
    )
    parser.add_argument("--save", metavar="FILE", help="write the data into this .npz file")
    parser.add_argument("--plot", metavar="FILE", help="draw all probes into this picture")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Run, save, draw and print."""
    _check_outputs(arguments)
    taken = options(arguments)  # plugins are loaded first: the script may import them
    network = load_network(arguments.script, arguments.network)
    _check_probes(arguments, bool(network.all_probes))
    problems: list[str] = []
    with Simulator(network, **taken) as sim:
        begin = time.perf_counter()
        try:
            sim.run(arguments.time)
        finally:
            # What is complete is kept, whatever ended the run.
            if sim.n_steps:
                seconds = time.perf_counter() - begin
                lines, problems = _write(sim, arguments)
                print("\n".join([*_summary(sim, arguments.time, seconds), *lines]))
                for problem in problems:
                    print(f"nengograd: {problem}", file=sys.stderr)
    return 2 if problems else 0


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Raise an error now if anything could not be written after the run."""
    if arguments.save is not None:
        check_output(npz_path(arguments.save), "save", arguments.script)
    if arguments.plot is not None:
        plot.check_file(arguments.plot)
        check_output(arguments.plot, "plot", arguments.script)


def _check_probes(arguments: argparse.Namespace, has_probes: bool) -> None:
    """Raise an error if files are asked for and there will be nothing to write."""
    for name in ("save", "plot"):
        if getattr(arguments, name) is not None and not has_probes:
            raise ValidationError(
                "the network has no probes, so there is nothing to write: add a nengo.Probe",
                attr=name,
            )


def _write(sim: Simulator, arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Write the files that were asked for. Returns a line about each, and what went wrong."""
    lines, problems = [], []
    if arguments.save is not None:
        arrays = _arrays(sim)
        path = npz_path(arguments.save)
        place, problem = write_somewhere(path, lambda p: write_npz(p, arrays))
        lines.append(f"Data are in {place}." if place else "")
        problems.append(problem)
    if arguments.plot is not None:
        figure: Any = plot.overview(sim)[0].figure
        place, problem = write_somewhere(arguments.plot, lambda p: _draw(figure, p))
        lines.append(f"The picture is {place}." if place else "")
        problems.append(problem)
    return [line for line in lines if line], [problem for problem in problems if problem]


def _draw(figure: Any, path: Path) -> None:
    with atomic_write(path, "plot") as file:
        figure.savefig(file, format=path.suffix[1:].lower())


def _arrays(sim: Simulator) -> dict[str, NDArray[Any]]:
    """Data of the probes and their times, by name."""
    names = probe_names(sim.model.probes)
    arrays = {"time": sim.trange()}
    for index, (name, probe) in enumerate(zip(names, sim.model.probes, strict=True)):
        key = f"probes[{index}]" if name in arrays else name
        arrays[key] = sim.data[probe]
        if probe.sample_every is not None:
            arrays[f"{key}.time"] = sim.trange(sample_every=probe.sample_every)
    return arrays


def _summary(sim: Simulator, wanted: float, seconds: float) -> list[str]:
    """What was run, and a line for each probe."""
    items = sim.options.minibatch_size
    each = f", each of {items} items" if items else ""
    steps = round(wanted / sim.dt)
    done = f"{sim.n_steps}" if sim.n_steps == steps else f"{sim.n_steps} of {steps}"
    lines = [
        f"{done} steps of {1000 * sim.dt:g} ms{each} in {seconds:.2f} s, compilation "
        f"included ({sim.backend} backend, {np.dtype(sim.options.dtype).name})"
    ]
    if not sim.model.probes:
        return [*lines, "The network has no probes: add a nengo.Probe to see what it does."]
    names = probe_names(sim.model.probes)
    width = max(len("probe"), *map(len, names))
    lines += ["", f"{'probe':{width}}  {'shape':20}{'mean':>12}{'least':>12}{'greatest':>12}"]
    for name, probe in zip(names, sim.model.probes, strict=True):
        data = sim.data[probe]
        values = (data.mean(), data.min(), data.max()) if data.size else ()
        lines.append(
            f"{name:{width}}  {data.shape!s:20}" + "".join(f"{value:12.4g}" for value in values)
        )
    return [*lines, ""]
