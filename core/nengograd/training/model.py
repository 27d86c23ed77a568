"""The trainable parameters of a model: their values, and the programs that compute with them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import NengoException, NengoWarning, ValidationError
from numpy.typing import NDArray

from ..assembly.build import Build
from ..config import Settings
from ..plugin.executable import Options
from ..program.program import Program
from .changes import Changes, Recipe
from .parameters import (
    Parameter,
    check_layers,
    find_parameters,
    find_statistics,
    parameter_arrays,
    parameter_table,
)
from .saved import check_fit, infos
from .surrogates import stand_ins
from .trained import with_values

if TYPE_CHECKING:
    from ..plugin.trainer import Trainer
    from .optimizer_slots import SavedOptimizer

__all__ = ["TrainableModel"]


class TrainableModel:
    """A built model whose parameters can change, and the programs that are made of it.

    Parameters
    ----------
    build : Build
        The model.
    settings : Settings
        What the user has configured in the network.

    Attributes
    ----------
    build, settings
        See above. A build of the same model for another backend may be put in its place.
    n_epochs : int
        How many epochs have begun, over all trainings since the start.
    changes : Changes
        What of the model differs from its build.
    trainer : Trainer or None
        What has last been made for `differentiable`. It keeps the slots of optimizers.
    loaded_optimizer : SavedOptimizer or None
        An optimizer whose slots the next training goes on with.
    kept : mapping
        What online learning rules had made of signals when the simulator was closed, where that is
        kept.
    """

    def __init__(self, build: Build, settings: Settings):
        self.build = build
        self.settings = settings
        self.n_epochs = 0
        self.changes = Changes(build.model)
        self._running = Recipe()
        self._trained: Recipe | None = None
        self._trained_with = build
        self._differentiable: Program | None = None
        self.trainer: Trainer | None = None
        self.loaded_optimizer: SavedOptimizer | None = None
        self.kept: Mapping[Any, NDArray[Any]] = {}

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The parameters that training may change."""
        return find_parameters(self.build.model, self.settings)

    @cached_property
    def _signals(self) -> AbstractSet[Any]:
        """What training may change: parameters, and statistics that layers gather."""
        statistics = find_statistics(self.build.model, self.settings)
        return frozenset({*(parameter.signal for parameter in self.parameters), *statistics})

    # -- programs

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
        recipe = self._recipe_to_run()
        program = present if recipe == self._running else self.build.assemble(recipe.training())
        self._running = recipe
        self.changes.put_outputs(program)
        return program

    def assemble(self, build: Build) -> Program:
        """One step of the model as it is now, for the backend of another build of it."""
        recipe = self._recipe_to_run()
        program = build.assemble(recipe.training())
        self._running = recipe
        self.changes.put_outputs(program)
        return program

    def runs(self, program: Program) -> None:
        """Note that a program runs that `program` has made when all was as it is now."""
        self._running = self._recipe_to_run()
        self.changes.put_outputs(program)

    def _recipe_to_run(self) -> Recipe:
        return self.changes.recipe(self.changes.held, self.changes.apart)

    @property
    def differentiable(self) -> Program:
        """One step of the model as it is while it is trained, with the constants of now."""
        recipe = self.changes.recipe(self._signals)
        if (
            self._differentiable is None
            or recipe != self._trained
            or self._trained_with is not self.build
        ):
            self._differentiable = self._assemble_differentiable(recipe)
            self._trained, self._trained_with, self.trainer = recipe, self.build, None
        self.changes.put_outputs(self._differentiable)
        return self._differentiable

    def _assemble_differentiable(self, recipe: Recipe) -> Program:
        build, settings = self.build, self.settings
        replaced = stand_ins(
            build.model, build.registry, settings.spike_gradient, surrogate=settings.surrogate
        )
        training = recipe.training(
            stand_ins=replaced, differentiate=True, detach_rules=settings.detach_learning_rules
        )
        return build.assemble(training)

    def load_trainer(self, program: Program) -> Trainer:
        """The trainer of a program, with the parameters of now.

        Parameters
        ----------
        program : Program
            That of `differentiable`.

        Raises
        ------
        nengo.exceptions.ValidationError
            If a layer has been frozen or freed since the model was built.
        """
        check_layers(self.build.model)
        if self.trainer is None:
            self.trainer = self.make_trainer(program, self.training_options)
        self.trainer.set_parameters(self.arrays(program))
        return self.trainer

    def read_trainer(self, program: Program, trainer: Trainer) -> None:
        """Take over the parameters that training has reached.

        Parameters
        ----------
        program, trainer : Program, Trainer
            What is trained, and what trains it.
        """
        self.changes.take(program, trainer.read(), self._signals)

    def make_trainer(self, program: Program, options: Options) -> Trainer:
        """A trainer of the backend.

        Parameters
        ----------
        program : Program
            One that can be differentiated.
        options : Options
            With a minibatch.
        """
        registry = self.build.registry
        registry.manager.require(registry.backend, "differentiate", "differentiate")
        return self.build.engine.trainer(program, registry, options)

    @cached_property
    def training_options(self) -> Options:
        """Those of the simulator, with a minibatch."""
        return self.build.options.with_minibatch()

    # -- slots of optimizers

    def saved_optimizer(self) -> SavedOptimizer:
        """The optimizer of the last training, or the one that was loaded since, with its slots.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there is none, or the backend cannot tell its slots.
        """
        from .optimizer_slots import SavedOptimizer, parameter_layout  # a run does without

        if self.loaded_optimizer is not None:
            return self.loaded_optimizer
        state = None
        if self.trainer is not None:
            self._require_slots()
            state = self.trainer.optimizer_state()
        if state is None or self._differentiable is None:
            raise ValidationError(
                "there is no optimizer to save, as nothing has been trained yet: train first, or "
                "leave include_optimizer=True out",
                attr="include_optimizer",
            )
        return SavedOptimizer(state, parameter_layout(self.build.model, self._differentiable))

    def offered_optimizer(self) -> SavedOptimizer | None:
        """What `saved_optimizer` has, for a copy of the simulator; None where there is none.

        Warns
        -----
        nengo.exceptions.NengoWarning
            If the backend cannot tell the slots that there are.
        """
        if self.loaded_optimizer is None and self.trainer is None:
            return None
        try:
            return self.saved_optimizer().offered()
        except NengoException as error:
            if self.n_epochs:
                warnings.warn(
                    "the copy of a simulator begins with empty slots of the optimizer when it is "
                    f"trained: {error}",
                    NengoWarning,
                    stacklevel=4,
                )
            return None

    def put_slots(self, program: Program, trainer: Trainer) -> None:
        """Let a training that has been compiled go on with slots that were loaded, if any were.

        Raises
        ------
        nengo.exceptions.ValidationError
            If they are those of another optimizer, or the backend cannot. They stay loaded then.
        """
        saved = self.loaded_optimizer
        if saved is None:
            return
        from .optimizer_slots import parameter_layout

        self._require_slots()
        present = trainer.optimizer_state()
        assert present is not None
        try:
            saved.check_fits(present, parameter_layout(self.build.model, program))
        except ValidationError:
            if not saved.is_offered:
                raise
            self.loaded_optimizer = None
            return
        trainer.set_slots(saved.state.slots)
        self.loaded_optimizer = None

    def _require_slots(self) -> None:
        registry = self._trained_with.registry
        what = "save and load the slots of optimizers"
        registry.manager.require(registry.backend, "save_optimizer", what)

    def close(self) -> None:
        """Free what trains; the values stay."""
        self.trainer = None

    # -- values

    @property
    def values(self) -> dict[Any, NDArray[Any]]:
        """The value of each parameter, by signal."""
        changed = self.changes.values
        return {signal: changed.get(signal, built) for signal, built in self._built.items()}

    @property
    def named(self) -> dict[str, NDArray[Any]]:
        """The value of each parameter, by name."""
        values = self.values
        return {p.name: values[p.signal] for p in self.parameters}

    @property
    def is_changed(self) -> bool:
        """Whether anything differs from what the model was built with."""
        return bool(self.changes)

    @cached_property
    def _built(self) -> dict[Any, NDArray[Any]]:
        dtype = self.build.options.dtype
        return {p.signal: p.built.astype(dtype) for p in self.parameters}

    def set_values(self, values: Mapping[Any, NDArray[Any]]) -> None:
        """Change the value of parameters, by signal."""
        self.changes.set_parameters(values, self._signals)

    def warn_of_nan(self) -> None:
        """Warn if parameters are not finite: by way of a callback, say."""
        names = [name for name, x in self.named.items() if not np.isfinite(x).all()]
        if names:
            warnings.warn(
                f"parameters are not finite: {', '.join(names)}. What depends on them will not be "
                "either; sim.reset() restores what the model was built with",
                NengoWarning,
                stacklevel=6,
            )

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
        dtype = self.build.options.dtype
        self.set_values({p.signal: given[p.name].astype(dtype) for p in self.parameters})

    def start_over(self) -> None:
        """Forget all training: values, slots of optimizers known by name, the count of epochs."""
        self.n_epochs = 0
        self.loaded_optimizer = None
        self.changes.clear()
        if self.trainer is not None:
            self.trainer.start_over()

    def built(self, obj: Any, learned: Mapping[Any, NDArray[Any]] = MappingProxyType({})) -> Any:
        """The built parameters of an object, with their current values.

        Parameters
        ----------
        obj : NengoObject
            An object of the network.
        learned : mapping
            What learning rules have made of signals.
        """
        model = self.build.model
        if not (self.is_changed or learned):
            return model.params[obj]
        values, gains = {**self.changes.values, **learned}, self.changes.gains
        return with_values(model, obj, values, gains, obj in self._following_gains)

    @cached_property
    def _following_gains(self) -> AbstractSet[Any]:
        """Ensembles whose gains follow their encoders; those of unused ones say nothing."""
        network = self.build.model.toplevel
        if network is None or not self.settings.gains_follow_encoders:
            return frozenset()
        return frozenset(connection.post_obj for connection in network.all_connections)

    def arrays(self, program: Program) -> dict[int, NDArray[Any]]:
        """The parameter arrays of a program, by id."""
        return parameter_arrays(program, {**self._built, **self.changes.values})

    def table(self) -> str:
        """The parameters as text: names, shapes and ranges."""
        return parameter_table(self.named)
