"""Hook specifications: all the places where a plugin can add to nengograd.

A plugin is a module or object whose functions, marked with `nengograd.hookimpl`, have the
names below. A distribution announces it with an entry point in the group ``nengograd``::

    [project.entry-points.nengograd]
    my_neurons = "my_package.plugin"

Entry points are imported when the first simulator is made, so keep them cheap: import a
backend inside the hook, never at the top. A hook that raises is reported with the name of
its distribution; the other plugins go on working. Return only what you add; an
implementation from outside takes precedence over one that ships with nengograd, and two
from outside for one type are an error that names both.

Hooks are called by pluggy, and ``hookimpl`` takes its options. The result of an implementation
that is marked ``trylast`` is used only where there is no other for a type; among results of equal
precedence, that of one marked ``tryfirst`` is used. A ``wrapper`` gets the list of mappings that
the other implementations have returned, and returns such a list; a value that it puts in the place
of another has the precedence of that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from .backend import BackendInfo
    from .builders import NeuronBuilder, OperatorBuilder, ProcessBuilder
    from .model_reader import ModelReader

PROJECT = "nengograd"

API_VERSION = 1
"""The version of these specifications and of what builders have to do.

A plugin may say which it was written for, ``nengograd_api = 1``, as an attribute beside its
hooks; a plugin that names another version is left out with a warning.
"""

_NEVER_CALLED = "a specification is never called, only its implementations"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def nengograd_backends() -> Mapping[str, BackendInfo]:
    """Backends: name -> how to load it and which packages it needs.

    Called when the names of the backends are needed. Do not import the backend here;
    `BackendInfo.load` does when a simulator is made for it.

    Returns
    -------
    backends : dict of str to BackendInfo
        By the name that users write.
    """
    raise AssertionError(_NEVER_CALLED)


@hookspec
def nengograd_operators(backend: str, family: str) -> Mapping[type, OperatorBuilder]:
    """Operator builders: operator class -> builder, for the named backend.

    Called once per backend, with the family that it belongs to: ``"xla"`` for those that compile
    with XLA, ``""`` for none. Return builders written against ``xp`` alone for any name, and
    special ones only for the backend or the family that they are made for. Builders of other
    distributions have precedence over those that ship with nengograd, and among the latter those
    of a backend or a family over those for all backends.

    Parameters
    ----------
    backend : str
        Name of the backend.
    family : str
        The family that it belongs to, ``""`` for none.

    Returns
    -------
    builders : dict of type to OperatorBuilder
        By operator class: Nengo's, nengograd's own, or the plugin's.
    """
    raise AssertionError(_NEVER_CALLED)


@hookspec
def nengograd_neurons(backend: str, family: str) -> Mapping[type, NeuronBuilder]:
    """Neuron builders: NeuronType class -> builder, for the named backend.

    Looked up by exact type, so that a subclass that changes ``step`` never inherits its
    parent's builder by accident. A type without one runs its own NumPy ``step`` on the host.

    Parameters
    ----------
    backend : str
        Name of the backend.
    family : str
        The family that it belongs to, ``""`` for none.

    Returns
    -------
    builders : dict of type to NeuronBuilder
        By neuron type.
    """
    raise AssertionError(_NEVER_CALLED)


@hookspec
def nengograd_processes(backend: str, family: str) -> Mapping[type, ProcessBuilder]:
    """Process builders: Process or Synapse class -> builder, for the named backend.

    For processes with an input. A process that depends on time alone needs no builder: its
    own code runs ahead of the simulation. Looked up by exact type.

    Parameters
    ----------
    backend : str
        Name of the backend.
    family : str
        The family that it belongs to, ``""`` for none.

    Returns
    -------
    builders : dict of type to ProcessBuilder
        By type of process or synapse.
    """
    raise AssertionError(_NEVER_CALLED)


@hookspec
def nengograd_lowering() -> Mapping[type, Callable[..., Any]]:
    """Lowering rules: Nengo Operator class -> ``rule(operator, lowering)``.

    The rule says how the operator reads, writes and merges, by calls on the
    `nengograd.assembly.lowering.Lowering` it gets. Return ``False`` from it to decline an instance,
    which then runs its own NumPy ``make_step`` on the host.

    Returns
    -------
    rules : dict of type to callable
        By operator class.
    """
    raise AssertionError(_NEVER_CALLED)


@hookspec
def nengograd_passes() -> Mapping[str, Callable[..., Any]]:
    """Graph passes: name -> ``rewrite(graph)``, run on each model before scheduling.

    A pass gets a `nengograd.assembly.graph.Graph` and changes it in place. Passes run in the
    order of their names; each has to leave a graph that is right without the others. The graph is
    checked after each pass that does not ship with nengograd.

    Returns
    -------
    passes : dict of str to callable
        By name.
    """
    raise AssertionError(_NEVER_CALLED)


@hookspec
def nengograd_converters() -> Mapping[type | str, Callable[..., Any] | ModelReader]:
    """Converters for `nengograd.convert`: layer class -> ``converter(layer, inputs, to)``.

    A key is a class, or the path that a user would import it from, such as
    ``"keras.layers.Dense"``: then the plugin need not import the library, and nothing else does.
    Looked up by exact class, since a subclass may compute something else.

    A converter gets the layer, a list of `nengograd.plugin.Tensor`, one for each input, and a
    `nengograd.plugin.LayerConversion`, whose methods make the objects of the network. It returns
    the tensor of its output, or a list of them if there are several; ``to.fallback(reason)`` leaves
    this call to a tensor node. For the class of a whole model the value is a
    `nengograd.plugin.ModelReader` instead, which lists the calls of its layers.

    Returns
    -------
    converters : dict of type or str to callable or ModelReader
        By class, or by its import path.
    """
    raise AssertionError(_NEVER_CALLED)


@hookspec
def nengograd_event(name: str, info: Mapping[str, Any]) -> None:
    """Build and run events, for profilers and loggers.

    Parameters
    ----------
    name : str
        ``"assembled"``, ``"compiled"``, ``"ran"`` or ``"trained"``.
    info : mapping
        What happened: ``seconds`` always; with ``assembled`` the ``program``; with
        ``compiled`` the ``backend``; with ``ran`` the ``steps``; with ``trained`` the
        ``epochs``. An exception raised here is shown as a warning and does not stop the
        simulation.
    """
