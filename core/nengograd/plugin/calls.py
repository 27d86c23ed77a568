"""Calls of hooks through pluggy; a plugin that fails does not affect the others.

What is registered with pluggy are guards of a plugin's functions: they report an error in place
of raising it, and note which plugin a result comes from. So wrappers and all that pluggy's
options say of the order of calls work as in any other project that has hooks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

from . import hookspecs
from .checks import wrong_result
from .hook_faults import unknown_arguments, unmarked_hooks, what_is_no_hook, what_is_no_instance

__all__ = ["BY_HAND", "HookCalls", "HookResult", "PluginInfo"]

FIRST_PARTY = "nengograd"
BY_HAND = "plugins=[...]"


@dataclass
class PluginInfo:
    """A plugin, as `nengograd plugins` lists it.

    Attributes
    ----------
    name : str
        Name of its entry point; one that was given by hand has a number.
    distribution, version : str
        The package that it was installed with; the first says so if it was given by hand.
    error : str or None
        Why it is left out, as the end of a sentence that begins with its name.
    hooks : list of str
        The hooks that it implements.
    """

    name: str
    distribution: str
    version: str = ""
    error: str | None = None
    hooks: list[str] = field(default_factory=list)

    @property
    def first_party(self) -> bool:
        """Whether it ships with nengograd."""
        return self.distribution == FIRST_PARTY

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}".rstrip()


class HookResult(NamedTuple):
    """The result of a plugin's hook for one key.

    Attributes
    ----------
    value : object
        A builder, a rule, a pass or a backend.
    info : PluginInfo
        Whose it is.
    rank : tuple of int
        The highest goes first.
    """

    value: Any
    info: PluginInfo
    rank: tuple[int, ...]


class _Implementation(NamedTuple):
    """One function of a plugin, and what it is registered as."""

    function: Callable[..., Any]
    hook: str
    info: PluginInfo
    options: Mapping[str, Any]

    @property
    def rank(self) -> tuple[int, ...]:
        """Precedence of its results."""
        if self.info.distribution == BY_HAND:
            origin = 3
        elif not self.info.first_party:
            origin = 2
        else:
            origin = 0 if self.info.name == "builtin" else 1
        return (not self.options["trylast"], origin, bool(self.options["tryfirst"]))


class _Notes:
    """Whose the entries of the mappings are that one call of a hook has returned so far."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, Any], HookResult] = {}
        self._by_value: dict[tuple[Any, int], HookResult] = {}
        self._kept: list[Any] = []  # an id may not pass on to another object

    def add(self, mapping: Mapping[Any, Any], results: Mapping[Any, HookResult]) -> None:
        """Note the result that each entry of a mapping is."""
        self._kept.append(mapping)
        for key, result in results.items():
            self._entries[id(mapping), key] = result
            self._by_value.setdefault((key, id(result.value)), result)

    def entry(self, mapping: Any, key: Any) -> HookResult | None:
        """What a mapping had for a key when it was noted."""
        return self._entries.get((id(mapping), key))

    def find(self, mapping: Any, key: Any, value: Any) -> HookResult | None:
        """The result that an entry is, perhaps of a copy of the mapping."""
        own = self.entry(mapping, key)
        if own is not None and own.value is value:
            return own
        return self._by_value.get((key, id(value)))


class HookCalls:
    """All plugins of a manager, whose hooks can be called.

    Parameters
    ----------
    report : callable
        ``report(info, reason)`` tells the user what is wrong with a plugin.
    """

    def __init__(self, report: Callable[[PluginInfo, str], None]):
        self._pm = pluggy.PluginManager(hookspecs.PROJECT)
        self._pm.add_hookspecs(hookspecs)
        self._report = report
        self._broken: set[int] = set()
        self._hooks: set[str] = set()
        self._notes = _Notes()

    def register(self, plugin: Any, info: PluginInfo) -> bool:
        """Add a plugin; say whether that worked, else it is reported."""
        found = list(self._implementations(plugin, info))
        known = sorted(name for name in vars(hookspecs) if name.startswith("nengograd_"))
        unknown = [i.hook for i in found if i.hook not in known and not i.options["optionalhook"]]
        if unknown:
            self._report(info, f"has hooks {unknown} that do not exist; there are {known}")
            return False
        wrong = what_is_no_instance(plugin)
        wrong = wrong or next(
            filter(None, (unknown_arguments(i.function, i.hook) for i in found)), ""
        )
        if wrong:
            self._report(info, f"cannot be registered: {wrong}")
            return False
        unmarked = unmarked_hooks(plugin, known)
        if unmarked or (not found and info.distribution == BY_HAND):
            self._report(info, what_is_no_hook(unmarked, bool(found), known))
            return False
        stand_in = ModuleType(info.name)
        for number, implementation in enumerate(found):
            if _is_wrapper(implementation) and not _is_generator(implementation):
                self._report(
                    info,
                    f"cannot be registered: its wrapper of {implementation.hook} has to be a "
                    "function with one yield",
                )
                return False
            options = {**implementation.options, "specname": implementation.hook}
            guard = self._guard(implementation)
            setattr(stand_in, f"hook_{number}", hookspecs.hookimpl(**options)(guard))
        try:
            self._pm.register(stand_in, name=f"{info.distribution}:{info.name}")
        except Exception as error:
            # What pluggy has taken in before it found the fault stays silent.
            self._broken.add(id(info))
            self._report(info, f"cannot be registered: {error}")
            return False
        info.hooks = sorted({implementation.hook for implementation in found} & set(known))
        self._hooks.update(info.hooks)
        return True

    def collect(self, hook: str, **arguments: Any) -> dict[Any, list[HookResult]]:
        """The results of a hook, by key.

        Parameters
        ----------
        hook : str
            One whose implementations return mappings.
        **arguments
            Those of its specification.
        """
        outer, self._notes = self._notes, _Notes()
        try:
            results: dict[Any, list[HookResult]] = {}
            for mapping in getattr(self._pm.hook, hook)(**arguments):
                for key, value in mapping.items():
                    found = self._notes.find(mapping, key, value)
                    assert found is not None
                    same = results.setdefault(key, [])
                    if not any(found.value is x.value and found.info is x.info for x in same):
                        same.append(found)
            return results
        finally:
            self._notes = outer

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call a hook that returns nothing."""
        getattr(self._pm.hook, hook)(**arguments)

    def has(self, hook: str) -> bool:
        """Whether any plugin implements a hook."""
        return hook in self._hooks

    # -- inside

    def _implementations(self, plugin: Any, info: PluginInfo) -> Iterator[_Implementation]:
        for name in dir(plugin):
            options: Any = self._pm.parse_hookimpl_opts(plugin, name)
            if options is not None:
                hook = options.get("specname") or name
                yield _Implementation(getattr(plugin, name), hook, info, options)

    def _guard(self, of: _Implementation) -> Callable[..., Any]:
        if _is_wrapper(of):
            return self._guard_wrapper(of)

        @wraps(of.function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if id(of.info) in self._broken:
                return None
            try:
                result = of.function(*args, **kwargs)
            except Exception as error:
                self._break(of, f"{type(error).__name__}: {error}")
                return None
            return self._noted(of, result)

        return guarded

    def _noted(self, of: _Implementation, result: Any) -> dict[Any, Any] | None:
        """A copy of what a hook has returned, whose entries are noted."""
        if not _returns_mapping(of.hook):
            return None
        wrong = wrong_result(of.hook, result)
        if wrong:
            self._report(of.info, f"returned from {of.hook} {wrong}")
            return None
        mapping = dict(result or {})
        self._notes.add(mapping, {k: HookResult(v, of.info, of.rank) for k, v in mapping.items()})
        return mapping

    def _guard_wrapper(self, of: _Implementation) -> Callable[..., Any]:
        old_style = bool(of.options["hookwrapper"])

        @wraps(of.function)
        def guarded(*args: Any, **kwargs: Any) -> Generator[None, Any, Any]:
            running = self._begin(of, args, kwargs)
            got = yield
            before = list(got.get_result() if old_style else got)
            if running is None:
                return before
            after: Any = before
            try:
                running.send(got)
            except StopIteration as stop:
                after = got.get_result() if old_style else stop.value
            except Exception as error:
                self._break(of, f"{type(error).__name__}: {error}")
            else:
                running.close()
                self._break(of, "its wrapper yields twice")
            after = self._noted_by_wrapper(of, before, after)
            if old_style:
                got.force_result(after)
            return after

        return guarded

    def _begin(self, of: _Implementation, args: Any, kwargs: Any) -> Any:
        """Run a wrapper to its yield; None where it fails, as if there were none."""
        if id(of.info) in self._broken:
            return None
        try:
            running = of.function(*args, **kwargs)
            next(running)
        except StopIteration:
            self._break(of, "its wrapper does not yield")
        except Exception as error:
            self._break(of, f"{type(error).__name__}: {error}")
        else:
            return running
        return None

    def _noted_by_wrapper(
        self, of: _Implementation, before: Sequence[Any], after: Any
    ) -> Sequence[Any]:
        """What a wrapper has made of the results; what it has put in is noted as its own.

        What replaces an entry keeps the precedence of the one it stands for.
        """
        if not _returns_mapping(of.hook):
            return before
        wrong = None if isinstance(after, list) else f"a {type(after).__name__}; a list is needed"
        wrongs = [wrong] if wrong else [wrong_result(of.hook, mapping) for mapping in after]
        if any(wrongs):
            reason = next(reason for reason in wrongs if reason)
            self._report(of.info, f"returned from its wrapper of {of.hook} {reason}")
            return before
        made: list[Any] = [mapping for mapping in after if mapping is not None]
        paired = before if len(before) == len(made) else [None] * len(made)
        for mapping, old in zip(made, paired, strict=True):
            results = {}
            for key, value in mapping.items():
                found, replaced = self._notes.find(mapping, key, value), self._notes.entry(old, key)
                rank = of.rank if replaced is None else replaced.rank
                results[key] = found or HookResult(value, of.info, rank)
            self._notes.add(mapping, results)
        return made

    def _break(self, of: _Implementation, reason: str) -> None:
        self._broken.add(id(of.info))
        self._report(of.info, f"failed in {of.hook}: {reason}")


def _returns_mapping(hook: str) -> bool:
    return hook != "nengograd_event"


def _is_wrapper(of: _Implementation) -> bool:
    return bool(of.options["wrapper"] or of.options["hookwrapper"])


def _is_generator(of: _Implementation) -> bool:
    return inspect.isgeneratorfunction(of.function)
