"""Files of parameters: whole or not there, without pickles, and checked when they are read."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nengo.exceptions import ValidationError

from nengograd.training.params_file import ArrayInfo, open_params
from nengograd.training.params_file import save as save_arrays
from nengograd.training.saved import check_fit

shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
dtypes = st.sampled_from([np.float32, np.float64, np.int32, np.bool_])
names = st.text("abc[]0123.", min_size=1, max_size=12)


def save(path: Path, values: Any) -> Path:
    return save_arrays(path, values, dict.fromkeys(values, "constant"), {"n_steps": 3})


def load(path: Path) -> dict[str, Any]:
    with open_params(path) as file:
        return {name: file.read(name) for name in file.arrays}


@given(st.data(), st.dictionaries(names, st.tuples(dtypes, shapes), max_size=4))
def test_what_is_saved_is_loaded_to_the_bit(
    tmp_path_factory: Any, data: st.DataObject, kinds: Any
) -> None:
    values = {name: data.draw(arrays.arrays(*kind)) for name, kind in kinds.items()}
    path = save(tmp_path_factory.getbasetemp() / "round.npz", values)
    found = load(path)
    assert list(found) == list(values)
    for name, value in values.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert found[name].tobytes() == value.tobytes()


def test_the_order_of_memory_does_not_matter(tmp_path: Path) -> None:
    value = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(load(save(tmp_path / "f.npz", {"a": value}))["a"], value)


def test_the_ending_may_be_left_out(tmp_path: Path) -> None:
    assert save(tmp_path / "my.params", {"a": np.ones(2)}).name == "my.params.npz"
    assert list(load(tmp_path / "my.params")) == ["a"]


def test_a_file_says_its_version_dtypes_and_shapes_and_has_no_pickle(tmp_path: Path) -> None:
    path = save(tmp_path / "p.npz", {"a": np.ones((2, 3), np.float32)})
    with np.load(path, allow_pickle=False) as file:
        header = json.loads(str(file["nengograd_format"][()]))
        assert set(file.files) == {"nengograd_format", "a"}
    about = {"a": {"dtype": "float32", "shape": [2, 3], "role": "constant"}}
    assert header == {"version": 2, "arrays": about, "about": {"n_steps": 3}}


def test_nothing_else_is_left_behind_even_if_saving_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "p.npz", {"a": np.ones(2)})
    assert [p.name for p in tmp_path.iterdir()] == ["p.npz"]

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ValidationError, match="disk full"):
        save(path, {"a": np.zeros(2)})
    assert [p.name for p in tmp_path.iterdir()] == ["p.npz"]
    np.testing.assert_array_equal(load(path)["a"], np.ones(2))


SAVE_FOREVER = """
import sys
import numpy as np
from nengograd.training.params_file import save
for i in range(10**9):
    save(sys.argv[1], {"a": np.full(2_000_000, float(i))}, {"a": "constant"}, {})
    print(i, flush=True)
"""


def test_killed_while_saving_the_old_file_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    rng = np.random.RandomState(0)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", SAVE_FOREVER, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()  # the first is there
            time.sleep(rng.uniform(0, 0.05))  # somewhere within a later one
            process.send_signal(signal.SIGKILL)
        values = load(path)["a"]
        assert len(values) == 2_000_000
        assert len(np.unique(values)) == 1


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="there is no file"):
        load(tmp_path / "missing")
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"a": 1}))
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    np.save(tmp_path / "one.npz", np.ones(2))
    (tmp_path / "one.npz.npy").rename(tmp_path / "one.npz")
    whole = save(tmp_path / "cut.npz", {"a": np.arange(1000.0)})
    whole.write_bytes(whole.read_bytes()[:4000])
    for name in ("text", "pickle", "other", "one", "cut"):
        with pytest.raises(ValidationError, match=f"{name}.npz' cannot be loaded"):
            load(tmp_path / f"{name}.npz")


def write_header(path: Path, text: str, a: Any = 1.0) -> Path:
    np.savez(path, nengograd_format=np.asarray(text), a=np.asarray(a))
    return path


def header(version: Any = 2, **entry: Any) -> str:
    about = {"dtype": "float64", "shape": [2], "role": "constant", **entry}
    return json.dumps({"version": version, "arrays": {"a": about}, "about": {}})


def test_other_formats_and_damage_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    for version, cure in ((3, "update nengograd"), (1, "save the parameters anew")):
        with pytest.raises(ValidationError, match=rf"version {version}.*{cure}"):
            load(write_header(path, header(version), np.ones(2)))
    with pytest.raises(ValidationError, match=r"a is float64 \(2,\), and should be float64 \(3,\)"):
        load(write_header(path, header(shape=[3]), np.ones(2)))
    assert list(load(write_header(path, header(), np.ones(2)))) == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "1",
        "[" * 100_000,
        header("x"),
        header(None),
        header(float("nan")),
        header(shape=[-1]),
        header(shape=[2.5]),
        header(shape=["2"]),
        header(shape=None),
        header(shape=5),
        header(dtype="object"),
        header(dtype="no such"),
        header(dtype="U3"),
        header(role={}, shape=[7]),
        '{"version": 2, "arrays": [], "about": {}}',
        '{"version": 2, "arrays": {}, "about": 5}',
    ],
)
def test_no_header_raises_another_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError, match="cannot be loaded"):
        load(write_header(tmp_path / "p.npz", text, np.ones(2)))


def test_a_huge_shape_costs_neither_memory_nor_time(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    # Compressed zeros: a small file that unfolds to 4 GB.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        text = np.asarray(header(shape=[2]))
        with archive.open("nengograd_format.npy", "w") as member:
            np.lib.format.write_array(member, text)
        with archive.open("a.npy", "w") as member:
            about = {"descr": "<f8", "fortran_order": False, "shape": (2**29,)}
            np.lib.format.write_array_header_1_0(member, about)
            member.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(ValidationError, match=r"a is float64 \(536870912,\)"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_any_damaged_byte_gives_one_kind_of_error_or_changes_nothing(tmp_path: Path) -> None:
    values = {"a": np.linspace(0, 1, 7), "b": np.ones((2, 2), np.float32)}
    path = save(tmp_path / "whole.npz", values)
    whole = path.read_bytes()
    damaged = tmp_path / "damaged.npz"
    rng = np.random.RandomState(0)
    refused = 0
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << rng.randint(8)
        if place % 5 == 0:
            data[place] = rng.randint(256)
        damaged.write_bytes(data)
        try:
            found = load(damaged)
        except ValidationError:
            refused += 1
            continue
        for name, value in found.items():
            np.testing.assert_array_equal(value, values[name])
    assert refused > len(whole) // 2
    for length in rng.randint(0, len(whole), 60):
        damaged.write_bytes(whole[:length])
        with pytest.raises(ValidationError):
            load(damaged)


def test_all_that_does_not_fit_is_listed_at_once() -> None:
    def infos(**shapes: Any) -> dict[str, ArrayInfo]:
        return {n: ArrayInfo(np.dtype(d), s, "") for n, (d, s) in shapes.items()}

    given = infos(a=("f8", (2,)), b=("f8", (2, 3)), extra=("f8", (1,)), i=("i8", (1,)))
    wanted = infos(a=("f4", (2,)), b=("f8", (3, 2)), lost=("f8", (4,)), i=("f8", (1,)))
    with pytest.raises(ValidationError) as caught:
        check_fit(given, wanted)
    text = str(caught.value)
    assert "missing: lost (4,)" in text
    assert "extra: extra (1,)" in text
    assert "misshapen: b is (2, 3), and should be (3, 2)" in text
    assert "of another kind: i is int64, and should be like float64" in text
    assert "a " not in text.replace("extra ", "").replace("a simul", "")
    with pytest.raises(ValidationError) as caught:
        check_fit(given, wanted, partial=True)
    assert "missing" not in str(caught.value)
    assert "extra" not in str(caught.value)
