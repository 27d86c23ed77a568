"""The plugin manager: it finds plugins and collects what their hooks return."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nengo.exceptions import NengoWarning, ValidationError

from ..collector import without_collector
from . import hookspecs
from .backend import Backend, BackendInfo, load_backend
from .calls import BY_HAND, HookCalls, PluginInfo
from .leaving_out import DISABLE, conflict, disabled_names, how_to_leave_out
from .libraries import libraries_of
from .naming import name_of
from .registry import Registry

__all__ = [
    "AUTO",
    "PluginInfo",
    "PluginManager",
    "get_manager",
    "get_registry",
    "make_registry",
    "registry_for",
]

AUTO = "auto"
"""In place of a backend's name: a rule chooses."""
GROUP = "nengograd"
BACKEND = "NENGOGRAD_BACKEND"


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

    Attributes
    ----------
    extra : tuple of object
        As given.
    plugins : list of PluginInfo
        All plugins, with what is wrong with those that are left out.
    listens : bool
        Whether a plugin wants to know what happens.
    """

    def __init__(
        self,
        extra: Sequence[Any] = (),
        disabled: Iterable[str] = (),
        points: Iterable[EntryPoint] | None = None,
    ):
        self.extra = tuple(extra)
        self._calls = HookCalls(self._fail)
        self.plugins: list[PluginInfo] = []
        disabled = set(disabled)
        self._distributions: dict[int, tuple[Any, str, str]] = {}
        found = entry_points(group=GROUP) if points is None else points
        for point in sorted(found, key=lambda p: p.name):
            self._load(point, disabled)
        for number, plugin in enumerate(self.extra):
            name = name_of(plugin)
            info = PluginInfo(f"{name} #{number}", BY_HAND)
            self._register(plugin, info)
        self.listens = self._calls.has("nengograd_event")

    def _load(self, point: EntryPoint, disabled: set[str]) -> None:
        dist, version = self._distribution(point)
        info = PluginInfo(point.name, dist, version)
        if {point.name, dist} & disabled or ("all" in disabled and not info.first_party):
            return
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:
            # A module that ends the program would end everybody's.
            self._fail(info, f"cannot be imported: {type(error).__name__}: {error}")
            return
        self._register(plugin, info)

    def _distribution(self, point: EntryPoint) -> tuple[str, str]:
        """Name and version of what an entry point belongs to; reading that takes a while."""
        dist = point.dist
        if dist is None:
            return "unknown", ""
        if id(dist) not in self._distributions:
            self._distributions[id(dist)] = dist, dist.metadata["Name"], dist.version
        return self._distributions[id(dist)][1:]

    def _register(self, plugin: Any, info: PluginInfo) -> None:
        api = getattr(plugin, "nengograd_api", hookspecs.API_VERSION)
        if api != hookspecs.API_VERSION:
            self._fail(info, _api_message(api))
            return
        if self._calls.register(plugin, info):
            self.plugins.append(info)

    def _fail(self, info: PluginInfo, reason: str) -> None:
        info.error = reason
        self.plugins = [p for p in self.plugins if p is not info] + [info]
        warnings.warn(
            f"{info} {reason}. It is left out; {how_to_leave_out(info)} to silence this.",
            NengoWarning,
            stacklevel=3,
        )

    def collect(self, hook: str, **arguments: Any) -> dict[Any, tuple[Any, PluginInfo]]:
        """Join the mappings that a hook returns, by precedence.

        A result that is marked ``trylast`` is used only where there is no other. Then plugins
        given by hand come before installed ones, those before our own, and among ours a
        backend's before the general ones; of what is left, that marked ``tryfirst``.

        Raises
        ------
        nengo.exceptions.ValidationError
            If two plugins have results of equal precedence for one key.
        """
        chosen: dict[Any, tuple[Any, PluginInfo]] = {}
        for key, results in self._calls.collect(hook, **arguments).items():
            best = max(result.rank for result in results)
            # pluggy calls first what was registered last; people read names in order.
            first, *others = [result for result in reversed(results) if result.rank == best]
            if others:
                raise conflict(hook, key, first, others[0])
            chosen[key] = first.value, first.info
        return chosen

    def event(self, name: str, **info: Any) -> None:
        """Tell plugins what has happened."""
        if self.listens:
            self._calls.tell("nengograd_event", name=name, info=info)

    @property
    def backends(self) -> dict[str, BackendInfo]:
        """All backends, usable or not, by name."""
        return {name: value for name, (value, _) in self.collect("nengograd_backends").items()}

    def named(self, name: str | None) -> str | None:
        """The backend that the argument or the environment names; None where a rule chooses.

        Parameters
        ----------
        name : str or None
            The argument. The environment counts where it is None.

        Raises
        ------
        nengo.exceptions.ValidationError
            If it is unknown, or lacks packages.
        """
        name = os.environ.get(BACKEND) or AUTO if name is None else name
        return None if name == AUTO else self.choose(name)

    @property
    def usable(self) -> dict[str, BackendInfo]:
        """The backends that lack no package, the preferred one first."""
        found = {name: info for name, info in self.backends.items() if not info.missing()}
        return dict(sorted(found.items(), key=lambda item: (-item[1].preference, item[0])))

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
        if name is None or name == AUTO:
            usable = self.usable
            if not usable:
                raise ValidationError(
                    f"No backend is usable: there are {sorted(backends)}; `nengograd plugins` says "
                    f"what they lack. Is {DISABLE} set?",
                    attr="backend",
                )
            return next(iter(usable))
        if name not in backends:
            raise ValidationError(
                f"Unknown backend {name!r}; there are {sorted(backends)}, and {AUTO!r} for a rule",
                attr="backend",
            )
        missing = backends[name].missing()
        if missing:
            hint = f" ({backends[name].install})" if backends[name].install else ""
            raise ValidationError(
                f"The backend {name!r} needs {', '.join(missing)}, which is not installed{hint}",
                attr="backend",
            )
        return name

    def with_capability(self, capability: str) -> list[str]:
        """Names of the usable backends that have a capability, the preferred one first."""
        return [n for n, info in self.usable.items() if getattr(info.capabilities, capability)]

    def computing_in(self, dtype: str) -> dict[str, BackendInfo]:
        """The usable backends that compute in a dtype, the preferred one first."""
        return {n: info for n, info in self.usable.items() if dtype in info.capabilities.dtypes}

    def able(self, capability: str, given: Any = ()) -> list[str]:
        """The usable backends with a capability, those first whose library given objects are of.

        Parameters
        ----------
        capability : str
            Which of `Capabilities`.
        given : object
            What a user has given to compute with, such as a layer, or a list of such objects.
        """
        able = self.with_capability(capability)
        return sorted(able, key=lambda name: not self.takes(name, given))

    def load(self, name: str) -> Backend:
        """Load a backend.

        Raises
        ------
        nengo.exceptions.BuildError
            If what its plugin gives is none.
        """
        return load_backend(name, self.backends[name])

    def takes(self, name: str, given: Any) -> bool:
        """Whether one of some objects is of the library that a backend computes with."""
        test = self.backends[name].takes
        return test is not None and any(map(test, libraries_of(given)))

    def require(self, backend: str, capability: str, purpose: str) -> None:
        """Refuse a backend that cannot do what is asked for.

        Parameters
        ----------
        backend : str
            Name of the backend.
        capability : str
            Which of `Capabilities` is needed.
        purpose : str
            What for, as it follows "cannot".

        Raises
        ------
        nengo.exceptions.ValidationError
            It names the installed backends that can.
        """
        info = self.backends[backend]
        if getattr(info.capabilities, capability):
            return
        able = self.with_capability(capability)
        others = [i for i in self.backends.values() if getattr(i.capabilities, capability)]
        if able:
            cure = f"use backend={' or '.join(map(repr, able))}"
        elif others:
            cure = f"install one that can: {' or '.join(i.install for i in others if i.install)}"
        else:
            cure = "no installed plugin brings one that can"
        raise ValidationError(f"the backend {backend!r} cannot {purpose}; {cure}", attr="backend")

    def require_dtype(self, backend: str, dtype: str) -> None:
        """Refuse a backend that does not compute in a dtype.

        Raises
        ------
        nengo.exceptions.ValidationError
            It names the dtypes that this one has, and the usable backends that have the other.
        """
        has = self.backends[backend].capabilities.dtypes
        if dtype in has:
            return
        cures = [f"say dtype={' or '.join(map(repr, has))}"]
        able = self.computing_in(dtype)
        if able:
            cures.append(f"use backend={' or '.join(map(repr, able))}")
        raise ValidationError(
            f"the backend {backend!r} does not compute in {dtype}: {', or '.join(cures)}",
            attr="dtype",
        )


def _api_message(api: Any) -> str:
    ours = hookspecs.API_VERSION
    newer = isinstance(api, int) and api > ours
    cure = "upgrade nengograd" if newer else "upgrade the plugin, or ask its authors to"
    return (
        f"was written for version {api!r} of the hooks; this nengograd has version {ours}: {cure}"
    )


def make_registry(plugins: PluginManager, backend: str) -> Registry:
    """Make a registry of what all plugins have for a backend.

    Parameters
    ----------
    plugins : PluginManager
        As `get_manager` returns it.
    backend : str
        Name of the backend; one that is not known gets what plugins have for any.
    """
    info = plugins.backends.get(backend)
    arguments = {"backend": backend, "family": info.family if info else ""}
    found = {
        "operators": plugins.collect("nengograd_operators", **arguments),
        "neurons": plugins.collect("nengograd_neurons", **arguments),
        "processes": plugins.collect("nengograd_processes", **arguments),
        "lowering": plugins.collect("nengograd_lowering"),
        "passes": dict(sorted(plugins.collect("nengograd_passes").items())),
    }
    values: dict[str, Any] = {
        hook: {key: value for key, (value, _) in of.items()} for hook, of in found.items()
    }
    origins = {hook: {key: plugin for key, (_, plugin) in of.items()} for hook, of in found.items()}
    return Registry(plugins, backend, **values, origins=dict(origins))


@cache
def _installed(disabled: tuple[str, ...]) -> PluginManager:
    with without_collector():
        return PluginManager(disabled=disabled)


@cache
def _installed_registry(disabled: tuple[str, ...], backend: str) -> Registry:
    return make_registry(_installed(disabled), backend)


def get_manager(extra: Sequence[Any] = ()) -> PluginManager:
    """The manager of the installed plugins.

    Parameters
    ----------
    extra : sequence of object
        Further plugins, which are not installed: modules or objects with hook implementations.
    """
    if extra:
        return PluginManager(extra, disabled_names())
    return _installed(disabled_names())


def get_registry(backend: str | None = None, extra: Sequence[Any] = ()) -> Registry:
    """The registry of a backend: builders, lowering rules and graph passes of all plugins.

    Parameters
    ----------
    backend : str, optional
        Name of the backend, by default that of the environment variable ``NENGOGRAD_BACKEND``,
        else the preferred one of those installed.
    extra : sequence of object
        Further plugins, which are not installed.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no such backend, or it lacks packages.
    """
    plugins = get_manager(extra)
    return registry_for(plugins, plugins.choose(backend))


def registry_for(plugins: PluginManager, backend: str) -> Registry:
    """The registry of a backend; that of installed plugins is made once.

    Parameters
    ----------
    plugins : PluginManager
        As `get_manager` returns it.
    backend : str
        Name of the backend.
    """
    if plugins.extra or plugins is not _installed(disabled_names()):
        return make_registry(plugins, backend)
    return _installed_registry(disabled_names(), backend)
