"""What people and machines do to simulators, at random, on every backend that is installed.

    python tests/soak/soak.py --count 20

Each case is tried ``count`` times on each backend:

kill       a process is killed while it saves parameters over an older file
full disk  a file may not grow beyond some size while parameters and profiles are written
flip       some bytes of a file of parameters are changed, or its end is cut off
interrupt  Ctrl-C in the middle of a run, and of a training
fork       a forked process uses a simulator that its parent has used

A case holds if what the documentation promises of it holds: a file is the old one or the new one,
whole; an error is one of Nengo's, and leaves the simulator usable; complete steps are kept;
nothing hangs. The table counts what was tried and what held, and the exit status is 1 if
anything did not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import NengoException

import nengograd
from nengograd.testing import usable_backends

STEPS = 2000
PATIENCE = 300.0
"""Seconds after which something counts as hanging."""


class Broken(Exception):
    """A promise that was not kept."""


def promise(holds: Any, message: str) -> None:
    if not holds:
        raise Broken(message)


def network() -> tuple[nengo.Network, nengo.Node, nengo.Probe]:
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(20 * t))
        ens = nengo.Ensemble(40, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(stimulus, ens)
        nengo.Connection(ens, ens, synapse=0.1)
        return net, stimulus, nengo.Probe(ens, synapse=0.01)


class Subject:
    """A simulator on one backend, the numbers it should give, and a folder to write in.

    Parameters
    ----------
    backend : str
        Name of the backend.
    folder : path
        An empty folder.
    seed : int
        Of all that is done at random.
    """

    def __init__(self, backend: str, folder: Path, seed: int):
        self.backend, self.folder = backend, folder
        self.rng = np.random.RandomState(seed)
        net, self.stimulus, self.probe = network()
        self.sim = nengograd.Simulator(net, backend=backend, dtype="float64", progress_bar=False)
        self.sim.run_steps(STEPS)
        self.right = self.sim.data[self.probe].copy()
        self.can_train = self.train() is None
        self.sim.reset()
        self.good = folder / "good.npz"
        self.sim.save_params(self.good)

    def train(self) -> Exception | None:
        targets = {self.probe: np.zeros((8, 20, 1))}
        try:
            self.sim.train({}, targets, "sgd", n_epochs=3)
        except NengoException as error:
            return error
        return None

    def check_usable(self) -> None:
        """From the start, the simulator gives the numbers it should give."""
        self.sim.reset()
        self.sim.run_steps(20)
        self.check_data(20)
        self.sim.load_params(self.good)

    def check_data(self, steps: int) -> None:
        data = self.sim.data[self.probe]
        promise(len(data) == steps, f"{len(data)} rows of {steps} steps")
        promise(np.allclose(data, self.right[:steps], rtol=1e-9, atol=1e-9), "other numbers")


# -- cases


def kill(subject: Subject) -> None:
    target = subject.folder / "killed.npz"
    shutil.copy(subject.good, target)
    child = subprocess.Popen(
        [sys.executable, __file__, "--save-for-ever", str(target), "--backend", subject.backend],
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        promise(child.stdout.readline() == b"saving\n", "the child does not save")
        time.sleep(subject.rng.uniform(0, 0.05))
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    subject.sim.load_params(target)
    subject.sim.save_params(target)
    left = {p.name for p in subject.folder.iterdir()} - {"good.npz", "killed.npz"}
    promise(not left, f"files are left: {sorted(left)}")
    target.unlink()
    subject.check_usable()


def save_for_ever(path: str, backend: str) -> None:
    net, _, _ = network()
    with nengograd.Simulator(net, backend=backend, dtype="float64", progress_bar=False) as sim:
        sim.save_params(path)
        print("saving", flush=True)
        while True:
            sim.save_params(path)


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def full_disk(subject: Subject) -> None:
    params, profile = subject.folder / "full.npz", subject.folder / "full.json"
    shutil.copy(subject.good, params)
    content = params.read_bytes()
    profile.write_text("{}")
    for write, path in (
        (lambda: subject.sim.save_params(params), params),
        (lambda: subject.sim.run_steps(20, profile=profile), profile),
    ):
        old = path.read_bytes()
        with files_up_to(int(subject.rng.randint(len(content) // 2))):
            try:
                write()
            except (NengoException, OSError) as error:
                # TensorFlow measures into a temporary file.
                named = path.name in str(error) or tempfile.gettempdir() in str(error)
                promise(named, f"the error does not name the file: {error}")
                promise(path.read_bytes() == old, f"{path.name} has changed")
    left = {p.name for p in subject.folder.iterdir()} - {"good.npz", "full.npz", "full.json"}
    promise(not left, f"files are left: {sorted(left)}")
    params.unlink()
    profile.unlink()
    subject.check_usable()


def flip(subject: Subject) -> None:
    path = subject.folder / "flipped.npz"
    content = bytearray(subject.good.read_bytes())
    if subject.rng.randint(4) == 0:
        del content[subject.rng.randint(len(content)) :]
    else:
        for place in subject.rng.randint(len(content), size=subject.rng.randint(1, 4)):
            content[place] ^= 1 << subject.rng.randint(8)
    path.write_bytes(content)
    before, after = subject.folder / "before.npz", subject.folder / "after.npz"
    subject.sim.save_params(before)
    with contextlib.suppress(NengoException):  # anything else is a broken promise
        subject.sim.load_params(path)
    subject.sim.save_params(after)
    with np.load(before) as old, np.load(after) as new:
        for name in old.files:
            promise(np.array_equal(old[name], new[name]), f"{name} has changed")
    for used in (path, before, after):
        used.unlink()


@contextlib.contextmanager
def ctrl_c_after(seconds: float) -> Iterator[None]:
    """Send the process SIGINT in the body after a while, as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGALRM, interrupt)
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, ctrl_c)
        signal.signal(signal.SIGALRM, before)


def interrupt(subject: Subject) -> None:
    sim = subject.sim
    sim.reset()
    with contextlib.suppress(KeyboardInterrupt), ctrl_c_after(subject.rng.uniform(1e-4, 0.05)):
        sim.run_steps(STEPS)
    subject.check_data(sim.n_steps)
    if sim.n_steps < STEPS:
        sim.run_steps(STEPS - sim.n_steps)
    subject.check_data(STEPS)
    if not subject.can_train:
        return
    with contextlib.suppress(KeyboardInterrupt), ctrl_c_after(subject.rng.uniform(1e-4, 0.1)):
        subject.train()
    promise(subject.train() is None, "it cannot be trained any more")
    subject.check_usable()


def fork(subject: Subject) -> None:
    with warnings.catch_warnings():
        # Python itself warns of threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            subject.sim.reset()
            subject.sim.run_steps(20)
            subject.check_data(20)
            status = 0
        except NengoException as error:
            status = 0 if "spawn" in str(error) else 3
        finally:
            os._exit(status)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            promise(status == 0, f"the child ended with {os.waitstatus_to_exitcode(status)}")
            return subject.check_usable()
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise Broken("the forked process hangs")


CASES: dict[str, Callable[[Subject], None]] = {
    "kill": kill,
    "full disk": full_disk,
    "flip": flip,
    "interrupt": interrupt,
    "fork": fork,
}


# -- all of them


def attempt(case: Callable[[Subject], None], subject: Subject) -> str | None:
    """What went wrong, if anything did."""
    try:
        case(subject)
    except Broken as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return None


def soak(backend: str, count: int, seed: int) -> Iterator[tuple[str, int, list[str]]]:
    """Try each case; gives its name, how often it was tried, and what went wrong."""
    for number, (name, case) in enumerate(CASES.items()):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            subject = Subject(backend, Path(folder), 100 * seed + number)
            # A Python child takes a second to start.
            tries = -(-count // 5) if name == "kill" else count
            found = [attempt(case, subject) for _ in range(tries)]
            subject.sim.close()
        yield name, tries, [message for message in found if message is not None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="how often each case is tried")
    parser.add_argument("--seed", type=int, default=0, help="of all that is done at random")
    parser.add_argument("--backend", action="append", help="by default each one installed")
    parser.add_argument("--save-for-ever", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.save_for_ever:
        save_for_ever(arguments.save_for_ever, arguments.backend[0])
    failed = 0
    print(f"{'backend':12} {'case':12} {'tried':>6} {'held':>6}")
    for backend in arguments.backend or usable_backends():
        for name, tried, messages in soak(backend, arguments.count, arguments.seed):
            print(f"{backend:12} {name:12} {tried:6} {tried - len(messages):6}", flush=True)
            failed += len(messages)
            for message in dict.fromkeys(messages):
                print(f"    {message}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
