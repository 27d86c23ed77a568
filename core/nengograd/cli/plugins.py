"""``nengograd plugins``: the installed plugins, and the builder of each type."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..plugin.backend import BackendInfo
from ..plugin.manager import PluginInfo, PluginManager, get_manager, make_registry

__all__ = ["add"]


_EPILOG = """\
example:
  nengograd plugins --backend numpy

Next: `nengograd new-plugin NAME` writes a plugin of your own. The environment variable
NENGOGRAD_DISABLE_PLUGINS names plugins to leave out."""


def add(commands: Any) -> None:
    """Add the command to the parser's subcommands."""
    parser = commands.add_parser(
        "plugins",
        help="list plugins, backends and builders",
        description="List the installed plugins and their hooks, which backends are usable "
        "or what they lack, and which types each backend has a builder for.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backend", help="list the builders of this backend alone")
    parser.set_defaults(run=_run)


def _plugin_lines(plugins: PluginManager) -> list[str]:
    lines = ["Plugins"]
    for info in sorted(plugins.plugins, key=lambda p: (p.distribution, p.name)):
        lines.append(f"  {info.distribution} {info.version}  {info.name}")
        if info.error:
            lines.append(f"    left out: it {info.error}")
        else:
            lines.append(f"    {', '.join(sorted(info.hooks)) or 'no hooks'}")
    return lines


def _backend_lines(plugins: PluginManager) -> list[str]:
    named = plugins.named(None)
    is_default = named is not None or len(plugins.usable) == 1
    chosen, word = named or plugins.choose(None), "the default" if is_default else "preferred"
    lines = ["", "Backends"]
    for name, info in sorted(plugins.backends.items()):
        missing = info.missing()
        if missing:
            state = f"not usable, {', '.join(missing)} is missing"
            state += f": {info.install}" if info.install else ""
        else:
            state = "usable" + (f", {word}" if name == chosen else "")
        lines.append(f"  {name}  {state}; {_abilities(info)}")
    return lines


def _abilities(info: BackendInfo) -> str:
    able = info.capabilities
    words = [name for name, value in vars(able).items() if value is True]
    return ", ".join([*(word.replace("_", " ") for word in words), *able.dtypes])


def _builder_lines(plugins: PluginManager, backend: str) -> list[str]:
    found = make_registry(plugins, backend)
    lines = ["", f"Builders of {backend}"]
    for hook in ("operators", "neurons", "processes", "lowering", "passes"):
        by_plugin: dict[str, list[str]] = {}
        for key, info in found.origins[hook].items():
            by_plugin.setdefault(_short(info), []).append(getattr(key, "__name__", str(key)))
        for plugin, names in by_plugin.items():
            lines.append(f"  {hook:9} {plugin}: {', '.join(sorted(names))}")
    return lines


def _short(info: PluginInfo) -> str:
    return f"{info.distribution}/{info.name}"


def _run(arguments: argparse.Namespace) -> int:
    """Print distributions, hooks, backends and builders."""
    plugins = get_manager()
    lines = _plugin_lines(plugins) + _backend_lines(plugins)
    names = [arguments.backend] if arguments.backend else sorted(plugins.backends)
    unknown = [name for name in names if name not in plugins.backends]
    if unknown:
        known = ", ".join(sorted(plugins.backends))
        print(f"nengograd: unknown backend {unknown[0]!r}; there are {known}", file=sys.stderr)
        return 2
    for name in names:
        lines += _builder_lines(plugins, name)
    print("\n".join(lines))
    return 0
