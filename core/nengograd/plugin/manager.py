"""The plugin manager: finds plugins, and which builder serves which type."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from nengo.exceptions import NengoWarning, ValidationError

from . import hookspecs
from .backend import BackendInfo
from .checks import wrong_offer
from .registry import Registry

__all__ = ["PluginInfo", "PluginManager", "get_manager", "get_registry", "make_registry"]

GROUP = "nengograd"
FIRST_PARTY = "nengograd"
DISABLE = "NENGOGRAD_DISABLE_PLUGINS"
BACKEND = "NENGOGRAD_BACKEND"
PREFERRED = ("tensorflow", "numpy")


@dataclass
class PluginInfo:
    """A plugin, as `nengograd plugins` lists it."""

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


class PluginManager:
    """Plugins found through entry points, plus those given by hand.

    Parameters
    ----------
    extra : sequence of object
        Plugins that are not installed: modules or objects with hook implementations.
    disabled : collection of str
        Names of entry points or distributions to leave out; ``all`` leaves out everything
        that does not ship with nengograd.
    points : iterable of EntryPoint, optional
        Entry points to look at, by default those that are installed.
    """

    def __init__(
        self,
        extra: Sequence[Any] = (),
        disabled: Iterable[str] = (),
        points: Iterable[EntryPoint] | None = None,
    ):
        self._pm = pluggy.PluginManager(hookspecs.PROJECT)
        self._pm.add_hookspecs(hookspecs)
        self.plugins: list[PluginInfo] = []
        # By identity: a plugin may be an object without a hash.
        self._infos: dict[int, PluginInfo] = {}
        self._broken: set[int] = set()
        disabled = set(disabled)
        found = entry_points(group=GROUP) if points is None else points
        for point in sorted(found, key=lambda p: p.name):
            self._load(point, disabled)
        for number, plugin in enumerate(extra):
            name = getattr(plugin, "__name__", type(plugin).__name__)
            info = PluginInfo(f"{name} #{number}", "plugins=[...]")
            self._register(plugin, info)

    def _load(self, point: EntryPoint, disabled: set[str]) -> None:
        dist = point.dist.metadata["Name"] if point.dist else "unknown"
        info = PluginInfo(point.name, dist, point.dist.version if point.dist else "")
        if {point.name, dist} & disabled or ("all" in disabled and not info.first_party):
            return
        try:
            plugin = point.load()
        except Exception as error:
            self._fail(info, f"cannot be imported: {type(error).__name__}: {error}")
            return
        self._register(plugin, info)

    def _register(self, plugin: Any, info: PluginInfo) -> None:
        api = getattr(plugin, "nengograd_api", hookspecs.API_VERSION)
        if api != hookspecs.API_VERSION:
            self._fail(info, _api_message(api))
            return
        unknown = self._unknown_hooks(plugin)
        if unknown:
            known = sorted(name for name in vars(hookspecs) if name.startswith("nengograd_"))
            self._fail(info, f"has hooks {unknown} that do not exist; there are {known}")
            return
        try:
            self._pm.register(plugin, name=f"{info.distribution}:{info.name}")
        except Exception as error:
            self._fail(info, f"cannot be registered: {error}")
            return
        info.hooks = [caller.name for caller in self._pm.get_hookcallers(plugin) or ()]
        self._infos[id(plugin)] = info
        self.plugins.append(info)

    def _unknown_hooks(self, plugin: Any) -> list[str]:
        marked = [
            name for name in dir(plugin) if self._pm.parse_hookimpl_opts(plugin, name) is not None
        ]
        return [name for name in marked if not hasattr(hookspecs, name)]

    def _fail(self, info: PluginInfo, reason: str) -> None:
        info.error = reason
        self.plugins = [p for p in self.plugins if p is not info] + [info]
        warnings.warn(
            f"{info} {reason}. It is left out; set {DISABLE}={info.name} to silence this.",
            NengoWarning,
            stacklevel=3,
        )

    def call(self, hook: str, **arguments: Any) -> list[tuple[PluginInfo, Any]]:
        """Call a hook of each plugin; one that raises is reported and left out."""
        results = []
        for impl in getattr(self._pm.hook, hook).get_hookimpls():
            if id(impl.plugin) in self._broken:
                continue
            info = self._infos[id(impl.plugin)]
            try:
                chosen = {name: arguments[name] for name in impl.argnames}
                results.append((info, impl.function(**chosen)))
            except Exception as error:
                self._broken.add(id(impl.plugin))
                self._fail(info, f"failed in {hook}: {type(error).__name__}: {error}")
        return results

    def collect(self, hook: str, **arguments: Any) -> dict[Any, tuple[Any, PluginInfo]]:
        """Join the mappings that a hook returns, by precedence.

        Plugins given by hand come before installed ones, those before our own, and among
        ours a backend's before the general ones.

        Raises
        ------
        nengo.exceptions.ValidationError
            If two plugins from outside offer something for one key.
        """
        offers: dict[Any, list[tuple[Any, PluginInfo]]] = {}
        for info, mapping in self.call(hook, **arguments):
            wrong = wrong_offer(hook, mapping)
            if wrong:
                self._fail(info, f"returned from {hook} {wrong}")
                continue
            for key, value in (mapping or {}).items():
                offers.setdefault(key, []).append((value, info))
        chosen: dict[Any, tuple[Any, PluginInfo]] = {}
        for key, found in offers.items():
            best = max(_rank(info) for _, info in found)
            first, *others = [offer for offer in found if _rank(offer[1]) == best]
            if others:
                name = getattr(key, "__name__", key)
                raise ValidationError(
                    f"Both {first[1]} and {others[0][1]} offer {name} through {hook}. Choose "
                    f"one: set the environment variable {DISABLE} to the name of the other, or "
                    "give one alone as plugins=[...].",
                    attr=hook,
                )
            chosen[key] = first
        return chosen

    def event(self, name: str, **info: Any) -> None:
        """Tell plugins what has happened."""
        if self._pm.hook.nengograd_event.get_hookimpls():
            self.call("nengograd_event", name=name, info=info)

    @property
    def backends(self) -> dict[str, BackendInfo]:
        """All backends, usable or not, by name."""
        return {name: value for name, (value, _) in self.collect("nengograd_backends").items()}

    def choose(self, name: str | None) -> str:
        """The backend to use: as named, else by the environment, else the best there is.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it is unknown, or lacks packages.
        """
        backends = self.backends
        if name is None:
            name = os.environ.get(BACKEND) or None
        if name is None:
            usable = [n for n, info in backends.items() if not info.missing()]
            if not usable:
                raise ValidationError(
                    f"No backend is usable: there are {sorted(backends)}; `nengograd plugins` says "
                    f"what they lack. Is {DISABLE} set?",
                    attr="backend",
                )
            return next((n for n in PREFERRED if n in usable), usable[0])
        if name not in backends:
            raise ValidationError(
                f"Unknown backend {name!r}; there are {sorted(backends)}", attr="backend"
            )
        missing = backends[name].missing()
        if missing:
            hint = f" ({backends[name].install})" if backends[name].install else ""
            raise ValidationError(
                f"The backend {name!r} needs {', '.join(missing)}, which is not installed{hint}",
                attr="backend",
            )
        return name


def _api_message(api: Any) -> str:
    ours = hookspecs.API_VERSION
    newer = isinstance(api, int) and api > ours
    cure = "upgrade nengograd" if newer else "upgrade the plugin, or ask its authors to"
    return (
        f"was written for version {api!r} of the hooks; this nengograd has version {ours}: {cure}"
    )


def _rank(info: PluginInfo) -> int:
    if info.distribution == "plugins=[...]":
        return 3
    if not info.first_party:
        return 2
    return 0 if info.name == "builtin" else 1


def make_registry(plugins: PluginManager, backend: str) -> Registry:
    """Ask all plugins what they have for a backend."""
    made = Registry(plugins, backend)
    for name in ("operators", "neurons", "processes", "lowering", "passes"):
        arguments = {} if name in ("lowering", "passes") else {"backend": backend}
        found = plugins.collect(f"nengograd_{name}", **arguments)
        setattr(made, name, {key: value for key, (value, _) in found.items()})
        made.origins[name] = {key: info for key, (_, info) in found.items()}
    made.passes = dict(sorted(made.passes.items()))
    return made


def _disabled() -> tuple[str, ...]:
    words = os.environ.get(DISABLE, "").replace(",", " ").split()
    return tuple(sorted(words))


@cache
def _installed(disabled: tuple[str, ...]) -> PluginManager:
    return PluginManager(disabled=disabled)


@cache
def _installed_registry(disabled: tuple[str, ...], backend: str) -> Registry:
    return make_registry(_installed(disabled), backend)


def get_manager(extra: Sequence[Any] = ()) -> PluginManager:
    """The manager of the installed plugins, with others added."""
    if extra:
        return PluginManager(extra, _disabled())
    return _installed(_disabled())


def get_registry(backend: str | None = None, extra: Sequence[Any] = ()) -> Registry:
    """What plugins offer for a backend, by default the preferred one."""
    plugins = get_manager(extra)
    name = plugins.choose(backend)
    if extra:
        return make_registry(plugins, name)
    return _installed_registry(_disabled(), name)
