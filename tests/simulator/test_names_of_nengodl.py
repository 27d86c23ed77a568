"""Who uses a name of NengoDL that nengograd has not reads what to use instead."""

from __future__ import annotations

import re
import subprocess
import sys

import nengo
import pytest
from nengo.exceptions import ValidationError

import nengograd
from nengograd.nengodl import IN_MODULE, IN_SIMULATOR, SETTINGS


@pytest.fixture(scope="module")
def sim() -> nengograd.Simulator:
    with nengo.Network() as net:
        nengo.Probe(nengo.Node([1.0]))
    with nengograd.Simulator(net, backend="numpy", progress_bar=False) as made:
        yield made


@pytest.mark.parametrize("name", sorted(IN_SIMULATOR))
def test_a_method_of_nengodl_is_an_error_that_says_what_to_use(
    sim: nengograd.Simulator, name: str
) -> None:
    assert not hasattr(sim, name)
    with pytest.raises(AttributeError, match=rf"no attribute '{name}', which NengoDL has: .+"):
        getattr(sim, name)


@pytest.mark.parametrize("name", sorted(IN_MODULE))
def test_a_name_of_nengodl_is_an_error_that_says_what_to_use(name: str) -> None:
    assert not hasattr(nengograd, name)
    with pytest.raises(AttributeError, match=rf"no attribute '{name}', which NengoDL has: .+"):
        getattr(nengograd, name)
    with pytest.raises(ImportError, match=f"no attribute '{name}', which NengoDL has: "):
        exec(f"from nengograd import {name}")


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_of_nengodl_is_an_error_that_says_what_to_use(name: str) -> None:
    with nengo.Network(), pytest.raises(ValidationError, match=f"{name}: is a setting of NengoDL"):
        nengograd.configure_settings(**{name: True})


def test_what_is_advised_exists(sim: nengograd.Simulator) -> None:
    advice = " ".join([*IN_MODULE.values(), *IN_SIMULATOR.values(), *SETTINGS.values()])
    names = set(re.findall(r"\b(sim|nengograd|Simulator)\.(\w+)", advice))
    assert len(names) > 6
    for owner, name in names:
        assert hasattr(nengograd if owner == "nengograd" else sim, name), name
    assert sim.options.minibatch_size is None
    assert sim.options.unroll == 1


def test_other_names_are_plain_errors(sim: nengograd.Simulator) -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'fitt'$"):
        sim.fitt  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'Convertor'$"):
        nengograd.Convertor  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Convertor'"):
        exec("from nengograd import Convertor")


def test_a_script_that_imports_a_name_of_nengodl_ends_with_the_advice() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from nengograd import Converter"], capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1].startswith("ImportError: module 'nengograd' has no")
    assert "nengograd.convert(model)" in done.stderr
