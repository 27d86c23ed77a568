"""Learning: the trainable parameters of a model, their values, and what changes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from nengo.exceptions import NengoWarning, SimulationError, ValidationError
from numpy.typing import NDArray

from ..assembly.build import Build
from ..assembly.lowering import Training
from ..config import Settings
from ..plugin.trainer import FitOptions, LossTerm, Trainer
from ..profile.session import TrainingWatch
from ..program.program import Program
from ..program.views import View
from ..run.runtime import Runtime
from .changes import Changes, Recipe
from .data import Batches, TrainingData
from .epochs import run_epochs
from .gradcheck import Quantity, disagreements
from .gradient_paths import replaced_gradients, without_gradient
from .parameters import Parameter, check_layers, find_parameters, parameter_arrays, parameter_values
from .reach import check_reach
from .saved import check_fit, infos
from .surrogates import stand_ins
from .trained import with_values

__all__ = ["Learning"]


_SHIFT = 1e-3
"""By how much parameters are moved, relative to what they are, before gradients are checked."""


class Learning:
    """What of a model is trained.

    Parameters
    ----------
    build : Build
        The model.
    settings : Settings
        What the user has configured in the network.

    Attributes
    ----------
    n_epochs : int
        How many epochs have begun, over all calls of `fit` since the start.
    changes : Changes
        What of the model differs from its build.
    """

    def __init__(self, build: Build, settings: Settings):
        self.settings = settings
        self.n_epochs = 0
        self._build = build
        self.changes = Changes(build.model)
        self._running = Recipe()
        self._trained = Recipe()

    @cached_property
    def parameters(self) -> list[Parameter]:
        """What training may change."""
        return find_parameters(self._build.model, self.settings)

    def program(self, present: Program) -> Program:
        """One step of the model with the values of now, whose parameters can change.

        Parameters
        ----------
        present : Program
            The one that runs.

        Returns
        -------
        program : Program
            The same, if all that differs from it are parameters and outputs of constant nodes.
        """
        changes = self.changes
        recipe = changes.recipe(changes.held, changes.apart)
        program = present
        if recipe != self._running:
            values = changes.but(changes.held)
            training = Training(
                changes.held, values=values, scales=changes.scales(), apart=changes.apart
            )
            program = self._build.assemble(training)
            self._running = recipe
        changes.put_outputs(program)
        return program

    def runs(self, program: Program) -> None:
        """Note that a program runs that `program` has made when all was as it is now."""
        self._running = self.changes.recipe(self.changes.held, self.changes.apart)
        self.changes.put_outputs(program)

    @cached_property
    def trainer(self) -> Trainer:
        """What computes gradients and changes parameters; see `_follow`."""
        return self._make_trainer(self.differentiable, self._build.options.dtype)

    @cached_property
    def differentiable(self) -> Program:
        """One step of the model as it is while it is trained."""
        return self._build.assemble(self._training())

    def _signals(self) -> frozenset[Any]:
        return frozenset(parameter.signal for parameter in self.parameters)

    def _training(self) -> Training:
        build, settings = self._build, self.settings
        replaced = stand_ins(
            build.model, build.registry, settings.spike_gradient, surrogate=settings.surrogate
        )
        signals = self._signals()
        return Training(
            signals,
            replaced,
            differentiate=True,
            detach_rules=settings.detach_learning_rules,
            values=self.changes.but(signals),
            scales=self.changes.scales(),
        )

    def _follow(self) -> None:
        """Differentiate the model as it is: constants may have been written or loaded."""
        recipe = self.changes.recipe(self._signals())
        if recipe != self._trained:
            self._trained = recipe
            for name in ("trainer", "differentiable"):
                self.__dict__.pop(name, None)
        self.changes.put_outputs(self.differentiable)

    def _make_trainer(self, program: Program, dtype: Any) -> Trainer:
        options, registry = self._build.options, self._build.registry
        registry.manager.require(registry.backend, "differentiate", "differentiate")
        options = replace(options.with_minibatch(), dtype=np.dtype(dtype))
        return self._build.engine.trainer(program, registry, options)

    def close(self) -> None:
        """Free what trains; the values stay."""
        self.__dict__.pop("trainer", None)

    # -- values

    @property
    def values(self) -> dict[Any, NDArray[Any]]:
        """The value of each parameter, by signal."""
        changed = self.changes.values
        return {signal: changed.get(signal, built) for signal, built in self._built.items()}

    @property
    def is_changed(self) -> bool:
        """Whether anything differs from what the model was built with."""
        return bool(self.changes)

    @cached_property
    def _built(self) -> dict[Any, NDArray[Any]]:
        dtype = self._build.options.dtype
        return {p.signal: p.built.astype(dtype) for p in self.parameters}

    def set_values(self, values: Mapping[Any, NDArray[Any]]) -> None:
        """Change the value of parameters, by signal; warn of those that are not finite."""
        self.changes.values.update(values)
        self.changes.held = self.changes.held | self._signals()
        self.warn_of_nan()

    def warn_of_nan(self) -> None:
        """Warn if parameters are not finite: by way of a callback or a file, say."""
        names = [name for name, x in self.named.items() if not np.isfinite(x).all()]
        if names:
            warnings.warn(
                f"parameters are not finite: {', '.join(names)}. What depends on them will not be "
                "either; sim.reset() restores what the model was built with",
                NengoWarning,
                stacklevel=4,
            )

    def start_over(self) -> None:
        """Forget all training: values, slots of optimizers known by name, the count of epochs."""
        self.n_epochs = 0
        self.changes.clear()
        if "trainer" in self.__dict__:
            self.trainer.start_over()

    @property
    def named(self) -> dict[str, NDArray[Any]]:
        """The value of each parameter, by name."""
        values = self.values
        return {p.name: values[p.signal] for p in self.parameters}

    def set_named(self, given: Mapping[str, NDArray[Any]]) -> None:
        """Change all parameters.

        Parameters
        ----------
        given : mapping
            The value of each parameter, by name.

        Raises
        ------
        nengo.exceptions.ValidationError
            If names or shapes are not those of the parameters. Nothing has changed then.
        """
        check_fit(infos(given), infos(self.named))
        dtype = self._build.options.dtype
        self.set_values({p.signal: given[p.name].astype(dtype) for p in self.parameters})

    def built(self, obj: Any, learned: Mapping[Any, NDArray[Any]] = MappingProxyType({})) -> Any:
        """What the build step made of an object, with the values that it has now.

        Parameters
        ----------
        obj : NengoObject
            An object of the network.
        learned : mapping
            What learning rules have made of signals.
        """
        model = self._build.model
        if not (self.is_changed or learned):
            return model.params[obj]
        return with_values(model, obj, {**self.changes.values, **learned}, self.changes.gains)

    def table(self) -> str:
        """The parameters as text: names, shapes and ranges."""
        rows: list[tuple[str, ...]] = [("parameter", "shape", "min", "mean", "max")]
        for name, x in self.named.items():
            figures = (x.min(), x.mean(), x.max()) if x.size else ()
            shape = "x".join(str(n) for n in x.shape) or "scalar"
            rows.append((name, shape, *(f"{y:.4g}" for y in figures)))
        widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(5)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=False))
            ).rstrip()
            for row in rows
        )

    def arrays(self, program: Program) -> dict[int, NDArray[Any]]:
        """The parameter arrays of a program, by id."""
        return parameter_arrays(program, {**self.values, **self.changes.values})

    # -- training

    def fit(
        self,
        data: TrainingData,
        losses: Sequence[LossTerm],
        optimizer: Any,
        options: FitOptions,
        seed: int,
        changed: Callable[[], None],
        validate: Callable[[], float] | None = None,
        watch: TrainingWatch | None = None,
    ) -> dict[str, list[float]]:
        """Train; see `nengograd.Simulator.train`.

        Parameters
        ----------
        data, losses, optimizer, options
            What to minimize, and how.
        seed : int
            Of the order of the items, and of random processes.
        changed : callable
            Called when `values` have changed: at the end, however training ends, and after
            each epoch if callbacks or validation may look at them.
        validate : callable, optional
            Returns the loss of data that is not trained on.
        watch : TrainingWatch, optional
            Measures.

        Returns
        -------
        history : dict
            ``"loss"`` and other figures, one number per epoch.
        """
        check_layers(self._build.model)
        self._follow()
        program = self.differentiable
        self._check_gradients_exist([term.output for term in losses])
        check_reach(program, losses, list(data.targets.values()))
        trainer = self.trainer
        trainer.set_parameters(self.arrays(program))
        training = self._build.options.with_minibatch()
        batches = Batches(data, program, self._build.order, training, seed)
        options = replace(options, first_epoch=self.n_epochs, stop_at_nan=self.settings.stop_at_nan)

        def publish() -> None:
            self.set_values(parameter_values(program, trainer.read()))
            changed()

        def after_epoch() -> dict[str, float]:
            publish()
            return {} if validate is None else {"val_loss": validate()}

        is_watched_from_outside = options.callbacks or validate is not None
        trainer.compile(optimizer, losses, batches.spec, options)
        callbacks = trainer.callbacks(options, batches.spec)
        total = options.n_epochs * len(batches)
        try:
            run_epochs(
                trainer.step if watch is None else watch.watched(trainer, total),
                batches,
                [term.name for term in losses],
                callbacks,
                options,
                after_epoch if is_watched_from_outside else None,
            )
            return callbacks.history
        finally:
            if watch is not None:
                watch.finish()
            if batches.begun:
                self.n_epochs += batches.begun
                publish()

    def _check_gradients_exist(self, outputs: Sequence[int]) -> None:
        lacking = without_gradient(self.differentiable, outputs)
        if lacking:
            lines = "\n".join(f"- {line}" for line in lacking)
            raise ValidationError(
                f"the network cannot be differentiated because of\n{lines}", attr="network"
            )
        if not self.differentiable.parameters:
            raise ValidationError("the network has no trainable parameters", attr="network")

    # -- checking gradients

    def check_gradients(
        self, outputs: Mapping[int, str], atol: float, rtol: float, seed: int, n_steps: int
    ) -> None:
        """Compare gradients with finite differences, in float64.

        Parameters
        ----------
        outputs : mapping
            Indices and names of the program's outputs that are checked.
        atol, rtol : float
            What may differ.
        seed : int
            Of inputs, weights of the outputs, and directions.
        n_steps : int
            Length of the run that is differentiated.

        Raises
        ------
        nengo.exceptions.SimulationError
            If they differ; it names the entries.
        """
        program = self.differentiable
        lacking = without_gradient(program, list(outputs), inputs=True)
        if lacking:
            raise SimulationError("There is no gradient through " + "; ".join(lacking))
        replaced = replaced_gradients(program, list(outputs), inputs=True)
        if replaced:
            raise SimulationError(
                "Finite differences cannot check a gradient that the settings of the network put "
                "in place of the derivative:\n" + "\n".join(f"- {line}" for line in replaced)
            )
        trainer = self._make_trainer(program, np.float64)
        rng = np.random.RandomState(seed % 2**32)
        inputs = self._random_inputs(program, rng, seed, n_steps)
        # A little off: neurons often sit just where they begin to fire, which has no slope.
        arrays = {
            i: x * (1 + _SHIFT * rng.uniform(-1, 1, x.shape))
            for i, x in self.arrays(program).items()
        }
        messages = []
        for index, name in outputs.items():
            size = program.outputs[index].size
            weights = {index: rng.normal(size=(*inputs.shape[:2], size))}
            for quantity in self._quantities(program, trainer, inputs, weights, arrays):
                found = disagreements(quantity, rng, atol, rtol)
                messages += [f"{name} by {message}" for message in found]
        if messages:
            raise SimulationError("Analytic and numeric gradients differ:\n" + "\n".join(messages))

    def _random_inputs(
        self, program: Program, rng: np.random.RandomState, seed: int, n_steps: int
    ) -> NDArray[Any]:
        """Inputs of a run, those of nodes replaced by random numbers."""
        options = replace(self._build.options.with_minibatch(), dtype=np.dtype("float64"))
        runtime = Runtime(program, self._build.order, seed, options)
        inputs, _, error = runtime.inputs(1, n_steps)
        if error is not None:
            raise error
        for source, start, length in program.sources:
            if source.node is not None:
                shape = (*inputs.shape[:2], length)
                inputs[..., start : start + length] = rng.uniform(-1, 1, shape)
        return inputs

    def _quantities(
        self,
        program: Program,
        trainer: Trainer,
        inputs: NDArray[Any],
        weights: Mapping[int, NDArray[Any]],
        arrays: Mapping[int, NDArray[Any]],
    ) -> list[Quantity]:
        """What outputs depend on: parameters, and outputs of nodes."""
        _, by_parameters, by_inputs = trainer.differentiate(arrays, inputs, weights)

        def change_parameter(view: View) -> Callable[[NDArray[Any]], float]:
            def changed(direction: NDArray[Any]) -> float:
                moved = {i: x.copy() for i, x in arrays.items()}
                view.scatter(view.evaluate(moved) + direction, moved)
                return trainer.differentiate(moved, inputs, weights)[0]

            return changed

        def change_input(place: slice) -> Callable[[NDArray[Any]], float]:
            def changed(direction: NDArray[Any]) -> float:
                moved = inputs.copy()
                moved[..., place] += direction.reshape(moved[..., place].shape)
                return trainer.differentiate(arrays, moved, weights)[0]

            return changed

        found = []
        for parameter in self.parameters:
            view = program.parameters.get(parameter.signal)
            if view is not None and all(source in arrays for source in view.sources):
                shape = self.values[parameter.signal].shape
                analytic = view.evaluate(by_parameters)
                found.append(Quantity(parameter.name, shape, analytic, change_parameter(view)))
        for source, start, length in program.sources:
            if source.node is not None:
                place = slice(start, start + length)
                part = by_inputs[..., place]
                found.append(
                    Quantity(str(source.node), part.shape, part.reshape(-1), change_input(place))
                )
        return found
