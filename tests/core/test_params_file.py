"""Files of parameters: whole or not there, without pickles, and checked when they are read."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nengo.exceptions import ValidationError

from nengograd.training.params_file import check_fit, load, save

shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
dtypes = st.sampled_from([np.float32, np.float64])
names = st.text("abc[]0123.", min_size=1, max_size=12)


@given(
    st.dictionaries(
        names, arrays.arrays(dtypes, shapes, elements=st.floats(-1e6, 1e6, width=32)), max_size=4
    )
)
def test_what_is_saved_is_loaded_to_the_bit(tmp_path_factory: Any, values: Any) -> None:
    path = save(tmp_path_factory.getbasetemp() / "round.npz", values)
    found = load(path)
    assert list(found) == list(values)
    for name, value in values.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


def test_the_ending_may_be_left_out(tmp_path: Path) -> None:
    assert save(tmp_path / "my.params", {"a": np.ones(2)}).name == "my.params.npz"
    assert list(load(tmp_path / "my.params")) == ["a"]


def test_a_file_says_its_version_dtypes_and_shapes_and_has_no_pickle(tmp_path: Path) -> None:
    path = save(tmp_path / "p.npz", {"a": np.ones((2, 3), np.float32)})
    with np.load(path, allow_pickle=False) as file:
        header = json.loads(str(file["nengograd_format"][()]))
        assert set(file.files) == {"nengograd_format", "a"}
    assert header == {"version": 1, "parameters": {"a": {"dtype": "float32", "shape": [2, 3]}}}


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
    save(sys.argv[1], {"a": np.full(2_000_000, float(i))})
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


def test_later_formats_and_damage_are_told_apart(tmp_path: Path) -> None:
    def write(version: int, shape: list[int]) -> Path:
        about = {"a": {"dtype": "float64", "shape": shape}}
        header = json.dumps({"version": version, "parameters": about})
        np.savez(tmp_path / "p.npz", nengograd_format=np.asarray(header), a=np.ones(2))
        return tmp_path / "p.npz"

    with pytest.raises(ValidationError, match=r"version 2.*update nengograd"):
        load(write(2, [2]))
    with pytest.raises(ValidationError, match=r"damaged: a is float64 \(2,\)"):
        load(write(1, [3]))


def test_all_that_does_not_fit_is_listed_at_once() -> None:
    given = {"a": np.ones(2), "b": np.ones((2, 3)), "extra": np.ones(1), "i": np.ones(1, int)}
    with pytest.raises(ValidationError) as caught:
        check_fit(given, {"a": (2,), "b": (3, 2), "lost": (4,), "i": (1,)})
    text = str(caught.value)
    assert "missing: lost (4,)" in text
    assert "extra: extra (1,)" in text
    assert "misshapen: b is (2, 3), and should be (3, 2)" in text
    assert "not of floats: i is int64" in text
    assert "a " not in text.replace("extra ", "")
