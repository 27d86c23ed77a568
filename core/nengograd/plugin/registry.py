"""The registry: the builders, lowering rules and graph passes for one backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, overload

from nengo.exceptions import BuildError, NengoException

from ..program.program import Block, Program, Served
from .builders import Context, NeuronBuilder, OperatorBuilder, ProcessBuilder
from .executable import Options
from .signatures import why_not_callable
from .stand_ins import replaced_builder, stand_in

__all__ = ["Implementation", "Registry", "Rule", "failed"]

Rule = Callable[[Any, Any], Any]
"""A lowering rule, ``rule(operator, lowering)``."""


class Implementation(NamedTuple):
    """The builder of a block's operator class, with the context that it is to build in.

    Attributes
    ----------
    operator : OperatorBuilder
        The builder of the block's operator class: ``operator.build(block, context)`` makes it.
    context : Context
        What that builder gets; ``context.builder`` is the builder of neurons or a process.
    origins : tuple of PluginInfo or None
        The plugins that these builders come from; None where that is not known.
    who : str
        The builder and its plugin, as the subject of an error message.
    """

    operator: OperatorBuilder
    context: Context
    origins: tuple[Any, ...]
    who: str


@dataclass(eq=False)
class Registry:
    """Builders, lowering rules and graph passes for one backend.

    Attributes
    ----------
    manager : PluginManager
        The plugins that they come from.
    backend : str
        Name of the backend.
    operators, neurons, processes : dict
        Builders by type.
    lowering : dict
        Lowering rules by operator class.
    passes : dict
        Graph passes by name, in the order in which they run.
    origins : dict
        For each of these mappings, the plugin that each key comes from.
    """

    manager: Any
    backend: str
    operators: dict[type, OperatorBuilder] = field(default_factory=dict)
    neurons: dict[type, NeuronBuilder] = field(default_factory=dict)
    processes: dict[type, ProcessBuilder] = field(default_factory=dict)
    lowering: dict[type, Rule] = field(default_factory=dict)
    passes: dict[str, Callable[..., Any]] = field(default_factory=dict)
    origins: dict[str, Mapping[Any, Any]] = field(default_factory=dict)

    def implementation(
        self, program: Program, block: Block, options: Options, xp: Any
    ) -> Implementation:
        """What makes the function of a block: all that a backend asks for, once for each block.

        Parameters
        ----------
        program : Program
            A program.
        block : Block
            One of its blocks that does not run on the host.
        options : Options
            dtype and minibatch.
        xp : namespace
            Array functions of the backend.

        Raises
        ------
        nengo.exceptions.BuildError
            If a builder is missing for this backend.
        """
        operator, served = self.operators.get(block.kind), block.served
        if operator is None:
            raise BuildError(
                f"Backend {self.backend!r} has no builder for {block.kind.__name__}; "
                "a plugin can add one with the hook nengograd_operators"
            )
        context = Context(
            xp=xp,
            dtype=options.dtype,
            dt=program.dt,
            batched=tuple(not program.is_fixed(view) for view in block.operands),
            batch=options.batch,
            builder=self.builder_of(served),
        )
        kinds = (block.kind,) if served is None else (block.kind, served.kind)
        origins = tuple(map(self.origin_of, kinds))
        builder = operator if context.builder is None else context.builder
        origin = origins[-1] or "unknown plugin"
        who = (
            f"{type(replaced_builder(builder)).__name__}, the builder of {block.label} ({origin}),"
        )
        return Implementation(operator, context, origins, who)

    def runs(self, block: Block) -> bool:
        """Whether no builder is missing for a block."""
        served = block.served
        return block.kind in self.operators and (
            served is None or served.kind in self.neurons or served.kind in self.processes
        )

    @overload
    def builder_of(self, served: None) -> None: ...

    @overload
    def builder_of(self, served: Served) -> NeuronBuilder | ProcessBuilder: ...

    def builder_of(self, served: Served | None) -> NeuronBuilder | ProcessBuilder | None:
        """The builder of the neurons or the process that operators advance.

        Parameters
        ----------
        served : Served or None
            What a block of a program says (`nengograd.program.program.Block.served`).

        Raises
        ------
        nengo.exceptions.BuildError
            If no plugin has one for this backend.
        """
        if served is None:
            return None
        found = self.neurons.get(served.kind, self.processes.get(served.kind))
        if found is None:
            raise BuildError(
                f"Backend {self.backend!r} has no builder for {served.kind.__name__}; a plugin can "
                "add one with the hooks nengograd_neurons and nengograd_processes"
            )
        return found if served.gradient is None else stand_in(found, served)

    def lowers_alike(self, other: Registry, operators: Iterable[Any]) -> bool:
        """Whether this registry and another one make the same program of a model.

        Lowering rules and graph passes serve all backends; what may differ are the builders of
        neurons and processes, of which lowering looks at all but the computation.

        Parameters
        ----------
        other : Registry
            That of another backend, of the same plugins.
        operators : iterable of nengo.builder.Operator
            The model's.
        """
        neurons = {type(op.neurons) for op in operators if hasattr(op, "neurons")}
        processes = {type(op.process) for op in operators if hasattr(op, "process")}
        return all(
            _alike(self.neurons.get(kind), other.neurons.get(kind), _NEURONS) for kind in neurons
        ) and all(
            _alike(self.processes.get(kind), other.processes.get(kind), _PROCESSES)
            for kind in processes
        )

    def serves(self, program: Program) -> bool:
        """Whether there is a builder for each block of a program that is not on the host."""
        return all(self.runs(block) for block in program.blocks if not block.host)

    def origin_of(self, kind: type) -> Any:
        """The plugin that has the builder of an operator class, a neuron type or a process."""
        hooks = (self.origins.get(hook, {}) for hook in ("operators", "neurons", "processes"))
        return next((origins[kind] for origins in hooks if kind in origins), None)

    def hook_result(self, operator: Any) -> tuple[Any, Any]:
        """The builder for the neurons or the process of a Nengo operator, and its plugin.

        Returns
        -------
        builder, origin : object, PluginInfo
            Both None where the operator has neither, or no plugin has a builder for them.
        """
        for hook, name in (("neurons", "neurons"), ("processes", "process")):
            kind = type(getattr(operator, name, None))
            if kind in self.origins.get(hook, {}):
                return getattr(self, hook)[kind], self.origins[hook][kind]
        return None, None

    def lower(self, operator: Any, lowering: Any) -> bool:
        """Apply the lowering rule of a Nengo operator.

        Parameters
        ----------
        operator : nengo.builder.Operator
            Some operator.
        lowering : Lowering
            What the rule works with.

        Returns
        -------
        is_lowered : bool
            False where there is no rule, or it declines.

        Raises
        ------
        nengo.exceptions.BuildError
            If the rule fails, or leaves something out; it names the plugin.
        """
        rule = self.lowering.get(type(operator))
        if rule is None:
            return False
        try:
            done = rule(operator, lowering)
        except NengoException:
            raise
        except Exception as error:
            builder, _ = self.hook_result(operator)
            raise failed(self.who_lowers(operator), error, builder) from error
        if done is False and lowering.has_written:
            raise BuildError(
                f"{self.who_lowers(operator)} has written signals of {operator} and then returned "
                "False: a rule that declines has to do so before it writes anything"
            )
        # What is left out would keep zeros or old values. Training has no use for some states.
        if done is not False and not lowering.training.differentiate:
            forgotten = lowering.unwritten(operator)
            if forgotten:
                signal, call = forgotten[0]
                raise BuildError(
                    f"{self.who_lowers(operator)} has not written {signal.name}, which "
                    f"{type(operator).__name__} changes: call {call}(signal, view) for it, or "
                    "return False before writing anything"
                )
        return done is not False

    def who_lowers(self, operator: Any) -> str:
        """The rule of an operator, or the builder that it asks, with its plugin, for people."""
        rule_of = self.origins.get("lowering", {}).get(type(operator))
        builder, origin = self.hook_result(operator)
        if origin is not None and (rule_of is None or rule_of.first_party):
            served = getattr(operator, "neurons", None)
            served = getattr(operator, "process", None) if served is None else served
            return f"{type(builder).__name__}, the builder of {type(served).__name__} ({origin}),"
        return f"The lowering rule of {type(operator).__name__} ({rule_of or 'unknown plugin'})"


_NEURONS = ("params", "states", "accepts", "key", "draw")
_PROCESSES = ("merges", "per_element", "key_and_params", "rows", "output_row")
"""What lowering reads of builders."""


def _alike(one: Any, other: Any, names: Iterable[str]) -> bool:
    """Whether lowering sees no difference between two builders."""
    if one is other:
        return True
    if one is None or other is None or vars(one) or vars(other):
        return False
    return all(getattr(type(one), name) == getattr(type(other), name) for name in names)


def failed(who: str, error: Exception, builder: object) -> BuildError:
    """The error that says what has failed, and what a method of a builder is called with."""
    advice = why_not_callable(builder) if isinstance(error, TypeError) else None
    text = f"{who} failed: {type(error).__name__}: {error}"
    return BuildError(f"{text}\n{advice}" if advice else text)
