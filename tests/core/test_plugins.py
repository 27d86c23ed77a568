"""Plugins are found, one that is broken harms no other, and precedence is clear."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import nengo
import pytest
from nengo.exceptions import NengoWarning, ValidationError

import nengograd
from nengograd import hookimpl
from nengograd.plugin.backend import BackendInfo, Capabilities
from nengograd.plugin.builders import NeuronBuilder
from nengograd.plugin.hookspecs import API_VERSION
from nengograd.plugin.manager import (
    BACKEND,
    DISABLE,
    PluginManager,
    get_manager,
    get_registry,
    make_registry,
)


@dataclass
class Distribution:
    """What an entry point knows of the distribution behind it."""

    name: str
    version: str = "1.2"

    @property
    def metadata(self) -> dict[str, str]:
        return {"Name": self.name}


@dataclass
class Point:
    """An entry point."""

    name: str
    plugin: Any
    dist: Any = field(default_factory=lambda: Distribution("nengograd"))

    def load(self) -> Any:
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


@dataclass(frozen=True)
class Named(NeuronBuilder):
    """A builder, or a pass, that is told apart by its name."""

    name: Any

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return J, {}

    def __call__(self, graph: Any) -> None:
        """Change nothing."""


class Plugin:
    """A plugin without hooks."""


def plugin_with(**hooks: Any) -> Any:
    """A plugin whose hooks return, or raise, what is given."""
    plugin = Plugin()

    def returning(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    for name, value in hooks.items():
        # Each has the arguments of its specification, or fewer.
        if name == "neurons":

            def implementation(backend: str, value: Any = value) -> Any:
                return returning(value)
        else:

            def implementation(value: Any = value) -> Any:
                return returning(value)

        setattr(plugin, f"nengograd_{name}", hookimpl(implementation))
    return plugin


def point(name: str, dist: str = "nengograd", plugin: Any = None, **hooks: Any) -> Point:
    return Point(name, plugin if plugin is not None else plugin_with(**hooks), Distribution(dist))


def neurons(plugins: PluginManager) -> dict[type, Any]:
    return make_registry(plugins, "numpy").neurons


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DISABLE, raising=False)
    monkeypatch.delenv(BACKEND, raising=False)


# -- plugins that are broken


def test_a_broken_import_is_reported_with_its_distribution_and_leaves_the_others() -> None:
    points = [
        point("a", "broken-dist", ImportError("no module named gone")),
        point("b", "good-dist", neurons={nengo.LIF: Named("good")}),
    ]
    with pytest.warns(NengoWarning, match=r"'a' of broken-dist 1.2 .*no module named gone") as seen:
        plugins = PluginManager(points=points)
    assert len(seen) == 1
    assert neurons(plugins) == {nengo.LIF: Named("good")}
    assert {info.name: info.error is None for info in plugins.plugins} == {"a": False, "b": True}


@pytest.mark.parametrize(
    "error",
    [SyntaxError("bad"), RuntimeError("bad"), AttributeError("bad"), SystemExit("bad")],
)
def test_whatever_an_import_raises_is_reported(error: BaseException) -> None:
    with pytest.warns(NengoWarning, match=f"{type(error).__name__}.*bad"):
        PluginManager(points=[point("a", "broken-dist", error)])


def test_the_report_says_how_to_silence_it_and_that_works() -> None:
    broken = point("a", "broken-dist", ImportError("gone"))
    with pytest.warns(NengoWarning, match=f"{DISABLE}=a "):
        PluginManager(points=[broken])
    assert PluginManager(points=[broken], disabled={"a"}).plugins == []


def test_a_misspelled_hook_is_reported_with_the_names_there_are() -> None:
    points = [
        point("a", "broken-dist", nuerons={nengo.LIF: Named("bad")}),
        point("b", "good-dist", neurons={nengo.LIF: Named("good")}),
    ]
    with pytest.warns(NengoWarning, match=r"broken-dist.*nengograd_nuerons.*nengograd_neurons"):
        plugins = PluginManager(points=points)
    assert neurons(plugins) == {nengo.LIF: Named("good")}


@pytest.mark.parametrize("others", [(), ("nengograd_lowering",), ("nengograd_passes",)])
def test_a_hook_with_an_unknown_argument_is_reported(others: tuple[str, ...]) -> None:
    class Bad:
        @hookimpl
        def nengograd_neurons(self, backed: str) -> Any:
            return {nengo.LIF: Named("bad")}

    for name in others:
        # Hooks of the plugin that are right are left out with it.
        setattr(Bad, name, hookimpl(lambda self: {"bad": "bad"}))
    points = [
        point("a", "broken-dist", Bad()),
        point("b", "good-dist", neurons={nengo.LIF: Named(1)}),
    ]
    complaint = (
        r"broken-dist.*cannot be registered: nengograd_neurons asks for the argument 'backed'; "
        r"those of the hook are \['backend', 'family'\], of which any may be left out"
    )
    with pytest.warns(NengoWarning, match=complaint):
        plugins = PluginManager(points=points)
    found = make_registry(plugins, "numpy")
    assert found.neurons == {nengo.LIF: Named(1)}
    assert found.lowering == found.passes == {}


def test_a_hook_without_arguments_says_that_it_has_none() -> None:
    class Bad:
        @hookimpl
        def nengograd_passes(self, graph: Any) -> Any:
            return {}

    with pytest.warns(NengoWarning, match="asks for the argument 'graph'; the hook has none"):
        PluginManager([Bad()], points=[])


def test_an_argument_with_a_default_is_the_plugins_own() -> None:
    class Fine:
        @hookimpl
        def nengograd_neurons(self, backend: str, mine: int = 1) -> Any:
            return {nengo.LIF: Named(mine)}

    assert neurons(PluginManager([Fine()], points=[])) == {nengo.LIF: Named(1)}


class InstanceNeeded:
    @hookimpl
    def nengograd_neurons(self) -> Any:
        return {nengo.LIF: Named("good")}


class NoInstanceNeeded:
    @staticmethod
    @hookimpl
    def nengograd_neurons() -> Any:
        return {nengo.LIF: Named("good")}


def test_a_class_in_the_place_of_an_instance_is_told_to_be_one() -> None:
    complaint = r"InstanceNeeded is a class, .*: give an instance, InstanceNeeded\(\)"
    with pytest.warns(NengoWarning, match=complaint):
        PluginManager([InstanceNeeded], points=[])
    with pytest.warns(NengoWarning, match=complaint):
        PluginManager(points=[point("a", "class-dist", InstanceNeeded)])
    assert neurons(PluginManager([InstanceNeeded()], points=[])) == {nengo.LIF: Named("good")}


def test_a_class_whose_hooks_need_no_instance_is_a_plugin() -> None:
    assert neurons(PluginManager([NoInstanceNeeded], points=[])) == {nengo.LIF: Named("good")}


def test_a_hook_that_raises_is_reported_once_and_its_plugin_left_out() -> None:
    points = [
        point("a", "broken-dist", neurons=ZeroDivisionError("oops"), passes={"99-a": Named("bad")}),
        point("b", "good-dist", neurons={nengo.LIF: Named("good")}, passes={"99-b": Named("good")}),
    ]
    plugins = PluginManager(points=points)
    with pytest.warns(NengoWarning, match=r"broken-dist.*nengograd_neurons.*oops") as seen:
        found = make_registry(plugins, "numpy")
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = make_registry(plugins, "numpy")
    assert found.neurons == again.neurons == {nengo.LIF: Named("good")}
    assert found.passes == again.passes == {"99-b": Named("good")}


def test_a_plugin_without_hooks_does_no_harm() -> None:
    plugins = PluginManager(points=[point("a", "empty-dist")])
    (info,) = plugins.plugins
    assert info.hooks == []
    assert str(info) == "plugin 'a' of empty-dist 1.2"


def forgetful(*marked: str) -> Any:
    """A module with two functions named like hooks, of which some are marked."""
    module = ModuleType("forgetful")
    for name in ("nengograd_neurons", "nengograd_processes"):

        def hook(backend: str) -> Any:
            return {}

        setattr(module, name, hookimpl(hook) if name in marked else hook)
    return module


@pytest.mark.parametrize(
    ("plugin", "complaint"),
    [
        (
            forgetful(),
            "has no hooks; nengograd_neurons, nengograd_processes lack @nengograd.hookim",
        ),
        (forgetful("nengograd_neurons"), "nengograd_processes lacks @nengograd.hookimpl"),
        (ModuleType("empty"), "has no hooks: none of its functions is marked @nengograd.hookimpl"),
        (object(), "has no hooks: none of its functions"),
    ],
    ids=["none", "one", "module", "object"],
)
def test_a_plugin_given_by_hand_that_lacks_hooks_is_told_which(plugin: Any, complaint: str) -> None:
    with pytest.warns(NengoWarning, match=complaint):
        PluginManager([plugin], points=[])


def test_an_installed_plugin_is_told_which_function_is_not_marked() -> None:
    with pytest.warns(NengoWarning, match=r"forgetful-dist.*nengograd_neurons.*lack @nengograd"):
        PluginManager(points=[point("a", "forgetful-dist", forgetful())])


def test_a_plugin_may_be_an_object_that_cannot_be_hashed() -> None:
    @dataclass
    class Configured:
        value: int

        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return {nengo.LIF: Named(self.value)}

    assert neurons(PluginManager([Configured(3)], points=[])) == {nengo.LIF: Named(3)}


def test_an_entry_point_without_a_distribution_is_listed_as_unknown() -> None:
    plugins = PluginManager(points=[Point("a", plugin_with(), dist=None)])
    assert plugins.plugins[0].distribution == "unknown"


@pytest.mark.parametrize(
    ("hooks", "complaint"),
    [
        ({"neurons": {nengo.LIF: Named}}, r"the class Named; make an instance, Named\(\)"),
        ({"neurons": {nengo.LIF: "LIF"}}, "'LIF', which is no NeuronBuilder, for LIF"),
        ({"neurons": {nengo.LIF(): Named(1)}}, r"the key LIF\(\); its keys are classes"),
        (
            {"neurons": {nengo.Lowpass: Named(1)}},
            "the class Lowpass; it is asked for neuron types alone; nengograd_processes is asked "
            "for processes",
        ),
        ({"neurons": {Named: Named(1)}}, "the class Named; it is asked for neuron types alone"),
        ({"lowering": {nengo.LIF: print}}, "alone; nengograd_neurons is asked for neuron types"),
        ({"neurons": [Named(1)]}, "a list; a dict is needed"),
        ({"passes": {"99-a": "no function"}}, "'no function', which cannot be called"),
        ({"passes": {nengo.LIF: Named(1)}}, "its keys are names"),
    ],
)
def test_a_hook_that_returns_what_it_must_not_is_reported_and_left_out(
    hooks: Any, complaint: str
) -> None:
    points = [point("a", "broken-dist", **hooks), point("b", "good-dist", neurons={nengo.Tanh: 1})]
    points[1] = point("b", "good-dist", neurons={nengo.Tanh: Named(1)})
    plugins = PluginManager(points=points)
    with pytest.warns(NengoWarning, match=f"(?s)broken-dist.*{complaint}"):
        found = make_registry(plugins, "numpy")
    assert found.neurons == {nengo.Tanh: Named(1)}
    assert found.passes == {}


@pytest.mark.parametrize(
    ("version", "cure"), [(API_VERSION + 1, "upgrade nengograd"), (0, "upgrade the plugin")]
)
def test_a_plugin_for_another_version_of_the_hooks_is_left_out(version: int, cure: str) -> None:
    plugin = plugin_with(neurons={nengo.LIF: Named("other")})
    plugin.nengograd_api = version
    with pytest.warns(NengoWarning, match=f"version {version} .* version {API_VERSION}: {cure}"):
        plugins = PluginManager(points=[point("a", "other-dist", plugin)])
    assert neurons(plugins) == {}


def test_a_plugin_may_say_for_which_version_of_the_hooks_it_was_written() -> None:
    plugin = plugin_with(neurons={nengo.LIF: Named("same")})
    plugin.nengograd_api = API_VERSION
    assert neurons(PluginManager([plugin], points=[])) == {nengo.LIF: Named("same")}


# -- precedence


def test_two_third_parties_for_one_type_are_an_error_that_names_both() -> None:
    points = [
        point("a", "one-dist", neurons={nengo.LIF: Named(1)}),
        point("b", "other-dist", neurons={nengo.LIF: Named(2)}),
    ]
    plugins = PluginManager(points=points)
    with pytest.raises(ValidationError, match="LIF") as caught:
        neurons(plugins)
    for word in ("one-dist", "other-dist", DISABLE, "nengograd_neurons"):
        assert word in str(caught.value)
    for choice, value in (("a", 2), ("other-dist", 1)):
        assert neurons(PluginManager(points=points, disabled={choice})) == {nengo.LIF: Named(value)}


def test_two_third_parties_for_two_types_live_together() -> None:
    points = [
        point("a", "one-dist", neurons={nengo.LIF: Named(1)}),
        point("b", "other-dist", neurons={nengo.Tanh: Named(2)}),
    ]
    assert neurons(PluginManager(points=points)) == {nengo.LIF: Named(1), nengo.Tanh: Named(2)}


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_third_party_comes_before_first_party(names: tuple[str, str]) -> None:
    points = [
        point(names[0], neurons={nengo.LIF: Named("ours"), nengo.Tanh: Named("ours")}),
        point(names[1], "other-dist", neurons={nengo.LIF: Named("theirs")}),
    ]
    plugins = PluginManager(points=points)
    assert neurons(plugins) == {nengo.LIF: Named("theirs"), nengo.Tanh: Named("ours")}
    origins = make_registry(plugins, "numpy").origins["neurons"]
    assert origins[nengo.LIF].distribution == "other-dist"


def test_among_ours_that_of_a_backend_comes_before_the_general_one() -> None:
    points = [
        point("builtin", neurons={nengo.LIF: Named("general")}),
        point("tensorflow", neurons={nengo.LIF: Named("special")}),
    ]
    assert neurons(PluginManager(points=points)) == {nengo.LIF: Named("special")}


def test_plugins_given_by_hand_come_first() -> None:
    points = [
        point("a", neurons={nengo.LIF: Named("ours")}),
        point("b", "other-dist", neurons={nengo.LIF: Named("theirs")}),
    ]
    plugins = PluginManager([plugin_with(neurons={nengo.LIF: Named("mine")})], points=points)
    assert neurons(plugins) == {nengo.LIF: Named("mine")}


def test_a_plugin_given_by_hand_settles_a_quarrel_of_others() -> None:
    points = [
        point("a", "one-dist", neurons={nengo.LIF: Named(1)}),
        point("b", "other-dist", neurons={nengo.LIF: Named(2)}),
    ]
    plugins = PluginManager([plugin_with(neurons={nengo.LIF: Named("mine")})], points=points)
    assert neurons(plugins) == {nengo.LIF: Named("mine")}


def test_passes_run_in_the_order_of_their_names() -> None:
    points = [
        point("a", passes={"50-b": Named(2), "90-c": Named(3)}),
        point("z", "other-dist", passes={"10-a": Named(1), "60-d": Named(4)}),
    ]
    found = make_registry(PluginManager(points=points), "numpy")
    assert list(found.passes) == ["10-a", "50-b", "60-d", "90-c"]


def test_hooks_learn_for_which_backend_they_are_asked() -> None:
    class Asked:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return {nengo.LIF: Named(f"for {backend}")}

    plugins = PluginManager([Asked()], points=[])
    assert make_registry(plugins, "jax").neurons == {nengo.LIF: Named("for jax")}


def test_a_hook_may_return_nothing() -> None:
    plugins = PluginManager([plugin_with(neurons=None)], points=[])
    assert neurons(plugins) == {}


# -- leaving plugins out


def names(plugins: PluginManager) -> list[str]:
    return sorted(info.name for info in plugins.plugins)


def test_plugins_can_be_left_out_by_name_by_distribution_or_all_at_once() -> None:
    points = [point("ours"), point("a", "one-dist"), point("b", "one-dist"), point("c", "c-dist")]

    def kept(*disabled: str) -> list[str]:
        return names(PluginManager(disabled=disabled, points=points))

    assert kept() == ["a", "b", "c", "ours"]
    assert kept("a") == ["b", "c", "ours"]
    assert kept("one-dist", "c") == ["ours"]
    assert kept("all") == ["ours"]
    assert kept("ours", "all") == []


@pytest.mark.parametrize(
    "value", ["builtin tensorflow", "builtin,tensorflow", " tensorflow, builtin"]
)
def test_the_environment_leaves_plugins_out(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    before = names(get_manager())
    monkeypatch.setenv(DISABLE, value)
    assert names(get_manager()) == [
        name for name in before if name not in ("builtin", "tensorflow")
    ]
    assert nengo.Tanh not in get_registry("numpy").neurons
    monkeypatch.delenv(DISABLE)
    assert names(get_manager()) == before
    assert nengo.Tanh in get_registry("numpy").neurons


def test_a_plugin_that_is_left_out_is_not_imported() -> None:
    broken = point("a", "broken-dist", AssertionError("imported"))
    PluginManager(points=[broken], disabled=["broken-dist"])


# -- backends


def backend_info(*requires: str, **what: Any) -> BackendInfo:
    def refuse() -> Any:
        raise AssertionError("loaded before it was asked for")

    return BackendInfo(refuse, requires=requires, **what)


def with_backends(**infos: BackendInfo) -> PluginManager:
    return PluginManager([plugin_with(backends=infos)], points=[])


def test_an_unknown_backend_is_an_error_that_lists_the_known() -> None:
    plugins = with_backends(one=backend_info(), other=backend_info())
    with pytest.raises(ValidationError, match=r"'oen'.*\['one', 'other'\]"):
        plugins.choose("oen")


def test_a_backend_without_its_packages_is_an_error_that_says_how_to_get_them() -> None:
    plugins = with_backends(
        one=backend_info("sys", "not_there_a", "not_there_b", install="pip install one")
    )
    assert list(plugins.backends) == ["one"]
    with pytest.raises(ValidationError) as caught:
        plugins.choose("one")
    for words in ("'one'", "not_there_a, not_there_b", "(pip install one)"):
        assert words in str(caught.value)


def test_by_default_the_usable_backend_of_the_highest_preference_is_chosen() -> None:
    first = backend_info(preference=5)
    lacking = backend_info("not_there", preference=9)
    assert with_backends(a=backend_info(), b=first, c=backend_info()).choose(None) == "b"
    assert with_backends(a=backend_info(), b=first, c=lacking).choose(None) == "b"
    assert with_backends(y=lacking, x=backend_info()).choose(None) == "x"


def test_what_a_backend_cannot_do_names_the_usable_ones_that_can() -> None:
    able = Capabilities(differentiate=True)
    plain = backend_info()
    trains = backend_info(capabilities=able)
    best = backend_info(capabilities=able, preference=1)
    plugins = with_backends(plain=plain, trains=trains, best=best)
    assert plugins.with_capability("differentiate") == ["best", "trains"]
    plugins.require("trains", "differentiate", "differentiate")
    with pytest.raises(ValidationError, match="'plain' cannot fly; use backend='best' or 'trains'"):
        plugins.require("plain", "differentiate", "fly")
    gone = backend_info("not_there", capabilities=able, install="pip install gone")
    with pytest.raises(ValidationError, match="install one that can: pip install gone"):
        with_backends(plain=plain, gone=gone).require("plain", "differentiate", "differentiate")


def test_builders_of_a_family_serve_each_backend_of_it() -> None:
    class Family:
        @hookimpl
        def nengograd_neurons(self, family: str) -> Any:
            return {nengo.LIF: Named("fast")} if family == "fruit" else {}

        @hookimpl
        def nengograd_backends(self) -> Any:
            fruit = backend_info(family="fruit")
            return {"apple": fruit, "pear": fruit, "stone": backend_info()}

    plugins = PluginManager([Family()], points=[])
    for name in ("apple", "pear"):
        assert make_registry(plugins, name).neurons == {nengo.LIF: Named("fast")}
    assert make_registry(plugins, "stone").neurons == {}


def test_the_environment_names_the_backend_and_the_argument_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preferred = backend_info(preference=1)
    plugins = with_backends(one=backend_info(), numpy=backend_info(), tensorflow=preferred)
    monkeypatch.setenv(BACKEND, "one")
    assert plugins.choose(None) == "one"
    assert plugins.choose("numpy") == "numpy"
    monkeypatch.setenv(BACKEND, "")
    assert plugins.choose(None) == "tensorflow"
    monkeypatch.setenv(BACKEND, "gone")
    with pytest.raises(ValidationError, match="gone"):
        plugins.choose(None)


def test_the_environment_names_the_backend_of_a_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND, "numpy")
    with nengograd.Simulator(nengo.Network(), progress_bar=False) as sim:
        assert sim.backend == "numpy"


def test_without_any_backend_a_simulator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE, "nengograd")
    with pytest.raises(ValidationError, match="backend"):
        nengograd.Simulator(nengo.Network(), progress_bar=False)


# -- events


class Listener:
    def __init__(self, error: Exception | None = None):
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.error = error

    @hookimpl
    def nengograd_event(self, name: str, info: dict[str, Any]) -> None:
        self.heard.append((name, dict(info)))
        if self.error is not None:
            raise self.error


def small_network() -> nengo.Network:
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(5, 1))
    return net


def run_with(*plugins: Any) -> Any:
    net = small_network()
    with nengograd.Simulator(net, backend="numpy", plugins=plugins, progress_bar=False) as sim:
        sim.run_steps(3)
        sim.run_steps(2)
    return sim


def test_plugins_hear_what_happens_and_how_long_it_took() -> None:
    listener = Listener()
    sim = run_with(listener)
    assert [name for name, _ in listener.heard] == ["assembled", "compiled", "ran", "ran"]
    assert all(info["seconds"] >= 0 for _, info in listener.heard)
    told = [info for _, info in listener.heard]
    assert told[0]["program"] is sim.program
    assert told[1]["backend"] == "numpy"
    assert [info["steps"] for info in told[2:]] == [3, 2]


def test_an_exception_in_an_event_only_warns() -> None:
    bad, good = Listener(RuntimeError("cannot listen")), Listener()
    with pytest.warns(NengoWarning, match=r"nengograd_event.*cannot listen") as seen:
        sim = run_with(bad, good)
    assert sim.n_steps == 5
    assert len(bad.heard) == 1
    assert len(good.heard) == 4
    assert len([w for w in seen if "cannot listen" in str(w.message)]) == 1


def test_plugins_of_one_simulator_are_not_those_of_the_next() -> None:
    listener = Listener()
    run_with(listener)
    run_with()
    assert len(listener.heard) == 4


# -- import


def modules_after(code: str, whole: bool = False) -> Sequence[str]:
    """Modules that a fresh interpreter has imported after running code; their first names."""
    name = "name" if whole else "name.partition('.')[0]"
    report = f"import sys; print(*sorted({{{name} for name in sys.modules}}))"
    script = textwrap.dedent(code) + "\n" + report
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    return done.stdout.splitlines()[-1].split()


HEAVY = {"tensorflow", "keras", "jax", "torch"}


def test_importing_nengograd_imports_no_backend() -> None:
    loaded = set(modules_after("import nengograd"))
    assert "nengograd" in loaded
    assert not loaded & (HEAVY | {"nengograd_numpy", "nengograd_tensorflow"})


def test_listing_plugins_imports_no_backend() -> None:
    loaded = set(modules_after("import nengograd.cli; nengograd.cli.main(['plugins'])"))
    assert "nengograd_numpy" in loaded
    assert not loaded & HEAVY


def test_a_simulator_of_one_backend_imports_no_other() -> None:
    loaded = set(
        modules_after("""
            import nengo, nengograd
            with nengograd.Simulator(nengo.Network(), backend="numpy", progress_bar=False) as sim:
                sim.run_steps(2)
        """)
    )
    assert not loaded & HEAVY


def test_a_run_imports_nothing_for_pictures_or_graphs() -> None:
    loaded = set(
        modules_after(
            """
            import nengo, nengograd
            with nengo.Network() as net:
                nengo.Probe(nengo.Ensemble(10, 1))
            with nengograd.Simulator(net, backend="numpy", progress_bar=False) as sim:
                sim.run_steps(2)
            """,
            whole=True,
        )
    )
    later = {"diagram", "plot", "export"}
    assert not loaded & {"scipy.sparse.csgraph", *(f"nengograd.{name}" for name in later)}
