"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import site
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nengo
import pytest
from hypothesis import HealthCheck, settings

BACKENDS = ("numpy", "tensorflow", "jax")
"""Where tests run: each that takes a `backend`, itself or through `make_sim`, runs on all of them,
or on those that its marks ``needs`` leave."""

# Caches are shared by all environments of a user: a test must not find what another left.
nengo.rc.set("decoder_cache", "enabled", "False")
os.environ["NENGOGRAD_CACHE"] = "off"

# How busy a machine is decides over no test.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def users_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The user's home; the processes that tests start have one of their own.

    Nengo keeps decoders in it unless a file there says otherwise. A process that begins to build
    while another one has the cache locked would warn, at times, where a test expects silence.
    """
    users = str(Path.home())
    home = tmp_path_factory.mktemp("home")
    nengorc = home / ".config" / "nengo" / "nengorc"
    nengorc.parent.mkdir(parents=True)
    nengorc.write_text("[decoder_cache]\nenabled: False\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        # Packages of the user, and what Matplotlib has found out of fonts, stay where they are.
        patch.setenv("PYTHONUSERBASE", site.getuserbase())
        if "MPLCONFIGDIR" not in os.environ:
            patch.setenv("MPLCONFIGDIR", str(Path(users) / ".cache" / "matplotlib"))
        yield users


def need_backend(name: str) -> None:
    """Skip the test if the backend's library is not installed."""
    if name != "numpy" and importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def able(*needs: str) -> list[str]:
    """Those backends that do for a test.

    Parameters
    ----------
    *needs : str
        Capabilities, such as "differentiate", or the name of the only one that does.
    """
    from nengograd.plugin import get_manager

    known = get_manager().backends

    def does(name: str, need: str) -> bool:
        if need in known or need in BACKENDS:
            return name == need
        return bool(getattr(known[name].capabilities, need)) if name in known else False

    # A backend that not all tests run on may be asked for by its name.
    candidates = [need for need in needs if need in known] or BACKENDS
    return [name for name in candidates if all(does(name, need) for need in needs)]


def _needs(item: Any) -> list[str]:
    return [need for mark in item.iter_markers("needs") for need in mark.args]


def pytest_configure(config: pytest.Config) -> None:
    for line in (
        "needs(what): a backend's name or a capability; runs there alone, if it is installed",
        "simulator(**options): what `make_sim` takes as defaults in this module or test",
        "slow: takes more than 5 seconds on an idle machine with two cores",
    ):
        config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each backend that does for it."""
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    names = [n.strip() for g in given for n in (g.split(",") if isinstance(g, str) else g)]
    # A suite of the conformance kit chooses by itself.
    is_suite = hasattr(metafunc.cls, "backend_names")
    if "backend" in metafunc.fixturenames and "backend" not in names and not is_suite:
        backends = able(*_needs(metafunc.definition))
        metafunc.parametrize("backend", backends, scope="session")


_DEFAULT = pytest.StashKey[pytest.MonkeyPatch]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need, or are given, a backend that is not installed.

    In a test that needs a backend by name that one is the default, fixtures included.
    """
    needs = _needs(item)
    named = [need for need in needs if need in BACKENDS]
    item.stash[_DEFAULT] = patch = pytest.MonkeyPatch()
    if named:
        patch.setenv("NENGOGRAD_BACKEND", named[0])
    if needs and "backend" not in getattr(item, "fixturenames", ()):
        found = able(*needs)
        if not found:
            pytest.skip(f"no backend does for {needs}")
        need_backend(found[0])
    given = getattr(item, "callspec", None)
    for value in given.params.values() if given else ():
        if isinstance(value, str) and value in BACKENDS:
            need_backend(value)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Take the default back."""
    if _DEFAULT in item.stash:
        item.stash[_DEFAULT].undo()


def _make(request: pytest.FixtureRequest, backend: str) -> Iterator[Callable[..., Any]]:
    import nengograd

    defaults: dict[str, Any] = {"backend": backend, "dtype": "float64", "progress_bar": False}
    for mark in reversed(list(request.node.iter_markers("simulator"))):
        defaults.update(mark.kwargs)
    made = []

    def make(network: Any, **options: Any) -> Any:
        sim = nengograd.Simulator(network, **{**defaults, **options})
        made.append(sim)
        return sim

    yield make
    for sim in made:
        sim.close()


@pytest.fixture
def make_sim(request: pytest.FixtureRequest, backend: str) -> Iterator[Callable[..., Any]]:
    """Make simulators on the backend, in float64 and without a bar; they are closed at the end.

    The mark ``simulator`` has other defaults.
    """
    yield from _make(request, backend)


@pytest.fixture(scope="module")
def make_shared_sim(request: pytest.FixtureRequest, backend: str) -> Iterator[Callable[..., Any]]:
    """Make simulators as `make_sim` does, to be compiled once for all tests of a module."""
    yield from _make(request, backend)
