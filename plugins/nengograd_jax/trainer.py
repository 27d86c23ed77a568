"""Training: JAX's gradients, compiled with the optimizers that use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from nengograd.plugin.executable import Options
from nengograd.plugin.registry import Registry
from nengograd.program.program import Program
from nengograd.tensor_node import SimTensorNode
from nengograd_xla.attribution import Traced
from nengograd_xla.batch_loss import BatchLoss, Record
from nengograd_xla.hlo import LOSSES, NAN, OPTIMIZER
from nengograd_xla.interrupts import deferred_interrupts
from nengograd_xla.tracer import ARGUMENTS, LAUNCH, part
from nengograd_xla.trainer import Updated, XlaTrainer

from .cache import cached_compilations
from .executable import JaxPrimitives
from .flags import called_one_by_one
from .loops import JaxLoops
from .optimizers import JaxOptimizers, Used
from .sharding import Placement

__all__ = ["JaxTrainer"]


@dataclass(frozen=True)
class _Update:
    """A compiled update.

    Attributes
    ----------
    used : Used
        Its optimizer.
    lowered, compiled : jax.stages.Lowered, jax.stages.Compiled
        ``(parameters, statistics, slots, inputs, targets, carry)`` -> the first three after it,
        figures with outputs and end, gradients, and whether these are applied.
    """

    used: Used
    lowered: Any
    compiled: Any


class JaxTrainer(XlaTrainer):
    """A program on JAX's devices.

    Parameters
    ----------
    program, registry, options
        See `XlaTrainer`; options are those of all items.
    placement : Placement
        Where it computes.
    """

    def __init__(
        self, program: Program, registry: Registry, options: Options, placement: Placement
    ):
        self._placement = placement
        # A function of a tensor node may mix items, as the mean over a minibatch does.
        self._is_apart = all(block.kind is not SimTensorNode for block in program.blocks)
        n_items = placement.items_of(options.n_items) if self._is_apart else options.n_items
        own = replace(options, minibatch_size=n_items)
        primitives = JaxPrimitives(options.dtype, placement, in_parallel=True)
        super().__init__(program, registry, own, primitives, JaxLoops())
        self.optimizers = JaxOptimizers(self.parameters, placement)
        self.carries_state = not placement.is_shared

    def run(self, parameters: Any, inputs: Any, steps: int, outputs: list[int]) -> Any:
        """What the program records, each device for its own items."""

        def run(parameters: Any, inputs: Any) -> Any:
            return super(JaxTrainer, self).run(parameters, inputs, steps, outputs)

        record = self._placement.by_device(run) if self._is_apart else run
        return record(parameters, inputs)

    def make_update(
        self, optimizer: Used, loss: BatchLoss, record: Record, stop_at_nan: bool
    ) -> _Update:
        """Gradients and optimizer as one function; see `XlaTrainer.make_update`."""
        transformation, part_scope = optimizer.optimizer, self.primitives.part_scope

        def total_loss(
            parameters: Any, statistics: Any, inputs: Any, targets: Any, carry: Any
        ) -> Any:
            seen, end, gathered = record({**parameters, **statistics}, inputs, carry)
            with part_scope(LOSSES):
                total, figures = loss.figures(self.xp, self.primitives.dtype, seen, targets)
            kept = figures, seen if loss.keep_outputs else [], end
            return total, (dict(zip(statistics, gathered, strict=True)), kept)

        def update(
            parameters: Any, statistics: Any, slots: Any, inputs: Any, targets: Any, carry: Any
        ) -> Any:
            gradient = jax.grad(total_loss, has_aux=True)
            slopes, (gathered, figures) = gradient(parameters, statistics, inputs, targets, carry)
            with part_scope(OPTIMIZER):
                changes, after = transformation.update(slopes, slots, parameters)
                changed = optax.apply_updates(parameters, changes)
            if not stop_at_nan:
                return (changed, gathered, after), figures, slopes, True
            with part_scope(NAN):
                is_finite = _all_finite((figures[0], slopes, changed, gathered))

            def chosen(new: Any, old: Any) -> Any:
                return jnp.where(is_finite, new, old)

            new, old = (changed, gathered, after), (parameters, statistics, slots)
            return jax.tree.map(chosen, new, old), figures, slopes, is_finite

        jitted = jax.jit(update, out_shardings=self._placement.whole)
        given = self.parameters, self.statistics, optimizer.slots, *self.arguments(loss)
        with deferred_interrupts():
            lowered = jitted.lower(*given)
        with cached_compilations():
            return _Update(optimizer, lowered, lowered.compile())

    def update(
        self,
        made: _Update,
        inputs: NDArray[Any],
        targets: list[NDArray[Any]],
        carry: Sequence[Any],
    ) -> Updated:
        """Compute parameters and slots; see `XlaTrainer.update`."""
        if self._placement.is_shared:
            put, along = self._placement.put, self._placement.along
            with part(self._tracer, ARGUMENTS):
                inputs, targets = put(inputs, along(1)), [put(x, along(0)) for x in targets]
        with part(self._tracer, LAUNCH):
            changed, (figures, outputs, end), slopes, is_finite = made.compiled(
                self.parameters, self.statistics, made.used.slots, inputs, targets, list(carry)
            )
        return Updated(figures, outputs, end, slopes, is_finite, (made.used, changed))

    def settle(self, updated: Updated) -> int | None:
        """Take over what was computed, which are the old values if new ones are not finite."""
        is_finite = bool(np.asarray(updated.is_finite))
        used, (parameters, statistics, slots) = updated.after
        self.parameters.update(parameters)
        self.statistics.update(statistics)
        used.slots = slots
        if is_finite:
            return None
        given = map(np.asarray, jax.tree.leaves((updated.figures, updated.gradients)))
        return int(all(np.isfinite(x).all() for x in given))

    def value_and_gradients(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Derivatives by parameters and inputs; see `XlaTrainer.value_and_gradients`."""
        differentiated = jax.jit(jax.value_and_grad(function, argnums=(0, 1)))

        def call(parameters: Any, inputs: Any, weights: Any) -> Any:
            total, (by_parameters, by_inputs) = differentiated(parameters, inputs, weights)
            return total, by_parameters, by_inputs

        return call

    def measured(self, made: _Update) -> _Update:
        """A version that calls each operation of a loop by itself, so that a tracer sees it."""
        return replace(made, compiled=made.lowered.compile(compiler_options=called_one_by_one()))

    def traced(self, made: _Update) -> list[Traced]:
        """The one function."""
        return [Traced("update", made.compiled.as_text)]


def _all_finite(tree: Any) -> Any:
    """Whether all numbers in some arrays are finite."""
    found = [jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]
    return jnp.stack(found).all()
