"""Hooks are called as pluggy calls them: in its order, and through wrappers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import nengo
import pytest
from nengo.exceptions import NengoWarning, ValidationError

import nengograd
from nengograd import hookimpl
from nengograd.plugin.builders import NeuronBuilder
from nengograd.plugin.leaving_out import DISABLE, disabled_names
from nengograd.plugin.manager import PluginManager, get_manager, make_registry


@dataclass(frozen=True)
class Named(NeuronBuilder):
    """A builder that is told apart by its name."""

    name: Any

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return J, {}


@dataclass(frozen=True)
class Plain:
    """A plugin with one builder for one type; all such plugins compare equal."""

    name: Any = field(compare=False)
    kind: type = field(default=nengo.LIF, compare=False)

    @hookimpl
    def nengograd_neurons(self, backend: str) -> Any:
        return {self.kind: Named(self.name)}


class First(Plain):
    @hookimpl(tryfirst=True)
    def nengograd_neurons(self, backend: str) -> Any:
        return {self.kind: Named(self.name)}


class Last(Plain):
    @hookimpl(trylast=True)
    def nengograd_neurons(self, backend: str) -> Any:
        return {self.kind: Named(self.name)}


def installed(name: str, plugin: Any, distribution: str = "other-dist") -> Any:
    """An entry point."""
    dist = SimpleNamespace(metadata={"Name": distribution}, version="1.2")
    return SimpleNamespace(name=name, dist=dist, load=lambda: plugin)


def neurons(*plugins: Any, points: Any = (), backend: str = "numpy") -> dict[type, Any]:
    return make_registry(PluginManager(plugins, points=points), backend).neurons


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DISABLE, raising=False)


# -- order


def test_tryfirst_settles_who_goes_first_among_equals() -> None:
    for plugins in ((Plain(1), First(2)), (First(2), Plain(1))):
        assert neurons(*plugins) == {nengo.LIF: Named(2)}
    with pytest.raises(ValidationError, match=r"Both .* return a result for LIF"):
        neurons(First(1), First(2))


def test_tryfirst_does_not_go_before_plugins_given_by_hand() -> None:
    found = neurons(Plain("mine"), points=[installed("a", First("theirs"))])
    assert found == {nengo.LIF: Named("mine")}


def test_trylast_counts_where_there_is_no_other_result() -> None:
    ours = installed("builtin", Plain("ours"), "nengograd")
    assert neurons(Last("mine"), points=[ours]) == {nengo.LIF: Named("ours")}
    assert neurons(Last("mine"), Plain("other")) == {nengo.LIF: Named("other")}
    assert neurons(Last("mine")) == {nengo.LIF: Named("mine")}


def test_events_are_told_in_pluggys_order() -> None:
    told: list[str] = []

    def listener(name: str, **options: Any) -> Any:
        class Listener:
            @hookimpl(**options)
            def nengograd_event(self) -> None:
                told.append(name)

        return Listener()

    plugins = [
        listener("first", tryfirst=True), listener("a"), listener("b"),
        listener("last", trylast=True),
    ]  # fmt: skip
    PluginManager(plugins, points=[]).event("ran", seconds=0.0)
    assert told == ["first", "b", "a", "last"]


# -- wrappers


class Timed(Named):
    """What a wrapper makes of a builder."""


def new_style(change: Any) -> Any:
    class Plugin:
        @hookimpl(wrapper=True)
        def nengograd_neurons(self, backend: str) -> Iterator[None]:
            return change((yield))

    return Plugin()


def old_style(change: Any) -> Any:
    class Plugin:
        @hookimpl(hookwrapper=True)
        def nengograd_neurons(self) -> Iterator[None]:
            outcome = yield
            outcome.force_result(change(outcome.get_result()))

    return Plugin()


STYLES = pytest.mark.parametrize("style", [new_style, old_style])


@STYLES
def test_a_wrapper_changes_what_others_return_and_precedence_stays(style: Any) -> None:
    def timed(results: Any) -> Any:
        return [{k: Timed(v.name) for k, v in mapping.items()} for mapping in results]

    points = [
        installed("builtin", Plain("general"), "nengograd"),
        installed("numpy", Plain("special"), "nengograd"),
        installed("tanh", Plain("theirs", nengo.Tanh)),
    ]
    found = neurons(style(timed), points=points)
    assert found == {nengo.LIF: Timed("special"), nengo.Tanh: Timed("theirs")}
    assert neurons(style(timed), Plain("mine"), points=points)[nengo.LIF] == Timed("mine")


@STYLES
def test_what_a_wrapper_adds_is_its_own(style: Any) -> None:
    def added(results: Any) -> Any:
        return [*results, {nengo.Sigmoid: Named("added")}, None]

    plugins = PluginManager([style(added)], points=[installed("a", Plain("theirs"))])
    registry = make_registry(plugins, "numpy")
    assert registry.neurons == {nengo.LIF: Named("theirs"), nengo.Sigmoid: Named("added")}
    origins = registry.origins["neurons"]
    assert origins[nengo.LIF].distribution == "other-dist"
    assert origins[nengo.Sigmoid].distribution == "plugins=[...]"


@STYLES
def test_a_wrapper_may_join_or_change_mappings_in_place_and_no_other_model_sees_it(
    style: Any,
) -> None:
    kept = {nengo.LIF: Named("theirs")}

    class Keeps:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return kept

    def joined(results: Any) -> Any:
        return [{key: value for mapping in results for key, value in mapping.items()}]

    def in_place(results: Any) -> Any:
        results[0][nengo.LIF] = Timed("changed")
        return results

    ours = installed("builtin", Plain("ours", nengo.Tanh), "nengograd")
    both = {nengo.LIF: Named("theirs"), nengo.Tanh: Named("ours")}
    assert neurons(style(joined), Keeps(), points=[ours]) == both
    assert neurons(style(in_place), Keeps()) == {nengo.LIF: Timed("changed")}
    assert kept == {nengo.LIF: Named("theirs")}


def test_a_wrapper_of_events_runs_around_the_others() -> None:
    told: list[str] = []

    class Around:
        @hookimpl(wrapper=True)
        def nengograd_event(self, name: str, info: Any) -> Iterator[None]:
            told.append(f"before {name}")
            result = yield
            told.append(f"after {name}")
            return result

    class Listener:
        @hookimpl
        def nengograd_event(self, name: str) -> None:
            told.append(name)

    PluginManager([Listener(), Around()], points=[]).event("ran", seconds=0.0)
    assert told == ["before ran", "ran", "after ran"]


def before_yield() -> Iterator[None]:
    raise ZeroDivisionError("oops")
    yield


def after_yield() -> Iterator[None]:
    yield
    raise ZeroDivisionError("oops")


def twice() -> Iterator[None]:
    yield
    yield


def never() -> Iterator[None]:
    if not never:
        yield


def no_list() -> Any:
    yield
    return {}


def no_builder() -> Any:
    yield
    return [{nengo.LIF: "fast"}]


FAILURES = [
    (before_yield, "ZeroDivisionError: oops"),
    (after_yield, "ZeroDivisionError: oops"),
    (twice, "yields twice"),
    (never, "does not yield"),
]
# What an old wrapper returns does not count.
RETURNS = [
    (no_list, "a dict; a list is needed"),
    (no_builder, "'fast', which is no NeuronBuilder, for LIF"),
]


@pytest.mark.parametrize(
    ("option", "function", "complaint"),
    [("wrapper", *case) for case in (*FAILURES, *RETURNS)]
    + [("hookwrapper", *case) for case in FAILURES],
)
def test_a_wrapper_that_fails_is_reported_and_harms_no_other(
    option: str, function: Any, complaint: str
) -> None:

    class Plugin:
        @hookimpl(**{option: True})
        def nengograd_neurons(self) -> Any:
            return (yield from function())

    plugin = Plugin()
    with pytest.warns(NengoWarning, match=f"'Plugin #0' .*nengograd_neurons.*{complaint}") as seen:
        assert neurons(plugin, Plain("good")) == {nengo.LIF: Named("good")}
    assert len(seen) == 1


def test_a_wrapper_that_cannot_yield_is_reported() -> None:
    class Plugin:
        @hookimpl(wrapper=True)
        def nengograd_neurons(self, backend: str) -> Any:
            return {}

    with pytest.warns(NengoWarning, match="wrapper of nengograd_neurons .* one yield"):
        assert neurons(Plugin(), Plain("good")) == {nengo.LIF: Named("good")}


# -- names


def test_a_hook_may_be_implemented_under_another_name() -> None:
    class Plugin:
        @hookimpl(specname="nengograd_neurons")
        def faster(self, backend: str) -> Any:
            return {nengo.LIF: Named(f"{backend} 1")}

        @hookimpl(specname="nengograd_neurons")
        def more(self, backend: str) -> Any:
            return {nengo.Tanh: Named(f"{backend} 2")}

    plugins = PluginManager([Plugin()], points=[])
    assert make_registry(plugins, "x").neurons == {
        nengo.LIF: Named("x 1"),
        nengo.Tanh: Named("x 2"),
    }
    assert plugins.plugins[0].hooks == ["nengograd_neurons"]


def test_a_hook_that_is_optional_need_not_exist() -> None:
    class Plugin(Plain):
        @hookimpl(optionalhook=True)
        def nengograd_of_the_future(self) -> Any:
            raise AssertionError

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins = PluginManager([Plugin("good")], points=[])
        assert make_registry(plugins, "numpy").neurons == {nengo.LIF: Named("good")}
    assert plugins.plugins[0].hooks == ["nengograd_neurons"]


def test_plugins_that_compare_equal_are_two() -> None:
    one, other = Plain(1, nengo.LIF), Plain(2, nengo.Tanh)
    assert one == other
    assert neurons(one, other) == {nengo.LIF: Named(1), nengo.Tanh: Named(2)}
    # And one that is installed may be given by hand as well.
    plugins = PluginManager([one], points=[installed("a", one)])
    assert make_registry(plugins, "numpy").neurons == {nengo.LIF: Named(1)}


# -- advice of errors, followed


def broken(name: str, distribution: str = "broken-dist") -> Any:
    point = installed(name, None, distribution)

    def load() -> Any:
        raise ImportError("gone")

    point.load = load
    return point


def disabled_by(advice: str) -> set[str]:
    """The plugins that a user leaves out who does what a message says."""
    assert f"set {DISABLE}=" in advice
    value = advice.split(f"set {DISABLE}=")[1].split(" to ")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DISABLE, value)
        return set(disabled_names())


@pytest.mark.parametrize("name", ["short", "with a blank", "with,comma"])
def test_the_advice_to_leave_out_an_installed_plugin_works(name: str) -> None:
    points = [broken(name), installed("good", Plain("good"))]
    with pytest.warns(NengoWarning, match="cannot be imported") as seen:
        PluginManager(points=points)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins = PluginManager(points=points, disabled=disabled_by(str(seen[0].message)))
    assert [info.name for info in plugins.plugins] == ["good"]


def test_the_advice_keeps_what_is_left_out_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE, "other, more")
    with pytest.warns(NengoWarning, match="cannot be imported") as seen:
        PluginManager(points=[broken("short")])
    assert disabled_by(str(seen[0].message)) == {"other", "more", "short"}


def test_the_advice_to_leave_out_a_plugin_given_by_hand_works() -> None:
    class W:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            raise ZeroDivisionError("oops")

    with nengo.Network(seed=0) as net:
        nengo.Ensemble(3, 1)
    with (
        pytest.warns(NengoWarning, match="'W #0'") as seen,
        nengograd.Simulator(net, backend="numpy", plugins=[W()], progress_bar=False),
    ):
        pass
    assert "take it out of plugins=[...] to silence this" in str(seen[0].message)
    assert DISABLE not in str(seen[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nengograd.Simulator(net, backend="numpy", plugins=[], progress_bar=False).close()


@pytest.mark.parametrize("names", [("a", "b"), ("same", "same"), ("a blank", "b")])
def test_the_advice_to_choose_between_two_installed_plugins_works(names: tuple[str, str]) -> None:
    plugins = [Plain(1), Plain(2)]
    points = [
        installed(name, plugin, dist)
        for name, plugin, dist in zip(names, plugins, ("one-dist", "other-dist"), strict=True)
    ]
    with pytest.raises(ValidationError, match=r"Both .*one-dist.* and .*other-dist") as caught:
        neurons(points=points)
    text = str(caught.value)
    first, second = text.split("to be without the first, ")
    for advice, left in ((first, 2), (second, 1)):
        manager = PluginManager(points=points, disabled=disabled_by(advice))
        assert make_registry(manager, "numpy").neurons == {nengo.LIF: Named(left)}
    assert "or give one as plugins=[...]" in text
    for plugin in plugins:
        assert neurons(plugin, points=points) == {nengo.LIF: Named(plugin.name)}


def test_the_advice_to_choose_between_two_plugins_given_by_hand_works() -> None:
    with pytest.raises(ValidationError, match=r"Both .*#0.* and .*#1") as caught:
        neurons(Plain(1), Plain(2))
    assert "take it out of plugins=[...]" not in str(caught.value)
    assert DISABLE not in str(caught.value)
    assert "take the other out of plugins=[...]" in str(caught.value)
    assert neurons(Plain(1)) == {nengo.LIF: Named(1)}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({nengo.LIF: Named}, {nengo.LIF: Named("LIF")}),
        ({nengo.LIF(): Named("LIF")}, {nengo.LIF: Named("LIF")}),
        ([Named("LIF")], {nengo.LIF: Named("LIF")}),
        ({nengo.LIF: "LIF"}, {nengo.LIF: Named("LIF")}),
    ],
)
def test_what_a_hook_is_told_to_return_is_accepted(wrong: Any, right: Any) -> None:
    class Plugin:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return self.result

    plugin = Plugin()
    plugin.result = wrong
    with pytest.warns(NengoWarning, match="returned from nengograd_neurons"):
        assert neurons(plugin) == {}
    plugin.result = right
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert neurons(plugin) == {nengo.LIF: Named("LIF")}


def test_the_advice_where_no_backend_is_usable_works(monkeypatch: pytest.MonkeyPatch) -> None:
    backends = list(get_manager().backends)
    monkeypatch.setenv(DISABLE, " ".join(backends))
    with pytest.raises(ValidationError, match=f"No backend is usable.*Is {DISABLE} set"):
        get_manager().choose(None)
    monkeypatch.delenv(DISABLE)
    assert get_manager().choose(None) in backends
