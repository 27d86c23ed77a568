"""Training: gradients of a program over time, and optimizers that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from nengograd.plugin.executable import Options
from nengograd.plugin.measuring import Measured
from nengograd.plugin.registry import Registry
from nengograd.plugin.trainer import (
    BatchSpec,
    FitOptions,
    LossTerm,
    OptimizerState,
    StepResult,
    Trainer,
)
from nengograd.program.nan import what_is_not_finite
from nengograd.program.program import Program
from nengograd.tensor_node import SimTensorNode
from nengograd_xla.attribution import Traced
from nengograd_xla.hlo import LOSSES, NAN, OPTIMIZER, part_scope
from nengograd_xla.interrupts import deferred_interrupts
from nengograd_xla.overtime import OverTime
from nengograd_xla.tracer import ARGUMENTS, LAUNCH, RESULTS, part

from .allocation import keep_freed_memory
from .cache import cached_compilations
from .flags import called_one_by_one
from .loops import JaxLoops
from .namespace import make_namespace
from .optimizers import description, find_optimizer
from .precision import precision
from .sharding import Placement
from .tracing import JaxTracer, named_block

__all__ = ["JaxTrainer"]


class JaxTrainer(Trainer):
    """A program on a device, with its parameters and the state of an optimizer.

    Parameters
    ----------
    program : Program
        One that was assembled to be differentiated.
    registry : Registry
        Finds the builders.
    options : Options
        With a minibatch.
    placement : Placement
        Where it computes.
    """

    def __init__(
        self, program: Program, registry: Registry, options: Options, placement: Placement
    ):
        self._program = program
        self._tracer: JaxTracer | None = None
        self._placement = placement
        if placement.is_on_cpu:
            keep_freed_memory()
        self._dtype = options.dtype
        with self._context():
            xp = make_namespace(options.dtype)
            # A function of a tensor node may mix items, as the mean over a minibatch does.
            self._is_apart = all(block.kind is not SimTensorNode for block in program.blocks)
            n_items = placement.items_of(options.n_items) if self._is_apart else options.n_items
            own = replace(options, minibatch_size=n_items)
            self._over_time = OverTime(program, registry, own, xp, JaxLoops(), named_block)
        self._xp = xp
        self._parameters: dict[int, Any] = {}
        self.set_parameters({a.id: np.asarray(a.initial) for a in program.by_role("parameter")})
        self._named: dict[str, Any] = {}
        self._given: dict[int, tuple[Any, Any]] = {}
        self._states: dict[int, tuple[Any, Any]] = {}
        self._updates: dict[Any, tuple[Any, Any, Any]] = {}
        self._sums: dict[Any, Callable[..., Any]] = {}
        self._optimizer: Any = None
        self._lowered: Any = None
        self._update: Any = None
        self._names: list[str] = []
        self._is_first = True
        self._go_on: Any = None  # the update from states that a minibatch has left
        self._carry: list[Any] = []
        self._carried: list[int] = []  # ids of the states in it
        self.carries_state = not placement.is_shared

    def _context(self) -> Any:
        return precision(self._dtype)

    def read(self) -> dict[int, NDArray[Any]]:
        """The parameter arrays, by id."""
        return {i: np.asarray(x) for i, x in self._parameters.items()}

    def set_parameters(self, values: Mapping[int, NDArray[Any]]) -> None:
        """Change parameter arrays, by id."""
        with self._context():
            for identity, value in values.items():
                array = np.array(value, self._dtype)
                self._parameters[identity] = self._replicated(array)

    def start_over(self) -> None:
        """Forget the slots of optimizers that were given by name."""
        for optimizer in self._named.values():
            self._states.pop(id(optimizer), None)
        self._named.clear()

    def optimizer_state(self) -> OptimizerState | None:
        """The optimizer of the last `compile`, and its slots; see `Trainer.optimizer_state`."""
        if id(self._optimizer) not in self._states:
            return None
        state, _ = self._states[id(self._optimizer)]
        names = [name for name, known in self._named.items() if known is self._optimizer]
        given = [given for found, given in self._given.values() if found is self._optimizer]
        name, config = description(*names, *given, state=state)
        paths, _ = jax.tree_util.tree_flatten_with_path(state)
        slots = {jax.tree_util.keystr(path): np.asarray(x) for path, x in paths}
        return OptimizerState(name, slots, config)

    def set_slots(self, slots: Mapping[str, NDArray[Any]]) -> None:
        """Go on with given slots; see `Trainer.set_slots`."""
        state, optimizer = self._states[id(self._optimizer)]
        paths, structure = jax.tree_util.tree_flatten_with_path(state)
        with self._context():
            leaves = [self._replicated(slots[jax.tree_util.keystr(path)]) for path, _ in paths]
        self._states[id(optimizer)] = jax.tree.unflatten(structure, leaves), optimizer

    # -- minimizing

    def compile(
        self, optimizer: Any, losses: Sequence[LossTerm], spec: BatchSpec, options: FitOptions
    ) -> None:
        """Prepare `step`; see `Trainer.compile`."""
        self._optimizer = self._find(optimizer)
        self._names = [term.name for term in losses]
        with self._context():
            if id(self._optimizer) not in self._states:
                state = jax.tree.map(self._replicated, self._optimizer.init(self._parameters))
                self._states[id(self._optimizer)] = state, self._optimizer
            state, _ = self._states[id(self._optimizer)]
            key = (
                *(id(self._optimizer), spec, tuple(map(_identity, losses))),
                *(options.stop_at_nan, options.keep_outputs, options.needs_states),
            )
            outputs = [term.output for term in losses]
            shapes = self._over_time.carried(outputs)
            self._carried = self._over_time.carried_states(outputs)
            carry = [self._placement.spec(shape, self._dtype, 0) for shape in shapes]
            self._lowered, self._update = self._compiled(key, losses, spec, options, [])
            self._go_on = self._update
            if options.needs_states and carry:
                self._go_on = self._compiled((*key, "on"), losses, spec, options, carry)[1]
        self._carry = []
        self._is_first = True

    def _compiled(
        self,
        key: Any,
        losses: Sequence[LossTerm],
        spec: BatchSpec,
        options: FitOptions,
        carry: list[Any],
    ) -> tuple[Any, Any]:
        """The update lowered and compiled, which begins at states of the shapes of ``carry``."""
        if key not in self._updates:
            update = self._make_update(self._optimizer, list(losses), spec.inputs[0], options)
            place, (state, _) = self._placement, self._states[id(self._optimizer)]
            inputs = place.spec(spec.inputs, self._dtype, 1)
            targets = [place.spec(shape, self._dtype, 0) for shape in spec.targets]
            jitted = jax.jit(update, out_shardings=place.whole)
            with deferred_interrupts():
                lowered = jitted.lower(self._parameters, state, inputs, targets, carry)
            # What ids belong to is kept along, so that no other object gets them.
            with cached_compilations():
                compiled = lowered.compile()
            self._updates[key] = lowered, compiled, (self._optimizer, losses)
        lowered, compiled, _ = self._updates[key]
        return lowered, compiled

    def begin_epoch(self) -> None:
        """The next minibatch begins at the first step."""
        self._carry = []

    def begin_at(self, states: Mapping[int, NDArray[Any]]) -> None:
        """The next minibatch begins at given states; see `Trainer.begin_at`."""
        with self._context():
            self._carry = [jnp.asarray(states[i], self._dtype) for i in self._carried]

    def _replicated(self, array: Any) -> Any:
        return self._placement.put(array, self._placement.whole)

    def _find(self, optimizer: Any) -> Any:
        if not isinstance(optimizer, str):
            if id(optimizer) not in self._given:
                self._given[id(optimizer)] = find_optimizer(optimizer), optimizer
            return self._given[id(optimizer)][0]
        if optimizer not in self._named:
            self._named[optimizer] = find_optimizer(optimizer)
        return self._named[optimizer]

    def step(self, inputs: NDArray[Any], targets: list[NDArray[Any]]) -> StepResult:
        """Change the parameters by one minibatch; see `Trainer.step`."""
        if self._is_first:
            self._placement.check_same("training data", [inputs, *targets])
            self._is_first = False
        state, optimizer = self._states[id(self._optimizer)]
        with self._context():
            if self._placement.is_shared:
                put, along = self._placement.put, self._placement.along
                with part(self._tracer, ARGUMENTS):
                    inputs, targets = put(inputs, along(1)), [put(x, along(0)) for x in targets]
            update = self._go_on if self._carry else self._update
            with part(self._tracer, LAUNCH):
                parameters, state, (figures, outputs, carry), slopes, is_finite = update(
                    self._parameters, state, inputs, targets, self._carry
                )
            with part(self._tracer, RESULTS):
                losses, weights = np.asarray(figures)
                seen = [self._placement.numpy(x) for x in outputs]
            problem = ""
            if not is_finite:
                by_id = {i: np.asarray(x) for i, x in slopes.items()}
                by_name = dict(zip(self._names, losses, strict=True))
                problem = what_is_not_finite(self._program, by_name, by_id, 1)
        self._parameters, self._carry = parameters, carry
        self._states[id(optimizer)] = state, optimizer
        return StepResult(losses, weights, problem, seen)

    def _make_update(
        self, optimizer: Any, terms: list[LossTerm], steps: int, options: FitOptions
    ) -> Callable[..., Any]:
        outputs = [term.output for term in terms]
        factors = np.array([term.factor for term in terms], self._dtype)

        def total_loss(parameters: Any, inputs: Any, targets: Any, carry: Any) -> Any:
            if options.needs_states:
                recorded, end = self._over_time.run_on(parameters, inputs, steps, outputs, carry)
            else:
                recorded, end = self._record(parameters, inputs, steps, outputs), []
            seen = [
                jnp.moveaxis(x[term.steps], 0, 1) for term, x in zip(terms, recorded, strict=True)
            ]
            with jax.named_scope(part_scope(LOSSES)):
                found = [
                    term.loss(self._xp, x, target)
                    for term, x, target in zip(terms, seen, targets, strict=True)
                ]
            losses = jnp.stack([jnp.asarray(loss, self._dtype) for loss, _ in found])
            weights = jnp.stack([jnp.asarray(weight, self._dtype) for _, weight in found])
            kept = seen if options.keep_outputs else []
            return (losses * factors).sum(), (jnp.stack([losses, weights]), kept, end)

        def update(parameters: Any, state: Any, inputs: Any, targets: Any, carry: Any) -> Any:
            gradient = jax.grad(total_loss, has_aux=True)
            slopes, figures = gradient(parameters, inputs, targets, carry)
            with jax.named_scope(part_scope(OPTIMIZER)):
                changes, after = optimizer.update(slopes, state, parameters)
                changed = optax.apply_updates(parameters, changes)
            if not options.stop_at_nan:
                return changed, after, figures, slopes, True
            with jax.named_scope(part_scope(NAN)):
                is_finite = _all_finite((figures[0], slopes, changed))

            def chosen(new: Any, old: Any) -> Any:
                return jnp.where(is_finite, new, old)

            parameters = jax.tree.map(chosen, changed, parameters)
            return parameters, jax.tree.map(chosen, after, state), figures, slopes, is_finite

        return update

    def _record(self, parameters: Any, inputs: Any, steps: int, outputs: list[int]) -> Any:
        def run(parameters: Any, inputs: Any) -> Any:
            return self._over_time.run(parameters, inputs, steps, outputs)

        record = self._placement.by_device(run) if self._is_apart else run
        return record(parameters, inputs)

    # -- measuring

    def start_measuring(self, folder: str | None = None) -> None:
        """Note each instruction of the updates from here on."""
        with self._context():
            # Each operation of a loop is called by itself, so that the tracer sees it.
            self._update = self._lowered.compile(compiler_options=called_one_by_one())
        self._tracer = JaxTracer(folder)

    def stop_measuring(self) -> Measured:
        """Return the time that each block has taken, forward and backward."""
        tracer, self._tracer = self._tracer, None
        assert tracer is not None
        traced = Traced("update", self._update.as_text)
        with self._context():
            return tracer.stop([traced], self._over_time.function.build_seconds)

    # -- gradients

    def differentiate(
        self,
        parameters: Mapping[int, NDArray[Any]],
        inputs: NDArray[Any],
        weights: Mapping[int, NDArray[Any]],
    ) -> tuple[float, dict[int, NDArray[Any]], NDArray[Any]]:
        """Differentiate a weighted sum of outputs; see `Trainer.differentiate`."""
        outputs = sorted(weights)
        key = (len(inputs), tuple(outputs))
        if key not in self._sums:
            self._sums[key] = jax.jit(
                jax.value_and_grad(self._sum(len(inputs), outputs), argnums=(0, 1))
            )
        with self._context():
            total, (by_parameters, by_inputs) = self._sums[key](
                {i: np.asarray(x, self._dtype) for i, x in parameters.items()},
                np.asarray(inputs, self._dtype),
                [np.asarray(weights[i], self._dtype) for i in outputs],
            )
        return (
            float(total),
            {i: np.asarray(x) for i, x in by_parameters.items()},
            self._placement.numpy(by_inputs),
        )

    def _sum(self, steps: int, outputs: list[int]) -> Callable[..., Any]:
        def weighted_sum(parameters: Any, inputs: Any, weights: Any) -> Any:
            recorded = self._record(parameters, inputs, steps, outputs)
            return sum(jnp.sum(x * w) for x, w in zip(recorded, weights, strict=True))

        return weighted_sum


def _identity(term: LossTerm) -> Any:
    """What two terms share if their losses are the same."""
    given = term.loss.given
    loss = given if isinstance(given, str) else id(given)
    return term.output, loss, term.steps.tobytes(), term.factor


def _all_finite(tree: Any) -> Any:
    """Whether all numbers in some arrays are finite."""
    found = [jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]
    return jnp.stack(found).all()
