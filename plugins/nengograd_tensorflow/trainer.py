"""Training: TensorFlow's gradients, and optimizers that change variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nengograd.plugin.callbacks import Callbacks
from nengograd.plugin.executable import Options
from nengograd.plugin.registry import Registry
from nengograd.plugin.trainer import BatchSpec, FitOptions
from nengograd.program.program import Program
from nengograd_xla.attribution import Traced
from nengograd_xla.batch_loss import BatchLoss, Record
from nengograd_xla.tracer import ARGUMENTS, part
from nengograd_xla.trainer import Updated, XlaTrainer

from .executable import TensorFlowPrimitives
from .finite import Kept
from .gradients import Gradients, compile_gradients, value_and_gradients
from .keras_callbacks import KerasCallbacks
from .library import tf
from .loops import TensorFlowLoops
from .optimizers import KerasOptimizers
from .tensor_nodes import outside_of_compiler, warn_of_nodes

__all__ = ["TensorFlowTrainer"]

_UPDATE = "optimizer, and launch of compiled code"
"""The row of what TensorFlow's graph runtime does between functions that XLA has compiled."""


@dataclass(frozen=True)
class _Update:
    """A traced function that changes the variables; see `KerasOptimizers.update`."""

    gradients: Gradients
    call: Callable[..., Any]


class TensorFlowTrainer(XlaTrainer):
    """A program on a TensorFlow device, with Keras variables as its parameters.

    Parameters
    ----------
    program, registry, options
        See `XlaTrainer`.
    device : str or None
        Name of the device.
    """

    carries_state = True
    optimizers: KerasOptimizers

    def __init__(self, program: Program, registry: Registry, options: Options, device: str | None):
        outside = outside_of_compiler(program, options.jit)
        warn_of_nodes(program, outside, "the model is trained without XLA")
        jit = options.jit is not False and not outside
        primitives = TensorFlowPrimitives(options.dtype, device, jit)
        super().__init__(program, registry, options, primitives, TensorFlowLoops())
        self.optimizers = KerasOptimizers(
            list(self.parameters.values()), list(self.statistics.values())
        )
        # They are traced apart from optimizers: a new one needs no new gradients.
        self._gradients: dict[Any, tuple[Gradients, BatchLoss]] = {}
        self._kept: Kept | None = None
        self._n_batches = 1

    def new_parameter(self, identity: int, x: NDArray[Any]) -> Any:
        """A Keras variable; optimizers name their slots after it."""
        name = f"parameter_{identity}"
        return tf.keras.Variable(x, dtype=self.primitives.dtype.name, name=name)

    def make_update(
        self, optimizer: Any, loss: BatchLoss, record: Record, stop_at_nan: bool
    ) -> _Update:
        """A graph that runs compiled gradients and an optimizer; see `XlaTrainer.make_update`."""
        specs = self.arguments(loss)
        signature = loss.signature
        if signature not in self._gradients:
            made = compile_gradients(
                record,
                self.parameters,
                self.statistics,
                loss,
                self.xp,
                specs,
                self._seen(loss),
                jit=self.primitives.compiles,
            )
            # What the signature has ids of is kept along, so that no other object gets them.
            self._gradients[signature] = made, loss
        gradients, _ = self._gradients[signature]
        call = self.optimizers.update(optimizer, gradients.function, specs, stop_at_nan)
        return _Update(gradients, call)

    def _seen(self, loss: BatchLoss) -> list[Any]:
        """Shapes and dtypes of what the terms see."""
        sizes = [view.size for view in self.program.outputs]
        n_items = loss.spec.inputs[1]
        shapes = [(n_items, len(term.steps), sizes[term.output]) for term in loss.terms]
        return [self.primitives.spec(shape) for shape in shapes]

    def start(self, optimizer: Any, spec: BatchSpec, options: FitOptions) -> None:
        """Keep the parameters and slots that training begins with."""
        self._kept = self.optimizers.keep(optimizer) if options.stop_at_nan else None
        self._n_batches = spec.n_batches or 1

    def update(
        self,
        made: _Update,
        inputs: NDArray[Any],
        targets: list[NDArray[Any]],
        carry: Sequence[Any],
    ) -> Updated:
        """Change the variables, if all is finite; see `XlaTrainer.update`."""
        with part(self._tracer, ARGUMENTS):
            given = tf.constant(inputs), [tf.constant(x) for x in targets]
        with part(self._tracer, _UPDATE):
            figures, is_finite, gradients, (outputs, end) = made.call(*given, carry)
        by_id = dict(zip(self.parameters, gradients, strict=True))
        return Updated(figures, outputs, end, by_id, is_finite)

    def settle(self, updated: Updated) -> int | None:
        """Go back to variables that were kept, if an optimizer has made others not finite."""
        if self._kept is None:
            return None
        if updated.is_finite.numpy():
            return self._kept.follow(self._n_batches)
        return self._kept.take_back() or 0

    def set_slots(self, slots: Mapping[str, NDArray[Any]]) -> None:
        """Go on with given slots; see `Trainer.set_slots`."""
        super().set_slots(slots)
        if self._kept is not None:
            with self.primitives.context():
                self._kept = self.optimizers.keep(self._optimizer)

    def callbacks(self, options: FitOptions, spec: BatchSpec) -> Callbacks:
        """Keras' callbacks and progress bar."""
        return KerasCallbacks(
            list(self.parameters.values()),
            list(self.statistics.values()),
            self._optimizer,
            options,
            spec,
        )

    def value_and_gradients(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Derivatives by parameters and inputs; see `XlaTrainer.value_and_gradients`."""
        return value_and_gradients(function, jit=self.primitives.compiles)

    def traced(self, made: _Update) -> list[Traced]:
        """What XLA compiles of the gradients."""
        return made.gradients.traced()
