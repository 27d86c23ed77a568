"""``nengograd launch``: run a script in several processes that compute together."""

from __future__ import annotations

import argparse
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from nengo.exceptions import ValidationError

from ..files import os_errors
from ..plugin.process_group import ProcessGroup
from .failures import ScriptError

__all__ = ["add"]

_EPILOG = """\
example:
  nengograd launch -n 2 train.py --epochs 10

Each process runs the whole script. Its simulators with device="all" share their minibatches out
over all processes. On several machines, a launcher such as srun or mpirun starts the processes.

Next: the page "From a laptop to a cluster" says what is shared out, and when it pays."""

_GRACE = 5.0
"""Seconds that a process has to end by itself before it is killed."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "launch",
        help="run a script in several processes that train one model together",
        description="Start a script in several processes on this machine. They find each other, "
        "and compute together what asks for it. If one fails, the others are stopped. Ctrl-C "
        "stops all.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-n", "--processes", type=int, required=True, metavar="N", help="how many processes"
    )
    parser.add_argument("script", help="a Python file that makes simulators and runs them")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is given")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Start the processes and wait for them."""
    if not Path(arguments.script).is_file():
        raise ValidationError(f"There is no file {arguments.script!r}", attr="script")
    with os_errors(Path(arguments.script), "script", "read"), open(arguments.script, "rb"):
        pass
    with _terminated_like_interrupted():
        processes: list[subprocess.Popen[bytes]] = []
        try:
            _start([arguments.script, *arguments.arguments], arguments.processes, processes)
            _wait(processes)
        except KeyboardInterrupt:
            _send(processes, signal.SIGINT)
            raise
        finally:
            _end(processes)
    return 0


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """End as after Ctrl-C when the system asks the launcher to end; none may be left running."""

    def stop(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _start(command: Sequence[str], count: int, into: list[subprocess.Popen[bytes]]) -> None:
    coordinator = f"127.0.0.1:{_free_port()}"
    for index in range(count):
        group = ProcessGroup(coordinator, count, index)
        into.append(
            subprocess.Popen(
                [sys.executable, "-m", "nengograd.cli.worker", *command],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **group.environment},
                # A terminal sends Ctrl-C to its whole group, and the launcher passes it on.
                start_new_session=True,
            )
        )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until all have ended, or the first has failed."""
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()

    def await_end(index: int) -> None:
        processes[index].wait()
        ended.put(index)

    for index in range(len(processes)):
        threading.Thread(target=await_end, args=[index], daemon=True).start()
    for _ in processes:
        index = ended.get()
        status = processes[index].returncode
        if status:
            raise ScriptError(
                f"nengograd: process {index} of {len(processes)} {_how(status)}; the others have "
                "been stopped"
            )


def _how(status: int) -> str:
    if status > 0:
        return f"has ended with exit status {status}"
    try:
        return f"was ended by the signal {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by the signal {-status}"


def _send(processes: Sequence[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what still runs: it is asked to, and killed if it does not."""
    until = time.monotonic() + _GRACE
    if sys.exc_info()[0] is not KeyboardInterrupt:
        _send(processes, signal.SIGTERM)
    try:
        for process in processes:
            process.wait(max(until - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        pass
    finally:  # also if Ctrl-C is pressed again meanwhile
        for process in processes:
            process.kill()
            process.wait()
