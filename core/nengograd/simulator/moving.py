"""How a simulator comes to its backend, and goes on with another one."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nengo.builder.operator import SimPyFunc
from nengo.exceptions import NengoWarning, ValidationError

from ..assembly.build import Build
from ..plugin.executable import Executable, Options
from ..plugin.manager import PluginManager, registry_for
from ..plugin.registry import Registry
from ..profile.cost import count_work
from ..program.program import Program
from ..run.runner import Runner
from ..run.runtime import warn_about_host
from ..tensor_node import SimTensorNode
from .activity import Activity
from .choosing import (
    Choice,
    candidates,
    explain_choice,
    find_plan,
    first_to_run,
    needed_capability,
)
from .learned import LearnedWeights
from .parts import Parts

if TYPE_CHECKING:  # most scripts do without
    from .state import SimulationState

__all__ = ["Moving", "begin_choice"]

_LOG = logging.getLogger("nengograd")


def begin_choice(
    plugins: PluginManager, name: str | None, options: Options, tensorboard: bool
) -> Choice:
    """The backend that a simulator begins with, as far as its arguments tell.

    Parameters
    ----------
    plugins : PluginManager
        All plugins.
    name : str or None
        The argument ``backend``.
    options : Options
        What else was asked for.
    tensorboard : bool
        Whether the compiled graph is to be written.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the named backend is unknown or lacks packages, or there is none at all.
    """
    asked = plugins.named(name)
    if asked is not None:
        return Choice(asked, asked)
    capability = needed_capability(options, tensorboard)
    usable = plugins.computing_in(options.dtype.name)
    able = plugins.with_capability(capability) if capability else []
    able = [name for name in able if name in usable] or able
    if able:
        _LOG.debug("backend %s: the preferred one that %s", able[0], capability)
        return Choice(able[0], able[0], able=able)
    costs = candidates(usable, options.dtype.name)
    home = first_to_run(costs) if costs else next(iter(usable), None) or plugins.choose(None)
    return Choice(None if len(plugins.usable) > 1 else home, home)


def tensors_of(operators: Iterable[Any]) -> str | None:
    """The backend whose tensors the nodes of a model compute with, if there are such nodes."""
    found = (op.node.function.backend for op in operators if type(op) is SimTensorNode)
    return next(found, None)


def count_lacking(program: Program, registry: Registry) -> int:
    """Operators that run Nengo's code on the host, or not at all, for want of a builder."""
    ops = [op.operator for block in program.host_blocks for op in block.ops]
    own = [type(operator) is not SimPyFunc for operator in ops]
    return sum(own) + (not registry.serves(program))


class Moving(LearnedWeights):
    """A simulator that can go on with another backend."""

    _choice: Choice
    _builds: dict[str, Build]
    # What other backends have compiled, by their names, for when the simulation goes back to them.
    _idle: dict[str, tuple[Program, Executable]]

    def _begin(self, order: Sequence[Any]) -> Program:
        """Choose the backend that the model begins with, and plan where it goes from there."""
        choice, plugins = self._choice, self._plugins
        tensors = tensors_of(order)
        able = plugins.usable if choice.asked is None else choice.able
        if tensors is not None and tensors in able:
            choice.asked, choice.home, choice.able = tensors, tensors, ()
        build = self._build_of(choice.home, order)
        program = build.assemble()
        if choice.asked is None and count_lacking(program, build.registry):
            build, program = self._better_served(build, program)
        self._build, self._builds, self._idle = build, {choice.home: build}, {}
        self.backend = choice.home
        if choice.asked is None:
            costs = candidates(plugins.usable, build.options.dtype.name)
            work = count_work(program, build.registry, build.options)
            choice.plan = find_plan(choice.home, costs, work)
            choice.text = "; ".join(explain_choice(choice.home, costs, work, choice.plan))
            choice.start_over()
        _LOG.debug("backend %s: %s", choice.home, choice.text or "the only one that is asked for")
        return program

    def _build_of(self, name: str, order: Sequence[Any]) -> Build:
        """The model, with the builders of a backend."""
        engine = self._plugins.load(name)
        engine.check_process()
        registry = registry_for(self._plugins, name)
        return Build(self.model, order, registry, engine, self.options, self.optimize)

    def _better_served(self, build: Build, program: Program) -> tuple[Build, Program]:
        """The first backend that has the most builders for a model, and its program."""
        best, least = (build, program), count_lacking(program, build.registry)
        for name in candidates(self._plugins.usable, self.options.dtype.name):
            registry = registry_for(self._plugins, name)
            other = replace(build, registry=registry).assemble()
            if count_lacking(other, registry) < least:
                least = count_lacking(other, registry)
                best = (self._build_of(name, build.order), other)
                self._choice.asked = self._choice.home = name
        return best

    def _before_run(self, steps: int) -> None:
        """Count a run of more than `Choice.least` steps; move if that pays."""
        choice = self._choice
        if not choice.pays(steps):
            return
        plan = choice.plan
        assert plan is not None
        choice.settle()
        self._try_to_move(plan.backend)

    def _beside(self, steps: int, begun: Runner | None = None) -> Runner:
        """A simulation beside the one in progress, for a number of steps.

        Parameters
        ----------
        steps : int
            How many steps it is to run.
        begun : Runner, optional
            Where it begins, by default at the first step.
        """
        if steps > self._choice.least:
            self._before_run(steps)
        present, stop = self._runner, self._learning.settings.stop_at_nan
        runner = Runner(self._build, present.program, present.executable, self.seed, stop)
        if begun is not None:
            runner.go_on_from(begun)
        self._begin_with_learned(runner)
        return runner

    def _begun(self, state: SimulationState | None) -> Runner:
        """A simulation that is at a state; at the first step for None.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the state does not fit.
        """
        runner = self._beside(0)
        if state is not None:
            from .state import begin_at

            begin_at(self, runner, state)
            self._begin_with_learned(runner)
        return runner

    def _try_to_move(self, name: str) -> None:
        """Go on with a backend that is not needed, or say why not."""
        choice = self._choice
        try:
            self._move(name, warm_up=True)
        except Exception as error:
            choice.plan = None
            warnings.warn(
                f"the backend {name!r}, which would be faster from here on, cannot be used "
                f"({type(error).__name__}: {error}); {self.backend!r} goes on. "
                f"backend={self.backend!r} silences this.",
                NengoWarning,
                stacklevel=5,
            )
        else:
            _LOG.debug(
                "backend %s: goes on from step %d, %d steps asked for; %s",
                *(name, self._runner.n_steps + 1, choice.steps, choice.text),
            )

    def _resume(self, backend: Any, steps: Any, is_needed: Any) -> None:
        """Go on with the backend, and the count of steps, of another simulator of the model."""
        choice = self._choice
        known = isinstance(backend, str) and backend in self._plugins.usable
        if choice.asked is not None or not known or type(steps) is not int:
            return
        choice.start_over()
        choice.steps, choice.is_needed = steps, is_needed is True
        if backend != choice.home or choice.is_needed:
            choice.settle()
        if backend != self.backend:
            self._try_to_move(backend)

    @property
    def _parts(self) -> Parts:
        """What it is made of, for what saves and restores it."""
        return Parts(
            self._runner,
            self._learning,
            self._recording,
            self._choice,
            self._plugins,
            self._use_parameters,
            self._resume,
        )

    def _move_for(self, capability: str, what: str, given: Any = ()) -> None:
        """Go on with the preferred backend that has a capability, where the user named none.

        One whose library ``given`` objects are of, such as an optimizer, comes before others.

        It stays until the simulation begins anew; after a training, until that is forgotten.
        """
        choice, plugins, dtype = self._choice, self._plugins, self.options.dtype.name
        able = plugins.able(capability, given)
        able = [n for n in able if dtype in plugins.backends[n].capabilities.dtypes]
        if choice.asked is not None:
            able = [n for n in able if n in choice.able]
        if not able:
            return
        capable = getattr(plugins.backends[self.backend].capabilities, capability)
        if not capable or (
            plugins.takes(able[0], given) and not plugins.takes(self.backend, given)
        ):
            with Activity(self._activities, what):
                self._move(able[0])
            _LOG.debug("backend %s: the preferred one that can %s", able[0], what)
        choice.settle()
        choice.is_needed |= what == "train"

    def _go_home(self) -> None:
        """Before the simulation begins anew: go back to where it began."""
        choice = self._choice
        if self.backend != choice.home:
            self._move(choice.home, anew=True)
        choice.start_over()

    def _close_idle(self) -> None:
        """Free what other backends have compiled."""
        for name, (_, executable) in self._idle.items():
            if self._builds[name].engine.process in (None, os.getpid()):
                executable.close()
        self._idle.clear()

    def _move(self, name: str, warm_up: bool = False, anew: bool = False) -> None:
        """Go on with another backend. If that fails, all is as before.

        Parameters
        ----------
        name : str
            The backend.
        warm_up : bool
            Whether to compile at once.
        anew : bool
            Whether the state does not matter any more.
        """
        build, runner, learning = self._build_for(name), self._runner, self._learning
        build.engine.check_process()
        old, parameters = (runner.program, runner.executable), self._parameter_arrays()
        begins = not runner.n_steps or anew
        is_alike = build.registry.lowers_alike(self._build.registry, build.order)
        if not is_alike and not begins:
            raise ValidationError(
                f"the model runs differently on the backends {self.backend!r} and {name!r}, and "
                f"cannot change between them; choose one with backend={name!r}",
                attr="backend",
            )
        program = old[0] if is_alike else learning.assemble(build)
        idle = self._idle.get(name)
        if idle is not None and idle[0] is program:
            executable = idle[1]
        else:
            executable = self._compiled(program, build)
        if warm_up:
            executable.warm_up()
        if is_alike:
            runner.change_executable(build, executable, parameters)
        else:
            runner.change_before_start(build, program, executable, parameters, self.seed)
            warn_about_host(program, build.registry)
        self._idle.pop(name, None)
        self._idle[self.backend] = old
        self._build = learning.build = build
        self.backend = name

    def _build_for(self, name: str) -> Build:
        """The model, with the builders of a backend; made once."""
        if name not in self._builds:
            self._builds[name] = self._build_of(name, self._build.order)
        return self._builds[name]
