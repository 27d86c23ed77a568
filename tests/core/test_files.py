"""The writer of all files: whole or not at all, links, modes, left-overs, errors."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import nengo
import pytest
from nengo.exceptions import ValidationError

from nengograd.files import atomic_write, check_writable
from nengograd.simulator.tensorboard import run_folder


def write(path: Path | str, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())


def left_over(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


@pytest.fixture
def umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def test_a_file_appears_when_its_writer_is_done(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert not path.exists()
    assert path.read_text() == "new"
    assert left_over(tmp_path) == []


def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert left_over(tmp_path) == []


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "link.txt", tmp_path / "far" / "target.txt"
    target.write_text("old")
    link.symlink_to(Path("far") / "target.txt")
    write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_the_target_of_a_link_may_be_new(tmp_path: Path) -> None:
    link = tmp_path / "link.txt"
    link.symlink_to("target.txt")
    write(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_keeps_its_mode(tmp_path: Path, umask: None, mode: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    write(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_mode_that_the_system_gives(tmp_path: Path, umask: None) -> None:
    write(tmp_path / "ours", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_replaces_a_private_file_is_private_while_it_is_written(
    tmp_path: Path, umask: None
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o600)
    with atomic_write(path):
        (beside,) = (p for p in tmp_path.iterdir() if p != path)
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    name = "n" * os.pathconf(tmp_path, "PC_NAME_MAX")
    write(tmp_path / name, "new")
    assert (tmp_path / name).read_text() == "new"


WRITE_AND_WAIT = """
import sys, time
from nengograd.files import atomic_write
from nengograd.simulator.tensorboard import run_folder
with atomic_write(sys.argv[1]) as file:
    file.write(b"half of it")
    print("writing", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_has_left_goes_with_the_next_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(tmp_path / "killed.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        write(tmp_path / "a.txt", "x")
        assert len(left_over(tmp_path)) == 1  # it lives, and its file with it
        process.send_signal(signal.SIGKILL)
    assert len(left_over(tmp_path)) == 1
    write(tmp_path / "a.txt", "x")
    assert left_over(tmp_path) == []
    assert not (tmp_path / "killed.txt").exists()


def test_files_of_other_names_are_never_swept_away(tmp_path: Path) -> None:
    for name in (".nengograd-cache", ".nengograd-0123abcd", ".nengograd-0123abcd.tmp.gz"):
        (tmp_path / name).write_text("the user's")
    write(tmp_path / "a.txt", "x")
    assert len(left_over(tmp_path)) == 3


def test_writers_in_many_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(30):
                write(tmp_path / "shared.txt", f"{number}" * 1000)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(set((tmp_path / "shared.txt").read_text())) == 1
    assert left_over(tmp_path) == []


def test_a_device_is_written_directly(tmp_path: Path) -> None:
    write("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def refused(path: Path | str) -> str:
    """What both functions say of a file; the first does so before anything is computed."""
    with pytest.raises(ValidationError) as early:
        check_writable(path)
    with pytest.raises(ValidationError) as late:
        write(path, "x")
    assert str(early.value) == str(late.value)
    return str(late.value)


def test_errors_name_the_file_and_say_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "a.txt"
    assert f"{str(missing)!r} cannot be written: there is no folder" in refused(missing)
    missing.parent.mkdir()  # as it says
    check_writable(missing)
    write(missing, "x")
    assert "is a folder; name a file in it" in refused(tmp_path)
    assert "is no folder; choose another" in refused(missing / "b.txt")
    assert "too long; choose a shorter one" in refused(tmp_path / ("n" * 300))
    (tmp_path / "round").symlink_to("round")
    assert "circle" in refused(tmp_path / "round")
    lost = tmp_path / "lost"
    lost.symlink_to(tmp_path / "nowhere" / "x")
    assert f"there is no folder {str(tmp_path / 'nowhere')!r}" in refused(lost)
    for name in ("", "a\0b", "\ud800x"):
        assert "is no name of a file" in refused(name)
    assert "5 is no name of a file" in refused(5)  # type: ignore[arg-type]


def test_a_write_protected_file_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    # For root, who may run this, no file is protected.
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    assert "change the permissions" in refused(path)
    assert path.read_text() == "old"


def test_a_full_disk_is_an_error_that_says_so() -> None:
    with pytest.raises(ValidationError, match=r"'/dev/full' cannot be written.*free some space"):
        write("/dev/full", "x")


def test_a_file_that_grows_too_large_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(ValidationError, match=r"a.txt' cannot be written.*ulimit"):
            write(path, "x" * 10000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert path.read_text() == "old"
    assert left_over(tmp_path) == []


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    for name in ("a.txt", "b.txt"):
        check_writable(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_for_tensorboard_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValidationError, match=r"run_0' cannot be made.*is no folder"):
        run_folder(str(tmp_path / "file"), nengo.Network(label="net"), None)
    first = run_folder(str(tmp_path), nengo.Network(label="net"), None)
    assert run_folder(str(tmp_path), nengo.Network(label="net"), None) == first[:-1] + "1"
