"""``nengograd launch`` starts processes that know of each other, and leaves none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nengo.exceptions import ValidationError

from nengograd.plugin import ProcessGroup

SAY = """
import os, sys
from beside import word
where = [os.environ["NENGOGRAD_" + name] for name in ("PROCESS_ID", "NUM_PROCESSES", "COORDINATOR")]
print(word, __name__, sys.argv, *where)
"""
WAIT = """
import os, sys, time
from pathlib import Path
me = os.environ["NENGOGRAD_PROCESS_ID"]
new = Path(sys.argv[1] + me)  # beside the folder: what is in it is whole
new.write_text(str(os.getpid()))
new.replace(Path(sys.argv[1]) / me)
while len(list(Path(sys.argv[1]).iterdir())) < 3:
    time.sleep(0.01)
"""

SECONDS = 300
"""What processes may take to start, or to end, however busy the machine is."""


def launched(*arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nengograd", "launch", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids(folder: Path, count: int = 3) -> list[int]:
    """The processes of a script that begins with `WAIT`, once all of them run."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found = [int(path.read_text()) for path in folder.iterdir()]
        if len(found) == count:
            return found
        time.sleep(0.02)
    raise AssertionError("the processes have not started")


def test_each_process_runs_the_script_and_knows_its_place(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("word = 'hello'")
    script = tmp_path / "say.py"
    script.write_text(SAY)
    process = launched("-n", "2", str(script), "--epochs", "3", "-n", "5")
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    lines = sorted(out.splitlines())
    arguments = [str(script), "--epochs", "3", "-n", "5"]
    for index, line in enumerate(lines):
        assert line.startswith(f"hello __main__ {arguments} {index} 2 127.0.0.1:")
    assert len({line.split()[-1] for line in lines}) == 1


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("sys.exit(3)", "process 1 of 3 has ended with exit status 3"),
        ("sys.exit('no data')", "process 1 of 3 has ended with exit status 1"),
        ("raise RuntimeError('no data')", "process 1 of 3 has ended with exit status 1"),
        ("os.kill(os.getpid(), 9)", "process 1 of 3 was ended by the signal SIGKILL"),
    ],
)
def test_one_that_fails_ends_the_others(end: str, words: str, tmp_path: Path) -> None:
    script, folder = tmp_path / "wait.py", tmp_path / "pids"
    folder.mkdir()
    script.write_text(f"{WAIT}\nif me == '1':\n    {end}\nprint(me)\ntime.sleep(600)\n")
    process = launched("-n", "3", str(script), str(folder))
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert f"nengograd: {words}; the others have been stopped" in err
    assert "no data" not in end or "no data" in err
    assert "worker.py" not in err
    assert not any(map(is_running, pids(folder)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_deaf", [False, True])
def test_all_end_with_the_launcher(number: signal.Signals, is_deaf: bool, tmp_path: Path) -> None:
    script, folder = tmp_path / "wait.py", tmp_path / "pids"
    folder.mkdir()
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" if is_deaf else ""
    script.write_text(f"{deaf}{WAIT}\ntime.sleep(600)\n")
    process = launched("-n", "3", str(script), str(folder))
    found = pids(folder)
    process.send_signal(number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert err.strip() == "nengograd: stopped"
    assert not any(map(is_running, found))


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    process = launched("-n", "2", str(tmp_path / "none.py"))
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert "There is no file" in err


def test_a_group_is_read_as_it_was_written() -> None:
    group = ProcessGroup("node0:1234", 4, 3)
    assert ProcessGroup.of(group.environment) == group
    assert ProcessGroup.of({}) is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("COORDINATOR", "node0", "an address with a port"),
        ("COORDINATOR", ":12", "an address with a port"),
        ("NUM_PROCESSES", "0", "a whole number of at least 1"),
        ("NUM_PROCESSES", "", "a whole number of at least 1"),
        ("PROCESS_ID", "x", "a whole number from 0 to 3"),
        ("PROCESS_ID", "4", "a whole number from 0 to 3"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(name: str, text: str, words: str) -> None:
    environment = {**ProcessGroup("node0:1234", 4, 3).environment, f"NENGOGRAD_{name}": text}
    with pytest.raises(ValidationError, match=f"NENGOGRAD_{name}: must be {words}"):
        ProcessGroup.of(environment)
